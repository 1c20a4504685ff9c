//! What the server shows without being asked by an SDK: its health, metrics, messages that nobody receives, and the console.
//!
//! All of it is read-only, and is told nothing that ReceiveMessage or GetQueueAttributes would not tell.

mod looking;
mod metrics;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::console;
use super::error::SqsError;
use super::server::ServerShared;
use super::service::Caller;
use super::state::ServerState;
use looking::messages;
use metrics::metrics;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let query = Query::of(Some("QueueUrl=http%3A%2F%2Fh%2F1%2Fq&ShowDelayed=True&Limit=x&empty="));
        assert_eq!(query.get("QueueUrl"), Some("http://h/1/q"));
        assert!(query.is_true("ShowDelayed") && !query.is_true("ShowInvisible"));
        assert_eq!(query.number("Limit", 7), 7);
    }
}
