//! The body of an upload: a multipart form, packed (Buildkite's contract, 2.2 and 2.4).

use crate::cutting::Part;
use flate2::Compression;
use flate2::write::GzEncoder;
use memchr::memmem;
use sha2::{Digest as _, Sha256};
use std::io::{self, Write as _};

/// Beyond this ratio a packed body looks like an attack to a server (it refuses 250), and goes unpacked.
const LARGEST_RATIO: usize = 200;

/// Bytes up to which the server does not look at the ratio.
const RATIO_FROM: usize = 16 << 20;

/// A body and what its headers say.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) content_type: String,
    pub(crate) is_packed: bool,
}

/// Writes a body. The same part and fields make the same bytes.
pub(crate) fn write(part: &Part, file_name: &str, fields: &[(String, String)]) -> io::Result<Body> {
    let boundary = boundary(part, fields);
    let mut form = Vec::with_capacity(part.bytes.len() + 4096);
    let quoted = |text: &str| text.replace(['"', '\r', '\n', '\\'], "_");
    let mut field = |name: &str, value: &str| {
        write!(
            form,
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{value}\r\n",
            quoted(name)
        )
    };
    field("format", part.format.as_str())?;
    for (name, value) in fields {
        field(name, value)?;
    }
    let content_type = if part.format == casebook_formats::Format::Junit {
        "application/xml"
    } else {
        "application/octet-stream"
    };
    write!(
        form,
        "--{boundary}\r\nContent-Disposition: form-data; name=\"data\"; filename=\"{}\"\r\nContent-Type: {content_type}\r\n\r\n",
        quoted(file_name)
    )?;
    form.extend_from_slice(&part.bytes);
    write!(form, "\r\n--{boundary}--\r\n")?;
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let mut packer = GzEncoder::new(Vec::with_capacity(form.len() / 8), Compression::default());
    packer.write_all(&form)?;
    let packed = packer.finish()?;
    if form.len() > RATIO_FROM && form.len() / packed.len() > LARGEST_RATIO {
        return Ok(Body { bytes: form, content_type, is_packed: false });
    }
    Ok(Body { bytes: packed, content_type, is_packed: true })
}

/// A line that stands nowhere in the form.
fn boundary(part: &Part, fields: &[(String, String)]) -> String {
    let mut digest = Sha256::digest(&part.bytes);
    loop {
        let hex: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        let boundary = format!("casebook-{hex}");
        let stands_in = |bytes: &[u8]| memmem::find(bytes, boundary.as_bytes()).is_some();
        if !stands_in(&part.bytes) && !fields.iter().any(|(_, value)| stands_in(value.as_bytes())) {
            return boundary;
        }
        digest = Sha256::digest(digest);
    }
}
