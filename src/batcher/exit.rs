//! What is still on its way when the process ends.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Batcher, Done};
use crate::caller::Caller;
use crate::error::Error;
use crate::runtime::PerProcess;

/// Every batcher of this process that may have something to send.
static LIVE: PerProcess<Arc<Mutex<Vec<Weak<Batcher>>>>> = PerProcess::new();

pub(super) fn register(batcher: &Arc<Batcher>) {
    let Ok(live) = LIVE.get_or_try_make(|| Ok::<_, Infallible>(Arc::default()));
    let mut live = live.lock().unwrap_or_else(PoisonError::into_inner);
    if live.len() == live.capacity() {
        live.retain(|batcher| batcher.strong_count() > 0);
    }
    live.push(Arc::downgrade(batcher));
}

/// Let everything leave that waits, whosever it is, and answer the caller when all of it is answered.
pub fn flush(caller: Caller<()>) -> Result<(), Error> {
    let done = Arc::new(Done::new(caller));
    live().iter().try_for_each(|batcher| batcher.flush(&done))
}

/// How many entries of this process have no answer yet.
pub fn unanswered() -> usize {
    live().iter().map(|batcher| batcher.unanswered()).sum()
}

fn live() -> Vec<Arc<Batcher>> {
    let Some(live) = LIVE.get() else { return Vec::new() };
    let live = live.lock().unwrap_or_else(PoisonError::into_inner);
    live.iter().filter_map(Weak::upgrade).filter(|batcher| !batcher.is_idle()).collect()
}
