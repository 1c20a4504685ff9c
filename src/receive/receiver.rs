//! The driver of shared receives: calls in, requests out, each caller its part of the reply.
//!
//! As with batchers, no task runs the machine: whoever makes something happen holds the lock for that moment and sets
//! going what follows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::call::{ReceiveCall, ShareKey};
use super::sharing::{Left, ReceiveOutcome, ReceiveRequest, SharedReceives};
use crate::model::Action;
use crate::protocol::billing::{self, Rate};
use crate::protocol::entry::{Single, visibility};
use crate::protocol::error::Error;
use crate::protocol::message::{Reply, Request};
use crate::protocol::slices;
use crate::receive::call;
use crate::runtime::lock::lock;
use crate::runtime::responder::{Responder, Sink};
use crate::runtime::{self, CallerDriven, Reactor, Task};
use crate::send::batcher::Batchers;
use crate::stats::Stats;
use crate::transport::Transport;

/// How long a poll that nobody waits for any more may take to come back by itself. To break it off may cost messages that
/// are on their way: nobody would see them before their visibility timeout is over.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// The shared receives of one client in one process.
#[derive(Debug)]
pub(crate) struct Receivers {
    transport: Arc<dyn Transport>,
    batchers: Arc<Batchers>,
    stats: Arc<Stats>,
    linger: Duration,
    began: Instant,
    shared_polls: Mutex<HashMap<ShareKey, SharedPoll>>,
    /// The next number of a caller. Never given twice: a shared poll that has ended begins anew, and one who leaves late must
    /// not be taken for another.
    next_caller: AtomicU64,
}

/// The calls of one key, for as long as there are any.
#[derive(Debug)]
struct SharedPoll {
    machine: SharedReceives,
    callers: HashMap<u64, WaitingCall>,
    /// Requests under way.
    tasks: HashMap<u64, Task>,
    /// When a task will look again, if one will.
    timer: Option<Duration>,
}

/// A call that waits for its part of a reply.
#[derive(Debug)]
struct WaitingCall {
    responder: Responder<Reply>,
    /// The call as it was made.
    request: Request,
}

/// A call that was set going.
#[derive(Debug)]
pub(crate) struct EnteredReceive {
    receivers: Arc<Receivers>,
    key: ShareKey,
    id: u64,
}

impl EnteredReceive {
    /// The reactor goes on with a request that this call's thread has driven so far.
    pub(crate) fn hand_over(&self, reactor: &Reactor, request: u64, driven: CallerDriven) {
        // With the lock held it cannot come to its end before it is known.
        let mut shared_polls = self.receivers.lock();
        let task = reactor.spawn(driven);
        if let Some(shared_poll) = shared_polls.get_mut(&self.key) {
            shared_poll.tasks.insert(request, task);
        }
    }

    /// Its caller does not wait any more. What was to be its part of a reply goes to another who waits, or back to the queue.
    pub(crate) fn leave(&self) {
        let mut shared_polls = self.receivers.lock();
        let Some(shared_poll) = shared_polls.get_mut(&self.key) else { return };
        let gone = shared_poll.callers.remove(&self.id);
        let orphan = match shared_poll.machine.leave(self.id) {
            Left::Orphaned(request) => shared_poll.tasks.get(&request).cloned(),
            Left::Quietly | Left::Unknown => None,
        };
        self.receivers.forget_if_idle(&mut shared_polls, &self.key);
        drop(shared_polls);
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
    /// `linger` is how long a call lingers while others are under way.
    pub(crate) fn new(
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
            shared_polls: Mutex::default(),
            next_caller: AtomicU64::new(0),
        }
    }

    /// Calls that were made at the same moment: they share if they can.
    pub(crate) fn enter(
        self: &Arc<Self>,
        calls: Vec<(ReceiveCall, Request, Responder<Reply>)>,
    ) -> Result<Vec<EnteredReceive>, Error> {
        let reactor = runtime::handle()?;
        let now = self.now();
        let mut shared_polls = self.lock();
        let mut received: Vec<EnteredReceive> = Vec::with_capacity(calls.len());
        for (call, request, responder) in calls {
            received.push(self.arrive(&mut shared_polls, now, call, request, responder).0);
        }
        for EnteredReceive { key, .. } in &received {
            if let Some(shared_poll) = shared_polls.get_mut(key) {
                let sends = shared_poll.machine.tick(now);
                self.go(&reactor, key, shared_poll, sends);
            }
        }
        Ok(received)
    }

    /// A call of one who waits for the answer: if nothing else leaves now, its request is the caller's to drive.
    pub(crate) fn enter_waiting(
        self: &Arc<Self>,
        call: ReceiveCall,
        request: Request,
        responder: Responder<Reply>,
    ) -> Result<(EnteredReceive, Option<(u64, CallerDriven)>), Error> {
        let reactor = runtime::handle()?;
        let now = self.now();
        let mut shared_polls = self.lock();
        let (received, shared_poll) = self.arrive(&mut shared_polls, now, call, request, responder);
        let sends = shared_poll.machine.tick(now);
        let own = match sends.as_slice() {
            [only] if only.own == Some(received.id) => {
                let work = self.request(&received.key, shared_poll, only);
                Some((only.request, CallerDriven::new(work)))
            }
            _ => None,
        };
        let sends = if own.is_some() { Vec::new() } else { sends };
        self.go(&reactor, &received.key, shared_poll, sends);
        Ok((received, own))
    }

    fn arrive<'a>(
        self: &Arc<Self>,
        shared_polls: &'a mut HashMap<ShareKey, SharedPoll>,
        now: Duration,
        call: ReceiveCall,
        request: Request,
        responder: Responder<Reply>,
    ) -> (EnteredReceive, &'a mut SharedPoll) {
        let shared_poll = shared_polls.entry(call.key.clone()).or_insert_with(|| SharedPoll::new(&call, self.linger));
        let id = self.next_caller.fetch_add(1, Ordering::Relaxed);
        shared_poll.callers.insert(id, WaitingCall { responder, request });
        self.stats.entered(Action::ReceiveMessage);
        // Those of FIFO queues never share.
        self.stats.called(Rate::Standard, 1);
        shared_poll.machine.arrive(now, id, call.want, call.wait);
        (EnteredReceive { receivers: Arc::clone(self), key: call.key, id }, shared_poll)
    }

    /// The way of a request and of its reply.
    fn request(
        self: &Arc<Self>,
        key: &ShareKey,
        shared_poll: &SharedPoll,
        send: &ReceiveRequest,
    ) -> impl Future<Output = ()> + Send + use<> {
        let own = send.own.and_then(|id| shared_poll.callers.get(&id)).map(|waiting| waiting.request.clone());
        let mut request = own.unwrap_or_else(|| call::request(key, send));
        // Its callers were counted when they came.
        request.bill.alone = 0;
        let flight = InFlightReceive { receivers: Arc::clone(self), key: key.clone(), request: Some(send.request) };
        let transport = Arc::clone(&self.transport);
        async move { flight.returned(transport.send(request).await) }
    }

    /// Set going what leaves now, and see to it that somebody looks again in time.
    fn go(
        self: &Arc<Self>,
        reactor: &Reactor,
        key: &ShareKey,
        shared_poll: &mut SharedPoll,
        sends: Vec<ReceiveRequest>,
    ) {
        for send in sends {
            let task = reactor.spawn(self.request(key, shared_poll, &send));
            shared_poll.tasks.insert(send.request, task);
        }
        let due = shared_poll.machine.next_tick().filter(|due| shared_poll.timer.is_none_or(|timer| *due < timer));
        if let Some(due) = due {
            shared_poll.timer = Some(due);
            reactor.spawn(Arc::clone(self).look_again(key.clone(), due));
        }
    }

    async fn look_again(self: Arc<Self>, key: ShareKey, due: Duration) {
        runtime::sleep_until(self.began + due).await;
        let now = self.now();
        let mut shared_polls = self.lock();
        let Some(shared_poll) = shared_polls.get_mut(&key) else { return };
        if shared_poll.timer == Some(due) {
            shared_poll.timer = None;
        }
        let sends = shared_poll.machine.tick(now);
        if let Ok(reactor) = runtime::current() {
            self.go(&reactor, &key, shared_poll, sends);
        }
    }

    fn settle(self: &Arc<Self>, reactor: &Reactor, key: &ShareKey, request: u64, answer: Result<Reply, Error>) {
        let now = self.now();
        let mut shared_polls = self.lock();
        let Some(shared_poll) = shared_polls.get_mut(key) else { return };
        shared_poll.tasks.remove(&request);
        let queue = Arc::clone(&key.queue);
        let (told, surplus, sends) = match answer {
            Ok(reply) => shared_poll.divide(now, request, &reply),
            Err(error) => {
                let (callers, sends) = shared_poll.machine.failed(now, request);
                (callers.into_iter().map(|id| (id, Err(error.clone()))).collect(), Vec::new(), sends)
            }
        };
        let told: Vec<_> = told
            .into_iter()
            .filter_map(|(id, answer)| Some((shared_poll.callers.remove(&id)?.responder, answer)))
            .collect();
        self.go(reactor, key, shared_poll, sends);
        self.forget_if_idle(&mut shared_polls, key);
        drop(shared_polls);
        for (responder, answer) in told {
            if let Ok(part) = &answer {
                self.stats.called(Rate::Standard, billing::brought(Action::ReceiveMessage, part));
            }
            responder.respond(answer);
        }
        give_back(&self.batchers, &queue, surplus);
    }

    fn forget_if_idle(&self, shared_polls: &mut HashMap<ShareKey, SharedPoll>, key: &ShareKey) {
        if shared_polls.get(key).is_some_and(|shared_poll| shared_poll.machine.is_idle()) {
            shared_polls.remove(key);
        }
    }

    fn now(&self) -> Duration {
        runtime::now().saturating_duration_since(self.began)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ShareKey, SharedPoll>> {
        lock(&self.shared_polls)
    }
}

/// What follows from a reply: callers and their answers, receipt handles that nobody wants, requests to send.
type Division = (Vec<(u64, Result<Reply, Error>)>, Vec<String>, Vec<ReceiveRequest>);

impl SharedPoll {
    fn new(call: &ReceiveCall, linger: Duration) -> SharedPoll {
        SharedPoll {
            machine: SharedReceives::new(call.key.kind, linger),
            callers: HashMap::new(),
            tasks: HashMap::new(),
            timer: None,
        }
    }

    fn divide(&mut self, now: Duration, request: u64, reply: &Reply) -> Division {
        let messages = slices::messages(&reply.body);
        // A reply that cannot be cut is one caller's whole: there is no telling what is in it.
        let count = messages.as_ref().map_or(1, Vec::len);
        let ReceiveOutcome { answers, surplus, sends } = self.machine.returned(now, request, count);
        let answers = answers.into_iter().map(|(id, range)| {
            let part = match &messages {
                Some(messages) if range.len() < count => {
                    slices::with_messages(reply, messages.get(range).unwrap_or_default())
                }
                _ => reply.clone(),
            };
            (id, Ok(part))
        });
        let unwanted = messages.iter().flat_map(|messages| messages.get(surplus.clone()).unwrap_or_default());
        let handles = unwanted.filter_map(|message| slices::receipt_handle(message)).map(str::to_owned).collect();
        (answers.collect(), handles, sends)
    }
}

/// A request under way. Its callers are told even if its task ends before its time.
struct InFlightReceive {
    receivers: Arc<Receivers>,
    key: ShareKey,
    request: Option<u64>,
}

impl InFlightReceive {
    fn returned(mut self, answer: Result<Reply, Error>) {
        self.settle(answer);
    }

    fn settle(&mut self, answer: Result<Reply, Error>) {
        if let (Some(request), Ok(reactor)) = (self.request.take(), runtime::current()) {
            self.receivers.settle(&reactor, &self.key, request, answer);
        }
    }
}

impl Drop for InFlightReceive {
    fn drop(&mut self) {
        self.settle(Err(Error::Runtime("the request was given up".into())));
    }
}

/// Make messages visible again that were received for nobody. `handles` are JSON.
fn give_back(batchers: &Batchers, queue: &[u8], handles: Vec<String>) {
    if handles.is_empty() {
        return;
    }
    let entries = handles.into_iter().map(|handle| (visibility(&handle, 0), Responder::new(Unheard))).collect();
    // Where nothing can be sent any more they become visible by themselves, when their time is over.
    drop(batchers.of(Single::ChangeMessageVisibility, queue).enter_all(entries));
}

/// The sink of an answer that nobody waits for: a message that cannot be given back comes back when its time is over.
struct Unheard;

impl Sink<Reply> for Unheard {
    fn deliver(self: Box<Self>, _: Result<Reply, Error>) {}
}

#[cfg(test)]
mod tests;
