//! What a poller is asked to receive, and what follows from it for its polls.

use std::time::Duration;

use super::{Bounds, GroupMode};
use crate::protocol::entry::QueueUrl;

/// What is to be received, and how.
#[derive(Clone, Debug)]
pub(crate) struct PollerOptions {
    /// `QueueUrl` as JSON.
    pub queue: QueueUrl,
    /// The members of ReceiveMessage but for queue, count, wait, visibility and attempt: see `protocol::entry::receive`.
    pub members: Box<[u8]>,
    /// WaitTimeSeconds of a poll, at most.
    pub wait: u32,
    /// The VisibilityTimeout to ask for, in seconds; `None`: the queue's own.
    pub visibility: Option<u32>,
    /// The portion of its visibility that a message must have left when it is handed over, from 0 to 1, unless it `keeps`.
    pub life: f64,
    pub bounds: Bounds,
    /// How many messages to fetch ahead at first.
    pub ahead: usize,
    /// How many messages are wanted in all.
    pub max_messages: Option<u64>,
    /// It ends when a taker has waited so long.
    pub idle: Option<Duration>,
    pub groups: GroupMode,
    /// A taker says when it is done with a message; until then the message is kept invisible.
    pub keeps: bool,
    /// Polls that fail for reasons that may pass are repeated for ever.
    pub endures: bool,
    /// Messages a second.
    pub rate: Option<f64>,
    /// How many messages a taker wants at a time, and how long it waits for so many.
    pub batch: usize,
    pub window: Duration,
}

impl PollerOptions {
    /// How long a message may have to wait although a taker is there.
    pub(super) fn max_wait(&self) -> Duration {
        let pause = self.rate.map(|rate| pause(self.batch, rate));
        self.window.saturating_add(pause.unwrap_or_default())
    }

    /// WaitTimeSeconds of a poll, at most. What comes at its very end has been leased since it began, as far as we know: so
    /// much must be left then that it can be handed over without an extension, or extended in time.
    pub(super) fn wait(&self, visibility: u32) -> u32 {
        if visibility == 0 {
            return self.wait;
        }
        let most = if self.keeps {
            visibility * 2 / 3
        } else {
            let life = life(visibility, self.life).as_secs_f64();
            (f64::from(visibility) - life - 1.0).max(0.0) as u32
        };
        self.wait.min(most.max(1))
    }

    /// How many messages may be held: no more than the rate can have handed over in half of their visibility.
    pub(super) fn most(&self, visibility: u32) -> usize {
        match self.rate {
            Some(rate) if visibility > 0 => {
                let most = rate * f64::from(visibility) / 2.0;
                self.bounds.most.min((most as usize).max(self.batch))
            }
            _ => self.bounds.most,
        }
    }
}

/// How long a rate takes for so many messages.
pub(super) fn pause(messages: usize, rate: f64) -> Duration {
    Duration::try_from_secs_f64(messages as f64 / rate).unwrap_or(Duration::MAX)
}

/// What must be left of a visibility timeout at hand-over.
pub(super) fn life(visibility: u32, portion: f64) -> Duration {
    Duration::from_secs_f64(f64::from(visibility) * portion.clamp(0.0, 1.0))
}
