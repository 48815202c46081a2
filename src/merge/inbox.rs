//! What one shard has sent and nobody has taken yet: bytes, cut into frames.

use crate::protocol::frame::{self, BadLength, HEADER_LEN};

/// Room for a first read: most answers are short.
const ROOM_FIRST: usize = 4 * 1024;
/// Room for a read, once the answer has shown to be long. A frame that is longer gets what it needs.
const ROOM_MAX: usize = 64 * 1024;

/// A buffer that is read into at its end and taken from at its start.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// All of it initialised; bytes in `start..end` are there.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

/// What stands at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// No whole frame; of the one that has begun, its type and length where they are there.
    Partial(Option<(u8, usize)>),
    /// A whole frame: its type and length.
    Frame(u8, usize),
}

impl Inbox {
    /// Room to read into, never empty.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
        let len = self.bytes.len();
        if self.start > 0 && len - self.end < len / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == len {
            let room = (len * 2).max(ROOM_FIRST);
            self.bytes.resize(room, 0);
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// `count` bytes were read into [`Inbox::space`].
    pub(super) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
        if self.end == self.bytes.len() && self.bytes.len() < ROOM_MAX {
            self.bytes.resize(self.bytes.len() * 4, 0);
        }
    }

    /// How many bytes nobody has taken.
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// The bytes that nobody has taken.
    #[inline]
    pub(super) fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Takes `count` bytes.
    #[inline]
    pub(super) fn take(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    #[inline]
    pub(super) fn head(&self) -> Result<Head, BadLength> {
        let unread = self.unread();
        let Some(header) = frame::header(unread)? else { return Ok(Head::Partial(None)) };
        Ok(if unread.len() >= header.frame_len {
            Head::Frame(header.tag, header.frame_len)
        } else {
            Head::Partial(Some((header.tag, header.frame_len)))
        })
    }

    /// The body of the whole frame of this length at the start.
    #[inline]
    pub(super) fn body(&self, frame_len: usize) -> &[u8] {
        self.unread().get(HEADER_LEN..frame_len).unwrap_or_default()
    }
}
