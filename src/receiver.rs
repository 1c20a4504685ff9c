//! The driver of shared receives: calls in, requests out, each caller its part of the reply.
//!
//! As with batchers, no task runs the machine: whoever makes something happen holds the lock for that moment and sets
//! going what follows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::batch::receives::{Left, Outcome, Receives, Send};
use crate::batcher::{Batchers, Entry, Single};
use crate::caller::{Caller, Sink};
use crate::error::Error;
use crate::model::Action;
use crate::runtime::{self, Reactor, Task};
use crate::stats::Stats;
use crate::transport::{Reply, Request, Transport};

pub mod call;

pub use call::{Call, Key};

/// How long a poll that nobody waits for any more may take to come back by itself. To break it off may cost messages that
/// are on their way: nobody would see them before their visibility timeout is over.
pub const GRACE: Duration = Duration::from_secs(1);

/// The shared receives of one client in one process.
#[derive(Debug)]
pub struct Receivers {
    transport: Arc<dyn Transport>,
    batchers: Arc<Batchers>,
    stats: Arc<Stats>,
    linger: Duration,
    began: Instant,
    lines: Mutex<HashMap<Key, Line>>,
    /// Never given twice: a line that has ended begins anew, and one who leaves late must not be taken for another.
    next_caller: AtomicU64,
}

/// The calls of one key, for as long as there are any.
#[derive(Debug)]
struct Line {
    machine: Receives,
    queue: Arc<[u8]>,
    callers: HashMap<u64, Waiting>,
    /// Requests under way.
    tasks: HashMap<u64, Task>,
    /// When a task will look again, if one will.
    timer: Option<Duration>,
}

#[derive(Debug)]
struct Waiting {
    caller: Caller<Reply>,
    /// The call as it was made.
    request: Request,
}

/// A call that was set going.
#[derive(Debug)]
pub struct Received {
    receivers: Arc<Receivers>,
    key: Key,
    id: u64,
}

impl Received {
    /// Its caller does not wait any more. What was to be its part of a reply goes to another who waits, or back to the queue.
    pub fn leave(&self) {
        let mut lines = self.receivers.lock();
        let Some(line) = lines.get_mut(&self.key) else { return };
        let gone = line.callers.remove(&self.id);
        let orphan = match line.machine.leave(self.id) {
            Left::Orphaned(request) => line.tasks.get(&request).cloned(),
            Left::Quietly | Left::Unknown => None,
        };
        self.receivers.forget_if_idle(&mut lines, &self.key);
        drop(lines);
        drop(gone);
        if let (Some(task), Ok(reactor)) = (orphan, runtime::handle()) {
            reactor.spawn(async move {
                runtime::sleep(GRACE).await;
                task.abort();
            });
        }
    }
}

impl Receivers {
    /// `linger` is how long a call waits for company while others are under way.
    pub fn new(
        transport: Arc<dyn Transport>,
        batchers: Arc<Batchers>,
        stats: Arc<Stats>,
        linger: Duration,
    ) -> Receivers {
        Receivers {
            transport,
            batchers,
            stats,
            linger,
            began: runtime::now(),
            lines: Mutex::default(),
            next_caller: AtomicU64::new(0),
        }
    }

    /// Calls that were made at the same moment: they share if they can.
    pub fn enter(self: &Arc<Self>, calls: Vec<(Call, Request, Caller<Reply>)>) -> Result<Vec<Received>, Error> {
        let reactor = runtime::handle()?;
        let now = self.now();
        let mut lines = self.lock();
        let mut received: Vec<Received> = Vec::with_capacity(calls.len());
        for (call, request, caller) in calls {
            let line = lines.entry(call.key.clone()).or_insert_with(|| Line::new(&call, self.linger));
            let id = self.next_caller.fetch_add(1, Ordering::Relaxed);
            line.callers.insert(id, Waiting { caller, request });
            self.stats.entered(Action::ReceiveMessage);
            line.machine.arrive(now, id, call.want, call.wait);
            received.push(Received { receivers: Arc::clone(self), key: call.key, id });
        }
        for Received { key, .. } in &received {
            if let Some(line) = lines.get_mut(key) {
                let sends = line.machine.tick(now);
                self.go(&reactor, key, line, sends);
            }
        }
        Ok(received)
    }

    /// Set going what leaves now, and see to it that somebody looks again in time.
    fn go(self: &Arc<Self>, reactor: &Reactor, key: &Key, line: &mut Line, sends: Vec<Send>) {
        for send in sends {
            let own = send.own.and_then(|id| line.callers.get(&id)).map(|waiting| waiting.request.clone());
            let request = own.unwrap_or_else(|| call::request(key, &send));
            let flight = Flight { receivers: Arc::clone(self), key: key.clone(), request: Some(send.request) };
            let transport = Arc::clone(&self.transport);
            let task = reactor.spawn(async move { flight.returned(transport.send(request).await) });
            line.tasks.insert(send.request, task);
        }
        let due = line.machine.next_tick().filter(|due| line.timer.is_none_or(|timer| *due < timer));
        if let Some(due) = due {
            line.timer = Some(due);
            reactor.spawn(Arc::clone(self).look_again(key.clone(), due));
        }
    }

    async fn look_again(self: Arc<Self>, key: Key, due: Duration) {
        runtime::sleep_until(self.began + due).await;
        let now = self.now();
        let mut lines = self.lock();
        let Some(line) = lines.get_mut(&key) else { return };
        if line.timer == Some(due) {
            line.timer = None;
        }
        let sends = line.machine.tick(now);
        if let Ok(reactor) = runtime::current() {
            self.go(&reactor, &key, line, sends);
        }
    }

    fn settle(self: &Arc<Self>, reactor: &Reactor, key: &Key, request: u64, answer: Result<Reply, Error>) {
        let now = self.now();
        let mut lines = self.lock();
        let Some(line) = lines.get_mut(key) else { return };
        line.tasks.remove(&request);
        let queue = Arc::clone(&line.queue);
        let (told, surplus, sends) = match answer {
            Ok(reply) => line.divide(now, request, &reply),
            Err(error) => {
                let (callers, sends) = line.machine.failed(now, request);
                (callers.into_iter().map(|id| (id, Err(error.clone()))).collect(), Vec::new(), sends)
            }
        };
        let told: Vec<_> =
            told.into_iter().filter_map(|(id, answer)| Some((line.callers.remove(&id)?.caller, answer))).collect();
        self.go(reactor, key, line, sends);
        self.forget_if_idle(&mut lines, key);
        drop(lines);
        for (caller, answer) in told {
            caller.answer(answer);
        }
        give_back(&self.batchers, &queue, surplus);
    }

    fn forget_if_idle(&self, lines: &mut HashMap<Key, Line>, key: &Key) {
        if lines.get(key).is_some_and(|line| line.machine.is_idle()) {
            lines.remove(key);
        }
    }

    fn now(&self) -> Duration {
        runtime::now().saturating_duration_since(self.began)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Callers and their answers, receipt handles that nobody wants, requests to send.
type Division = (Vec<(u64, Result<Reply, Error>)>, Vec<String>, Vec<Send>);

impl Line {
    fn new(call: &Call, linger: Duration) -> Line {
        Line {
            machine: Receives::new(call.key.patience, linger),
            queue: Arc::clone(&call.queue),
            callers: HashMap::new(),
            tasks: HashMap::new(),
            timer: None,
        }
    }

    fn divide(&mut self, now: Duration, request: u64, reply: &Reply) -> Division {
        let messages = call::messages(&reply.body);
        // A reply that cannot be cut is one caller's whole: there is no telling what is in it.
        let count = messages.as_ref().map_or(1, Vec::len);
        let Outcome { answers, surplus, sends } = self.machine.returned(now, request, count);
        let answers = answers.into_iter().map(|(id, range)| {
            let part = match &messages {
                Some(messages) if range.len() < count => call::part(reply, messages.get(range).unwrap_or_default()),
                _ => reply.clone(),
            };
            (id, Ok(part))
        });
        let unwanted = messages.iter().flat_map(|messages| messages.get(surplus.clone()).unwrap_or_default());
        let handles = unwanted.filter_map(|message| call::receipt_handle(message)).map(str::to_owned).collect();
        (answers.collect(), handles, sends)
    }
}

/// A request under way. Its callers are told even if its task ends before its time.
struct Flight {
    receivers: Arc<Receivers>,
    key: Key,
    request: Option<u64>,
}

impl Flight {
    fn returned(mut self, answer: Result<Reply, Error>) {
        self.settle(answer);
    }

    fn settle(&mut self, answer: Result<Reply, Error>) {
        if let (Some(request), Ok(reactor)) = (self.request.take(), runtime::current()) {
            self.receivers.settle(&reactor, &self.key, request, answer);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.settle(Err(Error::Runtime("the request was given up".into())));
    }
}

/// Make messages visible again that were received for nobody. `handles` are JSON.
fn give_back(batchers: &Batchers, queue: &[u8], handles: Vec<String>) {
    if handles.is_empty() {
        return;
    }
    let entries = handles.into_iter().map(|handle| (visibility(&handle, 0), Caller::new(Unheard))).collect();
    // Where nothing can be sent any more they become visible by themselves, when their time is over.
    drop(batchers.of(Single::ChangeMessageVisibility, queue).enter_all(entries));
}

/// An entry that changes a message's visibility. The handle is JSON.
pub fn visibility(handle: &str, seconds: u32) -> Entry {
    let members = format!("\"ReceiptHandle\":{handle},\"VisibilityTimeout\":{seconds}}}");
    Entry { members: members.into_bytes().into(), size: 0, group: None, not_after: None }
}

/// Nobody waits for this answer: a message that cannot be given back comes back when its time is over.
struct Unheard;

impl Sink<Reply> for Unheard {
    fn deliver(self: Box<Self>, _: Result<Reply, Error>) {}
}

#[cfg(test)]
#[path = "receiver/tests.rs"]
mod tests;
