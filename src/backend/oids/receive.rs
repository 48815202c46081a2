//! Messages on their way from the shard.

use super::{Owed, Rewritten, Translator, format_of};
use crate::protocol::frame::{self, HEADER_LEN};
use crate::protocol::read::{Malformed, Reader};
use crate::protocol::{TransactionStatus, backend};

impl Translator {
    /// Bytes came from the server.
    pub(in super::super) fn received(&mut self, bytes: &[u8]) {
        let mut owned = std::mem::take(&mut self.partial);
        owned.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(rest) = owned.get(at..).filter(|rest| !rest.is_empty()) {
            if self.passing_in > 0 {
                let part = self.passing_in.min(rest.len());
                self.ready.extend_from_slice(rest.get(..part).unwrap_or_default());
                self.passing_in -= part;
                at += part;
                continue;
            }
            let header = match frame::header(rest) {
                Ok(Some(header)) => header,
                Ok(None) => break,
                Err(_bad) => {
                    // Who reads it closes the connection.
                    self.passing_in = usize::MAX;
                    continue;
                }
            };
            if header.tag == backend::COPY_DATA
                || (header.tag == backend::DATA_ROW && self.row_columns().is_empty())
            {
                self.passing_in = header.frame_len;
                continue;
            }
            let Some(message) = rest.get(..header.frame_len) else { break };
            let start = self.ready.len();
            self.ready.extend_from_slice(message);
            if !self.take(header.tag, start) {
                self.ready.truncate(start);
            }
            at += header.frame_len;
        }
        owned.drain(..at);
        self.partial = owned;
    }

    /// The server is gone: what it said of a message is told; whether it did.
    pub(in super::super) fn end(&mut self) -> bool {
        let partial = std::mem::take(&mut self.partial);
        self.ready.extend_from_slice(&partial);
        !partial.is_empty()
    }

    /// Gives what was translated; how many bytes.
    pub(in super::super) fn give(&mut self, buffer: &mut [u8]) -> usize {
        let waiting = self.ready.get(self.told..).unwrap_or_default();
        let count = waiting.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), waiting.get(..count)) {
            to.copy_from_slice(from);
        }
        self.told += count;
        if self.told == self.ready.len() {
            self.told = 0;
            if self.ready.capacity() > 64 * 1024 {
                self.ready = Vec::new();
            } else {
                self.ready.clear();
            }
        }
        count
    }

    /// Takes the message at `start` of what is ready; whether it is for anybody.
    fn take(&mut self, tag: u8, start: usize) -> bool {
        match tag {
            backend::DATA_ROW => {
                let columns = self.row_columns();
                let _malformed = self.row(&columns, start + HEADER_LEN);
                true
            }
            backend::ROW_DESCRIPTION => self.columns(start + HEADER_LEN).unwrap_or(true),
            backend::NO_DATA => self.described(&[], &[]),
            backend::PARAMETER_DESCRIPTION => self.parameters(start + HEADER_LEN).unwrap_or(true),
            backend::PARSE_COMPLETE | backend::BIND_COMPLETE | backend::CLOSE_COMPLETE => {
                self.answered(|owed| matches!(owed, Owed::Completion));
                true
            }
            backend::COMMAND_COMPLETE | backend::EMPTY_QUERY_RESPONSE | backend::PORTAL_SUSPENDED => {
                self.query_rows = None;
                if !matches!(self.owed.front(), Some(Owed::Query)) {
                    self.answered(|owed| matches!(owed, Owed::Execute(_)));
                }
                true
            }
            backend::ERROR_RESPONSE => {
                self.failed();
                true
            }
            backend::READY_FOR_QUERY => {
                self.answered(|owed| matches!(owed, Owed::Query | Owed::Sync));
                let status =
                    self.ready.get(start + HEADER_LEN).copied().and_then(TransactionStatus::from_byte);
                if status == Some(TransactionStatus::Idle) && self.owed.is_empty() {
                    self.portals.clear();
                }
                true
            }
            _ => true,
        }
    }

    /// The first that is owed and fits is answered, and those before it are owed no more.
    fn answered(&mut self, fits: impl Fn(&Owed) -> bool) -> Option<Owed> {
        let at = self.owed.iter().position(fits)?;
        self.owed.drain(..=at).next_back()
    }

    /// Up to Sync the server answers nothing more.
    fn failed(&mut self) {
        self.query_rows = None;
        self.is_asking = false;
        if matches!(self.owed.front(), Some(Owed::Query | Owed::Sync) | None) {
            return;
        }
        match self.owed.iter().position(|owed| matches!(owed, Owed::Sync)) {
            Some(at) => drop(self.owed.drain(..at)),
            None => {
                self.owed.clear();
                self.is_skipping = true;
            }
        }
    }

    /// The columns to be rewritten of the rows that come now.
    fn row_columns(&self) -> Rewritten {
        let known = match self.owed.iter().find(|owed| matches!(owed, Owed::Execute(_) | Owed::Query)) {
            Some(Owed::Execute(rewritten)) => rewritten.get().cloned(),
            Some(Owed::Query) => self.query_rows.clone(),
            _ => None,
        };
        known.unwrap_or_else(|| [].into())
    }

    fn row(&mut self, columns: &[(usize, u32)], at: usize) -> Result<(), Malformed> {
        let mut rest = self.ready.get_mut(at..).ok_or(Malformed)?;
        let (count, mut behind) = rest.split_first_chunk_mut::<2>().ok_or(Malformed)?;
        let count = usize::from(u16::from_be_bytes(*count));
        for column in 0..count {
            let len;
            (len, rest) = behind.split_first_chunk_mut::<4>().ok_or(Malformed)?;
            let Ok(len) = usize::try_from(i32::from_be_bytes(*len)) else {
                behind = rest;
                continue;
            };
            let value;
            (value, behind) = rest.split_at_mut_checked(len).ok_or(Malformed)?;
            if let Some((_, oid)) = columns.iter().find(|(at, _)| *at == column) {
                self.map.value_to_home(*oid, value);
            }
        }
        Ok(())
    }

    /// RowDescription; whether it is for anybody.
    fn columns(&mut self, at: usize) -> Result<bool, Malformed> {
        let body = self.ready.get(at..).unwrap_or_default();
        let mut reader = Reader::new(body);
        let count = reader.i16()? as u16;
        let (mut types, mut formats, mut edits) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..count {
            reader.cstr()?;
            let place = at + body.len() - reader.rest().len();
            let table = reader.u32()?;
            reader.i16()?;
            let oid = reader.u32()?;
            reader.bytes(6)?;
            formats.push(reader.i16()?);
            edits.push((place, self.map.table_to_home(table)));
            edits.push((place + 6, self.map.type_to_home(oid)));
            types.push(oid);
        }
        self.edit(&edits);
        Ok(self.described(&types, &formats))
    }

    fn edit(&mut self, edits: &[(usize, u32)]) {
        for (place, oid) in edits {
            if let Some(bytes) = self.ready.get_mut(*place..*place + 4) {
                bytes.copy_from_slice(&oid.to_be_bytes());
            }
        }
    }

    /// ParameterDescription; whether it is for anybody.
    fn parameters(&mut self, at: usize) -> Result<bool, Malformed> {
        let body = self.ready.get(at..).unwrap_or_default();
        let mut reader = Reader::new(body);
        let count = reader.i16()? as u16;
        let mut edits = Vec::new();
        for _ in 0..count {
            let place = at + body.len() - reader.rest().len();
            edits.push((place, self.map.type_to_home(reader.u32()?)));
        }
        self.edit(&edits);
        self.is_asking = false;
        let asked = self.owed.iter().find_map(|owed| match owed {
            Owed::Statement { described, is_own } => Some((described, *is_own)),
            _ => None,
        });
        let Some((described, is_own)) = asked else { return Ok(true) };
        let parameters = edits.into_iter().map(|(_, oid)| oid).collect();
        // It is the same each time.
        let _told_before = described.parameters.set(parameters);
        Ok(!is_own)
    }

    /// The columns of what is described next, in the shard's OIDs; whether that is for anybody.
    fn described(&mut self, types: &[u32], formats: &[i16]) -> bool {
        if matches!(self.owed.front(), Some(Owed::Query)) {
            self.query_rows = Some(self.rewritten(types, |at| format_of(formats, at)));
            return true;
        }
        match self.answered(|owed| matches!(owed, Owed::Statement { .. } | Owed::Portal { .. })) {
            Some(Owed::Statement { described, is_own }) => {
                let _told_before = described.columns.set(types.into());
                !is_own
            }
            Some(Owed::Portal { portal, is_own }) => {
                let rewritten = self.rewritten(types, |at| formats.get(at).copied().unwrap_or(0));
                let _told_before = portal.rewritten.set(rewritten);
                if let Some(statement) = portal.statement {
                    let _told_before = statement.columns.set(types.into());
                }
                !is_own
            }
            _ => true,
        }
    }
}
