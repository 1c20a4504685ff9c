//! Messages shown without being received, in LocalStack's shapes.

use http::HeaderMap;
use http::header::ACCEPT;
use serde_json::{Value, json};

use super::{MOST, Query, View};
use crate::local::error::SqsError;
use crate::local::input::{Peek, read};
use crate::local::message::Millis;
use crate::local::operations::write_peeked;
use crate::local::reply::{fresh_uuid, push_uuid};
use crate::local::server::ServerShared;
use crate::local::service::{Caller, Service, is_account};

/// The messages that a path or a query names.
pub(super) fn messages(
    shared: &ServerShared,
    headers: &HeaderMap,
    rest: &str,
    query: &Query,
) -> Result<View, SqsError> {
    let caller = shared.caller(headers);
    let mut state = shared.state();
    let now = state.now();
    let (service, _) = state.books();
    let id = match rest.trim_matches('/').split('/').collect::<Vec<_>>().as_slice() {
        [region, account, name] if is_account(account) => service.find_by_name(account, region, name)?.id,
        [""] => service.find_by_url(query.get("QueueUrl"), &caller)?,
        _ => return Err(SqsError::queue_does_not_exist()),
    };
    let peek = Peek {
        queue_url: None,
        show_invisible: query.is_true("ShowInvisible"),
        show_delayed: query.is_true("ShowDelayed"),
        offset: query.number("Offset", 0),
        limit: Some(query.number("Limit", MOST)),
    };
    let reply = service.peek(id, &peek, now)?;
    drop(state);
    // In the shape of the query protocol, which LocalStack uses here for whom it does not take for an SDK.
    let reply: Value = serde_json::from_slice(&reply).unwrap_or_default();
    let result = in_query_shape(&reply);
    let mut id = Vec::new();
    push_uuid(fresh_uuid(), &mut id);
    let whole = json!({"ReceiveMessageResponse": {
        "ReceiveMessageResult": result,
        "ResponseMetadata": {"RequestId": String::from_utf8_lossy(&id)},
    }});
    let wants_json = headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"application/json"));
    if wants_json {
        return Ok(View::json(&whole));
    }
    let mut xml = "<?xml version='1.0' encoding='utf-8'?>\n".to_owned();
    push_xml(&mut xml, &whole);
    Ok(View::of("text/xml", xml))
}

/// A reply to ReceiveMessage as the query protocol has it: a list of one is the one.
fn in_query_shape(reply: &Value) -> Value {
    let one_or_many = |mut values: Vec<Value>| match values.pop() {
        Some(only) if values.is_empty() => only,
        last => values.into_iter().chain(last).collect(),
    };
    let pairs = |map: &Value| -> Vec<Value> {
        map.as_object().into_iter().flatten().map(|(name, value)| json!({"Name": name, "Value": value})).collect()
    };
    let message = |message: &Value| {
        let mut shaped = serde_json::Map::new();
        for (name, value) in message.as_object().into_iter().flatten() {
            match name.as_str() {
                "Attributes" => shaped.insert("Attribute".to_owned(), one_or_many(pairs(value))),
                "MessageAttributes" => shaped.insert("MessageAttribute".to_owned(), one_or_many(pairs(value))),
                name => shaped.insert(name.to_owned(), value.clone()),
            };
        }
        Value::Object(shaped)
    };
    match reply.get("Messages").and_then(Value::as_array) {
        Some(messages) => json!({"Message": one_or_many(messages.iter().map(message).collect())}),
        None => json!({}),
    }
}

fn push_xml(xml: &mut String, value: &Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let one = std::slice::from_ref(value);
                for value in value.as_array().map_or(one, Vec::as_slice) {
                    xml.push_str(&format!("<{name}>"));
                    push_xml(xml, value);
                    xml.push_str(&format!("</{name}>"));
                }
            }
        }
        Value::String(text) => {
            for character in text.chars() {
                match character {
                    '&' => xml.push_str("&amp;"),
                    '<' => xml.push_str("&lt;"),
                    '>' => xml.push_str("&gt;"),
                    '\r' => xml.push_str("&#xD;"),
                    character => xml.push(character),
                }
            }
        }
        other => xml.push_str(&other.to_string()),
    }
}

impl Service {
    /// ReceiveMessage at the place where messages are shown.
    pub(in crate::local) fn peek_by_request(
        &mut self,
        caller: &Caller<'_>,
        body: &[u8],
        now: Millis,
    ) -> Result<Vec<u8>, SqsError> {
        let peek: Peek<'_> = read(body)?;
        let id = self.find_by_url(peek.queue_url.as_deref(), caller)?;
        self.peek(id, &peek, now)
    }

    fn peek(&mut self, id: u32, peek: &Peek<'_>, now: Millis) -> Result<Vec<u8>, SqsError> {
        let queue = self.queue_mut(id)?;
        let keys = queue.held(peek.show_invisible, peek.show_delayed, now);
        let shown: Vec<_> = keys.into_iter().skip(peek.offset).take(peek.limit.unwrap_or(MOST).min(MOST)).collect();
        Ok(write_peeked(queue, &shown, peek.show_invisible, peek.show_delayed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_says_nothing_but_text() {
        let mut xml = String::new();
        push_xml(&mut xml, &json!({"Message": [{"Body": "<a href=\"x\">&\r\n"}, {"Body": "b"}]}));
        assert_eq!(
            xml,
            "<Message><Body>&lt;a href=\"x\"&gt;&amp;&#xD;\n</Body></Message><Message><Body>b</Body></Message>"
        );
    }
}
