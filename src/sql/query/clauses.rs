//! Where the clauses of a SELECT stand among the statement's tokens: what sqlparser's spans do not tell, and
//! splicing needs.
//!
//! The words that begin clauses are reserved in Postgres, so that they are names only behind AS or a dot; all
//! else with them is in parentheses, but for a few phrases that are named here.

use crate::sql::lexer::{Token, TokenKind};
use std::ops::Range;

/// Ranges of tokens.
pub type Spans = Vec<Range<usize>>;

/// The clauses of one SELECT and of the query around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clauses {
    /// The entries of the select list.
    pub list: Spans,
    /// Where the select list ends.
    pub list_end: usize,
    /// The expressions of GROUP BY.
    pub group_by: Spans,
    /// Behind FROM, WHERE, GROUP BY, HAVING and WINDOW: where an ORDER BY may stand.
    pub body_end: usize,
    /// The entries of ORDER BY with their directions.
    pub order_by: Spans,
    /// The whole clause, with its words.
    pub order_clause: Option<Range<usize>>,
    /// LIMIT, OFFSET and FETCH with all their words.
    pub limits: Option<Range<usize>>,
    /// The expression of LIMIT or FETCH; empty for `FETCH FIRST ROW`.
    pub limit: Option<Range<usize>>,
    /// The expression of OFFSET.
    pub offset: Option<Range<usize>>,
}

/// A clause's first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clause {
    From,
    Where,
    Group,
    Having,
    Window,
    Order,
    Limit,
    Offset,
    Fetch,
    For,
    /// UNION, INTERSECT, EXCEPT, INTO: not a plain SELECT.
    Other,
}

impl Clauses {
    /// Finds the clauses of the SELECT whose word is at `select`; `None` where it is not plain, or goes on
    /// in a way that is not known.
    pub fn of(sql: &[u8], tokens: &[Token], select: usize) -> Option<Clauses> {
        let scan = Scan { sql, tokens };
        if !scan.is(select, b"select") {
            return None;
        }
        let end = scan.end(select);
        let starts = scan.clauses(select + 1, end);
        let mut found = Clauses::default();
        let first = starts.first().map_or(end, |(_, at)| *at);
        found.list_end = first;
        found.list = scan.split(scan.list_start(select + 1)?..first);
        found.body_end = end;
        found.read(&scan, &starts, end)?;
        Some(found)
    }

    /// Takes in the clauses that start at these places.
    fn read(&mut self, scan: &Scan<'_>, starts: &[(Clause, usize)], end: usize) -> Option<()> {
        for (place, (clause, at)) in starts.iter().enumerate() {
            let next = starts.get(place + 1).map_or(end, |(_, at)| *at);
            let is_tail = !matches!(
                clause,
                Clause::From | Clause::Where | Clause::Group | Clause::Having | Clause::Window
            );
            if is_tail {
                self.body_end = self.body_end.min(*at);
            }
            match clause {
                Clause::From | Clause::Where | Clause::Having | Clause::Window | Clause::For => {}
                Clause::Group => self.group_by = scan.split(at + 2..next),
                Clause::Order => {
                    self.order_by = scan.split(at + 2..next);
                    self.order_clause = Some(*at..next);
                }
                Clause::Limit | Clause::Offset | Clause::Fetch => {
                    let whole = self.limits.get_or_insert(*at..next);
                    if whole.end != *at && whole.start != *at {
                        return None;
                    }
                    whole.end = next;
                    let expression = scan.limit(*clause, *at, next)?;
                    let place = if *clause == Clause::Offset { &mut self.offset } else { &mut self.limit };
                    if place.replace(expression).is_some() {
                        return None;
                    }
                }
                Clause::Other => return None,
            }
        }
        Some(())
    }

    /// The clauses behind a chain of set operations, or behind VALUES: ORDER BY and LIMIT of the whole.
    pub fn tail(sql: &[u8], tokens: &[Token]) -> Option<Clauses> {
        let scan = Scan { sql, tokens };
        let starts = scan.clauses(1, tokens.len());
        let behind = starts.iter().rposition(|(clause, _)| *clause == Clause::Other).map_or(0, |at| at + 1);
        let is_tail = |clause: &Clause| {
            matches!(clause, Clause::Order | Clause::Limit | Clause::Offset | Clause::Fetch | Clause::For)
        };
        let mut found = Clauses { body_end: tokens.len(), ..Clauses::default() };
        let tail: Vec<(Clause, usize)> =
            starts.into_iter().skip(behind).filter(|(clause, _)| is_tail(clause)).collect();
        found.read(&scan, &tail, tokens.len())?;
        Some(found)
    }

    /// The expression of an entry of ORDER BY: without its direction.
    pub fn sort_expression(sql: &[u8], tokens: &[Token], entry: &Range<usize>) -> Range<usize> {
        let scan = Scan { sql, tokens };
        let mut end = entry.end;
        let last = |end: usize, word: &[u8]| end > entry.start + 1 && scan.is(end - 1, word);
        if (last(end, b"first") || last(end, b"last")) && last(end - 1, b"nulls") {
            end -= 2;
        }
        if last(end, b"asc") || last(end, b"desc") {
            end -= 1;
        } else if end > entry.start + 2
            && scan.is(end - 2, b"using")
            && tokens.get(end - 1).is_some_and(|token| token.kind == TokenKind::Operator)
        {
            end -= 2;
        }
        entry.start..end
    }

    /// The expression of an entry of the select list: without its alias.
    pub fn list_expression(
        sql: &[u8],
        tokens: &[Token],
        entry: &Range<usize>,
        has_alias: bool,
    ) -> Range<usize> {
        if !has_alias {
            return entry.clone();
        }
        let before = entry.end.saturating_sub(1);
        let has_as = before > entry.start + 1 && Scan { sql, tokens }.is(before - 1, b"as");
        entry.start..before - usize::from(has_as)
    }

    /// The parentheses of a call whose name begins at `place`: the place of the opening and of the closing
    /// one.
    pub fn parentheses(tokens: &[Token], place: usize) -> Option<(usize, usize)> {
        let is_name =
            |token: &Token| matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent | TokenKind::Dot);
        let open = place + tokens.get(place..)?.iter().position(|token| !is_name(token))?;
        if tokens.get(open)?.kind != TokenKind::ParenOpen {
            return None;
        }
        let mut depth = 0_i32;
        for (at, token) in tokens.iter().enumerate().skip(open) {
            depth += step(token);
            if depth == 0 {
                return Some((open, at));
            }
        }
        None
    }
}

fn step(token: &Token) -> i32 {
    match token.kind {
        TokenKind::ParenOpen | TokenKind::BracketOpen => 1,
        TokenKind::ParenClose | TokenKind::BracketClose => -1,
        _ => 0,
    }
}

struct Scan<'a> {
    sql: &'a [u8],
    tokens: &'a [Token],
}

impl Scan<'_> {
    fn is(&self, place: usize, word: &[u8]) -> bool {
        self.tokens.get(place).is_some_and(|token| token.is_word(self.sql, word))
    }

    /// Where the query around the SELECT ends: at its closing parenthesis or the statement's end.
    fn end(&self, select: usize) -> usize {
        let mut depth = 0_i32;
        for (place, token) in self.tokens.iter().enumerate().skip(select) {
            depth += step(token);
            if depth < 0 {
                return place;
            }
        }
        self.tokens.len()
    }

    /// The first words of the clauses, in order.
    fn clauses(&self, start: usize, end: usize) -> Vec<(Clause, usize)> {
        let mut found = Vec::new();
        let mut depth = 0_i32;
        for place in start..end {
            let Some(token) = self.tokens.get(place) else { break };
            depth += step(token);
            if depth == 0
                && token.kind == TokenKind::Word
                && let Some(clause) = self.clause(place)
            {
                found.push((clause, place));
            }
        }
        found
    }

    fn clause(&self, place: usize) -> Option<Clause> {
        let before = place.checked_sub(1)?;
        let is_label = self.is(before, b"as")
            || self.tokens.get(before).is_some_and(|token| token.kind == TokenKind::Dot);
        if is_label {
            return None;
        }
        let text = self.tokens.get(place)?.text(self.sql).to_ascii_lowercase();
        Some(match &text[..] {
            // IS [NOT] DISTINCT FROM
            b"from"
                if self.is(before, b"distinct")
                    && place >= 2
                    && (self.is(place - 2, b"is") || self.is(place - 2, b"not")) =>
            {
                return None;
            }
            b"from" => Clause::From,
            b"where" => Clause::Where,
            // WITHIN GROUP (...)
            b"group" if self.is(place + 1, b"by") => Clause::Group,
            b"having" => Clause::Having,
            b"window" => Clause::Window,
            b"order" => Clause::Order,
            b"limit" => Clause::Limit,
            b"offset" => Clause::Offset,
            b"fetch" => Clause::Fetch,
            b"for" => Clause::For,
            b"union" | b"intersect" | b"except" | b"into" => Clause::Other,
            _ => return None,
        })
    }

    /// Behind ALL, DISTINCT and DISTINCT ON (...).
    fn list_start(&self, place: usize) -> Option<usize> {
        if self.is(place, b"all") {
            return Some(place + 1);
        }
        if !self.is(place, b"distinct") {
            return Some(place);
        }
        if !self.is(place + 1, b"on") {
            return Some(place + 1);
        }
        let (_, close) = Clauses::parentheses(self.tokens, place + 1)?;
        Some(close + 1)
    }

    /// Splits at commas outside parentheses.
    fn split(&self, range: Range<usize>) -> Spans {
        let mut spans = Vec::new();
        let mut depth = 0_i32;
        let mut start = range.start;
        for place in range.clone() {
            let Some(token) = self.tokens.get(place) else { break };
            depth += step(token);
            if depth == 0 && token.kind == TokenKind::Comma {
                spans.push(start..place);
                start = place + 1;
            }
        }
        if start < range.end {
            spans.push(start..range.end);
        }
        spans
    }

    /// The expression of LIMIT, OFFSET or FETCH.
    fn limit(&self, clause: Clause, at: usize, end: usize) -> Option<Range<usize>> {
        let mut range = at + 1..end;
        if clause == Clause::Fetch {
            // FETCH FIRST|NEXT [n] ROW|ROWS ONLY
            if !self.is(end.checked_sub(1)?, b"only") {
                return None;
            }
            range = at + 2..end - 1;
        }
        let last = range.end.checked_sub(1)?;
        if clause != Clause::Limit && (self.is(last, b"row") || self.is(last, b"rows")) {
            range.end = last;
        }
        (range.start <= range.end).then_some(range)
    }
}

#[cfg(test)]
#[path = "clauses_tests.rs"]
mod tests;
