//! ZIP archives: what is in them, and that whatever is wrong with them is refused.

use casebook_formats::archive::{NotUnpacked, each_entry, is_zip};
use proptest::prelude::*;
use std::io::{Cursor, Write as _};

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Names and lengths of what is in it; at most `most` bytes are unpacked.
fn entries(bytes: &[u8], most: u64) -> Result<Vec<(String, usize)>, NotUnpacked> {
    let mut found = Vec::new();
    each_entry(Cursor::new(bytes), &mut { most }, |name, content| {
        let mut text = Vec::new();
        content.read_to_end(&mut text).map_err(|error| NotUnpacked::of_entry(&error))?;
        found.push((name.to_owned(), text.len()));
        Ok::<_, NotUnpacked>(())
    })?;
    Ok(found)
}

#[test]
fn files_come_in_order_and_folders_do_not_count() {
    let bytes = archive(&[("b/c.xml", b"abc"), ("a.xml", b"")]);
    assert!(is_zip(&bytes) && !is_zip(b"<testsuite/>") && !is_zip(b"P"));
    assert_eq!(entries(&bytes, 100).unwrap(), [("b/c.xml".to_owned(), 3), ("a.xml".to_owned(), 0)]);
}

#[test]
fn what_is_unpacked_is_bounded_over_all_files() {
    let content = vec![b'x'; 600];
    let bytes = archive(&[("a", &content), ("b", &content)]);
    assert_eq!(entries(&bytes, 1200).unwrap().len(), 2);
    let refused = entries(&bytes, 1199).unwrap_err().to_string();
    assert_eq!(refused, "the archive holds more than may be unpacked for one request");
    // Also what the visitor leaves unread.
    let skipped = each_entry(Cursor::new(&bytes), &mut 1199, |_, _| Ok::<_, NotUnpacked>(()));
    assert_eq!(skipped.unwrap_err().to_string(), refused);
}

#[test]
fn names_that_lead_elsewhere_are_refused_before_anything_is_read() {
    for name in ["../x", "a/../../x", "/x", "\\x", "C:x", "a\\..\\x"] {
        let bytes = archive(&[("good", b"1"), (name, b"2")]);
        let mut seen = 0;
        let refused = each_entry(Cursor::new(&bytes), &mut 100, |_, _| {
            seen += 1;
            Ok::<_, NotUnpacked>(())
        });
        assert!(refused.unwrap_err().to_string().contains("outside"), "{name}");
        assert_eq!(seen, 0, "{name}");
    }
}

#[test]
fn a_directory_that_is_too_long_is_not_read() {
    let names: Vec<String> = (0..10_001).map(|number| number.to_string()).collect();
    let all: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert_eq!(entries(&archive(&all[..10_000]), 100).unwrap().len(), 10_000);
    assert!(entries(&archive(&all), 100).unwrap_err().to_string().contains("10001 entries"));
    // The number stands at the end; one that lies about it has another directory than it says.
    let mut lying = archive(&all);
    let end = lying.len() - 22;
    lying[end + 8..end + 12].copy_from_slice(&[1, 0, 1, 0]);
    let _ = entries(&lying, 100);
}

proptest! {
    #[test]
    fn damage_is_refused_without_a_panic(at in 0usize..400, with in any::<u8>(), cut in 0usize..400) {
        let content = b"<testsuite><testcase classname='a' name='b'/></testsuite>".repeat(4);
        let mut bytes = archive(&[("reports/a.xml", &content), ("b.xml", b"x")]);
        if let Some(byte) = bytes.get_mut(at) {
            *byte = with;
        }
        bytes.truncate(bytes.len().saturating_sub(cut % 40));
        let _ = entries(&bytes, 10_000);
    }

    #[test]
    fn anything_at_all_is_refused_without_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        bytes.splice(0..0, *b"PK\x03\x04");
        let _ = entries(&bytes, 10_000);
    }
}
