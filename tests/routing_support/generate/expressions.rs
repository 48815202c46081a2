//! Conditions and expressions of random statements.

use super::tables::Type::{self, Bool, Date, Int, Numeric, Text, Time, Uuid, Zoned};
use super::{Column, Generator};

impl Generator {
    pub(super) fn predicate(&mut self, depth: usize, scope: &[Column], outer: &[Column]) -> String {
        let visible: Vec<Column> = scope.iter().chain(outer).cloned().collect();
        let keys: Vec<Column> = scope.iter().filter(|column| column.is_key).cloned().collect();
        // A condition on a key, or a link to the query outside.
        if !keys.is_empty() && self.chance.percent(45) {
            let key = self.chance.of(&keys).clone();
            let links: Vec<Column> = outer.iter().filter(|c| c.kind == key.kind).cloned().collect();
            if !links.is_empty() && self.chance.percent(60) {
                return format!("{} = {}", key.sql, self.chance.of(&links).sql);
            }
            return self.comparison(&key);
        }
        match self.chance.below(12) {
            0 | 1 if depth > 0 => self.subquery_condition(depth, &visible),
            2 => {
                let column = self.chance.of(&visible).sql.clone();
                format!("{column} is {}null", if self.chance.percent(50) { "not " } else { "" })
            }
            3 => {
                let expr = self.expr(Bool, 0, 1, &visible);
                format!("{expr} is {}", self.chance.of(&["true", "not true", "false", "not false"]))
            }
            4 => {
                let kind = *self.chance.of(&[Int, Text, Numeric]);
                let (a, b) = (self.expr(kind, 0, 1, &visible), self.expr(kind, 0, 1, &visible));
                format!("{a} is {}distinct from {b}", if self.chance.percent(50) { "not " } else { "" })
            }
            5 | 6 => {
                let kind = *self.chance.of(&[Int, Int, Text, Numeric]);
                let (a, b) = (self.expr(kind, 0, 1, &visible), self.expr(kind, 0, 1, &visible));
                format!("{a} {} {b}", self.chance.of(&["=", "<", ">", "<>", "<=", ">="]))
            }
            _ => {
                let column = self.chance.of(&visible).clone();
                self.comparison(&column)
            }
        }
    }

    /// A column compared with constants.
    pub(super) fn comparison(&mut self, column: &Column) -> String {
        let name = &column.sql;
        if column.kind == Bool {
            return format!("{}{name}", if self.chance.percent(30) { "not " } else { "" });
        }
        let one = self.literal(column.kind);
        let other = self.literal(column.kind);
        match self.chance.below(12) {
            0..=3 => format!("{name} = {one}"),
            4 => format!("{one} = {name}"),
            5 => format!("{name} in ({one}, {other})"),
            6 => format!("{name} between {one} and {other}"),
            7 => format!("{name} not in ({one}, {other})"),
            8 => format!("({name} = {one} or {name} = {other})"),
            9 => format!("{name} = any (array[{one}, {other}])"),
            _ => format!("{name} {} {one}", self.chance.of(&["<", ">", "<=", ">=", "<>"])),
        }
    }

    pub(super) fn subquery_condition(&mut self, depth: usize, visible: &[Column]) -> String {
        match self.chance.below(6) {
            0 | 1 => {
                let query = self.query(depth - 1, visible, None);
                format!("{}exists ({})", if self.chance.percent(40) { "not " } else { "" }, query.sql)
            }
            2..=4 => {
                let column = self.chance.of(visible).clone();
                let keys: Vec<Column> = visible.iter().filter(|c| c.is_key).cloned().collect();
                let column = if !keys.is_empty() && self.chance.percent(60) {
                    self.chance.of(&keys).clone()
                } else {
                    column
                };
                let outer = if self.chance.percent(40) { visible } else { &[] };
                let query = self.query(depth - 1, outer, Some(&[column.kind]));
                let word = *self.chance.of(&["in", "in", "not in", "= any", "<> all"]);
                format!("{} {word} ({})", column.sql, query.sql)
            }
            _ => {
                let kind = *self.chance.of(&[Int, Numeric]);
                let scalar = self.scalar(kind, depth, visible);
                let expr = self.expr(kind, 0, 1, visible);
                format!("{expr} {} {scalar}", self.chance.of(&["=", "<", ">", "<>"]))
            }
        }
    }

    /// A subquery that gives one value.
    pub(super) fn scalar(&mut self, kind: Type, depth: usize, visible: &[Column]) -> String {
        let (from, scope) = self.from(depth - 1, visible);
        let aggregate = self.aggregate(kind, &scope);
        let condition = self.condition(depth - 1, &scope, visible);
        format!("(select {aggregate}{from} where {condition})")
    }

    pub(super) fn column_of(&mut self, kind: Type, scope: &[Column]) -> Option<String> {
        let fitting: Vec<&Column> = scope.iter().filter(|column| column.kind == kind).collect();
        if fitting.is_empty() { None } else { Some(self.chance.of(&fitting).sql.clone()) }
    }

    pub(super) fn literal(&mut self, kind: Type) -> String {
        match kind {
            Int => match self.chance.below(10) {
                0 => format!("{}", self.chance.below(400)),
                1 => format!("-{}", self.chance.below(60)),
                _ => format!("{}", self.chance.below(42)),
            },
            Numeric => format!("{}.{}", self.chance.below(60), self.chance.of(&["0", "25", "5", "50"])),
            Text => (*self.chance.of(&[
                "'ch'",
                "'cz'",
                "'de'",
                "'name 3'",
                "'name 12'",
                "'ann'",
                "'bob'",
                "'Ünal'",
                "'eu'",
                "'us'",
                "'north'",
                "'south'",
                "'west'",
                "'note 2'",
                "'item 5'",
                "''",
                "'a'",
                "'one'",
            ]))
            .to_owned(),
            Bool => (*self.chance.of(&["true", "false"])).to_owned(),
            Date => format!("date '2024-0{}-{:02}'", 1 + self.chance.below(9), 1 + self.chance.below(28)),
            Time => format!(
                "timestamp '2024-0{}-{:02} 10:00'",
                1 + self.chance.below(5),
                1 + self.chance.below(28)
            ),
            Zoned => format!(
                "timestamptz '2024-0{}-{:02} 00:00+00'",
                1 + self.chance.below(3),
                1 + self.chance.below(28)
            ),
            Uuid => format!("uuid '00000000-0000-0000-0000-0000000000{:02}'", self.chance.below(25)),
        }
    }

    /// An expression of a type; `subqueries` deep, `depth` nested.
    pub(super) fn expr(&mut self, kind: Type, subqueries: usize, depth: usize, scope: &[Column]) -> String {
        if depth == 0 || self.chance.percent(55) {
            return match self.column_of(kind, scope) {
                Some(column) if self.chance.percent(85) => column,
                _ => self.typed_literal(kind),
            };
        }
        if subqueries > 0 && matches!(kind, Int | Numeric) && self.chance.percent(12) {
            return self.scalar(kind, subqueries, scope);
        }
        let again = |this: &mut Self, kind| this.expr(kind, 0, depth - 1, scope);
        if self.chance.percent(12) {
            let condition = again(self, Bool);
            let (a, b) = (again(self, kind), again(self, kind));
            return format!("case when {condition} then {a} else {b} end");
        }
        if self.chance.percent(10) {
            let (a, b) = (again(self, kind), again(self, kind));
            return format!("{}({a}, {b})", self.chance.of(&["coalesce", "nullif", "greatest", "least"]));
        }
        match kind {
            Int => match self.chance.below(6) {
                0 => format!("length({})", again(self, Text)),
                1 => format!("({} % {})", again(self, Int), 2 + self.chance.below(4)),
                2 => format!("(- {})", again(self, Int)),
                3 => format!("abs({})", again(self, Int)),
                _ => {
                    let (a, b) = (again(self, Int), again(self, Int));
                    format!("({a} {} {b})", self.chance.of(&["+", "-"]))
                }
            },
            Numeric => match self.chance.below(3) {
                0 => format!("({}::numeric)", again(self, Int)),
                1 => format!("round({}, 1)", again(self, Numeric)),
                _ => format!("({} + {})", again(self, Numeric), again(self, Numeric)),
            },
            Text => match self.chance.below(4) {
                0 => format!("upper({})", again(self, Text)),
                1 => format!("({} || {})", again(self, Text), again(self, Text)),
                2 => format!("substr({}, 1, 2)", again(self, Text)),
                _ => format!("({}::text)", again(self, Int)),
            },
            Bool => {
                let kind = *self.chance.of(&[Int, Int, Text, Numeric]);
                let (a, b) = (again(self, kind), again(self, kind));
                match self.chance.below(5) {
                    0 => format!("({a} is null)"),
                    1 => format!("(not {})", again(self, Bool)),
                    2 => format!("({} and {})", again(self, Bool), again(self, Bool)),
                    _ => format!("({a} {} {b})", self.chance.of(&["=", "<", ">", "<>"])),
                }
            }
            other => again(self, other),
        }
    }

    /// A literal that has its type wherever it stands.
    pub(super) fn typed_literal(&mut self, kind: Type) -> String {
        if self.chance.percent(5) {
            let name = match kind {
                Int => "int",
                Numeric => "numeric",
                Text => "text",
                Bool => "bool",
                Date => "date",
                Time => "timestamp",
                Zoned => "timestamptz",
                Uuid => "uuid",
            };
            return format!("null::{name}");
        }
        let literal = self.literal(kind);
        if kind == Text { format!("text {literal}") } else { format!("({literal})") }
    }

    /// An aggregate that gives this type.
    pub(super) fn aggregate(&mut self, kind: Type, scope: &[Column]) -> String {
        let filter = if self.chance.percent(10) {
            format!(" filter (where {})", self.expr(Bool, 0, 1, scope))
        } else {
            String::new()
        };
        let distinct = if self.chance.percent(12) { "distinct " } else { "" };
        let core = match kind {
            Int => match self.chance.below(6) {
                0 | 1 => "count(*)".to_owned(),
                2 => {
                    let of = self.kind();
                    format!("count({distinct}{})", self.expr(of, 0, 1, scope))
                }
                _ => {
                    let name = *self.chance.of(&["min", "max", "bit_and", "bit_or"]);
                    format!("{name}({})", self.expr(Int, 0, 1, scope))
                }
            },
            Numeric => match self.chance.below(4) {
                0 => format!("sum({distinct}{}::int8)", self.expr(Int, 0, 1, scope)),
                1 => format!("avg({distinct}{})", self.expr(Int, 0, 1, scope)),
                2 => format!("avg({})", self.expr(Numeric, 0, 1, scope)),
                _ => {
                    let name = *self.chance.of(&["sum", "min", "max"]);
                    format!("{name}({distinct}{})", self.expr(Numeric, 0, 1, scope))
                }
            },
            Text => {
                let of = self.expr(Text, 0, 1, scope);
                match self.chance.below(4) {
                    0 => format!("string_agg({of}, ',' order by {of})"),
                    1 => format!("{}({of} collate \"C\")", self.chance.of(&["min", "max"])),
                    _ => format!("{}({of})", self.chance.of(&["min", "max"])),
                }
            }
            Bool => format!(
                "{}({})",
                self.chance.of(&["bool_and", "bool_or", "every"]),
                self.expr(Bool, 0, 1, scope)
            ),
            other => format!("{}({})", self.chance.of(&["min", "max"]), self.expr(other, 0, 1, scope)),
        };
        core + &filter
    }

    /// A window function whose value the statement decides.
    pub(super) fn window(&mut self, kind: Type, scope: &[Column]) -> String {
        let keys: Vec<Column> = scope.iter().filter(|column| column.is_key).cloned().collect();
        let mut inside = Vec::new();
        if self.chance.percent(70) {
            let column = if !keys.is_empty() && self.chance.percent(65) {
                self.chance.of(&keys).sql.clone()
            } else {
                self.chance.of(scope).sql.clone()
            };
            inside.push(format!("partition by {column}"));
        }
        let order = self.expr(Int, 0, 1, scope);
        // A bare number is no place here, but sorts nothing.
        inside.push(format!("order by {order}"));
        let over = inside.join(" ");
        match kind {
            Int => {
                let function = *self.chance.of(&["rank()", "dense_rank()", "count(*)"]);
                format!("{function} over ({over})")
            }
            Numeric => format!("sum({}) over ({over})", self.expr(Numeric, 0, 1, scope)),
            other => format!("max({}) over ({over})", self.max_of(other, scope)),
        }
    }

    pub(super) fn max_of(&mut self, kind: Type, scope: &[Column]) -> String {
        let value = self.expr(kind, 0, 1, scope);
        // There is no max(boolean) or max(uuid).
        if matches!(kind, Bool | Uuid) { format!("({value})::text") } else { value }
    }
}
