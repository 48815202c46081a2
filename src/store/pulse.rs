//! One shard's pulse: a connection that renews the lease there each second, looks whether the catalog
//! changed, and, but for the home shard, prepares the shard and reads its catalog.
//!
//! Must not: decide what is planned by; that is the keeper's.

use super::error::StoreError;
use super::lease::{self, COUNTED_ON, RENEWAL};
use super::link::Link;
use super::migrate::migrate;
use super::read;
use super::records::{self, Identity};
use super::settings::Common;
use crate::catalog::Catalog;
use crate::ids::ShardId;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::mpsc;

/// What a pulse found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) shard: ShardId,
    pub(super) what: Result<Arc<Catalog>, StoreError>,
}

/// The pulse of one shard.
#[derive(Debug)]
pub(super) struct Pulse {
    common: Arc<Common>,
    shard: ShardId,
    found: mpsc::Sender<Found>,
    link: Option<Link>,
    is_registered: bool,
    signature: Option<String>,
    /// The catalog is being read by a task of its own.
    reading: Option<tokio::task::JoinHandle<bool>>,
    /// What went wrong last, so that it is logged once.
    trouble: Option<String>,
}

impl Pulse {
    pub(super) fn new(common: Arc<Common>, shard: ShardId, found: mpsc::Sender<Found>) -> Pulse {
        Pulse {
            common,
            shard,
            found,
            link: None,
            is_registered: false,
            signature: None,
            reading: None,
            trouble: None,
        }
    }

    /// Beats until it is aborted.
    pub(super) async fn run(mut self) {
        let identity = self.common.identity(self.shard).await;
        let mut every = tokio::time::interval(RENEWAL);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            match self.beat(&identity).await {
                Ok(()) => {
                    if self.trouble.take().is_some() {
                        tracing::info!(
                            shard = self.common.name(self.shard),
                            "the maintenance user reaches the shard again"
                        );
                    }
                }
                Err(error) => self.failed(error).await,
            }
        }
    }

    async fn failed(&mut self, error: StoreError) {
        self.link = None;
        let text = error.to_string();
        if self.trouble.as_ref() != Some(&text) {
            tracing::warn!(hint = error.hint(), "{text}");
            self.trouble = Some(text);
        }
        // A shard that cannot be reached is what it was; one that is another must not be used.
        if !error.is_passing() && self.shard != self.common.settings.home {
            self.common.view.lapse(self.shard);
            // Nobody listens only when the process ends.
            let _told = self.found.send(Found { shard: self.shard, what: Err(error) }).await;
        }
    }

    async fn beat(&mut self, identity: &Identity) -> Result<(), StoreError> {
        if self.link.as_ref().is_none_or(Link::is_closed) {
            self.link = Some(self.connect(identity).await?);
        }
        let Some(link) = &self.link else { return Ok(()) };
        let is_home = self.shard == self.common.settings.home;
        let common = Arc::clone(&self.common);
        let sent = Instant::now();
        let epoch = common.epoch();
        if is_home {
            // The keeper registers here, and says when what it knows is as it should be.
            if common.is_acknowledged.load(Ordering::Acquire) {
                self.is_registered = true;
            }
        } else if !self.is_registered && common.view.holds_home(sent) {
            // Only under a lease of the home shard: who was evicted everywhere must not come back by itself.
            lease::register(link, epoch, &common.settings.proxy).await?;
            self.is_registered = true;
        }
        if self.is_registered {
            if lease::renew(link, epoch).await? {
                if !is_home || common.is_acknowledged.load(Ordering::Acquire) {
                    common.view.extend(self.shard, sent + COUNTED_ON);
                }
            } else {
                common.view.lapse(self.shard);
                self.is_registered = false;
                if is_home {
                    common.is_acknowledged.store(false, Ordering::Release);
                    common.wake.notify_one();
                }
            }
        }
        self.look(is_home).await
    }

    /// Whether the catalog changed.
    async fn look(&mut self, is_home: bool) -> Result<(), StoreError> {
        let Some(link) = &self.link else { return Ok(()) };
        let signature = read::signature(link).await?;
        if is_home {
            if self.signature.as_ref().is_some_and(|known| *known != signature) {
                self.common.is_home_changed.store(true, Ordering::Release);
                self.common.wake.notify_one();
            }
            self.signature = Some(signature);
            return Ok(());
        }
        if let Some(reading) = self.reading.take_if(|reading| reading.is_finished())
            && !matches!(reading.await, Ok(true))
        {
            self.signature = None;
        }
        if self.reading.is_none() && self.signature.as_ref() != Some(&signature) {
            // The digest was taken before the catalog is read: what changes in between is seen again.
            self.signature = Some(signature);
            let reader =
                Reader { common: Arc::clone(&self.common), shard: self.shard, found: self.found.clone() };
            self.reading = Some(tokio::spawn(reader.read()));
        }
        Ok(())
    }

    async fn connect(&mut self, identity: &Identity) -> Result<Link, StoreError> {
        let common = &self.common;
        let is_home = self.shard == common.settings.home;
        // Only the home shard's connection wakes the keeper: it listens for changes.
        let wake = if is_home { Arc::clone(&common.wake) } else { Arc::default() };
        let link = common.open(self.shard, wake).await?;
        let name = common.name(self.shard);
        if !is_home {
            migrate(&link, name, common.database(self.shard)).await?;
        }
        let found = match records::identity(&link).await? {
            None if !is_home => records::mark(&link, identity).await?,
            None => return Err(StoreError::Broken("has no mark of its shard")),
            Some(found) => found,
        };
        records::check(&found, identity)?;
        // A renewal that a crash forgets only makes the lease shorter.
        link.run("SET synchronous_commit = off").await?;
        if is_home {
            link.run("LISTEN howdah").await?;
            self.common.wake.notify_one();
        }
        Ok(link)
    }
}

/// Reads a shard's catalog beside its pulse, which must not miss a renewal for it.
#[derive(Debug)]
struct Reader {
    common: Arc<Common>,
    shard: ShardId,
    found: mpsc::Sender<Found>,
}

impl Reader {
    /// Whether that was possible.
    async fn read(self) -> bool {
        let read = async {
            let link = self.common.open(self.shard, Arc::default()).await?;
            read::catalog(&link).await
        };
        match read.await {
            Ok(catalog) => self.found.send(Found { shard: self.shard, what: Ok(catalog) }).await.is_ok(),
            Err(error) => {
                tracing::warn!(shard = self.common.name(self.shard), "the catalog was not read: {error}");
                false
            }
        }
    }
}
