//! What follows from whatever happens, in one place, so that nothing that happens can forget any of it; and the one timer.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::stock::Act;
use super::{Phase, Shared, State};
use crate::error::Error;
use crate::receiver::GRACE;
use crate::runtime;

impl Shared {
    /// Everything that follows from a change: what is due is asked for, polls leave for those who wait, whoever can find
    /// something is woken, and the timer is set. `acts` are to be asked for as well.
    pub(super) fn follow(self: &Arc<Self>, mut state: MutexGuard<'_, State>, mut acts: Vec<Act>) -> Result<(), Error> {
        let now = self.now();
        acts.extend(state.stock.tick(now));
        state.hear();
        if state.stock.take_deserted() && state.takers.waiting() == 0 {
            state.fetches.flow.deserted();
        }
        state.end_if_over();
        self.pump(&mut state, 0);
        self.end_if_idle(&mut state, now);
        if state.ended {
            self.wind_up(&mut state, now, &mut acts);
        }
        let mut woken = if state.ended {
            state.takers.wake_all()
        } else if !state.troubles.is_empty() || self.has_something(&state, now) {
            state.takers.wake()
        } else {
            Vec::new()
        };
        if state.abandoned || !state.troubles.is_empty() {
            woken.append(&mut state.watchers);
        }
        let commands = self.commands(&mut state, acts, now);
        if state.is_quiet() {
            woken.append(&mut state.closers);
        }
        if self.next_look(&mut state, now).is_some_and(|next| next < state.sleeps_until) || self.is_over(&state) {
            // It sets the time anew when it looks; until then it need not be told again.
            state.sleeps_until = Duration::ZERO;
            self.alarm.notify_one();
        }
        drop(state);
        let entered = self.enter(commands);
        woken.into_iter().for_each(|caller| caller.answer(Ok(())));
        entered
    }

    /// Whether a taker that looks now finds a message.
    fn has_something(&self, state: &State, now: Duration) -> bool {
        state.takers.waiting() > 0
            && self.free_at(state, now).is_none()
            && !state.is_behind()
            && state.stock.has_ready(now)
    }

    /// No taker comes any more, though some may be at work for long: what polls have brought goes back, and those that are
    /// under way have a moment to come back.
    fn wind_up(&self, state: &mut State, now: Duration, acts: &mut Vec<Act>) {
        if state.stock.buffered().0 > 0 {
            acts.extend(state.stock.give_back_all(now));
        }
        if state.phase != Phase::Closing && state.fetches.under_way() > 0 {
            state.breaks_off.get_or_insert(now + GRACE);
        }
    }

    /// A taker has waited for as long as it is meant to, and no poll is under way that would say so.
    fn end_if_idle(&self, state: &mut State, now: Duration) {
        state.ended |= self.idles_until(state).is_some_and(|until| until <= now);
    }

    fn idles_until(&self, state: &State) -> Option<Duration> {
        let (idle, since) = (self.options.idle?, state.takers.since?);
        let in_vain = state.phase == Phase::Running
            && state.takers.waiting() > 0
            && state.fetches.under_way() == 0
            && state.stock.buffered().0 == 0;
        in_vain.then(|| since.saturating_add(idle))
    }

    /// When something is to be looked at although nothing happens before.
    fn next_look(&self, state: &mut State, now: Duration) -> Option<Duration> {
        let due = state.stock.next_tick();
        let free =
            if state.takers.waiting() > 0 && state.stock.available() > 0 { self.free_at(state, now) } else { None };
        let idle = if state.ended { None } else { self.idles_until(state) };
        let breaks_off = state.breaks_off.filter(|_| state.fetches.under_way() > 0);
        [due, free, idle, breaks_off].into_iter().flatten().min()
    }

    /// Whether there is nothing to look after any more.
    fn is_over(&self, state: &State) -> bool {
        state.is_quiet() && state.stock.is_empty()
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
