//! What a poller reads of the messages in a reply.

use bytes::Bytes;
use serde::Deserialize;

use super::leases::Incoming;
use crate::protocol::error::{Error, Failure, Lost};
use crate::protocol::message::Reply;
use crate::protocol::slices;

/// What a poller reads of a message in a reply; all the rest goes to its taker as it came.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MessageFacts<'a> {
    #[serde(borrow)]
    receipt_handle: Option<&'a serde_json::value::RawValue>,
    attributes: Option<SystemAttributes>,
}

/// Of a message's system attributes, the one that says whose turn it is.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SystemAttributes {
    message_group_id: Option<String>,
}

/// The messages of a reply.
pub(super) fn incoming(reply: &Reply) -> Result<Vec<Incoming<Bytes>>, Error> {
    let unread = || {
        let detail = "the answer to a ReceiveMessage is not one of SQS's: a proxy's page, perhaps".into();
        Error::Lost(Box::new(Lost { failure: Failure::Other, url: String::new(), detail }))
    };
    let messages = slices::messages(&reply.body).ok_or_else(unread)?;
    let read = |json: &str| {
        let facts = serde_json::from_str::<MessageFacts<'_>>(json).ok();
        let handle = facts.as_ref().and_then(|facts| facts.receipt_handle).map_or("\"\"", |handle| handle.get());
        Incoming {
            handle: handle.into(),
            message: reply.body.slice_ref(json.as_bytes()),
            bytes: json.len(),
            group: facts.and_then(|facts| facts.attributes?.message_group_id).map(Into::into),
        }
    };
    Ok(messages.into_iter().map(read).collect())
}
