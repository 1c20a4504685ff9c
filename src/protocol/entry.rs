//! Entries of batches, and the bodies of all requests that are put together here: from ready-made pieces of JSON.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::value::RawValue;

use super::billing::{self, Bill};
use super::message::Request;
use crate::model::Action;

/// The content of one call about one message, as it travels: alone, or as an entry of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The members but `QueueUrl`, as JSON, with the closing brace and without the opening one:
    /// `"MessageBody":"hello"}`, or the brace alone.
    pub members: Box<[u8]>,
    /// Bytes of body and attributes, as SQS counts them.
    pub size: usize,
    /// `MessageGroupId`
    pub group: Option<Arc<str>>,
    /// The moment after which it must not leave any more, nor be tried again: what it is about may be somebody else's then.
    pub not_after: Option<Instant>,
    /// The trace that it belongs to, for the header of a request that is its own: one that it shares has no trace.
    pub trace: Option<Arc<str>>,
    /// By what its caller knows it again in the journal; 0: by nothing.
    pub tag: u64,
}

/// The value of `QueueUrl`, as JSON text.
pub(crate) type QueueUrl = Arc<[u8]>;

/// The actions that have a batch form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Single {
    SendMessage,
    DeleteMessage,
    ChangeMessageVisibility,
}

impl Single {
    pub(crate) fn of(action: Action) -> Option<Single> {
        match action {
            Action::SendMessage => Some(Single::SendMessage),
            Action::DeleteMessage => Some(Single::DeleteMessage),
            Action::ChangeMessageVisibility => Some(Single::ChangeMessageVisibility),
            _ => None,
        }
    }

    pub(crate) fn action(self) -> Action {
        match self {
            Single::SendMessage => Action::SendMessage,
            Single::DeleteMessage => Action::DeleteMessage,
            Single::ChangeMessageVisibility => Action::ChangeMessageVisibility,
        }
    }

    /// The action that does for many what this one does for one.
    pub(crate) fn batch(self) -> Action {
        match self {
            Single::SendMessage => Action::SendMessageBatch,
            Single::DeleteMessage => Action::DeleteMessageBatch,
            Single::ChangeMessageVisibility => Action::ChangeMessageVisibilityBatch,
        }
    }
}

/// Whether a queue's URL, as it is or as JSON, is that of a FIFO queue: their names, and no others, end in `.fifo`.
pub(crate) fn is_fifo(queue: &[u8]) -> bool {
    let url = queue.split(|byte| *byte == b'?').next().unwrap_or_default();
    let name = url.trim_ascii_end().strip_suffix(b"\"").unwrap_or(url);
    let end = name.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    name.get(..end).is_some_and(|name| name.ends_with(b".fifo"))
}

/// The input of an entry's plain operation.
pub(crate) fn input(queue: &[u8], members: &[u8]) -> Vec<u8> {
    let mut body = begin(queue, members.len());
    append(&mut body, members);
    body
}

/// One entry as the plain operation, so that its reply and its errors are those of a call of its own.
///
/// `attempts` were made with it before.
pub(crate) fn single(action: Single, queue: &[u8], entry: &Entry, attempts: u32) -> Request {
    let body = input(queue, &entry.members);
    let bill = Bill::of(action.action(), queue, entry.size);
    Request { attempts, not_after: entry.not_after, trace: entry.trace.clone(), bill, ..request(action.action(), body) }
}

/// Entries as one batch. Their Ids are their positions: what the entries say never makes two of them equal.
pub(crate) fn batch<'a>(action: Single, queue: &[u8], entries: impl Iterator<Item = &'a Entry> + Clone) -> Request {
    let not_after = entries.clone().filter_map(|entry| entry.not_after).min();
    let length: usize = entries.clone().map(|entry| entry.members.len() + 10).sum();
    let mut body = begin(queue, length);
    body.extend_from_slice(br#","Entries":["#);
    for (position, entry) in entries.clone().enumerate() {
        if position > 0 {
            body.push(b',');
        }
        for part in ["{\"Id\":\"", itoa::Buffer::new().format(position), "\""] {
            body.extend_from_slice(part.as_bytes());
        }
        append(&mut body, &entry.members);
    }
    body.extend_from_slice(b"]}");
    let payload = entries.clone().map(|entry| entry.size).sum();
    let alone = entries.map(|entry| billing::chunks(entry.size)).sum();
    let bill = Bill { alone, ..Bill::of(action.batch(), queue, payload) };
    Request { not_after, bill, ..request(action.batch(), body) }
}

/// An entry that deletes a message. The handle is JSON.
pub(crate) fn delete(handle: &str) -> Entry {
    unsized_entry(format!("\"ReceiptHandle\":{handle}}}"))
}

/// An entry that changes a message's visibility. The handle is JSON.
pub(crate) fn visibility(handle: &str, seconds: u32) -> Entry {
    unsized_entry(format!("\"ReceiptHandle\":{handle},\"VisibilityTimeout\":{seconds}}}"))
}

fn unsized_entry(members: String) -> Entry {
    Entry { members: members.into_bytes().into(), size: 0, group: None, not_after: None, trace: None, tag: 0 }
}

impl Entry {
    /// The members as a JSON object.
    pub(crate) fn to_object(&self) -> Vec<u8> {
        [b"{", &*self.members].concat()
    }
}

/// What one `ReceiveMessage` asks for beside what it has in common with others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiveParams {
    /// `MaxNumberOfMessages`
    pub max: usize,
    /// `WaitTimeSeconds`
    pub wait: u32,
    /// `VisibilityTimeout`; `None`: the queue's own.
    pub visibility: Option<u32>,
    /// Whether the request has a `ReceiveRequestAttemptId`: an attempt that is repeated because its reply was lost gets the same
    /// messages then.
    pub is_repeatable: bool,
}

/// A `ReceiveMessage`. `members` are those that are no part of `params`, as [`Members::without`] writes them.
pub(crate) fn receive(queue: &[u8], members: &[u8], params: ReceiveParams) -> Request {
    let ReceiveParams { max, wait, visibility, is_repeatable } = params;
    let mut body = begin(queue, members.len() + 128);
    body.extend_from_slice(members);
    body.extend_from_slice(format!(",\"MaxNumberOfMessages\":{max},\"WaitTimeSeconds\":{wait}").as_bytes());
    if let Some(seconds) = visibility {
        body.extend_from_slice(format!(",\"VisibilityTimeout\":{seconds}").as_bytes());
    }
    if is_repeatable {
        body.extend_from_slice(format!(",\"ReceiveRequestAttemptId\":\"{:032x}\"", fastrand::u128(..)).as_bytes());
    }
    body.push(b'}');
    let bill = Bill::of(Action::ReceiveMessage, queue, 0);
    Request { long_poll: Duration::from_secs(wait.into()), bill, ..request(Action::ReceiveMessage, body) }
}

/// A `GetQueueAttributes` for one attribute.
pub(crate) fn queue_attribute(queue: &[u8], name: &str) -> Request {
    let mut body = begin(queue, name.len() + 32);
    body.extend_from_slice(format!(",\"AttributeNames\":[\"{name}\"]}}").as_bytes());
    request(Action::GetQueueAttributes, body)
}

/// A body as far as the queue, which comes first; `more` bytes are to follow.
fn begin(queue: &[u8], more: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(queue.len() + more + 32);
    body.extend_from_slice(br#"{"QueueUrl":"#);
    body.extend_from_slice(queue);
    body
}

/// The members of an entry, after one that is there already.
fn append(body: &mut Vec<u8>, members: &[u8]) {
    // The brace alone has nothing to be separated from.
    if members.len() > 1 {
        body.push(b',');
    }
    body.extend_from_slice(members);
}

fn request(action: Action, body: Vec<u8>) -> Request {
    Request {
        action,
        body: Bytes::from(body),
        long_poll: Duration::ZERO,
        attempts: 0,
        not_after: None,
        trace: None,
        bill: Bill::of(action, b"", 0),
    }
}

/// The members of a request's body by name, each as JSON.
pub(crate) struct Members<'a>(BTreeMap<&'a str, &'a RawValue>);

impl<'a> Members<'a> {
    pub(crate) fn of(body: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body).map(Members)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|value| value.get())
    }

    /// The body without these members, as `,"Name":value` each, in the order of their names.
    pub(crate) fn without(&self, names: &[&str]) -> Box<[u8]> {
        let others = self.0.iter().filter(|(name, _)| !names.contains(name));
        let others: String = others.map(|(name, value)| format!(",\"{name}\":{}", value.get())).collect();
        others.into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifo_queues_are_known_by_their_names() {
        for url in ["http://h/1/q.fifo", "http://h/1/q.fifo/", "http://h/1/q.fifo//?x=1", "q.fifo"] {
            assert!(is_fifo(format!("\"{url}\"").as_bytes()) && is_fifo(url.as_bytes()), "{url}");
        }
        for url in ["http://h/1/q", "http://h/1/q.fifo-not", "http://h.fifo/1/q", "http://h/1/q?x=.fifo", "", "/"] {
            assert!(!is_fifo(format!("\"{url}\"").as_bytes()) && !is_fifo(url.as_bytes()), "{url}");
        }
    }
}
