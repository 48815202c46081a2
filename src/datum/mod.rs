//! Typed values as Postgres has them: reading keys, hashing, ordering.
//!
//! Pure functions on bytes; they know no table and no message.

pub mod calendar;
pub mod float;
pub mod hash;
pub mod int8;
pub mod key;
pub mod numeric;
pub mod oid;
pub mod order;
