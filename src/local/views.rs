//! What the server shows without being asked by an SDK: its health, metrics, messages that nobody receives, and the console.
//!
//! All of it is read-only, and is told nothing that ReceiveMessage or GetQueueAttributes would not tell.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::console;
use super::error::SqsError;
use super::input::{Peek, read};
use super::ledger::BUCKETS;
use super::message::Millis;
use super::reply::{fresh_uuid, push_uuid};
use super::server::{ServerShared, ServerState};
use super::service::{Caller, Service, is_account};

/// A page or a document, and the headers that say what it is.
pub(super) struct View {
    pub body: Vec<u8>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// Where LocalStack shows messages, whose users' tests go on here.
const MESSAGES: &str = "/_aws/sqs/messages";

/// What the console asks for.
const OVERVIEW: &str = "/_turbosqs/overview";

/// The most messages or queues that one view shows.
const MOST: usize = 10_000;

impl View {
    fn of(kind: &'static str, body: impl Into<Vec<u8>>) -> View {
        let headers = vec![
            (CONTENT_TYPE, HeaderValue::from_static(kind)),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
            (HeaderName::from_static("content-security-policy"), HeaderValue::from_static(console::POLICY)),
            (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
            (HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer")),
        ];
        View { body: body.into(), headers }
    }

    fn json(value: &Value) -> View {
        View::of("application/json", value.to_string())
    }
}

/// The parameters of a query.
struct Query(BTreeMap<String, String>);

impl Query {
    fn of(text: Option<&str>) -> Query {
        let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pairs = text.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        Query(pairs.map(|(name, value)| (decode(name), decode(value))).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
    }

    fn number(&self, name: &str, default: usize) -> usize {
        self.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }
}

/// What a request of a browser or a monitor is shown; `None` if it is not for one of these.
pub(super) fn view(shared: &ServerShared, head: &Parts) -> Option<Result<View, SqsError>> {
    if head.method != Method::GET && head.method != Method::HEAD {
        return None;
    }
    let path = head.uri.path();
    let query = Query::of(head.uri.query());
    if query.get("Action").is_some() {
        return None;
    }
    match path {
        "/health" => Some(Ok(health())),
        "/metrics" => Some(Ok(View::of("text/plain; version=0.0.4; charset=utf-8", metrics(&mut shared.state())))),
        OVERVIEW => {
            let caller = shared.caller(&head.headers);
            Some(Ok(View::json(&overview(&mut shared.state(), &caller, &query))))
        }
        _ => match path.strip_prefix(MESSAGES) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                Some(messages(shared, &head.headers, rest, &query))
            }
            _ => console::file(path.strip_prefix('/')?).map(|file| Ok(View::of(file.kind, file.body))),
        },
    }
}

/// Whether a request of an SDK goes to the place where messages are shown: ReceiveMessage there looks, and receives nothing.
pub(super) fn is_peek(path: &str) -> bool {
    path == MESSAGES
}

fn health() -> View {
    View::json(&json!({"status": "ok", "services": {"sqs": "running"}, "version": env!("CARGO_PKG_VERSION")}))
}

/// Prometheus' text format.
fn metrics(state: &mut ServerState) -> String {
    let mut text = String::new();
    let now = state.now();
    let (service, connections) = state.books();
    let mut family = |name: &str, kind: &str, help: &str, lines: &[(String, String)]| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in lines {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let label = |name: &str, value: &str| format!("{name}=\"{value}\"");
    let (mut held, mut ages, mut moved) = (Vec::new(), Vec::new(), Vec::new());
    for queue in service.queues_mut() {
        let counts = queue.counts(now);
        let region = queue.arn.split(':').nth(3).unwrap_or_default();
        // None of these has a character that would need escaping.
        let whose = [label("account", &queue.account), label("region", region), label("queue", &queue.name)].join(",");
        for (state, count) in
            [("visible", counts.visible), ("in_flight", counts.in_flight), ("delayed", counts.delayed)]
        {
            held.push((format!("{{{whose},state=\"{state}\"}}"), count.to_string()));
        }
        let age = queue.oldest(now).map_or(0.0, |sent_at| now.saturating_sub(sent_at) as f64 / 1_000.0);
        ages.push((format!("{{{whose}}}"), age.to_string()));
        for (what, count) in [("sent", queue.sent), ("received", queue.received), ("deleted", queue.deleted)] {
            moved.push((format!("{{{whose},what=\"{what}\"}}"), count.to_string()));
        }
    }
    family("turbosqs_messages", "gauge", "Messages in a queue, by state.", &held);
    family("turbosqs_oldest_message_age_seconds", "gauge", "Age of the oldest message in a queue.", &ages);
    family(
        "turbosqs_queue_messages_total",
        "counter",
        "Messages sent to, received from and deleted from a queue.",
        &moved,
    );
    let ledger = &service.ledger;
    let answers: Vec<_> = ledger
        .answers()
        .map(|(name, status, count)| (format!("{{{},status=\"{status}\"}}", label("action", name)), count.to_string()))
        .collect();
    family("turbosqs_requests_total", "counter", "Requests, by action and HTTP status.", &answers);
    let (buckets, count, elapsed) = ledger.latency();
    let mut lines: Vec<_> = BUCKETS
        .iter()
        .zip(buckets)
        .map(|(bound, count)| (format!("_bucket{{le=\"{}\"}}", *bound as f64 / 1e6), count.to_string()))
        .collect();
    lines.push(("_bucket{le=\"+Inf\"}".to_owned(), count.to_string()));
    lines.push(("_sum".to_owned(), elapsed.as_secs_f64().to_string()));
    lines.push(("_count".to_owned(), count.to_string()));
    family("turbosqs_request_duration_seconds", "histogram", "How long actions took, long polls included.", &lines);
    family(
        "turbosqs_connections_total",
        "counter",
        "Connections accepted.",
        &[(String::new(), connections.to_string())],
    );
    text
}

/// What the console shows: a page of the caller's queues, and what the traffic comes to.
fn overview(state: &mut ServerState, caller: &Caller<'_>, query: &Query) -> Value {
    let now = state.now();
    let (service, _) = state.books();
    let search = query.get("search").unwrap_or_default();
    let only = query.get("only").filter(|only| !only.is_empty());
    let found: Vec<(Arc<str>, u32)> = service
        .realm(caller.account, caller.region)
        .into_iter()
        .flat_map(|realm| &realm.names)
        .filter(|(name, _)| only.map_or_else(|| name.contains(search), |only| &***name == only))
        .map(|(name, id)| (name.clone(), *id))
        .collect();
    let (skip, most) = (query.number("offset", 0), query.number("limit", 100).min(MOST));
    let mut rows = Vec::new();
    for (name, id) in found.iter().skip(skip).take(most) {
        let Ok(queue) = service.queue_mut(*id) else { continue };
        let counts = queue.counts(now);
        let age = queue.oldest(now).map(|sent_at| now.saturating_sub(sent_at) / 1_000);
        rows.push(json!({
            "name": &**name, "url": caller.queue_url(&queue.account, name), "fifo": queue.is_fifo(),
            "visible": counts.visible, "inFlight": counts.in_flight, "delayed": counts.delayed, "oldest": age,
            "sent": queue.sent, "received": queue.received, "deleted": queue.deleted,
        }));
    }
    let bill = |(kind, action, usage): (&str, &str, super::ledger::Usage)| json!({"kind": kind, "action": action, "requests": usage.requests, "messages": usage.messages});
    let traffic: Vec<Value> = service.ledger.usage().into_iter().map(bill).collect();
    let realms: Vec<&String> = service.realms().collect();
    json!({
        "total": found.len(), "realms": realms, "queues": rows, "traffic": traffic, "now": now, "peek": MESSAGES.trim_start_matches('/'),
        "refresh": 1, "region": caller.region, "account": caller.account, "endpoint": caller.origin(),
    })
}

fn messages(shared: &ServerShared, headers: &HeaderMap, rest: &str, query: &Query) -> Result<View, SqsError> {
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
    pub(super) fn peek_by_request(
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
        Ok(super::operations::write_peeked(queue, &shown, peek.show_invisible, peek.show_delayed))
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

    #[test]
    fn queries_are_decoded() {
        let query = Query::of(Some("QueueUrl=http%3A%2F%2Fh%2F1%2Fq&ShowDelayed=True&Limit=x&empty="));
        assert_eq!(query.get("QueueUrl"), Some("http://h/1/q"));
        assert!(query.is_true("ShowDelayed") && !query.is_true("ShowInvisible"));
        assert_eq!(query.number("Limit", 7), 7);
    }
}
