//! Bytes of stored values: variable-length integers and exact floats, little endian.

/// The bytes are no stored value of a version this program knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored {what} is damaged or was written by a newer version; rebuild it by a replay")]
pub struct Damaged {
    /// What was being read.
    pub what: &'static str,
}

/// Appends values to a body.
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn new(version: u8) -> Self {
        Self(vec![version])
    }

    pub(crate) fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(crate) fn signed(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    pub(crate) fn float(&mut self, value: f64) {
        self.fixed(value.to_bits());
    }

    /// A value whose bits are all in use, such as a hash.
    pub(crate) fn fixed(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn optional(&mut self, value: Option<i64>) {
        match value {
            None => self.0.push(0),
            Some(value) => {
                self.0.push(1);
                self.signed(value);
            }
        }
    }
}

/// Takes values off the front of a body.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Checks the version in the first byte.
    pub(crate) fn new(bytes: &'a [u8], version: u8, what: &'static str) -> Result<Self, Damaged> {
        match bytes.split_first() {
            Some((first, rest)) if *first == version => Ok(Self { rest, what }),
            _ => Err(Damaged { what }),
        }
    }

    pub(crate) const fn damaged(&self) -> Damaged {
        Damaged { what: self.what }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Damaged> {
        let (first, rest) = self.rest.split_first().ok_or(self.damaged())?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn unsigned(&mut self) -> Result<u64, Damaged> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.damaged())
    }

    pub(crate) fn small(&mut self) -> Result<u32, Damaged> {
        u32::try_from(self.unsigned()?).map_err(|_| self.damaged())
    }

    /// Length of a list that has at most `most` members.
    pub(crate) fn length(&mut self, most: usize) -> Result<usize, Damaged> {
        let length = self.small()? as usize;
        if length <= most { Ok(length) } else { Err(self.damaged()) }
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Damaged> {
        let value = self.unsigned()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    pub(crate) fn float(&mut self) -> Result<f64, Damaged> {
        let value = f64::from_bits(self.fixed()?);
        if value.is_finite() { Ok(value) } else { Err(self.damaged()) }
    }

    pub(crate) fn fixed(&mut self) -> Result<u64, Damaged> {
        let (first, rest) = self.rest.split_first_chunk::<8>().ok_or(self.damaged())?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*first))
    }

    pub(crate) fn optional(&mut self) -> Result<Option<i64>, Damaged> {
        match self.byte()? {
            0 => Ok(None),
            1 => self.signed().map(Some),
            _ => Err(self.damaged()),
        }
    }

    pub(crate) fn end(self) -> Result<(), Damaged> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.damaged()) }
    }
}
