//! What running a plan needs besides connections: the router, which keeps a database's schema and the
//! plans made against it.

mod router;

pub(crate) use router::{Bindings, Literals, Spanned};

pub use router::{Memo, PlannedStatement, Router, RouterError, Spans, read_catalog};
