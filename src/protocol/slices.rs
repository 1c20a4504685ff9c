//! Slices of replies: the messages of a receive, cut out as they came.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::message::Reply;

/// The messages of a reply, unread.
#[derive(Deserialize)]
struct ReceiveReply<'a> {
    #[serde(borrow, default, rename = "Messages")]
    messages: Option<Vec<&'a RawValue>>,
}

/// The messages of a reply to a ReceiveMessage, each as its JSON; `None` if it is no such reply, or not all of it is UTF-8.
pub(crate) fn messages(body: &[u8]) -> Option<Vec<&str>> {
    let body: ReceiveReply<'_> = serde_json::from_str(std::str::from_utf8(body).ok()?).ok()?;
    Some(body.messages.unwrap_or_default().into_iter().map(RawValue::get).collect())
}

/// A reply to a ReceiveMessage with some of its messages alone.
pub(crate) fn with_messages(reply: &Reply, messages: &[&str]) -> Reply {
    let body = match messages {
        [] => Bytes::from_static(b"{}"),
        some => Bytes::from(format!("{{\"Messages\":[{}]}}", some.join(","))),
    };
    Reply { body, ..reply.clone() }
}

/// A message, of which only the receipt handle is read.
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
