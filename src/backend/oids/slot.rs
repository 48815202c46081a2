//! Where a shard's connections find the OIDs that hold now.

use crate::catalog::OidMap;
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A shard's map, as last read.
#[derive(Debug, Default)]
pub struct OidSlot {
    /// 0 before the first map.
    version: AtomicU64,
    map: ArcSwapOption<OidMap>,
}

impl OidSlot {
    /// Puts another map in place, if it is another.
    pub fn set(&self, map: OidMap) {
        if self.map.load().as_ref().is_some_and(|before| **before == map) {
            return;
        }
        self.map.store(Some(Arc::new(map)));
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Changes with the map.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The map.
    pub fn map(&self) -> Option<Arc<OidMap>> {
        self.map.load_full()
    }
}
