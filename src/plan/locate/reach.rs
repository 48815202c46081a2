//! The shards that bear on a part of FROM.

use super::Locate;
use super::classes::Classes;
use super::facts::Fact;
use super::keys::Key;
use crate::datum::key::KeyType;
use crate::fault::Fault;
use crate::plan::prune::{KeyList, KeySource, Limit, Prune};
use crate::rules::{Group, GroupId, Placement};
use crate::sql::query::Expr;

/// The shards of one table, or of one subquery, that bear on the rows.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    pub(super) prune: Prune,
    /// The keys by which conditions may make it smaller.
    pub(super) keys: Vec<Key>,
}

impl<'q> Locate<'q> {
    /// Makes reaches smaller by what is known of their keys.
    pub(super) fn refine(&self, reaches: &mut [Reach], classes: &Classes<'q>) {
        for reach in reaches {
            for key in &reach.keys {
                // Of a key that may be NULL a condition must hold, or rows with NULL are lost.
                let is_compared =
                    |holders: &Vec<Expr>| holders.iter().any(|holder| classes.is_compared(holder));
                if !key.is_strong && !key.holders.iter().all(is_compared) {
                    continue;
                }
                let sets = self.sets(key, classes);
                let whole = std::mem::replace(&mut reach.prune, Prune::Nothing);
                reach.prune = Prune::all(whole, sets);
            }
        }
    }

    /// The sets that what is known of a key's columns stands for.
    fn sets(&self, key: &Key, classes: &Classes<'q>) -> Vec<Prune> {
        let Some(group) = self.schema.rules().group(key.group) else { return Vec::new() };
        let facts: Vec<Vec<&Fact<'q>>> =
            key.holders.iter().map(|holders| classes.facts_of(holders)).collect();
        let mut sets: Vec<Prune> = Vec::new();
        if facts.iter().flatten().any(|fact| **fact == Fact::Never) {
            return vec![Prune::Nothing];
        }
        if let ([facts], [key_type]) = (&facts[..], &group.key_types[..]) {
            sets.extend(facts.iter().filter_map(|fact| self.set_of(fact, key.group, group, *key_type)));
            return sets;
        }
        if let Some(columns) = self.columns(&facts, group) {
            sets.push(Prune::Key { group: key.group, columns });
        } else if let (Some(facts), Some(key_type)) = (facts.first(), group.key_types.first()) {
            // The first column alone says something where keys are placed in its order.
            sets.extend(facts.iter().filter_map(|fact| self.set_of(fact, key.group, group, *key_type)));
        }
        sets
    }

    /// Values for every key column.
    fn columns(&self, facts: &[Vec<&Fact<'q>>], group: &Group) -> Option<Vec<KeyList>> {
        let list = |(facts, key_type): (&Vec<&Fact<'q>>, &KeyType)| {
            // The shortest list says the most.
            let lists = facts.iter().filter_map(|fact| self.list(fact, *key_type));
            lists.min_by_key(|list| match list {
                KeyList::Values(values) => values.len(),
                KeyList::Array(_) => usize::MAX,
            })
        };
        facts.iter().zip(&group.key_types).map(list).collect()
    }

    /// The values that a fact leaves.
    fn list(&self, fact: &Fact<'q>, key_type: KeyType) -> Option<KeyList> {
        match fact {
            Fact::Equals(values) => self.sources(values, key_type).map(KeyList::Values),
            Fact::Element(array) => self.constants.array(array, key_type).map(KeyList::Array),
            Fact::Either(branches) => {
                let mut all = Vec::new();
                for branch in branches {
                    match branch.iter().find_map(|fact| self.list(fact, key_type))? {
                        KeyList::Values(values) => all.extend(values),
                        KeyList::Array(_) => return None,
                    }
                }
                Some(KeyList::Values(all))
            }
            Fact::Low(..) | Fact::High(..) | Fact::Never => None,
        }
    }

    fn sources(&self, values: &[&Expr], key_type: KeyType) -> Option<Vec<KeySource>> {
        values.iter().map(|value| self.constants.source(value, key_type)).collect()
    }

    /// The set that a fact about the first key column stands for.
    fn set_of(&self, fact: &Fact<'q>, id: GroupId, group: &Group, key_type: KeyType) -> Option<Prune> {
        let is_ordered = !matches!(group.placement, Placement::Hash(_));
        match fact {
            Fact::Equals(_) | Fact::Element(_) => {
                let is_whole = group.key_types.len() == 1;
                let list = self.list(fact, key_type).filter(|_| is_whole || is_ordered)?;
                Some(Prune::Key { group: id, columns: vec![list] })
            }
            Fact::Low(value, is_included) | Fact::High(value, is_included) => {
                if !is_ordered || !self.is_ordered_as_key(key_type) {
                    return None;
                }
                let limit =
                    Limit { value: self.constants.source(value, key_type)?, is_included: *is_included };
                Some(match fact {
                    Fact::Low(..) => Prune::Range { group: id, low: Some(limit), high: None },
                    _ => Prune::Range { group: id, low: None, high: Some(limit) },
                })
            }
            Fact::Either(branches) => {
                let branch = |facts: &Vec<Fact<'q>>| {
                    let sets: Vec<Prune> =
                        facts.iter().filter_map(|fact| self.set_of(fact, id, group, key_type)).collect();
                    (!sets.is_empty()).then(|| Prune::all(Locate::whole(id), sets))
                };
                Some(Prune::any(branches.iter().map(branch).collect::<Option<Vec<_>>>()?))
            }
            Fact::Never => Some(Prune::Nothing),
        }
    }

    /// Whether inequalities go by the order in which keys are placed: of texts only under collation C.
    fn is_ordered_as_key(&self, key_type: KeyType) -> bool {
        key_type != KeyType::Text || self.texts_are_c()
    }

    /// Whether all sharding keys of type text compare by their bytes.
    fn texts_are_c(&self) -> bool {
        let catalog = self.schema.catalog();
        self.schema.rules().sharded().iter().all(|table| {
            let Some(relation) = catalog.relation(&table.schema, &table.table) else { return true };
            table.keys.iter().filter_map(|key| relation.column(key)).all(|column| {
                column.collation == 0 || catalog.collation(column.collation).is_some_and(|c| c.is_c)
            })
        })
    }

    /// Whether all keys of a spread group come from one table or are linked; the first that is not.
    pub(super) fn first_unlinked<'k>(
        parts: &'k [(Vec<Key>, String)],
        anchors: &[Key],
        classes: &Classes<'q>,
    ) -> Option<(&'k str, &'k str)> {
        let linked = |a: &[Key], b: &[Key]| a.iter().any(|a| b.iter().any(|b| a.is_linked(b, classes)));
        let (first, rest) = parts.split_first()?;
        let is_anchored = parts.iter().any(|(keys, _)| linked(keys, anchors));
        // Parts that are linked to what is linked already.
        let mut reached: Vec<bool> =
            parts.iter().map(|(keys, _)| is_anchored && linked(keys, anchors)).collect();
        if !is_anchored && let Some(slot) = reached.first_mut() {
            *slot = true;
        }
        loop {
            let mut is_changed = false;
            for at in 0..parts.len() {
                let is_new = !reached.get(at).copied().unwrap_or(true)
                    && parts.iter().enumerate().any(|(other, (keys, _))| {
                        reached.get(other) == Some(&true)
                            && parts.get(at).is_some_and(|(mine, _)| linked(mine, keys))
                    });
                if let (true, Some(slot)) = (is_new, reached.get_mut(at)) {
                    *slot = true;
                    is_changed = true;
                }
            }
            if !is_changed {
                break;
            }
        }
        let lost = reached.iter().position(|reached| !reached && !Fault::JoinUnlinked.is_planted())?;
        let name = |at: usize| parts.get(at).map_or("", |(_, name)| name.as_str());
        let other = if lost == 0 { rest.first().map_or("", |(_, name)| name) } else { &first.1 };
        Some((other, name(lost)))
    }
}
