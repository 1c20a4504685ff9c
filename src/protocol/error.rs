//! Everything that can go wrong, in three voices: what the service said, what the way there said, what we said.

use std::collections::HashMap;
use std::fmt;

use super::json::{self, Json};
use super::message::Reply;
use crate::config::masked;
use crate::model::{ERRORS, ErrorShape};

mod source;

pub(crate) use source::SourceError;

/// Why an operation has no reply. Cheap enough to clone: all who shared a request are told of its failure.
#[derive(Clone, Debug)]
pub(crate) enum Error {
    /// SQS answered, and the answer is a refusal.
    Service(Box<ServiceError>),
    /// No answer came: the request or its reply was lost on the way, after all retries.
    Lost(Box<Lost>),
    /// There are no credentials anywhere.
    NoCredentials,
    /// A provider that should have credentials has failed.
    Credentials { provider: &'static str, detail: String },
    /// Such a provider has failed in a way that has an exception of its own.
    Source(Box<SourceError>),
    /// The runtime could not be started, or ended while the operation was under way.
    Runtime(String),
}

impl Error {
    /// The same, after so many attempts.
    pub(crate) fn after(self, attempts: u32) -> Error {
        match self {
            Error::Service(mut error) => {
                error.reply.attempts = attempts;
                Error::Service(error)
            }
            other => other,
        }
    }
}

impl Error {
    /// What went wrong, for a log or a span: no text of the service's, of a program or of a page, which may quote anything.
    pub(crate) fn cause(&self) -> String {
        match self {
            Error::Service(error) => format!("{} (status {})", error.code, error.reply.status),
            Error::Lost(lost) if lost.failure == Failure::Other => lost.failure.exception().to_owned(),
            Error::Lost(lost) => format!("{}: {}", lost.failure.exception(), lost.detail),
            Error::Source(error) => error.cause(),
            Error::Credentials { provider, .. } => format!("{} ({provider})", self.kind()),
            Error::NoCredentials | Error::Runtime(_) => self.kind().to_owned(),
        }
    }

    /// The code of a refusal, or the exception's name.
    pub(crate) fn kind(&self) -> &str {
        match self {
            Error::Service(error) => &error.code,
            Error::Lost(lost) => lost.failure.exception(),
            Error::NoCredentials => "NoCredentialsError",
            Error::Credentials { .. } => "CredentialRetrievalError",
            Error::Source(error) => error.kind(),
            Error::Runtime(_) => "RuntimeError",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Service(error) => write!(f, "{}: {}", error.code, error.message),
            Error::Lost(lost) => write!(f, "{:?} ({}): {}", lost.failure, masked(&lost.url), lost.detail),
            Error::NoCredentials => f.write_str("Unable to locate credentials"),
            Error::Credentials { provider, detail } => {
                write!(f, "Error when retrieving credentials from {provider}: {detail}")
            }
            Error::Source(error) => error.fmt(f),
            Error::Runtime(detail) => f.write_str(detail),
        }
    }
}

impl std::error::Error for Error {}

/// Where on the way a request was lost, in the kinds that botocore tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The host's name could not be resolved: `EndpointConnectionError`.
    Dns,
    /// No connection: refused, unreachable. `EndpointConnectionError`.
    Connect,
    /// `ConnectTimeoutError`
    ConnectTimeout,
    /// `ReadTimeoutError`
    ReadTimeout,
    /// The peer's certificate, our own, or the handshake: `SSLError`.
    Tls,
    /// The proxy cannot be reached or will not serve: `ProxyConnectionError`.
    Proxy,
    /// The peer went away, or answered with something that is not HTTP: `ConnectionClosedError`.
    Closed,
    /// Anything else: `HTTPClientError`.
    Other,
}

impl Failure {
    /// The name of botocore's exception.
    pub(crate) fn exception(self) -> &'static str {
        match self {
            Failure::Dns | Failure::Connect => "EndpointConnectionError",
            Failure::ConnectTimeout => "ConnectTimeoutError",
            Failure::ReadTimeout => "ReadTimeoutError",
            Failure::Tls => "SSLError",
            Failure::Proxy => "ProxyConnectionError",
            Failure::Closed => "ConnectionClosedError",
            Failure::Other => "HTTPClientError",
        }
    }
}

/// A request or reply that did not arrive.
#[derive(Clone, Debug)]
pub(crate) struct Lost {
    pub failure: Failure,
    /// The URL that was asked, or the proxy's when it was the proxy that failed.
    pub url: String,
    pub detail: String,
}

/// A refusal by the service, read as botocore's JSON parser reads it.
#[derive(Clone, Debug)]
pub(crate) struct ServiceError {
    /// From the `x-amzn-query-error` header where there is one, else the name in the body's `__type`.
    pub code: String,
    /// A string, unless the service sent something else.
    pub message: Json,
    /// The error's name in the model, and who is at fault (`Sender` or `Receiver`).
    pub query: Option<QueryError>,
    /// Not SQS's own words: an empty body or a page, with a status of 500 or above.
    pub is_generic: bool,
    /// Members that the model gives to an error whose *code* is its own name.
    pub members: Vec<(&'static str, Json)>,
    pub reply: Reply,
}

/// What the header `x-amzn-query-error` adds to a refusal.
#[derive(Clone, Debug)]
pub(crate) struct QueryError {
    /// A string, unless the service sent something else for a `__type`.
    pub name: Json,
    pub fault: String,
}

impl ServiceError {
    /// Read a reply of status 300 or above.
    pub(crate) fn from_reply(reply: Reply) -> Self {
        if is_generic(&reply) {
            let reason = http::StatusCode::from_u16(reply.status).ok().and_then(|status| status.canonical_reason());
            return ServiceError {
                code: reply.status.to_string(),
                message: Json::from(reason.unwrap_or_default()),
                query: None,
                is_generic: true,
                members: Vec::new(),
                reply,
            };
        }
        let body = read_body(&reply);
        let message = body.get("message").or_else(|| body.get("Message")).cloned().unwrap_or_else(|| Json::from(""));
        let status = || reply.status.to_string();
        let header = reply.header("x-amzn-query-error");
        let (code, query) = match (body.get("__type"), header.as_deref().and_then(split_query_error)) {
            // A null is there and says nothing, and then the header is not looked at.
            (Some(kind), _) if kind.is_null() => (String::new(), None),
            (kind, Some((code, fault))) => {
                let name = match kind {
                    Some(Json::Text(kind)) => Json::from(short_name(kind)),
                    Some(other) => other.clone(),
                    None => Json::Text(status()),
                };
                (code.to_owned(), Some(QueryError { name, fault: fault.to_owned() }))
            }
            (Some(Json::Text(kind)), None) => (short_name(kind).to_owned(), None),
            // Botocore's parser fails on a code that is no string; the status says more than such an exception.
            (_, None) => (status(), None),
        };
        let members = ErrorShape::of_code(&code).map(|shape| members_of(shape, &body)).unwrap_or_default();
        ServiceError { code, message, query, is_generic: false, members, reply }
    }

    /// The refusal of one entry of a batch, as the refusal of the entry's own request would have told it. `reply` is the
    /// whole batch's.
    pub(crate) fn of_entry(code: &str, message: String, sender_fault: bool, reply: Reply) -> Self {
        // Batches name errors by the codes of the query protocol; exceptions are named by the model.
        const NAMES: [(&str, &str); 3] = [
            ("NonExistentQueue", "QueueDoesNotExist"),
            ("InvalidParameterValue", "InvalidParameterValueException"),
            ("MissingParameter", "MissingRequiredParameterException"),
        ];
        let short = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
        let name = NAMES.iter().find(|(query, _)| *query == short).map_or(short, |(_, name)| name);
        let fault = if sender_fault { "Sender" } else { "Receiver" };
        let message = Json::from(message.as_str());
        let named = ErrorShape::of_code(code).and_then(|shape| shape.structure.member("message")).is_some();
        ServiceError {
            code: code.to_owned(),
            members: if named { vec![("message", message.clone())] } else { Vec::new() },
            message,
            query: Some(QueryError { name: Json::from(name), fault: fault.to_owned() }),
            is_generic: false,
            reply,
        }
    }

    /// The name by which boto3 chooses the exception class: the model's, and the code where that is empty or no string.
    pub(crate) fn class_name(&self) -> &str {
        match self.query.as_ref().map(|query| &query.name) {
            Some(Json::Text(name)) if !name.is_empty() => name,
            _ => &self.code,
        }
    }
}

/// Why a refusal is worth another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Too many requests: wait longer.
    Throttled,
    Transient,
}

impl ErrorShape {
    /// The modelled error of this code.
    pub(crate) fn of_code(code: &str) -> Option<&'static ErrorShape> {
        ERRORS.iter().find(|shape| shape.query_code.unwrap_or(shape.name) == code)
    }
}

/// An answer of a load balancer or proxy rather than of SQS: nothing in it, or a page.
fn is_generic(reply: &Reply) -> bool {
    let body = reply.body.trim_ascii();
    reply.status >= 500 && (body.is_empty() || body.starts_with(b"<html>"))
}

/// The body as an object; one that is not JSON is itself the message.
fn read_body(reply: &Reply) -> HashMap<String, Json> {
    if reply.body.is_empty() {
        return HashMap::new();
    }
    let text = String::from_utf8_lossy(&reply.body);
    json::members(&text).unwrap_or_else(|_| HashMap::from([("message".to_owned(), Json::from(&*text))]))
}

/// `com.amazonaws.sqs#QueueDoesNotExist:http://…` is `QueueDoesNotExist`.
fn short_name(kind: &str) -> &str {
    let kind = kind.split(':').next().unwrap_or(kind);
    kind.rsplit('#').next().unwrap_or(kind)
}

/// `CODE;Sender`, and nothing but.
fn split_query_error(header: &str) -> Option<(&str, &str)> {
    let (code, fault) = header.split_once(';')?;
    (!code.is_empty() && !fault.contains(';')).then_some((code, fault))
}

fn members_of(shape: &'static ErrorShape, body: &HashMap<String, Json>) -> Vec<(&'static str, Json)> {
    let present = |member: &'static crate::model::Member| {
        body.get(member.name).filter(|value| !value.is_null()).map(|value| (member.name, value.clone()))
    };
    shape.structure.members.iter().filter_map(present).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::protocol::headers::ReplyHeaders;

    fn refusal(status: u16, query_error: Option<&str>, body: &str) -> ServiceError {
        let headers = ReplyHeaders::of(query_error.map(|value| ("x-amzn-query-error", value.as_bytes())).into_iter());
        let body = Bytes::copy_from_slice(body.as_bytes());
        ServiceError::from_reply(Reply { status, headers, body, attempts: 1, max_attempts: 3, is_legacy: false })
    }

    #[test]
    fn the_code_comes_from_the_header_and_the_class_from_the_type() {
        let error = refusal(
            400,
            Some("AWS.SimpleQueueService.NonExistentQueue;Sender"),
            r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"gone"}"#,
        );
        assert_eq!(error.code, "AWS.SimpleQueueService.NonExistentQueue");
        assert_eq!(error.class_name(), "QueueDoesNotExist");
        assert_eq!(error.query.map(|query| query.fault).as_deref(), Some("Sender"));
        assert_eq!(error.message, Json::from("gone"));
    }

    #[test]
    fn a_malformed_header_is_as_none() {
        for header in ["", ";Sender", "Code", "Code;Sender;More"] {
            let error = refusal(400, Some(header), r#"{"__type":"a#B:c","Message":"m"}"#);
            assert_eq!((error.code.as_str(), error.query.is_none()), ("B", true), "{header:?}");
            assert_eq!(error.message, Json::from("m"));
        }
    }

    #[test]
    fn a_type_that_is_no_string_is_the_name_as_it_came_and_no_code() {
        for kind in ["{}", "[]", r#"{"a#b":[1]}"#, r#"["x:y"]"#, "5", "-1.50", "true", "NaN"] {
            let body = format!(r#"{{"__type":{kind},"message":"m"}}"#);
            let error = refusal(400, Some("OverLimit;Sender"), &body);
            assert_eq!((error.code.as_str(), error.class_name()), ("OverLimit", "OverLimit"), "{kind}");
            assert_eq!(error.query.map(|query| query.name), Some(Json::Other(kind.into())));
            for header in [None, Some("OverLimit"), Some(";Sender")] {
                let error = refusal(400, header, &body);
                assert_eq!((error.code.as_str(), error.class_name(), error.query.is_none()), ("400", "400", true));
            }
        }
        let error = refusal(400, Some("OverLimit;Sender"), r#"{"__type":""}"#);
        assert_eq!(error.class_name(), "OverLimit");
        assert_eq!(error.query.map(|query| query.name), Some(Json::from("")));
        let error = refusal(400, Some("OverLimit;Sender"), r#"{"__type":null}"#);
        assert_eq!((error.code.as_str(), error.class_name(), error.query.is_none()), ("", "", true));
    }

    #[test]
    fn an_empty_body_speaks_by_its_status() {
        let error = refusal(503, None, " ");
        assert_eq!((error.code.as_str(), &error.message), ("503", &Json::from("Service Unavailable")));
        let error = refusal(403, None, "");
        assert_eq!((error.code.as_str(), &error.message), ("403", &Json::from("")));
    }

    #[test]
    fn a_body_that_is_not_json_is_the_message() {
        assert_eq!(refusal(400, None, "<xml/>").message, Json::from("<xml/>"));
    }

    #[test]
    fn a_lone_surrogate_does_not_hide_the_rest() {
        let body = r#"{"__type":"a#B","message":"\\ud800 \ud83d\ude80 \ud800x\udc00"}"#;
        let error = refusal(400, None, body);
        assert_eq!((error.code.as_str(), &error.message), ("B", &Json::from("\\ud800 \u{1F680} \u{FFFD}x\u{FFFD}")));
    }

    #[test]
    fn an_error_whose_code_is_its_own_name_has_its_members() {
        let body = r#"{"__type":"com.amazonaws.sqs#ReceiptHandleIsInvalid","message":"stale"}"#;
        let error = refusal(400, Some("ReceiptHandleIsInvalid;Sender"), body);
        assert_eq!(error.members, [("message", Json::from("stale"))]);
    }

    #[test]
    fn what_python_reads_and_rust_does_not_keeps_its_code() {
        let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
        for (member, message) in [
            (r#""Limit":NaN"#, r#""m""#),
            (r#""Limit":-Infinity,"Other":[Infinity,1e999]"#, r#""m""#),
            (&format!(r#""Detail":{deep}"#), r#""m""#),
            (r#""a":"\ud800","b\udc00":2"#, r#""m""#),
            (r#""a":"NaN"#, r#"\"Infinity""#),
            (r#""a":1"#, "NaN"),
            (r#""a":1"#, r#"{"b": [-Infinity, "NaN"]}"#),
        ] {
            let body = match message {
                r#"\"Infinity""# => format!(r#"{{{member}{message},"__type":"a#B"}}"#),
                _ => format!(r#"{{{member},"__type":"a#B","message":{message}}}"#),
            };
            let error = refusal(400, None, &body);
            assert_eq!(error.code, "B", "{body:.100}");
            match message {
                r#""m""# => assert_eq!(error.message, Json::from("m")),
                r#"\"Infinity""# => assert_eq!(error.message, Json::from("")),
                _ => assert_eq!(error.message, Json::Other(message.into())),
            }
        }
        // What Python does not read either.
        for body in [
            "{\"__type\":nan}",
            "{\"__type\":\"B\",}",
            "NaN{}",
            "{\"__type\":\"B\"} NaN",
            "{\"a\":+Infinity}",
            "{\"a\":NaNa}",
        ] {
            assert_eq!(refusal(400, None, body).message, Json::from(body), "{body}");
        }
    }
}
