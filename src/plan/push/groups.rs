//! GROUP BY without the sharding key: shards give their groups in the order of the keys, and equal ones become
//! one.

use super::keys::{Grouping, as_bytes, rising, sort_key};
use super::text::{Text, place};
use super::{Answer, Push};
use crate::merge::{MergeKind, SortKey};
use crate::plan::locate::{Selected, sorted_value};
use crate::sql::query::{self, Expr, Select};

impl<'q> Push<'_, 'q> {
    /// A merge of sorted groups.
    pub(super) fn grouped(
        &self,
        select: &'q Select,
        selected: &Selected<'q>,
        text: &mut Text<'_>,
    ) -> Answer<MergeKind> {
        if select.outputs.iter().any(|output| output.is_star) {
            return Err("* beside GROUP BY".to_owned());
        }
        let columns = self.columns(select, selected, text)?;
        let mut keys: Vec<&'q Expr> = Vec::new();
        for key in &select.group_by {
            let value = sorted_value(key, select).ok_or("its GROUP BY names no column")?;
            if !keys.contains(&value) {
                keys.push(value);
            }
        }
        let mut sorts: Vec<SortKey> = Vec::new();
        let mut sorted: Vec<&Expr> = Vec::new();
        for item in &self.query.order_by {
            if keys.iter().all(|key| sorted.contains(key)) {
                // Groups are told apart by all keys: what follows orders nothing.
                break;
            }
            let value = sorted_value(&item.key, select).ok_or("its ORDER BY names no column")?;
            if !keys.contains(&value) {
                return Err(
                    "ORDER BY other than on the columns of GROUP BY, over groups of several shards, is not supported yet"
                        .to_owned(),
                );
            }
            if sorted.contains(&value) {
                continue;
            }
            let text_is_c = self.check_sortable(value)?;
            let column = match self.put_out(value, select) {
                Some(column) => column,
                None => self.append_key(value, Grouping::Own { text_is_c }, select, text)?.0,
            };
            sorts.push(sort_key(column, item, text_is_c));
            sorted.push(value);
        }
        for value in keys.iter().filter(|key| !sorted.contains(key)) {
            let grouping = self.grouping(value)?;
            match (grouping, self.put_out(value, select)) {
                (Grouping::Own { text_is_c }, Some(column)) => {
                    text.sort_by(place(column));
                    sorts.push(rising(column, text_is_c));
                }
                (grouping, _) => {
                    let (column, name) = self.append_key(value, grouping, select, text)?;
                    text.sort_by(name);
                    let text_is_c = !matches!(grouping, Grouping::Own { text_is_c: false });
                    sorts.push(rising(column, text_is_c));
                }
            }
        }
        // Places in ORDER BY and in GROUP BY, and appended columns, need the text.
        text.clauses()?;
        Ok(MergeKind::Grouped { by: sorts.len(), keys: sorts, columns })
    }

    /// The output column that is a value.
    fn put_out(&self, value: &Expr, select: &Select) -> Option<usize> {
        select.outputs.iter().position(|output| output.value == *value)
    }

    /// Appends a key of GROUP BY to the select list.
    fn append_key(
        &self,
        value: &Expr,
        grouping: Grouping,
        select: &Select,
        text: &mut Text<'_>,
    ) -> Answer<(usize, String)> {
        let at = select.group_by.iter().position(|key| sorted_value(key, select) == Some(value));
        let at = at.ok_or("a key of its GROUP BY is not found")?;
        let pieces = match select.group_by.get(at) {
            Some(query::SortKey::Output(output)) => {
                let output = select.outputs.get(*output).ok_or("its GROUP BY names no column")?;
                text.output(output, self)?
            }
            _ => text.group(at, select.group_by.len())?,
        };
        text.helper(if grouping == Grouping::Bytes { as_bytes(pieces) } else { pieces })
    }
}
