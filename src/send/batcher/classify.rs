//! What a reply means for the entries of a batch: which are answered, and which are asked for again, when and with whom.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Batcher, PendingEntry};
use crate::log::{self, Topic};
use crate::protocol::billing::{self, Rate};
use crate::protocol::classify::concerns_all;
use crate::protocol::entry::Single;
use crate::protocol::error::{Error, Retry};
use crate::protocol::message::Reply;
use crate::send::QueuedEntry;
use crate::send::outcome::{self, Asked, EntryOutcome};
use crate::stats::journal::{JournalEntry, TaggedOutcome};

/// What a reply means for the entries of a batch.
#[derive(Default)]
pub(super) struct BatchOutcome {
    pub answers: Vec<(PendingEntry, Result<Reply, Error>)>,
    /// To be asked for again at once.
    pub again: Vec<QueuedEntry<PendingEntry>>,
    /// To be asked for again after `delay`.
    pub backing_off: Vec<QueuedEntry<PendingEntry>>,
    pub delay: Duration,
}

impl BatchOutcome {
    /// What it is for the journal, in no particular order.
    pub(super) fn tagged(&self, action: Single) -> Vec<JournalEntry> {
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

impl Batcher {
    /// What becomes of each entry.
    pub(super) fn classify(
        &self,
        mut entries: Vec<QueuedEntry<PendingEntry>>,
        outcome: Result<Reply, Error>,
    ) -> BatchOutcome {
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
                let requests = faults.iter().map(|(waiting, ..)| billing::chunks(waiting.item.entry.size)).sum();
                self.stats.retried(faults.len(), Rate::of(self.action.action(), &self.queue), requests);
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
