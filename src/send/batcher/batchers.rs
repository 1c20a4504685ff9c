//! The batchers of a client: one for each queue and action that its callers share, and private ones.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, Weak};

use super::{Batcher, BatcherState};
use crate::protocol::entry::{self, QueueUrl, Single};
use crate::protocol::error::Error;
use crate::runtime::lock::lock;
use crate::runtime::responder::Responder;
use crate::send::flush::FlushBarrier;
use crate::send::{Limits, Window, exit};
use crate::stats::Stats;
use crate::transport::Transport;

/// The batchers of one client in one process.
#[derive(Debug)]
pub(crate) struct Batchers {
    transport: Arc<dyn Transport>,
    stats: Arc<Stats>,
    limits: Limits,
    by_queue: Mutex<HashMap<QueueUrl, Vec<Arc<Batcher>>>>,
    /// Private batchers of writers and pollers; weak, they die with their owner.
    own: Mutex<Vec<Weak<Batcher>>>,
}

/// Beyond so many queues, those that have nothing to do are forgotten.
const MANY_QUEUES: usize = 1024;

impl Batchers {
    pub(crate) fn new(transport: Arc<dyn Transport>, stats: Arc<Stats>, limits: Limits) -> Batchers {
        Batchers { transport, stats, limits, by_queue: Mutex::default(), own: Mutex::default() }
    }

    /// The batcher that all callers of an action on a queue share.
    pub(crate) fn of(&self, action: Single, queue: &[u8]) -> Arc<Batcher> {
        let mut by_queue = lock(&self.by_queue);
        if let Some(batchers) = by_queue.get(queue)
            && let Some(batcher) = batchers.iter().find(|batcher| batcher.action == action)
        {
            return Arc::clone(batcher);
        }
        if by_queue.len() >= MANY_QUEUES {
            // One that somebody has just been given has a second owner.
            by_queue.retain(|_, batchers| {
                batchers.iter().any(|batcher| Arc::strong_count(batcher) > 1 || !batcher.is_idle())
            });
        }
        let queue = QueueUrl::from(queue);
        let batcher = self.batcher(action, Arc::clone(&queue), self.limits, false);
        by_queue.entry(queue).or_default().push(Arc::clone(&batcher));
        batcher
    }

    /// A batcher of its own, for somebody who has many entries and other limits, and who does not read the replies.
    pub(crate) fn make(&self, action: Single, queue: QueueUrl, limits: Limits) -> Arc<Batcher> {
        let batcher = self.batcher(action, queue, limits, true);
        let mut own = lock(&self.own);
        own.retain(|batcher| batcher.strong_count() > 0);
        own.push(Arc::downgrade(&batcher));
        batcher
    }

    fn batcher(&self, action: Single, queue: QueueUrl, limits: Limits, unread: bool) -> Arc<Batcher> {
        let fifo = action == Single::SendMessage && entry::is_fifo(&queue);
        let batcher = Arc::new(Batcher {
            action,
            queue,
            unread,
            transport: Arc::clone(&self.transport),
            stats: Arc::clone(&self.stats),
            state: Mutex::new(BatcherState {
                window: Window::new(limits, fifo),
                alarms: BTreeSet::new(),
                epoch: Arc::default(),
            }),
        });
        exit::register(&batcher);
        batcher
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// How many batches are in flight.
    pub(crate) fn in_flight(&self) -> usize {
        let shared: Vec<_> = lock(&self.by_queue).values().flatten().cloned().collect();
        let own: Vec<_> = lock(&self.own).iter().filter_map(Weak::upgrade).collect();
        shared.iter().chain(&own).map(|batcher| batcher.lock().window.in_flight()).sum()
    }

    /// Let everything leave that waits, and answer the caller when all of it has been answered.
    pub(crate) fn flush(&self, responder: Responder<()>) -> Result<(), Error> {
        let mut batchers: Vec<_> = lock(&self.by_queue).values().flatten().cloned().collect();
        batchers.extend(lock(&self.own).iter().filter_map(Weak::upgrade));
        let barrier = Arc::new(FlushBarrier::new(responder));
        batchers.iter().try_for_each(|batcher| batcher.flush(&barrier))
    }
}
