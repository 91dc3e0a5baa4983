//! Gzip bodies, unpacked piece by piece as they come.

use crate::limits::Limits;
use crate::refusal::Refusal;
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use std::io::Write as _;

/// Packed bytes that are unpacked at one time: no more than a thousand times as much can come of them.
const PIECE: usize = 4 << 10;

/// From this size on, a body that unpacks to more than [`LARGEST_RATIO`] times its size is refused.
const RATIO_FROM: usize = 16 << 20;

/// Reports are repetitive; this is beyond what any of them reaches.
const LARGEST_RATIO: usize = 250;

/// Counts a body against its limits, and unpacks it if it is packed. May consist of several gzip members.
pub(crate) struct Unpacking {
    limits: Limits,
    decoder: Option<MultiGzDecoder<Vec<u8>>>,
    packed: usize,
    unpacked: usize,
}

impl Unpacking {
    pub(crate) fn new(limits: Limits, gzip: bool) -> Self {
        Self { limits, decoder: gzip.then(|| MultiGzDecoder::new(Vec::new())), packed: 0, unpacked: 0 }
    }

    /// Takes the next part of the body as sent, and gives what it says.
    pub(crate) fn feed(&mut self, data: &Bytes, mut emit: impl FnMut(Bytes)) -> Result<(), Refusal> {
        self.packed += data.len();
        if self.packed > self.limits.body {
            return Err(too_large(self.limits.body));
        }
        if self.decoder.is_none() {
            emit(data.clone());
            return Ok(());
        }
        for piece in data.chunks(PIECE) {
            if let Some(decoder) = &mut self.decoder {
                decoder.write_all(piece).map_err(|error| damaged(&error))?;
            }
            self.take(&mut emit)?;
        }
        Ok(())
    }

    /// The end of the body: whether it was whole.
    pub(crate) fn finish(&mut self, mut emit: impl FnMut(Bytes)) -> Result<(), Refusal> {
        if let Some(decoder) = &mut self.decoder {
            decoder.try_finish().map_err(|error| damaged(&error))?;
            self.take(&mut emit)?;
        }
        Ok(())
    }

    fn take(&mut self, emit: &mut impl FnMut(Bytes)) -> Result<(), Refusal> {
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        let bytes = std::mem::take(decoder.get_mut());
        self.unpacked += bytes.len();
        if self.unpacked > self.limits.unpacked {
            let most = self.limits.unpacked;
            return Err(Refusal::TooLarge(format!(
                "the body unpacks to more than {most} bytes: send it in parts"
            )));
        }
        if self.unpacked > RATIO_FROM && self.unpacked / self.packed.max(1) > LARGEST_RATIO {
            return Err(Refusal::TooLarge(format!(
                "the body unpacks to more than {LARGEST_RATIO} times its size: send it in parts"
            )));
        }
        if !bytes.is_empty() {
            emit(Bytes::from(bytes));
        }
        Ok(())
    }
}

pub(crate) fn too_large(most: usize) -> Refusal {
    Refusal::TooLarge(format!("the body is larger than {most} bytes: send it in parts"))
}

fn damaged(error: &std::io::Error) -> Refusal {
    Refusal::Unreadable(format!("the gzip body is damaged: {error}"))
}
