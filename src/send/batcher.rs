//! The driver of windows: entries of one queue and one action, from their callers to the service and back.
//!
//! There is no task that runs a window. Whoever makes something happen (a caller, a reply, a timer) holds the lock for
//! that moment, takes out the batches that leave now, and sets them going on the reactor.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Instant;

use super::flush::{FlushBarrier, FlushEpoch};
use super::{Batch, EntryKey, Window};
use crate::protocol::entry::{Entry, QueueUrl, Single};
use crate::protocol::error::{Error, Retry};
use crate::protocol::message::Reply;
use crate::runtime::lock::lock;
use crate::runtime::responder::Responder;
use crate::runtime::{self, CallerDriven, Reactor};
use crate::stats::Stats;
use crate::transport::Transport;

mod batchers;
mod carry;
mod classify;
pub(crate) mod own_changes;
#[cfg(test)]
mod tests;

pub(crate) use batchers::Batchers;

/// The driver of a window: entries of one queue and one action.
#[derive(Debug)]
pub(crate) struct Batcher {
    action: Single,
    queue: QueueUrl,
    /// Nobody reads the bodies of replies: one that does not say that an entry was taken has to be noticed here.
    unread: bool,
    transport: Arc<dyn Transport>,
    stats: Arc<Stats>,
    state: Mutex<BatcherState>,
}

/// A window, and what drives it.
#[derive(Debug)]
struct BatcherState {
    window: Window<PendingEntry>,
    /// When tasks will look at the window again.
    alarms: BTreeSet<Instant>,
    /// Of the entries since the last flush.
    epoch: Arc<FlushEpoch>,
}

/// The batches that leave at one moment, and when somebody has to look again for those that do not.
struct Departure {
    first: Option<Batch<PendingEntry>>,
    more: Vec<Batch<PendingEntry>>,
    alarm: Option<Instant>,
}

/// An entry without an answer, and whom it answers.
#[derive(Debug)]
struct PendingEntry {
    entry: Entry,
    responder: Responder<Reply>,
    /// Attempts that were made with it.
    attempts: u32,
    /// Why it was asked for again, if it was.
    retried: Option<Retry>,
    /// It has left before, and so has been counted as a call.
    has_left: bool,
    /// Lives as long as the entry is unanswered.
    _epoch: Arc<FlushEpoch>,
}

/// An entry that was given to a batcher.
#[derive(Debug)]
pub(crate) struct Entered {
    batcher: Weak<Batcher>,
    key: EntryKey,
}

impl Entered {
    /// Take the entry back, if it has not left yet. Otherwise it is sent, and its answer goes nowhere.
    pub(crate) fn withdraw(&self) {
        if let Some(batcher) = self.batcher.upgrade() {
            let reactor = runtime::handle();
            let mut state = batcher.lock();
            let withdrawn = state.window.withdraw(&self.key);
            // Its group may go on now.
            match reactor {
                Ok(reactor) => batcher.go(&reactor, state, runtime::now()),
                Err(_) => drop(state),
            }
            // Its sink is told outside the lock.
            drop(withdrawn);
        }
    }
}

impl Batcher {
    pub(crate) fn enter(self: &Arc<Self>, entry: Entry, responder: Responder<Reply>) -> Result<Entered, Error> {
        let reactor = runtime::handle()?;
        let now = runtime::now();
        let mut state = self.lock();
        let key = self.push(&mut state, now, entry, responder);
        self.go(&reactor, state, now);
        Ok(Entered { batcher: Arc::downgrade(self), key })
    }

    /// The same for one who waits for the answer: if the entry leaves now, and nothing else does, its request is the caller's to
    /// carry.
    pub(crate) fn enter_waiting(
        self: &Arc<Self>,
        entry: Entry,
        responder: Responder<Reply>,
    ) -> Result<(Entered, Option<CallerDriven>), Error> {
        let reactor = runtime::handle()?;
        let now = runtime::now();
        let mut state = self.lock();
        let key = self.push(&mut state, now, entry, responder);
        let mut departure = Self::depart(state, now);
        let own = departure.first.take_if(|first| departure.more.is_empty() && first.is_only(&key));
        self.set_going(&reactor, departure);
        let own = own.map(|batch| CallerDriven::new(Arc::clone(self).carry(batch)));
        Ok((Entered { batcher: Arc::downgrade(self), key }, own))
    }

    /// Entries that were made at the same moment: they leave together if they fit.
    pub(crate) fn enter_all(self: &Arc<Self>, entries: Vec<(Entry, Responder<Reply>)>) -> Result<Vec<Entered>, Error> {
        let reactor = runtime::handle()?;
        let now = runtime::now();
        let mut state = self.lock();
        let mut entered = Vec::with_capacity(entries.len());
        for (entry, responder) in entries {
            let key = self.push(&mut state, now, entry, responder);
            entered.push(Entered { batcher: Arc::downgrade(self), key });
        }
        self.go(&reactor, state, now);
        Ok(entered)
    }

    pub(crate) fn action(&self) -> Single {
        self.action
    }

    /// Let everything leave that waits.
    pub(crate) fn let_go(self: &Arc<Self>) -> Result<(), Error> {
        let reactor = runtime::handle()?;
        let mut state = self.lock();
        state.window.flush();
        self.go(&reactor, state, runtime::now());
        Ok(())
    }

    /// Let everything leave that waits. `barrier` is held until all of it, and all that left before, has been answered.
    pub(super) fn flush(self: &Arc<Self>, barrier: &Arc<FlushBarrier>) -> Result<(), Error> {
        let reactor = runtime::handle()?;
        let mut state = self.lock();
        state.window.flush();
        let next = Arc::<FlushEpoch>::default();
        state.epoch.end(Arc::clone(&next), Arc::clone(barrier));
        state.epoch = next;
        self.go(&reactor, state, runtime::now());
        Ok(())
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.unanswered() == 0
    }

    /// How many entries have no answer yet.
    pub(crate) fn unanswered(&self) -> usize {
        self.lock().window.unanswered()
    }

    fn push(&self, state: &mut BatcherState, now: Instant, entry: Entry, responder: Responder<Reply>) -> EntryKey {
        self.stats.entered(self.action.action());
        let (size, group) = (entry.size, entry.group.clone());
        let epoch = Arc::clone(&state.epoch);
        state.window.push(
            now,
            size,
            group,
            PendingEntry { entry, responder, attempts: 0, retried: None, has_left: false, _epoch: epoch },
        )
    }

    fn lock(&self) -> MutexGuard<'_, BatcherState> {
        lock(&self.state)
    }

    /// Set going what leaves at this moment, and see to it that somebody looks again in time.
    fn go(self: &Arc<Self>, reactor: &Reactor, state: MutexGuard<'_, BatcherState>, now: Instant) {
        self.set_going(reactor, Self::depart(state, now));
    }

    /// Take out what leaves at this moment.
    fn depart(mut state: MutexGuard<'_, BatcherState>, now: Instant) -> Departure {
        let first = state.window.next(now);
        let more: Vec<_> = std::iter::from_fn(|| state.window.next(now)).collect();
        let deadline = state.window.deadline();
        let alarm = deadline.filter(|deadline| state.alarms.first().is_none_or(|first| deadline < first));
        state.alarms.extend(alarm);
        Departure { first, more, alarm }
    }

    fn set_going(self: &Arc<Self>, reactor: &Reactor, departure: Departure) {
        let Departure { first, more, alarm } = departure;
        if let Some(batch) = first {
            let batcher = Arc::clone(self);
            let spawner = reactor.clone();
            reactor.spawn(async move {
                // To spawn from outside wakes the reactor each time; from inside it does not.
                for batch in more {
                    spawner.spawn(Arc::clone(&batcher).carry(batch));
                }
                batcher.carry(batch).await;
            });
        }
        if let Some(alarm) = alarm {
            reactor.spawn(Arc::clone(self).look_again(alarm));
        }
    }

    async fn look_again(self: Arc<Self>, at: Instant) {
        runtime::sleep_until(at).await;
        let mut state = self.lock();
        state.alarms.remove(&at);
        // A task finds the reactor that it runs on.
        if let Ok(reactor) = runtime::current() {
            self.go(&reactor, state, runtime::now());
        }
    }
}
