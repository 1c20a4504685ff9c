//! One queue as a pure state machine: no clock, no I/O. Whoever calls says what time it is, and time never runs back.

mod receiving;
mod states;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::deadlines::Deadlines;
use super::fifo::Groups;
use super::message::{Extra, Key, Message, MessageState, Millis, Store};
use super::reply::fresh_uuid;
#[cfg(test)]
use super::settings::FifoSettings;
use super::settings::{DeduplicationScope, QueueSettings};
use super::standard::ReadyList;
use super::window::TimeWindow;

use receiving::Attempt;
pub(super) use receiving::ReceiptError;
#[cfg(test)]
use receiving::Received;
pub(super) use states::Counts;

/// The most messages that one queue lets be in flight.
pub(super) const MAX_IN_FLIGHT: usize = 120_000;

/// The longest that a message can be kept invisible, counted from its receive.
pub(super) const MAX_VISIBILITY: Millis = 43_200_000;

/// How long a queue goes on with a deduplication scope that was changed: the service says that changes of attributes take up
/// to 60 seconds, and was seen to deduplicate as before (LocalStack's `test_fifo_change_to_high_throughput_after_creation`
/// and `test_fifo_change_to_regular_throughput_after_creation`).
const PROPAGATION: Millis = 60_000;

/// What a sender brings, checked already.
#[derive(Debug)]
pub(super) struct NewMessage {
    pub body: Box<str>,
    pub md5: [u8; 16],
    /// `None` for the queue's own.
    pub delay: Option<u32>,
    pub extra: Option<Box<Extra>>,
}

/// What a sender is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub id: u128,
    /// 0 outside of FIFO queues.
    pub sequence: u64,
}

/// The order in which a queue hands messages out.
#[derive(Debug)]
enum Order {
    Standard(ReadyList),
    Fifo(Groups),
}

/// A queue: settings, messages, and what is known of receives and duplicates.
#[derive(Debug)]
pub(super) struct Queue {
    pub id: u32,
    pub name: Arc<str>,
    pub account: Arc<str>,
    pub arn: Arc<str>,
    pub settings: QueueSettings,
    pub tags: BTreeMap<String, String>,
    pub created_at: Millis,
    pub modified_at: Millis,
    pub purged_at: Option<Millis>,
    /// Messages that came, by senders, redrive and move tasks, since the queue was made.
    pub sent: u64,
    /// Receives of messages.
    pub received: u64,
    /// Messages that consumers deleted.
    pub deleted: u64,
    messages: Store,
    order: Order,
    counts: Counts,
    /// When delayed messages and those in flight become visible.
    wakes: Deadlines,
    /// When messages were sent, for their retention to run out.
    ages: Deadlines,
    last_sequence: u64,
    deduplication: TimeWindow<Sent>,
    /// The deduplication scope that a change has not replaced yet, and until when.
    former_scope: Option<(DeduplicationScope, Millis)>,
    attempts: TimeWindow<Attempt>,
}

impl Queue {
    pub(super) fn new(
        id: u32,
        account: Arc<str>,
        name: Arc<str>,
        arn: Arc<str>,
        settings: QueueSettings,
        now: Millis,
    ) -> Queue {
        let order = match settings.fifo {
            Some(_) => Order::Fifo(Groups::default()),
            None => Order::Standard(ReadyList::default()),
        };
        Queue {
            id,
            name,
            account,
            arn,
            settings,
            tags: BTreeMap::new(),
            created_at: now,
            modified_at: now,
            purged_at: None,
            sent: 0,
            received: 0,
            deleted: 0,
            messages: Store::default(),
            order,
            counts: Counts::default(),
            wakes: Deadlines::default(),
            ages: Deadlines::default(),
            last_sequence: 0,
            deduplication: TimeWindow::default(),
            former_scope: None,
            attempts: TimeWindow::default(),
        }
    }

    pub(super) fn is_fifo(&self) -> bool {
        matches!(self.order, Order::Fifo(_))
    }

    pub(super) fn message(&self, key: Key) -> Option<&Message> {
        self.messages.get(key)
    }

    #[cfg(test)]
    pub(super) fn bodies(&self) -> Vec<String> {
        let keys = self.messages.keys_where(|_| true);
        keys.into_iter().filter_map(|key| Some(self.messages.get(key)?.body.to_string())).collect()
    }

    pub(super) fn counts(&mut self, now: Millis) -> Counts {
        self.settle(now);
        self.counts
    }

    /// Gives the queue other settings. The delay of a FIFO queue holds for the messages that it has already, as the
    /// documentation of delay queues says; that of a standard queue for new ones alone.
    pub(super) fn set(&mut self, settings: QueueSettings, now: Millis) {
        self.settle(now);
        let wanted = settings.fifo.map(|fifo| fifo.scope);
        if wanted != self.settings.fifo.map(|fifo| fifo.scope) {
            let in_force = self.scope(now).filter(|scope| Some(*scope) != wanted);
            self.former_scope = in_force.map(|scope| (scope, now + PROPAGATION));
        }
        let delay = Millis::from(settings.delay) * 1_000;
        let retroactive = self.is_fifo() && settings.delay != self.settings.delay;
        self.settings = settings;
        self.modified_at = now;
        if !retroactive {
            return;
        }
        let not_received = |message: &Message| message.receive_count == 0;
        for key in self.messages.keys_where(not_received) {
            let Some(message) = self.messages.get(key) else { continue };
            let until = message.sent_at + delay;
            let state = if until > now { MessageState::Delayed(until) } else { MessageState::Visible };
            if state != message.state {
                self.shift(key, state);
            }
        }
    }

    /// Takes a message in, unless the queue has had it already.
    pub(super) fn send(&mut self, new: NewMessage, now: Millis) -> Sent {
        self.settle(now);
        let deduplication = self.deduplication_name(new.extra.as_deref(), now);
        if let Some((name, id)) = &deduplication {
            // Names recorded under the scope `queue` hold on when the scope is narrowed to the group.
            let known = self.deduplication.get(name, now).copied();
            if let Some(sent) = known.or_else(|| self.deduplication.get(id, now).copied()) {
                return sent;
            }
        }
        let delay = Millis::from(new.delay.unwrap_or(self.settings.delay)) * 1_000;
        let state = if delay == 0 { MessageState::Visible } else { MessageState::Delayed(now + delay) };
        let id = fresh_uuid();
        let message = Message {
            id,
            body: new.body,
            md5: new.md5,
            sent_at: now,
            first_received_at: 0,
            received_at: 0,
            receive_count: 0,
            group: 0,
            place: 0,
            state,
            extra: new.extra,
        };
        let sequence = self.add(message);
        let sent = Sent { id, sequence };
        if let Some((name, _)) = deduplication {
            self.deduplication.insert(&name, sent, now);
        }
        sent
    }

    /// The deduplication scope that is in force.
    fn scope(&self, now: Millis) -> Option<DeduplicationScope> {
        let scope = self.settings.fifo?.scope;
        Some(self.former_scope.filter(|(_, until)| now < *until).map_or(scope, |(former, _)| former))
    }

    /// Under which name (by the queue's scope) and which id a message of a FIFO queue is deduplicated.
    fn deduplication_name(&self, extra: Option<&Extra>, now: Millis) -> Option<(String, String)> {
        let scope = self.scope(now)?;
        let id = extra?.deduplication_id.as_deref()?;
        let name = match (scope, &extra?.group) {
            // Neither part can hold a line feed.
            (DeduplicationScope::MessageGroup, Some(group)) => format!("{group}\n{id}"),
            _ => id.to_owned(),
        };
        Some((name, id.to_owned()))
    }

    /// Takes in a message that another queue has given up: its id and its receives stay what they were, and in a
    /// standard queue its age as well.
    pub(super) fn adopt(&mut self, mut message: Message, now: Millis) {
        self.settle(now);
        if self.is_fifo() {
            message.sent_at = now;
        }
        message.state = MessageState::Visible;
        if message.receive_count > 0 || message.extra.is_some() {
            message.extra.get_or_insert_default().received_before = message.receive_count;
        }
        self.add(message);
    }

    fn add(&mut self, mut message: Message) -> u64 {
        message.place = 0;
        self.sent += 1;
        if let Order::Fifo(groups) = &mut self.order {
            self.last_sequence += 1;
            message.place = self.last_sequence;
            if let Some(group) = message.group_id() {
                message.group = groups.place(&group.clone());
            }
        }
        let (state, sent_at, sequence) = (message.state, message.sent_at, message.place);
        let key = self.messages.insert(message);
        *self.counts.of(state) += 1;
        self.ages.push(sent_at, key);
        match &mut self.order {
            Order::Standard(ready) if state == MessageState::Visible => {
                ready.became_visible(key, self.counts.visible, &mut self.messages);
            }
            Order::Standard(_) => {}
            Order::Fifo(groups) => {
                if let Some(message) = self.messages.get(key) {
                    groups.append(key, message, &self.messages);
                }
            }
        }
        if let MessageState::Delayed(until) = state {
            self.wakes.push(until, key);
        }
        sequence
    }

    /// When the oldest of its messages was sent.
    pub(super) fn oldest(&mut self, now: Millis) -> Option<Millis> {
        self.settle(now);
        let messages = &self.messages;
        self.ages.earliest(|_, key| messages.get(key).is_some()).map(|(sent_at, _)| sent_at)
    }

    /// The messages that it has, in the order of their places, those that can be had first; nothing happens to them.
    pub(super) fn held(&mut self, in_flight: bool, delayed: bool, now: Millis) -> Vec<Key> {
        self.settle(now);
        let mut keys = self.messages.keys_where(|message| match message.state {
            MessageState::Visible => true,
            MessageState::InFlight(_) => in_flight,
            MessageState::Delayed(_) => delayed,
        });
        keys.sort_by_cached_key(|key| {
            self.messages.get(*key).map(|message| {
                let state = match message.state {
                    MessageState::Visible => 0,
                    MessageState::InFlight(_) => 1,
                    MessageState::Delayed(_) => 2,
                };
                (state, message.place, message.sent_at)
            })
        });
        keys
    }

    /// The message that a move task is to take next, left where it is.
    pub(super) fn peek(&mut self, now: Millis) -> Option<Key> {
        self.settle(now);
        let mut taken = Vec::new();
        match &mut self.order {
            Order::Standard(ready) => {
                ready.take(1, self.counts.in_flight, &self.messages, &mut taken);
                taken.iter().for_each(|key| ready.put_back(*key, &self.messages));
            }
            Order::Fifo(groups) => groups.take(1, &self.messages, &mut taken),
        }
        taken.first().copied()
    }

    /// Takes a message out of the queue for good.
    pub(super) fn take_out(&mut self, key: Key) -> Option<Message> {
        self.remove(key)
    }

    pub(super) fn purge(&mut self, now: Millis) {
        self.messages.clear();
        self.counts = Counts::default();
        self.wakes.clear();
        self.ages.clear();
        self.deduplication.clear();
        self.attempts.clear();
        match &mut self.order {
            Order::Standard(ready) => ready.clear(),
            Order::Fifo(groups) => groups.clear(),
        }
        self.purged_at = Some(now);
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
