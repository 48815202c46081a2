//! The gate in front of a pool: at most `size` users, first come first served within a thread.
//!
//! A permit that is given back goes to the longest waiting client of the same thread, unless a client
//! of another thread has been overtaken [`OVERTAKE_MAX`] times, or has waited for [`OVERTAKE_TIME`]:
//! staying on one thread is cheaper than strict order, and the bounds keep it fair.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How many later arrivals may pass a waiting client of another thread.
const OVERTAKE_MAX: u64 = 64;

/// For how long later arrivals may pass a waiting client of another thread.
const OVERTAKE_TIME: Duration = Duration::from_millis(10);

/// See the module.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    size: u32,
    in_use: u32,
    paused: bool,
    next_ticket: u64,
    waiting: u32,
    lanes: Vec<VecDeque<Waiter>>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    since: Instant,
    admit: oneshot::Sender<()>,
}

/// The gate at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct GateSnapshot {
    /// Connections in use by clients.
    pub in_use: u32,
    /// Clients that wait.
    pub waiting: u32,
    /// Since when the longest waiting one waits.
    pub oldest: Option<Instant>,
    /// Nobody is let in.
    pub is_paused: bool,
}

/// The answer to asking for a permit.
#[derive(Debug)]
pub(super) enum Entry {
    /// Come in.
    Admitted,
    /// Wait for this.
    Wait(oneshot::Receiver<()>),
    /// Too many wait already.
    QueueFull,
}

impl Gate {
    pub(super) fn new(size: u32) -> Self {
        Gate {
            state: Mutex::new(State {
                size,
                in_use: 0,
                paused: false,
                next_ticket: 0,
                waiting: 0,
                lanes: Vec::new(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a permit if one is free.
    pub(super) fn enter_at_once(&self) -> bool {
        let mut state = self.lock();
        let is_free = !state.paused && state.in_use < state.size;
        state.in_use += u32::from(is_free);
        is_free
    }

    /// Asks for a permit.
    pub(super) fn enter(&self, lane: usize, queue_limit: u32) -> Entry {
        let mut state = self.lock();
        if !state.paused && state.in_use < state.size {
            state.in_use += 1;
            return Entry::Admitted;
        }
        if state.waiting >= queue_limit {
            return Entry::QueueFull;
        }
        let (admit, receiver) = oneshot::channel();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting += 1;
        if state.lanes.len() <= lane {
            state.lanes.resize_with(lane + 1, VecDeque::new);
        }
        if let Some(queue) = state.lanes.get_mut(lane) {
            queue.push_back(Waiter { ticket, since: Instant::now(), admit });
        }
        Entry::Wait(receiver)
    }

    /// Gives a permit back, from a thread's lane.
    pub(super) fn leave(&self, lane: usize) {
        let mut state = self.lock();
        if state.waiting == 0 || state.paused || state.in_use > state.size || !state.admit_next(lane) {
            state.in_use = state.in_use.saturating_sub(1);
        }
    }

    /// Stops or lets in.
    pub(super) fn set_paused(&self, paused: bool) {
        let mut state = self.lock();
        state.paused = paused;
        state.admit_free();
    }

    pub(super) fn snapshot(&self) -> GateSnapshot {
        let state = self.lock();
        GateSnapshot {
            in_use: state.in_use,
            waiting: state.waiting,
            oldest: state.lanes.iter().filter_map(|queue| Some(queue.front()?.since)).min(),
            is_paused: state.paused,
        }
    }

    /// A waiter gave up.
    pub(super) fn forget_closed(&self) {
        let mut state = self.lock();
        for queue in &mut state.lanes {
            queue.retain(|waiter| !waiter.admit.is_closed());
        }
        state.recount();
    }
}

impl State {
    fn recount(&mut self) {
        self.waiting = u32::try_from(self.lanes.iter().map(VecDeque::len).sum::<usize>()).unwrap_or(u32::MAX);
    }

    fn admit_free(&mut self) {
        while !self.paused && self.in_use < self.size && self.waiting > 0 {
            if !self.admit_next(usize::MAX) {
                break;
            }
            self.in_use += 1;
        }
    }

    fn has_waited_long(&self, lane: usize) -> bool {
        let oldest = self.lanes.get(lane).and_then(VecDeque::front);
        oldest.is_some_and(|waiter| waiter.since.elapsed() >= OVERTAKE_TIME)
    }

    /// Lets the next waiter in; whether there was one.
    fn admit_next(&mut self, own: usize) -> bool {
        loop {
            let head =
                |lane: usize| self.lanes.get(lane).and_then(VecDeque::front).map(|waiter| waiter.ticket);
            let oldest = (0..self.lanes.len()).filter_map(|lane| Some((head(lane)?, lane))).min();
            let Some((oldest_ticket, oldest_lane)) = oldest else { return false };
            let lane = match head(own) {
                Some(ticket) if ticket == oldest_ticket => own,
                Some(ticket)
                    if ticket < oldest_ticket + OVERTAKE_MAX && !self.has_waited_long(oldest_lane) =>
                {
                    own
                }
                _ => oldest_lane,
            };
            let Some(waiter) = self.lanes.get_mut(lane).and_then(VecDeque::pop_front) else { return false };
            self.waiting = self.waiting.saturating_sub(1);
            if waiter.admit.send(()).is_ok() {
                return true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(gate: &Gate, lane: usize) -> oneshot::Receiver<()> {
        match gate.enter(lane, 100) {
            Entry::Wait(receiver) => receiver,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn admits_up_to_size_then_first_come_first_served() {
        let gate = Gate::new(1);
        assert!(matches!(gate.enter(0, 100), Entry::Admitted));
        let mut first = wait(&gate, 0);
        let mut second = wait(&gate, 0);
        gate.leave(0);
        assert!(first.try_recv().is_ok());
        assert!(second.try_recv().is_err());
        gate.leave(0);
        assert!(second.try_recv().is_ok());
        gate.leave(0);
        assert_eq!(gate.snapshot().in_use, 0);
    }

    #[test]
    fn a_waiter_of_another_thread_is_overtaken_only_so_often() {
        let gate = Gate::new(1);
        assert!(matches!(gate.enter(0, 1000), Entry::Admitted));
        let mut other = wait(&gate, 1);
        let mut passed = 0;
        while other.try_recv().is_err() {
            let mut own = match gate.enter(0, 1000) {
                Entry::Wait(receiver) => receiver,
                other => panic!("{other:?}"),
            };
            gate.leave(0);
            if own.try_recv().is_ok() {
                passed += 1;
            }
            assert!(passed <= OVERTAKE_MAX);
        }
        assert!(passed > 0);
    }

    #[test]
    fn a_waiter_of_another_thread_that_has_waited_long_is_overtaken_no_more() {
        let gate = Gate::new(1);
        assert!(matches!(gate.enter(0, 100), Entry::Admitted));
        let mut other = wait(&gate, 1);
        let mut own = wait(&gate, 0);
        std::thread::sleep(OVERTAKE_TIME);
        gate.leave(0);
        assert!(other.try_recv().is_ok());
        assert!(own.try_recv().is_err());
    }

    #[test]
    fn one_who_gave_up_is_passed_over() {
        let gate = Gate::new(1);
        assert!(matches!(gate.enter(0, 100), Entry::Admitted));
        drop(wait(&gate, 0));
        let mut second = wait(&gate, 0);
        gate.leave(0);
        assert!(second.try_recv().is_ok());
        assert_eq!(gate.snapshot().waiting, 0);
    }

    #[test]
    fn pause_keeps_all_out_and_resume_lets_them_in() {
        let gate = Gate::new(2);
        gate.set_paused(true);
        let mut first = wait(&gate, 0);
        assert!(first.try_recv().is_err());
        gate.set_paused(false);
        assert!(first.try_recv().is_ok());
        assert_eq!(gate.snapshot().in_use, 1);
    }

    #[test]
    fn the_queue_is_bounded() {
        let gate = Gate::new(0);
        let _first = wait(&gate, 0);
        assert!(matches!(gate.enter(0, 1), Entry::QueueFull));
    }
}
