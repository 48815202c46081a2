//! The statement's text as the shards get it: columns appended to the select list, ORDER BY extended, LIMIT and
//! OFFSET put together.

use super::{Answer, Push};
use crate::fault::Fault;
use crate::sql::lexer::TokenKind;
use crate::sql::query::{Body, Clauses, Expr, Output, Select};
use crate::sql::splice::{Edit, Piece};
use std::collections::BTreeSet;
use std::ops::Range;

/// The text being put together.
pub(super) struct Text<'a> {
    sql: &'a [u8],
    tokens: &'a [crate::sql::lexer::Token],
    clauses: Option<Clauses>,
    outputs: usize,
    has_star: bool,
    /// Columns appended, each with its name.
    helpers: Vec<(Vec<Piece>, String)>,
    /// What is appended to ORDER BY.
    sorts: Vec<String>,
    has_order: bool,
    edits: Vec<Edit>,
    /// Ranges of tokens that stand in the text twice.
    copied: Vec<Range<usize>>,
}

impl<'a> Text<'a> {
    pub(super) fn new(push: &Push<'_, 'a>) -> Text<'a> {
        let tokens = &push.locate.statement.tokens[..];
        let select = match &push.query.body {
            Body::Select(select) => Some(&**select),
            _ => None,
        };
        let clauses = match select {
            Some(select) => select.place.and_then(|place| Clauses::of(push.sql, tokens, place)),
            None => Clauses::tail(push.sql, tokens),
        };
        let is_as_read = |clauses: &Clauses| {
            let lists = select.is_none_or(|select| {
                clauses.list.len() == select.listed
                    && (select.has_grouping_sets || clauses.group_by.len() <= select.group_by.len())
            });
            lists
                && clauses.order_by.len() == push.query.order_by.len()
                && clauses.limit.is_some() >= push.query.limit.is_some()
                && clauses.offset.is_some() >= push.query.offset.is_some()
        };
        Text {
            sql: push.sql,
            tokens,
            // What was read and what stands in the tokens must be the same.
            clauses: clauses.filter(is_as_read),
            outputs: select.map_or(0, |select| select.outputs.len()),
            has_star: select.is_some_and(|select| select.outputs.iter().any(|output| output.is_star)),
            helpers: Vec::new(),
            sorts: Vec::new(),
            has_order: !push.query.order_by.is_empty(),
            edits: Vec::new(),
            copied: Vec::new(),
        }
    }

    pub(super) fn clauses(&self) -> Answer<&Clauses> {
        self.clauses.as_ref().ok_or_else(|| "where its clauses stand in the text is not certain".to_owned())
    }

    /// Appends a column; gives its place and its name.
    pub(super) fn helper(&mut self, pieces: Vec<Piece>) -> Answer<(usize, String)> {
        self.clauses()?;
        if self.outputs == 0 {
            return Err("its select list is empty".to_owned());
        }
        for piece in &pieces {
            if let Piece::Tokens(range) = piece {
                self.copied.push(range.clone());
            }
        }
        let place = self.outputs + self.helpers.len();
        let name = self.free_name();
        self.helpers.push((pieces, name.clone()));
        Ok((place, name))
    }

    /// A name that the statement does not mention.
    fn free_name(&self) -> String {
        let is_taken = |name: &str| {
            self.helpers.iter().any(|(_, other)| other == name)
                || self.tokens.iter().any(|token| {
                    let text = token.text(self.sql);
                    text.eq_ignore_ascii_case(name.as_bytes())
                        || text.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\""))
                            == Some(name.as_bytes())
                })
        };
        (1_u32..).map(|number| format!("howdah_{number}")).find(|name| !is_taken(name)).unwrap_or_default()
    }

    /// Appends to ORDER BY: an output column's place, or the name of an appended one.
    pub(super) fn sort_by(&mut self, key: String) {
        self.sorts.push(key);
    }

    /// The text of an entry of the select list, without its alias; of a `*`'s column, its name.
    pub(super) fn output(&self, output: &Output, push: &Push<'_, '_>) -> Answer<Vec<Piece>> {
        if output.is_star {
            return column(&output.value, push).map(|text| vec![text.into()]);
        }
        let entry =
            self.clauses()?.list.get(output.entry).ok_or("an entry of its select list is not found")?;
        let range = Clauses::list_expression(self.sql, self.tokens, entry, output.has_alias);
        Ok(vec!["(".into(), Piece::Tokens(range), ")".into()])
    }

    /// The range of an entry of the select list, and of its expression.
    pub(super) fn entry(&self, output: &Output) -> Answer<(Range<usize>, Range<usize>)> {
        let entry =
            self.clauses()?.list.get(output.entry).ok_or("an entry of its select list is not found")?;
        let range = Clauses::list_expression(self.sql, self.tokens, entry, output.has_alias);
        Ok((entry.clone(), range))
    }

    /// The text of an entry of ORDER BY, without its direction.
    pub(super) fn sorted(&self, place: usize) -> Answer<Vec<Piece>> {
        let entry = self.clauses()?.order_by.get(place).ok_or("an entry of its ORDER BY is not found")?;
        Ok(vec![Piece::Tokens(Clauses::sort_expression(self.sql, self.tokens, entry))])
    }

    /// The text of an entry of GROUP BY.
    pub(super) fn group(&self, place: usize, groups: usize) -> Answer<Vec<Piece>> {
        let clauses = self.clauses()?;
        // Entries that are rows stand for several.
        if clauses.group_by.len() != groups {
            return Err("its GROUP BY groups by rows".to_owned());
        }
        let entry = clauses.group_by.get(place).ok_or("an entry of its GROUP BY is not found")?;
        Ok(vec!["(".into(), Piece::Tokens(entry.clone()), ")".into()])
    }

    /// Tokens from the parentheses of a call, which begins at `place`, on.
    pub(super) fn parentheses(&self, place: usize) -> Answer<(usize, usize)> {
        Clauses::parentheses(self.tokens, place)
            .ok_or_else(|| "a call's parentheses are not found".to_owned())
    }

    pub(super) fn edit(&mut self, edit: Edit) {
        for piece in &edit.pieces {
            if let Piece::Tokens(range) = piece {
                self.copied.push(range.clone());
            }
        }
        self.edits.push(edit);
    }

    /// Every shard gives LIMIT + OFFSET rows and leaves none out. `keeps_one`: at least one, since each shard's
    /// row is a part of one.
    pub(super) fn replace_limits(&mut self, keeps_one: bool) -> Answer<()> {
        let clauses = self.clauses()?;
        let whole = clauses.limits.clone().ok_or("its LIMIT and OFFSET are not found")?;
        // As bigint first, which is what a parameter here would be; then as numeric, which cannot overflow.
        let number = |range: &Option<Range<usize>>| match range {
            Some(range) if !range.is_empty() && !self.is_all(range) => Some(vec![
                "(".into(),
                Piece::Tokens(range.clone()),
                ")::pg_catalog.int8::pg_catalog.numeric".into(),
            ]),
            // FETCH FIRST ROW ONLY
            Some(range) if range.is_empty() => Some(vec!["1".into()]),
            _ => None,
        };
        let (limit, offset) = (number(&clauses.limit), number(&clauses.offset));
        let mut pieces = Vec::new();
        let word = |text: &'static str| Piece::from(text);
        match (limit, offset) {
            (Some(limit), offset) => {
                pieces.push(word("LIMIT least("));
                if keeps_one {
                    pieces.push(word("1 + "));
                }
                pieces.extend(limit);
                if let Some(offset) = offset.filter(|_| !Fault::OffsetNotAdded.is_planted()) {
                    pieces.push(word(" + coalesce("));
                    pieces.extend(offset);
                    pieces.push(word(", 0)"));
                }
                pieces.push(word(", 9223372036854775807)"));
            }
            (None, Some(offset)) => {
                // The expression stays, for its parameters' sake.
                pieces.push(word("OFFSET 0 * coalesce("));
                pieces.extend(offset);
                pieces.push(word(", 0)"));
            }
            (None, None) => {}
        }
        // Each stands there once as before, and as bigint as before: no parameter changes its type.
        self.edits.push(Edit { from: whole.start, to: whole.end, pieces });
        Ok(())
    }

    fn is_all(&self, range: &Range<usize>) -> bool {
        range.len() == 1 && self.tokens.get(range.start).is_some_and(|token| token.is_word(self.sql, b"all"))
    }

    /// How many leading columns the client sees, where columns are appended.
    pub(super) fn shown(&self) -> Option<usize> {
        (!self.helpers.is_empty()).then_some(self.outputs)
    }

    /// How many columns the shards must give, where columns' places depend on it.
    pub(super) fn width(&self) -> Option<usize> {
        (self.has_star || !self.helpers.is_empty()).then_some(self.outputs + self.helpers.len())
    }

    /// The edits, and the parameters that stand in the text twice.
    pub(super) fn finish(mut self) -> (Vec<Edit>, Vec<usize>) {
        if let Some(clauses) = &self.clauses {
            if !self.helpers.is_empty() {
                let mut pieces = Vec::new();
                for (text, name) in &self.helpers {
                    pieces.push(", ".into());
                    pieces.extend(text.iter().cloned());
                    pieces.push(format!(" AS {name}").into());
                }
                self.edits.push(Edit { from: clauses.list_end, to: clauses.list_end, pieces });
            }
            if !self.sorts.is_empty() && !Fault::GroupsUnsorted.is_planted() {
                let (at, word) = match &clauses.order_clause {
                    Some(order) if self.has_order => (order.end, ", "),
                    _ => (clauses.body_end, "ORDER BY "),
                };
                let text = format!("{word}{} ", self.sorts.join(", "));
                self.edits.push(Edit { from: at, to: at, pieces: vec![text.into()] });
            }
        }
        self.edits.sort_by_key(|edit| (edit.from, edit.to));
        let params = self.copied.iter().flat_map(|range| self.tokens.get(range.clone()).unwrap_or_default());
        let number = |token: &crate::sql::lexer::Token| {
            let digits = token.text(self.sql).get(1..)?;
            std::str::from_utf8(digits).ok()?.parse().ok()
        };
        let declared: BTreeSet<usize> =
            params.filter(|token| token.kind == TokenKind::Param).filter_map(number).collect();
        (self.edits, declared.into_iter().collect())
    }
}

/// The name of a column of FROM, qualified and quoted.
fn column(value: &Expr, push: &Push<'_, '_>) -> Answer<String> {
    let found = match value {
        Expr::Column(item, column) => push
            .locate
            .statement
            .item(*item)
            .and_then(|item| Some((item.name.as_ref()?, item.columns.as_ref()?.get(*column)?))),
        _ => None,
    };
    let Some((table, column)) = found else {
        return Err("a column of its * cannot be named alone".to_owned());
    };
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    Ok(format!("{}.{}", quoted(table), quoted(column)))
}

/// The columns of a select list that an ORDER BY by place may name.
pub(super) fn place(at: usize) -> String {
    (at + 1).to_string()
}

/// Whether any output of the select list gives sets of rows.
pub(super) fn has_sets(select: &Select, push: &Push<'_, '_>) -> bool {
    select.outputs.iter().any(|output| {
        output.value.any(&mut |part| {
            matches!(part, Expr::Call(call) if crate::plan::steady::returns_set(call, push.locate.schema))
        })
    })
}
