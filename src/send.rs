//! Who shares a request with whom, and when it leaves: state machines without clock, threads or I/O.
//!
//! [`Window`] is told what happens (an entry came, a request returned, this is the time) and says which batches leave
//! now, and when to ask again. What an entry is, and how a batch travels, is the driver's business.

use std::time::Duration;

pub(crate) mod batcher;
pub(crate) mod exit;
pub(crate) mod flush;
pub(crate) mod outcome;
mod queue;
mod window;
pub(crate) mod writer;

pub(crate) use window::{Batch, EntryKey, InFlightToken, QueuedEntry, Window};

/// SQS takes no more entries in one request.
pub(crate) const MAX_ENTRIES: usize = 10;
/// Nor more bytes: bodies and attributes of all entries together, as SQS counts them (since August 2025).
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// The limits by which batches leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// In one batch.
    pub entries: usize,
    /// In one batch; an entry larger than this goes alone.
    pub bytes: usize,
    /// How long an entry lingers while requests are in flight.
    pub linger: Duration,
    /// How many batches are on their way at a time.
    pub max_in_flight: usize,
    /// Whether an entry leaves at once when nothing is in flight.
    pub at_once: bool,
}
