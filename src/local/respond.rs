//! Responses: what a request comes to, as HTTP.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW, CONNECTION,
    CONTENT_TYPE, HeaderValue, VARY,
};
use http::request::Parts;
use http::{HeaderName, Method, Response, StatusCode};
use http_body_util::Full;

use super::error::SqsError;
use super::held::{Budget, Held};
use super::reply::{ReplyWriter, fresh_uuid, push_uuid};
use super::server::ServerShared;
use super::views::View;

/// Replies beyond this size count as held until they are sent.
const LARGE_REPLY: usize = 65_536;

const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");
const XML: HeaderValue = HeaderValue::from_static("text/xml");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");

/// What a request comes to that is not refused.
pub(super) enum Outcome {
    /// The body of a reply in the JSON protocol.
    Reply(Vec<u8>),
    Shown(View),
}

/// Says to a page of an origin that the user named that it may read the reply; and which methods there are.
pub(super) fn share(shared: &ServerShared, head: &Parts, response: &mut Response<Full<Bytes>>) {
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
pub(super) enum Refusal {
    Json(SqsError),
    /// Refused before all of the request was read: nothing can follow on its connection.
    Unread(SqsError),
    /// Answered in the XML that its clients read.
    QueryProtocol,
    /// Neither an action nor anything that is shown.
    NoAction(Method),
}

pub(super) const UNSUPPORTED: &str = "UnsupportedProtocol";

const NO_ACTION: &str =
    "This is an SQS endpoint: it takes POST requests that name an action in the header X-Amz-Target.";

/// From these on SDKs speak JSON to SQS, as the developer guide's questions on its JSON protocol have it; those for Python went back to
/// the query protocol for some months (botocore's changes of 1.32.6 and 1.34.90).
const QUERY_PROTOCOL: &str = "This server speaks the JSON protocol of SQS (AWS JSON 1.0), not the older query protocol. These \
                              releases speak it, and newer ones: boto3 1.34.90 (1.28.82 to 1.29.5 as well), AWS CLI 1.32.90 \
                              (1.29.82 to 1.30.5 as well), AWS SDK for Java 1.12.585 and 2.21.19, for JavaScript 2.1492.0 and \
                              3.447.0, for Go 1.47.7, for PHP 3.285.2, for C++ 1.11.98.";

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

/// The response to a request.
pub(super) fn respond(outcome: Result<Outcome, Refusal>, replies: &Arc<Budget>) -> Response<Full<Bytes>> {
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
        // As the service answers a browser, but for the words.
        Err(Refusal::NoAction(Method::GET | Method::HEAD)) => {
            let body = format!("<UnknownOperationException><Message>{NO_ACTION}</Message></UnknownOperationException>");
            (StatusCode::NOT_FOUND, XML, body.into_bytes(), None)
        }
        Err(Refusal::NoAction(_)) => {
            let mut error = SqsError::unknown_operation(NO_ACTION);
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
