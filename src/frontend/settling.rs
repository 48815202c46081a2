//! After a client's transaction has changed the catalog: the client is told that it is committed once every
//! proxy of the cluster plans by what it changed.
//!
//! What it is to be told waits in its buffer; its server connection waits for nothing.

use super::client::Client;
use crate::error::SqlError;
use crate::protocol::{backend, write};
use crate::sqlstate;
use crate::store::{Unsettled, View};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A ReadyForQuery message's length.
const READY_LEN: usize = 6;

/// The wait for other proxies.
pub(super) struct Settling {
    settled: Pin<Box<dyn Future<Output = Result<(), Unsettled>> + Send>>,
    /// Where in the client's buffer the answer ends that waits.
    end: usize,
}

impl fmt::Debug for Settling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settling").field("end", &self.end).finish_non_exhaustive()
    }
}

impl Settling {
    /// `end`: how much of the client's buffer is there already.
    pub(super) fn new(view: &Arc<View>, end: usize) -> Settling {
        let view = Arc::clone(view);
        Settling { settled: Box::pin(async move { view.settle().await }), end }
    }
}

impl Client {
    /// Waits until every proxy has taken in what this client changed, if it did.
    pub(super) async fn wait_settled(&mut self) {
        poll_fn(|cx| self.poll_settled(cx)).await;
    }

    pub(super) fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(settling) = &mut self.settling else { return Poll::Ready(()) };
        let settled = ready!(settling.settled.as_mut().poll(cx));
        let end = settling.end;
        self.settling = None;
        if let Err(unsettled) = settled {
            self.warn_unsettled(&unsettled, end);
        }
        Poll::Ready(())
    }

    #[cold]
    fn warn_unsettled(&mut self, unsettled: &Unsettled, end: usize) {
        tracing::warn!(database = %self.database.name, "{unsettled}");
        // Before ReadyForQuery, where the answer ends with that.
        let ready =
            end.checked_sub(READY_LEN).filter(|at| self.out.get(*at) == Some(&backend::READY_FOR_QUERY));
        let Some(at) = ready else { return };
        let warning = SqlError::new(sqlstate::WARNING, unsettled.to_string()).with_detail(
            "The change is committed; a proxy that has not taken it in may plan by what was before for a few seconds.",
        );
        let mut notice = Vec::new();
        write::notice_response(&mut notice, "WARNING", &warning);
        self.out.splice(at..at, notice);
    }
}
