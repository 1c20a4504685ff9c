//! Receiving: messages are handed out, and a receipt lets one delete them or change their visibility.

use super::{MAX_IN_FLIGHT, MAX_VISIBILITY, Order, Queue};
use crate::local::message::{Key, Message, MessageState, Millis};

/// What a receive brings about.
#[derive(Debug, Default)]
pub(in crate::local) struct Received {
    pub keys: Vec<Key>,
    /// Messages that had been received too often: they are out of this queue and belong into its dead-letter queue.
    pub dead: Vec<Message>,
}

/// Why nothing can be done with a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::local) enum ReceiptError {
    /// Its message is deleted, too old, purged or moved away.
    Gone,
    /// Its message was received again since, or is visible again: in a FIFO queue only the latest receipt acts, and only
    /// while its message is in flight.
    Expired,
    /// Longer than [`MAX_VISIBILITY`] in all.
    TooLong,
}

/// The messages that an earlier receive with the same ReceiveRequestAttemptId brought, as they were left then.
#[derive(Debug)]
pub(super) struct Attempt {
    messages: Vec<(Key, u32, MessageState)>,
}

impl Queue {
    /// Hands out up to `max` messages, invisible to others for `visibility` seconds. With `max_receive_count`, those
    /// received so often by this queue already are given up instead.
    pub(in crate::local) fn receive(
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
    pub(in crate::local) fn receive_again(&mut self, attempt: &str, visibility: u32, now: Millis) -> Option<Vec<Key>> {
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
    pub(in crate::local) fn remember_attempt(&mut self, attempt: &str, keys: &[Key], now: Millis) {
        let left = |&key: &Key| self.messages.get(key).map(|message| (key, message.receive_count, message.state));
        let messages = keys.iter().filter_map(left).collect();
        self.attempts.insert(attempt, Attempt { messages }, now);
    }

    /// Finds the message that a receipt names and may act on.
    fn look_up(&self, key: Key, receive: u32) -> Result<&Message, ReceiptError> {
        let message = self.messages.get(key).ok_or(ReceiptError::Gone)?;
        let acts = match self.order {
            Order::Standard(_) => true,
            Order::Fifo(_) => message.receive_count == receive && matches!(message.state, MessageState::InFlight(_)),
        };
        if acts { Ok(message) } else { Err(ReceiptError::Expired) }
    }

    /// Deletes what a receipt names.
    pub(in crate::local) fn delete(&mut self, key: Key, receive: u32, now: Millis) -> Result<(), ReceiptError> {
        self.settle(now);
        self.look_up(key, receive)?;
        self.remove(key);
        self.deleted += 1;
        Ok(())
    }

    /// Makes what a receipt names invisible for so many seconds from now on, or visible.
    pub(in crate::local) fn change_visibility(
        &mut self,
        key: Key,
        receive: u32,
        visibility: u32,
        now: Millis,
    ) -> Result<(), ReceiptError> {
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
            return Err(ReceiptError::TooLong);
        }
        if let (MessageState::Visible, Order::Standard(ready)) = (from, &mut self.order) {
            ready.hidden(key);
        }
        self.shift(key, MessageState::InFlight(until));
        Ok(())
    }
}
