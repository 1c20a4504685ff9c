//! Handing over: what a taker finds, and how long it has to wait.

use std::sync::Arc;
use std::time::Duration;

use super::{Message, Phase, Shared, State, Take, pause};
use crate::error::Error;

impl Shared {
    /// What there is for a taker, which counts as one of `more` who wait if that is nothing.
    pub(super) fn take(self: &Arc<Self>, state: &mut State, more: usize) -> Result<Take, Error> {
        let now = self.now();
        if state.phase == Phase::Fresh {
            self.start(state)?;
        }
        if !state.troubles.is_empty() {
            return Ok(Take::Troubles(std::mem::take(&mut state.troubles)));
        }
        if self.free_at(state, now).is_none() && !state.is_behind() {
            let messages = self.collect(state, now);
            if !messages.is_empty() {
                // Whoever else waits has been waiting for the next one since then.
                state.takers.since = (state.takers.waiting() > 0).then_some(now);
                state.counts.handed_over += messages.len() as u64;
                return Ok(Take::Messages(messages));
            }
        }
        state.end_if_over();
        if state.ended {
            return Ok(Take::Ended(state.error.take()));
        }
        state.takers.since.get_or_insert(now);
        if state.stock.available() == 0 {
            state.fetches.flow.starved();
        }
        self.pump(state, more);
        Ok(Take::Nothing)
    }

    /// When a taker is given something, if it has to wait although there is something: for the rate, or for a batch to fill up.
    pub(super) fn free_at(&self, state: &State, now: Duration) -> Option<Duration> {
        // What waits for its batch to fill up must still have life left when it is taken.
        let half = state.stock.visibility() / 2;
        let window = if half.is_zero() { self.options.window } else { self.options.window.min(half) };
        let batch = self.options.batch;
        let fills = !window.is_zero() && !state.ended && state.stock.within_reach(batch) < batch;
        let filled = fills.then(|| state.stock.oldest()).flatten().map(|oldest| oldest.saturating_add(window));
        filled.max(Some(state.takers.next_free)).filter(|at| *at > now)
    }

    /// As many messages as a taker is given at a time.
    fn collect(&self, state: &mut State, now: Duration) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut first = None;
        let most = self.options.batch.min(state.fetches.flow.left());
        while messages.len() < most {
            let behind = first.and_then(|id| state.stock.take_behind(now, id));
            let Some(taken) = behind.or_else(|| state.stock.take(now)) else { break };
            first = Some(taken.id);
            if taken.waited > state.stock.visibility() / 4 && !state.stock.visibility().is_zero() {
                state.fetches.flow.waited_long();
            }
            state.counts.messages_waited += taken.waited;
            state.fetches.flow.handed_over(1);
            messages.push(Message { id: taken.id, json: taken.message });
        }
        if let Some(rate) = self.options.rate
            && !messages.is_empty()
        {
            let takers = &mut state.takers;
            takers.next_free = takers.next_free.max(now).saturating_add(pause(messages.len(), rate));
        }
        messages
    }
}
