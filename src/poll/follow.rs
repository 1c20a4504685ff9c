//! What follows from whatever happens, in one place, so that nothing that happens can forget any of it; and the one timer.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::leases::Command;
use super::{Phase, PollerCore, PollerState};
use crate::protocol::error::Error;
use crate::receive::receiver::GRACE;
use crate::runtime;

impl PollerCore {
    /// Everything that follows from a change: what is due is asked for, polls leave for those who wait, whoever can find
    /// something is woken, and the timer is set. `commands` are to be asked for as well.
    pub(super) fn follow(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, PollerState>,
        mut commands: Vec<Command>,
    ) -> Result<(), Error> {
        let now = self.now();
        commands.extend(state.leases.tick(now));
        state.hear();
        if state.leases.take_abandoned() && state.takers.waiting() == 0 {
            state.fetches.scaler.abandoned();
        }
        state.end_if_over();
        self.pump(&mut state, 0);
        self.end_if_idle(&mut state, now);
        if state.ended {
            self.wind_up(&mut state, now, &mut commands);
        }
        let mut woken = if state.ended {
            state.takers.wake_all()
        } else if !state.background_errors.is_empty() || self.has_something(&state, now) {
            state.takers.wake()
        } else {
            Vec::new()
        };
        if state.abandoned || !state.background_errors.is_empty() {
            woken.append(&mut state.watchers.take_all());
        }
        let entries = self.entries(&mut state, commands, now);
        if state.is_quiet() {
            woken.append(&mut state.closers.take_all());
        }
        if self.next_look(&mut state, now).is_some_and(|next| next < state.sleeps_until) || self.is_over(&state) {
            // It sets the time anew when it looks; until then it need not be told again.
            state.sleeps_until = Duration::ZERO;
            self.alarm.notify_one();
        }
        drop(state);
        let entered = self.enter(entries);
        woken.into_iter().for_each(|responder| responder.respond(Ok(())));
        entered
    }

    /// Whether a taker that looks now finds a message.
    fn has_something(&self, state: &PollerState, now: Duration) -> bool {
        state.takers.waiting() > 0
            && self.free_at(state, now).is_none()
            && !state.is_behind()
            && state.leases.has_next(now)
    }

    /// No taker comes any more, though some may be at work for long: what polls have brought goes back, and those that are
    /// under way have a moment to come back.
    fn wind_up(&self, state: &mut PollerState, now: Duration, commands: &mut Vec<Command>) {
        if state.leases.buffered().0 > 0 {
            commands.extend(state.leases.give_back_all(now));
        }
        if state.phase != Phase::Closing && state.fetches.under_way() > 0 {
            state.breaks_off.get_or_insert(now + GRACE);
        }
    }

    /// A taker has waited for as long as it is meant to, and no poll is under way that would say so.
    fn end_if_idle(&self, state: &mut PollerState, now: Duration) {
        state.ended |= self.idles_until(state).is_some_and(|until| until <= now);
    }

    fn idles_until(&self, state: &PollerState) -> Option<Duration> {
        let (idle, since) = (self.options.idle?, state.takers.since?);
        let in_vain = state.phase == Phase::Running
            && state.takers.waiting() > 0
            && state.fetches.under_way() == 0
            && state.leases.buffered().0 == 0;
        in_vain.then(|| since.saturating_add(idle))
    }

    /// When something is to be looked at although nothing happens before.
    fn next_look(&self, state: &mut PollerState, now: Duration) -> Option<Duration> {
        let due = state.leases.next_tick();
        let free = self.wakes_at(state, now);
        let idle = if state.ended { None } else { self.idles_until(state) };
        let breaks_off = state.breaks_off.filter(|_| state.fetches.under_way() > 0);
        [due, free, idle, breaks_off].into_iter().flatten().min()
    }

    /// When a taker that sleeps is to be woken: if it may have something by now, at once. The moment to wait for may have passed since
    /// somebody last looked.
    fn wakes_at(&self, state: &PollerState, now: Duration) -> Option<Duration> {
        if !state.takers.sleeps() || state.leases.available() == 0 {
            return None;
        }
        self.free_at(state, now).or_else(|| self.has_something(state, now).then_some(now))
    }

    /// Whether there is nothing to look after any more.
    fn is_over(&self, state: &PollerState) -> bool {
        state.is_quiet() && state.leases.is_empty()
    }

    /// Looks after what is held and those who wait, for as long as there is anything to look after.
    pub(super) async fn look_after(self: Arc<Self>) {
        loop {
            let next = {
                let mut state = self.lock();
                if self.is_over(&state) {
                    return;
                }
                let next = self.next_look(&mut state, self.now());
                state.sleeps_until = next.unwrap_or(Duration::MAX);
                next
            };
            let alarmed = self.alarm.notified();
            match next.and_then(|next| self.began.checked_add(next)) {
                None => alarmed.await,
                Some(next) => tokio::select! {
                    biased;
                    () = runtime::sleep_until(next) => {}
                    () = alarmed => continue,
                },
            }
            let mut state = self.lock();
            if state.breaks_off.is_some_and(|at| at <= self.now()) {
                state.breaks_off = None;
                state.fetches.break_off();
            }
            // What cannot be asked for is told to its callers.
            let _ = self.follow(state, Vec::new());
        }
    }
}
