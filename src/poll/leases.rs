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

use crate::protocol::error::Error;

mod deadlines;
mod groups;
mod own;
mod release;

use deadlines::LeaseDeadlines;
use groups::Queued;

/// A MessageGroupId.
pub(crate) type GroupId = Arc<str>;

/// The longest that a message can be kept invisible, counted from its receive: AWS, "Amazon SQS visibility timeout".
const LONGEST: Duration = Duration::from_secs(43_200);

/// How far from [`LONGEST`] we stay, since the service's clock starts when the request arrives, not when it leaves.
const RESERVE: Duration = Duration::from_secs(1);

/// How message groups are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupMode {
    /// A standard queue: there are none, whatever MessageGroupId says (fair queues have it too).
    None,
    /// Messages of a group are handed over in their order.
    Ordered,
    /// And not before the one before is finished.
    Locked,
}

/// For how long messages are held, and how: what the queue and the poller's options say of it, the same for all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeasePolicy {
    /// The queue's visibility timeout, or the one that was asked for; whole seconds. Zero: nothing is leased.
    pub visibility: Duration,
    /// What must be left of it at hand-over, unless it `keeps`.
    pub life: Duration,
    /// How long a message may have to wait although a taker is there: for a batch to fill up, or for the rate.
    pub max_wait: Duration,
    pub groups: GroupMode,
    /// Whether what is handed over stays leased until it is finished.
    pub keeps: bool,
}

impl LeasePolicy {
    /// How long a message may wait.
    fn keep(&self) -> Duration {
        self.visibility.max(self.max_wait.saturating_add(self.visibility / 2))
    }

    /// With how much of its visibility left a message is extended.
    fn margin(&self, waits: bool) -> Duration {
        let half = self.visibility / 2;
        // Not all of it: it would be extended without end.
        if waits && !self.keeps { half.max(self.life.min(self.visibility * 9 / 10)) } else { half }
    }
}

/// A message on its way in.
#[derive(Debug)]
pub(crate) struct Incoming<M> {
    pub message: M,
    /// Its receipt handle, as JSON.
    pub handle: Box<str>,
    pub group: Option<GroupId>,
    pub bytes: usize,
}

/// What is to be asked of the service for one message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub id: u64,
    pub handle: Box<str>,
    pub kind: CommandKind,
    /// When it must not leave any more: the message is not ours then.
    pub not_after: Duration,
}

/// What a [`Command`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandKind {
    /// To be invisible for so many seconds from now; [`Leases::extended`] is to be told.
    Extend(u32),
    /// To be visible after so many seconds; [`Leases::settled`] is to be told, as for a delete.
    Visible(u32),
    Delete,
}

/// How a message that was handed over ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    Delete,
    /// Visible after so many seconds, or the longest that SQS allows.
    Visible(u32),
    /// It comes back when its time is over.
    Leave,
}

/// What became of an extension.
#[derive(Debug)]
pub(crate) enum Extension {
    /// The request left at this time and asked for so many seconds.
    Done(Duration, u32),
    /// The message is not ours any more.
    Gone(Error),
    /// No telling, or not now; worth another try.
    Failed(Error),
}

/// What became of a delete, or of a change of visibility that ends our part.
#[derive(Debug)]
pub(crate) enum Settled {
    Done,
    /// The service will not, however often it is asked.
    Refused(Error),
    /// It may succeed another time.
    Failed(Error),
    /// There was no answer: it may have been done.
    Unknown(Error),
}

/// News of a message that was handed over, for its taker's owner.
#[derive(Debug)]
pub(crate) enum Told<M> {
    /// Its visibility could not be kept while it was handed over.
    Lost(M, Option<Error>),
    /// What its taker wanted for it could not be done.
    Failed(M, Disposition, Option<Error>),
}

/// A message as it is handed over.
#[derive(Debug)]
pub(crate) struct Taken<M> {
    pub id: u64,
    pub message: M,
    /// How long it was held before.
    pub waited: Duration,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the ready list.
    Ready,
    /// It waits for those before it of its group.
    Pending,
    /// A taker has it.
    Handed,
    /// A taker has it, and it is not ours any more.
    Lost,
    /// A taker has it, and has let its time run out by itself.
    Released,
    /// Nobody will have it from us any more; what is to become of it is asked for.
    Ended,
}

impl Place {
    /// Whether a taker has it.
    fn is_handed_over(self) -> bool {
        matches!(self, Place::Handed | Place::Lost | Place::Released)
    }
}

/// What is to become of a message that has ended.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// `None`: a delete; else when it is to be visible.
    visible: Option<Duration>,
    /// What its taker has said; `None`: it was never handed over.
    said: Option<Disposition>,
}

/// What is known of one message that is held: how long it is still ours, where it is, and what is asked for it.
#[derive(Debug)]
struct Lease<M> {
    message: M,
    handle: Box<str>,
    group: Option<GroupId>,
    bytes: usize,
    /// When the request left that brought it: the service's limit of twelve hours counts from there.
    sent: Duration,
    received: Duration,
    /// Since when it could be handed over.
    since: Duration,
    expires: Duration,
    place: Place,
    /// An extension is under way.
    extending: bool,
    /// What is to become of it has been asked for, and not been answered.
    settling: bool,
    /// Its handler has changed its visibility timeout by itself.
    own: bool,
    /// Its handler has asked for its deletion by itself.
    deleted: bool,
    /// An extension was under way when its visibility timeout was changed, and may arrive after that change.
    overtakes: bool,
    /// It is not to be extended before.
    again: Duration,
    /// What is to become of it is not to be asked for before.
    retry: Duration,
    /// Whether an extension was refused because the message is not in flight any more.
    gone: bool,
    /// Whether the answer to a delete was lost, which may have been done.
    unknown: bool,
    /// How often in succession what was asked for has failed, and why the last time.
    failures: u32,
    error: Option<Error>,
    wanted: Option<Wanted>,
    /// When it is looked at next, at the latest.
    due: Option<Duration>,
}

impl<M> Lease<M> {
    fn waits(&self) -> bool {
        matches!(self.place, Place::Ready | Place::Pending)
    }

    /// Why something has failed. What the service has said tells more than that it was not heard of, or not asked any more.
    fn note(&mut self, error: Error) {
        if !matches!((&self.error, &error), (Some(Error::Service(_)), Error::Lost(_))) {
            self.error = Some(error);
        }
    }

    /// For how many seconds it can be invisible from `now` on, at most.
    fn longest(&self, now: Duration) -> u32 {
        let left = (self.sent + LONGEST).saturating_sub(now + RESERVE).as_secs();
        u32::try_from(left).unwrap_or(u32::MAX)
    }
}

/// What falls due for a message.
#[derive(Clone, Copy, Debug)]
enum Due {
    Expired,
    Stale,
    Extension,
    /// What is to become of it is to be asked for once more.
    Settlement,
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

    /// What is to be asked now, for all that is held.
    pub(crate) fn tick(&mut self, now: Duration) -> Vec<Command> {
        let mut commands = Vec::new();
        let mut extends = false;
        while let Some(id) =
            self.deadlines.pop_due(now, |id, at| self.by_id.get(&id).is_some_and(|l| l.due == Some(at)))
        {
            if let Some(lease) = self.by_id.get_mut(&id) {
                lease.due = None;
            }
            match self.is_due(now, id) {
                Some(Due::Expired) => self.expire(now, id, &mut commands),
                Some(Due::Stale) => {
                    self.abandoned = true;
                    self.give_back(now, id, &mut commands);
                }
                Some(Due::Settlement) => self.ask(now, id, &mut commands),
                Some(Due::Extension) => {
                    extends = true;
                    self.extend(now, id, &mut commands);
                }
                None => {}
            }
            self.schedule(id);
        }
        if extends {
            self.extend_what_is_due_soon(now, &mut commands);
        }
        commands.sort_by_key(|command| command.id);
        commands
    }

    /// One request takes ten: what would be due shortly comes along.
    fn extend_what_is_due_soon(&mut self, now: Duration, commands: &mut Vec<Command>) {
        let soon = now + self.policy.visibility / 6;
        let extension = |id: &&u64| {
            self.falls_due(**id).is_some_and(|(at, due)| at <= soon && matches!(due, Due::Extension))
                && self.by_id.get(id).is_some_and(|lease| lease.again <= now)
        };
        let ids: Vec<u64> = self.by_id.keys().filter(extension).copied().collect();
        for id in ids {
            self.extend(now, id, commands);
        }
    }

    /// When [`Self::tick`] has something to do next, at the earliest.
    pub(crate) fn next_tick(&mut self) -> Option<Duration> {
        self.deadlines.next(|id, at| self.by_id.get(&id).is_some_and(|lease| lease.due == Some(at)))
    }

    /// What falls due next for a message, and when.
    fn falls_due(&self, id: u64) -> Option<(Duration, Due)> {
        let lease = self.by_id.get(&id)?;
        let visibility = self.policy.visibility;
        if visibility.is_zero() {
            let waits = lease.wanted.is_some() && !lease.settling;
            return waits.then_some((lease.retry, Due::Settlement));
        }
        let expired = (lease.expires, Due::Expired);
        let extension =
            || (lease.expires.saturating_sub(self.policy.margin(lease.waits())).max(lease.again), Due::Extension);
        let next = match lease.place {
            Place::Lost | Place::Released => return None,
            Place::Ended if lease.settling => {
                // The answer is the last word, whenever it comes.
                let deletes = lease.wanted.is_some_and(|wanted| wanted.visible.is_none());
                return (deletes && !lease.extending).then(extension).filter(|(at, _)| *at < lease.expires);
            }
            _ if lease.extending => expired,
            Place::Ready => {
                let stale = (lease.since.saturating_add(self.policy.keep()), Due::Stale);
                if extension().0 < stale.0 { extension() } else { stale }
            }
            Place::Pending | Place::Handed => extension(),
            Place::Ended => match lease.wanted {
                Some(Wanted { visible: None, .. }) if extension().0 < lease.retry => extension(),
                _ => (lease.retry, Due::Settlement),
            },
        };
        Some(if lease.expires <= next.0 { expired } else { next })
    }

    /// What is due by now. The process may have stood still since it was: that a lease has run out comes before all else.
    fn is_due(&self, now: Duration, id: u64) -> Option<Due> {
        let (_, due) = self.falls_due(id).filter(|(at, _)| *at <= now)?;
        let leased = !self.policy.visibility.is_zero();
        let expired = leased && self.by_id.get(&id).is_some_and(|lease| lease.expires <= now && !lease.settling);
        Some(if expired { Due::Expired } else { due })
    }

    /// See to it that a message is looked at in time. It may be looked at too early, never too late.
    fn schedule(&mut self, id: u64) {
        let Some((at, _)) = self.falls_due(id) else { return };
        let Some(lease) = self.by_id.get_mut(&id) else { return };
        if lease.due.is_none_or(|due| at < due) {
            lease.due = Some(at);
            let by_id = &self.by_id;
            self.deadlines.push(at, id, by_id.len(), |id, at| by_id.get(&id).is_some_and(|l| l.due == Some(at)));
        }
    }

    fn extend(&mut self, now: Duration, id: u64, commands: &mut Vec<Command>) {
        let visibility = self.policy.visibility;
        let Some(lease) = self.by_id.get_mut(&id).filter(|lease| !lease.extending) else { return };
        if lease.expires <= now {
            // Only a delete that has no answer yet is left by then.
            lease.again = Duration::MAX;
            return;
        }
        let seconds = lease.longest(now).min(u32::try_from(visibility.as_secs()).unwrap_or(u32::MAX));
        if now + Duration::from_secs(seconds.into()) <= lease.expires {
            // The service allows no more: it stays ours until its time is over.
            lease.again = Duration::MAX;
            return;
        }
        let kind = CommandKind::Extend(seconds);
        lease.extending = true;
        let not_after = lease.expires.saturating_sub(reserve(visibility));
        commands.push(Command { id, handle: lease.handle.clone(), kind, not_after });
        self.schedule(id);
    }

    /// An extension has been answered.
    pub(crate) fn extended(&mut self, now: Duration, id: u64, extension: Extension) -> Vec<Command> {
        let mut commands = Vec::new();
        let Some(lease) = self.by_id.get_mut(&id) else { return commands };
        lease.extending = false;
        // Of one that is not ours any more there is nothing to learn, nor of one whose handler sees to its time: what that has
        // asked for has to be the last word.
        if lease.place == Place::Lost || lease.own {
            let gone = matches!(extension, Extension::Gone(_));
            if std::mem::take(&mut lease.overtakes) && !gone && lease.place == Place::Handed && now < lease.expires {
                lease.extending = true;
                let seconds = lease.expires.saturating_sub(now).as_millis().div_ceil(1_000);
                let kind = CommandKind::Extend(u32::try_from(seconds).unwrap_or(u32::MAX).min(lease.longest(now)));
                commands.push(Command { id, handle: lease.handle.clone(), kind, not_after: lease.expires });
            }
            self.schedule(id);
            return commands;
        }
        let deletes = lease.place == Place::Ended && lease.wanted.is_some_and(|wanted| wanted.visible.is_none());
        if lease.settling || deletes {
            // What cannot be extended any more has been deleted, by a delete that is under way or whose answer was lost.
            match extension {
                Extension::Done(sent, seconds) if now < lease.expires => {
                    lease.expires = lease.expires.max(sent + Duration::from_secs(seconds.into()));
                    lease.again = Duration::ZERO;
                }
                Extension::Gone(_) => (lease.gone, lease.again) = (true, Duration::MAX),
                Extension::Done(..) | Extension::Failed(_) => lease.again = now + pause(self.policy.visibility),
            }
            self.leave_if_deleted(id);
            self.schedule(id);
            return commands;
        }
        let expired = lease.expires <= now;
        match extension {
            Extension::Done(sent, seconds) if !expired => {
                lease.expires = lease.expires.max(sent + Duration::from_secs(seconds.into()));
                lease.again = Duration::ZERO;
            }
            // What ran out before the answer came may have been somebody else's when it was asked for.
            Extension::Done(..) => {}
            Extension::Failed(error) => {
                lease.again = now + pause(self.policy.visibility);
                lease.note(error);
            }
            // Its handler is still at it, but it will not come again.
            Extension::Gone(_) if lease.deleted => {
                (lease.again, lease.expires) = (Duration::MAX, lease.sent + LONGEST);
            }
            Extension::Gone(error) => {
                lease.error = Some(error);
                lease.expires = now;
            }
        }
        if lease.expires <= now {
            self.expire(now, id, &mut commands);
        } else if lease.place == Place::Ended && lease.retry <= now {
            self.ask(now, id, &mut commands);
        }
        self.schedule(id);
        commands
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

/// Between attempts at an extension.
fn pause(visibility: Duration) -> Duration {
    (visibility / 10).clamp(Duration::from_millis(100), Duration::from_secs(5))
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
