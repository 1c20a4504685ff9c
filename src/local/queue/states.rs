//! The states of messages: how they change by what is done with a message, and by time alone.

use super::{Order, Queue};
use crate::local::message::{Key, Message, MessageState, Millis, Store};

/// How many messages are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::local) struct Counts {
    pub visible: usize,
    pub in_flight: usize,
    pub delayed: usize,
}

impl Counts {
    pub(super) fn of(&mut self, state: MessageState) -> &mut usize {
        match state {
            MessageState::Visible => &mut self.visible,
            MessageState::InFlight(_) => &mut self.in_flight,
            MessageState::Delayed(_) => &mut self.delayed,
        }
    }
}

impl Queue {
    /// When the next message becomes visible that is not now.
    pub(in crate::local) fn next_wake(&mut self) -> Option<Millis> {
        let messages = &self.messages;
        self.wakes.earliest(|at, key| wakes_at(messages, at, key)).map(|(at, _)| at)
    }

    /// Lets everything happen that was due by now.
    pub(in crate::local) fn settle(&mut self, now: Millis) {
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

    pub(super) fn shift(&mut self, key: Key, to: MessageState) {
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

    pub(super) fn remove(&mut self, key: Key) -> Option<Message> {
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
