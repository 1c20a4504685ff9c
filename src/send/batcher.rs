//! The driver of windows: entries of one queue and one action, from their callers to the service and back.
//!
//! There is no task that runs a window. Whoever makes something happen (a caller, a reply, a timer) holds the lock for
//! that moment, takes out the batches that leave now, and sets them going on the reactor.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant, SystemTime};

use super::flush::{FlushBarrier, FlushEpoch};
use super::outcome::{Asked, EntryOutcome};
use super::{Batch, EntryKey, InFlightToken, Limits, QueuedEntry, Window};
use crate::log::{self, Topic};
use crate::protocol::classify::concerns_all;
use crate::protocol::entry::{self, Entry, QueueUrl, Single};
use crate::protocol::error::{Error, Failure, Lost, Retry};
use crate::protocol::message::Reply;
use crate::runtime::lock::lock;
use crate::runtime::responder::Responder;
use crate::runtime::{self, Reactor};
use crate::send::{exit, outcome};
use crate::stats::journal::{JournalEntry, ReturnedBatch, TaggedOutcome};
use crate::stats::{Reason, Stats};
use crate::transport::Transport;

pub(crate) mod own_changes;
#[cfg(test)]
mod tests;

/// The batchers of one client in one process.
#[derive(Debug)]
pub(crate) struct Batchers {
    transport: Arc<dyn Transport>,
    stats: Arc<Stats>,
    limits: Limits,
    by_queue: Mutex<HashMap<QueueUrl, Vec<Arc<Batcher>>>>,
    /// Private batchers of writers and pollers; weak, they die with their owner.
    own: Mutex<Vec<Weak<Batcher>>>,
}

/// Beyond so many queues, those that have nothing to do are forgotten.
const MANY_QUEUES: usize = 1024;

impl Batchers {
    pub(crate) fn new(transport: Arc<dyn Transport>, stats: Arc<Stats>, limits: Limits) -> Batchers {
        Batchers { transport, stats, limits, by_queue: Mutex::default(), own: Mutex::default() }
    }

    /// The batcher that all callers of an action on a queue share.
    pub(crate) fn of(&self, action: Single, queue: &[u8]) -> Arc<Batcher> {
        let mut by_queue = lock(&self.by_queue);
        if let Some(batchers) = by_queue.get(queue)
            && let Some(batcher) = batchers.iter().find(|batcher| batcher.action == action)
        {
            return Arc::clone(batcher);
        }
        if by_queue.len() >= MANY_QUEUES {
            // One that somebody has just been given has a second owner.
            by_queue.retain(|_, batchers| {
                batchers.iter().any(|batcher| Arc::strong_count(batcher) > 1 || !batcher.is_idle())
            });
        }
        let queue = QueueUrl::from(queue);
        let batcher = self.batcher(action, Arc::clone(&queue), self.limits, false);
        by_queue.entry(queue).or_default().push(Arc::clone(&batcher));
        batcher
    }

    /// A batcher of its own, for somebody who has many entries and other limits, and who does not read the replies.
    pub(crate) fn make(&self, action: Single, queue: QueueUrl, limits: Limits) -> Arc<Batcher> {
        let batcher = self.batcher(action, queue, limits, true);
        let mut own = lock(&self.own);
        own.retain(|batcher| batcher.strong_count() > 0);
        own.push(Arc::downgrade(&batcher));
        batcher
    }

    fn batcher(&self, action: Single, queue: QueueUrl, limits: Limits, unread: bool) -> Arc<Batcher> {
        let fifo = action == Single::SendMessage && entry::is_fifo(&queue);
        let batcher = Arc::new(Batcher {
            action,
            queue,
            unread,
            transport: Arc::clone(&self.transport),
            stats: Arc::clone(&self.stats),
            state: Mutex::new(BatcherState {
                window: Window::new(limits, fifo),
                alarms: BTreeSet::new(),
                epoch: Arc::default(),
            }),
        });
        exit::register(&batcher);
        batcher
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// How many batches are in flight.
    pub(crate) fn in_flight(&self) -> usize {
        let shared: Vec<_> = lock(&self.by_queue).values().flatten().cloned().collect();
        let own: Vec<_> = lock(&self.own).iter().filter_map(Weak::upgrade).collect();
        shared.iter().chain(&own).map(|batcher| batcher.lock().window.in_flight()).sum()
    }

    /// Let everything leave that waits, and answer the caller when all of it has been answered.
    pub(crate) fn flush(&self, responder: Responder<()>) -> Result<(), Error> {
        let mut batchers: Vec<_> = lock(&self.by_queue).values().flatten().cloned().collect();
        batchers.extend(lock(&self.own).iter().filter_map(Weak::upgrade));
        let barrier = Arc::new(FlushBarrier::new(responder));
        batchers.iter().try_for_each(|batcher| batcher.flush(&barrier))
    }
}

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

/// An entry without an answer, and whom it answers.
#[derive(Debug)]
struct PendingEntry {
    entry: Entry,
    responder: Responder<Reply>,
    /// Attempts that were made with it.
    attempts: u32,
    /// Why it was asked for again, if it was.
    retried: Option<Retry>,
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
            PendingEntry { entry, responder, attempts: 0, retried: None, _epoch: epoch },
        )
    }

    fn lock(&self) -> MutexGuard<'_, BatcherState> {
        lock(&self.state)
    }

    /// Set going what leaves at this moment, and see to it that somebody looks again in time.
    fn go(self: &Arc<Self>, reactor: &Reactor, mut state: MutexGuard<'_, BatcherState>, now: Instant) {
        let first = state.window.next(now);
        let more: Vec<_> = std::iter::from_fn(|| state.window.next(now)).collect();
        let deadline = state.window.deadline();
        let alarm = deadline.filter(|deadline| state.alarms.first().is_none_or(|first| deadline < first));
        state.alarms.extend(alarm);
        drop(state);
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

    /// One request, from the batch to its callers' answers.
    async fn carry(self: Arc<Self>, batch: Batch<PendingEntry>) {
        let Batch { entries, reason, token } = batch;
        self.stats.flushed(self.action.action(), reason, entries.len());
        let flight = InFlightBatch { batcher: &self, token: Some(token) };
        let (entries, late) = in_time(entries);
        late.into_iter().for_each(|waiting| waiting.item.refuse_late());
        if entries.is_empty() {
            flight.returned(Vec::new(), Vec::new(), Duration::ZERO);
            return;
        }
        let request = match entries.as_slice() {
            [only] => entry::single(self.action, &self.queue, &only.item.entry, only.item.attempts),
            entries => entry::batch(self.action, &self.queue, entries.iter().map(|waiting| &waiting.item.entry)),
        };
        let began = self.stats.journal.is_kept().then(SystemTime::now);
        let limit = request.not_after;
        let outcome = self.transport.send(request).await;
        let mut returned = began.map(|began| self.returned(reason, began, &outcome));
        let (entries, in_time) = in_time_for_another(entries, limit, &outcome);
        let mut outcome = self.classify(entries, outcome);
        outcome.again.extend(in_time);
        if let Some(mut returned) = returned.take() {
            returned.entries = outcome.tagged(self.action);
            // Before its callers are answered: they look for it then.
            self.stats.journal.enter(returned);
        }
        let BatchOutcome { answers, again, backing_off, delay } = outcome;
        flight.returned(again, backing_off, delay);
        for (item, answer) in answers {
            match answer {
                Ok(reply) => item.responder.respond(Ok(reply)),
                Err(error) => item.responder.fail(error, item.entry.members),
            }
        }
    }

    /// What the journal has to say of a request, but for its entries.
    fn returned(&self, reason: Reason, began: SystemTime, outcome: &Result<Reply, Error>) -> ReturnedBatch {
        let reply = match outcome {
            Ok(reply) => Some(reply),
            Err(Error::Service(error)) => Some(&error.reply),
            Err(_) => None,
        };
        ReturnedBatch {
            action: self.action,
            queue: Arc::clone(&self.queue),
            reason,
            began,
            ended: SystemTime::now(),
            attempts: reply.map_or(0, |reply| reply.attempts),
            status: reply.map(|reply| reply.status),
            request_id: reply.and_then(|reply| reply.header("x-amzn-requestid")).map(Into::into),
            error: outcome.as_ref().err().map(|error| error.kind().to_owned()),
            entries: Vec::new(),
        }
    }

    /// What becomes of each entry.
    fn classify(&self, mut entries: Vec<QueuedEntry<PendingEntry>>, outcome: Result<Reply, Error>) -> BatchOutcome {
        let shared = entries.len() > 1;
        match outcome {
            Ok(reply) if shared => {
                let entry_outcomes = outcome::read(&reply, &self.asked(), entries.len());
                self.classify_each(entries, &reply, entry_outcomes)
            }
            Ok(reply) if self.unread && !outcome::is_done(self.action, &reply.body) => {
                // A reply to a request of its own counts the attempts that were made before.
                entries.iter_mut().for_each(|waiting| waiting.item.attempts = 0);
                let entry_outcomes =
                    vec![EntryOutcome::Fault(outcome::no_reply(&reply, &self.asked()), Retry::Transient)];
                self.classify_each(entries, &reply, entry_outcomes)
            }
            Err(Error::Service(error)) if shared && !concerns_all(&error) => {
                let again = entries.into_iter().map(QueuedEntry::solo).collect();
                BatchOutcome { again, ..BatchOutcome::default() }
            }
            outcome => {
                if outcome.is_ok() {
                    self.recovered(entries.iter().find_map(|waiting| waiting.item.retried));
                }
                let answers = entries.into_iter().map(|waiting| (waiting.item, outcome.clone())).collect();
                BatchOutcome { answers, ..BatchOutcome::default() }
            }
        }
    }

    fn asked(&self) -> Asked<'_> {
        Asked { action: self.action, queue: &self.queue, unread: self.unread }
    }

    fn recovered(&self, retried: Option<Retry>) {
        if let Some(why) = retried {
            self.transport.recovered(why);
        }
    }

    fn classify_each(
        &self,
        entries: Vec<QueuedEntry<PendingEntry>>,
        reply: &Reply,
        entry_outcomes: Vec<EntryOutcome>,
    ) -> BatchOutcome {
        let mut answers = Vec::with_capacity(entries.len());
        let (mut faults, mut refused) = (Vec::new(), Vec::new());
        // Backwards: in a message group, what was taken decides about what stood before it, which must not be put behind
        // it by another try.
        let mut taken: HashSet<Arc<str>> = HashSet::new();
        let mut recovered = None;
        for (mut waiting, entry_outcome) in entries.into_iter().zip(entry_outcomes).rev() {
            let overtaken = waiting.group().is_some_and(|group| taken.contains(group));
            let attempts = waiting.item.attempts + reply.attempts;
            match entry_outcome {
                EntryOutcome::Done(mut reply) => {
                    reply.attempts = attempts;
                    taken.extend(waiting.group().cloned());
                    recovered = recovered.or(waiting.item.retried);
                    answers.push((waiting.item, Ok(reply)));
                }
                EntryOutcome::Refused(error) if overtaken => answers.push((waiting.item, Err(error))),
                // The answer to a request of its own is its caller's: the batch speaks of entries that no caller sees. That
                // one is no repetition, and it is the last: an entry alone is not part of a batch.
                EntryOutcome::Refused(_) => refused.push(waiting.solo()),
                EntryOutcome::Fault(error, why) => {
                    waiting.item.attempts = attempts;
                    let error = error.after(attempts);
                    if overtaken || attempts >= reply.max_attempts {
                        answers.push((waiting.item, Err(error)));
                    } else {
                        faults.push((waiting, error, why));
                    }
                }
            }
        }
        answers.reverse();
        faults.reverse();
        refused.reverse();
        self.recovered(recovered);
        // They go again together, so that is one retry.
        let (mut backing_off, mut delay) = (Vec::new(), Duration::ZERO);
        let attempts = faults.iter().map(|(waiting, ..)| waiting.item.attempts).max();
        let why =
            faults.iter().map(|(_, _, why)| *why).find(|why| *why == Retry::Throttled).unwrap_or(Retry::Transient);
        match attempts.and_then(|attempts| self.transport.retry(attempts, why)) {
            Some(wait) => {
                self.stats.retried(faults.len());
                log::debug(Topic::Retries, || {
                    let cause = faults.first().map(|(_, error, _)| error.cause()).unwrap_or_default();
                    let (name, count) = (self.action.batch().operation().name, faults.len());
                    format!(
                        "{name}: {count} entries have failed with {cause}; asked for again in {:.3} s",
                        wait.as_secs_f64()
                    )
                });
                for (mut waiting, ..) in faults {
                    waiting.item.retried = Some(why);
                    backing_off.push(waiting);
                }
                delay = wait;
            }
            None => answers.extend(faults.into_iter().map(|(waiting, error, _)| (waiting.item, Err(error)))),
        }
        // A message group goes on as a whole, so its part of a retry waits with the rest of it.
        let groups: HashSet<Arc<str>> = backing_off.iter().filter_map(QueuedEntry::group).cloned().collect();
        let (waits, again) = refused
            .into_iter()
            .partition::<Vec<_>, _>(|waiting| waiting.group().is_some_and(|group| groups.contains(group)));
        backing_off.extend(waits);
        BatchOutcome { answers, again, backing_off, delay }
    }
}

impl PendingEntry {
    fn refuse_late(self) {
        let detail = "it was not sent: the time in which it may be asked for was over when its turn came".into();
        let error = Error::Lost(Box::new(Lost { failure: Failure::Other, url: String::new(), detail }));
        self.responder.fail(error, self.entry.members);
    }
}

/// The entries that may still leave, and those whose time is over.
fn in_time(
    entries: Vec<QueuedEntry<PendingEntry>>,
) -> (Vec<QueuedEntry<PendingEntry>>, Vec<QueuedEntry<PendingEntry>>) {
    let limited = entries.iter().any(|waiting| waiting.item.entry.not_after.is_some());
    if !limited {
        return (entries, Vec::new());
    }
    let now = runtime::now();
    entries.into_iter().partition(|waiting| waiting.item.entry.not_after.is_none_or(|limit| now <= limit))
}

/// The entries that a failure concerns, and those that go again because it is another's time that was over: a batch is not tried
/// again after the first of its entries may not leave any more, though others might. Each time there are fewer of them.
fn in_time_for_another(
    entries: Vec<QueuedEntry<PendingEntry>>,
    limit: Option<Instant>,
    outcome: &Result<Reply, Error>,
) -> (Vec<QueuedEntry<PendingEntry>>, Vec<QueuedEntry<PendingEntry>>) {
    let may_pass = match outcome {
        Err(Error::Lost(_)) => true,
        Err(Error::Service(error)) => error.retry().is_some(),
        _ => false,
    };
    if !may_pass || limit.is_none_or(|limit| runtime::now() <= limit) {
        return (entries, Vec::new());
    }
    let (again, late) = in_time(entries);
    (late, again)
}

/// What a reply means for the entries of a batch.
#[derive(Default)]
struct BatchOutcome {
    answers: Vec<(PendingEntry, Result<Reply, Error>)>,
    /// To be asked for again at once.
    again: Vec<QueuedEntry<PendingEntry>>,
    /// To be asked for again after `delay`.
    backing_off: Vec<QueuedEntry<PendingEntry>>,
    delay: Duration,
}

impl BatchOutcome {
    /// What it is for the journal, in no particular order.
    fn tagged(&self, action: Single) -> Vec<JournalEntry> {
        let answered = self.answers.iter().map(|(item, answer)| JournalEntry {
            tag: item.entry.tag,
            outcome: match answer {
                Ok(reply) if item.entry.tag != 0 && action == Single::SendMessage => {
                    TaggedOutcome::Done(outcome::message_id(&reply.body))
                }
                Ok(_) => TaggedOutcome::Done(None),
                Err(error) => TaggedOutcome::Failed(error.kind().to_owned()),
            },
        });
        let others = self.again.iter().chain(&self.backing_off);
        let again = |waiting: &QueuedEntry<PendingEntry>| JournalEntry {
            tag: waiting.item.entry.tag,
            outcome: TaggedOutcome::Again,
        };
        answered.chain(others.map(again)).collect()
    }
}

/// A batch in flight. Its place becomes free even if its task panics.
struct InFlightBatch<'a> {
    batcher: &'a Arc<Batcher>,
    token: Option<InFlightToken>,
}

impl InFlightBatch<'_> {
    fn returned(
        mut self,
        again: Vec<QueuedEntry<PendingEntry>>,
        backing_off: Vec<QueuedEntry<PendingEntry>>,
        delay: Duration,
    ) {
        self.complete(again, backing_off, delay);
    }

    fn complete(
        &mut self,
        again: Vec<QueuedEntry<PendingEntry>>,
        backing_off: Vec<QueuedEntry<PendingEntry>>,
        delay: Duration,
    ) {
        let Some(token) = self.token.take() else { return };
        let now = runtime::now();
        let mut state = self.batcher.lock();
        state.window.back_off(backing_off, now + delay);
        state.window.complete(token, again, now);
        if let Ok(reactor) = runtime::current() {
            self.batcher.go(&reactor, state, now);
        }
    }
}

impl Drop for InFlightBatch<'_> {
    fn drop(&mut self) {
        self.complete(Vec::new(), Vec::new(), Duration::ZERO);
    }
}
