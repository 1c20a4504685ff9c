//! One queue as a pure state machine: no clock, no I/O. Whoever calls says what time it is, and time never runs back.

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

/// What a receive brings about.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub keys: Vec<Key>,
    /// Messages that had been received too often: they are out of this queue and belong into its dead-letter queue.
    pub dead: Vec<Message>,
}

/// Why nothing can be done with a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lapse {
    /// Its message is deleted, too old, purged or moved away.
    Gone,
    /// Its message was received again since, or is visible again: in a FIFO queue only the latest receipt acts, and only
    /// while its message is in flight.
    Expired,
    /// Longer than [`MAX_VISIBILITY`] in all.
    TooLong,
}

/// How many messages are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub visible: usize,
    pub in_flight: usize,
    pub delayed: usize,
}

impl Counts {
    fn of(&mut self, state: MessageState) -> &mut usize {
        match state {
            MessageState::Visible => &mut self.visible,
            MessageState::InFlight(_) => &mut self.in_flight,
            MessageState::Delayed(_) => &mut self.delayed,
        }
    }
}

/// The order in which a queue hands messages out.
#[derive(Debug)]
enum Order {
    Standard(ReadyList),
    Fifo(Groups),
}

/// The messages that an earlier receive with the same ReceiveRequestAttemptId brought, as they were left then.
#[derive(Debug)]
struct Attempt {
    messages: Vec<(Key, u32, MessageState)>,
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

    /// Hands out up to `max` messages, invisible to others for `visibility` seconds. With `max_receive_count`, those
    /// received so often by this queue already are given up instead.
    pub(super) fn receive(
        &mut self,
        max: usize,
        visibility: u32,
        max_receive_count: Option<u32>,
        now: Millis,
    ) -> Received {
        self.settle(now);
        let mut received = Received::default();
        let mut taken = Vec::new();
        let max = max.min(MAX_IN_FLIGHT.saturating_sub(self.counts.in_flight));
        let until = now + Millis::from(visibility) * 1_000;
        let mut shown_again = Vec::new();
        while received.keys.len() < max {
            taken.clear();
            let room = max - received.keys.len();
            match &mut self.order {
                Order::Standard(ready) => ready.take(room, self.counts.in_flight, &self.messages, &mut taken),
                Order::Fifo(groups) => groups.take(room, &self.messages, &mut taken),
            }
            if taken.is_empty() {
                break;
            }
            for &key in &taken {
                let Some(message) = self.messages.get_mut(key) else { continue };
                if max_receive_count.is_some_and(|most| message.received_here() >= most) {
                    received.dead.extend(self.remove(key));
                    continue;
                }
                message.receive_count += 1;
                message.received_at = now;
                if message.first_received_at == 0 {
                    message.first_received_at = now;
                }
                received.keys.push(key);
                self.received += 1;
                // Even with a visibility of 0 it is not for this receive to hand it out twice.
                self.shift(key, MessageState::InFlight(until));
                if until <= now {
                    shown_again.push(key);
                }
            }
        }
        for key in shown_again {
            self.shift(key, MessageState::Visible);
        }
        received
    }

    /// Receives as `attempt` did before, if that was within five minutes and nothing has happened to its messages
    /// since; their visibility begins anew.
    pub(super) fn receive_again(&mut self, attempt: &str, visibility: u32, now: Millis) -> Option<Vec<Key>> {
        self.settle(now);
        let until = now + Millis::from(visibility) * 1_000;
        let messages = &self.messages;
        let untouched = |&(key, receive, state): &(Key, u32, MessageState)| {
            messages.get(key).is_some_and(|message| message.receive_count == receive && message.state == state)
        };
        let earlier = self.attempts.get(attempt, now).filter(|attempt| attempt.messages.iter().all(untouched))?;
        for (_, _, state) in &mut earlier.messages {
            *state = MessageState::InFlight(until);
        }
        let keys: Vec<Key> = earlier.messages.iter().map(|(key, _, _)| *key).collect();
        for &key in &keys {
            self.shift(key, MessageState::InFlight(until));
        }
        Some(keys)
    }

    /// Remembers what a receive brought, for [`receive_again`](Queue::receive_again).
    pub(super) fn remember_attempt(&mut self, attempt: &str, keys: &[Key], now: Millis) {
        let left = |&key: &Key| self.messages.get(key).map(|message| (key, message.receive_count, message.state));
        let messages = keys.iter().filter_map(left).collect();
        self.attempts.insert(attempt, Attempt { messages }, now);
    }

    /// Finds the message that a receipt names and may act on.
    fn look_up(&self, key: Key, receive: u32) -> Result<&Message, Lapse> {
        let message = self.messages.get(key).ok_or(Lapse::Gone)?;
        let acts = match self.order {
            Order::Standard(_) => true,
            Order::Fifo(_) => message.receive_count == receive && matches!(message.state, MessageState::InFlight(_)),
        };
        if acts { Ok(message) } else { Err(Lapse::Expired) }
    }

    /// Deletes what a receipt names.
    pub(super) fn delete(&mut self, key: Key, receive: u32, now: Millis) -> Result<(), Lapse> {
        self.settle(now);
        self.look_up(key, receive)?;
        self.remove(key);
        self.deleted += 1;
        Ok(())
    }

    /// Makes what a receipt names invisible for so many seconds from now on, or visible.
    pub(super) fn change_visibility(
        &mut self,
        key: Key,
        receive: u32,
        visibility: u32,
        now: Millis,
    ) -> Result<(), Lapse> {
        self.settle(now);
        let message = self.look_up(key, receive)?;
        let from = message.state;
        if visibility == 0 {
            if from != MessageState::Visible {
                self.shift(key, MessageState::Visible);
            }
            return Ok(());
        }
        let until = now + Millis::from(visibility) * 1_000;
        if until > message.received_at + MAX_VISIBILITY {
            return Err(Lapse::TooLong);
        }
        if let (MessageState::Visible, Order::Standard(ready)) = (from, &mut self.order) {
            ready.hidden(key);
        }
        self.shift(key, MessageState::InFlight(until));
        Ok(())
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

    /// When the next message becomes visible that is not now.
    pub(super) fn next_wake(&mut self) -> Option<Millis> {
        let messages = &self.messages;
        self.wakes.earliest(|at, key| wakes_at(messages, at, key)).map(|(at, _)| at)
    }

    /// Lets everything happen that was due by now.
    pub(super) fn settle(&mut self, now: Millis) {
        let retention = Millis::from(self.settings.retention) * 1_000;
        let mut expired = Vec::new();
        while let Some(oldest) = now.checked_sub(retention)
            && let Some(key) = self.ages.pop_due(oldest, |_, key| self.messages.get(key).is_some())
        {
            expired.push(key);
        }
        expired.sort_by_key(|key| self.messages.get(*key).map(|message| message.place));
        for key in expired {
            self.remove(key);
        }
        let mut woken = Vec::new();
        while let Some(key) = self.wakes.pop_due(now, |at, key| wakes_at(&self.messages, at, key)) {
            match self.order {
                Order::Standard(_) => self.shift(key, MessageState::Visible),
                Order::Fifo(_) => woken.push(key),
            }
        }
        // Groups draw their tickets in the order in which they became ready, and of those that did at once the older
        // goes first.
        woken.sort_by_key(|key| {
            self.messages.get(*key).map(|message| match message.state {
                MessageState::InFlight(until) | MessageState::Delayed(until) => (until, message.place),
                MessageState::Visible => (0, 0),
            })
        });
        for key in woken {
            self.shift(key, MessageState::Visible);
        }
    }

    fn shift(&mut self, key: Key, to: MessageState) {
        let Some(message) = self.messages.get_mut(key) else { return };
        let from = std::mem::replace(&mut message.state, to);
        *self.counts.of(from) -= 1;
        *self.counts.of(to) += 1;
        if let MessageState::InFlight(until) | MessageState::Delayed(until) = to {
            self.wakes.push(until, key);
            let alive = self.counts.in_flight + self.counts.delayed;
            self.wakes.shed(alive, |at, key| wakes_at(&self.messages, at, key));
        }
        let Some(message) = self.messages.get(key) else { return };
        match &mut self.order {
            Order::Fifo(groups) => groups.refresh(message.group, &self.messages),
            Order::Standard(ready) => {
                if let Some(tenant) = message.group_id() {
                    match (from, to) {
                        (MessageState::InFlight(_), MessageState::InFlight(_)) => {}
                        (MessageState::InFlight(_), _) => ready.left_flight(tenant, self.counts.in_flight),
                        (_, MessageState::InFlight(_)) => ready.entered_flight(tenant),
                        _ => {}
                    }
                }
                if to == MessageState::Visible {
                    ready.became_visible(key, self.counts.visible, &mut self.messages);
                }
            }
        }
    }

    fn remove(&mut self, key: Key) -> Option<Message> {
        let message = self.messages.remove(key)?;
        *self.counts.of(message.state) -= 1;
        match &mut self.order {
            Order::Fifo(groups) => groups.left(message.group, &self.messages),
            Order::Standard(ready) => {
                if let (MessageState::InFlight(_), Some(tenant)) = (message.state, message.group_id()) {
                    ready.left_flight(tenant, self.counts.in_flight);
                }
            }
        }
        self.ages.shed(self.messages.len(), |_, key| self.messages.get(key).is_some());
        Some(message)
    }
}

/// Whether an entry of `wakes` still says what its message's state says.
fn wakes_at(messages: &Store, at: Millis, key: Key) -> bool {
    messages.get(key).is_some_and(
        |message| matches!(message.state, MessageState::InFlight(until) | MessageState::Delayed(until) if until == at),
    )
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
