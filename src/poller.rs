//! Concurrent long polls for one taker or many: what the polls bring is buffered, kept alive, handed over and given back.
//!
//! [`flow`] decides how many polls there are, [`stock`] what becomes of each message; this is what drives them. Whoever
//! makes something happen (a taker, a reply, a timer) holds the lock for that moment and sets going what follows.

use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::batch::Limits;
use crate::batcher::{Batcher, QueueUrl, Single};
use crate::caller::Caller;
use crate::client::{Carriers, Client};
use crate::error::Error;
use crate::model::Action;
use crate::receiver::GRACE;
use crate::runtime;
use crate::transport::Transport;

mod acts;
pub mod attributes;
pub mod flow;
mod polls;
pub mod stock;
mod taking;

pub use flow::Bounds;
pub use stock::{Ending, Groups};

use attributes::Visibilities;
use flow::Flow;
use stock::{Stock, Terms};

/// So many deletes and visibility changes may be unanswered; then nothing more is handed over.
const MAX_UNANSWERED: usize = 5_000;

/// How long a delete waits for company. Nobody waits for its answer.
const LINGER: Duration = Duration::from_millis(10);

/// What is to be received, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// `QueueUrl` as JSON.
    pub queue: QueueUrl,
    /// The members of ReceiveMessage but for queue, count, wait and attempt, as `,"Name":value`.
    pub members: Box<[u8]>,
    /// WaitTimeSeconds of a poll, at most.
    pub wait: u32,
    /// The VisibilityTimeout among the members, in seconds; `None`: the queue's own.
    pub visibility: Option<u32>,
    /// The portion of its visibility that a message must have left when it is handed over, from 0 to 1.
    pub life: f64,
    pub bounds: Bounds,
    /// How many messages to fetch ahead at first.
    pub ahead: usize,
    /// How many messages are wanted in all.
    pub max_messages: Option<u64>,
    /// It ends when a taker has waited so long.
    pub idle: Option<Duration>,
    pub groups: Groups,
    /// A taker says when it is done with a message; until then the message is kept invisible.
    pub keeps: bool,
    /// Polls that fail for reasons that may pass are repeated for ever.
    pub endures: bool,
    /// Messages a second.
    pub rate: Option<f64>,
    /// How many messages a taker wants at a time, and how long it waits for so many.
    pub batch: usize,
    pub window: Duration,
}

impl Options {
    /// How long a message may have to wait although a taker is there.
    fn patience(&self) -> Duration {
        let pause = self.rate.map(|rate| pause(self.batch, rate));
        self.window.saturating_add(pause.unwrap_or_default())
    }

    /// How many messages may be held: no more than the rate can have handed over in half of their visibility.
    fn most(&self, visibility: u32) -> usize {
        match self.rate {
            Some(rate) if visibility > 0 => {
                let most = rate * f64::from(visibility) / 2.0;
                self.bounds.most.min((most as usize).max(self.batch))
            }
            _ => self.bounds.most,
        }
    }
}

/// How long a rate takes for so many messages.
fn pause(messages: usize, rate: f64) -> Duration {
    Duration::try_from_secs_f64(messages as f64 / rate).unwrap_or(Duration::MAX)
}

/// A message that was handed over.
#[derive(Debug)]
pub struct Message {
    pub id: u64,
    /// Its JSON, as it came.
    pub json: Bytes,
}

/// Something that has gone wrong and that nobody waits for.
#[derive(Debug)]
pub struct Trouble {
    /// What has failed.
    pub action: Action,
    /// `None`: nothing of a message's; it will be repeated.
    pub about: Option<(Bytes, Ending)>,
    pub error: Error,
}

#[derive(Debug)]
pub enum Take {
    Messages(Vec<Message>),
    Troubles(Vec<Trouble>),
    /// Nothing yet; with a duration, worth asking again after it whatever else happens.
    Nothing(Option<Duration>),
    /// Nothing any more; with an error, once, if that is why.
    Ended(Option<Error>),
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub received: u64,
    pub handed_over: u64,
    /// What takers have finished, by how.
    pub handled: u64,
    pub failed: u64,
    pub deleted: u64,
    pub given_back: u64,
    pub extended: u64,
    /// Ceased to be ours while they were held.
    pub lost: u64,
    pub buffered: u64,
    pub in_progress: u64,
    pub polls: u64,
}

/// The taker's end. Dropping it closes the poller; it belongs to the process that made it.
#[derive(Debug)]
pub struct Poller {
    shared: ManuallyDrop<Arc<Shared>>,
    pid: u32,
}

#[derive(Debug)]
struct Shared {
    visibilities: Arc<Visibilities>,
    transport: Arc<dyn Transport>,
    options: Options,
    deletes: Arc<Batcher>,
    changes: Arc<Batcher>,
    began: Instant,
    state: Mutex<State>,
    /// A taker may find something, or what a closing one waits for has happened.
    changed: Condvar,
    /// The ticker has to look again.
    alarm: Notify,
}

#[derive(Debug)]
struct State {
    stock: Stock<Bytes>,
    flow: Flow,
    phase: Phase,
    /// The VisibilityTimeout that polls ask for since the queue's own is not known, or is none.
    assumed: Option<u32>,
    /// The queue's own is being asked for.
    asking: bool,
    polls: HashMap<u64, AbortHandle>,
    next_poll: u64,
    /// Messages that takers have and have not finished.
    handed: HashMap<u64, Bytes>,
    /// Deletes and visibility changes that are not answered.
    unanswered: usize,
    troubles: Vec<Trouble>,
    /// Why the polls have ended.
    error: Option<Error>,
    /// No taker will find anything any more.
    ended: bool,
    sleepers: usize,
    /// One of them is waking up, and will wake the next if there is more.
    waking: bool,
    sinks: Vec<(usize, Caller<()>)>,
    /// Since when a taker waits in vain.
    waiting_since: Option<Duration>,
    /// When the rate allows the next message.
    next_free: Duration,
    /// Whether the ticker sleeps for want of anything to look after.
    ticker_rests: bool,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nobody has asked for anything yet.
    Fresh,
    /// The queue's visibility timeout is being asked for.
    Starting,
    Running,
    Closing,
}

impl Poller {
    /// Cheap: nothing leaves before the first message is asked for.
    pub fn new(client: &Client, options: Options) -> Result<Poller, Error> {
        Ok(Poller::over(&*client.carriers()?, options))
    }

    fn over(carriers: &Carriers, options: Options) -> Poller {
        let limits = Limits { at_once: true, ..carriers.batchers.limits() };
        let deletes = Limits { linger: LINGER, at_once: false, ..limits };
        let seconds = options.visibility.unwrap_or(0);
        let terms = Terms {
            visibility: Duration::from_secs(seconds.into()),
            life: life(seconds, options.life),
            patience: options.patience(),
            groups: options.groups,
            keeps: options.keeps,
        };
        let state = State {
            stock: Stock::new(terms),
            flow: Flow::new(options.bounds, options.ahead, options.max_messages),
            phase: Phase::Fresh,
            assumed: None,
            asking: false,
            polls: HashMap::new(),
            next_poll: 0,
            handed: HashMap::new(),
            unanswered: 0,
            troubles: Vec::new(),
            error: None,
            ended: options.max_messages == Some(0),
            sleepers: 0,
            waking: false,
            sinks: Vec::new(),
            waiting_since: None,
            next_free: Duration::ZERO,
            ticker_rests: false,
            counts: Counts::default(),
        };
        let shared = Shared {
            deletes: carriers.batchers.make(Single::DeleteMessage, Arc::clone(&options.queue), deletes),
            changes: carriers.batchers.make(Single::ChangeMessageVisibility, Arc::clone(&options.queue), limits),
            transport: Arc::clone(&carriers.transport),
            visibilities: Arc::clone(&carriers.visibilities),
            options,
            began: Instant::now(),
            state: Mutex::new(state),
            changed: Condvar::new(),
            alarm: Notify::new(),
        };
        Poller { shared: ManuallyDrop::new(Arc::new(shared)), pid: std::process::id() }
    }

    /// What there is, without waiting.
    pub fn take(&self) -> Result<Take, Error> {
        let mut state = self.own()?.lock();
        self.shared.take(&mut state)
    }

    /// What there is; waits for it, at most `patience` long.
    pub fn wait(&self, patience: Duration) -> Result<Take, Error> {
        let shared = self.own()?;
        let mut state = shared.lock();
        let soon = match shared.take(&mut state)? {
            Take::Nothing(soon) => soon,
            found => return Ok(found),
        };
        let patience = soon.map_or(patience, |soon| soon.min(patience));
        state.sleepers += 1;
        let waited = shared.changed.wait_timeout(state, patience);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.sleepers -= 1;
        state.waking = false;
        shared.take(&mut state)
    }

    /// Answer the caller when there may be something to take, for one who found nothing and has better things to do than to
    /// wait. `takers` is how many there are.
    pub fn notify(&self, takers: usize, caller: Caller<()>) -> Result<(), Error> {
        let shared = self.own()?;
        let mut state = shared.lock();
        let soon = match shared.peek(&mut state, takers) {
            Some(soon) => soon,
            None => {
                drop(state);
                caller.answer(Ok(()));
                return Ok(());
            }
        };
        state.sinks.push((takers, caller));
        drop(state);
        if let Some(soon) = soon {
            let shared = Arc::clone(shared);
            runtime::handle()?.spawn(async move {
                tokio::time::sleep(soon).await;
                shared.wake_all(shared.lock());
            });
        }
        Ok(())
    }

    /// A message is done with. One that is not known, or not any more, is passed over.
    pub fn finish(&self, id: u64, ending: Ending) -> Result<(), Error> {
        let shared = self.own()?;
        let mut state = shared.lock();
        match (state.handed.contains_key(&id), ending) {
            (false, _) => return Ok(()),
            (true, Ending::Delete) => state.counts.handled += 1,
            (true, Ending::Visible(_) | Ending::Leave) => state.counts.failed += 1,
        }
        if ending == Ending::Leave {
            state.handed.remove(&id);
        }
        let acts = state.stock.finish(id, ending);
        shared.act(state, acts, Some(ending))
    }

    /// No more polls and no more messages: what is buffered goes back to the queue, and what polls under way still bring.
    pub fn close(&self) -> Result<(), Error> {
        self.own()?.close()
    }

    /// Nobody will say what becomes of the messages that were handed over: they become visible.
    pub fn abandon(&self) -> Result<(), Error> {
        let shared = self.own()?;
        let mut state = shared.lock();
        let acts = state.stock.abandon();
        shared.act(state, acts, Some(Ending::Visible(0)))
    }

    /// Wait until a closed poller has nothing under way, at most `patience` long: no poll, no delete, no visibility change.
    /// Whether it has come to that.
    pub fn wait_until_quiet(&self, patience: Duration) -> Result<bool, Error> {
        let shared = self.own()?;
        let waited = shared.changed.wait_timeout_while(shared.lock(), patience, |state| !state.is_quiet());
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        Ok(state.is_quiet())
    }

    /// Whether a closed poller has nothing under way. If it has, the caller is answered at the next change.
    pub fn is_quiet(&self, caller: Caller<()>) -> Result<bool, Error> {
        let mut state = self.own()?.lock();
        if state.is_quiet() {
            drop(state);
            caller.answer(Ok(()));
            return Ok(true);
        }
        state.sinks.push((0, caller));
        Ok(false)
    }

    pub fn troubles(&self) -> Result<Vec<Trouble>, Error> {
        Ok(std::mem::take(&mut self.own()?.lock().troubles))
    }

    pub fn counts(&self) -> Result<Counts, Error> {
        let state = self.own()?.lock();
        let (buffered, in_progress) = (state.stock.buffered().0 as u64, state.stock.in_progress() as u64);
        Ok(Counts {
            buffered,
            in_progress,
            lost: state.stock.lost(),
            polls: state.flow.flying() as u64,
            ..state.counts
        })
    }

    /// A forked child finds nothing of its parent's here: neither the lock nor the polls can be relied on.
    fn own(&self) -> Result<&Arc<Shared>, Error> {
        if self.pid == std::process::id() {
            return Ok(&self.shared);
        }
        Err(Error::Runtime("this process was forked from the one that polls; it has to begin polling itself".into()))
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        if self.pid != std::process::id() {
            // The parent's: leaked, since dropping it could reach into what the parent uses.
            return;
        }
        // What cannot be given back becomes visible by itself.
        let _ = self.shared.close().and_then(|()| self.abandon());
        // SAFETY: it is not used after this, and dropped nowhere else.
        unsafe { ManuallyDrop::drop(&mut self.shared) };
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is whole before anything runs that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn close(self: &Arc<Self>) -> Result<(), Error> {
        let reactor = runtime::handle()?;
        let mut state = self.lock();
        if state.phase != Phase::Closing {
            state.phase = Phase::Closing;
            state.ended = true;
            if !state.polls.is_empty() {
                let shared = Arc::clone(self);
                reactor.spawn(async move {
                    tokio::time::sleep(GRACE).await;
                    let polls: Vec<_> = shared.lock().polls.values().cloned().collect();
                    polls.iter().for_each(AbortHandle::abort);
                });
            }
            let acts = state.stock.give_back_all();
            self.act(state, acts, None)?;
            self.wake_all(self.lock());
        } else {
            drop(state);
        }
        // What lingers leaves.
        self.deletes.let_go()?;
        self.changes.let_go()
    }
}

impl State {
    /// All that was wanted has been handed over, or the polls have ended.
    fn end_if_over(&mut self) {
        let over = self.flow.is_complete() || self.error.is_some();
        self.ended |= over && self.stock.buffered().0 == 0;
    }

    fn is_quiet(&self) -> bool {
        self.phase == Phase::Closing && self.polls.is_empty() && self.unanswered == 0
    }

    /// What those who wait want.
    fn hungry(&self) -> usize {
        self.sleepers + self.sinks.iter().map(|(takers, _)| takers).sum::<usize>()
    }
}

fn life(visibility: u32, portion: f64) -> Duration {
    Duration::from_secs_f64(f64::from(visibility) * portion.clamp(0.0, 1.0))
}

#[cfg(test)]
#[path = "poller/tests.rs"]
mod tests;
