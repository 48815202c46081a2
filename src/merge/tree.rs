//! A tournament of k sorted streams: a loser tree.
//!
//! Source: D. Knuth, The Art of Computer Programming, volume 3, section 5.4.1.

/// Which of `k` streams has the least head. It holds no heads: whoever does says which of two wins.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// `losers[0]` is the winner; `losers[n]` lost the match at node n, whose children are 2n and 2n + 1;
    /// stream s stands at leaf k + s.
    losers: Vec<usize>,
}

impl Tree {
    /// Plays all matches anew.
    pub(super) fn build(&mut self, streams: usize, wins: impl Fn(usize, usize) -> bool) {
        self.losers.clear();
        self.losers.resize(streams, 0);
        // The winner below each node, from the leaves up.
        let mut winners = vec![0; 2 * streams];
        for node in (1..2 * streams).rev() {
            let winner = if node >= streams {
                node - streams
            } else {
                let at = |child: usize| winners.get(child).copied().unwrap_or(0);
                let (left, right) = (at(2 * node), at(2 * node + 1));
                let (winner, loser) = if wins(left, right) { (left, right) } else { (right, left) };
                if let Some(slot) = self.losers.get_mut(node) {
                    *slot = loser;
                }
                winner
            };
            if let Some(slot) = winners.get_mut(node) {
                *slot = winner;
            }
        }
        if let (Some(slot), Some(winner)) = (self.losers.first_mut(), winners.get(1)) {
            *slot = *winner;
        }
    }

    /// The stream with the least head.
    #[inline]
    pub(super) fn winner(&self) -> usize {
        self.losers.first().copied().unwrap_or(0)
    }

    /// The winner has another head: plays its matches anew.
    #[inline]
    pub(super) fn replay(&mut self, wins: impl Fn(usize, usize) -> bool) {
        let mut winner = self.winner();
        let mut node = (self.losers.len() + winner) / 2;
        while node > 0 {
            if let Some(loser) = self.losers.get_mut(node)
                && wins(*loser, winner)
            {
                std::mem::swap(loser, &mut winner);
            }
            node /= 2;
        }
        if let Some(slot) = self.losers.first_mut() {
            *slot = winner;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_come_out_sorted_whatever_their_number() {
        for streams in 1..12_usize {
            let mut heads: Vec<u32> = (0..streams).map(|s| (s * 7 % 5) as u32).collect();
            let mut tree = Tree::default();
            let less = |heads: &[u32], a: usize, b: usize| (heads[a], a) < (heads[b], b);
            tree.build(streams, |a, b| less(&heads, a, b));
            let mut last = 0;
            for step in 0..200 {
                let winner = tree.winner();
                let best = (0..streams).min_by_key(|s| (heads[*s], *s)).unwrap();
                assert_eq!(winner, best, "{streams} streams, step {step}");
                assert!(heads[winner] >= last);
                last = heads[winner];
                heads[winner] += (step * 13 % 7) as u32;
                tree.replay(|a, b| less(&heads, a, b));
            }
        }
    }
}
