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

use crate::model::Action;
use crate::protocol::error::Error;
use crate::receive::receiver::GRACE;
use crate::receive::visibility::Visibilities;
use crate::runtime;
use crate::runtime::lock::lock;
use crate::runtime::responder::WaitList;
use crate::send::batcher::Batcher;
use crate::send::batcher::own_changes::KeepsMessages;
use crate::transport::Transport;

mod commands;
mod dispatch;
mod fetch;
mod follow;
mod incoming;
pub(crate) mod keeper;
pub(crate) mod leases;
mod options;
mod poller;
pub(crate) mod scaler;
#[cfg(test)]
mod simulated_tests;
mod takers;

pub(crate) use leases::{Disposition, GroupMode};
pub(crate) use options::PollerOptions;
pub(crate) use poller::{Poller, PollerWait};
pub(crate) use scaler::Bounds;

use fetch::Fetches;
use leases::Leases;
use takers::Takers;

/// So many deletes and visibility changes may be unanswered; then nothing more is handed over.
const MAX_UNANSWERED: usize = if cfg!(test) { 500 } else { 5_000 };

/// How long a delete lingers. Nobody waits for its answer.
const LINGER: Duration = Duration::from_millis(10);

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

#[cfg(test)]
mod tests;
