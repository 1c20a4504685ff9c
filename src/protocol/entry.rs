//! Ready-made pieces of JSON put together to requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::message::Request;
use crate::model::Action;

/// What a caller asks for one message, as it travels: alone, or as an entry of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The members but `QueueUrl`, as JSON, with the closing brace and without the opening one:
    /// `"MessageBody":"hello"}`, or the brace alone.
    pub members: Box<[u8]>,
    /// Bytes of body and attributes, as SQS counts them.
    pub size: usize,
    pub group: Option<Arc<str>>,
    /// The moment after which it must not leave any more, nor be tried again: what it is about may be somebody else's then.
    pub not_after: Option<Instant>,
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

/// Whether a queue's URL, as JSON, is that of a FIFO queue: their names, and no others, end in `.fifo`.
pub(crate) fn is_fifo(queue: &[u8]) -> bool {
    let url = queue.split(|byte| *byte == b'?').next().unwrap_or_default();
    let name = url.trim_ascii_end().strip_suffix(b"\"").unwrap_or(url);
    let end = name.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    name.get(..end).is_some_and(|name| name.ends_with(b".fifo"))
}

/// One entry as the plain operation, so that its reply and its errors are those of a call of its own.
///
/// `attempts` were made with it before.
pub(crate) fn single(action: Single, queue: &[u8], entry: &Entry, attempts: u32) -> Request {
    let mut body = Vec::with_capacity(queue.len() + entry.members.len() + 16);
    body.extend_from_slice(br#"{"QueueUrl":"#);
    body.extend_from_slice(queue);
    append(&mut body, entry);
    Request { attempts, not_after: entry.not_after, ..request(action.action(), body) }
}

/// Entries as one batch. Their Ids are their positions: what the entries say never makes two of them equal.
pub(crate) fn batch<'a>(action: Single, queue: &[u8], entries: impl Iterator<Item = &'a Entry> + Clone) -> Request {
    let not_after = entries.clone().filter_map(|entry| entry.not_after).min();
    let length: usize = entries.clone().map(|entry| entry.members.len() + 10).sum();
    let mut body = Vec::with_capacity(queue.len() + length + 32);
    body.extend_from_slice(br#"{"QueueUrl":"#);
    body.extend_from_slice(queue);
    body.extend_from_slice(br#","Entries":["#);
    for (position, entry) in entries.enumerate() {
        if position > 0 {
            body.push(b',');
        }
        body.extend_from_slice(format!("{{\"Id\":\"{position}\"").as_bytes());
        append(&mut body, entry);
    }
    body.extend_from_slice(b"]}");
    Request { not_after, ..request(action.batch(), body) }
}

/// The members of an entry, after one that is there already.
fn append(body: &mut Vec<u8>, entry: &Entry) {
    if entry.members.len() > 1 {
        body.push(b',');
    }
    body.extend_from_slice(&entry.members);
}

fn request(action: Action, body: Vec<u8>) -> Request {
    Request { action, body: Bytes::from(body), long_poll: Duration::ZERO, attempts: 0, not_after: None }
}

/// An entry that deletes a message. The handle is JSON.
pub(crate) fn delete(handle: &str) -> Entry {
    let members = format!("\"ReceiptHandle\":{handle}}}");
    Entry { members: members.into_bytes().into(), size: 0, group: None, not_after: None }
}

/// An entry that changes a message's visibility. The handle is JSON.
pub(crate) fn visibility(handle: &str, seconds: u32) -> Entry {
    let members = format!("\"ReceiptHandle\":{handle},\"VisibilityTimeout\":{seconds}}}");
    Entry { members: members.into_bytes().into(), size: 0, group: None, not_after: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifo_queues_are_known_by_their_names() {
        for url in ["http://h/1/q.fifo", "http://h/1/q.fifo/", "http://h/1/q.fifo//?x=1", "q.fifo"] {
            assert!(is_fifo(format!("\"{url}\"").as_bytes()), "{url}");
        }
        for url in ["http://h/1/q", "http://h/1/q.fifo-not", "http://h.fifo/1/q", "http://h/1/q?x=.fifo", "", "/"] {
            assert!(!is_fifo(format!("\"{url}\"").as_bytes()), "{url}");
        }
    }
}
