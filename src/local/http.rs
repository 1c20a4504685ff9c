//! HTTP in front of the service: reading requests, and refusing what is none.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};

use super::caller::signer;
use super::error::SqsError;
use super::faults::{ConnectionFault, EntryFault};
use super::held::Held;
use super::input::{Administration, read};
use super::log;
use super::respond::{Outcome, Refusal, UNSUPPORTED, respond, share};
use super::server::ServerShared;
use super::service::Answer;
use super::views::{View, is_peek, view};
use super::wire::Breaker;
use crate::model::{Action, TARGET_PREFIX};

/// The longest request body that is read. A batch holds up to 1 MiB, of which every byte may have been written as an
/// escape of six; the rest is for names and numbers.
pub(super) const MAX_BODY: usize = 7 * 1_048_576;

/// How much room is made for a body before it is there.
const EXPECTED_BODY: usize = 1_048_576;

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// The error that hyper is told when a fault ends the connection.
#[derive(Debug)]
pub(super) struct ConnectionEnded;

impl std::fmt::Display for ConnectionEnded {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the connection was ended by a fault that was asked for")
    }
}

impl std::error::Error for ConnectionEnded {}

/// Answers one request.
pub(super) async fn serve(
    shared: Arc<ServerShared>,
    breaker: Breaker,
    over_tls: bool,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, ConnectionEnded> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let action = action_of(&head.headers);
    let mut about = String::new();
    let mut shown = None;
    let insecure = (shared.tls.is_some() && !over_tls).then(|| SqsError::invalid_security(not_tls(&shared)));
    let unread = insecure.or_else(|| shared.guard.refuse(&head.headers, &head.uri));
    let refusal = unread.map(Refusal::Unread).or_else(|| {
        shown = match head.method {
            Method::OPTIONS => Some(Ok(View { body: Vec::new(), headers: Vec::new() })),
            _ => view(&shared, &head),
        };
        match shown {
            Some(_) => None,
            None => refuse_protocol(&head.method, &head.headers, &head.uri),
        }
    });
    let outcome = match (refusal, shown) {
        (Some(refusal), _) => Err(refusal),
        (None, Some(Ok(view))) => Ok(Outcome::Shown(view)),
        (None, Some(Err(error))) => Err(Refusal::Json(error)),
        (None, None) => match read_body(&shared, &head.headers, body).await {
            Err(error) => Err(Refusal::Unread(error)),
            Ok((body, _)) if body.starts_with(b"Action=") => Err(Refusal::QueryProtocol),
            Ok((body, held)) => match &action {
                Ok(action) => {
                    if shared.log.is_some() {
                        about = subject(&body);
                    }
                    let plan = shared.state().plan(*action);
                    if !plan.delay.is_zero() {
                        tokio::time::sleep(plan.delay).await;
                    }
                    if plan.connection == Some(ConnectionFault::ResetBefore) {
                        shared.state().count(*action);
                        breaker.reset();
                        return Err(ConnectionEnded);
                    }
                    let outcome = match plan.refusal {
                        Some(refusal) => {
                            shared.state().count(*action);
                            Err(refusal)
                        }
                        None if is_peek(head.uri.path()) && *action == Action::ReceiveMessage => {
                            shared.state().peek(&shared.caller(&head.headers), &body)
                        }
                        None => answer(&shared, *action, plan.entries, &head.headers, body, held).await,
                    };
                    match plan.connection {
                        Some(ConnectionFault::ResetAfter) => {
                            breaker.reset();
                            return Err(ConnectionEnded);
                        }
                        Some(ConnectionFault::HalfReply) => breaker.half_reply(),
                        Some(ConnectionFault::ResetBefore) | None => {}
                    }
                    outcome.map(Outcome::Reply).map_err(Refusal::Json)
                }
                Err(error) => Err(Refusal::Json(error.clone())),
            },
        },
    };
    let error = match &outcome {
        Err(Refusal::Json(error) | Refusal::Unread(error)) => Some(error.code),
        Err(Refusal::QueryProtocol) => Some(UNSUPPORTED),
        Err(Refusal::NoAction(_)) => Some("InvalidAction"),
        Ok(_) => None,
    };
    let name = match (&action, &outcome) {
        (_, Ok(Outcome::Shown(_))) => "view",
        (Ok(action), _) => action.operation().name,
        (Err(_), _) => "-",
    };
    let mut response = respond(outcome, &shared.replies);
    share(&shared, &head, &mut response);
    let region = signer(&head.headers).map_or(&*shared.region, |(_, region)| region);
    let entry = log::LogEntry {
        at: SystemTime::now(),
        region,
        action: name,
        queue: if name == "view" { head.uri.path() } else { &about },
        status: response.status().as_u16(),
        error,
        elapsed: started.elapsed(),
    };
    shared.answered(&entry, name, action.is_ok());
    Ok(response)
}

/// What a client is told, and the server's user, that speaks plain HTTP to a server that speaks TLS.
pub(super) fn not_tls(shared: &ServerShared) -> String {
    format!("a client spoke plain HTTP to a server that speaks TLS: its URL is {}", shared.endpoint_url())
}

fn refuse_protocol(method: &Method, headers: &HeaderMap, uri: &http::Uri) -> Option<Refusal> {
    let form =
        headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    if form || uri.query().is_some_and(|query| query.contains("Action=")) {
        return Some(Refusal::QueryProtocol);
    }
    (method != Method::POST).then(|| Refusal::NoAction(method.clone()))
}

/// Which queue a request is about, for the log.
fn subject(body: &[u8]) -> String {
    let Ok(input) = read::<Administration<'_>>(body) else { return String::new() };
    let named = [&input.queue_url, &input.queue_name, &input.source_arn, &input.queue_name_prefix];
    let name = named.into_iter().flatten().next().map_or("", |name| &**name);
    name.rsplit(['/', ':']).next().unwrap_or(name).to_owned()
}

fn action_of(headers: &HeaderMap) -> Result<Action, SqsError> {
    let Some(target) = headers.get(TARGET) else {
        return Err(SqsError::unknown_operation("The request names no action: the header X-Amz-Target is missing."));
    };
    let target = target.to_str().unwrap_or_default();
    let name = target.strip_prefix(TARGET_PREFIX).and_then(|rest| rest.strip_prefix('.'));
    name.and_then(Action::from_name)
        .ok_or_else(|| SqsError::unknown_operation(format!("The action {target} is not one of SQS.")))
}

/// Reads a body within the limits of its size, of its time and of what all bodies together may hold.
async fn read_body(shared: &ServerShared, headers: &HeaderMap, body: Incoming) -> Result<(Bytes, Held), SqsError> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY) {
        return Err(SqsError::too_large(MAX_BODY));
    }
    let (mut held, evicted) = shared.bodies.arriving();
    let limit = shared.limits.body;
    let body = tokio::select! {
        biased;
        body = collect(body, &mut held) => body?,
        _ = evicted => return Err(SqsError::overloaded("unfinished requests")),
        () = tokio::time::sleep(limit) => return Err(SqsError::too_slow(limit)),
    };
    held.is_whole();
    Ok((body, held))
}

async fn collect(mut body: Incoming, held: &mut Held) -> Result<Bytes, SqsError> {
    let broken = |_| SqsError::serialization("The request body ended early or was not readable.");
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if first.len() + whole.len() + data.len() > MAX_BODY {
            return Err(SqsError::too_large(MAX_BODY));
        }
        held.add(data.len());
        // Most bodies come in one piece, which is used as it is.
        if first.is_empty() && whole.is_empty() {
            first = data;
            continue;
        }
        if whole.is_empty() {
            let expected = usize::try_from(body.size_hint().lower()).unwrap_or(EXPECTED_BODY);
            whole.reserve(expected.min(EXPECTED_BODY) + first.len() + data.len());
            whole.extend_from_slice(&first);
            first.clear();
        }
        whole.extend_from_slice(&data);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

async fn answer(
    shared: &ServerShared,
    action: Action,
    entry_fault: Option<EntryFault>,
    headers: &HeaderMap,
    body: Bytes,
    held: Held,
) -> Result<Vec<u8>, SqsError> {
    let caller = shared.caller(headers);
    if action == Action::ReceiveMessage && shared.replies.is_full() {
        shared.state().count(action);
        return Err(SqsError::overloaded("replies that nobody has read"));
    }
    let (waiting, timeout) = {
        let mut state = shared.state();
        match state.call(action, &caller, &body, entry_fault)? {
            Answer::Reply(reply) => {
                drop(state);
                shared.reconsider();
                return Ok(reply);
            }
            Answer::Wait(request) => {
                let timeout = Duration::from_millis(request.until.saturating_sub(state.now()));
                (state.wait(request), timeout)
            }
        }
    };
    shared.reconsider();
    // A poll that waits needs neither.
    drop((body, held));
    match tokio::time::timeout(timeout, waiting).await {
        Ok(Ok(reply)) => reply,
        // The time is up, or the server is stopping.
        Ok(Err(_)) | Err(_) => Ok(b"{}".to_vec()),
    }
}
