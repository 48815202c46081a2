//! The extended protocol of a routed client: the messages up to a Sync or Flush are looked at together,
//! and go to one shard as they are, to all, or to none.

use super::super::client::{Client, End};
use super::super::relay::with_scratch;
use super::block::{Block, Command};
use super::local::{explain_description, explain_rows};
use super::scatter::{Ask, Describe, Spread};
use super::several_without_sync;
use super::simple::{Aimed, Target, names_change, target_of};
use crate::error::SqlError;
use crate::exec::{Bindings, PlannedStatement};
use crate::ids::ShardId;
use crate::plan::Route;
use crate::protocol::frame::{self, HEADER_LEN};
use crate::protocol::read::{Malformed, Reader};
use crate::protocol::{TransactionStatus, backend, frontend, write};
use crate::session::statements::Origin;
use crate::session::{Session, Tools};
use crate::sql::Kind as SqlKind;
use crate::sql::scan;
use crate::sql::scan::Statement as Scanned;
use crate::sql::transaction::begin_tag;
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;

pub(super) type Frame = (u8, Range<usize>);
/// A portal of the messages at hand, and its statement where that is known.
type BoundPortal = (Box<[u8]>, Option<Arc<PlannedStatement>>);
/// Formats and values of a Bind message.
type BindValues<'a> = (SmallVec<[i16; 8]>, SmallVec<[Option<&'a [u8]>; 8]>);

/// The prepared statements that a run of messages makes and closes.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    parsed: SmallVec<[Box<[u8]>; 1]>,
    closed: Vec<Box<[u8]>>,
}

impl Fresh {
    pub(super) fn close(&mut self, name: &[u8]) {
        self.parsed.retain(|parsed| parsed.as_ref() != name);
        self.closed.push(name.into());
    }

    fn is_closed(&self, name: &[u8]) -> bool {
        self.closed.iter().any(|closed| closed.as_ref() == name)
    }
}

/// What a run of messages needs.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// The shard that a Bind or a portal of before needs.
    pub(super) shard: Option<ShardId>,
    /// The shard that describes a statement, where nothing else says.
    describes: Option<ShardId>,
    pub(super) scatter: Option<Spread>,
    pub(super) explain: Option<Vec<String>>,
    binds: usize,
    executes: usize,
    limits_rows: bool,
    describes_statement: bool,
    /// A statement is described whose execution may need another shard.
    describes_sharded: bool,
    pub(super) writes: bool,
    pub(super) commands: Vec<(Command, Vec<u8>, crate::sql::transaction::Modes)>,
    changes_names: bool,
    others: bool,
    /// Describe of an EXPLAIN that Howdah answers.
    describes_explain: bool,
    /// Every statement bound may run in a transaction block.
    may_be_in_block: bool,
    pub(super) portals: Vec<(Box<[u8]>, ShardId)>,
    pub(super) warnings: Vec<SqlError>,
}

impl Needs {
    /// Whether there is nothing but COMMIT or ROLLBACK, which need no plan.
    fn only_ends_block(&self) -> bool {
        let ends = |(command, ..): &(Command, Vec<u8>, _)| matches!(command, Command::End { .. });
        !self.others
            && self.shard.is_none()
            && self.scatter.is_none()
            && self.explain.is_none()
            && !self.commands.is_empty()
            && self.commands.iter().all(ends)
    }
}

impl Client {
    /// Where the run of messages from `start` ends: behind Sync or Flush, or before a message that is
    /// no part of it. `None`: more has to come.
    pub(super) fn batch_end(&mut self, start: usize) -> Result<Option<usize>, SqlError> {
        let mut at = start;
        loop {
            let rest = self.input.get(at..).unwrap_or_default();
            let header = frame::header(rest).map_err(|bad| SqlError::protocol(bad.to_string()))?;
            let Some(header) = header else { return Ok(None) };
            let is_part = matches!(
                header.tag,
                frontend::PARSE
                    | frontend::BIND
                    | frontend::DESCRIBE
                    | frontend::EXECUTE
                    | frontend::CLOSE
                    | frontend::SYNC
                    | frontend::FLUSH
            );
            if !is_part && at > start {
                return Ok(Some(at));
            }
            if rest.len() < header.frame_len {
                self.wanted = at - start + header.frame_len;
                if self.wanted > self.service.limits.load().message_size_max {
                    return Err(SqlError::protocol(
                        "a pipeline without Sync is longer than a message may be",
                    ));
                }
                return Ok(None);
            }
            at += header.frame_len;
            if matches!(header.tag, frontend::SYNC | frontend::FLUSH) || !is_part {
                return Ok(Some(at));
            }
        }
    }

    pub(super) async fn routed_batch(&mut self, batch: Range<usize>) -> Result<(), End> {
        let frames = self.frames(batch.clone());
        let ends_with_sync = frames.last().is_some_and(|(tag, _)| *tag == frontend::SYNC);
        if self.session.is_skipping() {
            if ends_with_sync {
                self.session.set_skipping(false);
                if self.is_implicit() {
                    return self.end_failed_run().await;
                }
                write::ready_for_query(&mut self.out, self.session.status());
            }
            return Ok(());
        }
        if self.is_implicit() {
            return self.run_steps(&frames).await;
        }
        if let [(frontend::SYNC | frontend::FLUSH, _)] = frames.as_slice()
            && self.lease.is_none()
        {
            if ends_with_sync {
                write::ready_for_query(&mut self.out, self.session.status());
            }
            return Ok(());
        }
        let unplanned = match self.session.status() {
            TransactionStatus::Failed => None,
            TransactionStatus::Idle | TransactionStatus::InBlock => self.ensure_catalog().await?.err(),
        };
        let input = std::mem::take(&mut self.input);
        let needs = self.needs(&input, &frames);
        self.input = input;
        if let Some(error) = unplanned {
            return match needs {
                Ok(needs)
                    if needs.only_ends_block() && self.session.status() == TransactionStatus::InBlock =>
                {
                    self.run_batch(&frames, ends_with_sync, needs).await
                }
                _ => self.refuse_batch(&frames, error).await,
            };
        }
        let needs = match needs {
            Ok(needs) => needs,
            Err(error) if self.session.status() == TransactionStatus::Failed => {
                // Postgres says first that the block has failed.
                let _not_told = error;
                Needs::default()
            }
            Err(_) if frames.iter().filter(|(tag, _)| *tag == frontend::BIND).count() > 1 => {
                return self.run_steps(&frames).await;
            }
            Err(error) => {
                let error = self.wait_for_rules(error).await?;
                return self.refuse_batch(&frames, error).await;
            }
        };
        if self.needs_steps(&needs, ends_with_sync)? {
            return self.run_steps(&frames).await;
        }
        self.run_batch(&frames, ends_with_sync, needs).await
    }

    /// Whether the messages do not go to one shard, or none, as they are.
    fn needs_steps(&mut self, needs: &Needs, ends_with_sync: bool) -> Result<bool, End> {
        let status = self.session.status();
        if status == TransactionStatus::Failed {
            return Ok(false);
        }
        if needs.scatter.is_some() || needs.explain.is_some() || needs.describes_explain {
            let is_alone = needs.binds <= 1
                && needs.shard.is_none()
                && needs.commands.is_empty()
                && !needs.others
                && !needs.describes_statement;
            return Ok(!is_alone || needs.limits_rows || !ends_with_sync);
        }
        let ends = needs
            .commands
            .iter()
            .any(|(command, ..)| matches!(command, Command::End { .. } | Command::Prepare));
        if ends && status == TransactionStatus::InBlock && needs.binds > 1 {
            return Ok(true);
        }
        let has = |wanted| needs.commands.iter().any(|(command, ..)| *command == wanted);
        if status == TransactionStatus::InBlock && has(Command::Everywhere) && needs.binds > 1 {
            return Ok(true);
        }
        if status == TransactionStatus::Idle && has(Command::Begin) && has(Command::Everywhere) {
            // Shards that join the block later have to be told.
            return Ok(true);
        }
        // What follows behind a Flush may need another shard.
        let may_need_another = match status {
            TransactionStatus::Idle => needs.executes > 0 || needs.describes_sharded,
            _ => needs.executes == 0 && needs.describes_sharded,
        };
        Ok(!ends_with_sync
            && may_need_another
            && needs.may_be_in_block
            && needs.commands.is_empty()
            && self.is_between_messages())
    }

    async fn run_batch(&mut self, frames: &[Frame], ends_with_sync: bool, needs: Needs) -> Result<(), End> {
        for warning in &needs.warnings {
            self.warn(warning);
        }
        if needs.scatter.is_some() || needs.explain.is_some() {
            if self.session.status() == TransactionStatus::Failed {
                return self.send_batch(frames, None).await;
            }
            if !self.is_between_messages() {
                return self.refuse_batch(frames, several_without_sync()).await;
            }
            return self.answer_over_shards(frames, &needs).await;
        }
        let status = self.session.status();
        let ends = needs
            .commands
            .iter()
            .find(|(command, _, _)| matches!(command, Command::End { .. } | Command::Prepare));
        let only_commands = !needs.others && needs.shard.is_none();
        if let (Some((command, _, _)), true) = (ends, status != TransactionStatus::Idle) {
            return self.end_block_by_batch(frames, *command, &needs).await;
        }
        let begins = needs.commands.iter().find(|(command, _, _)| *command == Command::Begin);
        if let (Some((_, text, modes)), TransactionStatus::Idle) = (begins, status) {
            if only_commands && needs.commands.len() == 1 && ends_with_sync {
                let (text, modes) = (text.clone(), *modes);
                self.open_block(&text, &modes)?;
                return self.answer_alone(frames, begin_tag(&text));
            }
            let replay = needs.commands.iter().filter(|(command, ..)| *command == Command::Everywhere);
            let replay = replay.map(|(_, text, _)| text.clone());
            self.routed()?.block = Some(Block::new(text, modes).with_replay(replay));
        }
        if needs.writes {
            let shard = needs.shard.map_or_else(|| self.current_or_home(), Ok)?;
            if let Err(error) = self.note_write(shard)? {
                return self.refuse_batch(frames, error).await;
            }
        }
        for (command, _, modes) in &needs.commands {
            if *command == Command::Everywhere
                && let Err(error) = self.note_modes(modes)?
            {
                return self.refuse_batch(frames, error).await;
            }
        }
        let shard = needs.shard.or(if self.lease.is_some() { None } else { needs.describes });
        self.send_batch(frames, shard).await?;
        for (portal, shard) in needs.portals {
            self.routed()?.portals.insert(portal, shard);
        }
        let everywhere: Vec<Vec<u8>> = needs
            .commands
            .into_iter()
            .filter(|(command, _, _)| *command == Command::Everywhere)
            .map(|(_, text, _)| text)
            .collect();
        if status == TransactionStatus::InBlock && !everywhere.is_empty() {
            self.wait_quiet_keeping().await?;
            let followed = self
                .lease
                .as_mut()
                .and_then(|lease| lease.connection())
                .is_some_and(|connection| connection.state.stands_in_block());
            for sql in everywhere.into_iter().filter(|_| followed) {
                self.run_on_parked(&sql).await?;
            }
        }
        Ok(())
    }

    pub(super) fn frames(&self, batch: Range<usize>) -> Vec<Frame> {
        let mut at = batch.start;
        let mut list = Vec::new();
        while at < batch.end {
            let Ok(Some(header)) = frame::header(self.input.get(at..batch.end).unwrap_or_default()) else {
                break;
            };
            list.push((header.tag, at..at + header.frame_len));
            at += header.frame_len;
        }
        list
    }

    pub(super) fn body(&self, frame: &Range<usize>) -> Vec<u8> {
        self.input.get(frame.start + HEADER_LEN..frame.end).unwrap_or_default().to_vec()
    }

    /// Plans what is parsed, and binds what is bound.
    fn needs(&mut self, input: &[u8], frames: &[Frame]) -> Result<Needs, SqlError> {
        let mut needs = Needs { may_be_in_block: true, ..Needs::default() };
        let mut portals: Vec<BoundPortal> = Vec::new();
        let mut fresh = Fresh::default();
        for (tag, frame) in frames {
            let body = input.get(frame.start + HEADER_LEN..frame.end).unwrap_or_default();
            let mut reader = Reader::new(body);
            // Malformed ones go on to a server, which says how.
            match *tag {
                frontend::PARSE => {
                    let _malformed = self.note_parse(&mut reader, &mut fresh)?;
                }
                frontend::BIND => {
                    needs.binds += 1;
                    let (Ok(portal), Ok(name)) = (reader.cstr(), reader.cstr()) else { continue };
                    let statement = self.planned_statement(name, &fresh)?;
                    portals.push((portal.into(), statement.clone()));
                    if let Some(statement) = statement {
                        self.note_bind(&statement, &mut reader, portal, &mut needs)?;
                    } else {
                        needs.others = true;
                    }
                }
                frontend::DESCRIBE => {
                    let (Ok(kind), Ok(name)) = (reader.u8(), reader.cstr()) else { continue };
                    if kind == b'S' {
                        needs.describes_statement = true;
                        if let Some(statement) = self.planned_statement(name, &fresh)? {
                            if let Route::Refused(error) = &statement.planned.route {
                                return Err(SqlError::clone(error));
                            }
                            needs.describes_sharded |= matches!(statement.planned.route, Route::Sharded(_));
                            needs.describes_explain |= matches!(statement.planned.route, Route::Explain(_));
                            let rules = self.routed.as_deref().map(|routed| Arc::clone(&routed.router));
                            needs.describes =
                                rules.and_then(|router| statement.planned.describe_shard(router.rules()));
                        }
                    } else {
                        self.note_portal(name, &portals, &mut needs);
                    }
                }
                frontend::EXECUTE => {
                    needs.executes += 1;
                    let (Ok(portal), Ok(limit)) = (reader.cstr(), reader.i32()) else { continue };
                    needs.limits_rows |= limit != 0;
                    self.note_portal(portal, &portals, &mut needs);
                }
                frontend::CLOSE => {
                    if let (Ok(b'S'), Ok(name)) = (reader.u8(), reader.cstr()) {
                        fresh.close(name);
                    }
                }
                _ => {}
            }
        }
        if needs.changes_names && needs.binds > 1 {
            return Err(names_change());
        }
        Ok(needs)
    }

    /// The plan of the statement that a name stands for: as the messages at hand make it, else as the
    /// session has it. `None`: there is none, as a server will say.
    pub(super) fn planned_statement(
        &mut self,
        name: &[u8],
        fresh: &Fresh,
    ) -> Result<Option<Arc<PlannedStatement>>, SqlError> {
        if fresh.parsed.iter().any(|parsed| parsed.as_ref() == name) {
            return Ok(self.known_statement(name));
        }
        let Some(statement) = self.session.prepared(name).filter(|_| !fresh.is_closed(name)) else {
            return Ok(None);
        };
        let is_sql = statement.origin == Origin::Sql;
        let known = self.known_statement(name).filter(|known| known.source == statement.sql);
        if known.is_some() {
            return Ok(known);
        }
        let (sql, types) = (statement.sql.clone(), declared_types(&mut Reader::new(&statement.tail)));
        let mut planned = self.plan_prepared(&sql, types)?;
        if is_sql && let Some(scanned) = &mut planned.scanned {
            // The whole PREPARE is planned, and what is bound is what it prepared: that does what EXECUTE does.
            scanned.kind = SqlKind::Execute;
        }
        let planned = Arc::new(planned);
        if let Some(routed) = self.routed.as_deref_mut() {
            routed.statements.insert(name.into(), Arc::clone(&planned));
        }
        Ok(Some(planned))
    }

    fn known_statement(&self, name: &[u8]) -> Option<Arc<PlannedStatement>> {
        self.routed.as_deref()?.statements.get(name).cloned()
    }

    /// A portal of an earlier run of messages is where it was made.
    fn note_portal(&self, portal: &[u8], bound: &[BoundPortal], needs: &mut Needs) {
        if bound.iter().any(|(known, _)| known.as_ref() == portal) {
            return;
        }
        needs.others = true;
        if let Some(shard) = self.routed.as_deref().and_then(|routed| routed.portals.get(portal)) {
            needs.shard = Some(*shard);
        }
    }

    pub(super) fn note_parse(
        &mut self,
        reader: &mut Reader<'_>,
        fresh: &mut Fresh,
    ) -> Result<Result<(), Malformed>, SqlError> {
        let (Ok(name), Ok(sql)) = (reader.cstr(), reader.cstr()) else { return Ok(Err(Malformed)) };
        let types = declared_types(reader);
        if !name.is_empty() && self.session.has_statement(name) && !fresh.is_closed(name) {
            // Postgres refuses a name that is taken, and the statement of that name stays.
            return Ok(Ok(()));
        }
        fresh.parsed.push(name.into());
        if self.known_statement(name).is_some_and(|known| self.is_same(&known, sql, &types)) {
            return Ok(Ok(()));
        }
        let statement = self.plan_prepared(sql, types)?;
        if let Some(routed) = self.routed.as_deref_mut() {
            routed.statements.insert(name.into(), Arc::new(statement));
        }
        Ok(Ok(()))
    }

    /// Whether a Parse is of a statement that is planned already.
    fn is_same(&self, known: &PlannedStatement, sql: &[u8], types: &[u32]) -> bool {
        let version = self.routed.as_deref().map_or(0, |routed| routed.router.version());
        known.version == version
            && known.source.as_ref() == sql
            && known.types == types
            && Arc::ptr_eq(&known.settings, self.session.settings())
    }

    fn plan_prepared(&mut self, sql: &[u8], types: Vec<u32>) -> Result<PlannedStatement, SqlError> {
        let scs = self.session.parameters().standard_conforming_strings();
        let Some(routed) = self.routed.as_deref_mut() else {
            return Err(SqlError::new(crate::sqlstate::INTERNAL_ERROR, "the client is not routed"));
        };
        let mut lifted = std::mem::take(&mut routed.lifted);
        let router = Arc::clone(&routed.router);
        let text = trimmed(sql, scs);
        let planned = router.plan(text, self.session.settings(), scs, &mut lifted);
        let literals = lifted.literals.iter().map(|literal| literal.start..literal.end).collect();
        if let Some(routed) = self.routed.as_deref_mut() {
            routed.lifted = lifted;
        }
        let (planned, version) = planned?;
        if let Route::Refused(error) = &planned.route {
            // Known as what it is: a transaction command is no affair of the planner's.
            let first = first_statement(text, scs);
            if !first.is_some_and(|one| self.aim_is_command(&one, text, scs)) {
                return Err(SqlError::clone(error));
            }
        }
        Ok(PlannedStatement {
            planned,
            sql: text.into(),
            literals,
            types,
            version,
            settings: Arc::clone(self.session.settings()),
            scanned: first_statement(text, scs),
            source: sql.into(),
        })
    }

    fn aim_is_command(&mut self, one: &Scanned, text: &[u8], scs: bool) -> bool {
        self.aim(one.text(text), one, scs).is_ok_and(|aimed| matches!(aimed.target, Target::Any))
    }

    pub(super) fn note_bind(
        &mut self,
        statement: &Arc<PlannedStatement>,
        reader: &mut Reader<'_>,
        portal: &[u8],
        needs: &mut Needs,
    ) -> Result<(), SqlError> {
        let scs = self.session.parameters().standard_conforming_strings();
        let Some(scanned) = statement.scanned else {
            needs.others = true;
            return Ok(());
        };
        let statement = self.replanned(statement)?;
        let aimed = self.aim_prepared(&statement, &scanned, reader, scs)?;
        needs.changes_names |= aimed.changes_names;
        needs.may_be_in_block &= matches!(
            scanned.kind,
            SqlKind::Select
                | SqlKind::Values
                | SqlKind::Insert
                | SqlKind::Update
                | SqlKind::Delete
                | SqlKind::With
        );
        needs.writes |= aimed.writes;
        needs.warnings.extend(aimed.warning.map(|warning| *warning));
        let command = if aimed.is_local_setting { Command::Everywhere } else { aimed.command };
        if command != Command::Plain {
            needs.commands.push((command, statement.sql.to_vec(), aimed.modes));
        }
        match aimed.target {
            Target::Any => needs.others |= command == Command::Plain,
            Target::Shard(shard) => {
                if needs.shard.is_some_and(|other| other != shard) || needs.scatter.is_some() {
                    return Err(several_targets());
                }
                needs.shard = Some(shard);
                needs.portals.push((portal.into(), shard));
            }
            Target::Scatter(scatter) => {
                if needs.shard.is_some() || needs.scatter.is_some() {
                    return Err(several_targets());
                }
                needs.scatter = Some(scatter);
            }
            Target::Explain(rows) => needs.explain = Some(rows),
        }
        Ok(())
    }

    /// The statement planned against the schema of now.
    fn replanned(&mut self, statement: &Arc<PlannedStatement>) -> Result<Arc<PlannedStatement>, SqlError> {
        let version = self.routed.as_deref().map_or(0, |routed| routed.router.version());
        if statement.version == version && Arc::ptr_eq(&statement.settings, self.session.settings()) {
            return Ok(Arc::clone(statement));
        }
        let planned = self.plan_prepared(&statement.source, statement.types.clone())?;
        Ok(Arc::new(PlannedStatement { scanned: statement.scanned, ..planned }))
    }

    fn aim_prepared(
        &mut self,
        statement: &PlannedStatement,
        scanned: &Scanned,
        reader: &Reader<'_>,
        scs: bool,
    ) -> Result<Aimed, SqlError> {
        let text = scanned.text(&statement.sql);
        let mut aimed = match &statement.planned.route {
            // Without a plan: what it is decides, and what is planned is bound below.
            Route::Refused(_) => return self.aim(text, scanned, scs),
            _ => self.command_of(text, scanned, scs)?,
        };
        if aimed.command != Command::Plain || super::simple::is_session_command(scanned.kind) {
            return Ok(aimed);
        }
        let mut reader = *reader;
        let Ok((formats, values)) = bind_values(&mut reader) else { return Ok(aimed) };
        let Some(router) = self.routed.as_deref().map(|routed| Arc::clone(&routed.router)) else {
            return Ok(aimed);
        };
        let bindings = Bindings { statement, formats, values };
        aimed.warning.clone_from(&statement.planned.warning);
        aimed.target = target_of(&statement.planned, &bindings, router.rules())?;
        Ok(aimed)
    }

    /// Sends the messages as they are to one shard; `None` is the one in use, or home.
    async fn send_batch(&mut self, frames: &[Frame], shard: Option<ShardId>) -> Result<(), End> {
        let shard = match shard {
            Some(shard) => shard,
            None => self.current_or_home()?,
        };
        if let Err(error) = self.use_shard(shard).await? {
            return self.refuse_batch(frames, error).await;
        }
        self.send_to_used(frames).await
    }

    async fn send_to_used(&mut self, frames: &[Frame]) -> Result<(), End> {
        if let (Some((_, first)), Some((_, last))) = (frames.first(), frames.last()) {
            self.forward_in_turn(first.start..last.end).await?;
        }
        self.forget_closed(frames);
        Ok(())
    }

    pub(super) fn forget_closed(&mut self, frames: &[Frame]) {
        for (_, frame) in frames.iter().filter(|(tag, _)| *tag == frontend::CLOSE) {
            let body = self.body(frame);
            let mut reader = Reader::new(&body);
            if let (Ok(b'S'), Ok(name)) = (reader.u8(), reader.cstr())
                && let Some(routed) = self.routed.as_deref_mut()
            {
                routed.statements.remove(name);
            }
        }
    }

    /// Answers the messages with an error, as Postgres answers those from the failing one to Sync.
    pub(super) async fn refuse_batch(&mut self, frames: &[Frame], error: SqlError) -> Result<(), End> {
        let sync = frames.iter().find(|(tag, _)| *tag == frontend::SYNC).map(|(_, frame)| frame.clone());
        if self.session.status() == TransactionStatus::Idle && !self.is_in_block() {
            self.release_all();
            self.note_stop();
            write::error_response(&mut self.out, &error);
            match sync {
                Some(_) => write::ready_for_query(&mut self.out, self.session.status()),
                None => self.session.set_skipping(true),
            }
            return Ok(());
        }
        if !self.use_any_of_block()? {
            let home = self.routed()?.home();
            if let Err(failed) = self.use_shard_unplanned(home).await? {
                self.session.set_status(TransactionStatus::Failed);
                write::error_response(&mut self.out, &failed);
                match sync {
                    Some(_) => write::ready_for_query(&mut self.out, self.session.status()),
                    None => self.session.set_skipping(true),
                }
                return Ok(());
            }
        }
        if let Some(connection) = self.lease.as_mut().and_then(|lease| lease.connection()) {
            Session::fail(&mut connection.state, false, error, &mut connection.out);
        }
        if let Some(sync) = sync {
            self.forward_in_turn(sync).await?;
        }
        Ok(())
    }

    /// COMMIT or ROLLBACK among the messages of an open block.
    async fn end_block_by_batch(
        &mut self,
        frames: &[Frame],
        command: Command,
        needs: &Needs,
    ) -> Result<(), End> {
        let (is_commit, chains) = match command {
            Command::End { is_commit, chains } => (is_commit, chains),
            _ => (false, false),
        };
        if command == Command::Prepare
            && self.session.status() == TransactionStatus::InBlock
            && let Err(error) = self.may_prepare()?
        {
            return self.refuse_batch(frames, error).await;
        }
        let next = self.routed()?.block.as_ref().filter(|_| chains).map(Block::chained);
        if command != Command::Prepare
            && self.session.status() == TransactionStatus::InBlock
            && needs.shard.is_none()
            && !needs.others
            && !self.use_any_of_block()?
        {
            let status = if chains { TransactionStatus::InBlock } else { TransactionStatus::Idle };
            self.session.set_status(status);
            self.routed()?.block = next;
            self.session.tracker_mut().commit();
            return self.answer_alone(frames, if is_commit { "COMMIT" } else { "ROLLBACK" });
        }
        let wrote = self.routed()?.block.as_ref().and_then(|block| block.wrote);
        let shard = needs.shard.or(wrote);
        if needs.writes && wrote.is_none() {
            let shard = shard.map_or_else(|| self.current_or_home(), Ok)?;
            if let Err(error) = self.note_write(shard)? {
                return self.refuse_batch(frames, error).await;
            }
        }
        let shard = shard.map_or_else(|| self.current_or_home(), Ok)?;
        let used = if needs.only_ends_block() {
            self.use_shard_unplanned(shard).await?
        } else {
            self.use_shard(shard).await?
        };
        if let Err(error) = used {
            return self.refuse_batch(frames, error).await;
        }
        self.send_to_used(frames).await?;
        if self.routed()?.parked.is_empty() && !chains {
            return Ok(());
        }
        self.end_others(is_commit, next).await
    }

    /// Answers the messages of a statement without rows that no server is asked to run.
    fn answer_alone(&mut self, frames: &[Frame], tag: &str) -> Result<(), End> {
        self.adopt(frames);
        for (message, frame) in frames {
            let is_statement = self.body(frame).first() == Some(&b'S');
            match *message {
                frontend::PARSE => write::message(&mut self.out, backend::PARSE_COMPLETE, |_| ()),
                frontend::BIND => write::message(&mut self.out, backend::BIND_COMPLETE, |_| ()),
                frontend::CLOSE => write::message(&mut self.out, backend::CLOSE_COMPLETE, |_| ()),
                frontend::DESCRIBE => {
                    if is_statement {
                        write::message(&mut self.out, backend::PARAMETER_DESCRIPTION, |b| {
                            b.extend_from_slice(&[0, 0]);
                        });
                    }
                    write::message(&mut self.out, backend::NO_DATA, |_| ());
                }
                frontend::EXECUTE => write::command_complete(&mut self.out, tag),
                frontend::SYNC => write::ready_for_query(&mut self.out, self.session.status()),
                _ => {}
            }
        }
        self.forget_closed(frames);
        Ok(())
    }

    /// The session knows the statements of the messages, though no server was sent them.
    pub(super) fn adopt(&mut self, frames: &[Frame]) {
        let Client { input, session, service, database, .. } = self;
        let hidden = database.hidden();
        for (tag, frame) in frames {
            let bytes = input.get(frame.clone()).unwrap_or_default();
            match *tag {
                frontend::PARSE => with_scratch(|scratch| {
                    let mut tools = Tools {
                        shared: &service.shared,
                        scanned: &mut scratch.scanned,
                        hidden: &hidden,
                        prepared_statements_max: database.prepared_statements_max,
                    };
                    session.adopt(bytes, &mut tools);
                }),
                frontend::CLOSE => {
                    let mut reader = Reader::new(bytes.get(HEADER_LEN..).unwrap_or_default());
                    if let (Ok(b'S'), Ok(name)) = (reader.u8(), reader.cstr()) {
                        session.forget(name);
                    }
                }
                _ => {}
            }
        }
    }

    /// One statement whose answer comes from all shards, or from Howdah.
    async fn answer_over_shards(&mut self, frames: &[Frame], needs: &Needs) -> Result<(), End> {
        self.routed()?.is_untouched = false;
        self.adopt(frames);
        let mut wants = Describe::No;
        let mut failed = false;
        let mut bound: Option<Ask> = None;
        for (tag, frame) in frames {
            if failed && *tag != frontend::SYNC {
                continue;
            }
            match *tag {
                frontend::PARSE => write::message(&mut self.out, backend::PARSE_COMPLETE, |_| ()),
                frontend::BIND => {
                    bound = self.own_bind(frame);
                    write::message(&mut self.out, backend::BIND_COMPLETE, |_| ());
                }
                frontend::DESCRIBE => wants = Describe::Yes,
                frontend::CLOSE => write::message(&mut self.out, backend::CLOSE_COMPLETE, |_| ()),
                frontend::EXECUTE => {
                    if let Some(rows) = &needs.explain {
                        if wants == Describe::Yes {
                            explain_description(&mut self.out);
                        }
                        explain_rows(&mut self.out, rows);
                    } else if let (Some(scatter), Some(bound)) = (&needs.scatter, &bound) {
                        failed = self.scatter_bound(bound, scatter, wants).await?;
                    }
                }
                frontend::SYNC => write::ready_for_query(&mut self.out, self.session.status()),
                _ => {}
            }
        }
        self.forget_closed(frames);
        Ok(())
    }

    pub(super) async fn scatter_bound(
        &mut self,
        bound: &Ask,
        scatter: &Spread,
        wants: Describe,
    ) -> Result<bool, End> {
        let outcome = self.scatter(bound, scatter, wants).await?;
        self.finish_scatter(outcome, frontend::EXECUTE)
    }

    /// The statement that a Bind names, with the values that it binds.
    pub(super) fn own_bind(&self, frame: &Range<usize>) -> Option<Ask> {
        let body = self.body(frame);
        let mut reader = Reader::new(&body);
        let _portal = reader.cstr().ok()?;
        let statement = self.known_statement(reader.cstr().ok()?)?;
        let (sql, types) = (statement.sql.clone(), statement.types.clone());
        Some(Ask::Bound { sql, types, bind: reader.rest().to_vec() })
    }
}

/// The parameter types that a Parse declares.
fn declared_types(reader: &mut Reader<'_>) -> Vec<u32> {
    let count = reader.i16().unwrap_or(0);
    (0..count).map_while(|_| reader.u32().ok()).collect()
}

/// Whether a Parse declares exactly these parameter types.
pub(super) fn declares(reader: &Reader<'_>, types: &[u32]) -> bool {
    let mut reader = *reader;
    reader.i16().is_ok_and(|count| usize::try_from(count) == Ok(types.len()))
        && types.iter().all(|oid| reader.u32() == Ok(*oid))
}

fn several_targets() -> SqlError {
    SqlError::refused(
        "a pipeline whose statements need several shards is not supported yet",
        "Send a Sync after each statement.",
    )
}

/// The formats and values of a Bind message, behind its names.
pub(super) fn bind_values<'a>(reader: &mut Reader<'a>) -> Result<BindValues<'a>, Malformed> {
    let mut formats = SmallVec::new();
    for _ in 0..reader.i16()? {
        formats.push(reader.i16()?);
    }
    let mut values = SmallVec::new();
    for _ in 0..reader.i16()? {
        let len = reader.i32()?;
        values.push(match usize::try_from(len) {
            Ok(len) => Some(reader.bytes(len)?),
            Err(_) => None,
        });
    }
    Ok((formats, values))
}

fn first_statement(sql: &[u8], scs: bool) -> Option<Scanned> {
    with_scratch(|scratch| {
        scan(sql, scs, &mut scratch.scanned);
        scratch.scanned.first().copied()
    })
}

/// A statement's text without what follows it: an extended-protocol text may end in a semicolon.
fn trimmed(sql: &[u8], scs: bool) -> &[u8] {
    with_scratch(|scratch| {
        scan(sql, scs, &mut scratch.scanned);
        match scratch.scanned.as_slice() {
            [one] => sql.get(one.start..one.end).unwrap_or(sql),
            _ => sql,
        }
    })
}
