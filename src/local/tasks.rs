//! Message move tasks: messages go back from a dead-letter queue, at a rate if one is asked for.

use std::sync::Arc;

use super::message::{Message, MessageState, Millis};
use super::reply::fresh_uuid;
use super::service::Service;

/// The status of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Running,
    Completed,
    Cancelled,
    Failed,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Status::Running => "RUNNING",
            Status::Completed => "COMPLETED",
            Status::Cancelled => "CANCELLED",
            Status::Failed => "FAILED",
        }
    }
}

/// A task that moves the messages of a dead-letter queue.
#[derive(Debug)]
pub(super) struct MoveTask {
    pub id: u128,
    pub source: Arc<str>,
    /// Queues are held by their ids: another queue that takes the name later is not meant.
    pub source_id: u32,
    /// `None` for where each message came from.
    pub destination: Option<(Arc<str>, u32)>,
    /// Messages a second; `None` for as fast as it goes.
    pub rate: Option<u32>,
    pub started_at: Millis,
    pub to_move: u64,
    pub moved: u64,
    pub status: Status,
    /// When the next message can be had, while all that are left wait behind one in flight.
    pub blocked_until: Option<Millis>,
    pub failure: Option<&'static str>,
}

/// How many messages a task without a rate moves before others get their turn.
const STRIDE: u64 = 1_000;

/// How many finished tasks of a queue are remembered; the service lists no more.
const REMEMBERED: usize = 10;

impl MoveTask {
    /// How many messages may have been moved by now in all.
    fn allowance(&self, now: Millis) -> u64 {
        match self.rate {
            Some(rate) => (now - self.started_at) * u64::from(rate) / 1_000 + 1,
            None => self.moved + STRIDE,
        }
    }

    /// When it can move on.
    fn due(&self) -> Millis {
        let by_rate = match self.rate {
            Some(rate) => self.started_at + (self.moved * 1_000).div_ceil(u64::from(rate)),
            None => 0,
        };
        by_rate.max(self.blocked_until.unwrap_or(0))
    }
}

/// What a task's next step came to.
enum Step {
    Moved,
    /// The messages that are left can be had at this time, or when what is in flight before them is dealt with.
    Blocked(Millis),
    Empty,
}

impl Service {
    pub(super) fn add_task(&mut self, mut task: MoveTask, now: Millis) -> u128 {
        task.id = fresh_uuid();
        let id = task.id;
        let source = task.source.clone();
        self.tasks.push(task);
        let finished: Vec<u128> = self
            .tasks
            .iter()
            .filter(|task| task.source == source && task.status != Status::Running)
            .map(|task| task.id)
            .collect();
        for forgotten in finished.iter().take(finished.len().saturating_sub(REMEMBERED)) {
            self.tasks.retain(|task| task.id != *forgotten);
        }
        self.run_tasks(now);
        id
    }

    /// When the next running task can move on; one without a rate always can.
    pub(super) fn next_task(&self) -> Option<Millis> {
        self.tasks.iter().filter(|task| task.status == Status::Running).map(MoveTask::due).min()
    }

    /// Lets tasks go on that wait for something in a queue that was touched.
    pub(super) fn unblock_tasks(&mut self, now: Millis) {
        let mut unblocked = false;
        for task in &mut self.tasks {
            if task.blocked_until.is_some() && self.touched.contains(&task.source_id) {
                task.blocked_until = None;
                unblocked = true;
            }
        }
        if unblocked {
            self.run_tasks(now);
        }
    }

    /// Lets every running task do what it may by now.
    pub(super) fn run_tasks(&mut self, now: Millis) {
        if self.next_task().is_none_or(|due| due > now) {
            return;
        }
        let mut tasks = std::mem::take(&mut self.tasks);
        for task in tasks.iter_mut().filter(|task| task.status == Status::Running && task.due() <= now) {
            self.run_task(task, now);
        }
        self.tasks = tasks;
    }

    fn run_task(&mut self, task: &mut MoveTask, now: Millis) {
        let allowance = task.allowance(now);
        task.blocked_until = None;
        while task.moved < allowance {
            match self.move_one(task, now) {
                Ok(Step::Moved) => task.moved += 1,
                Ok(Step::Blocked(until)) => {
                    task.blocked_until = Some(until);
                    return;
                }
                Ok(Step::Empty) => {
                    task.status = Status::Completed;
                    return;
                }
                Err(reason) => {
                    task.status = Status::Failed;
                    task.failure = Some(reason);
                    return;
                }
            }
            if task.moved >= task.to_move {
                task.status = Status::Completed;
                return;
            }
        }
    }

    /// Moves the next message. One that cannot be moved stays where it is.
    fn move_one(&mut self, task: &MoveTask, now: Millis) -> Result<Step, &'static str> {
        const NO_QUEUE: &str = "AWS.SimpleQueueService.NonExistentQueue";
        let fixed = task.destination.as_ref().map(|(_, id)| *id);
        if fixed.is_some_and(|id| self.queue(id).is_err()) {
            return Err(NO_QUEUE);
        }
        let source = self.queue_mut(task.source_id).map_err(|_| NO_QUEUE)?;
        let Some(key) = source.peek(now) else {
            return Ok(match source.next_wake() {
                Some(wake) if source.counts(now).visible > 0 => Step::Blocked(wake),
                _ => Step::Empty,
            });
        };
        let origin = source.message(key).and_then(Message::extra).and_then(|extra| extra.dead_letter_source.clone());
        let destination = match (fixed, origin) {
            (Some(fixed), _) => fixed,
            (None, Some(origin)) => self.find_by_arn(&origin).ok_or(NO_QUEUE)?,
            (None, None) => return Err("CouldNotDetermineMessageSource"),
        };
        let Some(message) = self.queue_mut(task.source_id).ok().and_then(|queue| queue.take_out(key)) else {
            return Ok(Step::Empty);
        };
        if let Ok(queue) = self.queue_mut(destination) {
            queue.adopt(redriven(message, now), now);
        }
        self.touched.push(destination);
        Ok(Step::Moved)
    }
}

/// The documentation: redriven messages are new messages, with a new id and a new time of enqueuing.
fn redriven(mut message: Message, now: Millis) -> Message {
    message.id = fresh_uuid();
    message.sent_at = now;
    message.receive_count = 0;
    message.first_received_at = 0;
    message.received_at = 0;
    message.state = MessageState::Visible;
    if let Some(extra) = &mut message.extra {
        extra.dead_letter_source = None;
    }
    message
}
