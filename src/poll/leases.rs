//! The messages that are held: what is buffered, what has been handed over, and how long each is still ours. Pure: time is
//! an argument, and what is to be asked of the service is said as [`Command`]s.
//!
//! - A lease runs from when the request *left*, so it is never thought longer than it is.
//! - What is held is extended when half of its visibility is over, together with whatever is due soon after.
//! - What stays leased after it was handed over ([`LeasePolicy::keeps`]) is handed over while there is time to extend it; what does
//!   not, with at least [`LeasePolicy::life`] of its visibility left.
//! - What has waited for a whole visibility timeout is given back: others may be quicker. Not while it is we who let it wait,
//!   [`LeasePolicy::max_wait`] long.
//! - An extension and a give-back are never under way together, since they could arrive the other way round. A delete does not
//!   wait for an extension, and is accompanied by further ones while it has no answer: whichever arrives first, it is deleted.
//! - **A lease that has run out is lost**: nothing is asked for that message any more, since its receipt handle may still
//!   act on SQS, and would act on what is somebody else's by then. What was handed over is told as lost ([`Told`]).
//! - A handler that changes its message's visibility timeout by itself has chosen when that ends: it is neither extended nor lost.
//!   When the handler returns the message is deleted, whoever has it by then; when it raises, nothing is asked for.
//! - One that its handler deletes by itself goes on being extended until the service says that it is gone; then it is not lost.
//! - A delete that fails for a reason that may pass is asked for again for as long as the lease can be kept.
//! - In a FIFO queue no message overtakes another of its group. What is given back takes the rest of its group along.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

mod commands;
mod deadlines;
mod due;
mod extensions;
mod groups;
mod lease;
mod own;
mod policy;
mod release;

pub(crate) use commands::{Command, CommandKind, Disposition, Extension, Settled, Told};
pub(crate) use policy::{GroupMode, LeasePolicy};

use deadlines::LeaseDeadlines;
use groups::Queued;
use lease::{Lease, Place};

/// A MessageGroupId.
pub(crate) type GroupId = Arc<str>;

/// A message on its way in.
#[derive(Debug)]
pub(crate) struct Incoming<M> {
    pub message: M,
    /// Its receipt handle, as JSON.
    pub handle: Box<str>,
    pub group: Option<GroupId>,
    pub bytes: usize,
}

/// A message as it is handed over.
#[derive(Debug)]
pub(crate) struct Taken<M> {
    pub id: u64,
    pub message: M,
    /// How long it was held before.
    pub waited: Duration,
}

/// The messages that are held, each until the service has done what is wanted for it, and how long each is still ours.
#[derive(Debug)]
pub(crate) struct Leases<M> {
    policy: LeasePolicy,
    next: u64,
    by_id: HashMap<u64, Lease<M>>,
    /// The ready list: what may be handed over, in order.
    ready: VecDeque<u64>,
    /// [`GroupMode::Locked`]: groups of which something is held.
    groups: HashMap<GroupId, Queued>,
    deadlines: LeaseDeadlines,
    buffered: usize,
    bytes: usize,
    /// What has ended and is not done with.
    unsettled: usize,
    /// Messages that ceased to be ours while they were held.
    lost: u64,
    told: Vec<Told<M>>,
    /// Something was given back for want of takers.
    abandoned: bool,
}

impl<M: Clone> Leases<M> {
    pub(crate) fn new(policy: LeasePolicy) -> Self {
        Leases {
            policy,
            next: 0,
            by_id: HashMap::new(),
            ready: VecDeque::new(),
            groups: HashMap::new(),
            deadlines: LeaseDeadlines::default(),
            buffered: 0,
            bytes: 0,
            unsettled: 0,
            lost: 0,
            told: Vec::new(),
            abandoned: false,
        }
    }

    /// What is known of the queue has changed. It holds from the next extension on.
    pub(crate) fn set_visibility(&mut self, visibility: Duration, life: Duration) {
        if (self.policy.visibility, self.policy.life) == (visibility, life) {
            return;
        }
        (self.policy.visibility, self.policy.life) = (visibility, life);
        // What is held may have to be looked at sooner now.
        let held: Vec<u64> = self.by_id.keys().copied().collect();
        held.into_iter().for_each(|id| self.schedule(id));
    }

    pub(crate) fn visibility(&self) -> Duration {
        self.policy.visibility
    }

    /// How many messages wait, and their bytes.
    pub(crate) fn buffered(&self) -> (usize, usize) {
        (self.buffered, self.bytes)
    }

    /// How many of those that wait can be handed over, sooner or later, whatever becomes of the others.
    pub(crate) fn available(&self) -> usize {
        self.ready.len()
    }

    /// How many messages are handed over and not finished.
    pub(crate) fn in_progress(&self) -> usize {
        self.by_id.values().filter(|lease| lease.place.is_handed_over()).count()
    }

    /// A message that is held.
    pub(crate) fn message(&self, id: u64) -> Option<&M> {
        self.by_id.get(&id).map(|lease| &lease.message)
    }

    /// Whether a taker has this message.
    pub(crate) fn is_handed_over(&self, id: u64) -> bool {
        self.by_id.get(&id).is_some_and(|lease| lease.place.is_handed_over())
    }

    /// Whether a taker has had this message.
    pub(crate) fn is_taken(&self, id: u64) -> bool {
        self.by_id.get(&id).and_then(|lease| lease.wanted).is_some_and(|wanted| wanted.said.is_some())
    }

    /// How many messages have ended for which the service has not done what is wanted.
    pub(crate) fn unsettled(&self) -> usize {
        self.unsettled
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// When the oldest message in hand was received: buffered, handed over or unsettled.
    pub(crate) fn oldest_in_hand(&self) -> Option<Duration> {
        self.by_id.values().map(|lease| lease.received).min()
    }

    /// What there is to tell of messages that were handed over. It is not told again.
    pub(crate) fn told(&mut self) -> Vec<Told<M>> {
        std::mem::take(&mut self.told)
    }

    /// Whether something was given back for want of takers since this was last asked.
    pub(crate) fn take_abandoned(&mut self) -> bool {
        std::mem::take(&mut self.abandoned)
    }

    /// Messages of one reply, in its order, whose request left at `sent` and asked for this visibility.
    pub(crate) fn receive(
        &mut self,
        now: Duration,
        sent: Duration,
        visibility: Duration,
        messages: impl IntoIterator<Item = Incoming<M>>,
    ) {
        for Incoming { message, handle, group, bytes } in messages {
            let group = group.filter(|_| self.policy.groups != GroupMode::None);
            let id = self.insert(now, sent, visibility, Place::Ready, Incoming { message, handle, group, bytes });
            self.buffered += 1;
            self.bytes += bytes;
            self.queue(id);
            self.schedule(id);
        }
    }

    /// A message that its taker has received by itself, with a request that left at `sent`: it is handed over as it comes.
    pub(crate) fn hold(&mut self, now: Duration, sent: Duration, message: Incoming<M>) -> u64 {
        let id = self.insert(now, sent, self.policy.visibility, Place::Handed, message);
        self.schedule(id);
        id
    }

    fn insert(&mut self, now: Duration, sent: Duration, visibility: Duration, place: Place, it: Incoming<M>) -> u64 {
        let id = self.next;
        self.next += 1;
        let lease = Lease {
            message: it.message,
            handle: it.handle,
            group: it.group,
            bytes: it.bytes,
            sent,
            received: now,
            since: now,
            expires: sent + visibility,
            place,
            extending: false,
            settling: false,
            own: false,
            deleted: false,
            overtakes: false,
            again: Duration::ZERO,
            retry: Duration::ZERO,
            gone: false,
            unknown: false,
            failures: 0,
            error: None,
            wanted: None,
            due: None,
        };
        self.by_id.insert(id, lease);
        id
    }

    /// The next message that is ours for long enough.
    pub(crate) fn take(&mut self, now: Duration) -> Option<Taken<M>> {
        let place = self.next_place(now)?;
        let id = self.ready.remove(place)?;
        self.hand_over(now, id)
    }

    /// Whether there is a next message that is ours for long enough.
    pub(crate) fn has_next(&self, now: Duration) -> bool {
        self.next_place(now).is_some()
    }

    /// Since when the first of the ready list waits.
    pub(crate) fn oldest(&self) -> Option<Duration> {
        self.ready.front().and_then(|id| self.by_id.get(id)).map(|lease| lease.since)
    }

    /// Where in the ready list the next message is.
    fn next_place(&self, now: Duration) -> Option<usize> {
        // In order: one that is not fresh holds up those after it.
        let reach = if self.policy.groups == GroupMode::Ordered { 1 } else { self.ready.len() };
        self.ready.iter().take(reach).position(|id| self.by_id.get(id).is_some_and(|lease| self.is_fresh(lease, now)))
    }

    /// Whether a message is ours for long enough to be handed over.
    fn is_fresh(&self, lease: &Lease<M>, now: Duration) -> bool {
        let LeasePolicy { visibility, life, keeps, .. } = self.policy;
        if visibility.is_zero() {
            return true;
        }
        if keeps {
            // The heartbeat goes on, so what matters is that there is time for it.
            return lease.expires > now + visibility / 10;
        }
        !lease.extending && lease.expires >= now + life
    }

    fn hand_over(&mut self, now: Duration, id: u64) -> Option<Taken<M>> {
        let lease = self.by_id.get_mut(&id)?;
        lease.place = Place::Handed;
        self.buffered -= 1;
        self.bytes -= lease.bytes;
        let waited = now.saturating_sub(lease.since);
        let message = lease.message.clone();
        if !self.policy.keeps {
            self.by_id.remove(&id);
        } else if let Some(queued) = lease.group.as_ref().and_then(|group| self.groups.get_mut(group)) {
            queued.in_progress += 1;
        }
        Some(Taken { id, message, waited })
    }

    /// How many messages of the ready list are fresh, counted up to `most`; with those of their groups that are pending, for
    /// takers of `batch` messages at a time.
    pub(crate) fn deliverable(&self, now: Duration, most: usize, batch: usize) -> usize {
        let fresh = |id: &&u64| self.by_id.get(id).is_some_and(|lease| self.is_fresh(lease, now));
        match self.policy.groups {
            GroupMode::Ordered => self.ready.iter().take_while(fresh).take(most).count(),
            GroupMode::Locked if batch > 1 => {
                let taken = |id: &u64| (1 + self.pending(*id)).min(batch);
                self.ready.iter().filter(fresh).take(most).map(taken).sum::<usize>().min(most)
            }
            GroupMode::None | GroupMode::Locked => self.ready.iter().filter(fresh).take(most).count(),
        }
    }

    /// Whether nothing is held, asked for or waited for. What has run out while it was handed over is not held.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.values().all(|lease| matches!(lease.place, Place::Lost | Place::Released))
    }
}

/// How long before a lease runs out a request that changes its visibility must have left, so as not to arrive after it.
fn reserve(visibility: Duration) -> Duration {
    (visibility / 20).min(Duration::from_secs(1))
}

/// A message that is held, as a test sees it.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct HeldMessage {
    pub handle: Box<str>,
    pub expires: Duration,
    /// Nobody will have it from us any more.
    pub ends: bool,
}

#[cfg(test)]
impl<M> Leases<M> {
    pub(crate) fn held(&self) -> Vec<HeldMessage> {
        let ours = self.by_id.values().filter(|lease| !matches!(lease.place, Place::Lost | Place::Released));
        ours.map(|lease| HeldMessage {
            handle: lease.handle.clone(),
            expires: lease.expires,
            ends: lease.place == Place::Ended,
        })
        .collect()
    }
}

#[cfg(test)]
mod tests;
