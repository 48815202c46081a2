//! A run of messages of the extended protocol whose statements need several shards: step by step, each
//! statement planned when its turn comes.
//!
//! A step is the longest run of messages that go to one shard. A statement over several shards, and one
//! that Howdah answers itself, has a portal of Howdah's own, a *virtual* one, until the run ends.

use super::super::client::{Client, End};
use super::batch::{Frame, Fresh, Needs};
use super::block::Command;
use super::local::{explain_description, explain_rows};
use super::scatter::{Ask, Describe, Spread};
use super::several::{block_needed, needs_block, prepare_without_block};
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::plan::Route;
use crate::protocol::frame::HEADER_LEN;
use crate::protocol::read::Reader;
use crate::protocol::{TransactionStatus, backend, frontend, write};
use crate::sql::transaction::Modes;
use std::ops::Range;

/// The state of a run of messages.
#[derive(Default)]
struct Run {
    fresh: Fresh,
    step: Step,
    portals: Vec<Virtual>,
}

/// Messages that are to go to one shard together.
#[derive(Default)]
struct Step {
    frames: Vec<Frame>,
    /// The shard that one of them needs.
    shard: Option<ShardId>,
    /// The shard that describes a statement, where nothing else says.
    describes: Option<ShardId>,
    writes: bool,
    /// The block ends by PREPARE TRANSACTION.
    prepares: bool,
    /// Portals that its messages make.
    portals: Vec<Box<[u8]>>,
    /// Statements that every shard of the block runs too.
    everywhere: Vec<(Vec<u8>, Modes)>,
}

/// A portal that no single server has.
struct Virtual {
    name: Box<[u8]>,
    answer: Answer,
    describes: Describe,
}

enum Answer {
    Scatter {
        bound: Ask,
        scatter: Box<Spread>,
    },
    Explain(Vec<String>),
    Begin {
        text: Vec<u8>,
        modes: Modes,
    },
    End {
        is_commit: bool,
        chains: bool,
    },
    /// A command of this name, outside a transaction block.
    NeedsBlock(&'static str),
}

/// Whether a message, or what was to be sent before it, failed, as the client was told.
type Failed = bool;

impl Client {
    /// Runs the messages; a transaction that they share is open until their Sync.
    pub(super) async fn run_steps(&mut self, frames: &[Frame]) -> Result<(), End> {
        self.begin_steps()?;
        let mut run = Run::default();
        let mut failed = false;
        for (tag, frame) in frames {
            match *tag {
                frontend::SYNC => {
                    failed = failed || self.run_step(&mut run.step).await?;
                    if self.routed()?.take_broke_copy() {
                        // While a server takes data it ignores Sync: the client sends another.
                        break;
                    }
                    self.end_implicit(!failed).await?;
                    self.forget_closed(frames);
                    return self.end_of_steps().await;
                }
                _ if failed => {}
                frontend::FLUSH => failed = self.run_step(&mut run.step).await?,
                _ => failed = self.run_message(*tag, frame.clone(), &mut run).await?,
            }
        }
        failed = failed || self.run_step(&mut run.step).await?;
        self.forget_closed(frames);
        self.session.set_skipping(failed);
        let routed = self.routed()?;
        routed.in_steps = false;
        routed.broke_copy = false;
        Ok(())
    }

    /// Sync behind messages that failed: the transaction that they shared is undone.
    pub(super) async fn end_failed_run(&mut self) -> Result<(), End> {
        self.end_implicit(false).await?;
        self.end_of_steps().await
    }

    async fn run_message(&mut self, tag: u8, frame: Range<usize>, run: &mut Run) -> Result<Failed, End> {
        let body = self.body(&frame);
        let mut reader = Reader::new(&body);
        let noted = match tag {
            frontend::PARSE => match self.note_parse(&mut reader, &mut run.fresh) {
                Ok(_malformed) => Ok(Placed::Here(None)),
                Err(error) => Err(error),
            },
            frontend::BIND => return self.run_bind(frame, &body, run).await,
            frontend::DESCRIBE => self.place_describe(&mut reader, run),
            frontend::EXECUTE => self.place_execute(&mut reader, run),
            frontend::CLOSE => Ok(place_close(&mut reader, run)),
            _ => Ok(Placed::Here(None)),
        };
        match noted {
            Ok(Placed::Here(shard)) => self.add(tag, frame, shard, run).await,
            Ok(Placed::Virtual(at)) => self.run_virtual(tag, at, run).await,
            Ok(Placed::Explain) => self.describe_explain(&body, run).await,
            Err(error) => {
                let failed = self.run_step(&mut run.step).await?;
                if failed { Ok(true) } else { self.fail_step(error).await }
            }
        }
    }

    /// Adds a message to the step; one that needs another shard begins the next.
    async fn add(
        &mut self,
        tag: u8,
        frame: Range<usize>,
        shard: Option<ShardId>,
        run: &mut Run,
    ) -> Result<Failed, End> {
        let differs = shard.is_some() && run.step.shard.is_some() && run.step.shard != shard;
        if differs && self.run_step(&mut run.step).await? {
            return Ok(true);
        }
        run.step.shard = shard.or(run.step.shard);
        run.step.frames.push((tag, frame));
        Ok(false)
    }

    async fn run_bind(&mut self, frame: Range<usize>, body: &[u8], run: &mut Run) -> Result<Failed, End> {
        let mut reader = Reader::new(body);
        let (Ok(portal), Ok(name)) = (reader.cstr(), reader.cstr()) else {
            return self.add(frontend::BIND, frame, None, run).await;
        };
        run.portals.retain(|known| known.name.as_ref() != portal);
        let mut needs = Needs::default();
        let noted = match self.planned_statement(name, &run.fresh) {
            Ok(Some(statement)) => self.note_bind(&statement, &mut reader, portal, &mut needs),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = noted {
            let failed = self.run_step(&mut run.step).await?;
            return if failed { Ok(true) } else { self.fail_step(error).await };
        }
        let is_everywhere = needs.commands.iter().any(|(command, ..)| *command == Command::Everywhere);
        if needs.commands.iter().any(|(command, ..)| *command == Command::Prepare) {
            if self.run_step(&mut run.step).await? {
                return Ok(true);
            }
            if self.is_implicit() {
                return self.fail_step(prepare_without_block()).await;
            }
            if let Err(error) = self.may_prepare()? {
                return self.fail_step(error).await;
            }
            run.step.prepares = true;
        }
        if !needs.warnings.is_empty() {
            if self.run_step(&mut run.step).await? {
                return Ok(true);
            }
            needs.warnings.iter().for_each(|warning| self.warn(warning));
        }
        if let Some(answer) = self.virtual_answer(&frame, &mut needs) {
            if self.run_before_virtual(name, run).await? {
                return Ok(true);
            }
            write::message(&mut self.out, backend::BIND_COMPLETE, |_| ());
            run.portals.push(Virtual { name: portal.into(), answer, describes: Describe::No });
            return Ok(false);
        }
        // By themselves: whether something was set before or after a savepoint matters.
        if (is_everywhere || !run.step.everywhere.is_empty()) && self.run_step(&mut run.step).await? {
            return Ok(true);
        }
        if is_everywhere && self.is_implicit() {
            return self.fail_step(local_without_block()).await;
        }
        if self.add(frontend::BIND, frame, needs.shard, run).await? {
            return Ok(true);
        }
        run.step.writes |= needs.writes;
        run.step.portals.push(portal.into());
        let everywhere = needs.commands.into_iter().filter(|(command, ..)| *command == Command::Everywhere);
        run.step.everywhere.extend(everywhere.map(|(_, text, modes)| (text, modes)));
        Ok(false)
    }

    /// What Howdah itself answers, or several shards do.
    fn virtual_answer(&self, frame: &Range<usize>, needs: &mut Needs) -> Option<Answer> {
        if let Some(rows) = needs.explain.take() {
            return Some(Answer::Explain(rows));
        }
        if let Some(scatter) = needs.scatter.take() {
            return Some(Answer::Scatter { bound: self.own_bind(frame)?, scatter: Box::new(scatter) });
        }
        let (command, text, modes) = needs.commands.first()?;
        match command {
            Command::Begin if self.session.status() == TransactionStatus::Idle => {
                Some(Answer::Begin { text: text.clone(), modes: *modes })
            }
            Command::End { is_commit, chains } => {
                Some(Answer::End { is_commit: *is_commit, chains: *chains })
            }
            Command::Everywhere if self.is_implicit() => {
                let scs = self.session.parameters().standard_conforming_strings();
                needs_block(text, scs).map(Answer::NeedsBlock)
            }
            _ => None,
        }
    }

    /// What was to be sent before a statement that no single server runs; the Parse of that statement
    /// itself is Howdah's to answer.
    async fn run_before_virtual(&mut self, name: &[u8], run: &mut Run) -> Result<Failed, End> {
        let own_parse = run.step.frames.pop_if(|(tag, frame)| {
            let body = self.input.get(frame.start + HEADER_LEN..frame.end).unwrap_or_default();
            *tag == frontend::PARSE && Reader::new(body).cstr().is_ok_and(|parsed| parsed == name)
        });
        if self.run_step(&mut run.step).await? {
            return Ok(true);
        }
        if let Some(parse) = own_parse {
            self.adopt(&[parse]);
            write::message(&mut self.out, backend::PARSE_COMPLETE, |_| ());
        }
        Ok(false)
    }

    fn place_describe(&mut self, reader: &mut Reader<'_>, run: &mut Run) -> Result<Placed, SqlError> {
        let (Ok(kind), Ok(name)) = (reader.u8(), reader.cstr()) else { return Ok(Placed::Here(None)) };
        if kind != b'S' {
            return Ok(self.place_portal(name, run));
        }
        if let Some(statement) = self.planned_statement(name, &run.fresh)? {
            match &statement.planned.route {
                Route::Refused(error) => return Err(SqlError::clone(error)),
                Route::Explain(_) => return Ok(Placed::Explain),
                _ => {}
            }
            let router = self.routed.as_deref().map(|routed| std::sync::Arc::clone(&routed.router));
            let describes = router.and_then(|router| statement.planned.describe_shard(router.rules()));
            run.step.describes = run.step.describes.or(describes);
        }
        Ok(Placed::Here(None))
    }

    fn place_execute(&mut self, reader: &mut Reader<'_>, run: &mut Run) -> Result<Placed, SqlError> {
        let (Ok(portal), Ok(limit)) = (reader.cstr(), reader.i32()) else { return Ok(Placed::Here(None)) };
        let placed = self.place_portal(portal, run);
        let is_scatter = match placed {
            Placed::Virtual(at) => {
                run.portals.get(at).is_some_and(|known| matches!(known.answer, Answer::Scatter { .. }))
            }
            Placed::Here(_) | Placed::Explain => false,
        };
        if is_scatter && limit != 0 {
            return Err(SqlError::refused(
                "reading a part of the rows of a statement over several shards is not supported yet",
                "Read all rows at once, or add a condition on the sharding key.",
            ));
        }
        Ok(placed)
    }

    fn place_portal(&self, portal: &[u8], run: &Run) -> Placed {
        if let Some(at) = run.portals.iter().position(|known| known.name.as_ref() == portal) {
            return Placed::Virtual(at);
        }
        if run.step.portals.iter().any(|known| known.as_ref() == portal) {
            return Placed::Here(None);
        }
        let known = self.routed.as_deref().and_then(|routed| routed.portals.get(portal));
        Placed::Here(known.copied())
    }

    async fn run_virtual(&mut self, tag: u8, at: usize, run: &mut Run) -> Result<Failed, End> {
        if self.run_step(&mut run.step).await? {
            return Ok(true);
        }
        let Some(portal) = run.portals.get_mut(at) else { return Ok(false) };
        match tag {
            frontend::DESCRIBE => match &portal.answer {
                Answer::Scatter { .. } => {
                    portal.describes = Describe::Yes;
                    Ok(false)
                }
                Answer::Explain(_) => {
                    explain_description(&mut self.out);
                    Ok(false)
                }
                Answer::Begin { .. } | Answer::End { .. } | Answer::NeedsBlock(_) => {
                    write::message(&mut self.out, backend::NO_DATA, |_| ());
                    Ok(false)
                }
            },
            frontend::CLOSE => {
                run.portals.remove(at);
                write::message(&mut self.out, backend::CLOSE_COMPLETE, |_| ());
                Ok(false)
            }
            _ => {
                let portal = run.portals.remove(at);
                self.execute_virtual(portal).await
            }
        }
    }

    async fn describe_explain(&mut self, body: &[u8], run: &mut Run) -> Result<Failed, End> {
        let name = body.get(1..).and_then(|rest| Reader::new(rest).cstr().ok()).unwrap_or_default();
        if self.run_before_virtual(name, run).await? {
            return Ok(true);
        }
        write::message(&mut self.out, backend::PARAMETER_DESCRIPTION, |b| b.extend_from_slice(&[0, 0]));
        explain_description(&mut self.out);
        Ok(false)
    }

    async fn execute_virtual(&mut self, portal: Virtual) -> Result<Failed, End> {
        match portal.answer {
            Answer::Explain(rows) => {
                explain_rows(&mut self.out, &rows);
                Ok(false)
            }
            Answer::Scatter { bound, scatter } => {
                self.scatter_bound(&bound, &scatter, portal.describes).await
            }
            Answer::Begin { text, modes } => {
                let failed = self.begin_among(&text, &modes).await?;
                Ok(failed)
            }
            Answer::NeedsBlock(command) => self.fail_step(block_needed(command)).await,
            Answer::End { is_commit, chains } => {
                let failed = self.end_among(is_commit, chains).await?;
                if self.is_outside() {
                    self.open_implicit()?;
                }
                Ok(failed)
            }
        }
    }

    /// Sends the step's messages to their shard, and waits for the answers.
    async fn run_step(&mut self, step: &mut Step) -> Result<Failed, End> {
        let step = std::mem::take(step);
        if step.frames.is_empty() {
            return Ok(false);
        }
        let shard = match step.shard.or(step.describes.filter(|_| self.lease.is_none())) {
            Some(shard) => shard,
            None => self.current_or_home()?,
        };
        if step.writes
            && let Err(error) = self.note_write(shard)?
        {
            return self.fail_step(error).await;
        }
        for (_, modes) in &step.everywhere {
            if let Err(error) = self.note_modes(modes)? {
                return self.fail_step(error).await;
            }
        }
        if self.begin_step(shard).await? {
            return Ok(true);
        }
        for (_, frame) in &step.frames {
            self.forward_in_turn(frame.clone()).await?;
        }
        let failed = self.end_step().await?;
        if step.prepares {
            self.end_prepared()?;
            if self.is_outside() {
                self.open_implicit()?;
            }
        }
        if failed {
            return Ok(true);
        }
        self.routed()?.portals.extend(step.portals.into_iter().map(|portal| (portal, shard)));
        for (text, _) in step.everywhere {
            self.run_on_parked(&text).await?;
        }
        Ok(self.session.status() == TransactionStatus::Failed)
    }
}

/// Where a message goes.
enum Placed {
    /// Into the step, on this shard if it needs one.
    Here(Option<ShardId>),
    /// To a virtual portal.
    Virtual(usize),
    /// It describes an EXPLAIN that Howdah answers.
    Explain,
}

fn place_close(reader: &mut Reader<'_>, run: &mut Run) -> Placed {
    let (Ok(kind), Ok(name)) = (reader.u8(), reader.cstr()) else { return Placed::Here(None) };
    if kind == b'S' {
        run.fresh.close(name);
        return Placed::Here(None);
    }
    match run.portals.iter().position(|known| known.name.as_ref() == name) {
        Some(at) => Placed::Virtual(at),
        None => Placed::Here(None),
    }
}

fn local_without_block() -> SqlError {
    SqlError::refused(
        "SET LOCAL, SET CONSTRAINTS and SET TRANSACTION outside a transaction block, in a pipeline whose statements need several shards, are not supported",
        "Send them behind BEGIN.",
    )
}
