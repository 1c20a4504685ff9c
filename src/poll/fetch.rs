//! The polls themselves: when they start, what they ask for, and what their replies bring.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::incoming::incoming;
use super::leases::{GroupMode, Incoming};
use super::options::life;
use super::scaler::{Buffered, PollScaler};
use super::{About, BackgroundError, Phase, PollerCore, PollerOptions, PollerState};
use crate::model::Action;
use crate::protocol::classify::{is_expired, may_pass};
use crate::protocol::entry::{ReceiveParams, receive};
use crate::protocol::error::Error;
use crate::protocol::message::Request;
use crate::receive::receiver::GRACE;
use crate::receive::visibility::{DEFAULT, FRESH};
use crate::runtime::{self, Task};

/// After an empty reply that came before its wait was over: a service that does not wait must not be asked in a loop.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause after polls that have failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The shortest visibility timeout that is asked for where polls wait. They wait for a second at least; what came at its end
/// would be leased no longer, as far as we know.
const SHORTEST: u32 = 2;

/// The polls, and what they ask for.
#[derive(Debug)]
pub(super) struct Fetches {
    pub scaler: PollScaler,
    under_way: BTreeMap<u64, Task>,
    /// Polls that pause after one that failed or came back empty too early.
    pausing: BTreeMap<u64, Task>,
    next: u64,
    /// The VisibilityTimeout that polls ask for; `None`: the queue's own.
    visibility: Option<u32>,
    /// The queue's own is being asked for.
    asking: Option<Task>,
    /// It has been told that the queue's own is not known.
    told: bool,
}

impl Fetches {
    pub(super) fn new(options: &PollerOptions) -> Fetches {
        Fetches {
            scaler: PollScaler::new(options.bounds, options.ahead, options.max_messages),
            under_way: BTreeMap::new(),
            pausing: BTreeMap::new(),
            next: 0,
            visibility: options.visibility,
            asking: None,
            told: false,
        }
    }

    /// How many polls are under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// How many polls pause.
    #[cfg(test)]
    pub(super) fn pausing(&self) -> usize {
        self.pausing.len()
    }

    /// Nothing more is asked for; what is under way may come back.
    pub(super) fn stop(&mut self) {
        std::mem::take(&mut self.pausing).values().chain(&self.asking.take()).for_each(Task::abort);
    }

    pub(super) fn break_off(&self) {
        self.under_way.values().for_each(Task::abort);
    }
}

/// A poll as it leaves.
#[derive(Clone, Copy, Debug)]
struct Ask {
    poll: u64,
    /// MaxNumberOfMessages.
    messages: usize,
    /// WaitTimeSeconds.
    wait: u32,
    /// VisibilityTimeout, if it is asked for.
    visibility: Option<u32>,
    /// How long what it brings is leased.
    leased: Duration,
}

impl PollerCore {
    /// The first message is asked for.
    pub(super) fn start(self: &Arc<Self>, state: &mut PollerState) -> Result<(), Error> {
        let reactor = runtime::handle()?;
        let known = self.options.visibility.or_else(|| self.visibilities.known(&self.options.queue));
        if let Some(seconds) = known {
            self.set_visibility(state, Some(seconds));
            state.phase = Phase::Running;
        } else {
            state.phase = Phase::Starting;
            state.fetches.asking = Some(reactor.spawn(Arc::clone(self).ask_queue()));
        }
        reactor.spawn(Arc::clone(self).look_after());
        Ok(())
    }

    async fn ask_queue(self: Arc<Self>) {
        let mut pause = PAUSE;
        while !self.asked_queue(self.visibilities.of(&*self.transport, &self.options.queue).await) {
            runtime::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether the queue need not be asked again for now.
    fn asked_queue(self: &Arc<Self>, answer: Result<u32, Error>) -> bool {
        let mut state = self.lock();
        let (known, error) = answer.map_or_else(|error| (None, Some(error)), |seconds| (Some(seconds), None));
        // What was known before holds until something else is.
        if known.is_some() || state.phase == Phase::Starting {
            self.set_visibility(&mut state, known);
        }
        if state.phase == Phase::Starting {
            state.phase = Phase::Running;
        }
        let done = state.phase == Phase::Closing || !error.as_ref().is_some_and(may_pass);
        if done {
            state.fetches.asking = None;
        }
        if let Some(error) = &error {
            self.renew_if_expired(error);
        }
        let told = std::mem::replace(&mut state.fetches.told, error.is_some());
        if let Some(error) = error
            && !told
            && state.phase != Phase::Closing
        {
            state.background_errors.push(BackgroundError {
                action: Action::GetQueueAttributes,
                about: About::Nothing,
                error,
            });
        }
        // What cannot be asked for is told to its callers.
        let _ = self.follow(state, Vec::new());
        done
    }

    pub(super) fn renew_if_expired(&self, error: &Error) {
        if is_expired(error) {
            self.transport.renew_credentials();
        }
    }

    /// `None`: it is not known. Then a time is asked for that is: to take the queue's for longer than it is would be to hand over
    /// what others have by then.
    fn set_visibility(&self, state: &mut PollerState, known: Option<u32>) {
        let leased = known.filter(|seconds| *seconds > 0 || !self.options.keeps || self.options.visibility.is_some());
        let mut seconds = leased.unwrap_or(DEFAULT);
        if seconds == 1 && self.options.wait > 0 {
            seconds = SHORTEST;
        }
        // What is kept is asked for: the queue may be given a shorter one at any moment.
        let asks = self.options.keeps || known != Some(seconds);
        state.fetches.visibility = if asks { Some(seconds) } else { self.options.visibility };
        state.fetches.scaler.set_most(self.options.most(seconds));
        state.leases.set_visibility(Duration::from_secs(seconds.into()), life(seconds, self.options.life));
    }

    /// As many polls as there should be, for those who wait and `more`.
    pub(super) fn pump(self: &Arc<Self>, state: &mut PollerState, more: usize) {
        while let Some(ask) = self.ask(state, more) {
            let Ok(reactor) = runtime::handle() else {
                state.fetches.scaler.ended(ask.messages);
                return;
            };
            let poll = PollTask { shared: Arc::clone(self), poll: ask.poll, asks: Some(ask.messages) };
            let task = reactor.spawn(poll.run(ask));
            state.fetches.under_way.insert(ask.poll, task);
        }
    }

    /// One more poll, if there is to be one.
    fn ask(&self, state: &mut PollerState, more: usize) -> Option<Ask> {
        if state.phase != Phase::Running || state.ended || state.error.is_some() || state.is_behind() {
            return None;
        }
        let (buffered, bytes) = state.leases.buffered();
        let wanted = (state.takers.waiting() + more) * self.options.batch;
        // What cannot be handed over yet is nothing to one who waits.
        let available = if wanted > 0 {
            state.leases.deliverable(self.now(), wanted, self.options.batch)
        } else {
            state.leases.available()
        };
        let counts = wanted > 0 && self.options.max_messages.is_some();
        let reachable = if counts { state.leases.within_reach(usize::MAX) } else { buffered };
        let messages =
            state.fetches.scaler.ask(Buffered { messages: buffered, reachable, available, bytes }, wanted)?;
        let leased = state.leases.visibility();
        let most = self.options.wait(u32::try_from(leased.as_secs()).unwrap_or(u32::MAX));
        let fetches = &mut state.fetches;
        let (poll, visibility) = (fetches.next, fetches.visibility);
        fetches.next += 1;
        Some(Ask { poll, messages, wait: self.wait_of_taker(state).min(most), visibility, leased })
    }

    /// How long a poll may wait: not longer than a taker would.
    fn wait_of_taker(&self, state: &PollerState) -> u32 {
        let Some(idle) = self.options.idle else { return u32::MAX };
        let now = self.now();
        let left = state.takers.since.unwrap_or(now).saturating_add(idle).saturating_sub(now);
        let seconds = left.as_millis().div_ceil(1000);
        u32::try_from(seconds).unwrap_or(u32::MAX).max(u32::from(!idle.is_zero()))
    }

    fn request(&self, ask: Ask) -> Request {
        let params = ReceiveParams {
            max: ask.messages,
            wait: ask.wait,
            visibility: ask.visibility,
            // Without the messages of a lost reply their groups would stand still until they become visible again.
            is_repeatable: self.options.groups != GroupMode::None,
        };
        receive(&self.options.queue, &self.members.load(), params)
    }

    /// What a reply brings is taken in. How long to pause after it.
    fn replied(
        self: &Arc<Self>,
        poll: &mut PollTask,
        ask: Ask,
        sent: Duration,
        incoming: Vec<Incoming<Bytes>>,
    ) -> Option<Duration> {
        let now = self.now();
        let (count, bytes) = (incoming.len(), incoming.iter().map(|message| message.bytes).sum());
        let mut state = self.lock();
        poll.end(&mut state, |state, asked| state.fetches.scaler.replied(asked, count, bytes));
        state.counts.received += count as u64;
        state.leases.receive(now, sent, ask.leased, incoming);
        let mut commands = Vec::new();
        if state.phase == Phase::Closing {
            commands = state.leases.give_back_all(now);
            if count > 0 {
                // A poll that still waits may receive what goes back now.
                state.breaks_off = Some(now + GRACE);
            }
        } else if count == 0
            && let (Some(idle), Some(since)) = (self.options.idle, state.takers.since)
            && now + Duration::from_millis(50) >= since.saturating_add(idle)
            && state.leases.buffered().0 == 0
        {
            state.ended = true;
        }
        let wait = Duration::from_secs(ask.wait.into());
        let early = count == 0 && (now.saturating_sub(sent) < wait / 2 || wait.is_zero());
        let goes_on = state.phase != Phase::Closing && !state.ended;
        if early && goes_on {
            poll.pauses(&mut state);
        }
        // What cannot be asked for is told to its callers.
        let _ = self.follow(state, commands);
        (early && goes_on).then_some(PAUSE)
    }

    /// Whether it is worth going on after a failure.
    fn failed(self: &Arc<Self>, poll: &mut PollTask, error: Error) -> bool {
        let mut state = self.lock();
        poll.end(&mut state, |state, asked| state.fetches.scaler.ended(asked));
        let closing = state.phase == Phase::Closing;
        let goes_on = !closing && self.options.endures && may_pass(&error);
        if goes_on {
            self.renew_if_expired(&error);
            state.background_errors.push(BackgroundError {
                action: Action::ReceiveMessage,
                about: About::Nothing,
                error,
            });
            poll.pauses(&mut state);
        } else if !closing {
            state.error.get_or_insert(error);
        }
        // What cannot be asked for is told to its callers.
        let _ = self.follow(state, Vec::new());
        goes_on
    }

    /// The queue may have been given another visibility timeout meanwhile.
    fn refresh(self: &Arc<Self>) {
        if self.options.visibility.is_none() && self.visibilities.known(&self.options.queue).is_none() {
            let mut state = self.lock();
            if state.fetches.asking.is_none()
                && state.phase == Phase::Running
                && let Ok(reactor) = runtime::current()
            {
                state.fetches.asking = Some(reactor.spawn(Arc::clone(self).ask_queue()));
            }
        }
    }
}

/// A poll under way. Its place is free again even if its task ends before its time.
struct PollTask {
    shared: Arc<PollerCore>,
    poll: u64,
    /// `None` once it is over.
    asks: Option<usize>,
}

impl PollTask {
    async fn run(mut self, mut ask: Ask) {
        let shared = Arc::clone(&self.shared);
        let mut pause = PAUSE;
        let mut asked = shared.now();
        loop {
            let sent = shared.now();
            let outcome = shared.transport.send(shared.request(ask)).await;
            let paused = match outcome.and_then(|reply| incoming(&reply)) {
                Ok(incoming) => {
                    pause = PAUSE;
                    shared.replied(&mut self, ask, sent, incoming)
                }
                Err(error) => {
                    if !shared.failed(&mut self, error) {
                        return;
                    }
                    let paused = pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    Some(paused)
                }
            };
            if sent > asked + FRESH {
                asked = sent;
                shared.refresh();
            }
            if let Some(paused) = paused {
                runtime::sleep(paused).await;
            }
            // The same task goes on if there is still to be a poll, and starts whatever more there is to be.
            let mut state = shared.lock();
            if paused.is_some() {
                self.resumes(&mut state);
            }
            let Some(next) = shared.ask(&mut state, 0) else {
                state.fetches.under_way.remove(&self.poll);
                let _ = shared.follow(state, Vec::new());
                return;
            };
            if let Some(task) = state.fetches.under_way.remove(&self.poll) {
                state.fetches.under_way.insert(next.poll, task);
            }
            (self.poll, self.asks, ask) = (next.poll, Some(next.messages), next);
            shared.pump(&mut state, 0);
        }
    }

    /// Ask nothing for a while, and keep the place meanwhile, so that no other poll takes it and fares no better. Closing
    /// does not wait for it.
    fn pauses(&self, state: &mut PollerState) {
        state.fetches.scaler.pauses();
        if let Some(task) = state.fetches.under_way.remove(&self.poll) {
            state.fetches.pausing.insert(self.poll, task);
        }
    }

    fn resumes(&self, state: &mut PollerState) {
        state.fetches.scaler.resumes();
        if let Some(task) = state.fetches.pausing.remove(&self.poll) {
            state.fetches.under_way.insert(self.poll, task);
        }
    }

    fn end(&mut self, state: &mut PollerState, count: impl FnOnce(&mut PollerState, usize)) {
        if let Some(asks) = self.asks.take() {
            count(state, asks);
        }
    }
}

impl Drop for PollTask {
    fn drop(&mut self) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let under_way = state.fetches.under_way.remove(&self.poll).is_some();
        if self.asks.is_some() || under_way {
            self.end(&mut state, |state, asks| state.fetches.scaler.ended(asks));
            // Nobody is left to be told.
            let _ = shared.follow(state, Vec::new());
        }
    }
}
