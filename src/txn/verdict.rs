//! What becomes of prepared transactions that are found.

use super::gid::{Gid, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A prepared transaction younger than this is left to the proxy that runs it, as long as that one lives.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A prepared transaction of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Its name.
    pub gid: Gid,
    /// The role that may finish it.
    pub owner: String,
    /// How long it has been prepared.
    pub age: Duration,
}

/// Who may be at work on transactions.
#[derive(Clone, Debug, Default)]
pub struct AtWork {
    /// This proxy's epoch.
    pub own: i64,
    /// The transactions that this proxy is committing right now.
    pub running: BTreeSet<Transaction>,
    /// The epochs of the proxies that live, this one among them; `None` where that is not known.
    pub living: Option<BTreeSet<i64>>,
}

/// What is to be asked of the decider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether it has decided. Somebody may be at work on it: no answer is no outcome.
    Look,
    /// To decide that it is aborted, unless it has decided otherwise.
    Settle,
}

/// What has to be asked, by transaction; those that are not listed are left to who runs them.
///
/// `prepared` has to be read before `at_work`: a transaction that begins in between is not in `prepared`, and one that
/// ends in between is finished by its proxy.
pub fn questions<'a>(
    prepared: impl IntoIterator<Item = &'a Prepared>,
    at_work: &AtWork,
) -> BTreeMap<Transaction, Question> {
    let mut questions = BTreeMap::new();
    for one in prepared {
        let Gid { epoch, transaction, .. } = one.gid;
        let is_running = match &at_work.living {
            _ if epoch == at_work.own => at_work.running.contains(&transaction),
            Some(living) => living.contains(&epoch),
            None => one.age < PATIENCE * 2,
        };
        let question = match (is_running, one.age < PATIENCE) {
            (false, _) => Question::Settle,
            // Its proxy lives, and cannot reach the shard, or is slow.
            (true, false) => Question::Look,
            (true, true) => continue,
        };
        let asked = questions.entry(transaction).or_insert(question);
        if question == Question::Settle {
            *asked = Question::Settle;
        }
    }
    questions
}

#[cfg(test)]
mod tests {
    use super::super::gid::ShardTag;
    use super::*;

    fn prepared(epoch: i64, secret: &[u8], seconds: u64) -> Prepared {
        let gid = Gid {
            cluster: "c".to_owned(),
            decider: ShardTag::of("a"),
            participant: ShardTag::of("b"),
            epoch,
            transaction: Transaction::of_secret(secret),
        };
        Prepared { gid, owner: "app".to_owned(), age: Duration::from_secs(seconds) }
    }

    fn asked(prepared: &Prepared, at_work: &AtWork) -> Option<Question> {
        questions([prepared], at_work).get(&prepared.gid.transaction).copied()
    }

    #[test]
    fn what_this_proxy_is_committing_is_left_to_it() {
        let running = BTreeSet::from([Transaction::of_secret(b"x")]);
        let at_work = AtWork { own: 1, running, living: Some(BTreeSet::from([1])) };
        assert_eq!(asked(&prepared(1, b"x", 0), &at_work), None);
        assert_eq!(asked(&prepared(1, b"x", 60), &at_work), Some(Question::Look));
        assert_eq!(asked(&prepared(1, b"y", 0), &at_work), Some(Question::Settle));
    }

    #[test]
    fn what_a_living_proxy_runs_is_looked_at_but_never_aborted() {
        let at_work = AtWork { own: 1, living: Some(BTreeSet::from([1, 2])), ..AtWork::default() };
        assert_eq!(asked(&prepared(2, b"x", 1), &at_work), None);
        assert_eq!(asked(&prepared(2, b"x", 60), &at_work), Some(Question::Look));
        assert_eq!(asked(&prepared(3, b"x", 0), &at_work), Some(Question::Settle));
    }

    #[test]
    fn where_nobody_can_say_who_lives_age_decides() {
        let at_work = AtWork { own: 1, living: None, ..AtWork::default() };
        assert_eq!(asked(&prepared(2, b"x", 1), &at_work), None);
        assert_eq!(asked(&prepared(2, b"x", 7), &at_work), Some(Question::Look));
        assert_eq!(asked(&prepared(2, b"x", 60), &at_work), Some(Question::Settle));
    }
}
