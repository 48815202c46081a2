//! The short way of what clients send most: one statement that is known already and goes to one shard, as a
//! simple query or as Parse, Bind, Describe, Execute and Sync. It allocates nothing, and does what the long way
//! (`simple`, `batch`) would do; whatever is not as usual is left to that.

use super::super::client::{Client, End};
use super::Routed;
use super::batch::{bind_values, declares};
use super::simple::writes;
use crate::error::SqlError;
use crate::exec::{Bindings, Memo, PlannedStatement, Spanned, Spans};
use crate::ids::ShardId;
use crate::plan::{Bound, Planned, Route, Values, bind};
use crate::protocol::frame::{self, HEADER_LEN};
use crate::protocol::read::Reader;
use crate::protocol::{TransactionStatus, frontend};
use crate::session::statements::Origin;
use crate::sql::{Effects, Kind};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Messages that go to one shard as they are.
struct Quick {
    /// Where they end.
    end: usize,
    shard: ShardId,
    writes: bool,
    /// When they were read.
    now: Instant,
}

impl Client {
    /// Takes the messages at `start` the short way, and says where they end; `None`: nothing was done.
    pub(super) async fn quick_batch(&mut self, start: usize) -> Result<Option<usize>, End> {
        let Some(quick) = self.read_batch(start) else { return Ok(None) };
        let messages = start..quick.end;
        if let Err(error) = self.go_to(&quick).await? {
            let frames = self.frames(messages);
            return Box::pin(self.refuse_batch(&frames, error)).await.map(|()| Some(quick.end));
        }
        self.forward_in_turn(messages.clone()).await?;
        if self.session.status() != TransactionStatus::Idle {
            // It lasts beyond these messages.
            let portal = self.bound_portal(messages);
            self.routed()?.portals.insert(portal, quick.shard);
        }
        Ok(Some(quick.end))
    }

    /// Takes the query in `frame` the short way; `false`: nothing was done.
    pub(super) async fn quick_query(&mut self, frame: Range<usize>) -> Result<bool, End> {
        let Some(quick) = self.read_query(&frame) else { return Ok(false) };
        if let Err(error) = self.note_quick_write(&quick)? {
            Box::pin(self.refuse(frontend::QUERY, &error)).await?;
        } else if self.take_shard_at_once(quick.shard) {
            self.note_start(quick.now);
            self.forward_in_turn(frame).await?;
        } else {
            Box::pin(self.send_to(frame, quick.shard)).await?;
        }
        Ok(true)
    }

    /// Makes the messages' shard the one in use.
    async fn go_to(&mut self, quick: &Quick) -> Result<Result<(), SqlError>, End> {
        if let Err(error) = self.note_quick_write(quick)? {
            return Ok(Err(error));
        }
        if !self.take_shard_at_once(quick.shard)
            && let Err(error) = Box::pin(self.use_shard(quick.shard)).await?
        {
            return Ok(Err(error));
        }
        self.note_start(quick.now);
        Ok(Ok(()))
    }

    fn note_quick_write(&mut self, quick: &Quick) -> Result<Result<(), SqlError>, End> {
        if quick.writes { self.note_write(quick.shard) } else { Ok(Ok(())) }
    }

    /// Makes an idle connection of `shard` the one in use, where nothing has to be said to it first.
    pub(super) fn take_shard_at_once(&mut self, shard: ShardId) -> bool {
        let is_alone = self.lease.is_none()
            && self.is_outside()
            && self
                .routed
                .as_deref()
                .is_some_and(|routed| routed.block.is_none() && routed.parked.is_empty());
        if !is_alone || !self.may_use(shard) || !self.attach_at_once(shard) {
            return false;
        }
        if let Some(routed) = self.routed.as_deref_mut() {
            routed.current = shard;
        }
        let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) else { return false };
        if self.session.settings_to_apply(&connection.state).is_some() {
            return false;
        }
        self.session.tell_parameters(&connection.state, &mut self.out);
        true
    }

    /// The version of rules and schema, where the session and what is known of the schema are as usual.
    fn usual_version(&self, routed: &Routed, now: Instant) -> Option<u64> {
        let is_usual = self.session.status() != TransactionStatus::Failed
            && !self.session.is_skipping()
            && self.settling.is_none()
            && !routed.block.as_ref().is_some_and(|block| block.is_implicit);
        let version = match &self.database.view {
            Some(view) => self.version_in(view, routed, now),
            None => routed.router.version_if_current(self.service.shared.statements.epoch(), now),
        };
        version.filter(|_| is_usual)
    }

    /// Reads a query, if it is the last one but for numbers.
    fn read_query(&self, frame: &Range<usize>) -> Option<Quick> {
        let routed = self.routed.as_deref()?;
        let now = Instant::now();
        let version = self.usual_version(routed, now)?;
        let (memo, sql, spans) = self.repeated_query(frame, version)?;
        let shard = one_shard(routed, &memo.planned, &Spanned { sql, spans: &spans })?;
        Some(Quick { end: frame.end, shard, writes: writes(&memo.scanned), now })
    }

    /// What is known of a query that is the last one but for numbers, its text and its numbers' places.
    pub(super) fn repeated_query(&self, frame: &Range<usize>, version: u64) -> Option<(&Memo, &[u8], Spans)> {
        let memo = self.routed.as_deref()?.memo.as_ref()?;
        let body = self.input.get(frame.start + HEADER_LEN..frame.end)?;
        let sql = body.split_last().filter(|(last, _)| **last == 0).map(|(_, sql)| sql)?;
        let sql = sql.strip_suffix(b";").unwrap_or(sql);
        let spans = memo.literals_of(sql, version, self.session.settings())?;
        Some((memo, sql, spans))
    }

    /// Reads the messages, if they are of the usual shape.
    fn read_batch(&self, start: usize) -> Option<Quick> {
        let routed = self.routed.as_deref()?;
        let now = Instant::now();
        let version = self.usual_version(routed, now)?;
        let mut messages = Messages { input: &self.input, at: start };
        let mut message = messages.next()?;
        let parsed = if message.0 == frontend::PARSE {
            let statement = self.parsed_again(routed, version, message.1)?;
            message = messages.next()?;
            Some(statement)
        } else {
            None
        };
        let (frontend::BIND, body) = message else { return None };
        let mut reader = Reader::new(body);
        let (portal, name) = (reader.cstr().ok()?, reader.cstr().ok()?);
        let statement = match parsed {
            Some(statement) if name.is_empty() => statement,
            Some(_) => return None,
            None => self.prepared_before(routed, version, name)?,
        };
        message = messages.next()?;
        if message.0 == frontend::DESCRIBE {
            let mut reader = Reader::new(message.1);
            if reader.u8().ok()? != b'P' || reader.cstr().ok()? != portal {
                return None;
            }
            message = messages.next()?;
        }
        let (frontend::EXECUTE, body) = message else { return None };
        if Reader::new(body).cstr().ok()? != portal || messages.next()?.0 != frontend::SYNC {
            return None;
        }
        let (formats, values) = bind_values(&mut reader).ok()?;
        let shard = one_shard(routed, &statement.planned, &Bindings { statement, formats, values })?;
        Some(Quick { end: messages.at, shard, writes: statement.scanned.as_ref().is_some_and(writes), now })
    }

    /// The statement that a Parse without a name makes, if it is the one that there is.
    fn parsed_again<'a>(
        &self,
        routed: &'a Routed,
        version: u64,
        parse: &[u8],
    ) -> Option<&'a PlannedStatement> {
        let mut reader = Reader::new(parse);
        let (b"", sql) = (reader.cstr().ok()?, reader.cstr().ok()?) else { return None };
        let known = routed.statements.get(&b""[..])?;
        (*known.source == *sql && declares(&reader, &known.types)).then_some(known)?;
        self.usable(version, known)
    }

    /// The statement that a name stands for, if its plan is known.
    fn prepared_before<'a>(
        &self,
        routed: &'a Routed,
        version: u64,
        name: &[u8],
    ) -> Option<&'a PlannedStatement> {
        let known = routed.statements.get(name)?;
        let session = self.session.prepared(name)?;
        (session.origin == Origin::Protocol && session.sql == known.source).then_some(known)?;
        self.usable(version, known)
    }

    /// `known`, if it does nothing but ask or change rows, and was planned under the rules, schema and settings
    /// of now.
    fn usable<'a>(&self, version: u64, known: &'a Arc<PlannedStatement>) -> Option<&'a PlannedStatement> {
        let scanned = known.scanned.as_ref()?;
        let is_usable =
            matches!(
                scanned.kind,
                Kind::Select | Kind::Insert | Kind::Update | Kind::Delete | Kind::With | Kind::Values
            ) && !scanned.effects.intersects(Effects(Effects::SET_CONFIG.0 | Effects::UPDATES_SETTINGS.0))
                && known.version == version
                && Arc::ptr_eq(&known.settings, self.session.settings());
        is_usable.then_some(known)
    }

    /// The portal of the Bind among these messages.
    fn bound_portal(&self, messages: Range<usize>) -> Box<[u8]> {
        let bind = self.frames(messages).into_iter().find(|(tag, _)| *tag == frontend::BIND);
        let body = bind.map(|(_, frame)| self.body(&frame)).unwrap_or_default();
        Reader::new(&body).cstr().unwrap_or_default().into()
    }
}

/// The one shard that these values lead to; `None` where there are several, or something is wrong.
fn one_shard<V: Values>(routed: &Routed, planned: &Planned, values: &V) -> Option<ShardId> {
    if !matches!(planned.route, Route::Home(_) | Route::Sharded(_)) {
        return None;
    }
    match bind(planned, routed.router.rules(), values) {
        Ok(Bound::Single(shard)) => Some(shard),
        _ => None,
    }
}

/// Goes through whole messages.
struct Messages<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Messages<'a> {
    /// The next one's type and body.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let rest = self.input.get(self.at..)?;
        let header = frame::header(rest).ok()??;
        let body = rest.get(HEADER_LEN..header.frame_len)?;
        self.at += header.frame_len;
        Some((header.tag, body))
    }
}
