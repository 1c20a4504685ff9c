//! Handing over: what a taker finds, and how long it has to wait.

use std::sync::Arc;
use std::time::Duration;

use super::options::pause;
use super::{Delivery, Phase, PollerCore, PollerState, Take};
use crate::protocol::error::Error;

impl PollerCore {
    /// What there is for a taker, which counts as one of `more` who wait if that is nothing.
    pub(super) fn take(self: &Arc<Self>, state: &mut PollerState, more: usize) -> Result<Take, Error> {
        let now = self.now();
        if state.phase == Phase::Fresh {
            self.start(state)?;
        }
        if !state.background_errors.is_empty() {
            return Ok(Take::BackgroundErrors(std::mem::take(&mut state.background_errors)));
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
        if state.leases.available() == 0 {
            state.fetches.scaler.found_empty();
        }
        self.pump(state, more);
        Ok(Take::Nothing)
    }

    /// When a taker is given something, if it has to wait although there is something: for the rate, or for a batch to fill up.
    pub(super) fn free_at(&self, state: &PollerState, now: Duration) -> Option<Duration> {
        // What waits for its batch to fill up must still have life left when it is taken.
        let half = state.leases.visibility() / 2;
        let window = if half.is_zero() { self.options.window } else { self.options.window.min(half) };
        let batch = self.options.batch;
        let fills = !window.is_zero() && !state.ended && state.leases.within_reach(batch) < batch;
        let filled = fills.then(|| state.leases.oldest()).flatten().map(|oldest| oldest.saturating_add(window));
        filled.max(Some(state.takers.next_free)).filter(|at| *at > now)
    }

    /// As many messages as a taker is given at a time.
    fn collect(&self, state: &mut PollerState, now: Duration) -> Vec<Delivery> {
        let mut messages = Vec::new();
        let mut first = None;
        let most = self.options.batch.min(state.fetches.scaler.left());
        while messages.len() < most {
            let pending = first.and_then(|id| state.leases.take_pending(now, id));
            let Some(taken) = pending.or_else(|| state.leases.take(now)) else { break };
            first = Some(taken.id);
            if taken.waited > state.leases.visibility() / 4 && !state.leases.visibility().is_zero() {
                state.fetches.scaler.waited_long();
            }
            state.counts.messages_waited += taken.waited;
            state.fetches.scaler.handed_over(1);
            messages.push(Delivery { id: taken.id, json: taken.message });
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
