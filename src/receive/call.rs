//! A ReceiveMessage call as far as sharing is concerned.

use std::sync::Arc;

use super::sharing::{MOST, PollKind, ReceiveRequest};
use crate::protocol::entry::{self, Members, ReceiveParams, is_fifo};
use crate::protocol::message::Request;

/// What calls that share a request have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ShareKey {
    pub kind: PollKind,
    /// `QueueUrl` as JSON.
    pub queue: Arc<[u8]>,
    /// All other members but the count and the wait, as [`Members::without`] writes them.
    pub members: Arc<[u8]>,
}

/// A call that may share.
#[derive(Debug)]
pub(crate) struct ReceiveCall {
    pub key: ShareKey,
    /// `MaxNumberOfMessages`
    pub want: usize,
    /// `WaitTimeSeconds`
    pub wait: u32,
}

impl ReceiveCall {
    /// What a request asks for, if it may share at all.
    ///
    /// Not on FIFO queues, where two messages of one group must not reach two callers at once; not with an attempt's
    /// id, which is one caller's; not without WaitTimeSeconds, since for how long the queue would have a caller wait who is left
    /// over is not known; and not with values that the service would refuse, since that refusal is one caller's too.
    pub(crate) fn of(request: &Request) -> Option<ReceiveCall> {
        let members = Members::of(&request.body).ok()?;
        let number = |name: &str| members.get(name).map(|value| value.parse::<u32>().ok());
        let want = number("MaxNumberOfMessages").unwrap_or(Some(1))?;
        let wait = number("WaitTimeSeconds")??;
        let queue = members.get("QueueUrl")?;
        let shares = (1..=MOST as u32).contains(&want)
            && wait <= 20
            && members.get("ReceiveRequestAttemptId").is_none()
            && !is_fifo(queue.as_bytes());
        if !shares {
            return None;
        }
        let kind = if wait == 0 { PollKind::Short } else { PollKind::Long };
        let common = members.without(&["QueueUrl", "MaxNumberOfMessages", "WaitTimeSeconds"]);
        let key = ShareKey { kind, queue: queue.as_bytes().into(), members: common.into() };
        Some(ReceiveCall { key, want: want as usize, wait })
    }
}

/// The request of several callers, or of what is left of their time.
pub(crate) fn request(key: &ShareKey, send: &ReceiveRequest) -> Request {
    let params = ReceiveParams { max: send.max, wait: send.wait, visibility: None, is_repeatable: false };
    entry::receive(&key.queue, &key.members, params)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::model::Action;
    use crate::protocol::billing::Bill;

    fn call(body: &str) -> Option<ReceiveCall> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        ReceiveCall::of(&Request {
            action: Action::ReceiveMessage,
            body,
            long_poll: Duration::ZERO,
            attempts: 0,
            not_after: None,
            trace: None,
            bill: Bill::default(),
        })
    }

    #[test]
    fn the_key_is_all_but_the_count_and_the_wait() {
        let one =
            call(r#"{"QueueUrl":"q","MaxNumberOfMessages":3,"VisibilityTimeout":9,"WaitTimeSeconds":20}"#).unwrap();
        let other = call(r#"{"WaitTimeSeconds":5,"VisibilityTimeout":9,"QueueUrl":"q"}"#).unwrap();
        assert_eq!(one.key, other.key);
        assert_eq!((one.want, one.wait, other.want, other.wait), (3, 20, 1, 5));
        let body = |body: Request| String::from_utf8(body.body.to_vec()).unwrap();
        let send = ReceiveRequest { request: 0, max: 4, wait: 5, own: None };
        let expected = r#"{"QueueUrl":"q","VisibilityTimeout":9,"MaxNumberOfMessages":4,"WaitTimeSeconds":5}"#;
        assert_eq!(body(request(&one.key, &send)), expected);
    }

    #[test]
    fn what_tells_calls_apart() {
        let keys = [
            r#"{"QueueUrl":"q","WaitTimeSeconds":0}"#,
            r#"{"QueueUrl":"q","WaitTimeSeconds":1}"#,
            r#"{"QueueUrl":"p","WaitTimeSeconds":1}"#,
            r#"{"QueueUrl":"q","WaitTimeSeconds":1,"VisibilityTimeout":1}"#,
            r#"{"QueueUrl":"q","WaitTimeSeconds":1,"AttributeNames":["All"]}"#,
        ];
        let keys: std::collections::HashSet<ShareKey> = keys.iter().map(|body| call(body).unwrap().key).collect();
        assert_eq!(keys.len(), 5);
    }

    #[test]
    fn what_does_not_share() {
        for body in [
            r#"{"QueueUrl":"q.fifo","WaitTimeSeconds":1}"#,
            r#"{"QueueUrl":"q"}"#,
            r#"{"QueueUrl":"q","WaitTimeSeconds":1,"ReceiveRequestAttemptId":"a"}"#,
            r#"{"QueueUrl":"q","WaitTimeSeconds":1,"MaxNumberOfMessages":0}"#,
            r#"{"QueueUrl":"q","WaitTimeSeconds":1,"MaxNumberOfMessages":11}"#,
            r#"{"QueueUrl":"q","WaitTimeSeconds":1,"MaxNumberOfMessages":"5"}"#,
            r#"{"QueueUrl":"q","WaitTimeSeconds":21}"#,
            r#"{"QueueUrl":"q","WaitTimeSeconds":-1}"#,
            r#"{"WaitTimeSeconds":1,"MaxNumberOfMessages":1}"#,
        ] {
            assert!(call(body).is_none(), "{body}");
        }
    }
}
