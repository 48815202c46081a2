//! Reading the fields of a message's body: every read checks bounds and borrows.

/// The body ended, or was not shaped, as the message's format says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid message format")]
pub struct Malformed;

/// A cursor over a message's body.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the body's first byte (after the header).
    pub fn new(body: &'a [u8]) -> Self {
        Reader { rest: body }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Malformed`] at the end of the body (as for all readers here).
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        let (&byte, rest) = self.rest.split_first().ok_or(Malformed)?;
        self.rest = rest;
        Ok(byte)
    }

    /// A big-endian 16-bit integer.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn i16(&mut self) -> Result<i16, Malformed> {
        let (bytes, rest) = self.rest.split_first_chunk::<2>().ok_or(Malformed)?;
        self.rest = rest;
        Ok(i16::from_be_bytes(*bytes))
    }

    /// A big-endian 32-bit integer.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn i32(&mut self) -> Result<i32, Malformed> {
        let (bytes, rest) = self.rest.split_first_chunk::<4>().ok_or(Malformed)?;
        self.rest = rest;
        Ok(i32::from_be_bytes(*bytes))
    }

    /// A big-endian 32-bit unsigned integer.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        let (bytes, rest) = self.rest.split_first_chunk::<4>().ok_or(Malformed)?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*bytes))
    }

    /// `n` bytes.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.rest.split_at_checked(n).ok_or(Malformed)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// A zero-terminated string, without its terminator; the bytes may be of any encoding.
    ///
    /// # Errors
    /// [`Malformed`] where no terminator is left.
    pub fn cstr(&mut self) -> Result<&'a [u8], Malformed> {
        let end = memchr::memchr(0, self.rest).ok_or(Malformed)?;
        let text = self.rest.get(..end).ok_or(Malformed)?;
        self.rest = self.rest.get(end + 1..).ok_or(Malformed)?;
        Ok(text)
    }
}

/// The value of one field (`b'C'` code, `b'M'` message, ...) of an ErrorResponse or NoticeResponse body.
pub fn error_field(body: &[u8], field: u8) -> Option<&[u8]> {
    let mut reader = Reader::new(body);
    loop {
        match reader.u8() {
            Ok(0) | Err(_) => return None,
            Ok(kind) => {
                let value = reader.cstr().ok()?;
                if kind == field {
                    return Some(value);
                }
            }
        }
    }
}
