//! A ReceiveMessage call as far as sharing is concerned, and what it is made of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::sharing::{MOST, PollKind, ReceiveRequest};
use crate::model::Action;
use crate::protocol::entry::is_fifo;
use crate::protocol::message::{Reply, Request};

/// What calls that share a request have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ShareKey {
    pub kind: PollKind,
    /// All members but the count and the wait, as `"Name":value,`, in the order of their names.
    pub members: Arc<[u8]>,
}

/// A call that may share.
#[derive(Debug)]
pub(crate) struct ReceiveCall {
    pub key: ShareKey,
    /// `QueueUrl` as JSON.
    pub queue: Arc<[u8]>,
    pub want: usize,
    pub wait: u32,
}

impl ReceiveCall {
    /// What a request asks for, if it may share at all.
    ///
    /// Not on FIFO queues, where two messages of one group must not reach two callers at once; not with an attempt's
    /// id, which is one caller's; not without WaitTimeSeconds, since for how long the queue would have a caller wait who is left
    /// over is not known; and not with values that the service would refuse, since that refusal is one caller's too.
    pub(crate) fn of(request: &Request) -> Option<ReceiveCall> {
        let members: BTreeMap<&str, &RawValue> = serde_json::from_slice(&request.body).ok()?;
        let number = |name: &str| members.get(name).map(|value| value.get().parse::<u32>().ok());
        let want = number("MaxNumberOfMessages").unwrap_or(Some(1))?;
        let wait = number("WaitTimeSeconds")??;
        let queue = members.get("QueueUrl")?.get();
        let shares = (1..=MOST as u32).contains(&want)
            && wait <= 20
            && !members.contains_key("ReceiveRequestAttemptId")
            && !is_fifo(queue.as_bytes());
        if !shares {
            return None;
        }
        let kind = if wait == 0 { PollKind::Short } else { PollKind::Long };
        let mut common = Vec::with_capacity(request.body.len());
        for (name, value) in &members {
            if !matches!(*name, "MaxNumberOfMessages" | "WaitTimeSeconds") {
                common.extend_from_slice(format!("\"{name}\":").as_bytes());
                common.extend_from_slice(value.get().as_bytes());
                common.push(b',');
            }
        }
        Some(ReceiveCall {
            key: ShareKey { kind, members: common.into() },
            queue: queue.as_bytes().into(),
            want: want as usize,
            wait,
        })
    }
}

/// The request of several callers, or of what is left of their time.
pub(crate) fn request(key: &ShareKey, send: &ReceiveRequest) -> Request {
    let mut body = Vec::with_capacity(key.members.len() + 64);
    body.push(b'{');
    body.extend_from_slice(&key.members);
    let ReceiveRequest { max, wait, .. } = send;
    body.extend_from_slice(format!("\"MaxNumberOfMessages\":{max},\"WaitTimeSeconds\":{wait}}}").as_bytes());
    let long_poll = Duration::from_secs((*wait).into());
    Request { action: Action::ReceiveMessage, body: Bytes::from(body), long_poll, attempts: 0, not_after: None }
}

#[derive(Deserialize)]
struct ReceiveReply<'a> {
    #[serde(borrow, default, rename = "Messages")]
    messages: Option<Vec<&'a RawValue>>,
}

/// The messages of a reply, each as its JSON; `None` if it is no such reply.
pub(crate) fn messages(body: &[u8]) -> Option<Vec<&str>> {
    let body: ReceiveReply<'_> = serde_json::from_slice(body).ok()?;
    Some(body.messages.unwrap_or_default().into_iter().map(RawValue::get).collect())
}

/// A caller's part of a reply, as a reply.
pub(crate) fn part(reply: &Reply, messages: &[&str]) -> Reply {
    let body = match messages {
        [] => Bytes::from_static(b"{}"),
        some => Bytes::from(format!("{{\"Messages\":[{}]}}", some.join(","))),
    };
    Reply { body, ..reply.clone() }
}

#[derive(Deserialize)]
struct WithHandle<'a> {
    #[serde(borrow, rename = "ReceiptHandle")]
    handle: &'a RawValue,
}

/// The receipt handle of a message, as JSON.
pub(crate) fn receipt_handle(message: &str) -> Option<&str> {
    serde_json::from_str::<WithHandle<'_>>(message).ok().map(|message| message.handle.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(body: &str) -> Option<ReceiveCall> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        ReceiveCall::of(&Request {
            action: Action::ReceiveMessage,
            body,
            long_poll: Duration::ZERO,
            attempts: 0,
            not_after: None,
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

    #[test]
    fn messages_are_cut_out_as_they_are() {
        let body = br#"{"Messages":[{"Body":"]},{ \" \ud800","ReceiptHandle":"a"}, {"ReceiptHandle": "b"}],"Other":1}"#;
        let found = messages(body).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(
            found.iter().map(|message| receipt_handle(message)).collect::<Vec<_>>(),
            [Some("\"a\""), Some("\"b\"")]
        );
        assert_eq!(messages(b"{}").unwrap().len(), 0);
        assert_eq!(messages(br#"{"Messages":null}"#).unwrap().len(), 0);
        assert!(messages(b"<html>").is_none());
    }
}
