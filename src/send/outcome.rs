//! What a reply to a batch says to each of its entries.

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::protocol::entry::Single;
use crate::protocol::error::{Error, Failure, Lost, Retry, ServiceError};
use crate::protocol::json::{self, without_lone_surrogates};
use crate::protocol::message::Reply;

/// What a reply to a batch says to one entry.
#[derive(Debug)]
pub(crate) enum EntryOutcome {
    /// Done; the reply's body is this entry's part of it.
    Done(Reply),
    /// The service's own fault, or a throttle: worth asking again.
    Fault(Error, Retry),
    /// The entry's own fault, in the batch's words.
    Refused(Error),
}

/// What a batch has asked for.
pub(crate) struct Asked<'a> {
    pub action: Single,
    /// Its URL, as JSON.
    pub queue: &'a [u8],
    /// Nobody reads what a reply says beyond that the entry was taken.
    pub unread: bool,
}

/// A reply to a batch: entries done and entries failed, unread.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchReply<'a> {
    #[serde(borrow, default)]
    successful: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    failed: Option<Vec<&'a RawValue>>,
}

/// An entry of a reply, of which only the Id is read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    id: String,
}

/// An entry that has failed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FailedEntry {
    id: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    sender_fault: Option<bool>,
}

/// What every reply to a SendMessage has.
#[derive(Deserialize)]
struct SentEntry<'a> {
    #[serde(rename = "MessageId", borrow)]
    message_id: Cow<'a, str>,
    #[serde(rename = "MD5OfMessageBody", borrow)]
    _md5: Cow<'a, str>,
}

/// Whether the body of a successful reply, or an entry's part of one, says that it was done. Of SendMessage a reply has
/// members; of the others it may be empty. What else comes with a status of 200 (a proxy's page) says nothing.
pub(crate) fn is_done(action: Single, body: &[u8]) -> bool {
    match action {
        Single::SendMessage => is_object(body) && serde_json::from_slice::<SentEntry<'_>>(body).is_ok(),
        Single::DeleteMessage | Single::ChangeMessageVisibility => {
            body.trim_ascii().is_empty() || (is_object(body) && serde_json::from_slice::<IgnoredAny>(body).is_ok())
        }
    }
}

/// The id of a message, from the reply to the one who sent it.
pub(crate) fn message_id(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<SentEntry<'_>>(body).ok().map(|sent| sent.message_id.into_owned())
}

fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().starts_with(b"{")
}

/// One outcome for each of `count` entries, in their order. An entry that the reply does not mention was answered with
/// nothing, so that the attempt has failed.
pub(crate) fn read(reply: &Reply, asked: &Asked<'_>, count: usize) -> Vec<EntryOutcome> {
    let mut entry_outcomes: HashMap<String, EntryOutcome> = HashMap::with_capacity(count);
    let text = std::str::from_utf8(&reply.body).unwrap_or_default();
    // Python takes NaN for JSON, and so does boto3; what is put in its place leaves everything where it stands.
    let plain = json::with_numbers(text);
    let body = serde_json::from_str::<BatchReply<'_>>(&plain).ok().filter(|_| is_object(&reply.body));
    let is_reply = body.is_some();
    if let Some(body) = body {
        for failed in body.failed.into_iter().flatten() {
            let Some(failed) = failure(failed.get()) else { continue };
            let (code, sender_fault) = (failed.code.unwrap_or_default(), failed.sender_fault.unwrap_or_default());
            let reply = Reply { body: Bytes::new(), ..reply.clone() };
            let message = failed.message.unwrap_or_default();
            let error = ServiceError::of_entry(&code, message, sender_fault, reply);
            let why = error.retry();
            let error = Error::Service(Box::new(error));
            // A throttle is tried again whoever is said to be at fault, as that of a whole request is.
            let entry_outcome = match why {
                None if sender_fault => EntryOutcome::Refused(error),
                why => EntryOutcome::Fault(error, why.unwrap_or(Retry::Transient)),
            };
            entry_outcomes.insert(failed.id, entry_outcome);
        }
        // What is said to be done is not asked for again, whatever else is said of it.
        for entry in body.successful.into_iter().flatten() {
            if let Ok(Named { id }) = serde_json::from_str(entry.get())
                && (!asked.unread || is_done(asked.action, entry.get().as_bytes()))
            {
                entry_outcomes.insert(id, EntryOutcome::Done(part(reply, &plain, entry.get())));
            }
        }
    }
    let silent = |position| {
        let error = if is_reply { unmentioned(position, asked) } else { no_reply(reply, asked) };
        EntryOutcome::Fault(error, Retry::Transient)
    };
    (0..count)
        .map(|position| entry_outcomes.remove(&position.to_string()).unwrap_or_else(|| silent(position)))
        .collect()
}

/// A message may quote what no Rust string can hold.
fn failure(json: &str) -> Option<FailedEntry> {
    serde_json::from_str(json).or_else(|_| serde_json::from_str(&without_lone_surrogates(json))).ok()
}

/// The reply with a piece of its body, which was found in `plain`.
fn part(reply: &Reply, plain: &str, piece: &str) -> Reply {
    let start = piece.as_ptr().addr() - plain.as_ptr().addr();
    let piece = reply.body.get(start..start + piece.len()).unwrap_or_default();
    Reply { body: reply.body.slice_ref(piece), ..reply.clone() }
}

fn unmentioned(position: usize, asked: &Asked<'_>) -> Error {
    let action = asked.action.batch().operation().name;
    lost(format!(
        "the reply to {action} for {} names entry {position} neither among the successful nor among the failed",
        String::from_utf8_lossy(asked.queue),
    ))
}

/// A reply with a status of success that SQS does not give.
pub(crate) fn no_reply(reply: &Reply, asked: &Asked<'_>) -> Error {
    let text = String::from_utf8_lossy(&reply.body);
    let beginning: String = text.trim().chars().take(80).collect();
    lost(format!(
        "the reply to {} for {} has status {}, but not the body of SQS's replies: {beginning:?}. Is there a proxy on the way, \
         or is endpoint_url another service's?",
        asked.action.action().operation().name,
        String::from_utf8_lossy(asked.queue),
        reply.status,
    ))
}

fn lost(detail: String) -> Error {
    Error::Lost(Box::new(Lost { failure: Failure::Other, url: String::new(), detail }))
}
