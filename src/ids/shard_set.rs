//! A set of shards.

use super::ShardId;
use std::fmt;

const WORD: u16 = 64;

/// A set of shards: one word for the first 64, which allocates nothing; more words for clusters with more.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct ShardSet {
    first: u64,
    /// Bits of the shards from 64 on; the last word is never 0, so that equal sets are equal values.
    more: Vec<u64>,
}

impl ShardSet {
    /// No shard.
    pub const fn empty() -> ShardSet {
        ShardSet { first: 0, more: Vec::new() }
    }

    /// The first `count` shards.
    pub fn all(count: u16) -> ShardSet {
        (0..count).map(ShardId).collect()
    }

    /// One shard.
    pub fn one(shard: ShardId) -> ShardSet {
        let mut set = ShardSet::empty();
        set.insert(shard);
        set
    }

    /// Adds a shard.
    #[inline]
    pub fn insert(&mut self, shard: ShardId) {
        let bit = 1 << (shard.0 % WORD);
        match usize::from(shard.0 / WORD).checked_sub(1) {
            None => self.first |= bit,
            Some(at) => {
                if self.more.len() <= at {
                    self.more.resize(at + 1, 0);
                }
                if let Some(word) = self.more.get_mut(at) {
                    *word |= bit;
                }
            }
        }
    }

    /// Whether the shard is in the set.
    #[inline]
    pub fn contains(&self, shard: ShardId) -> bool {
        self.word(usize::from(shard.0 / WORD)) & (1 << (shard.0 % WORD)) != 0
    }

    /// The shards of either set.
    #[must_use]
    pub fn union(&self, other: &ShardSet) -> ShardSet {
        self.combine(other, |a, b| a | b)
    }

    /// The shards of both sets.
    #[must_use]
    pub fn intersect(&self, other: &ShardSet) -> ShardSet {
        self.combine(other, |a, b| a & b)
    }

    /// How many shards there are.
    pub fn len(&self) -> usize {
        self.words().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first == 0 && self.more.is_empty()
    }

    /// The shard of a set of one.
    #[inline]
    pub fn only(&self) -> Option<ShardId> {
        let mut shards = self.iter();
        let only = shards.next()?;
        shards.next().is_none().then_some(only)
    }

    /// The shards in rising order.
    pub fn iter(&self) -> impl Iterator<Item = ShardId> + '_ {
        self.words().zip(0_u16..).flat_map(|(word, number)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = u16::try_from(rest.trailing_zeros()).ok().filter(|bit| *bit < WORD)?;
                rest &= rest - 1;
                Some(ShardId(number * WORD + bit))
            })
        })
    }

    fn words(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::once(self.first).chain(self.more.iter().copied())
    }

    fn word(&self, at: usize) -> u64 {
        match at.checked_sub(1) {
            None => self.first,
            Some(at) => self.more.get(at).copied().unwrap_or(0),
        }
    }

    fn combine(&self, other: &ShardSet, operation: impl Fn(u64, u64) -> u64) -> ShardSet {
        let words = self.more.len().max(other.more.len());
        let mut more: Vec<u64> = (1..=words).map(|at| operation(self.word(at), other.word(at))).collect();
        while more.last() == Some(&0) {
            more.pop();
        }
        ShardSet { first: operation(self.first, other.first), more }
    }
}

impl FromIterator<ShardId> for ShardSet {
    fn from_iter<I: IntoIterator<Item = ShardId>>(shards: I) -> ShardSet {
        let mut set = ShardSet::empty();
        shards.into_iter().for_each(|shard| set.insert(shard));
        set
    }
}

impl fmt::Debug for ShardSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|shard| shard.0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn set(shards: &[u16]) -> ShardSet {
        shards.iter().copied().map(ShardId).collect()
    }

    #[test]
    fn sets_are_as_sets_are() {
        let samples: [&[u16]; 7] =
            [&[], &[0], &[63], &[64], &[0, 1, 63, 64, 127, 128, 65535], &[5, 64, 200], &[1, 2, 3]];
        for a in samples {
            let (set_a, model_a): (ShardSet, BTreeSet<u16>) = (set(a), a.iter().copied().collect());
            assert_eq!(set_a.iter().map(|shard| shard.0).collect::<BTreeSet<u16>>(), model_a);
            assert_eq!((set_a.len(), set_a.is_empty()), (a.len(), a.is_empty()));
            assert_eq!(set_a.only(), if let [only] = a { Some(ShardId(*only)) } else { None });
            for b in samples {
                let (set_b, model_b): (ShardSet, BTreeSet<u16>) = (set(b), b.iter().copied().collect());
                let both: Vec<u16> = model_a.intersection(&model_b).copied().collect();
                let either: Vec<u16> = model_a.union(&model_b).copied().collect();
                assert_eq!(set_a.intersect(&set_b), set(&both), "{a:?} {b:?}");
                assert_eq!(set_a.union(&set_b), set(&either), "{a:?} {b:?}");
                for shard in b {
                    assert_eq!(set_a.contains(ShardId(*shard)), model_a.contains(shard));
                }
            }
        }
        assert_eq!(ShardSet::all(3), set(&[0, 1, 2]));
        assert_eq!(ShardSet::all(130).len(), 130);
        assert_eq!(format!("{:?}", set(&[2, 70])), "{2, 70}");
    }
}
