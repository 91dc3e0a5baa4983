//! ZIP archives of reports: read entry by entry, within limits, and refused as a whole when anything in them is not right.

use std::io::{self, Read, Seek, SeekFrom};
use zip::ZipArchive;
use zip::result::ZipError;

/// Entries of an archive at most.
const MOST_ENTRIES: u64 = 10_000;

/// Largest directory of an archive, in bytes.
const LARGEST_DIRECTORY: u64 = 4 << 20;

/// Where the end of an archive is told: the longest comment and the records around it.
const TAIL: u64 = 66 << 10;

/// An archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NotUnpacked {
    /// It is damaged, or more than it may be.
    #[error("{0}")]
    Refused(String),
    /// It could not be read.
    #[error("the archive could not be read: {0}")]
    Io(#[from] io::Error),
}

/// Whether bytes begin like a ZIP archive.
#[must_use]
pub fn is_zip(head: &[u8]) -> bool {
    [&b"PK\x03\x04"[..], b"PK\x05\x06"].iter().any(|start| head.starts_with(start))
}

/// Gives each file in the archive to `visit`, by name and content, in the order of its directory. At most `left` bytes are
/// unpacked, and taken away from it.
///
/// # Errors
/// The archive is damaged, encrypted, has too many entries, an entry whose name leads elsewhere, or too much in it; or
/// `visit` fails.
pub fn each_entry<R: Read + Seek, E: From<NotUnpacked>>(
    mut reader: R,
    left: &mut u64,
    mut visit: impl FnMut(&str, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    check_directory(&mut reader)?;
    let mut archive = ZipArchive::new(reader).map_err(damaged)?;
    check_names(&mut archive)?;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(damaged)?;
        if entry.is_dir() {
            continue;
        }
        let name = entry.name().map_err(damaged)?.into_owned();
        let mut limited = Limited { entry, left };
        visit(&name, &mut limited)?;
        // What the visitor left unread counts too, and is checked.
        io::copy(&mut limited, &mut io::sink()).map_err(|error| NotUnpacked::of_entry(&error))?;
    }
    Ok(())
}

/// The directory is read as a whole, so its size is looked at first, as the end of the archive tells it.
fn check_directory<R: Read + Seek>(reader: &mut R) -> Result<(), NotUnpacked> {
    let length = reader.seek(SeekFrom::End(0))?;
    reader.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    reader.take(TAIL).read_to_end(&mut tail)?;
    reader.seek(SeekFrom::Start(0))?;
    let refused = || NotUnpacked::Refused("the archive is damaged: it has no end".to_owned());
    let end = memchr::memmem::rfind(&tail, b"PK\x05\x06").ok_or_else(refused)?;
    let number = |at: usize, bytes: usize| {
        let found = tail.get(at..at + bytes)?;
        Some(found.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte)))
    };
    let (mut entries, mut size) = number(end + 10, 2).zip(number(end + 12, 4)).ok_or_else(refused)?;
    if entries == 0xffff || size == 0xffff_ffff {
        let large = memchr::memmem::rfind(&tail[..end], b"PK\x06\x06").ok_or_else(refused)?;
        (entries, size) = number(large + 32, 8).zip(number(large + 40, 8)).ok_or_else(refused)?;
    }
    if entries > MOST_ENTRIES || size > LARGEST_DIRECTORY {
        let sentence = format!("the archive has {entries} entries: at most {MOST_ENTRIES} are read");
        return Err(NotUnpacked::Refused(sentence));
    }
    Ok(())
}

/// Every name is looked at before any content.
fn check_names<R: Read + Seek>(archive: &mut ZipArchive<R>) -> Result<(), NotUnpacked> {
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(damaged)?;
        let name = entry.name().map_err(damaged)?;
        if leads_elsewhere(&name) {
            let name: String = name.chars().take(200).collect();
            let sentence = format!("the archive names a file outside of itself: {name:?}");
            return Err(NotUnpacked::Refused(sentence));
        }
        if entry.encrypted() {
            return Err(NotUnpacked::Refused(
                "the archive is encrypted: send it without a password".to_owned(),
            ));
        }
    }
    Ok(())
}

/// Whether a name is absolute, climbs out of its folder, or is none on some system.
fn leads_elsewhere(name: &str) -> bool {
    let mut parts = name.split(['/', '\\']);
    let drive = name.as_bytes().get(1) == Some(&b':');
    name.starts_with(['/', '\\']) || drive || name.contains('\0') || parts.any(|part| part == "..")
}

/// An entry as far as the archive may be unpacked.
struct Limited<'a, R> {
    entry: R,
    left: &'a mut u64,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.entry.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => *self.left = left,
            None => return Err(io::Error::other(TooMuch)),
        }
        Ok(read)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the archive holds more than may be unpacked for one request")]
struct TooMuch;

fn damaged(error: ZipError) -> NotUnpacked {
    match error {
        ZipError::Io(error) => NotUnpacked::of_entry(&error),
        error => NotUnpacked::Refused(format!("the archive cannot be read: {error}")),
    }
}

impl NotUnpacked {
    /// Why reading an entry to its end failed.
    #[must_use]
    pub fn of_entry(error: &io::Error) -> Self {
        Self::Refused(match error.get_ref() {
            Some(cause) if cause.is::<TooMuch>() => cause.to_string(),
            _ => format!("the archive cannot be read: {error}"),
        })
    }
}
