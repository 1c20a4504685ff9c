//! Many messages from somebody who does not wait for each answer.
//!
//! Entries go into windows of the writer's own, which fill up before they leave. How much may be unanswered is bounded;
//! what failed is kept, entry and error, until it is asked for.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::Limits;
use super::batcher::own_changes::Pollers;
use super::batcher::{Batcher, Batchers};
use crate::config::Batching;
use crate::protocol::entry::{Entry, QueueUrl, Single};
use crate::protocol::error::Error;
use crate::protocol::message::Reply;
use crate::runtime::admission::UnansweredEntries;
use crate::runtime::lock::{lock, wait_timeout_while};
use crate::runtime::responder::{Responder, Sink, WaitList};

/// How long a batch that does not fill up waits for more.
const LINGER: Duration = Duration::from_millis(100);

/// A writer: entries from one caller, their batchers, and the failures among their answers.
///
/// It is of use only in the process that made it: what it holds is that one's to send.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: QueueUrl,
    limits: Limits,
    source: Arc<Batchers>,
    pollers: Arc<Pollers>,
    /// One for each action that has been used.
    batchers: Mutex<Vec<Arc<Batcher>>>,
    back_pressure: Arc<BackPressure>,
}

/// An entry that was not accepted.
#[derive(Debug)]
pub(crate) struct Unsent {
    /// Counted from 0, over all entries of the writer.
    pub position: u64,
    pub action: Single,
    /// As the entry was given: see [`Entry::members`]. `None` if it was lost with its task.
    pub members: Option<Box<[u8]>>,
    pub error: Error,
}

/// The bound on what a writer may have unanswered.
#[derive(Debug)]
struct BackPressure {
    bounds: Batching,
    state: Mutex<WriterState>,
    /// Notified when what a thread waits for has come.
    capacity_changed: Condvar,
}

/// What a writer has unanswered, and who waits for less.
#[derive(Debug, Default)]
struct WriterState {
    submitted: u64,
    unanswered: UnansweredEntries,
    failures: Vec<Unsent>,
    waiting: Option<WaitFor>,
    /// Callers that are to be told rather than wait, and of what.
    responders: WaitList<WaitFor>,
}

/// What there is to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitFor {
    /// Room for an entry of so many bytes, and some more.
    Room(usize),
    /// All answers.
    Answers,
}

impl Writer {
    pub(crate) fn new(source: Arc<Batchers>, pollers: Arc<Pollers>, queue: Vec<u8>, bounds: Batching) -> Writer {
        let limits = source.limits();
        Writer {
            queue: queue.into(),
            limits: Limits { linger: LINGER.max(limits.linger), at_once: false, ..limits },
            source,
            pollers,
            batchers: Mutex::default(),
            back_pressure: Arc::new(BackPressure { bounds, state: Mutex::default(), capacity_changed: Condvar::new() }),
        }
    }

    /// Take an entry, if there is room for it; otherwise it comes back, and [`Writer::wait_for_room`] is the thing to do.
    pub(crate) fn put(&self, action: Single, entry: Entry) -> Result<Option<Entry>, Error> {
        let batcher = self.batcher(action);
        let weight = weight(&entry);
        let Some(position) = self.back_pressure.admit(weight) else { return Ok(Some(entry)) };
        let sink = EntrySink { back_pressure: Arc::clone(&self.back_pressure), position, action, weight };
        self.pollers.note_entry(action, &entry);
        batcher.enter(entry, Responder::new(sink))?;
        Ok(None)
    }

    /// Wait until there is room, at most `timeout` long; whether there is.
    pub(crate) fn wait_for_room(&self, weight: usize, timeout: Duration) -> Result<bool, Error> {
        // Whoever waits brings nothing that could join what lingers.
        self.flush()?;
        Ok(self.back_pressure.wait(WaitFor::Room(weight), timeout))
    }

    /// Let everything leave that was given.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        lock(&self.batchers).iter().try_for_each(Batcher::let_go)
    }

    /// Wait until everything that was given is answered, at most `timeout` long; whether it is.
    pub(crate) fn wait_for_answers(&self, timeout: Duration) -> bool {
        self.back_pressure.wait(WaitFor::Answers, timeout)
    }

    /// Have a caller told when there is nothing to wait for: at once, or when enough has been answered. Then it has a number.
    pub(crate) fn tell(&self, wait: WaitFor, responder: Responder<()>) -> Result<Option<u64>, Error> {
        self.flush()?;
        let mut state = self.back_pressure.lock();
        if self.back_pressure.is_satisfied(&state, wait) {
            drop(state);
            responder.respond(Ok(()));
            return Ok(None);
        }
        Ok(Some(state.responders.push(wait, responder)))
    }

    /// A caller does not want to be told any more.
    pub(crate) fn withdraw(&self, number: u64) {
        let withdrawn = self.back_pressure.lock().responders.withdraw(number);
        // Outside of the lock: it answers.
        drop(withdrawn);
    }

    /// How many entries were given, and how many of them have been answered.
    pub(crate) fn progress(&self) -> (u64, u64) {
        let state = self.back_pressure.lock();
        (state.submitted, state.submitted - state.unanswered.entries as u64)
    }

    /// Whether so much has failed that the caller should hear of it before it gives more.
    pub(crate) fn is_failing(&self) -> bool {
        self.back_pressure.lock().failures.len() >= self.back_pressure.bounds.max_waiting
    }

    /// Whether something is unanswered, or a failure untold.
    pub(crate) fn is_unfinished(&self) -> bool {
        let state = self.back_pressure.lock();
        state.unanswered.entries > 0 || !state.failures.is_empty()
    }

    /// What has failed so far, in the order in which it was given. It is not told again.
    pub(crate) fn take_failures(&self) -> Vec<Unsent> {
        let mut failures = std::mem::take(&mut self.back_pressure.lock().failures);
        failures.sort_by_key(|failure| failure.position);
        failures
    }

    pub(crate) fn queue(&self) -> &[u8] {
        &self.queue
    }

    fn batcher(&self, action: Single) -> Arc<Batcher> {
        let mut batchers = lock(&self.batchers);
        if let Some(batcher) = batchers.iter().find(|batcher| batcher.action() == action) {
            return Arc::clone(batcher);
        }
        let batcher = self.source.make(action, Arc::clone(&self.queue), self.limits);
        batchers.push(Arc::clone(&batcher));
        batcher
    }
}

impl BackPressure {
    fn lock(&self) -> MutexGuard<'_, WriterState> {
        lock(&self.state)
    }

    /// Count an entry in, unless there is too much already.
    fn admit(&self, weight: usize) -> Option<u64> {
        let mut state = self.lock();
        if !state.unanswered.fits(weight, &self.bounds) {
            return None;
        }
        state.unanswered.add(weight);
        state.submitted += 1;
        Some(state.submitted - 1)
    }

    fn wait(&self, wait: WaitFor, timeout: Duration) -> bool {
        let mut state = self.lock();
        state.waiting = Some(wait);
        let unsatisfied = |state: &mut WriterState| !self.is_satisfied(state, wait);
        let mut state = wait_timeout_while(&self.capacity_changed, state, timeout, unsatisfied);
        state.waiting = None;
        self.is_satisfied(&state, wait)
    }

    fn is_satisfied(&self, state: &WriterState, wait: WaitFor) -> bool {
        match wait {
            WaitFor::Room(weight) => state.unanswered.fits_again(weight, &self.bounds),
            WaitFor::Answers => state.unanswered.entries == 0,
        }
    }
}

/// What an entry weighs while it is unanswered.
fn weight(entry: &Entry) -> usize {
    entry.members.len()
}

/// The sink of one entry of a writer: it counts the answer.
struct EntrySink {
    back_pressure: Arc<BackPressure>,
    position: u64,
    action: Single,
    weight: usize,
}

impl EntrySink {
    fn count(&self, failure: Option<(Error, Option<Box<[u8]>>)>) {
        let mut state = self.back_pressure.lock();
        state.unanswered.remove(self.weight);
        if let Some((error, members)) = failure {
            let (position, action) = (self.position, self.action);
            state.failures.push(Unsent { position, action, members, error });
        }
        let wake = state.waiting.is_some_and(|wait| self.back_pressure.is_satisfied(&state, wait));
        let mut responders = std::mem::take(&mut state.responders);
        let told = responders.take_if(|wait| self.back_pressure.is_satisfied(&state, *wait));
        state.responders = responders;
        drop(state);
        told.into_iter().for_each(|responder| responder.respond(Ok(())));
        if wake {
            self.back_pressure.capacity_changed.notify_all();
        }
    }
}

impl Sink<Reply> for EntrySink {
    fn deliver(self: Box<Self>, answer: Result<Reply, Error>) {
        self.count(answer.err().map(|error| (error, None)));
    }

    fn fail(self: Box<Self>, error: Error, members: Box<[u8]>) {
        self.count(Some((error, Some(members))));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Action;
    use crate::send::{MAX_BYTES, MAX_ENTRIES};
    use crate::stats::Stats;
    use crate::transport::scripted::{Scripted, TIMEOUT, bodies, echo, refusal, reply};

    const BOUNDS: Batching =
        Batching { linger: Duration::ZERO, max_in_flight: 4, max_waiting: 40, max_waiting_bytes: 4000 };

    fn writer(transport: &Arc<Scripted>) -> Writer {
        let limits = Limits {
            entries: MAX_ENTRIES,
            bytes: MAX_BYTES,
            linger: BOUNDS.linger,
            max_in_flight: BOUNDS.max_in_flight,
            at_once: true,
        };
        let batchers = Batchers::new(transport.transport(), Arc::new(Stats::new()), limits);
        Writer::new(Arc::new(batchers), Arc::default(), b"\"q\"".to_vec(), BOUNDS)
    }

    fn entry(body: &str) -> Entry {
        Entry {
            members: format!(r#""MessageBody":"{body}"}}"#).into_bytes().into(),
            size: body.len(),
            group: None,
            not_after: None,
            trace: None,
            tag: 0,
        }
    }

    fn put(writer: &Writer, body: &str) -> bool {
        writer.put(Single::SendMessage, entry(body)).unwrap().is_none()
    }

    #[test]
    fn batches_are_full_though_nothing_is_in_flight() {
        let transport = Scripted::new(false, echo);
        let writer = writer(&transport);
        for number in 0..23 {
            assert!(put(&writer, &number.to_string()));
        }
        writer.flush().unwrap();
        assert!(writer.wait_for_answers(TIMEOUT));
        let mut sizes: Vec<usize> = transport.seen_bodies().iter().map(Vec::len).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [3, 10, 10]);
        assert_eq!(writer.progress(), (23, 23));
    }

    #[test]
    fn there_is_room_for_so_many_and_so_much() {
        let transport = Scripted::new(true, echo);
        let by_count = writer(&transport);
        let taken = (0..100).take_while(|number| put(&by_count, &number.to_string())).count();
        assert_eq!(taken, BOUNDS.max_waiting);
        assert!(!by_count.wait_for_room(1, Duration::from_millis(5)).unwrap());
        let by_bytes = writer(&transport);
        assert!(put(&by_bytes, &"x".repeat(9000)), "one that is too large for all the room goes alone");
        assert!(!put(&by_bytes, "y"));
        transport.let_through(1000);
        assert!(by_count.wait_for_room(1, TIMEOUT).unwrap() && put(&by_count, "again"));
        assert!(by_bytes.wait_for_room(1, TIMEOUT).unwrap() && put(&by_bytes, "again"));
    }

    #[test]
    fn what_failed_comes_back_in_order_with_its_entry() {
        let transport = Scripted::new(false, |action, request| {
            let bodies = bodies(request);
            let fails = |body: &str| body.parse::<u32>().is_ok_and(|number| number % 7 == 0);
            if action == Action::SendMessage {
                assert!(fails(&bodies[0]), "asked for alone without need: {bodies:?}");
                return refusal(400, "Bad");
            }
            let failed = |id: usize| json!({"Id": id.to_string(), "SenderFault": true, "Code": "Bad", "Message": "m"});
            let taken = |id: usize| json!({"Id": id.to_string(), "MessageId": "m", "MD5OfMessageBody": "x"});
            let places = |bad: bool| bodies.iter().enumerate().filter(move |(_, body)| fails(body) == bad);
            reply(&json!({
                "Successful": places(false).map(|(id, _)| taken(id)).collect::<Vec<_>>(),
                "Failed": places(true).map(|(id, _)| failed(id)).collect::<Vec<_>>(),
            }))
        });
        let writer = writer(&transport);
        for number in 0..30 {
            assert!(put(&writer, &number.to_string()));
        }
        assert!(writer.wait_for_answers(TIMEOUT));
        let failures = writer.take_failures();
        let told: Vec<_> = failures.iter().map(|it| (it.position, it.members.clone().unwrap())).collect();
        let expected: Vec<_> = (0..30).step_by(7).map(|number| (number, entry(&number.to_string()).members)).collect();
        assert_eq!(told, expected);
        assert!(matches!(&failures[0].error, Error::Service(error) if error.code == "Bad"));
        assert!(writer.take_failures().is_empty(), "told once");
    }
}
