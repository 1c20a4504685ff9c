//! The visibility timeouts of queues, asked for once and remembered for a while.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::protocol::entry::{QueueUrl, queue_attribute};
use crate::protocol::error::Error;
use crate::runtime;
use crate::runtime::lock::lock;
use crate::transport::Transport;

/// What is asked for where the queue's own is not known: what SQS gives a queue that says nothing.
pub(crate) const DEFAULT: u32 = 30;

/// A changed timeout is noticed after this.
pub(crate) const FRESH: Duration = Duration::from_secs(300);

/// Beyond so many queues the old ones are forgotten.
const MANY: usize = 1024;

/// Visibility timeouts by queue, in seconds, and when they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Visibilities(Mutex<HashMap<QueueUrl, (u32, Instant)>>);

impl Visibilities {
    /// A queue's visibility timeout in seconds. Only what the service has said is remembered.
    pub(crate) async fn of(&self, transport: &dyn Transport, queue: &QueueUrl) -> Result<u32, Error> {
        if let Some(known) = self.known(queue) {
            return Ok(known);
        }
        let reply = transport.send(queue_attribute(queue, "VisibilityTimeout")).await?;
        let unsaid = || Error::Runtime("the queue does not say what its VisibilityTimeout is".into());
        let seconds = read(&reply.body).ok_or_else(unsaid)?;
        let mut known = lock(&self.0);
        if known.len() >= MANY {
            known.retain(|_, (_, asked)| age(*asked) < FRESH);
        }
        known.insert(QueueUrl::clone(queue), (seconds, runtime::now()));
        Ok(seconds)
    }

    /// The timeout, unless it is unknown or was asked for too long ago.
    pub(crate) fn known(&self, queue: &QueueUrl) -> Option<u32> {
        let known = lock(&self.0);
        known.get(queue).filter(|(_, asked)| age(*asked) < FRESH).map(|(seconds, _)| *seconds)
    }
}

fn age(asked: Instant) -> Duration {
    runtime::now().saturating_duration_since(asked)
}

fn read(body: &[u8]) -> Option<u32> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct AttributesReply {
        attributes: QueueAttributes,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct QueueAttributes {
        visibility_timeout: String,
    }
    serde_json::from_slice::<AttributesReply>(body).ok()?.attributes.visibility_timeout.parse().ok()
}
