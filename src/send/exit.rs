//! What is still on its way when the process ends.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, Weak};

use super::batcher::Batcher;
use super::flush::FlushBarrier;
use crate::protocol::error::Error;
use crate::runtime::ProcessBound;
use crate::runtime::lock::lock;
use crate::runtime::responder::Responder;

/// Every batcher of this process that may have something to send.
static LIVE: ProcessBound<Arc<Mutex<Vec<Weak<Batcher>>>>> = ProcessBound::new();

pub(super) fn register(batcher: &Arc<Batcher>) {
    let Ok(live) = LIVE.get_or_try_make(|| Ok::<_, Infallible>(Arc::default()));
    let mut live = lock(&live);
    if live.len() == live.capacity() {
        live.retain(|batcher| batcher.strong_count() > 0);
    }
    live.push(Arc::downgrade(batcher));
}

/// Let everything leave that waits, whosever it is, and answer the caller when all of it is answered.
pub(crate) fn flush(responder: Responder<()>) -> Result<(), Error> {
    let barrier = Arc::new(FlushBarrier::new(responder));
    live().iter().try_for_each(|batcher| batcher.flush(&barrier))
}

/// How many entries of this process have no answer yet.
pub(crate) fn unanswered() -> usize {
    live().iter().map(|batcher| batcher.unanswered()).sum()
}

fn live() -> Vec<Arc<Batcher>> {
    let Some(live) = LIVE.get() else { return Vec::new() };
    let live = lock(&live);
    live.iter().filter_map(Weak::upgrade).filter(|batcher| !batcher.is_idle()).collect()
}
