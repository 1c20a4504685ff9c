//! Admission: how much may be unanswered of those who do not wait for each answer. Whoever would exceed it waits for room.

use std::collections::HashMap;
use std::hash::Hash;

use crate::config::Batching;

/// The fewest requests that an event loop may have on their way before calls wait their turn: each may need a connection of
/// its own.
const MIN_REQUESTS: usize = 100;

/// Entries without an answer, and their bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UnansweredEntries {
    pub entries: usize,
    pub bytes: usize,
}

impl UnansweredEntries {
    pub(crate) fn add(&mut self, bytes: usize) {
        self.entries += 1;
        self.bytes += bytes;
    }

    pub(crate) fn remove(&mut self, bytes: usize) {
        self.entries -= 1;
        self.bytes -= bytes;
    }

    /// Whether there is room for an entry of so many bytes. One larger than all the room there is gets in alone.
    pub(crate) fn fits(&self, bytes: usize, bounds: &Batching) -> bool {
        let bytes = self.bytes.saturating_add(bytes);
        self.entries == 0 || (self.entries < bounds.max_waiting && bytes <= bounds.max_waiting_bytes)
    }

    /// Whether there is room for such an entry and some more: whoever waited would only fall asleep again.
    pub(crate) fn fits_again(&self, bytes: usize, bounds: &Batching) -> bool {
        self.fits(bytes, bounds)
            && self.entries <= bounds.max_waiting / 4 * 3
            && self.bytes <= bounds.max_waiting_bytes / 4 * 3
    }

    /// Whether there is no room for any entry.
    fn is_full(&self, bounds: &Batching) -> bool {
        self.entries >= bounds.max_waiting || self.bytes >= bounds.max_waiting_bytes
    }
}

/// What a call counts for while it is unanswered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Weight {
    Request,
    /// Of so many bytes.
    Entry(usize),
    /// A call that waits for others.
    Nothing,
}

/// The unanswered calls of one event loop, by client: `K` is what a client is known by for as long as a call of it is there.
#[derive(Debug)]
pub(crate) struct Admission<K>(HashMap<K, Account>);

/// What one client has unanswered.
#[derive(Debug, Default)]
struct Account {
    calls: usize,
    requests: usize,
    entries: UnansweredEntries,
}

impl<K> Default for Admission<K> {
    fn default() -> Self {
        Admission(HashMap::new())
    }
}

impl<K: Eq + Hash> Admission<K> {
    /// Whether another entry of a client has to wait its turn.
    pub(crate) fn is_full_of_entries(&self, client: &K, bounds: &Batching) -> bool {
        self.0.get(client).is_some_and(|account| account.entries.is_full(bounds))
    }

    /// Whether another request of a client, which keeps so many connections, has to wait its turn.
    pub(crate) fn is_full_of_requests(&self, client: &K, connections: usize) -> bool {
        self.0.get(client).is_some_and(|account| account.requests >= connections.max(MIN_REQUESTS))
    }

    pub(crate) fn enter(&mut self, client: K, weight: Weight) {
        let account = self.0.entry(client).or_default();
        account.calls += 1;
        match weight {
            Weight::Request => account.requests += 1,
            Weight::Entry(bytes) => account.entries.add(bytes),
            Weight::Nothing => {}
        }
    }

    /// A call that has entered is answered, or given up.
    pub(crate) fn leave(&mut self, client: &K, weight: Weight) {
        let Some(account) = self.0.get_mut(client) else { return };
        account.calls -= 1;
        match weight {
            Weight::Request => account.requests -= 1,
            Weight::Entry(bytes) => account.entries.remove(bytes),
            Weight::Nothing => {}
        }
        if account.calls == 0 {
            self.0.remove(client);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BOUNDS: Batching =
        Batching { linger: Duration::ZERO, max_in_flight: 1, max_waiting: 4, max_waiting_bytes: 100 };

    #[test]
    fn an_entry_larger_than_all_the_room_gets_in_alone() {
        let mut unanswered = UnansweredEntries::default();
        assert!(unanswered.fits(101, &BOUNDS));
        unanswered.add(101);
        assert!(!unanswered.fits(0, &BOUNDS));
        unanswered.remove(101);
        assert!(unanswered.fits(101, &BOUNDS));
    }

    #[test]
    fn entries_are_bounded_by_number_and_by_bytes() {
        let mut unanswered = UnansweredEntries::default();
        (0..3).for_each(|_| unanswered.add(1));
        assert!(unanswered.fits(97, &BOUNDS) && !unanswered.fits(98, &BOUNDS) && !unanswered.is_full(&BOUNDS));
        unanswered.add(1);
        assert!(!unanswered.fits(1, &BOUNDS) && unanswered.is_full(&BOUNDS));
        unanswered.remove(1);
        assert!(unanswered.fits_again(1, &BOUNDS), "a quarter is free");
        unanswered.add(0);
        assert!(!unanswered.fits_again(1, &BOUNDS), "none is");
    }

    #[test]
    fn clients_are_counted_apart_and_forgotten() {
        let mut admission = Admission::default();
        for _ in 0..MIN_REQUESTS + 1 {
            assert!(!admission.is_full_of_requests(&1, MIN_REQUESTS + 1));
            admission.enter(1, Weight::Request);
        }
        admission.enter(1, Weight::Nothing);
        assert!(admission.is_full_of_requests(&1, MIN_REQUESTS + 1));
        assert!(!admission.is_full_of_entries(&1, &BOUNDS), "entries have bounds of their own");
        assert!(!admission.is_full_of_requests(&2, 1));
        admission.leave(&1, Weight::Request);
        assert!(!admission.is_full_of_requests(&1, MIN_REQUESTS + 1));
        (0..MIN_REQUESTS).for_each(|_| admission.leave(&1, Weight::Request));
        assert_eq!(admission.0.len(), 1);
        admission.leave(&1, Weight::Nothing);
        assert!(admission.0.is_empty());
    }
}
