//! What a reply to a batch says to each of its entries.

use std::collections::HashMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Error, Failure, Lost, Retry, ServiceError, without_lone_surrogates};
use crate::transport::Reply;

/// To one entry.
#[derive(Debug)]
pub enum Verdict {
    /// Done; the reply's body is this entry's part of it.
    Done(Reply),
    /// The service's own fault, or a throttle: worth asking again.
    Fault(Error, Retry),
    /// The answer.
    Refused(Error),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    #[serde(borrow, default)]
    successful: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    failed: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failed {
    id: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    sender_fault: Option<bool>,
}

/// One verdict for each of `count` entries, in their order. An entry that the reply does not mention was answered
/// with nothing, and is told so.
pub fn read(reply: &Reply, count: usize) -> Vec<Verdict> {
    let mut verdicts: HashMap<String, Verdict> = HashMap::with_capacity(count);
    // A body that is no such object mentions nobody.
    if let Ok(body) = serde_json::from_slice::<Body<'_>>(&reply.body) {
        for failed in body.failed.into_iter().flatten() {
            let Some(failed) = failure(failed.get()) else { continue };
            let (code, sender_fault) = (failed.code.unwrap_or_default(), failed.sender_fault.unwrap_or_default());
            let reply = part(reply, "");
            let message = failed.message.unwrap_or_default();
            let error = ServiceError::of_entry(&code, message, sender_fault, reply);
            let why = error.retry();
            let error = Error::Service(Box::new(error));
            // A throttle is tried again whoever is said to be at fault, as that of a whole request is.
            let verdict = match why {
                None if sender_fault => Verdict::Refused(error),
                why => Verdict::Fault(error, why.unwrap_or(Retry::Transient)),
            };
            verdicts.insert(failed.id, verdict);
        }
        // What is said to be done is not asked for again, whatever else is said of it.
        for entry in body.successful.into_iter().flatten() {
            if let Ok(Named { id }) = serde_json::from_str(entry.get()) {
                verdicts.insert(id, Verdict::Done(part(reply, entry.get())));
            }
        }
    }
    (0..count).map(|position| verdicts.remove(&position.to_string()).unwrap_or_else(|| unmentioned(position))).collect()
}

/// A message may quote what no Rust string can hold.
fn failure(json: &str) -> Option<Failed> {
    serde_json::from_str(json).or_else(|_| serde_json::from_str(&without_lone_surrogates(json))).ok()
}

fn part(reply: &Reply, body: &str) -> Reply {
    let body = if body.is_empty() { Bytes::new() } else { reply.body.slice_ref(body.as_bytes()) };
    Reply { body, ..reply.clone() }
}

fn unmentioned(position: usize) -> Verdict {
    Verdict::Refused(Error::Lost(Box::new(Lost {
        failure: Failure::Other,
        url: String::new(),
        detail: format!(
            "the service's reply to a batch names entry {position} neither among the successful nor among the failed"
        ),
    })))
}

/// Whether a refusal of a whole batch would meet each of its entries alone as well. Any other may be one entry's
/// doing.
pub fn concerns_all(error: &ServiceError) -> bool {
    const CODES: [&str; 22] = [
        "AWS.SimpleQueueService.NonExistentQueue",
        "AWS.SimpleQueueService.QueueDeletedRecently",
        "QueueDoesNotExist",
        "InvalidAddress",
        "InvalidSecurity",
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "OverLimit",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnknownOperationException",
        "UnrecognizedClientException",
    ];
    let code = error.code.as_str();
    let kms = |code: &str| code.starts_with("Kms") || code.starts_with("KMS.");
    CODES.contains(&code)
        || kms(code)
        || kms(error.class_name())
        || matches!(error.reply.status, 401 | 403)
        // Throttled, or the service's trouble: its retries are spent.
        || error.retry().is_some()
}
