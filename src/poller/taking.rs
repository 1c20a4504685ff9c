//! Handing over: what a taker finds, how long it has to wait, and who is woken.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::{MAX_UNANSWERED, Message, Phase, Shared, State, Take, pause};
use crate::error::Error;

impl Shared {
    pub(super) fn take(self: &Arc<Self>, state: &mut State) -> Result<Take, Error> {
        let now = self.now();
        if state.phase == Phase::Fresh {
            self.start(state)?;
        }
        if !state.troubles.is_empty() {
            return Ok(Take::Troubles(std::mem::take(&mut state.troubles)));
        }
        let soon = self.soon(state, now);
        if soon.is_none() && state.unanswered < MAX_UNANSWERED {
            let messages = self.collect(state, now);
            if !messages.is_empty() {
                state.waiting_since = None;
                state.counts.handed_over += messages.len() as u64;
                self.pump(state, 0);
                self.wake_next(state);
                return Ok(Take::Messages(messages));
            }
        }
        state.end_if_over();
        if state.ended {
            return Ok(Take::Ended(state.error.take()));
        }
        state.waiting_since.get_or_insert(now);
        if state.stock.buffered().0 == 0 {
            state.flow.starved();
        }
        self.pump(state, 1);
        Ok(Take::Nothing(soon))
    }

    /// How long a taker has to wait whatever there is: for the rate, or for a batch to fill up.
    fn soon(&self, state: &State, now: Duration) -> Option<Duration> {
        let buffered = state.stock.buffered().0;
        // What waits for company must still have life left when it comes.
        let half = state.stock.visibility() / 2;
        let window = if half.is_zero() { self.options.window } else { self.options.window.min(half) };
        let fills = (buffered < self.options.batch && !state.ended && state.phase != Phase::Closing)
            .then(|| state.stock.oldest().map(|oldest| oldest.saturating_add(window)))
            .flatten();
        let free = (state.next_free > now).then_some(state.next_free);
        let until = fills.max(free)?;
        until.checked_sub(now).filter(|wait| !wait.is_zero())
    }

    /// As many messages as a taker is given at a time.
    fn collect(&self, state: &mut State, now: Duration) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut first = None;
        while messages.len() < self.options.batch {
            let behind = first.and_then(|id| state.stock.take_behind(now, id));
            let Some(taken) = behind.or_else(|| state.stock.take(now)) else { break };
            first = Some(taken.id);
            if taken.waited > state.stock.visibility() / 4 && !state.stock.visibility().is_zero() {
                state.flow.waited_long();
            }
            if self.options.keeps {
                state.handed.insert(taken.id, taken.message.clone());
            }
            messages.push(Message { id: taken.id, json: taken.message });
        }
        if let Some(rate) = self.options.rate
            && !messages.is_empty()
        {
            state.next_free = state.next_free.max(now).saturating_add(pause(messages.len(), rate));
        }
        messages
    }

    /// Like taking, without taking: `None` if there may be something, else how long it is worth waiting.
    pub(super) fn peek(self: &Arc<Self>, state: &mut State, takers: usize) -> Option<Option<Duration>> {
        let now = self.now();
        state.end_if_over();
        if state.ended || !state.troubles.is_empty() {
            return None;
        }
        let soon = self.soon(state, now);
        if soon.is_none() && state.unanswered < MAX_UNANSWERED && state.stock.has_ready(now) {
            return None;
        }
        self.pump(state, takers);
        Some(soon)
    }

    /// One sleeper wakes up; it wakes the next when it leaves something.
    fn wake_next(&self, state: &mut State) {
        if state.sleepers > 0 && !state.waking && state.stock.buffered().0 > 0 {
            state.waking = true;
            self.changed.notify_one();
        }
    }

    /// There are messages: one sleeper is woken, and whoever wanted to be told.
    pub(super) fn wake(&self, mut state: MutexGuard<'_, State>) {
        self.wake_next(&mut state);
        let sinks = std::mem::take(&mut state.sinks);
        drop(state);
        sinks.into_iter().for_each(|(_, caller)| caller.answer(Ok(())));
    }

    pub(super) fn wake_all(&self, mut state: MutexGuard<'_, State>) {
        let sinks = std::mem::take(&mut state.sinks);
        drop(state);
        self.changed.notify_all();
        sinks.into_iter().for_each(|(_, caller)| caller.answer(Ok(())));
    }
}
