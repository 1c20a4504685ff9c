//! HTTP in front of the service: reading requests, writing replies, refusing what is neither.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW, AUTHORIZATION,
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, VARY,
};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};

use super::error::SqsError;
use super::faults::{ConnectionFault, EntryFault};
use super::held::{Budget, Held};
use super::input::{Administration, read};
use super::log;
use super::reply::{ReplyWriter, fresh_uuid, push_uuid};
use super::server::ServerShared;
use super::service::{Answer, Caller, is_account, is_region};
use super::views::{View, is_peek, view};
use super::wire::Breaker;
use crate::model::{Action, TARGET_PREFIX};

/// The longest request body that is read. A batch holds up to 1 MiB, of which every byte may have been written as an
/// escape of six; the rest is for names and numbers.
pub(super) const MAX_BODY: usize = 7 * 1_048_576;

/// How much room is made for a body before it is there.
const EXPECTED_BODY: usize = 1_048_576;

/// Replies beyond this size count as held until they are sent.
const LARGE_REPLY: usize = 65_536;

const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");
const XML: HeaderValue = HeaderValue::from_static("text/xml");
const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const TRACE: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");

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
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, ConnectionEnded> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let action = action_of(&head.headers);
    let mut about = String::new();
    let mut shown = None;
    let refusal = shared.guard.refuse(&head.headers, &head.uri).map(Refusal::Unread).or_else(|| {
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
        Err(Refusal::NotPost) => Some("InvalidAction"),
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

/// What a request comes to that is not refused.
enum Outcome {
    /// The body of a reply in the JSON protocol.
    Reply(Vec<u8>),
    Shown(View),
}

/// Says to a page of an origin that the user named that it may read the reply; and which methods there are.
fn share(shared: &ServerShared, head: &Parts, response: &mut Response<Full<Bytes>>) {
    const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS, POST");
    let headers = response.headers_mut();
    let asks = head.method == Method::OPTIONS;
    if asks {
        headers.insert(ALLOW, METHODS);
    }
    let Some(origin) = shared.guard.shares_with(&head.headers) else { return };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("x-amzn-requestid, x-amzn-query-error, content-length"),
    );
    if asks {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        if let Some(wanted) = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
    }
}

/// Why a request is refused, and how the refusal is worded.
enum Refusal {
    Json(SqsError),
    /// Refused before all of the request was read: nothing can follow on its connection.
    Unread(SqsError),
    /// Answered in the XML that its clients read.
    QueryProtocol,
    NotPost,
}

const UNSUPPORTED: &str = "UnsupportedProtocol";

/// From these on SDKs speak JSON to SQS, as the developer guide's questions on its JSON protocol have it.
const QUERY_PROTOCOL: &str = "This server speaks the JSON protocol of SQS (AWS JSON 1.0), not the older query protocol. These \
                              releases speak it, and newer ones: boto3 1.28.82, AWS CLI 1.29.82, AWS SDK for Java 1.12.585 and \
                              2.21.19, for JavaScript 2.1492.0 and 3.447.0, for Go 1.47.7, for PHP 3.285.2, for C++ 1.11.98.";

fn refuse_protocol(method: &Method, headers: &HeaderMap, uri: &http::Uri) -> Option<Refusal> {
    let form =
        headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    if form || uri.query().is_some_and(|query| query.contains("Action=")) {
        return Some(Refusal::QueryProtocol);
    }
    (method != Method::POST).then_some(Refusal::NotPost)
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

/// A large reply, held until the connection has sent it.
struct Sending {
    bytes: Vec<u8>,
    _held: Held,
}

impl AsRef<[u8]> for Sending {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn respond(outcome: Result<Outcome, Refusal>, replies: &Arc<Budget>) -> Response<Full<Bytes>> {
    let mut id = Vec::with_capacity(36);
    push_uuid(fresh_uuid(), &mut id);
    let close = matches!(outcome, Err(Refusal::Unread(_)));
    let mut more = Vec::new();
    let (status, kind, body, query_error) = match outcome {
        Ok(Outcome::Reply(body)) => (StatusCode::OK, JSON, body, None),
        Ok(Outcome::Shown(view)) => {
            more = view.headers;
            (StatusCode::OK, JSON, view.body, None)
        }
        Err(Refusal::Json(error) | Refusal::Unread(error)) => {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let fault = if error.sender { "Sender" } else { "Receiver" };
            let query_error = HeaderValue::from_str(&format!("{};{fault}", error.code)).ok();
            (status, JSON, error_body(&error), query_error)
        }
        Err(Refusal::NotPost) => {
            let mut error = SqsError::unknown_operation(
                "This is an SQS endpoint: it takes POST requests that name an action in the header X-Amz-Target.",
            );
            error.status = 405;
            (StatusCode::METHOD_NOT_ALLOWED, JSON, error_body(&error), None)
        }
        Err(Refusal::QueryProtocol) => {
            let id = String::from_utf8_lossy(&id);
            let body = format!(
                "<?xml version=\"1.0\"?><ErrorResponse><Error><Type>Sender</Type><Code>{UNSUPPORTED}</Code>\
                 <Message>{QUERY_PROTOCOL}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
            );
            (StatusCode::BAD_REQUEST, XML, body.into_bytes(), None)
        }
    };
    let body = if body.len() > LARGE_REPLY {
        let _held = replies.hold(body.len());
        Bytes::from_owner(Sending { bytes: body, _held })
    } else {
        Bytes::from(body)
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_maybe_shared(Bytes::from(id)) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(CONTENT_TYPE, kind);
    for (name, value) in more {
        headers.insert(name, value);
    }
    if let Some(query_error) = query_error {
        headers.insert(QUERY_ERROR, query_error);
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS, POST"));
    }
    if close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn error_body(error: &SqsError) -> Vec<u8> {
    let mut reply = ReplyWriter::object(256);
    let kind = [error.namespace(), "#", error.name].concat();
    reply.key("__type").text(&kind).key("message").text(&error.message);
    reply.finish()
}

/// Who signed the request, from `Credential=KEY/DATE/REGION/sqs/aws4_request`. The signature itself is not checked.
pub(super) fn signer(headers: &HeaderMap) -> Option<(&str, &str)> {
    let authorization = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (_, credential) = authorization.split_once("Credential=")?;
    let mut parts = credential.split('/');
    let (key, _date, region) = (parts.next()?, parts.next()?, parts.next()?);
    Some((key, region)).filter(|(_, region)| is_region(region))
}

/// What the first of the proxies between the client and the server says of the client's request.
fn forwarded<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()?.split(',').next().map(str::trim)
}

/// A caller as its headers show it, with these defaults. An access key of twelve digits is taken for the number of the
/// account, so that one server can keep several apart.
pub(super) fn caller<'a>(headers: &'a HeaderMap, account: &'a str, region: &'a str, host: &'a str) -> Caller<'a> {
    let signer = signer(headers);
    Caller {
        account: signer.map(|(key, _)| key).filter(|key| is_account(key)).unwrap_or(account),
        region: signer.map_or(region, |(_, region)| region),
        scheme: forwarded(headers, &FORWARDED_PROTO)
            .filter(|scheme| matches!(*scheme, "http" | "https"))
            .unwrap_or("http"),
        host: forwarded(headers, &FORWARDED_HOST)
            .filter(|host| !host.contains('@') && host.parse::<Authority>().is_ok())
            .or_else(|| headers.get(HOST)?.to_str().ok())
            .filter(|host| !host.is_empty())
            .unwrap_or(host),
        trace: headers.get(TRACE).and_then(|trace| trace.to_str().ok()).filter(|trace| !trace.is_empty()),
    }
}
