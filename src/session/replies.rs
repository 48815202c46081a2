//! The replies that a server connection owes, in order, and what among them is not settled yet.
//!
//! The session notes what a message does when it is sent, and takes it back where the server says that it
//! failed or skipped it. What is sent in between must not build on what may be taken back: this says, at the
//! cost of a comparison, whether there is anything of the kind. A *stretch* is what the server skips as one
//! after an error: the messages up to a Sync.

use super::expected::{Expected, Kind, Outcomes};
use super::statements::Undo;
use std::collections::VecDeque;
use std::ops::Deref;

/// The queue of replies owed.
#[derive(Debug, Default)]
pub struct Replies {
    list: VecDeque<Expected>,
    /// How many were there before the first of the list: an entry's number is this and its place.
    first: u64,
    /// Number of the first entry of the present stretch.
    stretch: u64,
    /// How many entries decide on names and settings by their success.
    deciding: usize,
    /// How many entries change the schema by their success.
    redefining: usize,
    /// The last Query or FunctionCall; 1 more than its number.
    simple: u64,
    /// The last entry that changed what the unnamed statement is; 1 more than its number.
    unnamed: u64,
    /// The last entry that may be taken back otherwise; 1 more than its number.
    noted: u64,
    /// The same of earlier stretches.
    noted_earlier: u64,
    /// The last entry that may open a transaction block; 1 more than its number.
    opening: u64,
    /// The last entry that may end one; 1 more than its number.
    ending: u64,
}

impl Deref for Replies {
    type Target = VecDeque<Expected>;

    fn deref(&self) -> &VecDeque<Expected> {
        &self.list
    }
}

impl Replies {
    /// A message was sent that is answered by this.
    pub fn push_back(&mut self, entry: Expected) {
        match entry.undo.as_deref() {
            None | Some(Undo::Portal(_)) => {}
            Some(Undo::Unnamed { .. }) => self.unnamed = self.next() + 1,
            Some(_) => self.noted = self.next() + 1,
        }
        self.count(&entry, 1);
        let kind = entry.kind;
        self.list.push_back(entry);
        match kind {
            Kind::Sync => self.end_stretch(),
            Kind::Query | Kind::FunctionCall => self.simple = self.next(),
            _ => {}
        }
    }

    /// What was sent so far is not skipped, or not without what comes next.
    pub fn end_stretch(&mut self) {
        self.stretch = self.next();
        self.noted_earlier = self.noted;
    }

    /// The entry pushed last may open a transaction block.
    pub fn note_opening(&mut self) {
        self.opening = self.next();
    }

    /// The entry pushed last may end a transaction block.
    pub fn note_ending(&mut self) {
        self.ending = self.next();
    }

    fn next(&self) -> u64 {
        self.first + u64::try_from(self.list.len()).unwrap_or(u64::MAX)
    }

    fn count(&mut self, entry: &Expected, by: isize) {
        let Some(outcomes) = &entry.outcomes else { return };
        if outcomes.decides {
            self.deciding = self.deciding.saturating_add_signed(by);
        }
        if outcomes.redefines {
            self.redefining = self.redefining.saturating_add_signed(by);
        }
    }

    /// The first reply has come, or is given up.
    pub fn pop_front(&mut self) -> Option<Expected> {
        let entry = self.list.pop_front()?;
        self.first += 1;
        self.count(&entry, -1);
        Some(entry)
    }

    /// Takes out the first `count`.
    pub fn pop_many(&mut self, count: usize) -> Vec<Expected> {
        (0..count).map_while(|_| self.pop_front()).collect()
    }

    /// The first entry, to be worked on.
    pub fn front_mut(&mut self) -> Option<&mut Expected> {
        self.list.front_mut()
    }

    /// The last entry, to be added to.
    pub fn back_mut(&mut self) -> Option<&mut Expected> {
        self.list.back_mut()
    }

    /// All entries, to be worked on.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Expected> {
        self.list.iter_mut()
    }

    /// What the reply in front does is done with.
    pub fn take_outcomes(&mut self) -> Option<Box<Outcomes>> {
        self.list.front_mut()?.outcomes.take().inspect(|outcomes| {
            self.deciding -= usize::from(outcomes.decides);
            self.redefining -= usize::from(outcomes.redefines);
        })
    }

    /// Whether names or settings depend on a reply to come.
    pub fn is_deciding(&self) -> bool {
        self.deciding > 0
    }

    /// Whether the schema may change with a reply to come.
    pub fn is_redefining(&self) -> bool {
        self.redefining > 0
    }

    /// Whether the server may skip what is sent next because something in the same stretch fails.
    pub fn may_skip_next(&self) -> bool {
        self.next() > self.stretch.max(self.first)
    }

    /// Whether something of an earlier stretch is unanswered.
    fn has_earlier_stretch(&self) -> bool {
        self.stretch > self.first
    }

    /// Whether a transaction may fail, or end, with a reply to come, without what is sent next being skipped.
    pub fn may_fail_unskipped(&self) -> bool {
        self.has_earlier_stretch() || self.simple > self.first
    }

    /// Whether a transaction may end with a reply to come.
    pub fn may_end_transaction(&self) -> bool {
        self.may_fail_unskipped() || self.ending > self.first
    }

    /// Whether a transaction block may be opened with a reply to come.
    pub fn may_open_block(&self) -> bool {
        self.opening > self.first
    }

    /// Whether a reply to come may take back what the unnamed statement is.
    pub fn has_noted_unnamed(&self) -> bool {
        self.unnamed > self.first
    }

    /// Whether what the unnamed statement is depends on an earlier stretch.
    pub fn is_unnamed_unsettled(&self) -> bool {
        self.unnamed > self.first && self.unnamed <= self.stretch
    }

    /// Whether more than the unnamed statement depends on an earlier stretch.
    pub fn has_unsettled(&self) -> bool {
        self.noted_earlier > self.first
    }

    /// Whether `wanted` holds for an entry of an earlier stretch that may be taken back; `true` also where more
    /// than `max` entries would have to be looked at.
    pub fn look_back(&self, max: u64, wanted: impl Fn(&Expected, &Undo) -> bool) -> bool {
        let count = self.noted_earlier.saturating_sub(self.first);
        let entries = self.list.iter().take(usize::try_from(count).unwrap_or(usize::MAX));
        count > max
            || entries
                .filter_map(|entry| Some((entry, entry.undo.as_deref()?)))
                .any(|(e, undo)| wanted(e, undo))
    }

    /// Gives back memory when a long pipeline made the queue large.
    pub fn shrink(&mut self) {
        if self.list.capacity() > 64 {
            self.list.shrink_to(16);
        }
    }
}
