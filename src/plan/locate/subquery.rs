//! Subqueries that a row's key is looked for in, and functions that touch the rows of a key.

use super::block::Block;
use super::from::Part;
use super::keys::Key;
use super::{Locate, Spread};
use crate::plan::constant::is_constant;
use crate::plan::prune::{KeyList, Prune};
use crate::plan::steady::unsteady;
use crate::rules::{FunctionTouches, GroupId};
use crate::sql::query::{Call, Compare, Expr};

impl<'q> Locate<'q> {
    /// Whether `left = ANY (block)`, or `left <> ALL (block)`, gives the same over one shard's rows of the
    /// block: equal keys lie together. Where either side may be NULL the result may be false for NULL, which
    /// only counts the same in a condition.
    pub(super) fn is_found_by_key(
        &self,
        left: &Expr,
        (compare, is_all): (Option<Compare>, bool),
        block: &Block<'q>,
        is_conjunct: bool,
    ) -> bool {
        let is_positive = match (compare, is_all) {
            (Some(Compare::Equal), false) => true,
            (Some(Compare::NotEqual), true) => false,
            _ => return false,
        };
        let left: Vec<&Expr> = match left {
            Expr::Row(columns) => columns.iter().collect(),
            one => vec![one],
        };
        for key in self.frames.iter().flat_map(|frame| &frame.keys) {
            for found in block.keys.iter().filter(|found| found.group == key.group) {
                let is_same = key.holders.iter().zip(&found.columns).all(|(holders, columns)| {
                    columns.iter().any(|at| left.get(*at).is_some_and(|left| holders.contains(left)))
                });
                let is_sure = key.is_strong && found.is_strong && left.len() == 1;
                if is_same && (is_sure || (is_positive && is_conjunct)) {
                    return true;
                }
            }
        }
        false
    }

    /// Calls of functions that a rule says touch the rows of a key, or the home shard: why one does not do
    /// so where the row lies. Their reaches go into `sets`.
    pub(in crate::plan) fn calls(
        &mut self,
        expr: &'q Expr,
        keys: &[Key],
        sets: &mut Vec<Prune>,
    ) -> Option<String> {
        let mut reason = None;
        let mut todo = vec![expr];
        while let Some(expr) = todo.pop() {
            if let Expr::Call(call) = expr {
                reason = reason.or_else(|| self.declared(call, keys, sets));
            }
            expr.for_each_child(&mut |child| todo.push(child));
        }
        reason
    }

    fn declared(&mut self, call: &'q Call, keys: &[Key], sets: &mut Vec<Prune>) -> Option<String> {
        let name = call.name.join(".");
        match &self.schema.function_rule(&call.name)?.touches {
            FunctionTouches::Pure => None,
            FunctionTouches::Home => {
                sets.push(Prune::Shard(self.schema.rules().home()));
                Some(format!("{name}() runs on the home shard only"))
            }
            FunctionTouches::ByKey { group, arguments } => {
                let given: Option<Vec<&Expr>> = arguments
                    .iter()
                    .map(|number| call.arguments.get(usize::from(*number).checked_sub(1)?))
                    .collect();
                let Some(given) = given.filter(|_| !call.has_named) else {
                    sets.push(Locate::whole(*group));
                    return Some(format!("{name}() is not given the key whose rows it touches by position"));
                };
                let is_rows_key = |key: &Key| {
                    key.group == *group
                        && key.holders.iter().zip(&given).all(|(holders, given)| holders.contains(given))
                };
                let outer = self.frames.iter().flat_map(|frame| &frame.keys);
                if keys.iter().chain(outer).any(is_rows_key) {
                    return None;
                }
                sets.push(self.given_key(*group, &given));
                Some(format!("{name}() touches the rows of one key, on that key's shard only"))
            }
        }
    }

    /// The shards of a key that is given.
    fn given_key(&self, id: GroupId, given: &[&'q Expr]) -> Prune {
        let Some(group) = self.schema.rules().group(id) else { return Locate::whole(id) };
        let list = |(value, key_type): (&&'q Expr, &crate::datum::key::KeyType)| {
            let source = self.constants.source(value, *key_type).filter(|_| is_constant(value))?;
            Some(KeyList::Values(vec![source]))
        };
        let columns = given.iter().zip(&group.key_types).map(list).collect::<Option<Vec<_>>>();
        match columns.filter(|columns| columns.len() == group.key_types.len()) {
            Some(columns) => Prune::Key { group: id, columns },
            None => Locate::whole(id),
        }
    }

    /// Functions in FROM.
    pub(super) fn functions(&mut self, calls: &'q [Expr], name: String) -> Part<'q> {
        let mut part = Part { name, ..Part::nothing() };
        let mut sets = Vec::new();
        for call in calls {
            let reason = unsteady(call, self.schema)
                .or_else(|| self.subqueries(call, false, &mut sets))
                .or_else(|| self.calls(call, &[], &mut sets));
            if let Some(reason) = reason {
                part.refuse(reason);
            }
        }
        part.reaches =
            sets.into_iter().map(|prune| super::reach::Reach { prune, keys: Vec::new() }).collect();
        debug_assert!(!matches!(part.spread, Spread::ByKey(_)));
        part
    }
}
