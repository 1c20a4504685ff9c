//! Concurrent long polls for one taker or many: what the polls bring is buffered, kept alive, handed over and given back.
//!
//! [`scaler`] decides how many polls there are, [`leases`] what becomes of each message; this is what drives them. Whoever
//! makes something happen (a taker, a reply, a timer) holds the lock for that moment and sets going what follows.
//! [`keeper`] is for those who receive by themselves: the leases without the polls.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::Notify;

use crate::client::{Client, Resources};
use crate::model::Action;
use crate::protocol::entry::{QueueUrl, Single};
use crate::protocol::error::Error;
use crate::receive::receiver::GRACE;
use crate::receive::visibility::Visibilities;
use crate::runtime::lock::lock;
use crate::runtime::responder::{PendingResponse, Responder, WaitList};
use crate::runtime::{self, ProcessBound};
use crate::send::Limits;
use crate::send::batcher::Batcher;
use crate::send::batcher::own_changes::KeepsMessages;
use crate::transport::Transport;

mod commands;
mod dispatch;
mod fetch;
mod follow;
pub(crate) mod keeper;
pub(crate) mod leases;
pub(crate) mod scaler;
#[cfg(test)]
mod simulated_tests;
mod takers;

pub(crate) use leases::{Disposition, GroupMode};
pub(crate) use scaler::Bounds;

use fetch::Fetches;
use leases::{LeasePolicy, Leases};
use takers::Takers;

/// So many deletes and visibility changes may be unanswered; then nothing more is handed over.
const MAX_UNANSWERED: usize = if cfg!(test) { 500 } else { 5_000 };

/// How long a delete lingers. Nobody waits for its answer.
const LINGER: Duration = Duration::from_millis(10);

/// What is to be received, and how.
#[derive(Clone, Debug)]
pub(crate) struct PollerOptions {
    /// `QueueUrl` as JSON.
    pub queue: QueueUrl,
    /// The members of ReceiveMessage but for queue, count, wait, visibility and attempt: see `protocol::entry::receive`.
    pub members: Box<[u8]>,
    /// WaitTimeSeconds of a poll, at most.
    pub wait: u32,
    /// The VisibilityTimeout to ask for, in seconds; `None`: the queue's own.
    pub visibility: Option<u32>,
    /// The portion of its visibility that a message must have left when it is handed over, from 0 to 1, unless it `keeps`.
    pub life: f64,
    pub bounds: Bounds,
    /// How many messages to fetch ahead at first.
    pub ahead: usize,
    /// How many messages are wanted in all.
    pub max_messages: Option<u64>,
    /// It ends when a taker has waited so long.
    pub idle: Option<Duration>,
    pub groups: GroupMode,
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

impl PollerOptions {
    /// How long a message may have to wait although a taker is there.
    fn max_wait(&self) -> Duration {
        let pause = self.rate.map(|rate| pause(self.batch, rate));
        self.window.saturating_add(pause.unwrap_or_default())
    }

    /// WaitTimeSeconds of a poll, at most. What comes at its very end has been leased since it began, as far as we know: so
    /// much must be left then that it can be handed over without an extension, or extended in time.
    fn wait(&self, visibility: u32) -> u32 {
        if visibility == 0 {
            return self.wait;
        }
        let most = if self.keeps {
            visibility * 2 / 3
        } else {
            let life = life(visibility, self.life).as_secs_f64();
            (f64::from(visibility) - life - 1.0).max(0.0) as u32
        };
        self.wait.min(most.max(1))
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
pub(crate) struct Delivery {
    pub id: u64,
    /// Its JSON, as it came.
    pub json: Bytes,
}

/// Something that has gone wrong and that nobody waits for.
#[derive(Debug)]
pub(crate) struct BackgroundError {
    /// What has failed.
    pub action: Action,
    pub about: About,
    pub error: Error,
}

/// What a [`BackgroundError`] is about.
#[derive(Debug)]
pub(crate) enum About {
    /// No message; it will be repeated.
    Nothing,
    /// What a taker wanted for this message could not be done.
    Unfinished(Bytes, Disposition),
    /// This message ceased to be ours while a taker had it.
    Lost(Bytes),
}

/// What a taker finds.
#[derive(Debug)]
pub(crate) enum Take {
    Messages(Vec<Delivery>),
    BackgroundErrors(Vec<BackgroundError>),
    /// Nothing yet.
    Nothing,
    /// Nothing any more; with an error, once, if that is why.
    Ended(Option<Error>),
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PollerCounts {
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
    /// How long ago the oldest message in hand was received.
    pub oldest: Duration,
    /// How long messages have waited for takers, together.
    pub messages_waited: Duration,
}

/// The taker's end. Dropping it closes the poller; it belongs to the process that made it.
#[derive(Debug)]
pub(crate) struct Poller {
    queue: QueueUrl,
    core: ProcessBound<Arc<PollerCore>>,
}

/// One who wants to be told something by a poller, for the one who may give that up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PollerWait {
    Messages(u64),
    BackgroundErrors(u64),
    Quiet(u64),
}

/// What comes of looking for a message with the intention to wait for it.
#[derive(Debug)]
enum Parked {
    Found(Take),
    /// Nothing yet; the place of the one who waits.
    Waits(u64),
}

/// What a poller shares with the tasks that it has set going: its options, where requests go, and its state.
#[derive(Debug)]
struct PollerCore {
    visibilities: Arc<Visibilities>,
    transport: Arc<dyn Transport>,
    options: PollerOptions,
    /// What polls ask for from now on: `PollerOptions::members` to begin with.
    members: ArcSwap<Box<[u8]>>,
    deletes: Arc<Batcher>,
    changes: Arc<Batcher>,
    began: Instant,
    state: Mutex<PollerState>,
    /// The timer has to look again.
    alarm: Notify,
}

/// What is known at a moment. Whoever changes it ends with [`PollerCore::follow`].
#[derive(Debug)]
struct PollerState {
    phase: Phase,
    leases: Leases<Bytes>,
    fetches: Fetches,
    takers: Takers,
    /// Deletes and visibility changes that are not answered.
    unanswered: usize,
    background_errors: Vec<BackgroundError>,
    /// Why the polls have ended.
    error: Option<Error>,
    /// No taker will find anything any more.
    ended: bool,
    /// Until when the timer sleeps; [`Duration::MAX`]: until it is told.
    sleeps_until: Duration,
    /// Polls that are under way then are broken off.
    breaks_off: Option<Duration>,
    /// Those who want to know whether a closed poller has nothing under way any more.
    closers: WaitList<()>,
    /// Those who want to be told of background errors even while all takers are busy.
    watchers: WaitList<()>,
    /// Nobody handles anything any more.
    abandoned: bool,
    counts: PollerCounts,
}

/// How far a poller has come, from its making to its end.
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
    pub(crate) fn new(client: &Client, options: PollerOptions) -> Result<Poller, Error> {
        Ok(Poller::over(&*client.resources()?, options))
    }

    fn over(resources: &Resources, options: PollerOptions) -> Poller {
        let limits = Limits { at_once: true, ..resources.batchers.limits() };
        let deletes = Limits { linger: LINGER, at_once: false, ..limits };
        let seconds = options.visibility.unwrap_or(0);
        let policy = LeasePolicy {
            visibility: Duration::from_secs(seconds.into()),
            life: life(seconds, options.life),
            max_wait: options.max_wait(),
            groups: options.groups,
            keeps: options.keeps,
        };
        let state = PollerState {
            phase: Phase::Fresh,
            leases: Leases::new(policy),
            fetches: Fetches::new(&options),
            takers: Takers::default(),
            unanswered: 0,
            background_errors: Vec::new(),
            error: None,
            ended: options.max_messages == Some(0),
            sleeps_until: Duration::ZERO,
            breaks_off: None,
            closers: WaitList::default(),
            watchers: WaitList::default(),
            abandoned: false,
            counts: PollerCounts::default(),
        };
        let shared = PollerCore {
            deletes: resources.batchers.make(Single::DeleteMessage, Arc::clone(&options.queue), deletes),
            changes: resources.batchers.make(Single::ChangeMessageVisibility, Arc::clone(&options.queue), limits),
            transport: Arc::clone(&resources.transport),
            visibilities: Arc::clone(&resources.visibilities),
            members: ArcSwap::from_pointee(options.members.clone()),
            options,
            began: runtime::now(),
            state: Mutex::new(state),
            alarm: Notify::new(),
        };
        let shared = Arc::new(shared);
        if shared.options.keeps {
            let kept: Arc<dyn KeepsMessages> = Arc::<PollerCore>::clone(&shared);
            resources.pollers.register(Arc::downgrade(&kept));
        }
        Poller { queue: Arc::clone(&shared.options.queue), core: ProcessBound::of(shared) }
    }

    /// The queue's URL, as JSON.
    pub(crate) fn queue(&self) -> &[u8] {
        &self.queue
    }

    /// Have polls ask for something else from now on, as [`PollerOptions::members`] has it.
    pub(crate) fn ask_for(&self, members: Box<[u8]>) -> Result<(), Error> {
        self.own()?.members.store(Arc::new(members));
        Ok(())
    }

    /// What there is, without waiting.
    pub(crate) fn take(&self) -> Result<Take, Error> {
        let shared = self.own()?;
        let mut state = shared.lock();
        let take = shared.take(&mut state, 1);
        shared.follow(state, Vec::new())?;
        take
    }

    /// What there is; waits for it, at most `timeout` long.
    pub(crate) fn wait(&self, timeout: Duration) -> Result<Take, Error> {
        let (pending, responder) = PendingResponse::new();
        match self.park(responder)? {
            Parked::Found(found) => Ok(found),
            Parked::Waits(place) => {
                // Whether it was woken or has waited long enough, it looks.
                let _ = pending.wait_for(timeout);
                self.unpark(place)
            }
        }
    }

    /// What there is; if that is nothing the caller is answered when there may be something, or nothing any more.
    fn park(&self, responder: Responder<()>) -> Result<Parked, Error> {
        let shared = self.own()?;
        let mut state = shared.lock();
        let parked = match shared.take(&mut state, 1) {
            Ok(Take::Nothing) => Ok(Parked::Waits(state.takers.park(responder))),
            found => found.map(Parked::Found),
        };
        shared.follow(state, Vec::new())?;
        parked
    }

    /// One who has waited looks what there is.
    fn unpark(&self, place: u64) -> Result<Take, Error> {
        let shared = self.own()?;
        let mut state = shared.lock();
        state.takers.unpark(place);
        let take = shared.take(&mut state, 0);
        shared.follow(state, Vec::new())?;
        take
    }

    /// Answer the caller when there may be something to take, for one who found nothing and has better things to do than to
    /// wait. `takers` is how many there are.
    pub(crate) fn notify(&self, takers: usize, responder: Responder<()>) -> Result<PollerWait, Error> {
        let shared = self.own()?;
        let mut state = shared.lock();
        let number = state.takers.tell(takers, responder);
        shared.follow(state, Vec::new())?;
        Ok(PollerWait::Messages(number))
    }

    /// Nobody waits for this any more.
    pub(crate) fn withdraw(&self, wait: PollerWait) -> Result<(), Error> {
        let shared = self.own()?;
        let mut state = shared.lock();
        let withdrawn = match wait {
            PollerWait::Messages(number) => state.takers.withdraw(number),
            PollerWait::BackgroundErrors(number) => state.watchers.withdraw(number),
            PollerWait::Quiet(number) => state.closers.withdraw(number),
        };
        let followed = shared.follow(state, Vec::new());
        // Outside of the lock: it answers.
        drop(withdrawn);
        followed
    }

    /// A message is done with. One that is not known, or not any more, is passed over.
    pub(crate) fn finish(&self, id: u64, disposition: Disposition) -> Result<(), Error> {
        let shared = self.own()?;
        let mut state = shared.lock();
        match (state.leases.is_handed_over(id), disposition) {
            (false, _) => {}
            (true, Disposition::Delete) => state.counts.handled += 1,
            (true, Disposition::Visible(_) | Disposition::Leave) => state.counts.failed += 1,
        }
        let commands = state.leases.finish(shared.now(), id, disposition);
        shared.follow(state, commands)
    }

    /// No more polls and no more messages: what is buffered goes back to the queue, and what polls under way still bring.
    pub(crate) fn close(&self) -> Result<(), Error> {
        self.own()?.close()
    }

    /// Nobody will say what becomes of the messages that were handed over: they become visible.
    pub(crate) fn abandon(&self) -> Result<(), Error> {
        let shared = self.own()?;
        let mut state = shared.lock();
        let commands = state.leases.abandon(shared.now());
        state.abandoned = true;
        shared.follow(state, commands)
    }

    /// What the service has not done so far is not asked for again: what there is to tell of it is among the background errors.
    pub(crate) fn give_up(&self) -> Result<(), Error> {
        let shared = self.own()?;
        let mut state = shared.lock();
        state.leases.give_up();
        shared.follow(state, Vec::new())
    }

    /// Answer the caller when there are background errors, for one who is no taker: the takers may all be busy. Or when all is
    /// over.
    pub(crate) fn watch(&self, responder: Responder<()>) -> Result<PollerWait, Error> {
        let shared = self.own()?;
        let mut state = shared.lock();
        let number = state.watchers.push((), responder);
        shared.follow(state, Vec::new())?;
        Ok(PollerWait::BackgroundErrors(number))
    }

    /// Whether no watcher will hear of anything any more.
    pub(crate) fn is_abandoned(&self) -> Result<bool, Error> {
        Ok(self.own()?.lock().abandoned)
    }

    /// Wait until a closed poller has nothing under way, at most `timeout` long: no poll, no delete, no visibility change.
    /// Whether it has come to that.
    pub(crate) fn wait_until_quiet(&self, timeout: Duration) -> Result<bool, Error> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if timeout.is_zero() {
                return Ok(self.own()?.lock().is_quiet());
            }
            let (pending, responder) = PendingResponse::new();
            let Some(wait) = self.tell_quiet(responder)? else { return Ok(true) };
            let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() || pending.wait_for(left).is_none() {
                self.withdraw(wait)?;
                return Ok(self.own()?.lock().is_quiet());
            }
        }
    }

    /// Answer the caller when a closed poller has nothing under way. `None`: it has nothing at this moment, and has answered.
    pub(crate) fn tell_quiet(&self, responder: Responder<()>) -> Result<Option<PollerWait>, Error> {
        let shared = self.own()?;
        let mut state = shared.lock();
        if state.is_quiet() {
            drop(state);
            responder.respond(Ok(()));
            return Ok(None);
        }
        Ok(Some(PollerWait::Quiet(state.closers.push((), responder))))
    }

    pub(crate) fn background_errors(&self) -> Result<Vec<BackgroundError>, Error> {
        let shared = self.own()?;
        let mut state = shared.lock();
        let background_errors = std::mem::take(&mut state.background_errors);
        shared.follow(state, Vec::new())?;
        Ok(background_errors)
    }

    pub(crate) fn counts(&self) -> Result<PollerCounts, Error> {
        let shared = self.own()?;
        let now = shared.now();
        let state = shared.lock();
        let (buffered, in_progress) = (state.leases.buffered().0 as u64, state.leases.in_progress() as u64);
        let oldest = state.leases.oldest_in_hand().map(|received| now.saturating_sub(received));
        Ok(PollerCounts {
            buffered,
            in_progress,
            lost: state.leases.lost(),
            polls: state.fetches.under_way() as u64,
            oldest: oldest.unwrap_or_default(),
            ..state.counts
        })
    }

    /// A forked child finds nothing of its parent's here: neither the lock nor the polls can be relied on.
    fn own(&self) -> Result<Arc<PollerCore>, Error> {
        let forked = || "this process was forked from the one that polls; it has to begin polling itself".into();
        self.core.get().ok_or_else(|| Error::Runtime(forked()))
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        // What cannot be given back becomes visible by itself; what is the parent's is left to it.
        let _ = self.close().and_then(|()| self.abandon());
    }
}

impl PollerCore {
    fn lock(&self) -> MutexGuard<'_, PollerState> {
        // Every change is whole before anything runs that could panic.
        lock(&self.state)
    }

    fn now(&self) -> Duration {
        runtime::now().saturating_duration_since(self.began)
    }

    fn close(self: &Arc<Self>) -> Result<(), Error> {
        let mut state = self.lock();
        if state.phase == Phase::Closing {
            drop(state);
        } else {
            let now = self.now();
            state.phase = Phase::Closing;
            state.ended = true;
            state.breaks_off = Some(now + GRACE);
            state.fetches.stop();
            let commands = state.leases.give_back_all(now);
            self.follow(state, commands)?;
        }
        // What lingers leaves.
        self.deletes.let_go()?;
        self.changes.let_go()
    }
}

impl KeepsMessages for PollerCore {
    fn is_changed(self: Arc<Self>, handle: &str, seconds: u32) {
        let now = self.now();
        let mut state = self.lock();
        for id in state.leases.handed_over(now, handle) {
            state.leases.leave_alone(now, id, seconds);
        }
        // What cannot be asked for is told to its callers.
        let _ = self.follow(state, Vec::new());
    }

    fn is_deleted(self: Arc<Self>, handle: &str) {
        let now = self.now();
        let mut state = self.lock();
        for id in state.leases.handed_over(now, handle) {
            state.leases.is_deleted(id);
        }
    }
}

impl PollerState {
    /// All that was wanted has been handed over, or the polls have ended.
    fn end_if_over(&mut self) {
        self.ended |= self.fetches.scaler.is_complete() || (self.error.is_some() && self.leases.buffered().0 == 0);
    }

    /// How many deletes and visibility changes have not come to an end.
    fn unsettled(&self) -> usize {
        self.unanswered.max(self.leases.unsettled())
    }

    /// Whether so much is unsettled that nothing more is handed over.
    fn is_behind(&self) -> bool {
        self.unsettled() >= MAX_UNANSWERED
    }

    fn is_quiet(&self) -> bool {
        self.phase == Phase::Closing && self.fetches.under_way() == 0 && self.unsettled() == 0
    }
}

fn life(visibility: u32, portion: f64) -> Duration {
    Duration::from_secs_f64(f64::from(visibility) * portion.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
