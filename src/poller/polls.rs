//! The polls themselves: when they start, what they ask for, and what their replies bring.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

use super::attributes::{DEFAULT, FRESH};
use super::stock::{Groups, Incoming};
use super::{Phase, Shared, State, Trouble, life};
use crate::error::Error;
use crate::model::Action;
use crate::receiver::call;
use crate::runtime;
use crate::transport::{Reply, Request};

/// After an empty reply that came before its wait was over: a service that does not wait must not be asked in a loop.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause after polls that have failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl Shared {
    /// The first message is asked for.
    pub(super) fn start(self: &Arc<Self>, state: &mut State) -> Result<(), Error> {
        let reactor = runtime::handle()?;
        let known = self.options.visibility.or_else(|| self.visibilities.known(&self.options.queue));
        if let Some(seconds) = known {
            self.set_visibility(state, Some(seconds));
            state.phase = Phase::Running;
        } else {
            state.phase = Phase::Starting;
            state.asking = true;
            reactor.spawn(Arc::clone(self).ask_queue());
        }
        reactor.spawn(Arc::clone(self).tick());
        Ok(())
    }

    async fn ask_queue(self: Arc<Self>) {
        let mut pause = PAUSE;
        while !self.asked_queue(self.visibilities.of(&*self.transport, &self.options.queue).await) {
            tokio::time::sleep(pause).await;
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
            self.pump(&mut state, 0);
        }
        self.alarm_ticker(&mut state);
        let done = state.phase == Phase::Closing || !error.as_ref().is_some_and(may_pass);
        state.asking = !done;
        if let Some(error) = error
            && self.options.endures
            && state.phase != Phase::Closing
        {
            state.troubles.push(Trouble { action: Action::GetQueueAttributes, about: None, error });
            self.wake_all(state);
        }
        done
    }

    /// `None`: it is not known. What is kept has to be leased for a time that is.
    fn set_visibility(&self, state: &mut State, known: Option<u32>) {
        let leased = known.filter(|seconds| *seconds > 0 || !self.options.keeps || self.options.visibility.is_some());
        let seconds = leased.unwrap_or(DEFAULT);
        state.assumed = (leased.is_none() && self.options.keeps).then_some(DEFAULT);
        state.flow.set_most(self.options.most(seconds));
        state.stock.set_visibility(Duration::from_secs(seconds.into()), life(seconds, self.options.life));
    }

    /// As many polls as there should be, for those who wait and `more`.
    pub(super) fn pump(self: &Arc<Self>, state: &mut State, more: usize) {
        while let Some((poll, asks, wait)) = self.ask(state, more) {
            let Ok(reactor) = runtime::handle() else {
                state.flow.ended(asks);
                return;
            };
            let task = reactor.spawn(Poll { shared: Arc::clone(self), poll, asks: Some(asks) }.run(wait));
            state.polls.insert(poll, task.abort_handle());
        }
    }

    /// One more poll, what it asks for, and how long it waits.
    fn ask(&self, state: &mut State, more: usize) -> Option<(u64, usize, u32)> {
        if state.phase != Phase::Running || state.ended || state.error.is_some() {
            return None;
        }
        let (buffered, bytes) = state.stock.buffered();
        let hungry = (state.hungry() + more) * self.options.batch;
        let asks = state.flow.ask(buffered, bytes, hungry)?;
        let poll = state.next_poll;
        state.next_poll += 1;
        Some((poll, asks, self.patience(state)))
    }

    /// How long a poll may wait: not longer than a taker would.
    fn patience(&self, state: &State) -> u32 {
        let Some(idle) = self.options.idle else { return self.options.wait };
        let now = self.now();
        let left = (state.waiting_since.unwrap_or(now) + idle).saturating_sub(now);
        let seconds = left.as_millis().div_ceil(1000);
        let least = u32::from(!idle.is_zero());
        u32::try_from(seconds).unwrap_or(u32::MAX).max(least).min(self.options.wait)
    }

    fn request(&self, asks: usize, wait: u32, assumed: Option<u32>) -> Request {
        let mut body = Vec::with_capacity(self.options.queue.len() + self.options.members.len() + 128);
        body.extend_from_slice(br#"{"QueueUrl":"#);
        body.extend_from_slice(&self.options.queue);
        body.extend_from_slice(&self.options.members);
        body.extend_from_slice(format!(",\"MaxNumberOfMessages\":{asks},\"WaitTimeSeconds\":{wait}").as_bytes());
        if let Some(seconds) = assumed {
            body.extend_from_slice(format!(",\"VisibilityTimeout\":{seconds}").as_bytes());
        }
        if self.options.groups != Groups::None {
            // An attempt that is repeated because its reply was lost gets the same messages: otherwise their groups would stand
            // still until they become visible again.
            body.extend_from_slice(format!(",\"ReceiveRequestAttemptId\":\"{:032x}\"", fastrand::u128(..)).as_bytes());
        }
        body.push(b'}');
        let long_poll = Duration::from_secs(wait.into());
        Request { action: Action::ReceiveMessage, body: Bytes::from(body), long_poll, attempts: 0 }
    }

    /// What a reply brings is taken in. Whether it came empty and early.
    fn replied(self: &Arc<Self>, poll: &mut Poll, sent: Duration, wait: u32, reply: &Reply) -> bool {
        let incoming = incoming(reply);
        let now = self.now();
        let (count, bytes) = (incoming.len(), incoming.iter().map(|message| message.bytes).sum());
        let mut state = self.lock();
        poll.end(&mut state, |state, asks| state.flow.replied(asks, count, bytes));
        state.counts.received += count as u64;
        state.stock.receive(now, sent, incoming);
        if state.phase == Phase::Closing {
            let acts = state.stock.give_back_all();
            // What cannot be given back becomes visible by itself.
            let _ = self.act(state, acts, None);
            self.wake_all(self.lock());
            return false;
        }
        if count == 0
            && let (Some(idle), Some(since)) = (self.options.idle, state.waiting_since)
            && now + Duration::from_millis(50) >= since + idle
            && state.stock.buffered().0 == 0
        {
            state.ended = true;
            self.wake_all(state);
            return false;
        }
        self.alarm_ticker(&mut state);
        let early = count == 0 && now.saturating_sub(sent) < Duration::from_secs(wait.into()) / 2;
        if count > 0 || state.flow.is_complete() {
            if state.flow.is_complete() { self.wake_all(state) } else { self.wake(state) }
        }
        early || (count == 0 && wait == 0)
    }

    /// Whether it is worth going on after a failure.
    fn failed(self: &Arc<Self>, poll: &mut Poll, error: Error) -> bool {
        let mut state = self.lock();
        poll.end(&mut state, |state, asks| state.flow.ended(asks));
        if state.phase == Phase::Closing {
            self.wake_all(state);
            return false;
        }
        let goes_on = self.options.endures && may_pass(&error);
        if goes_on {
            state.troubles.push(Trouble { action: Action::ReceiveMessage, about: None, error });
        } else {
            state.error.get_or_insert(error);
        }
        self.wake_all(state);
        goes_on
    }

    /// The queue may have been given another visibility timeout meanwhile.
    fn refresh(self: &Arc<Self>) {
        if self.options.visibility.is_none() && self.visibilities.known(&self.options.queue).is_none() {
            let asking = std::mem::replace(&mut self.lock().asking, true);
            if !asking {
                tokio::spawn(Arc::clone(self).ask_queue());
            }
        }
    }
}

/// A poll under way. Its place is free again even if its task ends before its time.
struct Poll {
    shared: Arc<Shared>,
    poll: u64,
    /// `None` once it is over.
    asks: Option<usize>,
}

impl Poll {
    async fn run(mut self, mut wait: u32) {
        let shared = Arc::clone(&self.shared);
        let mut pause = PAUSE;
        let mut asked = shared.now();
        while let Some(asks) = self.asks {
            let sent = shared.now();
            let assumed = shared.lock().assumed;
            let outcome = shared.transport.send(shared.request(asks, wait, assumed)).await;
            let rest = match outcome {
                Ok(reply) => {
                    pause = PAUSE;
                    shared.replied(&mut self, sent, wait, &reply).then_some(PAUSE)
                }
                Err(error) => {
                    if !shared.failed(&mut self, error) {
                        return;
                    }
                    let rest = pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    Some(rest)
                }
            };
            if sent > asked + FRESH {
                asked = sent;
                shared.refresh();
            }
            if let Some(rest) = rest {
                self.rest(rest).await;
            }
            // The same task goes on if there is still to be a poll, and starts whatever more there is to be.
            let mut state = shared.lock();
            if let Some((poll, asks, next_wait)) = shared.ask(&mut state, 0) {
                if let Some(task) = state.polls.remove(&self.poll) {
                    state.polls.insert(poll, task);
                }
                (self.poll, self.asks, wait) = (poll, Some(asks), next_wait);
                shared.pump(&mut state, 0);
            } else {
                state.polls.remove(&self.poll);
            }
        }
    }

    /// Ask nothing for a while, and keep the place meanwhile, so that no other poll takes it and fares no better. Closing
    /// does not wait for it.
    async fn rest(&self, pause: Duration) {
        let task = {
            let mut state = self.shared.lock();
            state.flow.rests();
            state.polls.remove(&self.poll)
        };
        tokio::time::sleep(pause).await;
        let mut state = self.shared.lock();
        state.flow.rested();
        if let Some(task) = task {
            state.polls.insert(self.poll, task);
        }
    }

    fn end(&mut self, state: &mut State, count: impl FnOnce(&mut State, usize)) {
        if let Some(asks) = self.asks.take() {
            count(state, asks);
        }
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        self.end(&mut state, |state, asks| state.flow.ended(asks));
        state.polls.remove(&self.poll);
        if state.is_quiet() {
            shared.wake_all(state);
        }
    }
}

/// Failures after which a poll is worth repeating for ever: the way there, the service's own trouble, a source of
/// credentials that does not answer. Not: no such queue, no access.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Service(error) => error.retry().is_some() || error.reply.status >= 500,
        Error::Lost(_) | Error::Credentials { .. } => true,
        Error::Config(_) | Error::NoCredentials | Error::Runtime(_) => false,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Facts<'a> {
    #[serde(borrow)]
    receipt_handle: Option<&'a serde_json::value::RawValue>,
    attributes: Option<Attributes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attributes {
    message_group_id: Option<String>,
}

/// The messages of a reply. One that cannot be read has none, as in boto3.
fn incoming(reply: &Reply) -> Vec<Incoming<Bytes>> {
    let messages = call::messages(&reply.body).unwrap_or_default();
    let read = |json: &str| {
        let facts = serde_json::from_str::<Facts<'_>>(json).ok();
        let handle = facts.as_ref().and_then(|facts| facts.receipt_handle).map_or("\"\"", |handle| handle.get());
        Incoming {
            handle: handle.into(),
            message: reply.body.slice_ref(json.as_bytes()),
            bytes: json.len(),
            group: facts.and_then(|facts| facts.attributes?.message_group_id).map(Into::into),
        }
    };
    messages.into_iter().map(read).collect()
}
