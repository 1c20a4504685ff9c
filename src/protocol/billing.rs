//! What SQS bills for a request.
//!
//! The rules are those of AWS's price list (<https://aws.amazon.com/sqs/pricing/>): every action counts as a request; each chunk of
//! 64 KB of its payload, which is the one to ten messages that it sends or receives, is billed as a request; sending, receiving, deleting
//! and changing the visibility of messages of FIFO queues have a rate of their own, and all else has that of standard queues.
//!
//! A message is as large as SQS counts it, body and attributes; JSON around it makes it longer. So a reply that is no longer than a chunk
//! is one, and only a longer one is read for it.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;

use super::entry;
use super::message::Reply;
use crate::model::Action;

/// A chunk, in bytes.
const CHUNK: usize = 64 << 10;

/// Which price a request has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rate {
    #[default]
    Standard,
    Fifo,
}

impl Rate {
    /// The rate of an action on a queue, by its URL; empty for none. See [`entry::is_fifo`].
    pub(crate) fn of(action: Action, queue: &[u8]) -> Rate {
        if action.is_about_messages() && entry::is_fifo(queue) { Rate::Fifo } else { Rate::Standard }
    }
}

/// What a request is billed as, beside what its calls would have been billed without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bill {
    pub rate: Rate,
    /// Requests, each time that it leaves.
    pub requests: u64,
    /// The same for the calls that it carries, if each had a request of its own; 0 for those that have been counted already.
    pub alone: u64,
}

impl Bill {
    /// That of a call with a request of its own. `queue` is a URL, or empty; `payload` is bytes of messages.
    pub(crate) fn of(action: Action, queue: &[u8], payload: usize) -> Bill {
        let requests = chunks(payload);
        Bill { rate: Rate::of(action, queue), requests, alone: requests }
    }
}

/// How many requests a payload of so many bytes is billed as.
pub(crate) fn chunks(bytes: usize) -> u64 {
    bytes.div_ceil(CHUNK).max(1) as u64
}

/// How many more requests one is billed as for the messages that it brings.
pub(crate) fn brought(action: Action, reply: &Reply) -> u64 {
    if action == Action::ReceiveMessage { messages(&reply.body) - 1 } else { 0 }
}

fn messages(json: &[u8]) -> u64 {
    if json.len() <= CHUNK {
        return 1;
    }
    // What cannot be read is at most as long as its JSON.
    chunks(serde_json::from_slice::<BilledReply<'_>>(json).map_or(json.len(), |reply| reply.size()))
}

/// What counts of a reply to a receive.
#[derive(Deserialize)]
struct BilledReply<'a> {
    #[serde(borrow, default, rename = "Messages")]
    messages: Vec<BilledMessage<'a>>,
}

/// What counts of a message.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BilledMessage<'a> {
    #[serde(borrow, default)]
    body: Cow<'a, str>,
    #[serde(borrow, default)]
    message_attributes: HashMap<Cow<'a, str>, BilledAttribute<'a>>,
}

/// What counts of a message attribute.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BilledAttribute<'a> {
    #[serde(borrow, default)]
    data_type: Cow<'a, str>,
    #[serde(borrow, default)]
    string_value: Cow<'a, str>,
    /// In base64.
    #[serde(borrow, default)]
    binary_value: Cow<'a, str>,
}

impl BilledReply<'_> {
    fn size(&self) -> usize {
        self.messages.iter().map(BilledMessage::size).sum()
    }
}

impl BilledMessage<'_> {
    fn size(&self) -> usize {
        let attributes = self.message_attributes.iter().map(|(name, value)| name.len() + value.size());
        self.body.len() + attributes.sum::<usize>()
    }
}

impl BilledAttribute<'_> {
    fn size(&self) -> usize {
        let padding = self.binary_value.bytes().rev().take_while(|byte| *byte == b'=').count();
        let bytes = (self.binary_value.len() / 4 * 3).saturating_sub(padding);
        self.data_type.len() + self.string_value.len() + bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(messages: &[&str]) -> Vec<u8> {
        format!(r#"{{"Messages":[{}]}}"#, messages.join(",")).into_bytes()
    }

    fn message(body: &str, more: &str) -> String {
        format!(r#"{{"MessageId":"i","ReceiptHandle":"{}","Body":"{body}"{more}}}"#, "h".repeat(300))
    }

    #[test]
    fn each_chunk_that_is_begun_counts() {
        for (length, count) in [(0, 1), (1, 1), (CHUNK, 1), (CHUNK + 1, 2), (2 * CHUNK, 2), (1 << 20, 16)] {
            assert_eq!(chunks(length), count, "{length}");
            assert_eq!(messages(&reply(&[&message(&"x".repeat(length), "")])), count, "{length}");
        }
    }

    #[test]
    fn the_messages_of_a_reply_are_one_payload() {
        let half = message(&"x".repeat(CHUNK / 2), r#","Attributes":{"SenderId":"s"}"#);
        for (count, requests) in [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)] {
            assert_eq!(messages(&reply(&vec![half.as_str(); count])), requests, "{count}");
        }
    }

    #[test]
    fn what_json_adds_does_not_count() {
        assert_eq!(messages(&reply(&[&message(&r#"\""#.repeat(CHUNK), "")])), 1);
        // Bytes in base64, with the names beside them.
        assert_eq!(CHUNK % 3, 1);
        let zeros = "A".repeat(CHUNK / 3 * 4);
        let with = |data_type: &str| {
            let attribute = format!(r#"{{"DataType":"{data_type}","BinaryValue":"{zeros}"}}"#);
            messages(&reply(&[&message("", &format!(r#","MessageAttributes":{{"":{attribute}}}"#))]))
        };
        assert_eq!((with("B"), with("Bi")), (1, 2));
    }

    #[test]
    fn what_cannot_be_read_counts_as_it_is() {
        assert_eq!(messages(&vec![0xff; CHUNK + 1]), 2);
    }

    #[test]
    fn messages_of_fifo_queues_have_a_rate_of_their_own() {
        let fifo = br#""http://h/1/q.fifo""#;
        assert_eq!(Rate::of(Action::SendMessageBatch, fifo), Rate::Fifo);
        assert_eq!(Rate::of(Action::ReceiveMessage, fifo), Rate::Fifo);
        assert_eq!(Rate::of(Action::GetQueueAttributes, fifo), Rate::Standard);
        assert_eq!(Rate::of(Action::SendMessage, br#""http://h/1/q""#), Rate::Standard);
        assert_eq!(Rate::of(Action::ListQueues, b""), Rate::Standard);
    }
}
