//! The journal of a client: its batches that have returned, kept while somebody wants to know of them.
//!
//! A batch is nobody's call. Who wants to tell of the request that several callers share has to be told of it by the one
//! who sent it; each entry bears a tag, by which its caller knows it again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::Reason;
use crate::protocol::entry::{QueueUrl, Single};

/// So many batches are kept; the oldest go when others come.
const MOST: usize = 10_000;

/// The batches of a client that have returned and that nobody has read yet; see the module.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    is_kept: AtomicBool,
    batches: Mutex<VecDeque<ReturnedBatch>>,
    /// Repeated attempts since the journal was last read.
    retries: AtomicU64,
}

/// A batch that has returned, one of a single entry included.
#[derive(Debug)]
pub(crate) struct ReturnedBatch {
    pub action: Single,
    pub queue: QueueUrl,
    pub reason: Reason,
    pub began: SystemTime,
    pub ended: SystemTime,
    pub attempts: u32,
    pub status: Option<u16>,
    pub request_id: Option<String>,
    /// Why the request has failed as a whole.
    pub error: Option<String>,
    pub entries: Vec<JournalEntry>,
}

/// An entry of a batch that has returned.
#[derive(Debug)]
pub(crate) struct JournalEntry {
    pub tag: u64,
    pub outcome: TaggedOutcome,
}

/// What a batch meant for one of its entries.
#[derive(Debug)]
pub(crate) enum TaggedOutcome {
    /// Done; the message's id, if the reply has one.
    Done(Option<String>),
    /// Its caller is told of this error.
    Failed(String),
    /// It is asked for again.
    Again,
}

impl Journal {
    /// Whether batches are kept from now on. What was kept is forgotten when they are not.
    pub(crate) fn keep(&self, is_kept: bool) {
        self.is_kept.store(is_kept, Ordering::Relaxed);
        if !is_kept {
            self.read();
        }
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::Relaxed)
    }

    pub(crate) fn enter(&self, batch: ReturnedBatch) {
        let mut batches = self.lock();
        if batches.len() >= MOST {
            batches.pop_front();
        }
        batches.push_back(batch);
    }

    pub(super) fn retried(&self, count: u64) {
        if self.is_kept() {
            self.retries.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// What was kept since the last time: batches, and the number of repeated attempts.
    pub(crate) fn read(&self) -> (VecDeque<ReturnedBatch>, u64) {
        (std::mem::take(&mut *self.lock()), self.retries.swap(0, Ordering::Relaxed))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<ReturnedBatch>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(attempts: u32) -> ReturnedBatch {
        let now = SystemTime::UNIX_EPOCH;
        ReturnedBatch {
            action: Single::SendMessage,
            queue: b"\"q\"".as_slice().into(),
            reason: Reason::Full,
            began: now,
            ended: now,
            attempts,
            status: None,
            request_id: None,
            error: None,
            entries: Vec::new(),
        }
    }

    #[test]
    fn the_oldest_go_and_nothing_is_read_twice() {
        let journal = Journal::default();
        journal.retried(1);
        assert!(!journal.is_kept());
        journal.keep(true);
        journal.retried(2);
        for number in 0..u32::try_from(MOST).unwrap() + 3 {
            journal.enter(batch(number));
        }
        let (batches, retries) = journal.read();
        assert_eq!((batches.len(), batches.front().unwrap().attempts, retries), (MOST, 3, 2));
        assert_eq!((journal.read().0.len(), journal.read().1), (0, 0));
        journal.enter(batch(1));
        journal.keep(false);
        assert!(journal.read().0.is_empty());
    }
}
