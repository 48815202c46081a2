//! What transaction commands say: modes, chains, savepoints, two-phase ids.
//!
//! Owns the parse of these commands only; the state they lead to is the session's.

use super::names::{Cursor, Name};

/// An isolation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// READ UNCOMMITTED, which Postgres treats as READ COMMITTED.
    ReadUncommitted,
    /// READ COMMITTED
    ReadCommitted,
    /// REPEATABLE READ
    RepeatableRead,
    /// SERIALIZABLE
    Serializable,
}

impl Isolation {
    /// The value of `default_transaction_isolation` that stands for it.
    pub fn setting(self) -> &'static str {
        match self {
            Isolation::ReadUncommitted => "read uncommitted",
            Isolation::ReadCommitted => "read committed",
            Isolation::RepeatableRead => "repeatable read",
            Isolation::Serializable => "serializable",
        }
    }
}

/// The modes of BEGIN, START TRANSACTION, SET TRANSACTION; a later one of a kind wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    /// ISOLATION LEVEL ...
    pub isolation: Option<Isolation>,
    /// READ ONLY (true) or READ WRITE.
    pub read_only: Option<bool>,
    /// DEFERRABLE (true) or NOT DEFERRABLE.
    pub deferrable: Option<bool>,
    /// Bytes of the modes in the statement; empty if there are none.
    pub start: usize,
    /// One past their last byte.
    pub end: usize,
}

/// A transaction command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionCommand {
    /// BEGIN or START TRANSACTION.
    Begin(Modes),
    /// SET \[LOCAL\] TRANSACTION with modes.
    SetTransaction(Modes),
    /// SET TRANSACTION SNAPSHOT.
    SetSnapshot,
    /// COMMIT or END.
    Commit {
        /// AND CHAIN.
        and_chain: bool,
    },
    /// ROLLBACK or ABORT.
    Rollback {
        /// AND CHAIN.
        and_chain: bool,
    },
    /// SAVEPOINT.
    Savepoint(Name),
    /// RELEASE.
    Release(Name),
    /// ROLLBACK TO.
    RollbackTo(Name),
    /// PREPARE TRANSACTION with its id.
    PrepareTransaction(Vec<u8>),
    /// COMMIT PREPARED with its id.
    CommitPrepared(Vec<u8>),
    /// ROLLBACK PREPARED with its id.
    RollbackPrepared(Vec<u8>),
}

/// The command tag of a statement that begins a block.
pub fn begin_tag(statement: &[u8]) -> &'static str {
    if Cursor::new(statement, true).eat(b"start") { "START TRANSACTION" } else { "BEGIN" }
}

/// Reads a transaction command; none for any other statement, or one that Postgres refuses.
pub fn parse_transaction(statement: &[u8], standard_conforming_strings: bool) -> Option<TransactionCommand> {
    let mut cursor = Cursor::new(statement, standard_conforming_strings);
    let command = command(&mut cursor)?;
    cursor.is_at_end().then_some(command)
}

fn command(cursor: &mut Cursor<'_>) -> Option<TransactionCommand> {
    if cursor.eat(b"begin") {
        eat_work(cursor);
        return modes(cursor).map(TransactionCommand::Begin);
    }
    if cursor.eat_all(&[b"start", b"transaction"]) {
        return modes(cursor).map(TransactionCommand::Begin);
    }
    if cursor.eat(b"commit") {
        if cursor.eat(b"prepared") {
            return Some(TransactionCommand::CommitPrepared(cursor.string()?.into_owned()));
        }
        return end_of_block(cursor).map(|and_chain| TransactionCommand::Commit { and_chain });
    }
    if cursor.eat(b"end") {
        return end_of_block(cursor).map(|and_chain| TransactionCommand::Commit { and_chain });
    }
    if cursor.eat(b"rollback") {
        return rollback(cursor);
    }
    if cursor.eat(b"abort") {
        return end_of_block(cursor).map(|and_chain| TransactionCommand::Rollback { and_chain });
    }
    if cursor.eat(b"savepoint") {
        return cursor.name().map(TransactionCommand::Savepoint);
    }
    if cursor.eat(b"release") {
        return savepoint_name(cursor).map(TransactionCommand::Release);
    }
    if cursor.eat_all(&[b"prepare", b"transaction"]) {
        return Some(TransactionCommand::PrepareTransaction(cursor.string()?.into_owned()));
    }
    if cursor.eat(b"set") {
        if !cursor.eat(b"local") {
            cursor.eat(b"session");
        }
        if !cursor.eat(b"transaction") {
            return None;
        }
        if cursor.eat(b"snapshot") {
            return cursor.string().map(|_| TransactionCommand::SetSnapshot);
        }
        return modes(cursor).filter(|modes| modes.end > 0).map(TransactionCommand::SetTransaction);
    }
    None
}

fn rollback(cursor: &mut Cursor<'_>) -> Option<TransactionCommand> {
    if cursor.eat(b"prepared") {
        return Some(TransactionCommand::RollbackPrepared(cursor.string()?.into_owned()));
    }
    let mut ahead = cursor.clone();
    eat_work(&mut ahead);
    if ahead.eat(b"to") {
        *cursor = ahead;
        return savepoint_name(cursor).map(TransactionCommand::RollbackTo);
    }
    end_of_block(cursor).map(|and_chain| TransactionCommand::Rollback { and_chain })
}

fn eat_work(cursor: &mut Cursor<'_>) {
    if !cursor.eat(b"work") {
        cursor.eat(b"transaction");
    }
}

/// `[WORK | TRANSACTION] [AND [NO] CHAIN]`: whether it chains.
fn end_of_block(cursor: &mut Cursor<'_>) -> Option<bool> {
    eat_work(cursor);
    if !cursor.eat(b"and") {
        return Some(false);
    }
    let chains = !cursor.eat(b"no");
    cursor.eat(b"chain").then_some(chains)
}

/// `[SAVEPOINT] name`, where the name may itself be `savepoint`.
fn savepoint_name(cursor: &mut Cursor<'_>) -> Option<Name> {
    let mut ahead = cursor.clone();
    if ahead.eat(b"savepoint")
        && let Some(name) = ahead.name()
    {
        *cursor = ahead;
        return Some(name);
    }
    cursor.name()
}

/// Transaction modes with or without commas between; none if one is broken off.
pub(crate) fn modes(cursor: &mut Cursor<'_>) -> Option<Modes> {
    let mut modes = Modes::default();
    loop {
        let Some(first) = cursor.peek() else {
            return Some(modes);
        };
        let mut ahead = cursor.clone();
        if ahead.eat_all(&[b"isolation", b"level"]) {
            modes.isolation = Some(isolation(&mut ahead)?);
        } else if ahead.eat(b"read") {
            let is_read_only = ahead.eat(b"only");
            if !is_read_only && !ahead.eat(b"write") {
                return None;
            }
            modes.read_only = Some(is_read_only);
        } else if ahead.eat(b"deferrable") {
            modes.deferrable = Some(true);
        } else if ahead.eat_all(&[b"not", b"deferrable"]) {
            modes.deferrable = Some(false);
        } else {
            return Some(modes);
        }
        if modes.end == 0 {
            modes.start = first.start;
        }
        modes.end = ahead.last_end();
        *cursor = ahead;
        if cursor.eat_kind(super::lexer::TokenKind::Comma) && cursor.is_at_end() {
            return None;
        }
    }
}

fn isolation(cursor: &mut Cursor<'_>) -> Option<Isolation> {
    if cursor.eat(b"serializable") {
        Some(Isolation::Serializable)
    } else if cursor.eat_all(&[b"repeatable", b"read"]) {
        Some(Isolation::RepeatableRead)
    } else if cursor.eat_all(&[b"read", b"committed"]) {
        Some(Isolation::ReadCommitted)
    } else if cursor.eat_all(&[b"read", b"uncommitted"]) {
        Some(Isolation::ReadUncommitted)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::TransactionCommand::*;
    use super::*;

    fn parse(sql: &str) -> Option<TransactionCommand> {
        parse_transaction(sql.as_bytes(), true)
    }

    #[test]
    fn modes_are_read_with_their_span() {
        let sql = "start transaction isolation level /**/ repeatable read, read only not deferrable ;";
        let Some(Begin(modes)) = parse(sql) else { panic!() };
        assert_eq!(modes.isolation, Some(Isolation::RepeatableRead));
        assert_eq!((modes.read_only, modes.deferrable), (Some(true), Some(false)));
        assert_eq!(
            &sql[modes.start..modes.end],
            "isolation level /**/ repeatable read, read only not deferrable"
        );
        assert_eq!(parse("begin"), Some(Begin(Modes::default())));
        assert_eq!(begin_tag(b"/* start */ begin"), "BEGIN");
        assert_eq!(begin_tag(b"-- x\n START transaction read only"), "START TRANSACTION");
        assert_eq!(parse("begin work read"), None);
        assert_eq!(parse("begin read only,"), None);
        assert!(matches!(parse("set local transaction read write"), Some(SetTransaction(_))));
        assert_eq!(parse("set transaction snapshot 'x'"), Some(SetSnapshot));
    }

    #[test]
    fn ends_of_blocks_know_their_chain() {
        assert_eq!(parse("commit"), Some(Commit { and_chain: false }));
        assert_eq!(parse("end work and chain;"), Some(Commit { and_chain: true }));
        assert_eq!(parse("abort transaction and no chain"), Some(Rollback { and_chain: false }));
        assert_eq!(parse("commit nonsense"), None);
    }

    #[test]
    fn savepoints_give_their_decoded_names() {
        for (sql, want) in [
            ("savepoint A", "a"),
            ("release savepoint \"A\"", "A"),
            ("release savepoint", "savepoint"),
            ("rollback to a", "a"),
            ("rollback work to savepoint a", "a"),
        ] {
            let (Some(Savepoint(name)) | Some(Release(name)) | Some(RollbackTo(name))) = parse(sql) else {
                panic!("{sql}")
            };
            assert_eq!(name.name, want.as_bytes(), "{sql}");
        }
    }

    #[test]
    fn two_phase_commands_give_their_id() {
        assert_eq!(parse("prepare transaction 'a''b'"), Some(PrepareTransaction(b"a'b".to_vec())));
        assert_eq!(parse("commit prepared e'a\\'b'"), Some(CommitPrepared(b"a'b".to_vec())));
        assert_eq!(parse("rollback prepared 'x'"), Some(RollbackPrepared(b"x".to_vec())));
        assert_eq!(parse("prepare transaction as select 1"), None);
    }
}
