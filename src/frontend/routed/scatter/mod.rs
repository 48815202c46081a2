//! One statement on several shards, their answers merged.
//!
//! Rows go on to the client as they come, untouched where they are only put together; no shard is read
//! while the client does not take what is there, or while others have to give first (`merge` says which).

mod legs;
mod messages;
mod run;

use super::super::client::{Client, End};
use super::block::torn_snapshot;
use crate::datum::order::Style;
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::merge::{Limits, Merge, Setup};
use crate::plan::Scatter;
use crate::protocol::{TransactionStatus, frontend, write};
use run::{Run, Turn};
use std::future::poll_fn;
use std::sync::Arc;

/// Whether the client is told the rows' description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Describe {
    Yes,
    No,
}

/// What the client asked for.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    /// The text of a simple query.
    Query(Box<[u8]>),
    /// A prepared statement, bound to values.
    Bound {
        /// Its text.
        sql: Box<[u8]>,
        /// The parameter types that the client declared.
        types: Vec<u32>,
        /// The Bind message's body behind its names.
        bind: Vec<u8>,
    },
}

/// A statement of several shards, with the numbers of one execution.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    /// What to send and how to merge.
    pub(super) scatter: Arc<Scatter>,
    /// The shards, in rising order.
    pub(super) shards: Vec<ShardId>,
    /// The numbers of LIMIT and OFFSET.
    pub(super) limits: Limits,
}

/// Whether the client was told the error already.
#[derive(Debug)]
pub(super) enum Told {
    Yes,
    Not(SqlError),
}

/// How long shards have to end a statement before they are asked again.
const CANCEL_AGAIN: std::time::Duration = std::time::Duration::from_millis(250);

impl Client {
    /// Runs a simple Query on several shards. `is_last`: ReadyForQuery is told at the end.
    pub(super) async fn run_scatter(
        &mut self,
        ask: &Ask,
        spread: &Spread,
        is_last: bool,
        describe: Describe,
    ) -> Result<(), End> {
        let outcome = self.scatter(ask, spread, describe).await?;
        self.finish_scatter(outcome, frontend::QUERY)?;
        if is_last {
            write::ready_for_query(&mut self.out, self.session.status());
        }
        Ok(())
    }

    /// Tells what a scatter failed with; whether it did.
    pub(super) fn finish_scatter(&mut self, outcome: Result<(), Told>, _tag: u8) -> Result<bool, End> {
        match outcome {
            Ok(()) => Ok(false),
            Err(told) => {
                if let Told::Not(error) = told {
                    write::error_response(&mut self.out, &error);
                }
                if self.session.status() == TransactionStatus::InBlock {
                    self.session.set_status(TransactionStatus::Failed);
                }
                Ok(true)
            }
        }
    }

    /// Asks several shards and merges what comes back into the client's buffer, up to CommandComplete.
    pub(super) async fn scatter(
        &mut self,
        ask: &Ask,
        spread: &Spread,
        describe: Describe,
    ) -> Result<Result<(), Told>, End> {
        self.note_start(std::time::Instant::now());
        let Spread { scatter, shards, limits } = spread;
        if shards.len() > 1 && self.has_one_snapshot_default() {
            return Ok(Err(Told::Not(torn_snapshot())));
        }
        let scs = self.session.parameters().standard_conforming_strings();
        let outgoing = match messages::outgoing(ask, scatter, *limits, scs) {
            Ok(outgoing) => outgoing,
            Err(error) => return Ok(Err(Told::Not(error))),
        };
        for shard in shards {
            if let Err(error) = self.use_shard(*shard).await? {
                if self.session.status() != TransactionStatus::Idle {
                    self.session.set_status(TransactionStatus::Failed);
                }
                self.release_all();
                return Ok(Err(Told::Not(error)));
            }
        }
        self.park()?;
        let home = self.routed()?.home();
        let mut merge = Merge::new(Setup {
            plan: &scatter.merge,
            limits: *limits,
            style: self.style()?,
            formats: &outgoing.formats,
            describes: describe == Describe::Yes,
            legs: shards.len(),
            home: shards.iter().position(|shard| *shard == home).unwrap_or(0),
        });
        let mut legs = self.take_legs(shards)?;
        if !shards.contains(&home)
            && let Some(connection) = legs.first_mut().and_then(legs::Leg::connection)
        {
            merge.tell_oids(connection.state.oids.clone());
        }
        let mut run = Run::new(merge, legs, outgoing);
        self.handle.attached_to_several(run.cancel_targets());
        let result = self.drive(&mut run).await;
        if self.handle.detached_from_several() {
            // A cancel request may still reach one of the connections.
            self.handle.cancels_done().await;
        }
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(end) => {
                run.discard();
                return Err(end);
            }
        };
        self.put_legs_back(run.into_legs(), outcome.is_err())?;
        self.note_scatter_done();
        Ok(outcome)
    }

    /// Moves bytes until every shard has answered.
    async fn drive(&mut self, run: &mut Run) -> Result<Result<(), Told>, End> {
        loop {
            let is_cancelled = run.is_cancelled();
            let moving = poll_fn(|cx| self.poll_run(run, cx));
            let turn = if is_cancelled {
                // A server that had not begun its statement yet took no notice of the request.
                tokio::time::timeout(CANCEL_AGAIN, moving).await.unwrap_or(Turn::Failed)
            } else {
                moving.await
            };
            let end = match turn {
                Turn::Done => return Ok(run.tell(self.handle.is_expired(), &mut self.out)),
                Turn::Failed => {
                    // What the others still do is for nobody.
                    run.cancel().await;
                    continue;
                }
                Turn::Ended(end) => end,
            };
            run.cancel().await;
            return Err(end);
        }
    }

    /// How values look in this session.
    fn style(&mut self) -> Result<Style, End> {
        let parameters = self.session.parameters();
        let encoding = |name| parameters.get(name).unwrap_or(b"UTF8");
        let (client, server) = (encoding(b"client_encoding"), encoding(b"server_encoding"));
        let has_iso_dates = parameters.get(b"DateStyle").is_none_or(|style| style.starts_with(b"ISO"));
        // LATIN1 is the start of Unicode, so that its bytes order as those of UTF-8 do.
        let has_server_encoding = client == server
            || [client, server].contains(&b"SQL_ASCII".as_slice())
            || (client == b"LATIN1" && server == b"UTF8");
        let set = self.session.settings().get("extra_float_digits").map(last_integer);
        let is_local = self.routed()?.block.as_ref().is_some_and(|block| block.sets("extra_float_digits"));
        let float_digits = if is_local { 0 } else { set.unwrap_or(1) };
        Ok(Style { has_iso_dates, float_digits, has_server_encoding })
    }

    /// Outside a block the connections go back at once.
    fn note_scatter_done(&mut self) {
        self.note_end_of_work(self.is_outside(), std::time::Instant::now());
        if self.is_outside() {
            self.release_all();
        }
    }
}

/// The number at the end of `SET name TO '3'`; 0 where there is none.
fn last_integer(replay: &[u8]) -> i32 {
    let end = replay.iter().rposition(|byte| !matches!(byte, b'\'' | b';' | b' ')).map_or(0, |at| at + 1);
    let text = replay.get(..end).unwrap_or_default();
    let start = text.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1);
    let (before, digits) = text.split_at(start);
    let number = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0_i32);
    if before.ends_with(b"-") { -number } else { number }
}

#[cfg(test)]
mod tests {
    use super::last_integer;

    #[test]
    fn a_setting_ends_in_its_value() {
        for (replay, value) in [
            ("SET extra_float_digits TO '3'", 3),
            ("SET extra_float_digits TO 0", 0),
            ("SET extra_float_digits = -15", -15),
            ("set extra_float_digits to '-2';", -2),
            ("SET extra_float_digits TO DEFAULT", 0),
        ] {
            assert_eq!(last_integer(replay.as_bytes()), value, "{replay}");
        }
    }
}
