//! When all that was entered before a moment has been answered.
//!
//! Every entry holds the era that it was entered in, and an era holds the next one: so an era is dropped when its
//! entries, and those of all eras before it, are answered.

use std::sync::{Arc, Mutex, PoisonError};

use crate::caller::Caller;

#[derive(Debug, Default)]
pub struct Era(Mutex<Option<Ended>>);

#[derive(Debug)]
struct Ended {
    _next: Arc<Era>,
    _done: Arc<Done>,
}

impl Era {
    /// No more entries come into it. `done` is let go of when the last of them is answered.
    pub fn end(&self, next: Arc<Era>, done: Arc<Done>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Ended { _next: next, _done: done });
    }
}

/// Tells its caller when the last of its owners has let it go.
#[derive(Debug)]
pub struct Done(Option<Caller<()>>);

impl Done {
    pub fn new(caller: Caller<()>) -> Done {
        Done(Some(caller))
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(caller) = self.0.take() {
            caller.answer(Ok(()));
        }
    }
}
