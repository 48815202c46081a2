//! Simple queries of a routed client.

use super::super::client::{Client, End};
use super::super::relay::{Event, with_scratch};
use super::block::{Block, Command, command};
use super::implicit::writes_are_gone;
use super::scatter::{Ask, Describe, Spread};
use super::several::copy_among;
use super::several_without_sync;
use crate::backend::ServerConnection;
use crate::error::SqlError;
use crate::exec::{Literals, Memo, Spanned};
use crate::ids::ShardId;
use crate::plan::{Bound, Planned, Values, bind, explain};
use crate::protocol::frame::HEADER_LEN;
use crate::protocol::{TransactionStatus, frontend, write};
use crate::rules::Rules;
use crate::session::expected::{Expected, OnError};
use crate::session::query_text;
use crate::session::server_state::Copy;
use crate::sql::cost_settings::sets_only_costs;
use crate::sql::scan::Statement as Scanned;
use crate::sql::settings::{ConfigValue, parse_set_config};
use crate::sql::transaction::{Modes, begin_tag};
use crate::sql::{Effects, Kind, scan};
use std::future::poll_fn;
use std::ops::Range;
use std::sync::Arc;
use std::task::Poll;

/// Where one statement goes.
#[derive(Debug)]
pub(super) enum Target {
    /// Any shard will do: the one in use, or the home shard.
    Any,
    /// This shard.
    Shard(ShardId),
    /// Several.
    Scatter(Spread),
    /// Howdah answers.
    Explain(Vec<String>),
}

/// A statement of a message, with where it goes.
#[derive(Debug)]
pub(super) struct Aimed {
    pub(super) target: Target,
    pub(super) command: Command,
    pub(super) modes: Modes,
    pub(super) writes: bool,
    pub(super) is_local_setting: bool,
    /// Names may mean other tables after it.
    pub(super) changes_names: bool,
    /// What the client is told when its turn comes.
    pub(super) warning: Option<Box<SqlError>>,
}

impl Client {
    pub(super) async fn routed_query(&mut self, frame: Range<usize>) -> Result<(), End> {
        if let Err(error) = self.ensure_catalog().await?
            && !self.ends_block(&frame)
        {
            return self.refuse(frontend::QUERY, &error).await;
        }
        if self.session.status() != TransactionStatus::Failed
            && !self.is_implicit()
            && let Some(mut one) = self.aim_by_memo(&frame)
        {
            return match one {
                Ok(ref mut one) => self.run_one(frame, b"", one).await,
                Err(error) => self.refuse(frontend::QUERY, &error).await,
            };
        }
        let body = self.input.get(frame.start + HEADER_LEN..frame.end).unwrap_or_default();
        let end = memchr::memchr(0, body).unwrap_or(body.len());
        let sql: Vec<u8> = body.get(..end).unwrap_or_default().to_vec();
        let scs = self.session.parameters().standard_conforming_strings();
        let statements: Vec<Scanned> = with_scratch(|scratch| {
            scan(&sql, scs, &mut scratch.scanned);
            scratch.scanned.to_vec()
        });
        if self.is_implicit() {
            // It ends the messages before it, and their transaction, as Sync does.
            return self.run_several(&sql, &statements).await;
        }
        if self.session.status() == TransactionStatus::Failed {
            return self.in_failed_block(frame, &sql, &statements).await;
        }
        let mut aimed = Vec::new();
        for statement in &statements {
            match self.aim(statement.text(&sql), statement, scs) {
                Ok(one) => aimed.push(one),
                Err(_) if statements.len() > 1 => return self.run_several(&sql, &statements).await,
                Err(error) => return self.refuse(frontend::QUERY, &error).await,
            }
        }
        match aimed.as_mut_slice() {
            [] => {
                let shard = self.current_or_home()?;
                self.send_to(frame, shard).await
            }
            [one] => self.run_one(frame, &sql, one).await,
            many => match self.one_shard(many)? {
                Some(shard) => {
                    if many.iter().any(|one| one.writes)
                        && let Err(error) = self.note_write(shard)?
                    {
                        return self.refuse(frontend::QUERY, &error).await;
                    }
                    for warning in many.iter_mut().filter_map(|one| one.warning.take()) {
                        self.warn(&warning);
                    }
                    self.send_to(frame, shard).await
                }
                None => self.run_several(&sql, &statements).await,
            },
        }
    }

    /// Whether the query is one statement that ends the open block: it needs no plan.
    fn ends_block(&self, frame: &Range<usize>) -> bool {
        let sql = query_text(self.input.get(frame.clone()).unwrap_or_default());
        let scs = self.session.parameters().standard_conforming_strings();
        let is_end = |text: &[u8]| matches!(command(text, scs).0, Command::End { .. });
        self.session.status() != TransactionStatus::Idle
            && with_scratch(|scratch| {
                scan(sql, scs, &mut scratch.scanned);
                matches!(scratch.scanned.as_slice(), [one] if is_end(one.text(sql)))
            })
    }

    /// The shard that a whole message of several statements may go to as it is.
    fn one_shard(&mut self, many: &[Aimed]) -> Result<Option<ShardId>, End> {
        let Some(shard) = one_shard(many) else { return Ok(None) };
        let commands = many.iter().any(|one| one.command != Command::Plain || one.is_local_setting);
        let changes = many.iter().any(|one| one.changes_names);
        let shard = shard.unwrap_or(self.current_or_home()?);
        Ok((!changes && !commands).then_some(shard))
    }

    /// The query's aim, where it is the last one but for numbers.
    fn aim_by_memo(&self, frame: &Range<usize>) -> Option<Result<Aimed, SqlError>> {
        let routed = self.routed.as_deref()?;
        let (memo, sql, spans) = self.repeated_query(frame, routed.router.version())?;
        let values = Spanned { sql, spans: &spans };
        let target = target_of(&memo.planned, &values, routed.router.rules());
        Some(target.map(|target| Aimed {
            target,
            command: Command::Plain,
            modes: Modes::default(),
            writes: writes(&memo.scanned),
            is_local_setting: false,
            changes_names: false,
            warning: None,
        }))
    }

    /// The shard in use, or else the home shard.
    pub(super) fn current_or_home(&mut self) -> Result<ShardId, End> {
        let in_use = self.lease.is_some();
        let routed = self.routed()?;
        Ok(if in_use { routed.current } else { routed.home() })
    }

    /// What a statement is, before it is planned.
    pub(super) fn command_of(&self, text: &[u8], statement: &Scanned, scs: bool) -> Result<Aimed, SqlError> {
        let (command, modes) = match statement.kind {
            Kind::Begin
            | Kind::Commit
            | Kind::Rollback
            | Kind::Savepoint
            | Kind::Release
            | Kind::RollbackTo
            | Kind::SetTransaction
            | Kind::PrepareTransaction => command(text, scs),
            _ => (Command::Plain, Modes::default()),
        };
        let mut one = Aimed {
            target: Target::Any,
            command,
            modes,
            writes: writes(statement),
            is_local_setting: statement.kind == Kind::SetLocal || statement.kind == Kind::SetConstraints,
            changes_names: changes_names(text, statement),
            warning: None,
        };
        if one.command == Command::Refused {
            return Err(SqlError::refused(
                "SET TRANSACTION SNAPSHOT is not supported with several shards",
                "A snapshot is one server's: ask that server itself.",
            ));
        }
        if statement.kind == Kind::SetLocal && one.changes_names {
            return Err(SqlError::refused(
                "SET LOCAL of search_path or of the role is not supported yet with several shards",
                "Use SET, or name the schemas in the statements.",
            ));
        }
        if statement.effects.contains(Effects::SET_CONFIG) {
            let calls = parse_set_config(text, scs);
            if calls.is_none() && sets_only_costs(text, scs) {
                // No other shard has to know.
                one.target = Target::Shard(self.database.rules.home());
            } else if !calls.is_some_and(|calls| calls.iter().all(|call| call.value != ConfigValue::Local)) {
                return Err(SqlError::refused(
                    "set_config for a transaction, or with computed arguments, is not supported yet with several shards",
                    "Use SET or SET LOCAL, or set_config with constants for the session.",
                ));
            }
        }
        if statement.effects.contains(Effects::UPDATES_SETTINGS) {
            return Err(SqlError::refused(
                "UPDATE of pg_settings is not supported yet with several shards",
                "Use SET.",
            ));
        }
        if is_of_home(statement.kind) || one.command == Command::Prepare {
            one.target = Target::Shard(self.database.rules.home());
        }
        Ok(one)
    }

    /// Plans and binds one statement.
    pub(super) fn aim(&mut self, text: &[u8], statement: &Scanned, scs: bool) -> Result<Aimed, SqlError> {
        let mut one = self.command_of(text, statement, scs)?;
        if one.command != Command::Plain || is_session_command(statement.kind) {
            return Ok(one);
        }
        let mut lifted =
            self.routed.as_deref_mut().map(|routed| std::mem::take(&mut routed.lifted)).unwrap_or_default();
        let router = self.routed.as_deref().map(|routed| Arc::clone(&routed.router));
        let Some(router) = router else { return Ok(one) };
        let planned = router.plan(text, self.session.settings(), scs, &mut lifted);
        if let (Ok(planned), Some(routed)) = (&planned, self.routed.as_deref_mut()) {
            let settings = self.session.settings();
            routed.memo = Memo::new(text, *statement, &lifted, planned.clone(), settings);
        }
        if let Ok((planned, _)) = &planned {
            one.warning.clone_from(&planned.warning);
        }
        let result = planned.and_then(|(planned, _)| {
            let values = Literals { sql: text, lifted: &lifted };
            target_of(&planned, &values, router.rules())
        });
        if let Some(routed) = self.routed.as_deref_mut() {
            routed.lifted = lifted;
        }
        one.target = result?;
        Ok(one)
    }

    async fn run_one(&mut self, frame: Range<usize>, sql: &[u8], one: &mut Aimed) -> Result<(), End> {
        if let Some(warning) = one.warning.take() {
            self.warn(&warning);
        }
        match one.command {
            Command::Begin
                if self.session.status() == TransactionStatus::Idle && !self.is_between_messages() =>
            {
                // Messages without Sync went before: the transaction that they began becomes the block, there.
                let current = self.current_or_home()?;
                self.routed()?.block = Some(Block::new(sql, &one.modes).with_joined(current));
                return self.send_to(frame, current).await;
            }
            Command::Begin if self.session.status() == TransactionStatus::Idle => {
                self.open_block(sql, &one.modes)?;
                self.tell_complete(begin_tag(sql));
                return Ok(());
            }
            Command::End { is_commit, chains } if self.session.status() != TransactionStatus::Idle => {
                return self.end_block(frame, is_commit, chains).await;
            }
            Command::Prepare => return self.prepare_block(frame).await,
            Command::Everywhere if self.session.status() != TransactionStatus::Idle => {
                if let Err(error) = self.note_modes(&one.modes)? {
                    return self.refuse(frontend::QUERY, &error).await;
                }
                return self.everywhere(frame, sql).await;
            }
            _ => {}
        }
        if one.is_local_setting && self.session.status() != TransactionStatus::Idle {
            return self.everywhere(frame, sql).await;
        }
        match std::mem::replace(&mut one.target, Target::Any) {
            Target::Any => {
                let shard = self.current_or_home()?;
                self.send_to(frame, shard).await
            }
            Target::Shard(shard) => {
                if one.writes
                    && let Err(error) = self.note_write(shard)?
                {
                    return self.refuse(frontend::QUERY, &error).await;
                }
                self.send_to(frame, shard).await
            }
            Target::Scatter(_) if !self.is_between_messages() => {
                self.refuse(frontend::QUERY, &several_without_sync()).await
            }
            Target::Scatter(spread) => {
                let ask = Ask::Query(query_text(self.input.get(frame).unwrap_or_default()).into());
                if spread.scatter.writes && self.is_outside() {
                    return self.run_in_one_transaction(&ask, &spread).await;
                }
                self.run_scatter(&ask, &spread, true, Describe::Yes).await
            }
            Target::Explain(rows) => {
                self.tell_explain(&rows);
                Ok(())
            }
        }
    }

    /// A statement that writes on several shards is a transaction of its own: all of them or none.
    async fn run_in_one_transaction(&mut self, ask: &Ask, spread: &Spread) -> Result<(), End> {
        self.begin_steps()?;
        let outcome = self.scatter(ask, spread, Describe::Yes).await?;
        let failed = self.finish_scatter(outcome, frontend::QUERY)?;
        self.end_implicit(!failed).await?;
        self.end_of_steps().await?;
        Ok(())
    }

    /// Sends the client's own bytes to one shard.
    pub(super) async fn send_to(&mut self, frame: Range<usize>, shard: ShardId) -> Result<(), End> {
        let tag = self.input.get(frame.start).copied().unwrap_or(frontend::QUERY);
        if let Err(error) = self.use_shard(shard).await? {
            if self.session.status() != TransactionStatus::Idle {
                return self.refuse(tag, &error).await;
            }
            return self.tell_failure(tag, &error);
        }
        self.forward_in_turn(frame).await?;
        Ok(())
    }

    /// COMMIT or ROLLBACK of a block: first where it was written, then where it was only read.
    async fn end_block(&mut self, frame: Range<usize>, is_commit: bool, chains: bool) -> Result<(), End> {
        let wrote = self.routed()?.block.as_ref().map(|block| block.wrote.clone()).unwrap_or_default();
        if is_commit && wrote.len() > 1 && self.session.status() == TransactionStatus::InBlock {
            self.begin_steps()?;
            self.end_among(true, chains).await?;
            self.end_of_steps().await?;
            return Ok(());
        }
        let wrote = wrote.first().copied();
        let next = self.routed()?.block.as_ref().filter(|_| chains).map(Block::chained);
        if !self.use_any_of_block()? {
            let was_failed = self.session.status() == TransactionStatus::Failed;
            if is_commit && wrote.is_some() && !was_failed {
                self.session.set_status(TransactionStatus::Idle);
                self.routed()?.block = None;
                self.session.tracker_mut().rollback();
                return self.tell_failure(frontend::QUERY, &writes_are_gone());
            }
            let status = if chains { TransactionStatus::InBlock } else { TransactionStatus::Idle };
            self.session.set_status(status);
            self.routed()?.block = next;
            self.session.tracker_mut().rollback();
            self.tell_complete(if is_commit && !was_failed { "COMMIT" } else { "ROLLBACK" });
            return Ok(());
        }
        if let Some(shard) = wrote
            && self.session.status() == TransactionStatus::InBlock
            && let Err(error) = self.use_shard_unplanned(shard).await?
        {
            return self.refuse(frontend::QUERY, &error).await;
        }
        if self.routed()?.parked.is_empty() && !chains {
            self.forward_in_turn(frame).await?;
            return Ok(());
        }
        self.begin_steps()?;
        self.end_among(is_commit, chains).await?;
        self.end_of_steps().await
    }

    /// The connection in use ends the block: the others do, too. `next` is the block that follows.
    pub(super) async fn end_others(&mut self, is_commit: bool, next: Option<Block>) -> Result<(), End> {
        self.wait_quiet_keeping().await?;
        self.on_each_parked(if is_commit { b"COMMIT" } else { b"ROLLBACK" }).await?;
        if let Some(next) = next
            && self.session.status() == TransactionStatus::InBlock
        {
            let routed = self.routed()?;
            let current = routed.current;
            routed.portals.clear();
            routed.block = Some(next.with_joined(current));
            self.release_parked();
        }
        self.settle();
        Ok(())
    }

    /// PREPARE TRANSACTION: the home shard keeps it, where it can be the client's own.
    async fn prepare_block(&mut self, frame: Range<usize>) -> Result<(), End> {
        match self.session.status() {
            TransactionStatus::Failed => self.end_block(frame, false, false).await,
            TransactionStatus::Idle | TransactionStatus::InBlock => match self.may_prepare()? {
                Ok(home) => self.send_to(frame, home).await,
                Err(error) => self.refuse(frontend::QUERY, &error).await,
            },
        }
    }

    /// The shard on which the open block can be prepared.
    pub(super) fn may_prepare(&mut self) -> Result<Result<ShardId, SqlError>, End> {
        let routed = self.routed()?;
        let home = routed.home();
        if routed.block.as_ref().is_none_or(|block| block.is_only_on(home)) {
            return Ok(Ok(home));
        }
        Ok(Err(SqlError::refused(
            "PREPARE TRANSACTION of a transaction over several shards is not supported",
            "Use COMMIT, which is atomic over shards; or keep the transaction to tables of the home shard.",
        )))
    }

    /// Waits until the connection in use owes nothing, without letting go of it.
    pub(super) async fn wait_quiet_keeping(&mut self) -> Result<(), End> {
        self.ask_for_replies();
        while self.owes_without_data()? {
            let event = poll_fn(|cx| match self.poll_relay(cx) {
                // A server that takes data says nothing more.
                Poll::Pending if self.is_copying() => Poll::Ready(Event::Settled),
                other => other,
            });
            match event.await {
                Event::Input | Event::Settled => {}
                Event::ClientGone => return Err(End::Gone),
                Event::ServerGone { in_message, reason } => self.server_gone(in_message, reason)?,
            }
        }
        Ok(())
    }

    /// Whether the connection in use owes answers. A COPY that would need the client's data is ended: what
    /// comes from the client now stands behind the statement that is being waited for.
    fn owes_without_data(&mut self) -> Result<bool, End> {
        let in_steps = self.routed()?.is_in_steps();
        let Some(ServerConnection { state, out, .. }) =
            self.lease.as_mut().and_then(|lease| lease.connection())
        else {
            return Ok(false);
        };
        if state.copy == Copy::In {
            state.copy = Copy::None;
            if let Some(entry) = state.expected.front_mut() {
                entry.on_error = Some(OnError::Replace(Box::new(copy_among())));
            }
            write::message(out, frontend::COPY_FAIL, |b| write::cstr(b, b""));
            if in_steps && state.unsynced {
                // The step's own Sync came while the server took data, and was ignored.
                state.expected.push_back(Expected::end_of_step());
                state.unsynced = false;
                write::sync(out);
            }
            self.routed()?.broke_copy = in_steps;
            return Ok(true);
        }
        Ok(!state.expected.is_empty())
    }

    /// A statement that every shard of the block must run: savepoints, SET LOCAL.
    async fn everywhere(&mut self, frame: Range<usize>, sql: &[u8]) -> Result<(), End> {
        let shard = self.current_or_home()?;
        self.send_to(frame, shard).await?;
        let statement = sql.to_vec();
        self.wait_quiet_keeping().await?;
        let followed = self
            .lease
            .as_mut()
            .and_then(|lease| lease.connection())
            .is_some_and(|connection| connection.state.stands_in_block());
        if followed {
            self.run_on_parked(&statement).await?;
        }
        Ok(())
    }

    /// In a failed block only its end, or the way back to a savepoint, does anything.
    async fn in_failed_block(
        &mut self,
        frame: Range<usize>,
        sql: &[u8],
        statements: &[Scanned],
    ) -> Result<(), End> {
        let scs = self.session.parameters().standard_conforming_strings();
        if let [one] = statements {
            match (one.kind, command(one.text(sql), scs).0) {
                (_, Command::End { chains, .. }) => return self.end_block(frame, false, chains).await,
                (_, Command::Prepare) => return self.prepare_block(frame).await,
                (Kind::RollbackTo, Command::Everywhere) => return self.everywhere(frame, sql).await,
                _ => {}
            }
        } else if statements.len() > 1 {
            return self.run_several(sql, statements).await;
        }
        let shard = self.current_or_home()?;
        self.send_to(frame, shard).await
    }
}

/// Where a planned statement goes with these values.
pub(super) fn target_of<V: Values>(planned: &Planned, values: &V, rules: &Rules) -> Result<Target, SqlError> {
    Ok(match bind(planned, rules, values)? {
        Bound::Single(shard) => Target::Shard(shard),
        Bound::Scatter { scatter, shards, limits } => {
            Target::Scatter(Spread { scatter: Arc::clone(scatter), shards: shards.iter().collect(), limits })
        }
        Bound::Explain(explained) => {
            let inner = bind(&explained.inner, rules, values);
            let rows = explain::rows(&explained.inner, Some(&inner), rules, explained.format);
            Target::Explain(rows)
        }
    })
}

/// The one shard that all statements of a message go to; inside, `None` when any will do.
fn one_shard(many: &[Aimed]) -> Option<Option<ShardId>> {
    let mut found = None;
    for one in many {
        match &one.target {
            Target::Any => {}
            Target::Shard(shard) if found.is_none_or(|other| other == *shard) => found = Some(*shard),
            _ => return None,
        }
    }
    Some(found)
}

/// Statements about the session, which any shard can run.
pub(super) fn is_session_command(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Set
            | Kind::SetLocal
            | Kind::SetConstraints
            | Kind::Reset
            | Kind::Show
            | Kind::DiscardAll
            | Kind::DiscardPlans
            | Kind::DiscardSequences
            | Kind::DiscardTemp
            | Kind::Deallocate
            | Kind::Listen
            | Kind::Unlisten
            | Kind::Notify
            | Kind::Checkpoint
            | Kind::CommitPrepared
            | Kind::RollbackPrepared
    )
}

/// Whether a statement of the session may change which tables names mean.
fn changes_names(text: &[u8], statement: &Scanned) -> bool {
    const WORDS: [&[u8]; 6] = [b"search_path", b"schema", b"role", b"authorization", b"all", b"\\"];
    let is_setting = matches!(statement.kind, Kind::Set | Kind::SetLocal | Kind::Reset | Kind::DiscardAll);
    if !is_setting && !statement.effects.contains(Effects::SET_CONFIG) {
        return false;
    }
    let text = text.to_ascii_lowercase();
    WORDS.iter().any(|word| memchr::memmem::find(&text, word).is_some())
}

/// Why statements behind one that changes what names mean are not routed with it.
pub(super) fn names_change() -> SqlError {
    SqlError::refused(
        "a change of search_path or role together with other statements in one message is not supported yet with several shards",
        "Send it alone.",
    )
}

/// Statements about what a session keeps on a server: the home shard keeps it.
fn is_of_home(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Listen
            | Kind::Unlisten
            | Kind::Notify
            | Kind::DiscardAll
            | Kind::DiscardTemp
            | Kind::DiscardSequences
            | Kind::CommitPrepared
            | Kind::RollbackPrepared
    )
}

/// Whether a statement may write, so that its transaction must be atomic.
pub(super) fn writes(statement: &Scanned) -> bool {
    !matches!(
        statement.kind,
        Kind::Select
            | Kind::Values
            | Kind::TableCommand
            | Kind::Show
            | Kind::Begin
            | Kind::Commit
            | Kind::Rollback
            | Kind::Savepoint
            | Kind::Release
            | Kind::RollbackTo
            | Kind::SetTransaction
            | Kind::SetConstraints
            | Kind::Set
            | Kind::SetLocal
            | Kind::Reset
            | Kind::Fetch
            | Kind::Move
            | Kind::Declare
            | Kind::CloseCursor
            | Kind::CopyToStdout
            | Kind::Prepare
            | Kind::Deallocate
            | Kind::Listen
            | Kind::Unlisten
            | Kind::DiscardAll
            | Kind::DiscardTemp
            | Kind::DiscardSequences
            | Kind::DiscardPlans
    )
}
