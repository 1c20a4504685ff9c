//! What a client has done, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::{Action, OPERATIONS};

pub(crate) mod journal;

use journal::Journal;

/// Counters that any thread may raise and read.
#[derive(Debug)]
pub(crate) struct Stats {
    /// By action: HTTP requests, repeated attempts included.
    requests: [AtomicU64; OPERATIONS.len()],
    /// By action: entries that callers gave to be batched.
    messages: [AtomicU64; OPERATIONS.len()],
    /// By action: batches that left, those of one entry included, and the entries in them.
    batches: [AtomicU64; OPERATIONS.len()],
    sent: [AtomicU64; OPERATIONS.len()],
    flushes: [AtomicU64; Reason::ALL.len()],
    retries: AtomicU64,
    pub journal: Journal,
}

/// The counters at one moment; actions and reasons that never occurred are left out.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub requests: Vec<(&'static str, u64)>,
    pub messages: Vec<(&'static str, u64)>,
    /// Mean number of entries in a batch.
    pub fill: Vec<(&'static str, f64)>,
    pub flushes: Vec<(&'static str, u64)>,
    pub retries: u64,
}

/// Why a batch left when it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Nothing was in flight.
    Idle,
    /// It had as many entries as a batch can have.
    Full,
    /// The next entry would have made it too large.
    Bytes,
    /// The last request in flight had returned.
    Returned,
    /// Its oldest entry had waited long enough.
    Linger,
    /// Somebody asked for everything that waits to leave.
    Flush,
    /// One entry of a batch that was refused as a whole, asked for alone.
    Solo,
}

impl Reason {
    pub(crate) const ALL: [Reason; 7] =
        [Reason::Idle, Reason::Full, Reason::Bytes, Reason::Returned, Reason::Linger, Reason::Flush, Reason::Solo];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Reason::Idle => "idle",
            Reason::Full => "full",
            Reason::Bytes => "bytes",
            Reason::Returned => "returned",
            Reason::Linger => "linger",
            Reason::Flush => "flush",
            Reason::Solo => "solo",
        }
    }
}

impl Stats {
    pub(crate) fn new() -> Stats {
        Stats {
            requests: zeros(),
            messages: zeros(),
            batches: zeros(),
            sent: zeros(),
            flushes: zeros(),
            retries: AtomicU64::new(0),
            journal: Journal::default(),
        }
    }

    /// An HTTP request leaves; the first attempt of an operation is 1.
    pub(crate) fn requested(&self, action: Action, attempt: u32) {
        raise(&self.requests, action as usize, 1);
        if attempt > 1 {
            self.retries.fetch_add(1, Ordering::Relaxed);
            self.journal.retried(1);
        }
    }

    pub(crate) fn entered(&self, action: Action) {
        raise(&self.messages, action as usize, 1);
    }

    pub(crate) fn flushed(&self, action: Action, reason: Reason, entries: usize) {
        raise(&self.flushes, reason as usize, 1);
        raise(&self.batches, action as usize, 1);
        raise(&self.sent, action as usize, entries as u64);
    }

    /// Entries of a batch will be asked for again.
    pub(crate) fn retried(&self, entries: usize) {
        self.retries.fetch_add(entries as u64, Ordering::Relaxed);
        self.journal.retried(entries as u64);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let by_action = |counters: &[AtomicU64]| {
            OPERATIONS
                .iter()
                .zip(counters)
                .map(|(operation, counter)| (operation.name, read(counter)))
                .filter(seen)
                .collect()
        };
        let fill = OPERATIONS.iter().zip(&self.batches).zip(&self.sent);
        Snapshot {
            requests: by_action(&self.requests),
            messages: by_action(&self.messages),
            fill: fill
                .filter(|((_, batches), _)| read(batches) > 0)
                .map(|((operation, batches), sent)| (operation.name, read(sent) as f64 / read(batches) as f64))
                .collect(),
            flushes: Reason::ALL
                .iter()
                .zip(&self.flushes)
                .map(|(reason, counter)| (reason.name(), read(counter)))
                .filter(seen)
                .collect(),
            retries: read(&self.retries),
        }
    }
}

impl Default for Stats {
    fn default() -> Self {
        Self::new()
    }
}

fn zeros<const N: usize>() -> [AtomicU64; N] {
    std::array::from_fn(|_| AtomicU64::new(0))
}

fn raise(counters: &[AtomicU64], place: usize, by: u64) {
    if let Some(counter) = counters.get(place) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn seen((_, count): &(&'static str, u64)) -> bool {
    *count > 0
}
