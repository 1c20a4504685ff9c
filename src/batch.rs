//! Who shares a request with whom, and when it leaves: state machines without clock, threads or I/O.
//!
//! [`Window`] is told what happens (an entry came, a request returned, this is the time) and says which batches leave
//! now, and when to ask again. What an entry is, and how a batch travels, is the driver's business.

use std::time::Duration;

mod line;
pub mod receives;
mod window;
#[cfg(test)]
mod window_tests;

pub use window::{Batch, Key, Slip, Waiting, Window};

/// SQS takes no more entries in one request.
pub const MAX_ENTRIES: usize = 10;
/// Nor more bytes: bodies and attributes of all entries together, as SQS counts them (since August 2025).
pub const MAX_BYTES: usize = 1 << 20;

/// When a batch leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In one batch.
    pub entries: usize,
    /// In one batch; an entry larger than this goes alone.
    pub bytes: usize,
    /// How long an entry waits for company while requests are in flight.
    pub linger: Duration,
    /// How many batches are on their way at a time.
    pub max_in_flight: usize,
    /// Whether an entry leaves at once when nothing is in flight.
    pub at_once: bool,
}

/// Why a batch left when it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
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
    Apart,
}

impl Reason {
    pub const ALL: [Reason; 7] =
        [Reason::Idle, Reason::Full, Reason::Bytes, Reason::Returned, Reason::Linger, Reason::Flush, Reason::Apart];

    pub fn name(self) -> &'static str {
        match self {
            Reason::Idle => "idle",
            Reason::Full => "full",
            Reason::Bytes => "bytes",
            Reason::Returned => "returned",
            Reason::Linger => "linger",
            Reason::Flush => "flush",
            Reason::Apart => "apart",
        }
    }
}
