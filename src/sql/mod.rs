//! SQL as bytes: tokens, statements, their kinds and effects, settings, templates.
//!
//! | module | owns |
//! | --- | --- |
//! | `lexer` | tokens with the boundaries of Postgres's scanner |
//! | `scan` | one pass per message: statements, `kind`, `effects` |
//! | `literal`, `names` | values of strings, names of identifiers |
//! | `settings`, `prepared`, `transaction` | what SET, PREPARE, BEGIN and their kin say |
//! | `cost_settings` | which settings change no answer |
//! | `template` | literals lifted to parameters, the key of the plan cache |
//! | `parse`, `query` | the tree, and a statement with its names resolved |
//! | `relation_places` | where in a query a relation can be named |
//! | `splice` | text put in at places that tokens name |
//! | `redacted` | statements for logs, without literals |
//! | `encoding` | which client encodings can be read as bytes |

mod bytes;
pub mod cost_settings;
pub mod effects;
pub mod encoding;
pub mod kind;
mod known;
pub mod lexer;
pub mod literal;
pub mod names;
pub mod parse;
mod place;
pub mod plpgsql;
pub mod prepared;
pub mod query;
pub mod redacted;
pub mod relation_places;
pub mod scan;
pub mod settings;
pub mod splice;
pub mod template;
pub mod transaction;

pub use effects::Effects;
pub use kind::Kind;
pub use scan::{Statement, Statements, scan};
