//! One request, from a batch that leaves to its callers' answers.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::classify::BatchOutcome;
use super::{Batcher, PendingEntry};
use crate::protocol::error::{Error, Failure, Lost};
use crate::protocol::message::Reply;
use crate::protocol::{billing, entry};
use crate::runtime;
use crate::send::{Batch, InFlightToken, QueuedEntry};
use crate::stats::Reason;
use crate::stats::journal::ReturnedBatch;

impl Batcher {
    /// One request, from the batch to its callers' answers.
    pub(super) async fn carry(self: Arc<Self>, batch: Batch<PendingEntry>) {
        let Batch { entries, reason, token } = batch;
        self.stats.flushed(self.action.action(), reason, entries.len());
        let flight = InFlightBatch { batcher: &self, token: Some(token) };
        let (mut entries, late) = in_time(entries);
        late.into_iter().for_each(|waiting| waiting.item.refuse_late());
        if entries.is_empty() {
            flight.returned(Vec::new(), Vec::new(), Duration::ZERO);
            return;
        }
        let mut request = match entries.as_slice() {
            [only] => entry::single(self.action, &self.queue, &only.item.entry, only.item.attempts),
            entries => entry::batch(self.action, &self.queue, entries.iter().map(|waiting| &waiting.item.entry)),
        };
        // What was counted as a call before is none again.
        for waiting in &mut entries {
            if std::mem::replace(&mut waiting.item.has_left, true) {
                request.bill.alone -= billing::chunks(waiting.item.entry.size);
            }
        }
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
