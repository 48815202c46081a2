//! Puts the shards' answers together: a machine without I/O.
//!
//! The executor puts each shard's bytes in ([`Merge::space`], [`Merge::filled`]) and asks what follows
//! ([`Merge::poll`]): rows go to the client's buffer, messages that are no rows are shown to the executor.
//! [`Merge::wants`] says which shards are to be read: one that is ahead of the others is not, so that memory
//! stays bounded by a buffer and a row per shard. Rows stay undecoded bytes but for what is compared or
//! combined. It never guesses: where the answers cannot be combined exactly it fails before the first row
//! went out.

mod columns;
mod combine;
mod inbox;
mod keys;
mod leg;
mod plan;
mod row;
mod rows;
mod setup;
mod state;
mod tag;
mod tree;

pub use leg::Want;
pub use plan::{Combine, LimitSource, Limits, MergeKind, MergePlan, OutputColumn, SortKey};
pub use setup::{Setup, Step};

use crate::catalog::OidMap;
use crate::error::SqlError;
use crate::protocol::{backend, write};
use columns::Column;
use combine::Cell;
use inbox::Head;
use keys::{KeyBytes, Keys};
use leg::{Leg, Phase};
use row::Field;
use setup::OwnSetup;
use std::sync::Arc;
use tag::Tag;
use tree::Tree;

/// What the machine does with rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Not every leg has described its columns: no row moves.
    Opening,
    Merging,
    /// All that is to go out has gone.
    Done,
    /// Rows that come are for nobody.
    Draining,
}

/// The machine for one execution.
#[derive(Debug)]
pub struct Merge {
    kind: Kind,
    shown: Option<usize>,
    mode: Mode,
    legs: Vec<Leg>,
    /// The message at which the last poll stopped: its leg and the length of its frame.
    at_message: Option<(usize, usize)>,
    setup: OwnSetup,
    /// The columns as all legs describe them; the home leg's once they are there.
    columns: Option<Vec<Column>>,
    rows: Rows,
    tag: Option<Tag>,
    /// What the message at which the last poll stopped makes fail.
    error: Option<SqlError>,
    /// Where columns are described in a shard's OIDs: those that clients see.
    oids: Option<Arc<OidMap>>,
}

/// How rows are put together, with what that needs.
#[derive(Debug)]
enum Kind {
    Concat,
    Ordered(Contest),
    Grouped { contest: Contest, cells: Vec<Cell>, group: Vec<u8>, is_open: bool },
    Aggregate { cells: Vec<Cell> },
}

/// A k-way merge: every leg has a row at its head, but those in `holes`.
#[derive(Debug, Default)]
struct Contest {
    keys: Keys,
    heads: Vec<KeyBytes>,
    tree: Tree,
    /// The legs whose next row has to come before anything can go on.
    holes: Vec<usize>,
    is_built: bool,
}

/// Counting rows that go out.
#[derive(Debug, Default)]
struct Rows {
    offset: u64,
    limit: Option<u64>,
    /// How many may go out before the client asks for more.
    fetch: Option<u64>,
    /// How many went out since it last asked.
    told: u64,
    /// Of a row too long to be kept: the leg, and how many of its bytes have yet to be passed on.
    passing: Option<(usize, usize)>,
    /// The leg to begin with.
    next: usize,
    /// Room for fields' places.
    places: Vec<Field>,
    /// Columns of a row that are looked at.
    looked_at: usize,
}

impl Merge {
    /// A machine to which nothing was said.
    pub fn new(setup: Setup<'_>) -> Merge {
        Merge {
            kind: Kind::Concat,
            shown: setup.plan.shown,
            mode: Mode::Opening,
            legs: (0..setup.legs).map(|_| Leg::default()).collect(),
            at_message: None,
            setup: OwnSetup::of(&setup),
            columns: None,
            rows: Rows { offset: setup.limits.offset, limit: setup.limits.limit, ..Rows::default() },
            tag: None,
            error: None,
            oids: None,
        }
    }

    /// Says how the OIDs of the leg whose description clients see are translated for them.
    pub fn tell_oids(&mut self, oids: Option<Arc<OidMap>>) {
        self.oids = oids;
    }

    /// Room for a leg's next bytes; never empty.
    pub fn space(&mut self, leg: usize) -> &mut [u8] {
        self.legs.get_mut(leg).map(|leg| leg.inbox.space()).unwrap_or_default()
    }

    /// So many bytes of a leg were read into its [`Merge::space`].
    pub fn filled(&mut self, leg: usize, count: usize) {
        if let Some(leg) = self.legs.get_mut(leg) {
            leg.inbox.filled(count);
        }
    }

    /// The body of the message at which the last poll stopped.
    pub fn body(&self) -> &[u8] {
        let Some((leg, len)) = self.at_message else { return &[] };
        self.legs.get(leg).map(|leg| leg.inbox.body(len)).unwrap_or_default()
    }

    /// That message, whole.
    pub fn frame(&self) -> &[u8] {
        let Some((leg, len)) = self.at_message else { return &[] };
        self.legs.get(leg).and_then(|leg| leg.inbox.unread().get(..len)).unwrap_or_default()
    }

    /// At most so many rows go out from now on, before [`Step::Suspended`].
    pub fn fetch(&mut self, rows: Option<u64>) {
        self.rows.fetch = rows;
        self.rows.told = 0;
    }

    /// Whether the client has a part of a message, which only the leg at work can complete.
    pub fn is_in_message(&self) -> bool {
        self.rows.passing.is_some()
    }

    /// From now on rows are for nobody; messages are still shown.
    pub fn drain(&mut self) {
        self.mode = Mode::Draining;
    }

    /// Whether a leg's description is the one that clients see.
    pub fn is_home(&self, leg: usize) -> bool {
        leg == self.setup.home
    }

    /// Whether a leg has yet to describe its columns.
    pub fn is_opening(&self, leg: usize) -> bool {
        self.legs.get(leg).is_some_and(|leg| leg.phase == Phase::Opening)
    }

    /// What a leg sent and nobody took: of a closed leg, what follows its answer.
    pub fn rest(&self, leg: usize) -> &[u8] {
        let taken = self.at_message.filter(|(at, _)| *at == leg).map_or(0, |(_, len)| len);
        self.legs.get(leg).and_then(|leg| leg.inbox.unread().get(taken..)).unwrap_or_default()
    }

    /// The body of an ErrorResponse that some leg sent behind rows whose turn has not come.
    pub fn error_ahead(&self) -> Option<&[u8]> {
        self.legs.iter().find_map(|leg| leg.inbox.find(backend::ERROR_RESPONSE))
    }

    /// A leg owes nothing more.
    pub fn close(&mut self, leg: usize) {
        if let Some(leg) = self.legs.get_mut(leg) {
            leg.phase = Phase::Closed;
        }
    }

    /// Whether a leg has rows to give that it has not sent, as far as is known.
    pub fn is_at_work(&self, leg: usize) -> bool {
        self.legs.get(leg).is_some_and(|leg| matches!(leg.phase, Phase::Opening | Phase::Rows))
    }

    /// Whether a leg is to be read.
    pub fn wants(&self, leg: usize) -> Want {
        let Some(state) = self.legs.get(leg) else { return Want::Nothing };
        let spare = if state.inbox.len() < leg::READ_AHEAD_MAX { Want::Ahead } else { Want::Nothing };
        match (state.phase, self.mode) {
            (Phase::Closed, _) => Want::Nothing,
            (_, Mode::Draining) => Want::Bytes,
            (_, Mode::Done) => spare,
            (Phase::Ended, _) => Want::Bytes,
            (Phase::Opening, _) => Want::Bytes,
            // Its rows wait for the other legs' descriptions.
            (Phase::Rows, Mode::Opening) => spare,
            (Phase::Rows, Mode::Merging) => match (&self.kind, self.rows.passing) {
                (Kind::Concat, Some((passing, _))) if passing != leg => spare,
                (Kind::Concat | Kind::Aggregate { .. }, _) => Want::Bytes,
                (Kind::Ordered(contest) | Kind::Grouped { contest, .. }, _) => {
                    let is_missing = contest.holes.contains(&leg) && !state.has_message();
                    if is_missing { Want::Bytes } else { spare }
                }
            },
        }
    }

    /// Goes on as far as it can. `out` is the client's buffer; while it holds `out_max` bytes or more, no
    /// row is added.
    ///
    /// # Errors
    /// `0A000` where answers cannot be combined exactly, `22003` where a sum leaves its type's range,
    /// `08P01` for bytes that are no messages. The machine is to be drained after that.
    pub fn poll(&mut self, out: &mut Vec<u8>, out_max: usize) -> Result<Step, SqlError> {
        if let Some((leg, len)) = self.at_message.take()
            && let Some(leg) = self.legs.get_mut(leg)
        {
            leg.inbox.take(len);
        }
        if let Some(error) = self.error.take().filter(|_| self.mode != Mode::Draining) {
            return Err(error);
        }
        loop {
            self.pass_on(out);
            if let Some(step) = self.message_between_rows()? {
                return Ok(step);
            }
            match self.mode {
                Mode::Opening if self.legs.iter().any(|leg| leg.phase == Phase::Opening) => {
                    return Ok(Step::Blocked);
                }
                Mode::Opening => self.begin(out)?,
                Mode::Merging => return self.poll_rows(out, out_max),
                Mode::Done => return Ok(Step::Done),
                Mode::Draining => return Ok(Step::Blocked),
            }
        }
    }

    /// Of a row that went out in part, the rest goes out whatever happens.
    fn pass_on(&mut self, out: &mut Vec<u8>) {
        if self.mode == Mode::Draining
            && let Some((at, rest)) = self.rows.passing
        {
            self.pass(at, rest, out);
        }
    }

    /// A message of a leg of which no row is awaited.
    fn message_between_rows(&mut self) -> Result<Option<Step>, SqlError> {
        for at in 0..self.legs.len() {
            let Some(leg) = self.legs.get_mut(at) else { break };
            let is_row_awaited = leg.phase == Phase::Rows && self.mode != Mode::Draining;
            if is_row_awaited || leg.phase == Phase::Closed {
                continue;
            }
            if self.rows.passing.is_some_and(|(passing, _)| passing == at) {
                continue;
            }
            if self.mode == Mode::Draining {
                leg.drop_rows()?;
            }
            if let Head::Frame(tag, len) = leg.head()?
                && tag != backend::DATA_ROW
            {
                return Ok(Some(self.show(at, tag, len)));
            }
        }
        Ok(None)
    }

    /// Stops at a message, and takes note of what it says of the leg.
    fn show(&mut self, at: usize, tag: u8, len: usize) -> Step {
        self.at_message = Some((at, len));
        let result = self.note(at, tag, len);
        // The executor has to see the message all the same.
        self.error = result.err().or(self.error.take());
        Step::Message { leg: at, tag }
    }

    fn note(&mut self, at: usize, tag: u8, len: usize) -> Result<(), SqlError> {
        let Some(leg) = self.legs.get_mut(at) else { return Ok(()) };
        match (tag, leg.phase) {
            (backend::ROW_DESCRIPTION, Phase::Opening) => {
                leg.phase = Phase::Rows;
                let columns = columns::read(leg.inbox.body(len))?;
                self.described(at, columns)
            }
            (backend::NO_DATA, Phase::Opening) => {
                leg.phase = Phase::Rows;
                self.described(at, Vec::new())
            }
            (backend::COMMAND_COMPLETE, Phase::Opening | Phase::Rows) => {
                leg.phase = Phase::Ended;
                let tag = Tag::read(leg.inbox.body(len));
                self.tag = Some(match self.tag.take() {
                    Some(before) if self.mode != Mode::Draining => before.with(tag)?,
                    _ => tag,
                });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn described(&mut self, at: usize, columns: Vec<Column>) -> Result<(), SqlError> {
        if self.mode == Mode::Draining {
            return Ok(());
        }
        match &mut self.columns {
            None => self.columns = Some(columns),
            Some(known) => {
                columns::agree(known, &columns)?;
                if at == self.setup.home {
                    *known = columns;
                }
            }
        }
        Ok(())
    }

    /// All legs have described their columns: resolves the plan by them, and tells the client.
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), SqlError> {
        self.mode = Mode::Merging;
        // A command without columns.
        let Some(columns) = self.columns.take() else { return Ok(()) };
        let OwnSetup { plan, style, formats, .. } = &self.setup;
        if plan.width.is_some_and(|width| width != columns.len()) {
            return Err(changed());
        }
        let contest = |keys: &[SortKey], by| -> Result<Contest, SqlError> {
            let keys = Keys::new(keys, by, &columns, *style)?;
            let heads = self.legs.iter().map(|_| KeyBytes::default()).collect();
            let holes = (0..self.legs.len()).rev().collect();
            Ok(Contest { keys, heads, holes, ..Contest::default() })
        };
        let mut shown = columns.get(..self.shown.unwrap_or(columns.len())).unwrap_or(&columns).to_vec();
        self.shown = self.shown.filter(|shown| *shown < columns.len());
        self.kind = match &plan.kind {
            MergeKind::Concat => Kind::Concat,
            MergeKind::Ordered(keys) => {
                let contest = contest(keys, keys.len())?;
                self.rows.looked_at = contest.keys.columns;
                Kind::Ordered(contest)
            }
            MergeKind::Grouped { keys, by, columns: outputs } => {
                let contest = contest(keys, *by)?;
                let cells;
                (cells, shown) = combine::cells(outputs, &columns, formats, *style)?;
                self.rows.looked_at = columns.len();
                Kind::Grouped { contest, cells, group: Vec::new(), is_open: false }
            }
            MergeKind::Aggregate(outputs) => {
                let cells;
                (cells, shown) = combine::cells(outputs, &columns, formats, *style)?;
                self.rows.looked_at = columns.len();
                Kind::Aggregate { cells }
            }
        };
        if self.setup.describes {
            if let Some(oids) = &self.oids {
                columns::translate(&mut shown, oids);
            }
            columns::put(&shown, out);
        }
        Ok(())
    }

    /// Appends CommandComplete, once [`Step::Done`].
    pub fn finish(&self, out: &mut Vec<u8>) {
        match &self.tag {
            Some(tag) if !tag.is_select() => tag.put(out),
            _ => write::command_complete(out, &format!("SELECT {}", self.rows.told)),
        }
    }
}

/// A table has other columns than when the statement was planned.
#[cold]
fn changed() -> SqlError {
    SqlError::refused(
        "the shards' rows have other columns than the statement was planned for",
        "A table has changed just now: try again.",
    )
}

#[cfg(test)]
mod tests;
