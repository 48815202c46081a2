//! What a statement may do beyond its result, as a bit set.
//!
//! Owns the names of the effects; `scan` finds them.

/// A set of effects that a statement may have on its session, found from its tokens alone.
///
/// An effect that is absent is absent for certain, as far as the statement's own text can tell: what
/// functions written by users do is not seen. An effect that is present may be a false alarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Effects(pub u32);

impl Effects {
    /// No effect.
    pub const NONE: Effects = Effects(0);
    /// Makes a temporary object, or mentions the schema `pg_temp`, also inside a string.
    pub const TEMP: Effects = Effects(1);
    /// Calls a function that takes an advisory lock for the session.
    pub const ADVISORY: Effects = Effects(1 << 1);
    /// Calls `set_config`.
    pub const SET_CONFIG: Effects = Effects(1 << 2);
    /// Reads a sequence's state of this session: `currval`, `lastval`.
    pub const SEQUENCE_STATE: Effects = Effects(1 << 3);
    /// Calls `nextval` or `setval`, which define `currval` and `lastval`.
    pub const NEXTVAL: Effects = Effects(1 << 4);
    /// Calls `setseed`.
    pub const SETSEED: Effects = Effects(1 << 5);
    /// Reads `pg_prepared_statements` or its function.
    pub const PREPARED_VIEW: Effects = Effects(1 << 6);
    /// `DECLARE ... WITH HOLD`.
    pub const HOLD: Effects = Effects(1 << 7);
    /// `LISTEN`.
    pub const LISTEN: Effects = Effects(1 << 8);
    /// Has both the word UPDATE and the view `pg_settings`, whose rule sets settings.
    pub const UPDATES_SETTINGS: Effects = Effects(1 << 9);
    /// A string constant has one of the words now, today, tomorrow, yesterday, whose meaning as a date or
    /// time is frozen when the statement is parsed.
    pub const DATETIME_WORD: Effects = Effects(1 << 10);
    /// Calls `dblink_connect` or `dblink_connect_u`.
    pub const DBLINK: Effects = Effects(1 << 11);
    /// `LOAD`.
    pub const LOAD: Effects = Effects(1 << 12);
    /// EXPLAIN, or CREATE TABLE AS, of an `EXECUTE name`.
    pub const EXECUTES_PREPARED: Effects = Effects(1 << 13);
    /// FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE or FOR KEY SHARE.
    pub const FOR_LOCK: Effects = Effects(1 << 14);
    /// A comment that starts with `howdah:`.
    pub const HOWDAH_HINT: Effects = Effects(1 << 15);
    /// `EXPLAIN (howdah) ...`.
    pub const EXPLAIN_HOWDAH: Effects = Effects(1 << 16);
    /// `CREATE TEMP TABLE ... ON COMMIT DROP` (together with [`Effects::TEMP`]).
    pub const WRITES_TEMP_ON_COMMIT_DROP: Effects = Effects(1 << 17);
    /// Has an identifier written as `U&"..."`, which may be any name: treat the statement as opaque.
    pub const UNICODE_IDENT: Effects = Effects(1 << 18);
    /// Calls a function that runs SQL given as text (`query_to_xml`, `ts_stat`, ...): treat as opaque.
    pub const SQL_IN_TEXT: Effects = Effects(1 << 19);
    /// Calls a function with other state for the session: `pg_backup_start`, a temporary replication
    /// slot, a replication origin.
    pub const OTHER_STATE: Effects = Effects(1 << 20);
    /// Has a token that Postgres's scanner refuses (an unterminated string, `1x`): the server fails the
    /// whole message.
    pub const LEXICAL_ERROR: Effects = Effects(1 << 21);

    /// Whether every effect of `other` is in the set.
    #[inline]
    pub fn contains(self, other: Effects) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any effect of `other` is in the set.
    #[inline]
    pub fn intersects(self, other: Effects) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the set is empty.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set if `holds`, else none.
    #[must_use]
    #[inline]
    pub fn when(self, holds: bool) -> Effects {
        if holds { self } else { Effects::NONE }
    }

    /// The set without the effects of `other`.
    #[must_use]
    #[inline]
    pub fn without(self, other: Effects) -> Effects {
        Effects(self.0 & !other.0)
    }
}

impl std::ops::BitOr for Effects {
    type Output = Effects;
    #[inline]
    fn bitor(self, other: Effects) -> Effects {
        Effects(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for Effects {
    #[inline]
    fn bitor_assign(&mut self, other: Effects) {
        self.0 |= other.0;
    }
}
