//! Who waits for an answer, and how it reaches them: one operation, several ways to wait.
//!
//! Whatever carries an operation holds a [`Caller`] and answers it exactly once, from any thread. A sync caller blocks
//! on a [`Pending`]; other ways to wait are other [`Sink`]s.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Error;

/// Takes an answer, on whatever thread has it. It must not block, and it must not panic.
pub trait Sink<T>: Send + Sync {
    fn deliver(self: Box<Self>, answer: Result<T, Error>);

    /// An entry of a batch has failed; it comes back as it was given, for those who want to tell which one it was.
    #[allow(clippy::boxed_local, reason = "implementations keep it")]
    fn refuse(self: Box<Self>, error: Error, _members: Box<[u8]>) {
        self.deliver(Err(error));
    }
}

/// The right to answer somebody, once. Dropped without an answer it tells so: nobody waits for ever.
pub struct Caller<T>(Option<Box<dyn Sink<T>>>);

impl<T> Caller<T> {
    pub fn new(sink: impl Sink<T> + 'static) -> Self {
        Caller(Some(Box::new(sink)))
    }

    pub fn answer(mut self, answer: Result<T, Error>) {
        if let Some(sink) = self.0.take() {
            sink.deliver(answer);
        }
    }

    pub fn refuse(mut self, error: Error, members: Box<[u8]>) {
        if let Some(sink) = self.0.take() {
            sink.refuse(error, members);
        }
    }
}

impl<T> Drop for Caller<T> {
    fn drop(&mut self) {
        if let Some(sink) = self.0.take() {
            sink.deliver(Err(Error::Runtime(
                "the operation ended without an answer: it was given up, or its task panicked, which is a bug in turbosqs"
                    .into(),
            )));
        }
    }
}

impl<T> std::fmt::Debug for Caller<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Caller")
    }
}

/// A thread's place to wait for an answer.
#[derive(Debug)]
pub struct Pending<T> {
    slot: Arc<Slot<T>>,
}

#[derive(Debug)]
struct Slot<T> {
    answer: Mutex<Option<Result<T, Error>>>,
    answered: Condvar,
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, Option<Result<T, Error>>> {
        // One value, set in one step: it is whole whatever panicked beside it.
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Pending<T> {
    /// A place to wait, and what answers it.
    pub fn new() -> (Pending<T>, Caller<T>) {
        let slot = Arc::new(Slot { answer: Mutex::new(None), answered: Condvar::new() });
        (Pending { slot: Arc::clone(&slot) }, Caller::new(Deliver(slot)))
    }

    /// Block until the answer is there or `patience` is over; `None` is the latter.
    pub fn wait_for(&self, patience: Duration) -> Option<Result<T, Error>> {
        let answer = self.slot.lock();
        let waited = self.slot.answered.wait_timeout_while(answer, patience, |answer| answer.is_none());
        let (mut answer, _) = waited.unwrap_or_else(PoisonError::into_inner);
        answer.take()
    }
}

struct Deliver<T>(Arc<Slot<T>>);

impl<T: Send> Sink<T> for Deliver<T> {
    fn deliver(self: Box<Self>, answer: Result<T, Error>) {
        *self.0.lock() = Some(answer);
        self.0.answered.notify_one();
    }
}
