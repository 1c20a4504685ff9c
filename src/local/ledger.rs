//! What the server's traffic comes to: requests by action and status, how long they took, and what SQS would bill for them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::model::Action;

/// The upper bounds of the latency histogram's buckets, in microseconds.
pub(super) const BUCKETS: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 1_000_000, 5_000_000, 20_000_000];

/// SQS bills each 64 KiB of messages that a request sends or brings as a request of its own (<https://aws.amazon.com/sqs/pricing/>).
const CHUNK: usize = 65_536;

/// Requests of an action, and what they carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// As SQS would bill them.
    pub requests: u64,
    /// Messages sent, received, deleted or changed: without batches each would have taken a request.
    pub messages: u64,
}

/// The two kinds of queues, which have prices of their own. What concerns no message is billed as a standard queue's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum QueueKind {
    Standard,
    Fifo,
}

impl QueueKind {
    pub(super) fn of(is_fifo: bool) -> QueueKind {
        if is_fifo { QueueKind::Fifo } else { QueueKind::Standard }
    }

    /// The kind whose price an action on a queue has.
    pub(super) fn billed(action: Action, is_fifo: bool) -> QueueKind {
        QueueKind::of(is_fifo && action.is_about_messages())
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            QueueKind::Standard => "standard",
            QueueKind::Fifo => "fifo",
        }
    }
}

/// The books of a server.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    usage: HashMap<(QueueKind, Action), Usage>,
    /// By action, or what else was asked for, and HTTP status.
    answers: BTreeMap<(&'static str, u16), u64>,
    /// Of actions alone: how many took at most the bucket's bound and more than the one before it; the last has no bound.
    latency: [u64; BUCKETS.len() + 1],
    elapsed: Duration,
}

impl Ledger {
    /// A request, whatever it carries.
    pub(super) fn requested(&mut self, kind: QueueKind, action: Action) {
        self.usage.entry((kind, action)).or_default().requests += 1;
    }

    /// What a request carries, or its reply: messages, of so many bytes in all.
    pub(super) fn carried(&mut self, kind: QueueKind, action: Action, messages: usize, bytes: usize) {
        if messages == 0 {
            return;
        }
        let usage = self.usage.entry((kind, action)).or_default();
        usage.messages += messages as u64;
        usage.requests += (bytes.div_ceil(CHUNK) as u64).saturating_sub(1);
    }

    pub(super) fn answered(&mut self, name: &'static str, status: u16) {
        *self.answers.entry((name, status)).or_default() += 1;
    }

    pub(super) fn took(&mut self, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.latency.get_mut(bucket) {
            *count += 1;
        }
        self.elapsed = self.elapsed.saturating_add(elapsed);
    }

    pub(super) fn answers(&self) -> impl Iterator<Item = (&'static str, u16, u64)> {
        self.answers.iter().map(|((name, status), count)| (*name, *status, *count))
    }

    /// Sorted by kind and action.
    pub(super) fn usage(&self) -> Vec<(&'static str, &'static str, Usage)> {
        let named = |(kind, action): &(QueueKind, Action)| (kind.name(), action.operation().name);
        let mut all: Vec<_> = self.usage.iter().map(|(key, usage)| (named(key), *usage)).collect();
        all.sort_unstable_by_key(|(names, _)| *names);
        all.into_iter().map(|((kind, action), usage)| (kind, action, usage)).collect()
    }

    /// How many requests took at most each of [`BUCKETS`], how many there were, and how long they took in all.
    pub(super) fn latency(&self) -> ([u64; BUCKETS.len()], u64, Duration) {
        let mut sum = 0;
        let mut cumulative = [0; BUCKETS.len()];
        for (place, count) in cumulative.iter_mut().zip(self.latency) {
            sum += count;
            *place = sum;
        }
        (cumulative, self.latency.iter().sum(), self.elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_billed_by_64_kib() {
        let mut ledger = Ledger::default();
        for bytes in [0, 1, CHUNK, CHUNK + 1, 1_048_576] {
            ledger.requested(QueueKind::Fifo, Action::SendMessageBatch);
            ledger.carried(QueueKind::Fifo, Action::SendMessageBatch, 2, bytes);
        }
        ledger.requested(QueueKind::Standard, Action::ListQueues);
        ledger.carried(QueueKind::Standard, Action::ReceiveMessage, 0, 0);
        assert_eq!(
            ledger.usage(),
            [
                ("fifo", "SendMessageBatch", Usage { requests: 21, messages: 10 }),
                ("standard", "ListQueues", Usage { requests: 1, messages: 0 }),
            ]
        );
    }

    #[test]
    fn the_histogram_is_cumulative() {
        let mut ledger = Ledger::default();
        for micros in [1, 100, 101, 20_000_000, 20_000_001, u64::MAX] {
            ledger.took(Duration::from_micros(micros));
        }
        let (buckets, count, _) = ledger.latency();
        assert_eq!((buckets[0], buckets[1], buckets[11], count), (2, 3, 4, 6));
    }
}
