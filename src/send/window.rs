//! The window of one queue and one action.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::Limits;
use super::queue::SendQueue;
use crate::stats::Reason;

#[cfg(test)]
mod tests;

/// Entries that wait for a request to leave with. `T` is whatever the driver wants back with the entry.
#[derive(Debug)]
pub(crate) struct Window<T> {
    limits: Limits,
    queue: SendQueue<T>,
    /// Batches, or parts of them, that the service will be asked for again at a later time.
    backing_off: Vec<BackingOff<T>>,
    in_flight: usize,
    /// How many entries are in those requests.
    entries_in_flight: usize,
    /// Whether a request has returned since [`Window::next`] was last asked.
    returned: bool,
    /// Entries below this number no longer linger.
    flushed: u64,
    next_number: u64,
}

/// Entries that wait until a failed attempt may be repeated.
#[derive(Debug)]
struct BackingOff<T> {
    until: Instant,
    entries: Vec<QueuedEntry<T>>,
}

/// An entry and what the window knows of it.
#[derive(Debug)]
pub(crate) struct QueuedEntry<T> {
    pub(super) number: u64,
    since: Instant,
    /// As SQS counts it.
    size: usize,
    pub(super) group: Option<Arc<str>>,
    /// Whether it goes alone.
    alone: bool,
    pub item: T,
}

impl<T> QueuedEntry<T> {
    pub(crate) fn group(&self) -> Option<&Arc<str>> {
        self.group.as_ref()
    }

    /// From now on it goes alone.
    pub(crate) fn solo(self) -> Self {
        QueuedEntry { alone: true, ..self }
    }
}

/// An entry's name while it waits, for the one who may take it back.
#[derive(Clone, Debug)]
pub(crate) struct EntryKey {
    number: u64,
    group: Option<Arc<str>>,
}

/// Entries that leave together.
#[derive(Debug)]
pub(crate) struct Batch<T> {
    pub entries: Vec<QueuedEntry<T>>,
    pub reason: Reason,
    /// To be given back when the request has returned.
    pub token: InFlightToken,
}

impl<T> Batch<T> {
    /// Whether this entry is all that there is in it.
    pub(crate) fn is_only(&self, key: &EntryKey) -> bool {
        matches!(self.entries.as_slice(), [only] if only.number == key.number)
    }
}

/// A request in flight, as the window remembers it.
#[derive(Debug)]
#[must_use = "a token that is not completed holds its place in flight, and its groups, for ever"]
pub(crate) struct InFlightToken {
    entries: usize,
    groups: HashSet<Arc<str>>,
}

impl<T> Window<T> {
    /// `fifo` switches on the rules for message groups; on other queues a group says nothing about order.
    pub(crate) fn new(limits: Limits, fifo: bool) -> Window<T> {
        Window {
            limits,
            queue: SendQueue::new(fifo),
            backing_off: Vec::new(),
            in_flight: 0,
            entries_in_flight: 0,
            returned: false,
            flushed: 0,
            next_number: 0,
        }
    }

    pub(crate) fn push(&mut self, now: Instant, size: usize, group: Option<Arc<str>>, item: T) -> EntryKey {
        let number = self.next_number;
        self.next_number += 1;
        let group = match (&self.queue, group) {
            (SendQueue::Standard(_), _) => None,
            (SendQueue::Fifo(_), Some(group)) => Some(group),
            // The service will refuse it. It keeps nobody waiting: no group can have a name like this.
            (SendQueue::Fifo(_), None) => Some(Arc::from(format!("\0{number}"))),
        };
        self.queue.insert(QueuedEntry { number, since: now, size, group: group.clone(), alone: false, item });
        EntryKey { number, group }
    }

    /// Take back an entry that has not left.
    pub(crate) fn withdraw(&mut self, key: &EntryKey) -> Option<T> {
        if let Some(entry) = self.queue.remove(key.number, key.group.as_ref()) {
            return Some(entry.item);
        }
        let found = self.backing_off.iter_mut().enumerate().find_map(|(place, backing_off)| {
            let entry = backing_off.entries.iter().position(|entry| entry.number == key.number)?;
            Some((place, backing_off.entries.remove(entry), backing_off.entries.is_empty()))
        });
        let (place, entry, last) = found?;
        if last {
            self.backing_off.swap_remove(place);
        }
        if let Some(group) = &entry.group
            && !self
                .backing_off
                .iter()
                .flat_map(|backing_off| &backing_off.entries)
                .any(|other| other.group.as_ref() == Some(group))
        {
            self.queue.release(group);
        }
        Some(entry.item)
    }

    /// The next batch that leaves at this moment. To be asked until there is none, after everything that happens.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Batch<T>> {
        self.wake(now);
        if self.in_flight >= self.limits.max_in_flight {
            return None;
        }
        let offer = self.offer(now);
        self.returned = false;
        let (count, reason) = offer?;
        let entries = self.queue.take(count);
        self.in_flight += 1;
        self.entries_in_flight += count;
        let groups = entries.iter().filter_map(|entry| entry.group.clone()).collect();
        Some(Batch { entries, reason, token: InFlightToken { groups, entries: count } })
    }

    /// A request has returned. The entries in `back` are to be asked for again, not before `until`; those of one group
    /// are in order, and the rest of their group waits for them.
    pub(crate) fn complete(&mut self, token: InFlightToken, back: Vec<QueuedEntry<T>>, until: Instant) {
        self.in_flight -= 1;
        self.entries_in_flight -= token.entries;
        self.returned = true;
        let rest = self.backing_off.iter().flat_map(|backing_off| &backing_off.entries);
        let held: HashSet<&Arc<str>> = rest.chain(&back).filter_map(QueuedEntry::group).collect();
        for group in token.groups.iter().filter(|group| !held.contains(group)) {
            self.queue.release(group);
        }
        self.back_off(back, until);
    }

    /// Entries of a request whose token is about to be completed, to be asked for again at another time than the others. Of a
    /// group it is all that are to be asked for again, or none.
    pub(crate) fn back_off(&mut self, entries: Vec<QueuedEntry<T>>, until: Instant) {
        if !entries.is_empty() {
            self.backing_off.push(BackingOff { until, entries });
        }
    }

    /// When [`Window::next`] is to be asked again even if nothing happens before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let backed_off = self.backing_off.iter().map(|backing_off| backing_off.until).min();
        let lingered = match self.queue.candidates().next() {
            Some(oldest) if self.in_flight < self.limits.max_in_flight => Some(oldest.since + self.limits.linger),
            _ => None,
        };
        backed_off.into_iter().chain(lingered).min()
    }

    /// What waits now does not linger any more.
    pub(crate) fn flush(&mut self) {
        self.flushed = self.next_number;
    }

    /// How many entries wait, back off or are in flight.
    pub(crate) fn unanswered(&self) -> usize {
        self.queue.len()
            + self.entries_in_flight
            + self.backing_off.iter().map(|backing_off| backing_off.entries.len()).sum::<usize>()
    }

    /// How many requests are in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many of the first candidates leave now, and why.
    fn offer(&self, now: Instant) -> Option<(usize, Reason)> {
        let (mut count, mut bytes) = (0, 0usize);
        let mut oldest = None;
        for entry in self.queue.candidates() {
            if entry.alone && count == 0 {
                return Some((1, Reason::Solo));
            }
            if entry.alone {
                break;
            }
            if count > 0 && bytes + entry.size > self.limits.bytes {
                return Some((count, Reason::Bytes));
            }
            oldest.get_or_insert(entry);
            count += 1;
            bytes += entry.size;
            if count == self.limits.entries {
                return Some((count, Reason::Full));
            }
            if bytes >= self.limits.bytes {
                return Some((count, Reason::Bytes));
            }
        }
        let oldest = oldest?;
        let reason = if self.in_flight == 0 && self.limits.at_once {
            if self.returned { Reason::Returned } else { Reason::Idle }
        } else if oldest.number < self.flushed {
            Reason::Flush
        } else if now >= oldest.since + self.limits.linger {
            Reason::Linger
        } else {
            return None;
        };
        Some((count, reason))
    }

    /// Put what has backed off for long enough back into the queue.
    fn wake(&mut self, now: Instant) {
        let mut place = 0;
        while let Some(backing_off) = self.backing_off.get(place) {
            if backing_off.until > now {
                place += 1;
                continue;
            }
            let entries = self.backing_off.swap_remove(place).entries;
            let groups: HashSet<Arc<str>> = entries.iter().filter_map(|entry| entry.group.clone()).collect();
            for entry in entries {
                self.queue.insert(entry);
            }
            for group in &groups {
                self.queue.release(group);
            }
        }
    }
}
