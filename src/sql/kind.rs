//! The kind of a statement, told by its first words without a parse tree.
//!
//! Owns the classification; `scan` calls it once per statement.

use super::lexer::{Lexer, Token, TokenKind};

/// What a statement is, by its first words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// SELECT, also in parentheses.
    Select,
    /// VALUES as a statement.
    Values,
    /// `TABLE t`.
    TableCommand,
    /// WITH before anything, reading or writing.
    With,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// MERGE.
    Merge,
    /// BEGIN or START TRANSACTION.
    Begin,
    /// COMMIT or END.
    Commit,
    /// ROLLBACK or ABORT.
    Rollback,
    /// SAVEPOINT.
    Savepoint,
    /// RELEASE \[SAVEPOINT\].
    Release,
    /// ROLLBACK ... TO \[SAVEPOINT\].
    RollbackTo,
    /// PREPARE TRANSACTION.
    PrepareTransaction,
    /// COMMIT PREPARED.
    CommitPrepared,
    /// ROLLBACK PREPARED.
    RollbackPrepared,
    /// SET \[LOCAL\] TRANSACTION, with SET TRANSACTION SNAPSHOT.
    SetTransaction,
    /// SET CONSTRAINTS.
    SetConstraints,
    /// Any other SET or SET SESSION, with SET SESSION CHARACTERISTICS.
    Set,
    /// SET LOCAL of a setting.
    SetLocal,
    /// RESET.
    Reset,
    /// SHOW.
    Show,
    /// DISCARD ALL.
    DiscardAll,
    /// DISCARD TEMP.
    DiscardTemp,
    /// DISCARD PLANS.
    DiscardPlans,
    /// DISCARD SEQUENCES.
    DiscardSequences,
    /// PREPARE of a statement.
    Prepare,
    /// EXECUTE.
    Execute,
    /// DEALLOCATE.
    Deallocate,
    /// DECLARE.
    Declare,
    /// FETCH.
    Fetch,
    /// MOVE.
    Move,
    /// CLOSE.
    CloseCursor,
    /// COPY ... FROM STDIN.
    CopyFromStdin,
    /// COPY ... TO STDOUT.
    CopyToStdout,
    /// COPY with a file or program, or with no direction found.
    CopyOther,
    /// LISTEN.
    Listen,
    /// UNLISTEN.
    Unlisten,
    /// NOTIFY.
    Notify,
    /// LOCK.
    Lock,
    /// EXPLAIN.
    Explain,
    /// CALL.
    Call,
    /// DO.
    Do,
    /// CREATE.
    Create,
    /// ALTER.
    Alter,
    /// DROP.
    Drop,
    /// TRUNCATE.
    Truncate,
    /// COMMENT, GRANT, REVOKE, SECURITY LABEL, REASSIGN, IMPORT FOREIGN SCHEMA, REFRESH.
    OtherDdl,
    /// VACUUM.
    Vacuum,
    /// ANALYZE.
    Analyze,
    /// CLUSTER.
    Cluster,
    /// REINDEX.
    Reindex,
    /// CHECKPOINT.
    Checkpoint,
    /// LOAD.
    Load,
    /// Nothing that starts a statement of Postgres 15.
    Other,
}

/// A word of up to eight bytes as a number, in lower case; 0 for a longer one.
///
/// `| 0x20` lowers letters; it maps no other byte that a word can hold onto a letter.
#[inline]
pub(crate) fn pack(sql: &[u8], start: usize, end: usize) -> u64 {
    const LOWER: u64 = 0x2020_2020_2020_2020;
    let len = end.wrapping_sub(start);
    if len == 0 || len > 8 {
        return 0;
    }
    if let Some(bytes) = sql.get(start..).and_then(|rest| rest.first_chunk::<8>()) {
        return (u64::from_le_bytes(*bytes) | LOWER) & (u64::MAX >> (64 - 8 * len as u32));
    }
    let word = sql.get(start..end).unwrap_or_default();
    word.iter().rev().fold(0, |packed, &byte| packed << 8 | u64::from(byte | 0x20))
}

/// [`pack`] of a keyword, for patterns.
pub(crate) const fn key(word: &[u8]) -> u64 {
    let mut packed = 0u64;
    let mut rest = word;
    let mut shift = 0u32;
    while let [first, tail @ ..] = rest {
        packed |= (*first as u64) << shift;
        shift += 8;
        rest = tail;
    }
    packed
}

macro_rules! keywords {
    ($($name:ident = $word:literal),* $(,)?) => {
        /// Keywords as [`pack`] gives them.
        pub(crate) mod word {
            $(pub(crate) const $name: u64 = super::key($word);)*
        }
    };
}

keywords! {
    SELECT = b"select", VALUES = b"values", TABLE = b"table", WITH = b"with", INSERT = b"insert",
    UPDATE = b"update", DELETE = b"delete", MERGE = b"merge", BEGIN = b"begin", START = b"start",
    COMMIT = b"commit", END = b"end", ROLLBACK = b"rollback", ABORT = b"abort", RELEASE = b"release",
    PREPARE = b"prepare", SET = b"set", RESET = b"reset", SHOW = b"show", DISCARD = b"discard",
    EXECUTE = b"execute", DECLARE = b"declare", FETCH = b"fetch", MOVE = b"move", CLOSE = b"close",
    COPY = b"copy", LISTEN = b"listen", UNLISTEN = b"unlisten", NOTIFY = b"notify", LOCK = b"lock",
    EXPLAIN = b"explain", CALL = b"call", DO = b"do", CREATE = b"create", ALTER = b"alter",
    DROP = b"drop", COMMENT = b"comment", GRANT = b"grant", REVOKE = b"revoke", TRUNCATE = b"truncate",
    SECURITY = b"security", REASSIGN = b"reassign", IMPORT = b"import", REFRESH = b"refresh",
    VACUUM = b"vacuum", ANALYZE = b"analyze", ANALYSE = b"analyse", CLUSTER = b"cluster",
    REINDEX = b"reindex", LOAD = b"load", WORK = b"work", TO = b"to", FROM = b"from", ALL = b"all",
    TEMP = b"temp", PLANS = b"plans", PREPARED = b"prepared", LOCAL = b"local", GLOBAL = b"global",
    OR = b"or", REPLACE = b"replace",
    FUNCTION = b"function", INTO = b"into", AS = b"as", FOR = b"for", ON = b"on", SHARE = b"share",
    NO = b"no", KEY = b"key", HOLD = b"hold", HOWDAH = b"howdah", ATOMIC = b"atomic", OFF = b"off",
    FALSE = b"false", LIMIT = b"limit", OFFSET = b"offset", BY = b"by", ARRAY = b"array", DISTINCT = b"distinct",
    AND = b"and", NOT = b"not", LIKE = b"like", ILIKE = b"ilike", THEN = b"then", ELSE = b"else", WHEN = b"when",
    CASE = b"case", BETWEEN = b"between", WHERE = b"where", IN = b"in", ANY = b"any", SOME = b"some", CURRVAL = b"currval", LASTVAL = b"lastval", NEXTVAL = b"nextval",
    SETVAL = b"setval", SETSEED = b"setseed", CROSSTAB = b"crosstab",
    // An underscore packs as 0x7f.
    TS_STAT = b"ts\x7fstat", PG_TEMP = b"pg\x7ftemp",
}

/// The kind that the first word alone tells; [`refine`] tells the rest for those that need more words.
#[inline]
pub(crate) fn by_first_word(sql: &[u8], start: usize, end: usize) -> Kind {
    match pack(sql, start, end) {
        word::SELECT => Kind::Select,
        word::INSERT => Kind::Insert,
        word::UPDATE => Kind::Update,
        word::BEGIN | word::START => Kind::Begin,
        word::COMMIT | word::END => Kind::Commit,
        other => by_rarer_word(other, sql, start, end),
    }
}

fn by_rarer_word(packed: u64, sql: &[u8], start: usize, end: usize) -> Kind {
    match packed {
        0 => by_long_word(sql.get(start..end).unwrap_or_default()),
        word::VALUES => Kind::Values,
        word::TABLE => Kind::TableCommand,
        word::WITH => Kind::With,
        word::DELETE => Kind::Delete,
        word::MERGE => Kind::Merge,
        word::ROLLBACK | word::ABORT => Kind::Rollback,
        word::RELEASE => Kind::Release,
        word::PREPARE => Kind::Prepare,
        word::SET => Kind::Set,
        word::RESET => Kind::Reset,
        word::SHOW => Kind::Show,
        word::DISCARD => Kind::DiscardAll,
        word::EXECUTE => Kind::Execute,
        word::DECLARE => Kind::Declare,
        word::FETCH => Kind::Fetch,
        word::MOVE => Kind::Move,
        word::CLOSE => Kind::CloseCursor,
        word::COPY => Kind::CopyOther,
        word::LISTEN => Kind::Listen,
        word::UNLISTEN => Kind::Unlisten,
        word::NOTIFY => Kind::Notify,
        word::LOCK => Kind::Lock,
        word::EXPLAIN => Kind::Explain,
        word::CALL => Kind::Call,
        word::DO => Kind::Do,
        word::CREATE => Kind::Create,
        word::ALTER => Kind::Alter,
        word::DROP => Kind::Drop,
        word::TRUNCATE => Kind::Truncate,
        word::COMMENT | word::GRANT | word::REVOKE | word::SECURITY => Kind::OtherDdl,
        word::REASSIGN | word::IMPORT | word::REFRESH => Kind::OtherDdl,
        word::VACUUM => Kind::Vacuum,
        word::ANALYZE | word::ANALYSE => Kind::Analyze,
        word::CLUSTER => Kind::Cluster,
        word::REINDEX => Kind::Reindex,
        word::LOAD => Kind::Load,
        _ => Kind::Other,
    }
}

fn by_long_word(text: &[u8]) -> Kind {
    if text.eq_ignore_ascii_case(b"savepoint") {
        Kind::Savepoint
    } else if text.eq_ignore_ascii_case(b"deallocate") {
        Kind::Deallocate
    } else if text.eq_ignore_ascii_case(b"checkpoint") {
        Kind::Checkpoint
    } else {
        Kind::Other
    }
}

/// Tells apart the kinds that share a first word, by reading the statement's next tokens.
#[inline]
pub(crate) fn refine(kind: Kind, statement: &[u8], standard_conforming_strings: bool) -> Kind {
    if !matches!(
        kind,
        Kind::Begin
            | Kind::Commit
            | Kind::Rollback
            | Kind::Prepare
            | Kind::Set
            | Kind::DiscardAll
            | Kind::CopyOther
    ) {
        return kind;
    }
    if matches!(statement.len(), 3 | 5 | 6) && matches!(kind, Kind::Begin | Kind::Commit) {
        // END, BEGIN, COMMIT alone, told from START by the letter.
        if !matches!(statement.first(), Some(b's' | b'S')) {
            return kind;
        }
    }
    refine_by_words(kind, statement, standard_conforming_strings)
}

/// [`refine`] for the kinds that need it.
fn refine_by_words(kind: Kind, statement: &[u8], standard_conforming_strings: bool) -> Kind {
    let mut words = Lexer::new(statement, standard_conforming_strings);
    let first = words.next_significant();
    let second = words.next_significant();
    let third = words.next_significant();
    let packed = |token: Option<Token>| match token {
        Some(token) if token.kind == TokenKind::Word => pack(statement, token.start, token.end),
        _ => 0,
    };
    let is = |token: Option<Token>, lower: &[u8]| token.is_some_and(|token| token.is_word(statement, lower));
    match kind {
        Kind::Begin if packed(first) == word::START && !is(second, b"transaction") => Kind::Other,
        Kind::Commit if packed(first) == word::COMMIT && packed(second) == word::PREPARED => {
            Kind::CommitPrepared
        }
        Kind::Rollback if packed(second) == word::PREPARED => Kind::RollbackPrepared,
        Kind::Rollback if packed(second) == word::TO => Kind::RollbackTo,
        Kind::Rollback
            if packed(third) == word::TO && (packed(second) == word::WORK || is(second, b"transaction")) =>
        {
            Kind::RollbackTo
        }
        Kind::Prepare if is(second, b"transaction") && third.is_some_and(|token| token.kind.is_string()) => {
            Kind::PrepareTransaction
        }
        Kind::Set => refine_set(statement, second, third),
        Kind::DiscardAll => match packed(second) {
            word::ALL => Kind::DiscardAll,
            word::TEMP => Kind::DiscardTemp,
            word::PLANS => Kind::DiscardPlans,
            _ if is(second, b"temporary") => Kind::DiscardTemp,
            _ if is(second, b"sequences") => Kind::DiscardSequences,
            _ => Kind::Other,
        },
        Kind::CopyOther => copy_direction(statement, standard_conforming_strings),
        _ => kind,
    }
}

/// Whether a token can follow a setting's name, so that the word before it is that name.
fn follows_name(statement: &[u8], token: Option<Token>) -> bool {
    token.is_some_and(|token| {
        token.kind == TokenKind::Dot
            || (token.kind == TokenKind::Operator && token.text(statement) == b"=")
            || token.is_word(statement, b"to")
    })
}

fn refine_set(statement: &[u8], second: Option<Token>, third: Option<Token>) -> Kind {
    let is = |token: Option<Token>, lower: &[u8]| token.is_some_and(|token| token.is_word(statement, lower));
    if follows_name(statement, third) {
        // `SET local.x = 1`, `SET transaction.y = 2`, `SET session TO 3`: names, not keywords.
        Kind::Set
    } else if is(second, b"transaction") {
        Kind::SetTransaction
    } else if is(second, b"constraints") {
        Kind::SetConstraints
    } else if is(second, b"session") && is(third, b"transaction") {
        after_scope(statement, third, Kind::Set)
    } else if is(second, b"local") {
        after_scope(statement, third, Kind::SetLocal)
    } else {
        Kind::Set
    }
}

/// `SET LOCAL TRANSACTION ...` against `SET LOCAL transaction.x = 1`.
fn after_scope(statement: &[u8], third: Option<Token>, otherwise: Kind) -> Kind {
    let Some(third) = third.filter(|token| token.is_word(statement, b"transaction")) else {
        return otherwise;
    };
    // Strings cannot occur before the fourth token, so either setting of strings reads it alike.
    let fourth = Lexer::starting_at(statement, third.end, true).next_significant();
    if follows_name(statement, fourth) { otherwise } else { Kind::SetTransaction }
}

/// The direction of a COPY: FROM and TO are reserved words, so the first one outside parentheses is it.
///
/// Postgres takes STDIN and STDOUT as the same word (`COPY t FROM STDOUT` reads from the client).
fn copy_direction(statement: &[u8], standard_conforming_strings: bool) -> Kind {
    let mut tokens = Lexer::new(statement, standard_conforming_strings);
    let mut depth = 0usize;
    while let Some(token) = tokens.next_significant() {
        match token.kind {
            TokenKind::ParenOpen => depth += 1,
            TokenKind::ParenClose => depth = depth.saturating_sub(1),
            TokenKind::Dot => {
                // Behind a dot any word is a name: `COPY public.from TO STDOUT`.
                tokens.next_significant();
            }
            TokenKind::Word if depth == 0 => {
                let direction = match pack(statement, token.start, token.end) {
                    word::FROM => Kind::CopyFromStdin,
                    word::TO => Kind::CopyToStdout,
                    _ => continue,
                };
                return match tokens.next_significant() {
                    Some(target)
                        if target.is_word(statement, b"stdin") || target.is_word(statement, b"stdout") =>
                    {
                        direction
                    }
                    _ => Kind::CopyOther,
                };
            }
            _ => {}
        }
    }
    Kind::CopyOther
}
