//! Responders: how an answer reaches the one who waits for it. One operation, several ways to wait.
//!
//! Whatever carries an operation holds a [`Responder`] and responds exactly once, from any thread. A sync caller blocks
//! on a [`PendingResponse`]; other ways to wait are other [`Sink`]s.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::lock::{lock, wait_timeout_while};
use crate::protocol::error::Error;

/// What a responder answers to, on whatever thread has the answer. It must not block, and it must not panic.
pub(crate) trait Sink<T>: Send + Sync {
    fn deliver(self: Box<Self>, answer: Result<T, Error>);

    /// An entry of a batch has failed; it comes back as it was given, for those who want to tell which one it was.
    #[allow(clippy::boxed_local, reason = "implementations keep it")]
    fn fail(self: Box<Self>, error: Error, _members: Box<[u8]>) {
        self.deliver(Err(error));
    }
}

/// The right to answer somebody, once. Dropped without an answer it tells so: nobody waits for ever.
pub(crate) struct Responder<T>(Option<Box<dyn Sink<T>>>);

impl<T> Responder<T> {
    pub(crate) fn new(sink: impl Sink<T> + 'static) -> Self {
        Responder(Some(Box::new(sink)))
    }

    pub(crate) fn respond(mut self, answer: Result<T, Error>) {
        if let Some(sink) = self.0.take() {
            sink.deliver(answer);
        }
    }

    pub(crate) fn fail(mut self, error: Error, members: Box<[u8]>) {
        if let Some(sink) = self.0.take() {
            sink.fail(error, members);
        }
    }
}

impl<T> Drop for Responder<T> {
    fn drop(&mut self) {
        if let Some(sink) = self.0.take() {
            sink.deliver(Err(Error::Runtime(
                "the operation ended without an answer: it was given up, or its task panicked, which is a bug in turbosqs"
                    .into(),
            )));
        }
    }
}

impl<T> std::fmt::Debug for Responder<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Responder")
    }
}

/// Responders that wait for the same thing to happen, the longest first, and what is known of each. One that is not waited for
/// any more is withdrawn by its number.
#[derive(Debug)]
pub(crate) struct WaitList<T> {
    next: u64,
    waiting: VecDeque<(u64, T, Responder<()>)>,
}

impl<T> Default for WaitList<T> {
    fn default() -> Self {
        WaitList { next: 0, waiting: VecDeque::new() }
    }
}

impl<T> WaitList<T> {
    pub(crate) fn push(&mut self, known: T, responder: Responder<()>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiting.push_back((number, known, responder));
        number
    }

    /// To be dropped outside of locks: it says that there will be no answer.
    pub(crate) fn withdraw(&mut self, number: u64) -> Option<Responder<()>> {
        let position = self.waiting.iter().position(|(other, ..)| *other == number)?;
        self.waiting.remove(position).map(|(_, _, responder)| responder)
    }

    /// The one that has waited longest, and its number.
    pub(crate) fn pop(&mut self) -> Option<(u64, Responder<()>)> {
        self.waiting.pop_front().map(|(number, _, responder)| (number, responder))
    }

    pub(crate) fn take_all(&mut self) -> Vec<Responder<()>> {
        std::mem::take(&mut self.waiting).into_iter().map(|(_, _, responder)| responder).collect()
    }

    /// Those of which `happened` says that what they wait for has happened.
    pub(crate) fn take_if(&mut self, happened: impl Fn(&T) -> bool) -> Vec<Responder<()>> {
        let all = std::mem::take(&mut self.waiting);
        let (told, waiting): (VecDeque<_>, _) = all.into_iter().partition(|(_, known, _)| happened(known));
        self.waiting = waiting;
        told.into_iter().map(|(_, _, responder)| responder).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter().map(|(_, known, _)| known)
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// An answer that will come: a thread's place to wait for it.
#[derive(Debug)]
pub(crate) struct PendingResponse<T> {
    slot: Arc<ResponseSlot<T>>,
}

/// Where the answer is put, and who is woken then.
#[derive(Debug)]
struct ResponseSlot<T> {
    answer: Mutex<SlotContent<T>>,
    answered: Condvar,
}

/// An answer that is there or not, and whether somebody waits for it: to wake nobody is a call of the system as well.
#[derive(Debug)]
struct SlotContent<T> {
    answer: Option<Result<T, Error>>,
    is_awaited: bool,
}

impl<T> ResponseSlot<T> {
    fn lock(&self) -> MutexGuard<'_, SlotContent<T>> {
        // Two values, set one after the other: they are whole whatever panicked beside them.
        lock(&self.answer)
    }
}

impl<T: Send + 'static> PendingResponse<T> {
    /// A place to wait, and what answers it.
    pub(crate) fn new() -> (PendingResponse<T>, Responder<T>) {
        let answer = Mutex::new(SlotContent { answer: None, is_awaited: false });
        let slot = Arc::new(ResponseSlot { answer, answered: Condvar::new() });
        (PendingResponse { slot: Arc::clone(&slot) }, Responder::new(Deliver(slot)))
    }

    /// Block until the answer is there or `timeout` is over; `None` is the latter.
    pub(crate) fn wait_for(&self, timeout: Duration) -> Option<Result<T, Error>> {
        let mut answer = self.slot.lock();
        answer.is_awaited = true;
        let mut answer = wait_timeout_while(&self.slot.answered, answer, timeout, |answer| answer.answer.is_none());
        answer.is_awaited = false;
        answer.answer.take()
    }

    /// The answer, if it is there.
    pub(crate) fn take(&self) -> Option<Result<T, Error>> {
        self.slot.lock().answer.take()
    }
}

/// The sink that puts an answer into its slot.
struct Deliver<T>(Arc<ResponseSlot<T>>);

impl<T: Send> Sink<T> for Deliver<T> {
    fn deliver(self: Box<Self>, answer: Result<T, Error>) {
        let mut slot = self.0.lock();
        slot.answer = Some(answer);
        let is_awaited = slot.is_awaited;
        drop(slot);
        if is_awaited {
            self.0.answered.notify_one();
        }
    }
}
