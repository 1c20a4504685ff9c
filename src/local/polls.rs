//! Long polls that wait for messages.

use std::collections::{BTreeSet, HashMap, VecDeque};

use tokio::sync::oneshot;

use super::error::SqsError;
use super::message::Millis;
use super::operations::Wait;
use super::service::Service;

/// What a long poll is answered with: a reply's body, or a refusal.
type PollResult = Result<Vec<u8>, SqsError>;

/// A long poll that waits, and whom it answers.
#[derive(Debug)]
struct Poll {
    request: Wait,
    reply: oneshot::Sender<PollResult>,
}

/// The waiting polls of every queue, oldest first, and when their queues have something for them at the latest.
/// One schedule serves all: there is no timer per message.
#[derive(Debug, Default)]
pub(super) struct Polls {
    by_queue: HashMap<u32, VecDeque<Poll>>,
    schedule: BTreeSet<(Millis, u32)>,
    scheduled: HashMap<u32, Millis>,
}

impl Polls {
    pub(super) fn add(&mut self, request: Wait) -> oneshot::Receiver<PollResult> {
        let (reply, receiver) = oneshot::channel();
        let waiting = self.by_queue.entry(request.queue).or_default();
        // Those whose callers have left are dropped when they are met, or here when they are many.
        if waiting.len() == waiting.capacity() {
            waiting.retain(|poll| !poll.reply.is_closed());
        }
        waiting.push_back(Poll { request, reply });
        receiver
    }

    /// When the first waiting poll may have something to receive, by time alone.
    pub(super) fn next_wake(&self) -> Option<Millis> {
        self.schedule.first().map(|(at, _)| *at)
    }

    /// Serves the polls of the queues that were touched since the last time.
    pub(super) fn serve(&mut self, service: &mut Service, now: Millis) {
        // Redrive may touch further queues on the way.
        while let Some(queue) = service.touched.pop() {
            if self.by_queue.contains_key(&queue) {
                self.serve_queue(queue, service, now);
            }
        }
    }

    fn serve_queue(&mut self, queue: u32, service: &mut Service, now: Millis) {
        let Some(waiting) = self.by_queue.get_mut(&queue) else { return };
        while let Some(poll) = waiting.pop_front() {
            if poll.reply.is_closed() {
                continue;
            }
            let outcome = match service.try_receive(&poll.request, now) {
                Ok(Some(reply)) => Ok(reply),
                Ok(None) if poll.request.until <= now => Ok(b"{}".to_vec()),
                Ok(None) => {
                    waiting.push_front(poll);
                    break;
                }
                Err(error) => Err(error),
            };
            // Its caller was there a moment ago, on this very thread: the channel is open.
            let _ = poll.reply.send(outcome);
        }
        if waiting.is_empty() {
            self.by_queue.remove(&queue);
        }
        let next = match (self.by_queue.contains_key(&queue), service.queue_mut(queue)) {
            (true, Ok(queue)) => queue.next_wake(),
            _ => None,
        };
        self.reschedule(queue, next);
    }

    fn reschedule(&mut self, queue: u32, next: Option<Millis>) {
        if let Some(before) = self.scheduled.remove(&queue) {
            self.schedule.remove(&(before, queue));
        }
        if let Some(next) = next {
            self.scheduled.insert(queue, next);
            self.schedule.insert((next, queue));
        }
    }

    /// Serves every queue that is due.
    pub(super) fn tick(&mut self, service: &mut Service, now: Millis) {
        while let Some(&(at, queue)) = self.schedule.first()
            && at <= now
        {
            self.reschedule(queue, None);
            service.touched.push(queue);
        }
        self.serve(service, now);
    }

    /// After the clock was moved: serves what became due and ends the polls whose time is up.
    pub(super) fn tick_all(&mut self, service: &mut Service, now: Millis) {
        service.touched.extend(self.by_queue.keys());
        self.serve(service, now);
        for waiting in self.by_queue.values_mut() {
            for poll in std::mem::take(waiting) {
                if poll.request.until <= now {
                    let _ = poll.reply.send(Ok(b"{}".to_vec()));
                } else {
                    waiting.push_back(poll);
                }
            }
        }
        self.by_queue.retain(|_, waiting| !waiting.is_empty());
    }

    /// Ends every poll as if its time were up.
    pub(super) fn release(&mut self) {
        for poll in std::mem::take(&mut self.by_queue).into_values().flatten() {
            let _ = poll.reply.send(Ok(b"{}".to_vec()));
        }
        self.schedule.clear();
        self.scheduled.clear();
    }
}

#[cfg(test)]
mod tests;
