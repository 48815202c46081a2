//! Random SELECTs over the tables of the stage: joins, groups, windows, subqueries, set operations. Each asks for
//! one answer only: what it leaves open (the order of rows, which rows LIMIT keeps) is not compared, or is
//! decided by the statement itself.

mod chance;
mod expressions;
mod tables;

use chance::Chance;
use tables::Type::{self, Bool, Date, Int, Numeric, Text, Zoned};
use tables::{TABLES, Table, WEIGHTS};

/// A column in scope.
#[derive(Clone, Debug)]
struct Column {
    sql: String,
    kind: Type,
    /// Whether it is (part of) a sharding key.
    is_key: bool,
}

/// A statement, and whether its ORDER BY decides the whole order.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The text.
    pub sql: String,
    /// Whether rows are compared in their order.
    pub is_ordered: bool,
}

/// A query: its text and its output columns.
struct Query {
    sql: String,
    columns: Vec<(String, Type)>,
    is_ordered: bool,
}

/// Makes statements.
pub struct Generator {
    chance: Chance,
    names: usize,
    /// Entries of WITH that may be read: name and columns.
    with: Vec<(String, Vec<(String, Type)>)>,
}

impl Generator {
    /// A generator whose statements depend on `seed` alone.
    pub fn new(seed: u64) -> Generator {
        Generator { chance: Chance::new(seed), names: 0, with: Vec::new() }
    }

    /// The next statement.
    pub fn statement(&mut self) -> Generated {
        self.names = 0;
        self.with.clear();
        let mut head = String::new();
        if self.chance.percent(12) {
            let query = self.query(2, &[], None);
            let name = self.name();
            let keyword = self.chance.of(&["", "", "materialized ", "not materialized "]).to_string();
            head = format!("with {name} as {keyword}({}) ", query.sql);
            self.with.push((name, query.columns));
        }
        let query = if self.chance.percent(12) { self.set(2) } else { self.query(3, &[], None) };
        Generated { sql: head + &query.sql, is_ordered: query.is_ordered }
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("t{}", self.names)
    }

    /// A set operation of two queries of one shape.
    fn set(&mut self, depth: usize) -> Query {
        let count = 1 + self.chance.below(2);
        let kinds: Vec<Type> = (0..count).map(|_| self.kind()).collect();
        let left = self.query(depth - 1, &[], Some(&kinds));
        let right = self.query(depth - 1, &[], Some(&kinds));
        let operator = *self.chance.of(&[
            "union all",
            "union all",
            "union",
            "intersect",
            "intersect all",
            "except",
            "except all",
        ]);
        let mut sql = format!("({}) {operator} ({})", left.sql, right.sql);
        let is_ordered = self.chance.percent(40);
        if is_ordered {
            sql += &self.total_order(&left.columns, None);
            sql += &self.limits();
        }
        Query { sql, columns: left.columns, is_ordered }
    }

    fn kind(&mut self) -> Type {
        *self.chance.of(&[Int, Int, Int, Int, Text, Text, Numeric, Bool, Date, Zoned])
    }

    /// ORDER BY all output columns.
    fn total_order(&mut self, columns: &[(String, Type)], first: Option<&str>) -> String {
        let mut places: Vec<usize> = (0..columns.len()).collect();
        for at in (1..places.len()).rev() {
            places.swap(at, self.chance.below(at + 1));
        }
        let mut entries: Vec<String> = first.map(str::to_owned).into_iter().collect();
        for at in places {
            let direction =
                *self.chance.of(&["", "", "", " desc", " asc", " nulls first", " desc nulls last"]);
            let (name, _) = &columns[at];
            let by_name = self.chance.percent(40);
            let entry = if by_name { name.clone() } else { (at + 1).to_string() };
            entries.push(format!("{entry}{direction}"));
        }
        format!(" order by {}", entries.join(", "))
    }

    /// LIMIT and OFFSET, or neither.
    fn limits(&mut self) -> String {
        let (limit, offset) = (self.chance.below(9), self.chance.below(6));
        match self.chance.below(8) {
            0 | 1 => format!(" limit {limit}"),
            2 => format!(" limit {limit} offset {offset}"),
            3 => format!(" offset {offset} limit {limit}"),
            4 => format!(" offset {offset}"),
            _ => String::new(),
        }
    }

    /// A SELECT of these types, or of any; `outer` is what it may refer to outside.
    fn query(&mut self, depth: usize, outer: &[Column], kinds: Option<&[Type]>) -> Query {
        let (from, scope) = self.from(depth, outer);
        let count = kinds.map_or_else(|| 1 + self.chance.below(4), <[Type]>::len);
        let wanted: Vec<Type> = (0..count).map(|at| kinds.map_or_else(|| self.kind(), |k| k[at])).collect();
        let is_grouped = self.chance.percent(25);
        let mut filter = String::new();
        if self.chance.percent(65) {
            filter = format!(" where {}", self.condition(depth, &scope, outer));
        }
        let (list, tail) = if is_grouped {
            self.grouped(&wanted, &scope)
        } else {
            let visible: Vec<Column> = scope.iter().chain(outer).cloned().collect();
            (wanted.iter().map(|kind| self.output(*kind, depth, &scope, &visible)).collect(), String::new())
        };
        let distinct = if !is_grouped && self.chance.percent(15) { "distinct " } else { "" };
        let columns: Vec<(String, Type)> =
            wanted.iter().enumerate().map(|(at, kind)| (format!("c{}", at + 1), *kind)).collect();
        let texts: Vec<String> =
            list.iter().zip(&columns).map(|(expr, (name, _))| format!("{expr} as {name}")).collect();
        let mut sql = format!("select {distinct}{}{from}{filter}{tail}", texts.join(", "));
        let is_ordered = self.chance.percent(45);
        if is_ordered {
            let is_beside = !is_grouped && distinct.is_empty() && self.chance.percent(30);
            let beside = if is_beside { Some(self.expr(Int, 0, 1, &scope)) } else { None };
            // A bare number would be a place.
            let beside = beside.filter(|expr| has_column(expr));
            sql += &self.total_order(&columns, beside.as_deref());
            sql += &self.limits();
        }
        Query { sql, columns, is_ordered }
    }

    /// A column of a SELECT that does not group.
    fn output(&mut self, kind: Type, depth: usize, scope: &[Column], visible: &[Column]) -> String {
        if depth > 0 && self.chance.percent(8) {
            self.window(kind, scope)
        } else {
            self.expr(kind, depth.min(2), 2, visible)
        }
    }

    /// The select list of a SELECT that groups, with GROUP BY and HAVING.
    fn grouped(&mut self, wanted: &[Type], scope: &[Column]) -> (Vec<String>, String) {
        let mut groups: Vec<(String, Type)> = Vec::new();
        for _ in 0..self.chance.below(3) {
            let kind = *self.chance.of(wanted);
            let expr = if self.chance.percent(75) {
                self.column_of(kind, scope)
            } else {
                Some(self.expr(kind, 0, 1, scope))
            };
            groups.extend(expr.filter(|expr| has_column(expr)).map(|expr| (expr, kind)));
        }
        let mut list = Vec::new();
        for kind in wanted {
            let group = groups.iter().find(|(_, of)| of == kind).map(|(expr, _)| expr.clone());
            list.push(match group {
                Some(expr) if self.chance.percent(60) => expr,
                _ => self.aggregate(*kind, scope),
            });
        }
        let mut tail = String::new();
        if !groups.is_empty() {
            let texts: Vec<String> = groups.into_iter().map(|(expr, _)| expr).collect();
            tail = format!(" group by {}", texts.join(", "));
        }
        if self.chance.percent(20) {
            let aggregate = self.aggregate(Int, scope);
            let operator = *self.chance.of(&[">", "<", "=", ">=", "<>"]);
            tail += &format!(" having {aggregate} {operator} {}", self.chance.below(40));
        }
        (list, tail)
    }

    /// FROM with its joins, and the columns that it gives.
    fn from(&mut self, depth: usize, outer: &[Column]) -> (String, Vec<Column>) {
        let count = *self.chance.of(&[1, 1, 1, 1, 2, 2, 2, 3]);
        let (mut sql, mut scope) = self.source(depth, &[], outer);
        for _ in 1..count {
            let join = *self.chance.of(&[
                "join",
                "join",
                "join",
                "left join",
                "left join",
                "right join",
                "full join",
                ",",
            ]);
            let lateral: Vec<Column> =
                if matches!(join, "join" | "left join" | ",") { scope.clone() } else { Vec::new() };
            let (right, columns) = self.source(depth, &lateral, outer);
            let on = self.join_condition(&scope, &columns, outer);
            scope.extend(columns);
            match join {
                // Full joins must be mergeable.
                "full join" => {
                    let is_plain = on.is_plain;
                    let join = if is_plain { "full join" } else { "join" };
                    sql += &format!(" {join} {right} on {}", on.sql);
                }
                "," => {
                    // As an inner join, so that what follows binds as it stands.
                    sql += &format!(" cross join {right}");
                }
                join => sql += &format!(" {join} {right} on {}", on.sql),
            }
        }
        (format!(" from {sql}"), scope)
    }

    /// An entry of FROM.
    fn source(&mut self, depth: usize, lateral: &[Column], outer: &[Column]) -> (String, Vec<Column>) {
        let alias = self.name();
        let columns = |list: &[(String, Type)], keys: usize| {
            list.iter()
                .enumerate()
                .map(|(at, (name, kind))| Column {
                    sql: format!("{alias}.{name}"),
                    kind: *kind,
                    is_key: at < keys,
                })
                .collect()
        };
        let pick = self.chance.below(100);
        if pick < 14 && depth > 0 {
            let is_lateral = !lateral.is_empty() && self.chance.percent(40);
            let visible: Vec<Column> =
                if is_lateral { lateral.iter().chain(outer).cloned().collect() } else { outer.to_vec() };
            let query = self.query(depth - 1, &visible, None);
            let keyword = if is_lateral { "lateral " } else { "" };
            let scope = columns(&query.columns, 1);
            return (format!("{keyword}({}) {alias}", query.sql), scope);
        }
        if pick < 24
            && let Some((name, list)) = self.with.last().cloned()
        {
            return (format!("{name} {alias}"), columns(&list, 1));
        }
        if pick < 27 {
            let rows: Vec<String> =
                (0..2).map(|_| format!("({}, {})", self.chance.below(42), self.literal(Text))).collect();
            let list = [("k".to_owned(), Int), ("w".to_owned(), Text)];
            return (format!("(values {}) {alias}(k, w)", rows.join(", ")), columns(&list, 1));
        }
        let Table(name, list, keys) = &TABLES[*self.chance.of(WEIGHTS)];
        let list: Vec<(String, Type)> = list.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
        (format!("{name} {alias}"), columns(&list, *keys))
    }

    fn join_condition(&mut self, left: &[Column], right: &[Column], outer: &[Column]) -> On {
        let mut pairs: Vec<(String, String, bool)> = Vec::new();
        for a in left {
            for b in right.iter().filter(|b| b.kind == a.kind) {
                pairs.push((a.sql.clone(), b.sql.clone(), a.is_key && b.is_key));
            }
        }
        let keyed: Vec<_> = pairs.iter().filter(|(_, _, is_key)| *is_key).cloned().collect();
        let chosen = if !keyed.is_empty() && self.chance.percent(80) { keyed } else { pairs };
        if chosen.is_empty() {
            return On { sql: "true".to_owned(), is_plain: false };
        }
        let mut parts = Vec::new();
        let (a, b, _) = self.chance.of(&chosen).clone();
        parts.push(if self.chance.percent(80) { format!("{a} = {b}") } else { format!("{b} = {a}") });
        if chosen.len() > 1 && self.chance.percent(35) {
            let (a, b, _) = self.chance.of(&chosen).clone();
            parts.push(format!("{a} = {b}"));
        }
        let mut is_plain = true;
        if self.chance.percent(20) {
            is_plain = false;
            let both: Vec<Column> = left.iter().chain(right).cloned().collect();
            parts.push(self.condition(0, &both, outer));
        }
        if self.chance.percent(4) {
            return On { sql: parts.join(" or "), is_plain: false };
        }
        On { sql: parts.join(" and "), is_plain }
    }

    /// A condition of one to three parts.
    fn condition(&mut self, depth: usize, scope: &[Column], outer: &[Column]) -> String {
        let count = *self.chance.of(&[1, 1, 1, 2, 2, 3]);
        let mut sql = String::new();
        for at in 0..count {
            if at > 0 {
                sql += *self.chance.of(&[" and ", " and ", " and ", " or "]);
            }
            let part = self.predicate(depth, scope, outer);
            if self.chance.percent(7) {
                sql += &format!("not ({part})");
            } else {
                sql += &part;
            }
        }
        if count > 1 { format!("({sql})") } else { sql }
    }
}

/// A condition of a join.
struct On {
    sql: String,
    /// Whether it is a conjunction of equalities of both sides.
    is_plain: bool,
}

/// Whether an expression names a column: it is no number, which would be a place.
fn has_column(expr: &str) -> bool {
    let words = expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_');
    words
        .filter_map(|word| word.strip_prefix('t')?.split_once('.'))
        .any(|(number, _)| number.parse::<u32>().is_ok())
}
