//! The window of one queue and one action.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::line::Line;
use super::{Limits, Reason};

/// Entries that wait for a request to leave with. `T` is whatever the driver wants back with the entry.
#[derive(Debug)]
pub struct Window<T> {
    limits: Limits,
    line: Line<T>,
    /// Batches, or parts of them, that the service will be asked for again at a later time.
    resting: Vec<Resting<T>>,
    in_flight: usize,
    /// Entries in those requests.
    travelling: usize,
    /// Whether a request has returned since [`Window::next`] was last asked.
    returned: bool,
    /// Entries below this number no longer wait for company.
    flushed: u64,
    next_number: u64,
}

#[derive(Debug)]
struct Resting<T> {
    until: Instant,
    entries: Vec<Waiting<T>>,
}

/// An entry and what the window knows of it.
#[derive(Debug)]
pub struct Waiting<T> {
    pub(super) number: u64,
    since: Instant,
    /// As SQS counts it.
    size: usize,
    pub(super) group: Option<Arc<str>>,
    /// Whether it goes without company.
    alone: bool,
    pub item: T,
}

impl<T> Waiting<T> {
    pub fn group(&self) -> Option<&Arc<str>> {
        self.group.as_ref()
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    /// From now on it goes without company.
    pub fn apart(self) -> Self {
        Waiting { alone: true, ..self }
    }
}

/// Finds an entry that waits.
#[derive(Clone, Debug)]
pub struct Key {
    number: u64,
    group: Option<Arc<str>>,
}

/// Entries that leave together.
#[derive(Debug)]
pub struct Batch<T> {
    pub entries: Vec<Waiting<T>>,
    pub reason: Reason,
    /// To be given back when the request has returned.
    pub slip: Slip,
}

/// A request in flight, as the window remembers it.
#[derive(Debug)]
#[must_use = "a slip that is not settled holds its place in flight, and its groups, for ever"]
pub struct Slip {
    entries: usize,
    groups: HashSet<Arc<str>>,
}

impl<T> Window<T> {
    /// `fifo` switches on the rules for message groups; on other queues a group says nothing about order.
    pub fn new(limits: Limits, fifo: bool) -> Window<T> {
        Window {
            limits,
            line: Line::new(fifo),
            resting: Vec::new(),
            in_flight: 0,
            travelling: 0,
            returned: false,
            flushed: 0,
            next_number: 0,
        }
    }

    pub fn push(&mut self, now: Instant, size: usize, group: Option<Arc<str>>, item: T) -> Key {
        let number = self.next_number;
        self.next_number += 1;
        let group = match (&self.line, group) {
            (Line::Standard(_), _) => None,
            (Line::Fifo(_), Some(group)) => Some(group),
            // The service will refuse it. It keeps nobody waiting: no group can have a name like this.
            (Line::Fifo(_), None) => Some(Arc::from(format!("\0{number}"))),
        };
        self.line.insert(Waiting { number, since: now, size, group: group.clone(), alone: false, item });
        Key { number, group }
    }

    /// Take back an entry that has not left.
    pub fn withdraw(&mut self, key: &Key) -> Option<T> {
        if let Some(entry) = self.line.remove(key.number, key.group.as_ref()) {
            return Some(entry.item);
        }
        let found = self.resting.iter_mut().enumerate().find_map(|(place, resting)| {
            let entry = resting.entries.iter().position(|entry| entry.number == key.number)?;
            Some((place, resting.entries.remove(entry), resting.entries.is_empty()))
        });
        let (place, entry, last) = found?;
        if last {
            self.resting.swap_remove(place);
        }
        if let Some(group) = &entry.group
            && !self
                .resting
                .iter()
                .flat_map(|resting| &resting.entries)
                .any(|other| other.group.as_ref() == Some(group))
        {
            self.line.release(group);
        }
        Some(entry.item)
    }

    /// The next batch that leaves at this moment. To be asked until there is none, after everything that happens.
    pub fn next(&mut self, now: Instant) -> Option<Batch<T>> {
        self.wake(now);
        if self.in_flight >= self.limits.max_in_flight {
            return None;
        }
        let offer = self.offer(now);
        self.returned = false;
        let (count, reason) = offer?;
        let entries = self.line.take(count);
        self.in_flight += 1;
        self.travelling += count;
        let groups = entries.iter().filter_map(|entry| entry.group.clone()).collect();
        Some(Batch { entries, reason, slip: Slip { groups, entries: count } })
    }

    /// A request has returned. The entries in `back` are to be asked for again, not before `until`; those of one group
    /// are in order, and the rest of their group waits for them.
    pub fn settle(&mut self, slip: Slip, back: Vec<Waiting<T>>, until: Instant) {
        self.in_flight -= 1;
        self.travelling -= slip.entries;
        self.returned = true;
        let rest = self.resting.iter().flat_map(|resting| &resting.entries);
        let held: HashSet<&Arc<str>> = rest.chain(&back).filter_map(Waiting::group).collect();
        for group in slip.groups.iter().filter(|group| !held.contains(group)) {
            self.line.release(group);
        }
        self.rest(back, until);
    }

    /// Of a request whose slip is about to be settled: some of its entries, to be asked for again at another time than the
    /// others. Of a group it is all that are to be asked for again, or none.
    pub fn rest(&mut self, entries: Vec<Waiting<T>>, until: Instant) {
        if !entries.is_empty() {
            self.resting.push(Resting { until, entries });
        }
    }

    /// When [`Window::next`] is to be asked again even if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        let rested = self.resting.iter().map(|resting| resting.until).min();
        let lingered = match self.line.candidates().next() {
            Some(oldest) if self.in_flight < self.limits.max_in_flight => Some(oldest.since + self.limits.linger),
            _ => None,
        };
        rested.into_iter().chain(lingered).min()
    }

    /// What waits now does not wait for company any more.
    pub fn flush(&mut self) {
        self.flushed = self.next_number;
    }

    /// How many entries wait, rest or are in flight.
    pub fn unanswered(&self) -> usize {
        self.line.len() + self.travelling + self.resting.iter().map(|resting| resting.entries.len()).sum::<usize>()
    }

    /// How many of the first candidates leave now, and why.
    fn offer(&self, now: Instant) -> Option<(usize, Reason)> {
        let (mut count, mut bytes) = (0, 0usize);
        let mut oldest = None;
        for entry in self.line.candidates() {
            if entry.alone && count == 0 {
                return Some((1, Reason::Apart));
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

    /// Put what has rested long enough back into the line.
    fn wake(&mut self, now: Instant) {
        let mut place = 0;
        while let Some(resting) = self.resting.get(place) {
            if resting.until > now {
                place += 1;
                continue;
            }
            let entries = self.resting.swap_remove(place).entries;
            let groups: HashSet<Arc<str>> = entries.iter().filter_map(|entry| entry.group.clone()).collect();
            for entry in entries {
                self.line.insert(entry);
            }
            for group in &groups {
                self.line.release(group);
            }
        }
    }
}
