//! The taker's end of a poller: everything that its owner can do with it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::leases::{Disposition, LeasePolicy, Leases};
use super::options::{PollerOptions, life};
use super::{BackgroundError, Fetches, LINGER, Phase, PollerCore, PollerCounts, PollerState, Take, Takers};
use crate::client::{Client, Resources};
use crate::protocol::entry::{QueueUrl, Single};
use crate::protocol::error::Error;
use crate::runtime::responder::{PendingResponse, Responder, WaitList};
use crate::runtime::{self, ProcessBound};
use crate::send::Limits;
use crate::send::batcher::own_changes::KeepsMessages;

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
pub(super) enum Parked {
    Found(Take),
    /// Nothing yet; the place of the one who waits.
    Waits(u64),
}

impl Poller {
    /// Cheap: nothing leaves before the first message is asked for.
    pub(crate) fn new(client: &Client, options: PollerOptions) -> Result<Poller, Error> {
        Ok(Poller::over(&*client.resources()?, options))
    }

    pub(super) fn over(resources: &Resources, options: PollerOptions) -> Poller {
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
    pub(super) fn park(&self, responder: Responder<()>) -> Result<Parked, Error> {
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
    pub(super) fn unpark(&self, place: u64) -> Result<Take, Error> {
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
    pub(super) fn own(&self) -> Result<Arc<PollerCore>, Error> {
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
