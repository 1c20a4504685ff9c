//! The world around a poller: a queue, the way there, producers, and other consumers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::ms;
use crate::config::StaticCredentials;
use crate::local::simulated::{Outcome, Refused, SimulatedSqs, Standing, Waiting};
use crate::model::Action;
use crate::protocol::error::{Error, Failure, Lost, Retry};
use crate::protocol::headers::ReplyHeaders;
use crate::protocol::message::{Presign, Reply, Request};
use crate::runtime::simulation::Scheduler;
use crate::transport::scripted::{MAX_ATTEMPTS, refusal};
use crate::transport::{ResponseFuture, Transport};

/// What can go wrong with requests of one kind, each so many times in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    /// Refused by the service, which is busy.
    pub throttled: u64,
    /// Refused for good.
    pub denied: u64,
    /// Lost on the way there, told after a while.
    pub lost: u64,
    /// Done, but the answer is lost.
    pub unanswered: u64,
    /// Underway for up to so many milliseconds more.
    pub late: u64,
    /// Lost on the way there, and nothing is heard of it.
    pub(crate) hangs: u64,
}

impl Faults {
    /// Whether all requests fare well.
    pub(crate) fn is_calm(&self) -> bool {
        self.throttled + self.denied + self.lost + self.unanswered + self.late + self.hangs == 0
    }
}

/// How long a request that hangs is waited for, if nothing says otherwise: botocore's read timeout.
pub(crate) const HANGS: Duration = Duration::from_secs(60);

/// How requests fare.
#[derive(Clone, Debug, Default)]
pub(super) struct Way {
    /// Milliseconds there, and back.
    pub latency: u64,
    pub polls: Faults,
    pub extensions: Faults,
    pub deletes: Faults,
}

impl Way {
    /// The longest that a request and its answer take.
    pub(super) fn round_trip(&self) -> Duration {
        ms(2 * self.latency)
    }
}

#[derive(Clone)]
pub(crate) struct World(Arc<Mutex<WorldState>>, Scheduler);

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

pub(crate) struct WorldState {
    pub sqs: SimulatedSqs,
    pub way: Way,
    random: fastrand::Rng,
    waiting: Vec<Poll>,
    /// Nothing gets through until then.
    pub out_until: Duration,
    pub requests: u64,
    /// Polls that come to nothing, and whose sender does not know it yet.
    pub doomed: u32,
    /// Handles in replies that came when their poll had been broken off.
    pub stranded: BTreeSet<String>,
    /// The bodies of messages for which a delete has left.
    deleting: BTreeSet<String>,
    /// Whether something of ours was underway for longer than it should: it may arrive when it is not ours any more.
    pub was_late: bool,
    /// Handles with which something was asked for whose answer was lost: it may have been done.
    pub unknown: BTreeSet<String>,
    /// Receives that brought something, of this process: what is in them, by handle.
    pub received: BTreeMap<String, String>,
    /// What other consumers hold, by handle.
    pub(crate) others: BTreeMap<String, Others>,
    pub others_took: u64,
    /// The visibility timeouts that handlers have changed by themselves, by handle.
    own: BTreeMap<String, OwnChange>,
    /// Whether an extension that was asked for before such a change may not leave long after it.
    pub(crate) is_prompt: bool,
    next_body: u64,
    /// When waiting polls are looked at next.
    looks: Option<u64>,
    /// What the next poll is refused with.
    pub(crate) refusal: Option<(u16, &'static str)>,
    /// How often credentials were to be asked for anew.
    pub(crate) renewals: u32,
}

/// A message that another consumer has.
#[derive(Clone, Debug)]
pub(crate) struct Others {
    pub(crate) until: u64,
    body: String,
}

/// A handler has changed its message's visibility timeout by itself.
#[derive(Clone, Debug)]
struct OwnChange {
    body: String,
    /// When, and to how many seconds.
    at: u64,
    seconds: u32,
    /// From then on anybody may have the message, and what becomes of it is the handler's doing.
    until: u64,
    /// It has reached the service.
    arrived: bool,
}

static TRACES: LazyLock<bool> = LazyLock::new(|| std::env::var_os("TURBOSQS_TRACE").is_some());

struct Poll {
    waiting: Waiting,
    until: u64,
    answer: Option<oneshot::Sender<Result<Reply, Error>>>,
    /// Milliseconds back.
    latency: u64,
}

impl World {
    pub(super) fn new(scheduler: &Scheduler, seed: u64, queue: &str, visibility: u32, way: Way) -> World {
        let visibility = visibility.to_string();
        let mut attributes = vec![("VisibilityTimeout", visibility.as_str())];
        if queue.ends_with(".fifo") {
            attributes.push(("FifoQueue", "true"));
        }
        let state = WorldState {
            sqs: SimulatedSqs::new(queue, &attributes),
            way,
            random: fastrand::Rng::with_seed(seed ^ 0x5eed),
            waiting: Vec::new(),
            out_until: Duration::ZERO,
            requests: 0,
            doomed: 0,
            stranded: BTreeSet::new(),
            deleting: BTreeSet::new(),
            was_late: false,
            unknown: BTreeSet::new(),
            received: BTreeMap::new(),
            others: BTreeMap::new(),
            others_took: 0,
            own: BTreeMap::new(),
            is_prompt: false,
            next_body: 0,
            looks: None,
            refusal: None,
            renewals: 0,
        };
        World(Arc::new(Mutex::new(state)), scheduler.clone())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, WorldState> {
        self.0.lock().unwrap()
    }

    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.1.elapsed().as_millis()).unwrap()
    }

    /// Says what happens, if it is asked to (`TURBOSQS_TRACE=1`).
    pub(crate) fn trace(&self, what: impl FnOnce() -> String) {
        if *TRACES {
            println!("{}: {}", self.now(), what());
        }
    }

    /// The handler of this message is about to have it visible after so many seconds.
    pub(crate) fn note_own_change(&self, handle: &str, body: &str, seconds: u32) {
        let at = self.now();
        let change =
            OwnChange { body: body.to_owned(), at, seconds, until: at + u64::from(seconds) * 1_000, arrived: false };
        self.lock().own.insert(handle.to_owned(), change);
    }

    pub(super) fn url(&self) -> String {
        self.lock().sqs.url.clone()
    }

    pub(super) fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(Wire(self.clone()))
    }

    /// Somebody sends messages after a while.
    pub(super) fn send_after(&self, time: Duration, count: usize, groups: u64) {
        let world = self.clone();
        self.1.after(time, move || {
            for _ in 0..count {
                world.send(groups);
            }
        });
    }

    /// Somebody sends messages of one group after a while.
    pub(crate) fn send_to_after(&self, time: Duration, count: usize, group: &'static str) {
        let world = self.clone();
        self.1.after(time, move || {
            for _ in 0..count {
                world.send_to(Some(group.to_owned()));
            }
        });
    }

    fn send(&self, groups: u64) {
        let group = (groups > 0).then(|| format!("g{}", self.lock().random.u64(..groups)));
        self.send_to(group);
    }

    fn send_to(&self, group: Option<String>) {
        let now = self.now();
        {
            let mut state = self.lock();
            let number = state.next_body;
            state.next_body += 1;
            let mut body = json!({"QueueUrl": state.sqs.url, "MessageBody": number.to_string()});
            if let Some(group) = group {
                body["MessageGroupId"] = group.into();
                body["MessageDeduplicationId"] = number.to_string().into();
            }
            state.sqs.call(Action::SendMessage, body.to_string().as_bytes(), now);
        }
        self.deliver();
    }

    /// The handler of messages receives them by itself, at once: their receipt handles.
    pub(super) fn receive(&self, most: usize, visibility: u32) -> Vec<String> {
        let now = self.now();
        let mut state = self.lock();
        let body = json!({"QueueUrl": state.sqs.url, "MaxNumberOfMessages": most, "WaitTimeSeconds": 0,
            "VisibilityTimeout": visibility});
        let outcome = state.sqs.call(Action::ReceiveMessage, body.to_string().as_bytes(), now);
        let Outcome::Answered(Ok(reply)) = outcome else { panic!("{outcome:?}") };
        state.note_received(Action::ReceiveMessage, &reply);
        messages(&reply).into_iter().map(|(handle, ..)| handle).collect()
    }

    /// It deletes one of them, past the client that keeps it.
    pub(super) fn delete(&self, handle: &str) {
        let now = self.now();
        let mut state = self.lock();
        let body = json!({"QueueUrl": state.sqs.url, "ReceiptHandle": handle});
        let outcome = state.sqs.call(Action::DeleteMessage, body.to_string().as_bytes(), now);
        assert!(matches!(outcome, Outcome::Answered(Ok(_))), "{outcome:?}");
    }

    /// The queue is given another visibility timeout after a while, in seconds.
    pub(super) fn set_visibility_after(&self, time: Duration, seconds: u32) {
        let world = self.clone();
        self.1.after(time, move || {
            let now = world.now();
            let mut state = world.lock();
            let body = json!({"QueueUrl": state.sqs.url, "Attributes": {"VisibilityTimeout": seconds.to_string()}});
            let outcome = state.sqs.call(Action::SetQueueAttributes, body.to_string().as_bytes(), now);
            assert!(matches!(outcome, Outcome::Answered(Ok(_))), "{outcome:?}");
        });
    }

    /// Another consumer takes what it can get after a while, holds it, and deletes some of it.
    pub(super) fn other_after(&self, time: Duration, visibility: u64, holds: Duration) {
        let world = self.clone();
        self.1.after(time, move || {
            let now = world.now();
            let handles = {
                let mut state = world.lock();
                let body = json!({"QueueUrl": state.sqs.url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0,
                    "VisibilityTimeout": visibility});
                let outcome = state.sqs.call(Action::ReceiveMessage, body.to_string().as_bytes(), now);
                let Outcome::Answered(Ok(reply)) = outcome else { return };
                let until = now + visibility * 1_000;
                let took = messages(&reply).into_iter().map(|(handle, body, _)| (handle, Others { until, body }));
                let took: BTreeMap<String, Others> = took.collect();
                state.others_took += took.len() as u64;
                state.others.extend(took.clone());
                took.into_keys().collect::<Vec<_>>()
            };
            let (scheduler, world) = (world.1.clone(), world.clone());
            scheduler.after(holds, move || world.other_ends(&handles));
        });
    }

    fn other_ends(&self, handles: &[String]) {
        let now = self.now();
        {
            let mut state = self.lock();
            for handle in handles {
                let other = state.others.remove(handle).unwrap();
                state.check_others(handle, &other, now);
                if state.random.bool() && now < other.until {
                    let body = json!({"QueueUrl": state.sqs.url, "ReceiptHandle": handle});
                    state.sqs.call(Action::DeleteMessage, body.to_string().as_bytes(), now);
                }
            }
        }
        self.deliver();
    }

    /// A request arrives at the service.
    fn arrives(
        &self,
        request: &Request,
        latency: u64,
        unanswered: bool,
        answer: oneshot::Sender<Result<Reply, Error>>,
    ) {
        let now = self.now();
        {
            let mut state = self.lock();
            state.note_arrival(request, now);
            let outcome = state.sqs.call(request.action, &request.body, now);
            match outcome {
                Outcome::Answered(_) if unanswered => {
                    drop(state);
                    self.fails(request.action, ms(latency) * 3, lost(), answer);
                }
                Outcome::Answered(outcome) => {
                    if let Ok(body) = &outcome {
                        state.note_received(request.action, body);
                    }
                    if request.action == Action::ReceiveMessage {
                        self.brings(ms(latency), outcome, answer);
                    } else {
                        self.answers(ms(latency), reply(outcome), answer);
                    }
                }
                Outcome::Waits(waiting, until) => {
                    state.waiting.push(Poll { waiting, until, answer: Some(answer), latency });
                    let world = self.clone();
                    self.1.after(ms(until - now), move || world.deliver());
                }
            }
        }
        self.deliver();
    }

    fn answers(&self, after: Duration, outcome: Result<Reply, Error>, answer: oneshot::Sender<Result<Reply, Error>>) {
        self.1.after(after, move || drop(answer.send(outcome)));
    }

    /// The answer to a ReceiveMessage is on its way.
    fn brings(
        &self,
        after: Duration,
        outcome: Result<Vec<u8>, Refused>,
        answer: oneshot::Sender<Result<Reply, Error>>,
    ) {
        let brought = outcome.as_ref().map(|body| messages(body)).unwrap_or_default();
        let world = self.clone();
        self.1.after(after, move || {
            world.trace(|| format!("a poll brings {:?}", brought.iter().map(|(_, body, _)| body).collect::<Vec<_>>()));
            if answer.send(reply(outcome)).is_err() {
                world.lock().stranded.extend(brought.into_iter().map(|(handle, ..)| handle));
            }
        });
    }

    /// As [`Self::answers`], with a failure.
    fn fails(
        &self,
        action: Action,
        after: Duration,
        outcome: Result<Reply, Error>,
        answer: oneshot::Sender<Result<Reply, Error>>,
    ) {
        let polls = matches!(action, Action::ReceiveMessage | Action::GetQueueAttributes);
        self.lock().doomed += u32::from(polls);
        let world = self.clone();
        self.1.after(after, move || {
            world.lock().doomed -= u32::from(polls);
            drop(answer.send(outcome));
        });
    }

    /// Long polls that have something, or whose time is up, are answered.
    pub(super) fn deliver(&self) {
        let now = self.now();
        let mut state = self.lock();
        state.sqs.tick(now);
        let mut waiting = std::mem::take(&mut state.waiting);
        let mut stranded = Vec::new();
        waiting.retain_mut(|poll| {
            if poll.answer.as_ref().is_none_or(oneshot::Sender::is_closed) {
                // The service notices it too late to keep what it has just handed out.
                let brought = poll.waiting.answer().and_then(Result::ok).map(|body| messages(&body));
                stranded.extend(brought.into_iter().flatten().map(|(handle, ..)| handle));
                return false;
            }
            let outcome = match poll.waiting.answer() {
                Some(outcome) => outcome,
                None if poll.until <= now => Ok(b"{}".to_vec()),
                None => return true,
            };
            if let Ok(body) = &outcome {
                state.note_received(Action::ReceiveMessage, body);
            }
            if let Some(answer) = poll.answer.take() {
                self.brings(ms(poll.latency), outcome, answer);
            }
            false
        });
        state.waiting.append(&mut waiting);
        state.stranded.extend(stranded);
        // A poll that waits is served when something becomes visible.
        let next = state.sqs.next_event().map(|next| next.max(now + 1));
        if let Some(next) = next.filter(|next| state.looks.is_none_or(|looks| *next < looks)) {
            state.looks = Some(next);
            let world = self.clone();
            drop(state);
            self.1.after(ms(next - now), move || {
                world.lock().looks.take_if(|looks| *looks == next);
                world.deliver();
            });
        }
    }
}

impl WorldState {
    /// Whether a delete has left for this message.
    pub(crate) fn deletes_message(&self, body: &str) -> bool {
        self.deleting.contains(body)
    }

    /// Whether a delete has left for the message of this handle.
    pub(super) fn deletes(&self, handle: &str) -> bool {
        self.received.get(handle).is_some_and(|body| self.deleting.contains(body))
    }

    /// How many polls the service has waiting.
    pub(super) fn polls(&self) -> usize {
        self.waiting.iter().filter(|poll| poll.answer.as_ref().is_some_and(|answer| !answer.is_closed())).count()
    }

    fn note_received(&mut self, action: Action, body: &[u8]) {
        if action == Action::ReceiveMessage {
            self.received.extend(messages(body).into_iter().map(|(handle, body, _)| (handle, body)));
        }
    }

    /// Nothing of others' is disturbed.
    fn check_others(&mut self, handle: &str, other: &Others, now: u64) {
        let until = other.until;
        if now < until && !self.was_late && !self.is_released(&other.body, now) {
            let standing = self.sqs.standing(handle, now);
            assert_eq!(standing, Standing::Ours(until), "another consumer's message was disturbed, at {now} ms");
        }
    }

    pub(super) fn check_all_others(&mut self, now: u64) {
        for (handle, other) in self.others.clone() {
            self.check_others(&handle, &other, now);
        }
    }

    /// Whether the handler that had this handle has changed its message's visibility timeout by itself.
    pub(crate) fn is_changed(&self, handle: &str) -> bool {
        self.own.contains_key(handle)
    }

    /// Whether that change has not reached the service yet.
    pub(crate) fn is_changing(&self, handle: &str) -> bool {
        self.own.get(handle).is_some_and(|change| !change.arrived)
    }

    /// A request reaches the service. What a handler asks for is done, or comes too late.
    fn note_arrival(&mut self, request: &Request, now: u64) {
        let changes = matches!(request.action, Action::ChangeMessageVisibility | Action::ChangeMessageVisibilityBatch);
        if self.own.is_empty() || !changes {
            return;
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        for handle in entries_of(&body).iter().filter_map(|entry| entry["ReceiptHandle"].as_str()) {
            let ours = matches!(self.sqs.standing(handle, now), Standing::Ours(_));
            if let Some(change) = self.own.get_mut(handle) {
                change.arrived = true;
                change.until = if ours { change.until } else { change.until.min(now) };
            }
        }
    }

    /// Whether a handler has let this message become visible by itself: then two may have it.
    pub(crate) fn is_released(&self, body: &str, now: u64) -> bool {
        self.own.values().any(|change| change.body == body && change.until <= now)
    }

    /// The same, of a message by the handle with which it was received here.
    pub(crate) fn is_released_by(&self, handle: &str, now: u64) -> bool {
        !self.own.is_empty() && self.received.get(handle).is_some_and(|body| self.is_released(body, now))
    }

    /// What a handler asks for by itself does not reach the service, or nobody knows: it may be visible at any time.
    fn note_own_failure(&mut self, body: &Value, now: u64) {
        for entry in entries_of(body) {
            if let Some(change) = entry["ReceiptHandle"].as_str().and_then(|handle| self.own.get_mut(handle)) {
                change.until = change.until.min(now);
            }
        }
    }

    /// At the moment when a request leaves: it is about what is ours.
    fn check_leaves(&mut self, request: &Request, now: u64) {
        if !matches!(
            request.action,
            Action::DeleteMessage
                | Action::DeleteMessageBatch
                | Action::ChangeMessageVisibility
                | Action::ChangeMessageVisibilityBatch
        ) {
            return;
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        for entry in entries_of(&body) {
            let handle = entry["ReceiptHandle"].as_str().unwrap();
            let change = entry["VisibilityTimeout"].as_u64();
            let ours = matches!(self.sqs.standing(handle, now), Standing::Ours(_));
            if let (Some(own), Some(seconds), true) = (self.own.get(handle), change, self.is_prompt && ours) {
                // What was asked for just before may still be on its way out.
                let theirs = seconds == u64::from(own.seconds) || now <= own.at + 100;
                assert!(theirs, "{seconds} s are asked for at {now} ms, its handler wanted {own:?}");
            }
            if matches!(request.action, Action::DeleteMessage | Action::DeleteMessageBatch) {
                self.deleting.extend(self.received.get(handle).cloned());
            }
            let own = self.is_changing(handle) || self.is_released_by(handle, now);
            if self.was_late || self.unknown.contains(handle) || own {
                continue;
            }
            let standing = self.sqs.standing(handle, now);
            let ours = matches!(standing, Standing::Deleted | Standing::Ours(_));
            assert!(ours, "{:?} left at {now} ms for a message that is {standing:?}", request.action);
        }
    }
}

fn entries_of(body: &Value) -> &[Value] {
    body["Entries"].as_array().map_or(std::slice::from_ref(body), Vec::as_slice)
}

/// Handle, body and group of each message of a reply.
pub(super) fn messages(reply: &[u8]) -> Vec<(String, String, Option<String>)> {
    let reply: Value = serde_json::from_slice(reply).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let messages = reply["Messages"].as_array().cloned().unwrap_or_default();
    messages
        .iter()
        .map(|message| {
            let group = text(&message["Attributes"]["MessageGroupId"]);
            (text(&message["ReceiptHandle"]).unwrap(), text(&message["Body"]).unwrap(), group)
        })
        .collect()
}

#[derive(Debug)]
struct Wire(World);

impl Transport for Wire {
    fn send(&self, request: Request) -> ResponseFuture<Reply> {
        let world = self.0.clone();
        let (answer, answered) = oneshot::channel();
        let now = world.now();
        let mut guard = world.lock();
        let state = &mut *guard;
        state.requests += 1;
        state.check_leaves(&request, now);
        let faults = match request.action {
            Action::ReceiveMessage | Action::GetQueueAttributes => state.way.polls,
            Action::ChangeMessageVisibility | Action::ChangeMessageVisibilityBatch => state.way.extensions,
            _ => state.way.deletes,
        };
        let mut struck = |of: u64| of > 0 && state.random.u64(..1_000) < of;
        let latency = state.way.latency;
        let out = world.1.elapsed() < state.out_until;
        let (throttled, denied, lost_there) =
            (struck(faults.throttled), struck(faults.denied), out || struck(faults.lost));
        let (unanswered, hangs) = (struck(faults.unanswered), struck(faults.hangs));
        if unanswered {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let handles = entries_of(&body).iter().filter_map(|entry| entry["ReceiptHandle"].as_str());
            state.unknown.extend(handles.map(str::to_owned));
        }
        let extra = if faults.late > 0 { state.random.u64(..=faults.late) } else { 0 };
        state.was_late |= extra > 0;
        if !state.own.is_empty() && (throttled || denied || lost_there || unanswered || hangs) {
            state.note_own_failure(&serde_json::from_slice(&request.body).unwrap(), now);
        }
        let refused = if request.action == Action::ReceiveMessage { state.refusal.take() } else { None };
        drop(guard);
        world.trace(|| {
            let fares = if hangs {
                "hangs"
            } else if lost_there {
                "is lost"
            } else {
                "leaves"
            };
            format!("{} {fares}: {}", request.action.operation().name, String::from_utf8_lossy(&request.body))
        });
        if let Some((status, code)) = refused {
            world.fails(request.action, ms(latency * 2), refusal(status, code), answer);
        } else if hangs {
            world.fails(request.action, request.attempt_limit().unwrap_or(HANGS).min(HANGS), lost(), answer);
        } else if lost_there {
            world.fails(request.action, ms(latency * 3), lost(), answer);
        } else if throttled {
            world.fails(request.action, ms(latency * 2), refusal(400, "RequestThrottled"), answer);
        } else if denied {
            world.fails(request.action, ms(latency * 2), refusal(403, "AccessDenied"), answer);
        } else {
            let (there, scheduler) = (world.clone(), world.1.clone());
            let arrives = move || there.arrives(&request, latency, unanswered, answer);
            scheduler.after(ms(latency + extra), arrives);
        }
        Box::pin(async move { answered.await.unwrap_or_else(|_| lost()) })
    }

    fn presign(&self, _: Presign) -> ResponseFuture<String> {
        unreachable!("nothing is signed here")
    }

    fn credentials(&self) -> ResponseFuture<Option<StaticCredentials>> {
        unreachable!("nothing is signed here")
    }

    fn retry(&self, attempts: u32, _: Retry) -> Option<Duration> {
        (attempts < MAX_ATTEMPTS).then_some(ms(50))
    }

    fn recovered(&self, _: Retry) {}

    fn renew_credentials(&self) {
        self.0.lock().renewals += 1;
    }
}

fn reply(outcome: Result<Vec<u8>, Refused>) -> Result<Reply, Error> {
    match outcome {
        Ok(body) => Ok(Reply {
            status: 200,
            headers: ReplyHeaders::none(),
            body: Bytes::from(body),
            attempts: 1,
            max_attempts: MAX_ATTEMPTS,
            is_legacy: false,
        }),
        Err(Refused { status, code }) => refusal(status, &code),
    }
}

fn lost() -> Result<Reply, Error> {
    Err(Error::Lost(Box::new(Lost { failure: Failure::Closed, url: "http://q".into(), detail: "gone".into() })))
}
