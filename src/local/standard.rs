//! The order in which a standard queue hands messages out.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::message::{Key, Message, MessageState, Store};

/// First come, first served, except that fair queues serve quiet tenants first. The developer guide calls a tenant (a
/// MessageGroupId) noisy above 10 % of what is in flight, with 30 or more in flight. A message that comes back, since nobody
/// deleted it in time, goes where it was: before those that came after it.
#[derive(Debug, Default)]
pub(super) struct ReadyList {
    /// Those that nobody has had, with their places, lowest first.
    ready: VecDeque<(u64, Key)>,
    /// Those that came back, by their places.
    returned: BinaryHeap<Reverse<(u64, Key)>>,
    last_place: u64,
    /// Messages passed over because their tenant was noisy, by tenant.
    passed_over: HashMap<Arc<str>, PassedOver>,
    /// Whose turn it is among those passed over, lowest first.
    turns: BTreeMap<i64, Arc<str>>,
    /// How many messages are passed over in all, dead keys included.
    held_back: usize,
    /// Of the keys in the list, those of messages that an old receipt made invisible where they stood.
    hidden: HashSet<Key>,
    in_flight_by_tenant: HashMap<Arc<str>, usize>,
}

/// A noisy tenant's messages that were passed over.
#[derive(Debug)]
struct PassedOver {
    keys: VecDeque<Key>,
    turn: i64,
}

const NOISY_FROM: usize = 30;
const NOISY_SHARE: usize = 10;

/// Messages that left while they were visible (deleted, expired) stay in the list as dead keys until they are met.
fn visible(store: &Store, key: Key) -> Option<&Message> {
    store.get(key).filter(|message| message.state == MessageState::Visible)
}

impl ReadyList {
    /// A message can be had: at the end of the list the first time, later at its place, which stays what it was given then. One
    /// that was hidden is there still, if the list has not come to that place.
    pub(super) fn became_visible(&mut self, key: Key, visible: usize, store: &mut Store) {
        if self.hidden.remove(&key) {
            return;
        }
        let Some(message) = store.get_mut(key) else { return };
        if message.place == 0 {
            self.last_place += 1;
            message.place = self.last_place;
            self.ready.push_back((message.place, key));
        } else {
            self.returned.push(Reverse((message.place, key)));
        }
        if self.ready.len() + self.returned.len() + self.held_back > 2 * visible + 64 {
            self.ready.retain(|(_, key)| self::visible(store, *key).is_some());
            self.returned.retain(|Reverse((_, key))| self::visible(store, *key).is_some());
            self.passed_over.retain(|_, passed| {
                passed.keys.retain(|key| self::visible(store, *key).is_some());
                !passed.keys.is_empty()
            });
            self.turns.retain(|_, tenant| self.passed_over.contains_key(tenant));
            self.held_back = self.passed_over.values().map(|passed| passed.keys.len()).sum();
            self.hidden.clear();
        }
    }

    /// A message that stands in the list is to be invisible, and keeps its place.
    pub(super) fn hidden(&mut self, key: Key) {
        self.hidden.insert(key);
    }

    /// Whether a key that was taken out of the list names a message that can be had.
    fn met<'a>(&mut self, key: Key, store: &'a Store) -> Option<&'a Message> {
        let message = visible(store, key);
        if message.is_none() {
            self.hidden.remove(&key);
        }
        message
    }

    /// Lets a message that was taken go first again.
    pub(super) fn put_back(&mut self, key: Key, store: &Store) {
        let place = store.get(key).map_or(0, |message| message.place);
        self.ready.push_front((place, key));
    }

    fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.returned.is_empty()
    }

    /// The key whose place is the lowest, dead or alive.
    fn pop(&mut self) -> Option<Key> {
        let first = self.ready.front().map(|(place, _)| *place);
        let returned = self.returned.peek().map(|Reverse((place, _))| *place);
        match (first, returned) {
            (Some(first), Some(returned)) if first < returned => self.ready.pop_front().map(|(_, key)| key),
            (_, Some(_)) => self.returned.pop().map(|Reverse((_, key))| key),
            (_, None) => self.ready.pop_front().map(|(_, key)| key),
        }
    }

    pub(super) fn entered_flight(&mut self, tenant: &Arc<str>) {
        *self.in_flight_by_tenant.entry(tenant.clone()).or_default() += 1;
    }

    pub(super) fn left_flight(&mut self, tenant: &Arc<str>, in_flight: usize) {
        if let Some(count) = self.in_flight_by_tenant.get_mut(tenant) {
            *count -= 1;
            if *count == 0 {
                self.in_flight_by_tenant.remove(tenant);
            }
        }
        if !self.is_noisy(tenant, in_flight)
            && let Some((first, _)) = self.turns.first_key_value()
        {
            self.give_turn(tenant, first - 1);
        }
    }

    fn give_turn(&mut self, tenant: &Arc<str>, turn: i64) {
        if let Some(passed) = self.passed_over.get_mut(tenant) {
            self.turns.remove(&passed.turn);
            passed.turn = turn;
            self.turns.insert(turn, tenant.clone());
        }
    }

    fn is_noisy(&self, tenant: &Arc<str>, in_flight: usize) -> bool {
        let own = self.in_flight_by_tenant.get(tenant).copied().unwrap_or(0);
        own >= NOISY_FROM && own * NOISY_SHARE > in_flight
    }

    fn pass_over(&mut self, key: Key, tenant: &Arc<str>) {
        let next = self.turns.last_key_value().map_or(0, |(last, _)| last + 1);
        let passed = self.passed_over.entry(tenant.clone()).or_insert_with(|| {
            self.turns.insert(next, tenant.clone());
            PassedOver { keys: VecDeque::new(), turn: next }
        });
        passed.keys.push_back(key);
        self.held_back += 1;
    }

    /// The next of those passed over: a quiet tenant's, or, when there is nothing else, a noisy one's.
    fn take_passed_over(&mut self, in_flight: usize) -> Option<Key> {
        let (_, tenant) = self.turns.first_key_value()?;
        let tenant = tenant.clone();
        let noisy = self.is_noisy(&tenant, in_flight);
        if noisy && !self.is_empty() {
            return None;
        }
        let passed = self.passed_over.get_mut(&tenant)?;
        let key = passed.keys.pop_front()?;
        self.held_back -= 1;
        if passed.keys.is_empty() {
            self.turns.remove(&passed.turn);
            self.passed_over.remove(&tenant);
        } else if noisy && let Some((last, _)) = self.turns.last_key_value() {
            self.give_turn(&tenant, last + 1);
        }
        Some(key)
    }

    /// Takes up to `max` visible messages out of the list.
    pub(super) fn take(&mut self, max: usize, in_flight: usize, store: &Store, taken: &mut Vec<Key>) {
        while taken.len() < max {
            if let Some(key) = self.take_passed_over(in_flight) {
                taken.extend(self.met(key, store).map(|_| key));
                continue;
            }
            let Some(key) = self.pop() else { return };
            let Some(message) = self.met(key, store) else { continue };
            match message.group_id() {
                Some(tenant) if self.is_noisy(tenant, in_flight) => self.pass_over(key, tenant),
                _ => taken.push(key),
            }
        }
    }

    pub(super) fn clear(&mut self) {
        *self = ReadyList::default();
    }

    #[cfg(test)]
    pub(super) fn hidden_count(&self) -> usize {
        self.hidden.len()
    }
}
