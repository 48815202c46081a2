//! DISTINCT and DISTINCT ON without the sharding key: shards give their rows in an order that brings equal ones
//! together.

use super::keys::{Grouping, as_bytes, rising, sort_key};
use super::text::{Text, has_sets, place};
use super::{Answer, Push};
use crate::merge::{MergeKind, OutputColumn, SortKey};
use crate::plan::locate::sorted_value;
use crate::sql::query::{self, Distinct, Expr, Select};

impl<'q> Push<'_, 'q> {
    /// A merge of sorted rows.
    pub(super) fn distinct(&self, select: &'q Select, text: &mut Text<'_>) -> Answer<MergeKind> {
        if has_sets(select, self) {
            return Err("DISTINCT beside a function that gives sets of rows".to_owned());
        }
        let columns = (0..select.outputs.len()).map(OutputColumn::Input).collect();
        let (keys, by) = match &select.distinct {
            Distinct::All => {
                let keys = self.distinct_rows(select, text)?;
                let by = keys.len();
                (keys, by)
            }
            Distinct::On(on) => self.distinct_on(on, select, text)?,
            Distinct::No => return Err("it puts rows of several shards together".to_owned()),
        };
        text.clauses()?;
        Ok(MergeKind::Grouped { keys, by, columns })
    }

    /// All output columns, those of ORDER BY first.
    fn distinct_rows(&self, select: &'q Select, text: &mut Text<'_>) -> Answer<Vec<SortKey>> {
        let mut keys = Vec::new();
        let mut sorted = Vec::new();
        for item in &self.query.order_by {
            let value = sorted_value(&item.key, select).ok_or("its ORDER BY names no column")?;
            let column = self.output_of(item, value, select);
            let column = column.ok_or("DISTINCT with an ORDER BY that is not put out")?;
            if sorted.contains(&column) {
                continue;
            }
            let text_is_c = self.check_sortable(value)?;
            keys.push(sort_key(column, item, text_is_c));
            sorted.push(column);
        }
        for (column, output) in select.outputs.iter().enumerate().filter(|(at, _)| !sorted.contains(at)) {
            match self.grouping(&output.value)? {
                Grouping::Own { text_is_c } => {
                    text.sort_by(place(column));
                    keys.push(rising(column, text_is_c));
                }
                Grouping::Bytes => {
                    // The same text under C beside it tells no more rows apart.
                    let pieces = text.output(output, self)?;
                    let (column, name) = text.helper(as_bytes(pieces))?;
                    text.sort_by(name);
                    keys.push(rising(column, true));
                }
            }
        }
        if keys.is_empty() {
            return Err("DISTINCT of no columns".to_owned());
        }
        Ok(keys)
    }

    /// The keys of ORDER BY, which begin with those of ON; the merge keeps the first row of each.
    fn distinct_on(
        &self,
        on: &'q [query::SortKey],
        select: &'q Select,
        text: &mut Text<'_>,
    ) -> Answer<(Vec<SortKey>, usize)> {
        let mut wanted: Vec<&Expr> = Vec::new();
        for key in on {
            let value = sorted_value(key, select).ok_or("its DISTINCT ON names no column")?;
            if !wanted.contains(&value) {
                wanted.push(value);
            }
        }
        let sorted: Vec<&Expr> =
            self.query.order_by.iter().filter_map(|item| sorted_value(&item.key, select)).collect();
        let mut leading: Vec<&Expr> = Vec::new();
        for value in &sorted {
            if leading.len() < wanted.len() && wanted.contains(value) {
                if !leading.contains(value) {
                    leading.push(value);
                }
            } else {
                break;
            }
        }
        if leading.len() < wanted.len() {
            return Err(
                "DISTINCT ON whose columns do not all lead its ORDER BY, over several shards, is not supported yet"
                    .to_owned(),
            );
        }
        let keys = self.sort_keys(select, text)?;
        // A column sorted by twice counts twice.
        let by = sorted.iter().take_while(|value| wanted.contains(value)).count();
        Ok((keys, by))
    }
}
