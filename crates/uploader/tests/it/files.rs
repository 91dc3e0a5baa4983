//! Finding reports by name.

use casebook_formats::Format;
use casebook_formats::Sniffed;
use casebook_uploader::files::Found;
use std::fs;
use std::path::Path;

const XML: &str = "<testsuite><testcase classname='c' name='n'/></testsuite>";

fn names(found: &Found) -> Vec<String> {
    let name = |name: &str| Path::new(name).file_name().unwrap().to_string_lossy().into_owned();
    found.files.iter().map(|file| name(file.name())).collect()
}

#[test]
fn files_folders_and_patterns() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::create_dir_all(path("a/b")).unwrap();
    for name in ["a/2.xml", "a/b/1.XML", "a/b/3.xml", "a/odd[1].xml"] {
        fs::write(path(name), XML).unwrap();
    }
    fs::write(path("a/pom.xml"), "<project/>").unwrap();
    fs::write(path("a/b/picture.png"), XML).unwrap();
    fs::write(path("a/package.json"), "{\"name\":\"x\"}").unwrap();
    let find = |arguments: &[&str]| {
        let arguments: Vec<String> = arguments.iter().map(|name| path(name)).collect();
        Found::find(arguments.iter().map(String::as_str), &mut std::io::empty())
    };
    let all = find(&["a"]);
    assert_eq!(names(&all), ["2.xml", "1.XML", "3.xml", "odd[1].xml"]);
    assert_eq!((all.others, all.problems.len()), (3, 0));
    assert_eq!(names(&find(&["a/**/*.xml"])), ["2.xml", "3.xml", "odd[1].xml", "pom.xml"]);
    assert_eq!(names(&find(&["a/b/3.xml", "a/b", "a/b/*.xml"])), ["3.xml", "1.XML"]);
    assert_eq!(names(&find(&["a/odd[1].xml"])), ["odd[1].xml"]);
    let missing = find(&["a/9.xml", "a/*.txt", "a/[.xml"]);
    assert_eq!((missing.files.len(), missing.problems.len()), (0, 3), "{:?}", missing.problems);
}

#[test]
fn standard_input_is_a_file() {
    let found = Found::find(["-", "-"], &mut XML.as_bytes());
    assert_eq!(found.files.len(), 1);
    assert_eq!(found.files[0].sniff().unwrap(), Some(Sniffed::Known(Format::Junit)));
    assert_eq!(found.files[0].size().unwrap(), XML.len() as u64);
}

#[test]
fn formats_show_themselves() {
    for format in Format::ALL {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../formats/samples").join(format.as_str());
        let folder = folder.display().to_string();
        let found = Found::find([folder.as_str()], &mut std::io::empty());
        assert!(!found.files.is_empty() && found.others == 0, "{folder}");
        for file in &found.files {
            assert_eq!(file.sniff().unwrap(), Some(Sniffed::Known(*format)), "{}", file.name());
        }
    }
    let unknown = ["", "{}", "hello", "<html/>", "<testsuiteX/>", "{\"a\":1}", "<?xml version='1.0'?>"];
    for text in unknown {
        let found = Found::find(["-"], &mut text.as_bytes());
        let sniffed = found.files[0].sniff().unwrap();
        assert!(!matches!(sniffed, Some(Sniffed::Known(_))), "{text}: {sniffed:?}");
    }
    let wide: Vec<u8> =
        format!("\u{FEFF}<?xml version='1.0'?>{XML}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(
        Found::find(["-"], &mut wide.as_slice()).files[0].sniff().unwrap(),
        Some(Sniffed::Known(Format::Junit))
    );
}
