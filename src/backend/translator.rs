//! Translates the OIDs of user-defined types and tables between a shard and its clients, who know those of the home
//! shard: in RowDescription, ParameterDescription and Parse, and inside binary arrays and composites of rows and
//! parameters. It stands between the socket and everything else, so that nothing else knows of it.
//!
//! No message becomes longer or shorter. To know what the columns of a row are it follows what is asked and answered,
//! as the session does for other ends; where a client reads binary rows that nobody had described, it asks for the
//! description itself, and keeps the answer.

use crate::catalog::Oids;
use crate::protocol::frame::{self, HEADER_LEN};
use crate::protocol::read::Reader;
use crate::protocol::{backend, frontend, write};
use smallvec::SmallVec;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The places of columns whose values hold OIDs, and their types on the shard.
type Shape = Arc<[(usize, u32)]>;

/// What is owed an answer.
#[derive(Debug)]
enum Owed {
    /// Describe of a statement.
    Statement(Box<[u8]>),
    /// Describe of a portal.
    Portal(Box<[u8]>),
    /// The same, asked by the translator itself.
    Own(Box<[u8]>),
    /// Execute of a portal.
    Rows(Box<[u8]>),
    /// ReadyForQuery: of a Sync, or of messages of the simple protocol.
    Ready { is_simple: bool },
    /// Nothing: the client's end of a COPY that was not answered yet when it was sent.
    CopyEnd,
}

/// A prepared statement, as far as it is known.
#[derive(Clone, Debug, Default)]
struct Statement {
    /// The parameters' types, by the home shard's OIDs; 0 where nobody has said.
    params: Vec<u32>,
    /// The columns' types, by the shard's OIDs.
    columns: Option<Arc<[u32]>>,
}

/// One connection's translator.
#[derive(Debug)]
pub struct Translator {
    oids: Arc<Oids>,
    statements: HashMap<Box<[u8]>, Statement>,
    /// Of bound portals: their shape, where it is known.
    portals: HashMap<Box<[u8]>, Option<Shape>>,
    owed: VecDeque<Owed>,
    /// The shape of the rows of a simple query.
    simple: Shape,
    /// The server takes the data of a COPY, and ignores Sync.
    is_copying: bool,
    /// How many bytes of what is to be sent were looked at.
    looked_at: usize,
    /// Of a message that is passed on in parts: bytes that are yet to be put in.
    rest_out: usize,
    /// Bytes read: those before `ready` may be given on.
    input: Vec<u8>,
    ready: usize,
    /// Of a message that is given on in parts: bytes that are yet to come.
    rest_in: usize,
}

impl Translator {
    /// Of a connection on which nothing is prepared.
    pub fn new(oids: Arc<Oids>) -> Translator {
        Translator {
            oids,
            statements: HashMap::new(),
            portals: HashMap::new(),
            owed: VecDeque::new(),
            simple: Arc::default(),
            is_copying: false,
            looked_at: 0,
            rest_out: 0,
            input: Vec::new(),
            ready: 0,
            rest_in: 0,
        }
    }

    /// By what it translates.
    pub fn oids(&self) -> &Arc<Oids> {
        &self.oids
    }

    /// What was to be sent has gone: `out` is empty.
    pub fn sent(&mut self) {
        self.looked_at = 0;
    }

    /// Translates what was put into `out` since the last time.
    pub fn outgoing(&mut self, out: &mut Vec<u8>) {
        loop {
            if self.rest_out > 0 {
                let part = self.rest_out.min(out.len().saturating_sub(self.looked_at));
                self.looked_at += part;
                self.rest_out -= part;
            }
            let start = self.looked_at;
            // What is no frame is the session's to see.
            let Some(Ok(Some(header))) = out.get(start..).map(frame::header) else { return };
            let end = start + header.frame_len;
            if header.tag == frontend::EXECUTE
                && let Some(body) = out.get(start + HEADER_LEN..end)
                && let Some(describe) = self.describe_first(body)
            {
                let len = describe.len();
                out.splice(start..start, describe);
                self.looked_at = start + len;
                continue;
            }
            let available = end.min(out.len());
            if available == end
                && let Some(body) = out.get_mut(start + HEADER_LEN..end)
            {
                // What is malformed the server refuses.
                let _understood = self.message_out(header.tag, body);
            }
            self.rest_out = end - available;
            self.looked_at = available;
        }
    }

    /// The Describe that has to go before an Execute.
    fn describe_first(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        let portal = Reader::new(body).cstr().ok()?;
        let shape = self.portals.get_mut(portal)?;
        if shape.is_some() {
            return None;
        }
        *shape = Some(Arc::default());
        self.owed.push_back(Owed::Own(portal.into()));
        let mut describe = Vec::new();
        write::describe(&mut describe, b'P', portal);
        Some(describe)
    }

    fn message_out(&mut self, tag: u8, body: &mut [u8]) -> Option<()> {
        match tag {
            frontend::QUERY | frontend::FUNCTION_CALL => {
                self.simple = Arc::default();
                self.owed.push_back(Owed::Ready { is_simple: true });
            }
            frontend::SYNC if self.is_copying => {}
            frontend::SYNC => self.owed.push_back(Owed::Ready { is_simple: false }),
            frontend::COPY_DONE | frontend::COPY_FAIL if self.is_copying => self.is_copying = false,
            frontend::COPY_DONE | frontend::COPY_FAIL => self.owed.push_back(Owed::CopyEnd),
            frontend::PARSE => self.parse(body)?,
            frontend::BIND => self.bind(body)?,
            frontend::DESCRIBE => {
                let mut reader = Reader::new(body);
                let kind = reader.u8().ok()?;
                let name = reader.cstr().ok()?.into();
                self.owed.push_back(if kind == b'S' { Owed::Statement(name) } else { Owed::Portal(name) });
            }
            frontend::EXECUTE => {
                let portal = Reader::new(body).cstr().ok()?.into();
                self.owed.push_back(Owed::Rows(portal));
            }
            frontend::CLOSE => {
                let mut reader = Reader::new(body);
                let kind = reader.u8().ok()?;
                let name = reader.cstr().ok()?;
                if kind == b'S' {
                    self.statements.remove(name);
                } else {
                    self.portals.remove(name);
                }
            }
            _ => {}
        }
        Some(())
    }

    fn parse(&mut self, body: &mut [u8]) -> Option<()> {
        let mut reader = Reader::new(body);
        let name: Box<[u8]> = reader.cstr().ok()?.into();
        reader.cstr().ok()?;
        let at = body.len() - reader.rest().len();
        let params = u32s(body, at)?;
        for (number, oid) in params.iter().enumerate() {
            put(body, at + 2 + 4 * number, self.oids.inward.type_oid(*oid))?;
        }
        self.statements.insert(name, Statement { params, columns: None });
        Some(())
    }

    fn bind(&mut self, body: &mut [u8]) -> Option<()> {
        let mut reader = Reader::new(body);
        let portal: Box<[u8]> = reader.cstr().ok()?.into();
        let name = reader.cstr().ok()?;
        let statement = self.statements.get(name).cloned().unwrap_or_default();
        let formats = i16s(&mut reader)?;
        let count = reader.i16().ok()? as u16;
        let mut nested: SmallVec<[(u32, usize, usize); 4]> = SmallVec::new();
        for number in 0..usize::from(count) {
            let Ok(len) = usize::try_from(reader.i32().ok()?) else { continue };
            let at = body.len() - reader.rest().len();
            reader.bytes(len).ok()?;
            let oid = statement.params.get(number).copied().unwrap_or(0);
            if is_binary(&formats, number) && self.oids.inward.is_nested(oid) {
                nested.push((oid, at, at + len));
            }
        }
        let results = i16s(&mut reader)?;
        for (oid, start, end) in nested {
            self.oids.inward.value(oid, body.get_mut(start..end)?);
        }
        let shape = match &statement.columns {
            _ if results.iter().all(|format| *format == 0) => Some(Arc::default()),
            Some(columns) => Some(self.shape(columns.iter().copied(), |at| is_binary(&results, at))),
            None => None,
        };
        self.portals.insert(portal, shape);
        Some(())
    }

    fn shape(&self, types: impl Iterator<Item = u32>, is_binary: impl Fn(usize) -> bool) -> Shape {
        types.enumerate().filter(|(at, oid)| is_binary(*at) && self.oids.outward.is_nested(*oid)).collect()
    }

    /// Room to read into; at least so many bytes.
    pub fn space(&mut self, len: usize) -> &mut [u8] {
        let have = self.input.len();
        self.input.resize(have + len, 0);
        self.input.get_mut(have..).unwrap_or_default()
    }

    /// Of the room that was given, so much was filled, and the rest was not.
    pub fn filled(&mut self, room: usize, count: usize) {
        let end = self.input.len().saturating_sub(room) + count;
        self.input.truncate(end);
        self.incoming();
    }

    /// Gives on what is ready, as far as there is room; how much.
    pub fn give(&mut self, buffer: &mut [u8]) -> usize {
        let count = self.ready.min(buffer.len());
        if let (Some(room), Some(bytes)) = (buffer.get_mut(..count), self.input.get(..count)) {
            room.copy_from_slice(bytes);
        }
        self.input.drain(..count);
        self.ready -= count;
        if self.input.is_empty() && self.input.capacity() > 64 * 1024 {
            self.input = Vec::new();
        }
        count
    }

    /// The connection ends: what was held back goes as it is.
    pub fn end(&mut self) {
        self.ready = self.input.len();
    }

    fn incoming(&mut self) {
        loop {
            let have = self.input.len();
            if self.rest_in > 0 {
                let part = self.rest_in.min(have - self.ready);
                self.ready += part;
                self.rest_in -= part;
            }
            let start = self.ready;
            let header = match self.input.get(start..).map(frame::header) {
                Some(Ok(Some(header))) => header,
                Some(Ok(None)) | None => return,
                // The session will say so.
                Some(Err(_)) => return self.end(),
            };
            let end = start + header.frame_len;
            let shape = match header.tag {
                backend::DATA_ROW => self.row_shape(),
                _ => None,
            };
            let needs_whole = match header.tag {
                backend::DATA_ROW => shape.is_some(),
                backend::COPY_DATA => false,
                _ => true,
            };
            if end > have && needs_whole {
                return;
            }
            if needs_whole {
                let mut input = std::mem::take(&mut self.input);
                let body = input.get_mut(start + HEADER_LEN..end).unwrap_or_default();
                // What is malformed the session refuses.
                let is_own = match &shape {
                    Some(shape) => {
                        let _understood = self.row(shape, body);
                        false
                    }
                    None => self.message_in(header.tag, body).unwrap_or(false),
                };
                if is_own {
                    input.drain(start..end);
                    self.input = input;
                    continue;
                }
                self.input = input;
            }
            self.ready = end.min(have);
            self.rest_in = end - self.ready;
        }
    }

    /// The shape of the row that comes; `None` where nothing of it is to be looked at.
    fn row_shape(&self) -> Option<Shape> {
        let shape = match self.owed.front() {
            Some(Owed::Rows(portal)) => self.portals.get(portal)?.as_ref()?,
            Some(Owed::Ready { is_simple: true }) => &self.simple,
            _ => return None,
        };
        (!shape.is_empty()).then(|| Arc::clone(shape))
    }

    fn row(&self, shape: &Shape, body: &mut [u8]) -> Option<()> {
        let mut places: SmallVec<[(u32, usize, usize); 8]> = SmallVec::new();
        let mut reader = Reader::new(body);
        let columns = reader.i16().ok()? as u16;
        for column in 0..usize::from(columns) {
            let Ok(len) = usize::try_from(reader.i32().ok()?) else { continue };
            let at = body.len() - reader.rest().len();
            reader.bytes(len).ok()?;
            if let Some((_, oid)) = shape.iter().find(|(place, _)| *place == column) {
                places.push((*oid, at, at + len));
            }
        }
        for (oid, start, end) in places {
            self.oids.outward.value(oid, body.get_mut(start..end)?);
        }
        Some(())
    }

    /// Looks at a whole message that is no row; whether only the translator asked for it.
    fn message_in(&mut self, tag: u8, body: &mut [u8]) -> Option<bool> {
        while matches!(self.owed.front(), Some(Owed::CopyEnd)) {
            self.owed.pop_front();
        }
        match tag {
            backend::COPY_IN_RESPONSE => self.copy_in(),
            backend::PARAMETER_DESCRIPTION => {
                let mut types = u32s(body, 0)?;
                for (number, oid) in types.iter_mut().enumerate() {
                    *oid = self.oids.outward.type_oid(*oid);
                    put(body, 2 + 4 * number, *oid)?;
                }
                if let Some(Owed::Statement(name)) = self.owed.front()
                    && let Some(statement) = self.statements.get_mut(name)
                {
                    statement.params = types;
                }
            }
            backend::ROW_DESCRIPTION => {
                let columns = self.row_description(body)?;
                return Some(self.described(&columns));
            }
            backend::NO_DATA => return Some(self.described(&[])),
            backend::COMMAND_COMPLETE | backend::PORTAL_SUSPENDED | backend::EMPTY_QUERY_RESPONSE => {
                if matches!(&*body, b"DEALLOCATE ALL\0" | b"DISCARD ALL\0") {
                    self.statements.clear();
                }
                if matches!(self.owed.front(), Some(Owed::Rows(_))) {
                    self.owed.pop_front();
                }
            }
            backend::ERROR_RESPONSE => {
                // What is owed up to Sync is skipped.
                while self.owed.front().is_some_and(|owed| !matches!(owed, Owed::Ready { .. })) {
                    self.owed.pop_front();
                }
            }
            backend::READY_FOR_QUERY => {
                self.is_copying = false;
                self.owed.pop_front();
                if self.owed.is_empty() && body.first() == Some(&b'I') {
                    self.portals.clear();
                }
            }
            _ => {}
        }
        Some(false)
    }

    /// A COPY takes data up to its end: the server ignores each Sync before it.
    fn copy_in(&mut self) {
        self.is_copying = true;
        let mut at = 1;
        while self.is_copying {
            match self.owed.get(at) {
                None => return,
                Some(Owed::Ready { is_simple: false }) => drop(self.owed.remove(at)),
                Some(Owed::CopyEnd) => {
                    self.owed.remove(at);
                    self.is_copying = false;
                }
                Some(_) => at += 1,
            }
        }
    }

    /// Whether bytes were read that nobody was given.
    pub fn holds_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// Translates a RowDescription; its columns' types, by the shard's OIDs, and whether they are binary.
    fn row_description(&self, body: &mut [u8]) -> Option<Vec<(u32, bool)>> {
        let mut columns = Vec::new();
        let mut reader = Reader::new(body);
        let count = reader.i16().ok()? as u16;
        let mut places: SmallVec<[(usize, u32); 16]> = SmallVec::new();
        for _ in 0..count {
            reader.cstr().ok()?;
            let at = body.len() - reader.rest().len();
            let field = reader.bytes(18).ok()?;
            let relation = number(field, 0)?;
            let oid = number(field, 6)?;
            places.push((at, self.oids.outward.relation_oid(relation)));
            places.push((at + 6, self.oids.outward.type_oid(oid)));
            columns.push((oid, field.get(16..18)? != [0, 0]));
        }
        for (at, oid) in places {
            put(body, at, oid)?;
        }
        Some(columns)
    }

    /// A statement's or portal's columns are known; whether only the translator asked.
    fn described(&mut self, columns: &[(u32, bool)]) -> bool {
        let types = columns.iter().map(|(oid, _)| *oid);
        let is_binary = |at: usize| columns.get(at).is_some_and(|(_, is_binary)| *is_binary);
        if matches!(self.owed.front(), Some(Owed::Ready { is_simple: true })) {
            self.simple = self.shape(types, is_binary);
            return false;
        }
        match self.owed.front() {
            Some(Owed::Statement(_) | Owed::Portal(_) | Owed::Own(_)) => {}
            _ => return false,
        }
        match self.owed.pop_front() {
            Some(Owed::Statement(name)) => {
                if let Some(statement) = self.statements.get_mut(&name) {
                    statement.columns = Some(types.collect());
                }
                false
            }
            Some(Owed::Portal(name)) => {
                let shape = self.shape(types, is_binary);
                self.portals.insert(name, Some(shape));
                false
            }
            Some(Owed::Own(name)) => {
                let shape = self.shape(types, is_binary);
                self.portals.insert(name, Some(shape));
                true
            }
            _ => false,
        }
    }
}

/// A count and so many numbers of four bytes, from a place on.
fn u32s(body: &[u8], at: usize) -> Option<Vec<u32>> {
    let mut reader = Reader::new(body.get(at..)?);
    let count = reader.i16().ok()? as u16;
    (0..count).map(|_| reader.u32().ok()).collect()
}

fn i16s(reader: &mut Reader<'_>) -> Option<SmallVec<[i16; 4]>> {
    let count = reader.i16().ok()? as u16;
    (0..count).map(|_| reader.i16().ok()).collect()
}

/// By format codes as Bind has them: none (all text), one for all, or one each.
fn is_binary(formats: &[i16], at: usize) -> bool {
    match formats {
        [] => false,
        [all] => *all != 0,
        each => each.get(at).is_some_and(|format| *format != 0),
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn put(body: &mut [u8], at: usize, value: u32) -> Option<()> {
    body.get_mut(at..at + 4)?.copy_from_slice(&value.to_be_bytes());
    Some(())
}
