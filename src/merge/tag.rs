//! Command tags: `SELECT 5`, `UPDATE 3`, `CREATE TABLE`.

use crate::error::SqlError;
use crate::protocol::write;
use crate::sqlstate;

/// A tag: its words, and the count behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    words: String,
    count: Option<u64>,
}

impl Tag {
    /// Reads a CommandComplete's body, with or without its final zero.
    pub(super) fn read(body: &[u8]) -> Tag {
        let text = String::from_utf8_lossy(body.strip_suffix(&[0]).unwrap_or(body));
        let counted = text.rsplit_once(' ').and_then(|(words, count)| Some((words, count.parse().ok()?)));
        match counted {
            Some((words, count)) => Tag { words: words.to_owned(), count: Some(count) },
            None => Tag { words: text.into_owned(), count: None },
        }
    }

    pub(super) fn is_select(&self) -> bool {
        self.words == "SELECT"
    }

    /// With another shard's tag of the same command.
    pub(super) fn with(self, other: Tag) -> Result<Tag, SqlError> {
        if self.words != other.words {
            return Err(SqlError::new(
                sqlstate::INTERNAL_ERROR,
                "the shards answered with different command tags",
            ));
        }
        let count = self.count.zip(other.count).map(|(a, b)| a.saturating_add(b));
        Ok(Tag { words: self.words, count })
    }

    /// Appends CommandComplete.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        match self.count {
            Some(count) => write::command_complete(out, &format!("{} {count}", self.words)),
            None => write::command_complete(out, &self.words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_one_command_add_up() {
        for (one, other, sum) in [
            ("UPDATE 3", "UPDATE 4", "UPDATE 7"),
            ("INSERT 0 1", "INSERT 0 2", "INSERT 0 3"),
            ("CREATE TABLE", "CREATE TABLE", "CREATE TABLE"),
        ] {
            let mut out = Vec::new();
            let tag = |text: &str| Tag::read(&[text.as_bytes(), &[0]].concat());
            tag(one).with(tag(other)).unwrap().put(&mut out);
            assert_eq!(&out[5..out.len() - 1], sum.as_bytes());
        }
        assert!(Tag::read(b"UPDATE 3\0").with(Tag::read(b"DELETE 3\0")).is_err());
        assert!(Tag::read(b"SELECT 5\0").is_select());
    }
}
