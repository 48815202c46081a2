//! FROM: inner joins and their leaves.

use super::classes::{Classes, Link};
use super::facts::Fact;
use super::keys::Key;
use super::reach::Reach;
use super::{Col, Frame, Locate, Spread};
use crate::ids::ShardId;
use crate::plan::prune::Prune;
use crate::plan::schema::Meaning;
use crate::sql::query::{Expr, ItemId, Join, JoinKind, Named, Pair, Source};

/// What is known of a part of FROM.
#[derive(Clone, Debug)]
pub(super) struct Part<'q> {
    pub(super) spread: Spread,
    /// Whether it has rows of sharded tables that lie on the shard of an outer row.
    pub(super) is_anchored: bool,
    /// Whether it reads any table.
    pub(super) has_tables: bool,
    pub(super) keys: Vec<Key>,
    /// What is known of columns in every row; or they are NULL.
    pub(super) facts: Vec<(Col, Fact<'q>)>,
    pub(super) links: Vec<Link>,
    pub(super) reaches: Vec<Reach>,
    pub(super) name: String,
}

impl<'q> Part<'q> {
    /// The same on every shard, from no table.
    pub(super) fn nothing() -> Part<'q> {
        Part {
            spread: Spread::Everywhere,
            is_anchored: false,
            has_tables: false,
            keys: Vec::new(),
            facts: Vec::new(),
            links: Vec::new(),
            reaches: Vec::new(),
            name: String::new(),
        }
    }

    fn at(shard: ShardId, reason: String, name: String) -> Part<'q> {
        let reach = Reach { prune: Prune::Shard(shard), keys: Vec::new() };
        Part { spread: Spread::Not(reason), has_tables: true, reaches: vec![reach], name, ..Part::nothing() }
    }

    pub(super) fn refuse(&mut self, reason: String) {
        if !matches!(self.spread, Spread::Not(_)) {
            self.spread = Spread::Not(reason);
        }
    }
}

/// A leaf of inner joins.
enum Leaf<'q> {
    Item(ItemId),
    Outer(JoinKind, &'q Pair),
}

impl<'q> Locate<'q> {
    /// Inner joins of `joins` under `conjuncts`.
    pub(super) fn region(&mut self, joins: &[&'q Join], conjuncts: Vec<&'q Expr>) -> Part<'q> {
        let (leaves, conjuncts) = self.flatten(joins, conjuncts);
        let said = self.said(&conjuncts);
        let mut all = Part { facts: said.facts, links: said.links, ..Part::nothing() };
        let mut parts: Vec<(Vec<Key>, String)> = Vec::new();
        let mut groups = Vec::new();
        let mut reason = None;
        for leaf in leaves {
            // LATERAL sees the leaves to its left.
            let classes = Classes::new(&all.links, &self.with_outer(&all.facts));
            self.frames.push(Frame { keys: all.keys.clone(), facts: classes.all_facts() });
            let part = match leaf {
                Leaf::Item(item) => self.item(item),
                Leaf::Outer(kind, pair) => self.outer_join(kind, pair, &conjuncts),
            };
            self.frames.pop();
            match &part.spread {
                Spread::Everywhere => {}
                Spread::ByKey(group) => {
                    groups.push(*group);
                    parts.push((part.keys.clone(), part.name.clone()));
                }
                Spread::Not(why) => reason = reason.or_else(|| Some(why.clone())),
            }
            if all.name.is_empty() {
                all.name.clone_from(&part.name);
            }
            all.is_anchored |= part.is_anchored;
            all.has_tables |= part.has_tables;
            all.keys.extend(part.keys);
            all.facts.extend(part.facts);
            all.links.extend(part.links);
            all.reaches.extend(part.reaches);
        }
        let classes = Classes::new(&all.links, &self.with_outer(&all.facts));
        self.refine(&mut all.reaches, &classes);
        all.keys = all.keys.iter().map(|key| key.expanded(&classes)).collect();
        all.facts = classes.all_facts();
        all.spread = match reason {
            Some(reason) => Spread::Not(reason),
            None => self.joined(&parts, &groups, &classes, &mut all.is_anchored),
        };
        all
    }

    /// Where the rows of joined parts lie.
    fn joined(
        &self,
        parts: &[(Vec<Key>, String)],
        groups: &[crate::rules::GroupId],
        classes: &Classes<'q>,
        is_anchored: &mut bool,
    ) -> Spread {
        let Some(first) = groups.first() else { return Spread::Everywhere };
        let anchors: Vec<Key> = self.frames.iter().flat_map(|frame| frame.keys.iter().cloned()).collect();
        if let Some((one, other)) = Locate::first_unlinked(parts, &anchors, classes) {
            return Spread::Not(if one == other {
                format!("\"{one}\" is joined with itself on other columns than its sharding key")
            } else {
                format!("\"{one}\" and \"{other}\" are not joined on their sharding keys")
            });
        }
        let is_at_outer_row = |keys: &Vec<Key>| {
            keys.iter().any(|key| anchors.iter().any(|anchor| key.is_linked(anchor, classes)))
        };
        // Linked to each other and one to an outer row: all lie on its shard.
        if parts.iter().any(|(keys, _)| is_at_outer_row(keys)) {
            *is_anchored = true;
            return Spread::Everywhere;
        }
        Spread::ByKey(*first)
    }

    /// The leaves below inner joins, with all conditions of the inner joins; an outer join whose NULLs no row
    /// that counts has is an inner one.
    fn flatten(&self, joins: &[&'q Join], mut conjuncts: Vec<&'q Expr>) -> (Vec<Leaf<'q>>, Vec<&'q Expr>) {
        let mut todo: Vec<&'q Join> = joins.to_vec();
        loop {
            let mut leaves = Vec::new();
            let mut next: Vec<&'q Join> = Vec::new();
            let mut is_changed = false;
            for join in &todo {
                let Join::Pair(pair) = join else {
                    next.push(join);
                    continue;
                };
                if self.reduced(pair, &conjuncts) == JoinKind::Inner {
                    next.extend([&pair.left, &pair.right]);
                    conjuncts.extend(pair.on.iter().flat_map(Expr::conjuncts));
                    is_changed = true;
                } else {
                    next.push(join);
                }
            }
            todo = next;
            if is_changed {
                continue;
            }
            for join in todo {
                leaves.push(match join {
                    Join::Item(item) => Leaf::Item(*item),
                    Join::Pair(pair) => Leaf::Outer(self.reduced(pair, &conjuncts), pair),
                });
            }
            return (leaves, conjuncts);
        }
    }

    /// The kind of join that gives the same rows under conditions that refuse NULLs.
    fn reduced(&self, pair: &Pair, conjuncts: &[&'q Expr]) -> JoinKind {
        let refuses = |side: &Join| {
            let items = side.items();
            conjuncts.iter().any(|expr| self.is_strict_in(expr, &|column| items.contains(&column.0)))
        };
        match pair.kind {
            JoinKind::Inner => JoinKind::Inner,
            JoinKind::Left if refuses(&pair.right) => JoinKind::Inner,
            JoinKind::Right if refuses(&pair.left) => JoinKind::Inner,
            JoinKind::Full => match (refuses(&pair.left), refuses(&pair.right)) {
                (true, true) => JoinKind::Inner,
                // Rows without a left side are gone.
                (true, false) => JoinKind::Left,
                (false, true) => JoinKind::Right,
                (false, false) => JoinKind::Full,
            },
            kind => kind,
        }
    }

    /// Facts with those of outer rows.
    pub(super) fn with_outer(&self, facts: &[(Col, Fact<'q>)]) -> Vec<(Col, Fact<'q>)> {
        let outer = self.frames.iter().flat_map(|frame| frame.facts.iter().cloned());
        facts.iter().cloned().chain(outer).collect()
    }

    /// An entry of FROM.
    fn item(&mut self, id: ItemId) -> Part<'q> {
        let Some(item) = self.statement.item(id) else { return Part::nothing() };
        let name = item.name.clone().unwrap_or_else(|| "a subquery".to_owned());
        let mut part = match &item.source {
            Source::Relation(named) => self.relation(id, named, &name),
            Source::Query(query) => {
                let block = self.query(query);
                block.into_part(id, name)
            }
            Source::Function(calls) => self.functions(calls, name),
            Source::Recursion => Part { has_tables: true, name, ..Part::nothing() },
            Source::Excluded => Part { name, ..Part::nothing() },
        };
        if item.is_sampled {
            part.refuse("TABLESAMPLE is not evaluated on several shards".to_owned());
        }
        part
    }

    /// The tables of one shard that only unused WITH queries name: no row of theirs counts, but the shard that
    /// answers must have them.
    pub(in crate::plan) fn unused(&self) -> Vec<(ShardId, &'q str)> {
        let shard = |named: &Named| match self.meaning(named.oid?) {
            None => Some(self.schema.rules().home()),
            Some(Meaning::Single(single)) => Some(single.shard),
            Some(Meaning::Sharded(_) | Meaning::Reference | Meaning::Reaches(_) | Meaning::Blocked(_)) => {
                None
            }
        };
        let unused = self.statement.unused.iter();
        unused.filter_map(|named| Some((shard(named)?, named.name.last()?.as_str()))).collect()
    }

    fn relation(&self, id: ItemId, named: &Named, name: &str) -> Part<'q> {
        let rules = self.schema.rules();
        let own = |shard| Part::at(shard, format!("\"{name}\" lies on one shard only"), name.to_owned());
        let Some(oid) = named.oid else {
            // A relation of Postgres's own, or one that is not known.
            let shard = match &named.name[..] {
                [.., schema, _] => self.schema.shard_of_schema(schema),
                _ => rules.home(),
            };
            return own(shard);
        };
        let relation = self.schema.catalog().relation_by_oid(oid);
        let mut part = match self.meaning(oid) {
            None => return own(rules.home()),
            Some(Meaning::Single(single)) => return own(single.shard),
            Some(Meaning::Reaches(how)) => return own(rules.home()).because(format!("\"{name}\" is {how}")),
            Some(Meaning::Blocked(error)) => return own(rules.home()).because(error.message.to_string()),
            Some(Meaning::Reference) => Part { has_tables: true, name: name.to_owned(), ..Part::nothing() },
            Some(Meaning::Sharded(rule)) => {
                let rule = self.schema.sharded(*rule);
                let columns = rule.and_then(|rule| {
                    let relation = relation?;
                    let place = |key: &String| relation.columns.iter().position(|c| c.name == *key);
                    rule.keys.iter().map(|key| place(key).map(|at| Col(id, at))).collect::<Option<Vec<Col>>>()
                });
                match (rule, columns) {
                    (Some(rule), Some(columns)) => {
                        let keys = vec![Key::of_columns(rule.group, &columns)];
                        let reach = Reach { prune: Locate::whole(rule.group), keys: keys.clone() };
                        Part {
                            spread: Spread::ByKey(rule.group),
                            has_tables: true,
                            keys,
                            reaches: vec![reach],
                            name: name.to_owned(),
                            ..Part::nothing()
                        }
                    }
                    _ => own(rules.home()).because(format!("\"{name}\" lacks its sharding key")),
                }
            }
        };
        if relation.is_some_and(|relation| relation.has_row_security) {
            part.refuse(format!("\"{name}\" has row-level security"));
        }
        part
    }
}

impl Part<'_> {
    fn because(self, reason: String) -> Self {
        Part { spread: Spread::Not(reason), ..self }
    }
}
