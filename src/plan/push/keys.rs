//! Sort keys.

use super::text::Text;
use super::{Answer, Push};
use crate::datum::oid;
use crate::datum::order::Order;
use crate::fault::Fault;
use crate::merge::SortKey;
use crate::plan::locate::sorted_value;
use crate::plan::types::TextOrder;
use crate::sql::query::{self, Distinct, Expr, Select, SortItem};
use crate::sql::splice::Piece;

impl<'q> Push<'_, 'q> {
    /// The keys of a SELECT's ORDER BY; what is not put out is appended.
    pub(super) fn sort_keys(&self, select: &'q Select, text: &mut Text<'_>) -> Answer<Vec<SortKey>> {
        let mut keys = Vec::new();
        for (place, item) in self.query.order_by.iter().enumerate() {
            let value = sorted_value(&item.key, select).ok_or("its ORDER BY names no column")?;
            let text_is_c = self.check_sortable(value)?;
            let column = match self.output_of(item, value, select) {
                Some(column) => column,
                None if select.distinct == Distinct::All => {
                    return Err("DISTINCT with an ORDER BY that is not put out".to_owned());
                }
                None => text.helper(text.sorted(place)?)?.0,
            };
            keys.push(sort_key(column, item, text_is_c));
        }
        Ok(keys)
    }

    /// The output column that an entry of ORDER BY sorts by.
    pub(super) fn output_of(&self, item: &SortItem, value: &Expr, select: &Select) -> Option<usize> {
        match &item.key {
            query::SortKey::Output(at) => Some(*at),
            query::SortKey::Expr(_) => select.outputs.iter().position(|output| output.value == *value),
        }
    }

    /// The keys of a set operation's ORDER BY.
    pub(super) fn output_keys(&self) -> Answer<Vec<SortKey>> {
        let mut keys = Vec::new();
        for item in &self.query.order_by {
            let query::SortKey::Output(column) = &item.key else {
                return Err("ORDER BY of this kind behind a set operation".to_owned());
            };
            let values = self.query.column_values(*column);
            let is_c = values.iter().all(|value| self.locate.types().text_order(value).is_c);
            for value in &values {
                let type_oid = self.locate.types().of(value);
                self.check_type(type_oid.filter(|type_oid| *type_oid != oid::UNKNOWN), is_c)?;
            }
            keys.push(sort_key(*column, item, is_c));
        }
        Ok(keys)
    }

    /// Whether the merge can compare a value exactly as the shards sort it: what is certain is said here, the
    /// rest when the shards describe their columns. Gives whether texts are compared by their bytes.
    pub(super) fn check_sortable(&self, value: &Expr) -> Answer<bool> {
        let is_c = self.locate.types().text_order(value).is_c || Fault::CollationIgnored.is_planted();
        let type_oid = self.locate.types().of(value);
        if type_oid == Some(oid::UNKNOWN) {
            return Err("it sorts by a constant".to_owned());
        }
        self.check_type(type_oid, is_c)?;
        Ok(is_c)
    }

    fn check_type(&self, type_oid: Option<u32>, is_c: bool) -> Answer<()> {
        let Some(type_oid) = type_oid else { return Ok(()) };
        if Order::of(type_oid, is_c).is_some() {
            return Ok(());
        }
        Err(if Order::of(type_oid, true).is_some() {
            "it sorts by a text whose collation does not compare bytes".to_owned()
        } else {
            "it sorts by a value of a type that is not compared here".to_owned()
        })
    }

    /// How a value is grouped by: by its own order, or a text by its bytes under `COLLATE "C"`.
    pub(super) fn grouping(&self, value: &Expr) -> Answer<Grouping> {
        let order = self.locate.types().text_order(value);
        let is_text = matches!(
            self.locate.types().of(value),
            Some(oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::UNKNOWN)
        );
        match (is_text, order) {
            (true, TextOrder { is_c: true, .. }) => Ok(Grouping::Own { text_is_c: true }),
            (true, TextOrder { is_deterministic: true, .. }) => Ok(Grouping::Bytes),
            (true, _) => Err("it groups by a text under a collation that is not deterministic".to_owned()),
            (false, order) => {
                if let Some(type_oid) = self.locate.types().of(value)
                    && Order::of(type_oid, order.is_c).is_none()
                {
                    return Err("it groups by a value of a type that is not compared here".to_owned());
                }
                Ok(Grouping::Own { text_is_c: order.is_c })
            }
        }
    }
}

/// How equal values are brought together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grouping {
    /// By the type's own order.
    Own { text_is_c: bool },
    /// By bytes, which are equal where the texts are.
    Bytes,
}

pub(super) fn sort_key(column: usize, item: &SortItem, text_is_c: bool) -> SortKey {
    let descending = item.is_descending && !Fault::DirectionIgnored.is_planted();
    let nulls_first = item.nulls_first && !Fault::NullsIgnored.is_planted();
    SortKey { column, descending, nulls_first, text_is_c }
}

/// A key as it is sorted by default.
pub(super) fn rising(column: usize, text_is_c: bool) -> SortKey {
    SortKey { column, descending: false, nulls_first: false, text_is_c }
}

/// The expression under collation C.
pub(super) fn as_bytes(mut pieces: Vec<Piece>) -> Vec<Piece> {
    pieces.push(" COLLATE \"C\"".into());
    pieces
}
