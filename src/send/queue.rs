//! The send queue of a window: entries that wait, in the order in which they may leave.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::window::QueuedEntry;

/// Entries by number, which is the order of arrival: an entry that comes back stands where it stood.
type Arrivals<T> = BTreeMap<u64, QueuedEntry<T>>;

/// The entries of a window that wait.
#[derive(Debug)]
pub(super) enum SendQueue<T> {
    /// Any order will do, so it is the order of arrival.
    Standard(Arrivals<T>),
    /// In each message group the order of arrival, and at most one batch at a time.
    Fifo(GroupQueues<T>),
}

/// The entries of a FIFO queue, by message group.
#[derive(Debug)]
pub(super) struct GroupQueues<T> {
    groups: HashMap<Arc<str>, GroupQueue<T>>,
    /// The groups that have something to send and are not held, by the number of their oldest entry.
    ready: BTreeMap<u64, Arc<str>>,
}

/// The entries of one message group.
#[derive(Debug)]
struct GroupQueue<T> {
    entries: Arrivals<T>,
    /// Some of its entries are in flight, or back off; until that is over, the others stay.
    held: bool,
}

impl<T> SendQueue<T> {
    pub(super) fn new(fifo: bool) -> SendQueue<T> {
        if fifo {
            SendQueue::Fifo(GroupQueues { groups: HashMap::new(), ready: BTreeMap::new() })
        } else {
            SendQueue::Standard(BTreeMap::new())
        }
    }

    pub(super) fn insert(&mut self, entry: QueuedEntry<T>) {
        match self {
            SendQueue::Standard(queue) => drop(queue.insert(entry.number, entry)),
            SendQueue::Fifo(groups) => groups.insert(entry),
        }
    }

    pub(super) fn remove(&mut self, number: u64, group: Option<&Arc<str>>) -> Option<QueuedEntry<T>> {
        match self {
            SendQueue::Standard(queue) => queue.remove(&number),
            SendQueue::Fifo(groups) => groups.remove(number, group?),
        }
    }

    /// What may leave, in order.
    pub(super) fn candidates(&self) -> Box<dyn Iterator<Item = &QueuedEntry<T>> + '_> {
        match self {
            SendQueue::Standard(queue) => Box::new(queue.values()),
            SendQueue::Fifo(groups) => Box::new(
                groups
                    .ready
                    .values()
                    .filter_map(|group| groups.groups.get(group))
                    .flat_map(|group| group.entries.values()),
            ),
        }
    }

    /// Take out the first `count` candidates; their groups are held from now on.
    pub(super) fn take(&mut self, count: usize) -> Vec<QueuedEntry<T>> {
        match self {
            SendQueue::Standard(queue) => {
                std::iter::from_fn(|| queue.pop_first()).take(count).map(|(_, entry)| entry).collect()
            }
            SendQueue::Fifo(groups) => groups.take(count),
        }
    }

    /// How many wait, those behind a batch of their group included.
    pub(super) fn len(&self) -> usize {
        match self {
            SendQueue::Standard(queue) => queue.len(),
            SendQueue::Fifo(groups) => groups.groups.values().map(|group| group.entries.len()).sum(),
        }
    }

    /// Let a group go on that was held.
    pub(super) fn release(&mut self, group: &Arc<str>) {
        if let SendQueue::Fifo(groups) = self {
            groups.release(group);
        }
    }
}

impl<T> GroupQueues<T> {
    fn insert(&mut self, entry: QueuedEntry<T>) {
        let Some(name) = entry.group.clone() else { return };
        let group = self
            .groups
            .entry(Arc::clone(&name))
            .or_insert_with(|| GroupQueue { entries: Arrivals::new(), held: false });
        if !group.held {
            if let Some((oldest, _)) = group.entries.first_key_value() {
                self.ready.remove(oldest);
            }
            let oldest =
                group.entries.first_key_value().map_or(entry.number, |(oldest, _)| (*oldest).min(entry.number));
            self.ready.insert(oldest, name);
        }
        group.entries.insert(entry.number, entry);
    }

    fn remove(&mut self, number: u64, name: &Arc<str>) -> Option<QueuedEntry<T>> {
        let group = self.groups.get_mut(name)?;
        let entry = group.entries.remove(&number)?;
        if self.ready.remove(&number).is_some() {
            match group.entries.first_key_value() {
                Some((oldest, _)) => drop(self.ready.insert(*oldest, Arc::clone(name))),
                None => drop(self.groups.remove(name)),
            }
        }
        Some(entry)
    }

    fn take(&mut self, count: usize) -> Vec<QueuedEntry<T>> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            let Some((_, name)) = self.ready.pop_first() else { break };
            let Some(group) = self.groups.get_mut(&name) else { continue };
            group.held = true;
            let room = count - taken.len();
            taken.extend(std::iter::from_fn(|| group.entries.pop_first()).take(room).map(|(_, entry)| entry));
        }
        taken
    }

    fn release(&mut self, name: &Arc<str>) {
        let Some(group) = self.groups.get_mut(name) else { return };
        group.held = false;
        match group.entries.first_key_value() {
            Some((oldest, _)) => drop(self.ready.insert(*oldest, Arc::clone(name))),
            None => drop(self.groups.remove(name)),
        }
    }
}
