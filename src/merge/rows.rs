//! Moving rows: each kind of merge, a step at a time.

use super::combine::Cell;
use super::inbox::Head;
use super::leg::{Leg, Phase};
use super::row::{Row, put_leading};
use super::{Contest, Kind, Merge, Mode, Rows, Step};
use crate::error::SqlError;
use crate::protocol::{backend, frame, write};

/// A row longer than this goes on before it is whole, where nothing of it is looked at.
const WHOLE_ROW_MAX: usize = 64 * 1024;

/// What a leg has next.
enum Next {
    /// A whole row: the length of its frame.
    Row(usize),
    /// A message that is no row: to be shown.
    Message(u8, usize),
    /// Its end.
    End,
    /// Nothing yet; of a row that has begun, its length.
    Nothing(Option<usize>),
}

impl Leg {
    #[inline]
    fn next(&self) -> Result<Next, SqlError> {
        if matches!(self.phase, Phase::Ended | Phase::Closed) {
            return Ok(Next::End);
        }
        Ok(match self.head()? {
            Head::Frame(backend::DATA_ROW, len) => Next::Row(len),
            Head::Frame(tag, len) => Next::Message(tag, len),
            Head::Partial(Some((backend::DATA_ROW, len))) => Next::Nothing(Some(len)),
            Head::Partial(_) => Next::Nothing(None),
        })
    }
}

impl Rows {
    /// Whether no row is to go out any more.
    fn is_over(&self) -> bool {
        self.limit == Some(0)
    }

    /// Whether the next row is to go out, which is counted then.
    #[inline]
    fn admit(&mut self) -> bool {
        if self.offset > 0 {
            self.offset -= 1;
            return false;
        }
        self.told += 1;
        if let Some(limit) = &mut self.limit {
            *limit = limit.saturating_sub(1);
        }
        true
    }

    /// Whether the client has as many rows as it asked for.
    #[inline]
    fn is_fetched(&self) -> bool {
        self.fetch == Some(self.told)
    }

    /// How many rows may go out unseen.
    fn at_most(&self) -> u64 {
        let fetch = self.fetch.map_or(u64::MAX, |fetch| fetch.saturating_sub(self.told));
        self.limit.unwrap_or(u64::MAX).min(fetch)
    }
}

impl Merge {
    pub(super) fn poll_rows(&mut self, out: &mut Vec<u8>, out_max: usize) -> Result<Step, SqlError> {
        loop {
            if self.rows.passing.is_none() {
                if self.rows.is_over() {
                    self.mode = Mode::Done;
                    return Ok(Step::Done);
                }
                if self.rows.is_fetched() {
                    return Ok(Step::Suspended);
                }
            }
            if out.len() >= out_max {
                return Ok(Step::Full);
            }
            let next = match &self.kind {
                Kind::Concat => self.concatenate(out, out_max)?,
                Kind::Ordered(_) | Kind::Grouped { .. } => self.contest(out, out_max)?,
                Kind::Aggregate { .. } => self.aggregate(out)?,
            };
            match next {
                Go::On => {}
                Go::Message(leg, tag, len) => return Ok(self.show(leg, tag, len)),
                Go::Blocked => return Ok(Step::Blocked),
                Go::Done => {
                    self.mode = Mode::Done;
                    return Ok(Step::Done);
                }
            }
        }
    }

    /// One run of rows of one leg, in turn.
    fn concatenate(&mut self, out: &mut Vec<u8>, out_max: usize) -> Result<Go, SqlError> {
        if let Some((at, rest)) = self.rows.passing {
            return Ok(self.pass(at, rest, out));
        }
        let count = self.legs.len();
        let mut are_all_ended = true;
        for step in 0..count {
            let at = (self.rows.next + step) % count;
            let Some(leg) = self.legs.get_mut(at) else { break };
            let next = leg.next()?;
            are_all_ended &= matches!(next, Next::End);
            match next {
                Next::End | Next::Nothing(None) => {}
                Next::Message(tag, len) => return Ok(Go::Message(at, tag, len)),
                Next::Row(_) => {
                    self.rows.next = at;
                    move_run(leg, &mut self.rows, self.shown, out, out_max)?;
                    return Ok(Go::On);
                }
                Next::Nothing(Some(len)) => {
                    let is_passed = len > WHOLE_ROW_MAX && self.shown.is_none() && self.rows.offset == 0;
                    if is_passed && self.rows.admit() {
                        self.rows.passing = Some((at, len));
                        return Ok(Go::On);
                    }
                }
            }
        }
        Ok(if are_all_ended { Go::Done } else { Go::Blocked })
    }

    /// Passes on what is there of a long row.
    pub(super) fn pass(&mut self, at: usize, rest: usize, out: &mut Vec<u8>) -> Go {
        let Some(leg) = self.legs.get_mut(at) else { return Go::Blocked };
        let part = leg.inbox.unread();
        let part = part.get(..rest.min(part.len())).unwrap_or_default();
        let len = part.len();
        out.extend_from_slice(part);
        leg.inbox.take(len);
        self.rows.passing = (rest > len).then_some((at, rest - len));
        self.rows.next = at;
        if len == 0 { Go::Blocked } else { Go::On }
    }

    /// One row of the leg whose row is the least.
    fn contest(&mut self, out: &mut Vec<u8>, out_max: usize) -> Result<Go, SqlError> {
        let Merge { kind, legs, rows, shown, .. } = self;
        let (contest, mut grouping) = match kind {
            Kind::Ordered(contest) => (contest, None),
            Kind::Grouped { contest, cells, group, is_open } => (contest, Some((cells, group, is_open))),
            Kind::Concat | Kind::Aggregate { .. } => return Ok(Go::Done),
        };
        loop {
            if let Some(go) = contest.fill(legs, rows)? {
                return Ok(go);
            }
            let winner = contest.tree.winner();
            let Some(leg) = legs.get_mut(winner) else { return Ok(Go::Done) };
            let Next::Row(len) = leg.next()? else {
                // The least is an end: there is nothing else.
                if let Some((cells, _, is_open)) = grouping
                    && std::mem::take(is_open)
                {
                    put_cells(cells, rows, out)?;
                    return Ok(Go::On);
                }
                return Ok(Go::Done);
            };
            match &mut grouping {
                None => {
                    if rows.admit() {
                        match shown {
                            None => out.extend_from_slice(leg.inbox.unread().get(..len).unwrap_or_default()),
                            Some(shown) => put_leading(leg.inbox.body(len), *shown, out)?,
                        }
                    }
                }
                Some((cells, group, is_open)) => {
                    let head = contest.heads.get(winner).map(|head| head.group()).unwrap_or_default();
                    if **is_open && head != group.as_slice() {
                        **is_open = false;
                        put_cells(cells, rows, out)?;
                        // The row opens the next group, unless none is asked for.
                        return Ok(Go::On);
                    }
                    if !**is_open {
                        **is_open = true;
                        group.clear();
                        group.extend_from_slice(head);
                        cells.iter_mut().for_each(Cell::reset);
                    }
                    let row = Row::read(leg.inbox.body(len), rows.looked_at, &mut rows.places)?;
                    cells.iter_mut().try_for_each(|cell| cell.take(&row))?;
                }
            }
            leg.inbox.take(len);
            contest.holes.push(winner);
            if rows.is_over() || rows.is_fetched() || out.len() >= out_max {
                return Ok(Go::On);
            }
        }
    }

    /// All rows become one.
    fn aggregate(&mut self, out: &mut Vec<u8>) -> Result<Go, SqlError> {
        let Merge { kind, legs, rows, .. } = self;
        let Kind::Aggregate { cells } = kind else { return Ok(Go::Done) };
        let mut is_blocked = false;
        for (at, leg) in legs.iter_mut().enumerate() {
            loop {
                match leg.next()? {
                    Next::End => break,
                    Next::Message(tag, len) => return Ok(Go::Message(at, tag, len)),
                    Next::Nothing(_) => {
                        is_blocked = true;
                        break;
                    }
                    Next::Row(len) => {
                        let row = Row::read(leg.inbox.body(len), rows.looked_at, &mut rows.places)?;
                        cells.iter_mut().try_for_each(|cell| cell.take(&row))?;
                        leg.inbox.take(len);
                    }
                }
            }
        }
        if is_blocked {
            return Ok(Go::Blocked);
        }
        put_cells(cells, rows, out)?;
        Ok(Go::Done)
    }
}

/// How to go on.
pub(super) enum Go {
    On,
    Message(usize, u8, usize),
    Blocked,
    Done,
}

impl Contest {
    /// Sees to it that every leg has a row, or has ended.
    #[inline]
    fn fill(&mut self, legs: &mut [Leg], rows: &mut Rows) -> Result<Option<Go>, SqlError> {
        while let Some(&at) = self.holes.last() {
            let (Some(leg), Some(head)) = (legs.get(at), self.heads.get_mut(at)) else { break };
            match leg.next()? {
                Next::Row(len) => {
                    let row = Row::read(leg.inbox.body(len), rows.looked_at, &mut rows.places)?;
                    self.keys.encode(&row, head)?;
                }
                // Higher than every key.
                Next::End => head.end(),
                Next::Message(tag, len) => return Ok(Some(Go::Message(at, tag, len))),
                Next::Nothing(_) => return Ok(Some(Go::Blocked)),
            }
            self.holes.pop();
            if self.is_built {
                let heads = &self.heads;
                self.tree.replay(|a, b| wins(heads, a, b));
            }
        }
        if !self.is_built {
            self.is_built = true;
            let heads = &self.heads;
            self.tree.build(heads.len(), |a, b| wins(heads, a, b));
        }
        Ok(None)
    }
}

/// Equal rows come in the order of the legs.
#[inline]
fn wins(heads: &[super::KeyBytes], a: usize, b: usize) -> bool {
    match (heads.get(a), heads.get(b)) {
        (Some(x), Some(y)) => match x.bytes.as_slice().cmp(y.bytes.as_slice()) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Greater => false,
            std::cmp::Ordering::Equal => a < b,
        },
        (x, _) => x.is_some(),
    }
}

/// Moves whole rows from the start of a leg's bytes, as many as there are and may go.
fn move_run(
    leg: &mut Leg,
    rows: &mut Rows,
    shown: Option<usize>,
    out: &mut Vec<u8>,
    out_max: usize,
) -> Result<(), SqlError> {
    while let Next::Row(len) = leg.next()? {
        if rows.is_over() || rows.is_fetched() || out.len() >= out_max {
            break;
        }
        match shown {
            _ if rows.offset > 0 => {
                rows.offset -= 1;
                leg.inbox.take(len);
            }
            None => {
                let (run, count) = run(leg.inbox.unread(), rows.at_most(), out_max.saturating_sub(out.len()));
                out.extend_from_slice(leg.inbox.unread().get(..run).unwrap_or_default());
                leg.inbox.take(run);
                rows.told += count;
                if let Some(limit) = &mut rows.limit {
                    *limit = limit.saturating_sub(count);
                }
            }
            Some(shown) => {
                if rows.admit() {
                    put_leading(leg.inbox.body(len), shown, out)?;
                }
                leg.inbox.take(len);
            }
        }
    }
    Ok(())
}

/// The length and number of the whole rows at the start: at most `rows_max`, and no more once they have
/// `len_max` bytes.
fn run(bytes: &[u8], rows_max: u64, len_max: usize) -> (usize, u64) {
    let (mut len, mut count) = (0, 0);
    while count < rows_max && len < len_max {
        let Some(rest) = bytes.get(len..) else { break };
        match frame::header(rest) {
            Ok(Some(header)) if header.tag == backend::DATA_ROW && header.frame_len <= rest.len() => {
                len += header.frame_len;
                count += 1;
            }
            _ => break,
        }
    }
    (len, count)
}

/// The merged row goes out, if it is its turn.
fn put_cells(cells: &[Cell], rows: &mut Rows, out: &mut Vec<u8>) -> Result<(), SqlError> {
    if !rows.admit() {
        return Ok(());
    }
    let mut result = Ok(());
    write::message(out, backend::DATA_ROW, |b| {
        b.extend_from_slice(&u16::try_from(cells.len()).unwrap_or(u16::MAX).to_be_bytes());
        result = cells.iter().try_for_each(|cell| cell.put(b));
    });
    result
}
