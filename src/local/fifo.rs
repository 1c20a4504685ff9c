//! The order in which a FIFO queue hands messages out: by group.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::message::{Key, Message, MessageState, Store};

/// A message group, and its messages in order.
#[derive(Debug)]
struct Group {
    name: Arc<str>,
    /// Oldest first. Keys of messages that are gone are dropped when they are met at its front, or when they are most.
    keys: VecDeque<Key>,
    /// How many of the keys are not gone.
    alive: usize,
    /// The ticket under which the group stands in `ready`.
    ticket: Option<u64>,
}

/// The groups of a queue. A group is locked while its oldest message is delayed or in flight; otherwise its messages
/// can be had from the oldest up to the first that is not visible. A group draws a ticket when it becomes ready, so that one
/// that comes back stands behind those that have waited meanwhile.
#[derive(Debug, Default)]
pub(super) struct Groups {
    by_name: HashMap<Arc<str>, u32>,
    groups: Vec<Option<Group>>,
    free: Vec<u32>,
    /// The groups whose head is visible, by their tickets.
    ready: BTreeSet<(u64, u32)>,
    last_ticket: u64,
}

impl Groups {
    /// The place of this group in the table, made if it is new. The caller keeps it in the message.
    pub(super) fn place(&mut self, name: &Arc<str>) -> u32 {
        if let Some(place) = self.by_name.get(name) {
            return *place;
        }
        let group = Group { name: name.clone(), keys: VecDeque::new(), alive: 0, ticket: None };
        let place = match self.free.pop() {
            Some(place) => {
                if let Some(slot) = self.groups.get_mut(place as usize) {
                    *slot = Some(group);
                }
                place
            }
            None => {
                self.groups.push(Some(group));
                (self.groups.len() - 1) as u32
            }
        };
        self.by_name.insert(name.clone(), place);
        place
    }

    /// A message has joined the end of its group.
    pub(super) fn append(&mut self, key: Key, message: &Message, store: &Store) {
        if let Some(Some(group)) = self.groups.get_mut(message.group as usize) {
            group.keys.push_back(key);
            group.alive += 1;
        }
        self.refresh(message.group, store);
    }

    /// A message of the group is gone.
    pub(super) fn left(&mut self, place: u32, store: &Store) {
        if let Some(Some(group)) = self.groups.get_mut(place as usize) {
            group.alive -= 1;
            if group.keys.len() > 2 * group.alive + 64 {
                group.keys.retain(|key| store.get(*key).is_some());
            }
        }
        self.refresh(place, store);
    }

    /// Brings `ready` up to date after a message of the group changed its state.
    pub(super) fn refresh(&mut self, place: u32, store: &Store) {
        let Some(slot) = self.groups.get_mut(place as usize) else { return };
        let Some(group) = slot else { return };
        let head = loop {
            let Some(key) = group.keys.front() else { break None };
            match store.get(*key) {
                Some(message) => break Some(message),
                None => group.keys.pop_front(),
            };
        };
        match (head.is_some_and(|message| message.state == MessageState::Visible), group.ticket) {
            (true, None) => {
                self.last_ticket += 1;
                self.ready.insert((self.last_ticket, place));
                group.ticket = Some(self.last_ticket);
            }
            (false, Some(ticket)) => {
                self.ready.remove(&(ticket, place));
                group.ticket = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
        if head.is_none() {
            self.by_name.remove(&group.name);
            *slot = None;
            self.free.push(place);
        }
    }

    /// Names up to `max` messages that can be had now, as many as possible of one group before the next. They stay
    /// where they are until their state is changed.
    pub(super) fn take(&self, max: usize, store: &Store, taken: &mut Vec<Key>) {
        for (_, place) in &self.ready {
            let Some(Some(group)) = self.groups.get(*place as usize) else { continue };
            for &key in &group.keys {
                if taken.len() >= max {
                    return;
                }
                match store.get(key) {
                    Some(message) if message.state == MessageState::Visible => taken.push(key),
                    Some(_) => break,
                    None => {}
                }
            }
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Groups::default();
    }

    #[cfg(test)]
    pub(super) fn longest_line(&self) -> usize {
        self.groups.iter().flatten().map(|group| group.keys.len()).max().unwrap_or(0)
    }
}
