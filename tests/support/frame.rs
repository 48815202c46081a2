//! Frames from the backend, and what can be read out of them.

use std::fmt;

/// One message: its type and its body (without the length).
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// Message type.
    pub tag: u8,
    /// What follows the length.
    pub body: Vec<u8>,
}

impl Frame {
    /// The message as it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = vec![self.tag];
        out.extend_from_slice(&u32::try_from(self.body.len() + 4).unwrap().to_be_bytes());
        out.extend_from_slice(&self.body);
        out
    }

    /// Takes the first whole frame off `input`.
    pub fn take(input: &mut Vec<u8>) -> Option<Frame> {
        let length = u32::from_be_bytes(input.get(1..5)?.try_into().unwrap()) as usize;
        let frame = Frame { tag: input[0], body: input.get(5..=length)?.to_vec() };
        input.drain(..=length);
        Some(frame)
    }

    /// The fields of an ErrorResponse or NoticeResponse, in order.
    pub fn fields(&self) -> Vec<(char, String)> {
        self.body
            .split(|&byte| byte == 0)
            .filter(|field| !field.is_empty())
            .map(|field| (field[0] as char, String::from_utf8_lossy(&field[1..]).into_owned()))
            .collect()
    }

    /// One field of an ErrorResponse or NoticeResponse.
    pub fn field(&self, code: char) -> Option<String> {
        self.fields().into_iter().find(|(found, _)| *found == code).map(|(_, value)| value)
    }

    /// The cells of a DataRow.
    pub fn cells(&self) -> Vec<Option<Vec<u8>>> {
        let count = u16::from_be_bytes([self.body[0], self.body[1]]);
        let mut rest = &self.body[2..];
        (0..count)
            .map(|_| {
                let (length, tail) = rest.split_at(4);
                let length = i32::from_be_bytes(length.try_into().unwrap());
                let Ok(length) = usize::try_from(length) else {
                    rest = tail;
                    return None;
                };
                let (cell, tail) = tail.split_at(length);
                rest = tail;
                Some(cell.to_vec())
            })
            .collect()
    }

    /// The body as text up to its first NUL: a CommandComplete's tag.
    pub fn text(&self) -> String {
        let end = self.body.iter().position(|&byte| byte == 0).unwrap_or(self.body.len());
        String::from_utf8_lossy(&self.body[..end]).into_owned()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(self.tag, b'E' | b'N') {
            return write!(f, "{}{:?}", self.tag as char, self.fields());
        }
        let shown: String =
            self.body.iter().take(200).flat_map(|&b| std::ascii::escape_default(b)).map(char::from).collect();
        let more =
            if self.body.len() > 200 { format!("... {} bytes", self.body.len()) } else { String::new() };
        write!(f, "{} {shown}{more}", std::ascii::escape_default(self.tag))
    }
}

/// The frames of one reply, up to ReadyForQuery or the connection's end.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// Every frame, in order.
    pub frames: Vec<Frame>,
}

impl Reply {
    /// All rows, cells as text.
    pub fn rows(&self) -> Vec<Vec<Option<String>>> {
        self.tagged(b'D')
            .map(|row| {
                row.cells()
                    .into_iter()
                    .map(|cell| cell.map(|c| String::from_utf8_lossy(&c).into_owned()))
                    .collect()
            })
            .collect()
    }

    /// The first row's first cell; `NULL` where it is null, `""` where there is no row.
    pub fn value(&self) -> String {
        match self.rows().first().and_then(|row| row.first()) {
            Some(cell) => cell.clone().unwrap_or_else(|| "NULL".into()),
            None => String::new(),
        }
    }

    /// The first column of every row.
    pub fn column(&self) -> Vec<String> {
        self.rows().into_iter().map(|row| row[0].clone().unwrap_or_else(|| "NULL".into())).collect()
    }

    /// The types of the columns, where they were described.
    pub fn types(&self) -> Vec<u32> {
        let Some(described) = self.tagged(b'T').next() else { return Vec::new() };
        let mut rest = &described.body[2..];
        let mut types = Vec::new();
        while !rest.is_empty() {
            let name = rest.iter().position(|byte| *byte == 0).unwrap();
            let field = &rest[name + 1..];
            types.push(u32::from_be_bytes(field[6..10].try_into().unwrap()));
            rest = &field[18..];
        }
        types
    }

    /// The command tags.
    pub fn tags(&self) -> Vec<String> {
        self.tagged(b'C').map(Frame::text).collect()
    }

    /// The SQLSTATE of the first error.
    pub fn sqlstate(&self) -> Option<String> {
        self.tagged(b'E').next().and_then(|error| error.field('C'))
    }

    /// The message of the first error.
    pub fn message(&self) -> Option<String> {
        self.tagged(b'E').next().and_then(|error| error.field('M'))
    }

    /// Message, detail and hint of the first error.
    pub fn told(&self) -> String {
        let Some(error) = self.tagged(b'E').next() else { return String::new() };
        ['M', 'D', 'H'].iter().filter_map(|code| error.field(*code)).collect::<Vec<_>>().join("\n")
    }

    /// The transaction status of the last ReadyForQuery (`I`, `T`, `E`), or `-` where there was none.
    pub fn status(&self) -> char {
        self.tagged(b'Z').last().map_or('-', |ready| ready.body[0] as char)
    }

    /// The types of all frames as text, such as `TDCZ`.
    pub fn shape(&self) -> String {
        self.frames.iter().map(|frame| frame.tag as char).collect()
    }

    /// Itself, where there was no error.
    ///
    /// # Panics
    /// On an ErrorResponse.
    pub fn ok(self) -> Reply {
        assert!(self.sqlstate().is_none() && self.status() != '-', "unexpected reply: {:?}", self.frames);
        self
    }

    /// The frames of one type.
    pub fn tagged(&self, tag: u8) -> impl Iterator<Item = &Frame> {
        self.frames.iter().filter(move |frame| frame.tag == tag)
    }
}
