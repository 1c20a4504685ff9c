//! Flush epochs and barriers: when all that was entered before a moment has been answered.
//!
//! Every entry holds the epoch that it was entered in, and an epoch holds the next one: so an epoch is dropped when its
//! entries, and those of all epochs before it, are answered.

use std::sync::{Arc, Mutex};

use crate::runtime::lock::lock;
use crate::runtime::responder::Responder;

/// The entries of a batcher between two flushes; each of them holds it.
#[derive(Debug, Default)]
pub(crate) struct FlushEpoch(Mutex<Option<Successor>>);

/// What an epoch that has ended keeps: the next one, and the barrier of the flush that ended it.
#[derive(Debug)]
struct Successor {
    _next: Arc<FlushEpoch>,
    _barrier: Arc<FlushBarrier>,
}

impl FlushEpoch {
    /// End the epoch: no more entries come into it. It lets go of `barrier` when the last of them is answered.
    pub(crate) fn end(&self, next: Arc<FlushEpoch>, barrier: Arc<FlushBarrier>) {
        *lock(&self.0) = Some(Successor { _next: next, _barrier: barrier });
    }
}

/// A flush under way. It answers the one who flushed when the last epoch has let it go.
#[derive(Debug)]
pub(crate) struct FlushBarrier(Option<Responder<()>>);

impl FlushBarrier {
    pub(crate) fn new(responder: Responder<()>) -> FlushBarrier {
        FlushBarrier(Some(responder))
    }
}

impl Drop for FlushBarrier {
    fn drop(&mut self) {
        if let Some(responder) = self.0.take() {
            responder.respond(Ok(()));
        }
    }
}
