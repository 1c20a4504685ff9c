//! What a client has done, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::{Action, OPERATIONS};
use crate::protocol::billing::{Bill, Rate};

pub(crate) mod journal;

use journal::Journal;

/// Counters that any thread may raise and read.
#[derive(Debug)]
pub(crate) struct Stats {
    requests: RequestCounters,
    /// By action: entries that callers gave to be batched.
    messages: [AtomicU64; OPERATIONS.len()],
    /// By action: batches that left, those of one entry included, and the entries in them.
    batches: [AtomicU64; OPERATIONS.len()],
    sent: [AtomicU64; OPERATIONS.len()],
    flushes: [AtomicU64; Reason::ALL.len()],
    retries: AtomicU64,
    pub journal: Journal,
}

/// Requests, and what they are billed as.
#[derive(Debug)]
struct RequestCounters {
    /// By action: HTTP requests, repeated attempts included.
    requests: [AtomicU64; OPERATIONS.len()],
    /// By rate: requests as SQS bills them, repeated attempts included.
    billed: [AtomicU64; 2],
    /// By rate: what would be billed if each call had a request of its own.
    unshared: [AtomicU64; 2],
}

/// Those of all clients of the process.
static PROCESS: RequestCounters = RequestCounters::new();

/// The counters at one moment; actions and reasons that never occurred are left out.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub requests: RequestCounts,
    pub messages: Vec<(&'static str, u64)>,
    /// Mean number of entries in a batch.
    pub fill: Vec<(&'static str, f64)>,
    pub flushes: Vec<(&'static str, u64)>,
    pub retries: u64,
}

/// Requests at one moment, and what they are billed as.
#[derive(Debug, Default)]
pub(crate) struct RequestCounts {
    pub by_action: Vec<(&'static str, u64)>,
    /// At the rate of standard queues, and at that of FIFO queues.
    pub billed: [u64; 2],
    pub unshared: [u64; 2],
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
            requests: RequestCounters::new(),
            messages: zeros(),
            batches: zeros(),
            sent: zeros(),
            flushes: zeros(),
            retries: AtomicU64::new(0),
            journal: Journal::default(),
        }
    }

    /// The requests of all clients of the process.
    pub(crate) fn of_process() -> RequestCounts {
        PROCESS.read()
    }

    /// A forked child's are its own.
    pub(crate) fn begin_process() {
        let RequestCounters { requests, billed, unshared } = &PROCESS;
        requests.iter().chain(billed).chain(unshared).for_each(|counter| counter.store(0, Ordering::Relaxed));
    }

    /// An HTTP request leaves; the first attempt of an operation is 1.
    pub(crate) fn requested(&self, action: Action, attempt: u32, bill: Bill) {
        for counters in [&self.requests, &PROCESS] {
            raise(&counters.requests, action as usize, 1);
            raise(&counters.billed, bill.rate as usize, bill.requests);
        }
        if attempt > 1 {
            self.retries.fetch_add(1, Ordering::Relaxed);
            self.journal.retried(1);
        }
        // A request that has failed would have done so whoever had made it.
        self.called(bill.rate, if attempt > 1 { bill.requests } else { bill.alone });
    }

    /// A reply has brought so much that its request is billed as so many more.
    pub(crate) fn brought(&self, bill: Bill, more: u64) {
        if more > 0 {
            for counters in [&self.requests, &PROCESS] {
                raise(&counters.billed, bill.rate as usize, more);
            }
            // Who shares one is billed for its own part of it.
            self.called(bill.rate, if bill.alone > 0 { more } else { 0 });
        }
    }

    /// Calls were made that would be billed as so many requests if each had one of its own.
    pub(crate) fn called(&self, rate: Rate, requests: u64) {
        if requests > 0 {
            for counters in [&self.requests, &PROCESS] {
                raise(&counters.unshared, rate as usize, requests);
            }
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

    /// Entries of a batch will be asked for again, which would be billed as so many requests if each had one of its own.
    pub(crate) fn retried(&self, entries: usize, rate: Rate, requests: u64) {
        self.called(rate, requests);
        self.retries.fetch_add(entries as u64, Ordering::Relaxed);
        self.journal.retried(entries as u64);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let fill = OPERATIONS.iter().zip(&self.batches).zip(&self.sent);
        Snapshot {
            requests: self.requests.read(),
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

impl RequestCounters {
    const fn new() -> RequestCounters {
        RequestCounters { requests: zeros(), billed: zeros(), unshared: zeros() }
    }

    fn read(&self) -> RequestCounts {
        RequestCounts {
            by_action: by_action(&self.requests),
            billed: self.billed.each_ref().map(read),
            unshared: self.unshared.each_ref().map(read),
        }
    }
}

impl Default for Stats {
    fn default() -> Self {
        Self::new()
    }
}

const fn zeros<const N: usize>() -> [AtomicU64; N] {
    [const { AtomicU64::new(0) }; N]
}

fn by_action(counters: &[AtomicU64]) -> Vec<(&'static str, u64)> {
    let named = OPERATIONS.iter().zip(counters).map(|(operation, counter)| (operation.name, read(counter)));
    named.filter(seen).collect()
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
