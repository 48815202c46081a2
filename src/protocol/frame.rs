//! Frames: a type byte, a big-endian length that counts itself, a body.

/// Length of a frame's header: type byte and length.
pub const HEADER_LEN: usize = 5;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Message type.
    pub tag: u8,
    /// Bytes of the whole frame, header included (at least 5).
    pub frame_len: usize,
}

/// Reads the header at the start of `bytes`; `None` where fewer than 5 bytes are there.
///
/// # Errors
/// [`BadLength`] where the length field is under 4 or over `i32::MAX`.
#[inline]
pub fn header(bytes: &[u8]) -> Result<Option<Header>, BadLength> {
    let Some(&[tag, a, b, c, d]) = bytes.first_chunk::<HEADER_LEN>() else {
        return Ok(None);
    };
    let len = u32::from_be_bytes([a, b, c, d]);
    if !(4..=0x7fff_ffff).contains(&len) {
        return Err(BadLength { tag, len });
    }
    Ok(Some(Header { tag, frame_len: len as usize + 1 }))
}

/// A frame whose length field cannot be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid message length {len} for message type 0x{tag:02X}")]
pub struct BadLength {
    /// Message type.
    pub tag: u8,
    /// The length field as read.
    pub len: u32,
}
