//! What falls due when, for any number of messages.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::message::{Key, Millis};

/// A heap of deadlines. Entries are never taken out of the middle: the owner says which are still true, those that
/// are not fall away at the top, and the heap is rebuilt when most of it is dead. So every operation costs amortized
/// O(log n), pushing an ever later deadline O(1), and memory stays proportional to what is alive.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(Millis, Key)>>,
}

impl Deadlines {
    pub(super) fn push(&mut self, at: Millis, key: Key) {
        self.heap.push(Reverse((at, key)));
    }

    /// The earliest deadline that is still true.
    pub(super) fn earliest(&mut self, is_true: impl Fn(Millis, Key) -> bool) -> Option<(Millis, Key)> {
        loop {
            let &Reverse((at, key)) = self.heap.peek()?;
            if is_true(at, key) {
                return Some((at, key));
            }
            self.heap.pop();
        }
    }

    /// Takes the earliest true deadline out if it is not after `until`.
    pub(super) fn pop_due(&mut self, until: Millis, is_true: impl Fn(Millis, Key) -> bool) -> Option<Key> {
        loop {
            let &Reverse((at, key)) = self.heap.peek()?;
            if at > until {
                return None;
            }
            self.heap.pop();
            if is_true(at, key) {
                return Some(key);
            }
        }
    }

    /// Rebuilds the heap when fewer than half of its entries can be true.
    pub(super) fn shed(&mut self, alive: usize, is_true: impl Fn(Millis, Key) -> bool) {
        if self.heap.len() > 2 * alive + 64 {
            self.heap.retain(|&Reverse((at, key))| is_true(at, key));
        }
    }

    pub(super) fn clear(&mut self) {
        self.heap.clear();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}
