//! The task that keeps one cluster's view: follows the home shard's store and catalog, takes in what the other
//! shards' pulses find, says what it has taken in, and answers clients that wait for other proxies to do so.

use super::change;
use super::compose::{self, Known};
use super::error::StoreError;
use super::lease::{self, COUNTED_ON, RENEWAL};
use super::link::Link;
use super::migrate::migrate;
use super::pulse::{Found, Pulse};
use super::read;
use super::records::{self, Identity, Stored};
use super::settings::{Common, StoreSettings};
use super::settle;
use super::view::{Request, Unsettled, View};
use crate::ids::ShardId;
use crate::rules::Rules;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::AbortHandle;

/// Clients that may wait for the keeper at once; more wait to be heard.
const REQUESTS_MAX: usize = 256;

/// How long a proxy that ends tries to give its leases back.
const GIVE_BACK_TIMEOUT: Duration = Duration::from_millis(500);

/// The tasks of a cluster's store; they end when this is dropped.
#[derive(Debug)]
pub struct Keeper {
    common: Arc<Common>,
    waiting: Option<Waiting>,
    tasks: Vec<AbortHandle>,
}

/// What is started first on a thread with a runtime.
#[derive(Debug)]
struct Waiting {
    work: Work,
    ears: Ears,
    pulses: Vec<Pulse>,
}

impl Keeper {
    /// A keeper that does not run yet. The second value says how its start went, once the home shard was
    /// reached.
    pub fn new(
        settings: StoreSettings,
        rules: Arc<Rules>,
    ) -> (Keeper, oneshot::Receiver<Result<(), StoreError>>) {
        let (requests, asked) = mpsc::channel(REQUESTS_MAX);
        let (found, finds) = mpsc::channel(settings.shards.len().max(1));
        let view = Arc::new(View::new(settings.shards.len(), settings.home, requests));
        let common = Arc::new(Common {
            settings,
            view,
            wake: Arc::new(Notify::new()),
            joined: OnceLock::new(),
            has_joined: Notify::new(),
            is_acknowledged: AtomicBool::new(false),
            is_home_changed: AtomicBool::new(false),
        });
        let shards = (0..common.settings.shards.len()).filter_map(|at| u16::try_from(at).ok()).map(ShardId);
        let pulses = shards.map(|shard| Pulse::new(Arc::clone(&common), shard, found.clone())).collect();
        let (agreed, agreements) = mpsc::channel(1);
        let (started, outcome) = oneshot::channel();
        let work = Work {
            common: Arc::clone(&common),
            known: Known::new(rules, common.settings.shards.len()),
            link: None,
            waiting_link: None,
            stored: None,
            digest: None,
            acknowledged: 0,
            trouble: None,
            agreed,
            started: Some(started),
        };
        let waiting = Waiting { work, ears: Ears { asked, finds, agreed: agreements }, pulses };
        (Keeper { common, waiting: Some(waiting), tasks: Vec::new() }, outcome)
    }

    /// Starts the tasks, on the runtime of this thread; `false`: they run already.
    pub fn start(&mut self) -> bool {
        let Some(Waiting { work, ears, pulses }) = self.waiting.take() else { return false };
        self.tasks.push(tokio::spawn(work.run(ears)).abort_handle());
        self.tasks.extend(pulses.into_iter().map(|pulse| tokio::spawn(pulse.run()).abort_handle()));
        true
    }

    /// What this proxy knows of the cluster.
    pub fn view(&self) -> &Arc<View> {
        &self.common.view
    }

    /// Ends the tasks and gives the leases back, so that nobody waits for this proxy.
    pub async fn end(self) {
        for task in &self.tasks {
            task.abort();
        }
        let epoch = self.common.epoch();
        if epoch == 0 {
            return;
        }
        for shard in (0..self.common.settings.shards.len()).filter_map(|at| u16::try_from(at).ok()) {
            self.common.view.lapse(ShardId(shard));
            let give_back = async {
                let link = self.common.open(ShardId(shard), Arc::default()).await?;
                lease::give_back(&link, epoch).await
            };
            // Where it cannot be given back it expires.
            let _expires_else = tokio::time::timeout(GIVE_BACK_TIMEOUT, give_back).await;
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// The keeper's own state.
#[derive(Debug)]
struct Work {
    common: Arc<Common>,
    known: Known,
    link: Option<Link>,
    /// For what is waited for beside the keeper's own work.
    waiting_link: Option<Arc<Link>>,
    stored: Option<Stored>,
    /// The home shard's catalog as it was right before it was read.
    digest: Option<String>,
    /// The change of rules that was acknowledged last.
    acknowledged: i64,
    trouble: Option<String>,
    agreed: mpsc::Sender<Agreed>,
    /// Told how the start went.
    started: Option<oneshot::Sender<Result<(), StoreError>>>,
}

/// Who waits for changed rules.
type RulesDone = oneshot::Sender<Result<(), StoreError>>;

/// What became of changed rules, and who waits for it.
type Agreed = (Arc<Rules>, Result<(), StoreError>, RulesDone);

/// What clients and the operator asked for since the last step.
#[derive(Debug, Default)]
struct Asked {
    rules: Vec<(Arc<Rules>, RulesDone)>,
    settle: Vec<oneshot::Sender<Result<(), Unsettled>>>,
}

impl Asked {
    fn add(&mut self, request: Request) {
        match request {
            Request::Rules(rules, done) => self.rules.push((rules, done)),
            Request::Settle(done) => self.settle.push(done),
        }
    }
}

/// Where the keeper is spoken to.
#[derive(Debug)]
struct Ears {
    asked: mpsc::Receiver<Request>,
    finds: mpsc::Receiver<Found>,
    agreed: mpsc::Receiver<Agreed>,
}

impl Work {
    async fn run(mut self, mut ears: Ears) {
        let common = Arc::clone(&self.common);
        let mut every = tokio::time::interval(RENEWAL);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let mut asked = Asked::default();
            let mut told = None;
            tokio::select! {
                _ = every.tick() => {}
                () = common.wake.notified() => {}
                found = ears.finds.recv() => if let Some(found) = found { self.known.take(found) },
                request = ears.asked.recv() => match request {
                    Some(request) => asked.add(request),
                    None => return,
                },
                Some((rules, agreed, done)) = ears.agreed.recv() => {
                    self.known.changing = self.known.changing.saturating_sub(1);
                    self.known.is_composed = false;
                    if agreed.is_ok() {
                        self.known.rules = rules;
                    }
                    told = Some((agreed, done));
                }
            }
            while let Ok(found) = ears.finds.try_recv() {
                self.known.take(found);
            }
            while let Ok(request) = ears.asked.try_recv() {
                asked.add(request);
            }
            if !asked.settle.is_empty() && matches!(self.mark_change().await, Ok(false)) {
                for done in asked.settle.drain(..) {
                    // Who waited may be gone.
                    let _nobody_waits_any_more = done.send(Ok(()));
                }
            }
            match self.step().await {
                Ok(()) => self.stepped().await,
                Err(error) => self.failed(error),
            }
            if let Some((agreed, done)) = told {
                // Who asked may be gone; what was done stays done.
                let _nobody_asks_any_more = done.send(agreed);
            }
            for (rules, done) in asked.rules {
                self.agree(rules, done);
            }
            if !asked.settle.is_empty() {
                self.settle(asked.settle).await;
            }
        }
    }

    /// A client's transaction may have changed the catalog: tells all proxies, if the home shard's is another
    /// than this one plans by. `false`: it is not.
    ///
    /// It is told after the commit, not in it: who dies in between leaves what the others' pulses find.
    async fn mark_change(&mut self) -> Result<bool, StoreError> {
        let home = self.home()?;
        let digest = read::take_signature(home).await?;
        if self.digest.as_ref() == Some(&digest) && self.common.is_acknowledged.load(Ordering::Acquire) {
            return Ok(false);
        }
        home.run("INSERT INTO howdah.catalog_change (xid) VALUES (pg_current_xact_id()); NOTIFY howdah")
            .await?;
        Ok(true)
    }

    /// All is well. At the start, the rules may be others than the store's.
    async fn stepped(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!(cluster = self.common.settings.cluster, "the cluster's store is followed again");
        }
        if let Some(started) = self.started.take() {
            self.agree(Arc::clone(&self.known.rules), started);
        }
    }

    /// Changes the rules beside the keeper's own work, which others may be waiting for.
    fn agree(&mut self, rules: Arc<Rules>, done: RulesDone) {
        self.known.changing += 1;
        let (common, agreed) = (Arc::clone(&self.common), self.agreed.clone());
        tokio::spawn(async move {
            let result = change::change_rules(&common, &rules).await;
            // Nobody listens only when the process ends.
            let _ending = agreed.send((rules, result, done)).await;
        });
    }

    /// Waits until every proxy has taken the change in, beside the keeper's own work.
    async fn settle(&mut self, done: Vec<oneshot::Sender<Result<(), Unsettled>>>) {
        if self.waiting_link.as_ref().is_none_or(|link| link.is_closed()) {
            let opened = self.common.open(self.common.settings.home, Arc::default()).await;
            self.waiting_link = opened.ok().map(Arc::new);
        }
        let (common, link) = (Arc::clone(&self.common), self.waiting_link.clone());
        tokio::spawn(async move { settle::settle(&common, link.as_deref(), done).await });
    }

    fn failed(&mut self, error: StoreError) {
        self.link = None;
        let text = error.to_string();
        if self.trouble.as_ref() != Some(&text) {
            tracing::warn!(cluster = self.common.settings.cluster, hint = error.hint(), "{text}");
        }
        self.trouble = Some(text);
        self.common.view.set_trouble(Some(error.to_sql_error()));
        if !error.is_passing() {
            // Not out of reach, but not what it should be: the present snapshot counts for nothing.
            self.common.view.lapse(self.common.settings.home);
            self.common.is_acknowledged.store(false, Ordering::Release);
            if let Some(started) = self.started.take() {
                // Who started may not wait any more.
                let _nobody_waits = started.send(Err(error));
            }
        }
    }

    /// The connection to the home shard.
    fn home(&self) -> Result<&Link, StoreError> {
        self.link.as_ref().ok_or(StoreError::Broken("is not connected"))
    }

    /// Takes in what changed, and says so.
    async fn step(&mut self) -> Result<(), StoreError> {
        if self.link.as_ref().is_none_or(Link::is_closed) {
            self.link = None;
            self.link = Some(self.connect().await?);
        }
        let common = Arc::clone(&self.common);
        let epoch = common.epoch();
        let is_new = !common.is_acknowledged.load(Ordering::Acquire);
        if is_new {
            lease::register(self.home()?, epoch, &common.settings.proxy).await?;
        }
        // What is committed before this moment is in what is read after it.
        let moment = read::moment(self.home()?).await?;
        let follow = "SELECT (SELECT version FROM howdah.state), (SELECT id FROM howdah.rules_change),
            EXISTS (SELECT FROM howdah.catalog_change c JOIN howdah.lease l ON l.epoch = $1
              WHERE l.acknowledged IS NULL OR NOT pg_visible_in_snapshot(c.xid, l.acknowledged))";
        let rows = self.home()?.rows(follow, &[&epoch]).await?;
        let row = rows.first().ok_or(StoreError::Broken("does not answer"))?;
        let (version, change, has_changes): (Option<i64>, Option<i64>, bool) =
            (self.home()?.value(row, 0)?, self.home()?.value(row, 1)?, self.home()?.value(row, 2)?);
        let known =
            self.stored.as_ref().map(|stored| (Some(stored.version), stored.change.as_ref().map(|c| c.id)));
        if known != Some((version, change)) {
            self.stored = records::read(self.home()?).await?;
            self.known.is_composed = false;
        }
        let is_home_changed = common.is_home_changed.swap(false, Ordering::AcqRel);
        let reads_catalog = is_new || has_changes || is_home_changed || self.known.home.is_none();
        if reads_catalog {
            let digest = read::take_signature(self.home()?).await?;
            match read::catalog(self.home()?).await {
                Ok(catalog) => {
                    self.digest = Some(digest);
                    self.known.take_home(catalog);
                }
                Err(error) => {
                    common.is_home_changed.store(true, Ordering::Release);
                    return Err(error);
                }
            }
        }
        self.compose().await?;
        self.acknowledge(reads_catalog.then_some(moment)).await
    }

    /// Makes the present snapshot of what is known.
    async fn compose(&mut self) -> Result<(), StoreError> {
        let Some(stored) = &self.stored else { return Err(StoreError::Broken("is empty")) };
        if self.known.is_composed {
            return Ok(());
        }
        let (snapshot, catalog_changed) = compose::compose(&mut self.known, stored, &self.common).await?;
        if catalog_changed {
            self.common.settings.shared.statements.schema_changed();
        }
        self.known.is_composed = true;
        self.common.view.publish(snapshot);
        Ok(())
    }

    /// Says on the home shard what this proxy plans by, where that is more than it said before.
    async fn acknowledge(&mut self, moment: Option<String>) -> Result<(), StoreError> {
        let common = Arc::clone(&self.common);
        let change =
            self.stored.as_ref().and_then(|stored| stored.change.as_ref()).map_or(0, |change| change.id);
        let is_change_drained =
            change <= self.acknowledged || (common.settings.is_drained)(common.view.version());
        if !is_change_drained {
            common.wake.notify_one();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let change_said = if is_change_drained { change.max(self.acknowledged) } else { self.acknowledged };
        let sent = Instant::now();
        match moment {
            Some(moment) => {
                if !lease::acknowledge(self.home()?, common.epoch(), &moment, change_said).await? {
                    common.is_acknowledged.store(false, Ordering::Release);
                    common.wake.notify_one();
                    return Ok(());
                }
                common.is_acknowledged.store(true, Ordering::Release);
                common.view.set_trouble(None);
                common.view.extend(common.settings.home, sent + COUNTED_ON);
            }
            None if change_said > self.acknowledged => {
                lease::acknowledge_rules(self.home()?, common.epoch(), change_said).await?;
            }
            None => return Ok(()),
        }
        self.acknowledged = change_said;
        Ok(())
    }

    /// Connects to the home shard, and makes or checks its store.
    async fn connect(&mut self) -> Result<Link, StoreError> {
        let common = Arc::clone(&self.common);
        let home = common.settings.home;
        let link = common.open(home, Arc::clone(&common.wake)).await?;
        migrate(&link, common.name(home), common.database(home)).await?;
        let identity = match records::identity(&link).await? {
            Some(found) => found,
            None => change::first_start(&link, common.name(home), &self.known.rules).await?,
        };
        let wanted = Identity {
            cluster: identity.cluster.clone(),
            shard: common.name(home).to_owned(),
            is_home: true,
        };
        records::check(&identity, &wanted)?;
        match common.joined.get() {
            None => {
                let epoch = lease::take_epoch(&link).await?;
                // Nobody else sets it.
                let _set_once = common.joined.set((epoch, identity.cluster));
                common.has_joined.notify_waiters();
            }
            Some((_, cluster)) if *cluster != identity.cluster => {
                let found = "belongs to another cluster".to_owned();
                return Err(StoreError::Identity { shard: wanted.shard, found });
            }
            Some(_) => {}
        }
        Ok(link)
    }
}
