//! The tables that random statements read, and the types of their columns.

/// The types that expressions are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Integers of all widths.
    Int,
    /// numeric.
    Numeric,
    /// text.
    Text,
    /// boolean.
    Bool,
    /// date.
    Date,
    /// timestamp.
    Time,
    /// timestamptz.
    Zoned,
    /// uuid.
    Uuid,
}

use Type::{Bool, Date, Int, Numeric, Text, Time, Uuid, Zoned};

/// A table: its name, its columns, and how many of them are its sharding key.
pub struct Table(pub &'static str, pub &'static [(&'static str, Type)], pub usize);

pub const TABLES: &[Table] = &[
    Table(
        "users",
        &[
            ("id", Int),
            ("name", Text),
            ("age", Int),
            ("score", Numeric),
            ("active", Bool),
            ("made", Zoned),
            ("country", Text),
        ],
        1,
    ),
    Table(
        "orders",
        &[("user_id", Int), ("id", Int), ("order_no", Int), ("amount", Numeric), ("note", Text)],
        1,
    ),
    Table("lines", &[("user_id", Int), ("order_no", Int), ("item", Text)], 1),
    Table("countries", &[("code", Text), ("title", Text)], 0),
    Table("accounts", &[("login", Text), ("balance", Int)], 1),
    Table("readings", &[("tenant", Int), ("region", Text), ("n", Int), ("value", Numeric)], 2),
    Table("stretch", &[("num", Int), ("n", Int)], 1),
    Table("regional", &[("region", Text), ("n", Int)], 1),
    Table("diary", &[("day", Date), ("note", Text)], 1),
    Table("archive", &[("placed", Time), ("id", Int), ("amount", Numeric)], 1),
    Table("metrics", &[("id", Int), ("at", Date), ("v", Int)], 1),
    Table("docs", &[("id", Uuid), ("title", Text)], 1),
    Table("adults", &[("id", Int), ("name", Text), ("age", Int)], 1),
    Table("order_totals", &[("user_id", Int), ("total", Numeric), ("n", Int)], 1),
    Table("user_countries", &[("id", Int), ("title", Text)], 1),
    Table("first_users", &[("id", Int), ("name", Text)], 0),
    Table("settings", &[("name", Text), ("v", Text)], 0),
    Table("audit", &[("id", Int), ("what", Text)], 0),
];

/// How often a table is taken: those of one group most.
pub const WEIGHTS: &[usize] =
    &[0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 3, 4, 5, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17];
