//! Answers that Howdah gives itself.

use super::super::client::Client;
use crate::error::SqlError;
use crate::protocol::write;

/// OID of type `text`.
const TEXT: u32 = 25;

impl Client {
    /// The rows of an EXPLAIN (howdah), for a simple query.
    pub(super) fn tell_explain(&mut self, rows: &[String]) {
        explain_description(&mut self.out);
        explain_rows(&mut self.out, rows);
        write::ready_for_query(&mut self.out, self.session.status());
    }

    /// Tells a warning of Howdah's own, unless the client wants none.
    pub(super) fn warn(&mut self, warning: &SqlError) {
        let level =
            self.session.settings().get("client_min_messages").unwrap_or_default().to_ascii_lowercase();
        let is_unwanted = |level_name: &[u8]| level.windows(level_name.len()).any(|word| word == level_name);
        if ![&b"error"[..], b"fatal", b"panic"].into_iter().any(is_unwanted) {
            write::notice_response(&mut self.out, "WARNING", warning);
        }
    }
}

/// RowDescription of EXPLAIN.
pub(super) fn explain_description(out: &mut Vec<u8>) {
    write::row_description(out, &[("QUERY PLAN", TEXT, -1)]);
}

/// Rows and CommandComplete of EXPLAIN.
pub(super) fn explain_rows(out: &mut Vec<u8>, rows: &[String]) {
    for row in rows {
        write::data_row(out, &[Some(row.as_bytes())]);
    }
    write::command_complete(out, "EXPLAIN");
}
