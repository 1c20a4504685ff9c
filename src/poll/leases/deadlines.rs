//! When messages are to be looked at: a queue of moments, earliest first.
//!
//! What is not to be looked at any more is not searched for: it is dropped when it comes first, or when most of what is
//! kept is of that kind. So a message costs a push, and nobody is woken for one that is gone.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// A heap of moments, each with the number of the message that is to be looked at then.
#[derive(Debug, Default)]
pub(super) struct LeaseDeadlines(BinaryHeap<Reverse<(Duration, u64)>>);

impl LeaseDeadlines {
    /// `valid` says whether an entry still counts, of which there are `alive` at most.
    pub(super) fn push(&mut self, at: Duration, id: u64, alive: usize, valid: impl Fn(u64, Duration) -> bool) {
        if self.0.len() > 2 * alive + 64 {
            self.0.retain(|Reverse((at, id))| valid(*id, *at));
        }
        self.0.push(Reverse((at, id)));
    }

    /// The earliest moment.
    pub(super) fn next(&mut self, valid: impl Fn(u64, Duration) -> bool) -> Option<Duration> {
        loop {
            let Reverse((at, id)) = *self.0.peek()?;
            if valid(id, at) {
                return Some(at);
            }
            self.0.pop();
        }
    }

    /// The earliest, if it has come.
    pub(super) fn pop_due(&mut self, now: Duration, valid: impl Fn(u64, Duration) -> bool) -> Option<u64> {
        self.next(valid).filter(|at| *at <= now)?;
        self.0.pop().map(|Reverse((_, id))| id)
    }
}
