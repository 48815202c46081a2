//! OIDs of the built-in types that Howdah looks at.
//!
//! Source: PostgreSQL, `src/include/catalog/pg_type.dat`; they never change.

macro_rules! oids {
    ($($(#[$doc:meta])* $name:ident = $oid:literal;)*) => {
        $($(#[$doc])* pub const $name: u32 = $oid;)*
    };
}

oids! {
    /// boolean
    BOOL = 16;
    /// bytea
    BYTEA = 17;
    /// "char"
    CHAR = 18;
    /// name
    NAME = 19;
    /// bigint
    INT8 = 20;
    /// smallint
    INT2 = 21;
    /// integer
    INT4 = 23;
    /// text
    TEXT = 25;
    /// oid
    OID = 26;
    /// real
    FLOAT4 = 700;
    /// double precision
    FLOAT8 = 701;
    /// unknown: an untyped literal or parameter
    UNKNOWN = 705;
    /// money
    MONEY = 790;
    /// character(n)
    BPCHAR = 1042;
    /// character varying
    VARCHAR = 1043;
    /// date
    DATE = 1082;
    /// time without time zone
    TIME = 1083;
    /// timestamp without time zone
    TIMESTAMP = 1114;
    /// timestamp with time zone
    TIMESTAMPTZ = 1184;
    /// interval
    INTERVAL = 1186;
    /// time with time zone
    TIMETZ = 1266;
    /// bit(n)
    BIT = 1560;
    /// bit varying
    VARBIT = 1562;
    /// numeric
    NUMERIC = 1700;
    /// trigger: what trigger functions return
    TRIGGER = 2279;
    /// uuid
    UUID = 2950;
}

/// Whether the type is smallint, integer or bigint.
pub fn is_integer(oid: u32) -> bool {
    matches!(oid, INT2 | INT4 | INT8)
}
