//! Outer joins.

use super::classes::Classes;
use super::from::Part;
use super::keys::Key;
use super::{Frame, Locate, Spread};
use crate::fault::Fault;
use crate::sql::query::{Expr, ItemId, JoinKind, Pair};

impl<'q> Locate<'q> {
    /// An outer join. `above` are conditions on the joined rows.
    pub(super) fn outer_join(&mut self, kind: JoinKind, pair: &'q Pair, above: &[&'q Expr]) -> Part<'q> {
        let on: Vec<&'q Expr> = pair.on.iter().flat_map(Expr::conjuncts).collect();
        // A condition on the preserved side alone may be taken before the join; one in ON on the other side
        // alone as well.
        let (left_items, right_items) = (pair.left.items(), pair.right.items());
        let left_conjuncts = match kind {
            JoinKind::Left if Fault::OnRestrictsPreserved.is_planted() => self.only_of(&on, &left_items),
            JoinKind::Left => self.only_of(above, &left_items),
            JoinKind::Right => self.only_of(&on, &left_items),
            JoinKind::Inner | JoinKind::Full => Vec::new(),
        };
        let right_conjuncts = match kind {
            JoinKind::Left => self.only_of(&on, &right_items),
            JoinKind::Right => self.only_of(above, &right_items),
            JoinKind::Inner | JoinKind::Full => Vec::new(),
        };
        let left = self.region(&[&pair.left], left_conjuncts);
        // LATERAL on the right sees the left side.
        let classes = Classes::new(&left.links, &left.facts);
        self.frames.push(Frame { keys: left.keys.clone(), facts: classes.all_facts() });
        let right = self.region(&[&pair.right], right_conjuncts);
        self.frames.pop();
        match kind {
            JoinKind::Right => self.combine(kind, right, left, &on),
            _ => self.combine(kind, left, right, &on),
        }
    }

    /// The preserved side with the one that may be filled with NULLs; of a FULL JOIN both are both.
    fn combine(
        &self,
        kind: JoinKind,
        preserved: Part<'q>,
        mut filled: Part<'q>,
        on: &[&'q Expr],
    ) -> Part<'q> {
        let said = self.said(on);
        let mut links = preserved.links.clone();
        links.extend(filled.links.iter().copied());
        let mut facts = preserved.facts.clone();
        facts.extend(filled.facts.iter().cloned());
        // What ON says holds where both sides match.
        let matching_links = [&links[..], &said.links[..]].concat();
        let matching_facts = [&facts[..], &said.facts[..]].concat();
        let classes = Classes::new(&matching_links, &self.with_outer(&matching_facts));
        if kind != JoinKind::Full {
            self.refine(&mut filled.reaches, &classes);
        }
        let is_linked = preserved.keys.iter().any(|a| filled.keys.iter().any(|b| a.is_linked(b, &classes)));
        let spread = spread(kind, &preserved, &filled, is_linked);
        let keys = keys(kind, &preserved, &filled, &classes);
        // In the joined rows either side of a link may be NULL.
        links.iter_mut().for_each(|link| link.is_strict = false);
        let mut reaches = preserved.reaches;
        reaches.extend(filled.reaches);
        Part {
            spread,
            is_anchored: preserved.is_anchored || filled.is_anchored,
            has_tables: preserved.has_tables || filled.has_tables,
            keys,
            facts,
            links,
            reaches,
            name: preserved.name,
        }
    }

    /// The conditions that name columns of these items and of outer rows only.
    fn only_of(&self, conjuncts: &[&'q Expr], items: &[ItemId]) -> Vec<&'q Expr> {
        let own = self.levels.last().map_or(&[][..], Vec::as_slice);
        let is_outer = |item: ItemId| !own.contains(&item);
        let is_only = |expr: &&&'q Expr| {
            !expr.any(&mut |part| match part {
                Expr::Subquery(_) => true,
                Expr::Column(item, _)
                | Expr::Unknown(item, _)
                | Expr::System(item, _)
                | Expr::WholeRow(item) => !items.contains(item) && !is_outer(*item),
                _ => false,
            })
        };
        conjuncts.iter().filter(is_only).copied().collect()
    }
}

fn spread(kind: JoinKind, preserved: &Part<'_>, filled: &Part<'_>, is_linked: bool) -> Spread {
    match (&preserved.spread, &filled.spread) {
        (Spread::Not(reason), _) | (_, Spread::Not(reason)) => Spread::Not(reason.clone()),
        (Spread::Everywhere, Spread::Everywhere) => Spread::Everywhere,
        (Spread::ByKey(group), Spread::Everywhere) if kind != JoinKind::Full => Spread::ByKey(*group),
        (Spread::ByKey(group), Spread::ByKey(_)) if is_linked => Spread::ByKey(*group),
        (Spread::ByKey(_), Spread::ByKey(_)) => Spread::Not(format!(
            "\"{}\" and \"{}\" are not joined on their sharding keys",
            preserved.name, filled.name
        )),
        // The rows of an outer row's shard, joined with others of it.
        (Spread::Everywhere, Spread::ByKey(_)) if preserved.is_anchored && is_linked => Spread::Everywhere,
        (Spread::Everywhere, Spread::ByKey(group)) if Fault::PreservedEverywhere.is_planted() => {
            Spread::ByKey(*group)
        }
        (Spread::Everywhere, Spread::ByKey(_)) => Spread::Not(format!(
            "every shard would keep the rows of \"{}\" that match nothing in \"{}\" there",
            preserved.name, filled.name
        )),
        (Spread::ByKey(_), Spread::Everywhere) => Spread::Not(format!(
            "every shard would keep the rows of \"{}\" that match nothing in \"{}\" there",
            filled.name, preserved.name
        )),
    }
}

fn keys(kind: JoinKind, preserved: &Part<'_>, filled: &Part<'_>, classes: &Classes<'_>) -> Vec<Key> {
    let mut keys: Vec<Key> = match kind {
        JoinKind::Full => preserved.keys.iter().map(Key::weakened).collect(),
        _ => preserved.keys.clone(),
    };
    keys.extend(filled.keys.iter().map(Key::weakened));
    if kind == JoinKind::Full {
        for one in &preserved.keys {
            for other in filled.keys.iter().filter(|other| one.is_linked(other, classes)) {
                keys.push(merged(one, other));
            }
        }
    }
    keys
}

/// What USING makes of two keys: the one that is there.
fn merged(one: &Key, other: &Key) -> Key {
    let position = |(one, other): (&Vec<Expr>, &Vec<Expr>)| {
        let pair = |a: &Expr, b: &Expr| {
            [Expr::Merged(vec![a.clone(), b.clone()]), Expr::Merged(vec![b.clone(), a.clone()])]
        };
        one.iter().flat_map(|a| other.iter().flat_map(move |b| pair(a, b))).collect()
    };
    Key {
        group: one.group,
        is_strong: one.is_strong && other.is_strong,
        holders: one.holders.iter().zip(&other.holders).map(position).collect(),
    }
}
