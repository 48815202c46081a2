//! COMMIT of a transaction that wrote on several shards: atomic, whatever dies.
//!
//! 1. The *decider*, one of the shards that wrote, makes the decision record inside its transaction.
//! 2. The others that wrote prepare.
//! 3. The decider commits: that is the decision.
//! 4. The others commit what they prepared. Those that cannot be reached follow by `store::recover`, as does all that
//!    this proxy leaves behind when it dies on the way.
//!
//! What the client kept on a server (temporary tables, LISTEN) forbids to prepare there; it is on the home shard, which
//! is the decider where it wrote.

use super::super::attach::OwnError;
use super::super::client::{Client, End};
use super::super::failpoint;
use super::Deciding;
use crate::backend::ServerConnection;
use crate::error::{Severity, SqlError};
use crate::ids::ShardId;
use crate::pool::Lease;
use crate::protocol::read::error_field;
use crate::protocol::{TransactionStatus, backend, write};
use crate::session::settings::Settings;
use crate::sqlstate;
use crate::store::Commit;
use std::sync::Arc;

/// The transaction's connections, while it ends.
type Held = Vec<(ShardId, Lease)>;

/// A commit on its way.
struct Committing {
    commit: Commit,
    decider: ShardId,
    decider_name: String,
    /// The other shards that wrote, and what they prepare.
    participants: Vec<(ShardId, String)>,
    held: Held,
    /// What could not be finished: the recovery does.
    behind: Vec<String>,
}

/// How the decision went.
enum Decision {
    Committed,
    /// It is undone, as the client was told.
    Aborted,
    /// It is undone: its decider was lost.
    Lost,
    /// Nobody knows yet.
    Unknown,
}

impl Client {
    /// Whether commits over several shards are possible here.
    pub(super) fn may_commit_over_shards(&self) -> bool {
        self.database.view.is_some()
    }

    /// COMMIT where several shards were written; whether it failed, as the client was told.
    pub(super) async fn commit_over_shards(&mut self, wrote: &[ShardId]) -> Result<bool, End> {
        let home = self.routed()?.home();
        let decider = if wrote.contains(&home) { home } else { wrote.first().copied().unwrap_or(home) };
        let mut committing = match self.begin_commit(decider, wrote)? {
            Ok(committing) => committing,
            Err(error) => {
                write::error_response(&mut self.out, &error);
                return self.undone_before_commit().await;
            }
        };
        let settings = Arc::clone(self.session.settings());
        let had_pins = !self.session.pins().is_empty();
        let decision = match self.prepare_all(&mut committing).await? {
            Ok(()) => self.decide(&mut committing).await?,
            Err(error) => {
                self.tell_own(&error);
                self.end_at(&mut committing, b"ROLLBACK").await?;
                Decision::Aborted
            }
        };
        let is_committed = matches!(decision, Decision::Committed);
        if !matches!(decision, Decision::Unknown) {
            self.follow(&mut committing, is_committed).await?;
        }
        self.end_readers(&mut committing, is_committed, &settings).await?;
        self.note_decision(&decision, &mut committing, had_pins)?;
        if committing.behind.is_empty() && !matches!(decision, Decision::Unknown) {
            committing.commit.over();
        }
        self.hold_again(committing.held, decider)?;
        Ok(!is_committed)
    }

    /// A block that cannot be committed, as the client was told: it is rolled back everywhere.
    pub(super) async fn undone_before_commit(&mut self) -> Result<bool, End> {
        if self.use_any_of_block()? {
            self.end_here(b"ROLLBACK").await?;
        }
        self.on_each_parked(b"ROLLBACK").await?;
        self.session.tracker_mut().rollback();
        Ok(true)
    }

    /// Gathers the connections, of which those that wrote have to be there and inside their transactions.
    fn begin_commit(
        &mut self,
        decider: ShardId,
        wrote: &[ShardId],
    ) -> Result<Result<Committing, SqlError>, End> {
        let Some(commit) = self.database.view.as_ref().and_then(|view| view.commits().begin()) else {
            return Ok(Err(SqlError::new(
                sqlstate::CANNOT_CONNECT_NOW,
                "the cluster's store is out of reach, so nothing can be committed on several shards",
            )));
        };
        let name_of =
            |shard: ShardId| self.database.pool(shard).map(|pool| pool.shard.to_string()).unwrap_or_default();
        let decider_name = name_of(decider);
        let others = wrote.iter().filter(|shard| **shard != decider);
        let participants = others.map(|shard| (*shard, name_of(*shard))).collect();
        self.park()?;
        let held = std::mem::take(&mut self.routed()?.parked);
        let mut committing =
            Committing { commit, decider, decider_name, participants, held, behind: Vec::new() };
        let is_inside = |committing: &mut Committing, shard| {
            committing.status(shard).is_some_and(|status| status == TransactionStatus::InBlock)
        };
        if wrote.iter().all(|shard| is_inside(&mut committing, *shard)) {
            return Ok(Ok(committing));
        }
        self.hold_again(committing.held, decider)?;
        Ok(Err(SqlError::new(
            sqlstate::CONNECTION_FAILURE,
            "the connection to a shard that the transaction wrote to was lost: the transaction is rolled back",
        )
        .with_hint("Run the transaction again.")))
    }

    /// The decision record, and then what the others prepare.
    async fn prepare_all(&mut self, committing: &mut Committing) -> Result<Result<(), OwnError>, End> {
        let names: Vec<&str> = committing.participants.iter().map(|(_, name)| name.as_str()).collect();
        let record = committing.commit.decide(&names);
        failpoint::reached("before-record");
        if let Err(error) = self.run_at(&mut committing.held, committing.decider, &record).await? {
            return Ok(Err(error));
        }
        for (shard, name) in committing.participants.clone() {
            failpoint::reached("before-prepare");
            let gid = committing.commit.gid(&committing.decider_name, &name);
            let prepare = format!("PREPARE TRANSACTION '{gid}'");
            if let Err(error) = self.run_at(&mut committing.held, shard, &prepare).await? {
                // Its session may be as before the transaction, or not.
                committing.discard(shard);
                return Ok(Err(error));
            }
            failpoint::reached("after-prepare");
        }
        Ok(Ok(()))
    }

    /// The decider's COMMIT.
    async fn decide(&mut self, committing: &mut Committing) -> Result<Decision, End> {
        failpoint::reached("before-commit");
        self.routed()?.deciding = Deciding::Sent;
        let failed = self.end_at(committing, b"COMMIT").await?;
        let deciding = std::mem::take(&mut self.routed()?.deciding);
        failpoint::reached("after-commit");
        if deciding != Deciding::Lost {
            return Ok(if failed { Decision::Aborted } else { Decision::Committed });
        }
        Ok(match committing.commit.outcome(committing.decider).await {
            Ok(true) => Decision::Committed,
            Ok(false) => Decision::Lost,
            Err(unknown) => {
                let transaction = committing.commit.transaction();
                tracing::warn!(%transaction, "an outcome is not known yet: {unknown}");
                Decision::Unknown
            }
        })
    }

    /// COMMIT or ROLLBACK on the decider, which ends the session's transaction; whether it failed.
    async fn end_at(&mut self, committing: &mut Committing, sql: &[u8]) -> Result<bool, End> {
        if !self.take_held(&mut committing.held, committing.decider)? {
            self.session.tracker_mut().rollback();
            return Ok(true);
        }
        let failed = self.end_here(sql).await?;
        self.put_held(&mut committing.held)?;
        Ok(failed)
    }

    /// The others do as was decided; those that cannot are left to the recovery.
    async fn follow(&mut self, committing: &mut Committing, is_committed: bool) -> Result<(), End> {
        let command = if is_committed { "COMMIT PREPARED" } else { "ROLLBACK PREPARED" };
        for (shard, name) in committing.participants.clone() {
            // One that had not come to prepare is rolled back with those that only read.
            if committing.status(shard).is_some_and(|status| status != TransactionStatus::Idle) {
                continue;
            }
            failpoint::reached("before-follow");
            let gid = committing.commit.gid(&committing.decider_name, &name);
            match self.run_at(&mut committing.held, shard, &format!("{command} '{gid}'")).await? {
                Ok(()) => {}
                // The recovery was faster, or nothing was prepared.
                Err(OwnError::Server(body)) if error_field(&body, b'C') == Some(b"42704") => {}
                Err(error) => {
                    tracing::warn!(%gid, error = %error.to_sql_error().message, "a shard has yet to follow");
                    committing.behind.push(name);
                }
            }
        }
        failpoint::reached("after-follow");
        Ok(())
    }

    /// Ends the transaction where it did not write, or did not come to prepare. `settings` are those in the
    /// transaction: a server that prepared keeps them whatever becomes of it.
    async fn end_readers(
        &mut self,
        committing: &mut Committing,
        is_committed: bool,
        settings: &Arc<Settings>,
    ) -> Result<(), End> {
        let decider = committing.decider;
        let shards: Vec<ShardId> =
            committing.held.iter().map(|(shard, _)| *shard).filter(|shard| *shard != decider).collect();
        for shard in shards {
            let is_inside = committing.status(shard).is_some_and(|status| status != TransactionStatus::Idle);
            let command = if is_committed { "COMMIT" } else { "ROLLBACK" };
            if is_inside && self.run_at(&mut committing.held, shard, command).await?.is_err() {
                committing.discard(shard);
                continue;
            }
            let now = match is_inside && !is_committed {
                true => Arc::clone(self.session.settings_before_block()),
                false => Arc::clone(settings),
            };
            if let Some(connection) = committing.connection(shard) {
                connection.state.settings = now;
            }
        }
        Ok(())
    }

    /// Tells what the client was not told yet.
    fn note_decision(
        &mut self,
        decision: &Decision,
        committing: &mut Committing,
        had_pins: bool,
    ) -> Result<(), End> {
        let decider = &committing.decider_name;
        let error = match decision {
            Decision::Committed => None,
            Decision::Aborted => return Ok(()),
            Decision::Lost => Some(
                SqlError::new(
                    sqlstate::CONNECTION_FAILURE,
                    format!("the connection to shard \"{decider}\" was lost: the transaction is rolled back"),
                )
                .with_hint("Run the transaction again."),
            ),
            Decision::Unknown => Some(
                SqlError::new(
                    sqlstate::TRANSACTION_RESOLUTION_UNKNOWN,
                    format!("shard \"{decider}\" was lost during COMMIT: whether the transaction is committed is not known yet"),
                )
                .with_hint("It is committed on all shards or on none. Look whether its changes are there before doing it again."),
            ),
        };
        let is_decider_lost = committing.connection(committing.decider).is_none();
        if is_decider_lost {
            match error {
                None => self.session.tracker_mut().commit(),
                Some(_) => self.session.tracker_mut().rollback(),
            }
            self.session.server_lost();
            if had_pins {
                let kept_is_lost = || {
                    let message = "the transaction is committed, but what the session kept on the home shard was lost with its connection";
                    SqlError::new(sqlstate::CONNECTION_FAILURE, message)
                };
                let error = error.unwrap_or_else(kept_is_lost);
                return Err(End::Told(SqlError { severity: Severity::Fatal, ..error }));
            }
        }
        if let Some(error) = error {
            write::error_response(&mut self.out, &error);
        } else if !committing.behind.is_empty() {
            let message = format!(
                "the transaction is committed; its writes are yet to follow on: {}",
                committing.behind.join(", ")
            );
            let warning = SqlError::new(sqlstate::WARNING, message)
                .with_hint("They follow by themselves within seconds of the shard's being reachable.");
            write::notice_response(&mut self.out, "WARNING", &warning);
        }
        Ok(())
    }

    /// Tells an error of a statement that Howdah ran, as the server said it.
    fn tell_own(&mut self, error: &OwnError) {
        match error {
            OwnError::Server(body) => {
                write::message(&mut self.out, backend::ERROR_RESPONSE, |b| b.extend_from_slice(body));
            }
            OwnError::Lost(lost) => {
                let what = lost.message.split_once(':').map_or(&*lost.message, |(what, _)| what);
                let message = format!("{what}: the transaction is rolled back");
                let error = SqlError::new(sqlstate::CONNECTION_FAILURE, message)
                    .with_hint("Run the transaction again.");
                write::error_response(&mut self.out, &error);
            }
        }
    }

    /// Runs a statement of Howdah's own on one of the connections.
    async fn run_at(
        &mut self,
        held: &mut Held,
        shard: ShardId,
        sql: &str,
    ) -> Result<Result<(), OwnError>, End> {
        if !self.take_held(held, shard)? {
            let name = self.database.pool(shard).map(|pool| pool.shard.to_string()).unwrap_or_default();
            return Ok(Err(OwnError::Lost(super::super::lost::lost(&name))));
        }
        let answer = self.ask_own(sql.as_bytes()).await?;
        self.put_held(held)?;
        Ok(answer)
    }

    /// Makes one of the connections the one in use; whether it is there.
    fn take_held(&mut self, held: &mut Held, shard: ShardId) -> Result<bool, End> {
        let Some(at) = held.iter().position(|(held, _)| *held == shard) else { return Ok(false) };
        let (_, lease) = held.swap_remove(at);
        self.routed()?.current = shard;
        self.lease = Some(lease);
        self.mark_attached(shard);
        Ok(true)
    }

    /// Puts the one in use back to the others, unless it was lost.
    fn put_held(&mut self, held: &mut Held) -> Result<(), End> {
        let shard = self.routed()?.current;
        held.extend(self.lease.take().map(|lease| (shard, lease)));
        Ok(())
    }

    /// The decider's connection, or any other, is in use again, and the others are put aside.
    fn hold_again(&mut self, mut held: Held, decider: ShardId) -> Result<(), End> {
        let at = held.iter().position(|(shard, _)| *shard == decider).unwrap_or_default();
        if let Some((shard, _)) = held.get(at) {
            let shard = *shard;
            self.take_held(&mut held, shard)?;
        }
        self.routed()?.parked = held;
        Ok(())
    }
}

impl Committing {
    fn connection(&mut self, shard: ShardId) -> Option<&mut ServerConnection> {
        self.held.iter_mut().find(|(held, _)| *held == shard)?.1.connection()
    }

    fn status(&mut self, shard: ShardId) -> Option<TransactionStatus> {
        self.connection(shard).map(|connection| connection.state.status)
    }

    /// Closes a connection whose state is not known.
    fn discard(&mut self, shard: ShardId) {
        if let Some(at) = self.held.iter().position(|(held, _)| *held == shard) {
            self.held.swap_remove(at).1.discard();
        }
    }
}
