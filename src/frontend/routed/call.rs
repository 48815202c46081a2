//! Function-call messages of a routed client, as libpq's large objects use them.

use super::super::client::{Client, End};
use crate::error::SqlError;
use crate::protocol::frame::HEADER_LEN;
use crate::protocol::frontend;
use crate::protocol::read::Reader;
use std::ops::Range;

/// Postgres's functions of large objects, which lie on the home shard.
///
/// Source: PostgreSQL 15, `src/include/catalog/pg_proc.dat`; built-in functions keep their OIDs.
const LARGE_OBJECT_FUNCTIONS: [u32; 20] = [
    715, 764, 765, 767, 952, 953, 954, 955, 956, 957, 958, 964, 1004, 3170, 3171, 3172, 3457, 3458, 3459,
    3460,
];

impl Client {
    /// Runs the function on the home shard, where nothing it may do needs another.
    pub(super) async fn routed_call(&mut self, frame: Range<usize>) -> Result<(), End> {
        if let Err(error) = self.ensure_catalog().await? {
            return self.tell_failure(frontend::FUNCTION_CALL, &error);
        }
        let body = self.input.get(frame.start + HEADER_LEN..frame.end).unwrap_or_default();
        let function = Reader::new(body).u32().unwrap_or_default();
        let home = self.routed()?.home();
        let is_safe =
            !self.database.rules.has_sharded() || LARGE_OBJECT_FUNCTIONS.binary_search(&function).is_ok();
        let allowed = if is_safe { self.note_write(home)? } else { Err(unknown_function()) };
        match allowed {
            Ok(()) => self.send_to(frame, home).await,
            Err(error) => self.refuse(frontend::FUNCTION_CALL, &error).await,
        }
    }
}

fn unknown_function() -> SqlError {
    SqlError::refused(
        "in a cluster with sharded tables the function-call message may only call functions of large objects",
        "Call the function in a SELECT.",
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_is_sorted_for_binary_search() {
        assert!(super::LARGE_OBJECT_FUNCTIONS.is_sorted());
    }
}
