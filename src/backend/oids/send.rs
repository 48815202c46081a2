//! Messages on their way to the shard.

use super::{Described, Owed, Portal, Rewritten, Translator, format_of};
use crate::protocol::frame::{self, HEADER_LEN};
use crate::protocol::frontend;
use crate::protocol::read::{Malformed, Reader};
use crate::protocol::write;
use std::sync::{Arc, OnceLock};

/// Whether a message goes on now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    On,
    /// It waits for what the server has yet to say.
    Waits,
}

impl Translator {
    /// Takes whole messages from the start of `bytes` as far as they can go now, and translates them into
    /// [`Translator::wire`]; how many bytes it took.
    pub(in super::super) fn send(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.passing_out > 0 {
                let part = self.passing_out.min(rest.len());
                self.wire.extend_from_slice(rest.get(..part).unwrap_or_default());
                self.passing_out -= part;
                at += part;
                continue;
            }
            let Ok(Some(header)) = frame::header(rest) else { return at };
            if header.tag == frontend::COPY_DATA {
                self.passing_out = header.frame_len;
                continue;
            }
            let Some(message) = rest.get(..header.frame_len) else { return at };
            if self.message(header.tag, message) == Way::Waits {
                return at;
            }
            at += header.frame_len;
        }
        at
    }

    fn message(&mut self, tag: u8, message: &[u8]) -> Way {
        let body = message.get(HEADER_LEN..).unwrap_or_default();
        if self.is_skipping && tag != frontend::SYNC {
            self.wire.extend_from_slice(message);
            return Way::On;
        }
        // Malformed messages go on: the server says what is wrong with them.
        match tag {
            frontend::PARSE => {
                let _malformed = self.parse(message);
                self.owed.push_back(Owed::Completion);
                return Way::On;
            }
            frontend::BIND => {
                return self.bind(message).unwrap_or_else(|Malformed| self.pass(message, Owed::Completion));
            }
            frontend::DESCRIBE => {
                let owed = match split_name(body) {
                    Some((b'S', name)) => {
                        let described = Arc::clone(self.statements.entry(name).or_default());
                        Owed::Statement { described, is_own: false }
                    }
                    Some((_, name)) => {
                        let portal = self.portals.entry(name).or_default().clone();
                        Owed::Portal { portal, is_own: false }
                    }
                    None => Owed::Completion,
                };
                return self.pass(message, owed);
            }
            frontend::EXECUTE => {
                let name = Reader::new(body).cstr().unwrap_or_default();
                let portal = self.portals.entry(name.into()).or_default().clone();
                let rewritten = Arc::clone(&portal.rewritten);
                if rewritten.get().is_none() {
                    write::describe(&mut self.wire, b'P', name);
                    self.owed.push_back(Owed::Portal { portal, is_own: true });
                }
                return self.pass(message, Owed::Execute(rewritten));
            }
            frontend::CLOSE => {
                match split_name(body) {
                    Some((b'S', name)) => drop(self.statements.remove(&name)),
                    Some((_, name)) => drop(self.portals.remove(&name)),
                    None => {}
                }
                return self.pass(message, Owed::Completion);
            }
            frontend::QUERY | frontend::FUNCTION_CALL => return self.pass(message, Owed::Query),
            frontend::SYNC => {
                self.is_skipping = false;
                return self.pass(message, Owed::Sync);
            }
            _ => {}
        }
        self.wire.extend_from_slice(message);
        Way::On
    }

    fn pass(&mut self, message: &[u8], owed: Owed) -> Way {
        self.wire.extend_from_slice(message);
        self.owed.push_back(owed);
        Way::On
    }

    /// The parameter types are the shard's.
    fn parse(&mut self, message: &[u8]) -> Result<(), Malformed> {
        let start = self.wire.len();
        self.wire.extend_from_slice(message);
        let body = message.get(HEADER_LEN..).unwrap_or_default();
        let mut reader = Reader::new(body);
        let name = reader.cstr()?;
        self.statements.insert(name.into(), Arc::default());
        let _text = reader.cstr()?;
        let count = reader.i16()? as u16;
        for _ in 0..count {
            let at = start + message.len() - reader.rest().len();
            let oid = self.map.type_to_shard(reader.u32()?);
            if let Some(place) = self.wire.get_mut(at..at + 4) {
                place.copy_from_slice(&oid.to_be_bytes());
            }
        }
        Ok(())
    }

    /// The OIDs in binary parameters are the shard's.
    fn bind(&mut self, message: &[u8]) -> Result<Way, Malformed> {
        let mut reader = Reader::new(message.get(HEADER_LEN..).unwrap_or_default());
        let (portal, statement) = (reader.cstr()?, reader.cstr()?);
        let formats = read_formats(&mut reader)?;
        let known = Arc::clone(self.statements.entry(statement.into()).or_default());
        if formats.contains(&1) && known.parameters.get().is_none() {
            self.ask(statement, &known);
            return Ok(Way::Waits);
        }
        let mut values: Vec<(u32, std::ops::Range<usize>)> = Vec::new();
        let count = reader.i16()? as u16;
        for at in 0..usize::from(count) {
            let Ok(len) = usize::try_from(reader.i32()?) else { continue };
            let start = message.len() - reader.rest().len();
            reader.bytes(len)?;
            let oid = known.parameters.get().and_then(|parameters| parameters.get(at)).copied();
            if let Some(oid) =
                oid.filter(|oid| format_of(&formats, at) == 1 && self.map.names_types_to_shard(*oid))
            {
                values.push((oid, start..start + len));
            }
        }
        let result_formats = read_formats(&mut reader)?;
        let rewritten = match known.columns.get() {
            _ if !result_formats.contains(&1) => OnceLock::from(Rewritten::from([])),
            Some(columns) => OnceLock::from(self.rewritten(columns, |at| format_of(&result_formats, at))),
            None => OnceLock::new(),
        };
        let bound = Portal { statement: Some(known), rewritten: Arc::new(rewritten) };
        self.portals.insert(portal.into(), bound);
        let start = self.wire.len();
        self.wire.extend_from_slice(message);
        for (oid, place) in values {
            if let Some(value) = self.wire.get_mut(start + place.start..start + place.end) {
                self.map.value_to_shard(oid, value);
            }
        }
        self.owed.push_back(Owed::Completion);
        Ok(Way::On)
    }

    /// Asks for a statement's description, unless that is under way.
    fn ask(&mut self, name: &[u8], statement: &Arc<Described>) {
        if std::mem::replace(&mut self.is_asking, true) {
            return;
        }
        let is_it = |owed: &Owed| matches!(owed, Owed::Statement { described, .. } if Arc::ptr_eq(described, statement));
        if !self.owed.iter().any(is_it) {
            write::describe(&mut self.wire, b'S', name);
            self.owed.push_back(Owed::Statement { described: Arc::clone(statement), is_own: true });
        }
        write::flush(&mut self.wire);
    }
}

/// The kind and the name in Describe and Close.
fn split_name(body: &[u8]) -> Option<(u8, Box<[u8]>)> {
    let mut reader = Reader::new(body);
    Some((reader.u8().ok()?, reader.cstr().ok()?.into()))
}

fn read_formats(reader: &mut Reader<'_>) -> Result<Vec<i16>, Malformed> {
    let count = reader.i16()? as u16;
    (0..count).map(|_| reader.i16()).collect()
}
