//! Requests to the services that credentials come from, repeated as botocore's standard mode repeats them.

use std::time::Duration;

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use serde_json::Value;

use crate::config::{Services, masked};
use crate::protocol::error::{Error, Lost, QueryError, ServiceError, SourceError};
use crate::protocol::headers::ReplyHeaders;
use crate::protocol::json::Json;
use crate::protocol::message::Reply;
use crate::transport::aws::retry::{self, Attempts, Next, Quota};
use crate::transport::http::failure::HttpFailure;
use crate::transport::http::pool::Pool;

/// botocore's defaults; what `Config` says is about SQS.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a source sends its requests with: connections, and how often a request may be repeated.
#[derive(Debug)]
pub(super) struct ServiceClient {
    pool: Pool,
    quota: Quota,
    max_attempts: u32,
}

/// An operation of a service, as HTTP.
pub(super) struct ServiceOperation {
    pub name: &'static str,
    pub method: Method,
    pub url: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// What a refusal says: code, message, and whose fault it is.
    pub refusal: fn(&Reply) -> (String, String, Option<String>),
}

impl ServiceOperation {
    pub(super) fn post(
        name: &'static str,
        url: String,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> ServiceOperation {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        ServiceOperation { name, method: Method::POST, url, headers, body: body.into(), refusal: json_refusal }
    }
}

impl ServiceClient {
    pub(super) fn new(services: &Services) -> ServiceClient {
        ServiceClient {
            pool: Pool::to_source(services.verify.clone(), services.proxies.clone()),
            quota: Quota::new(),
            max_attempts: services.max_attempts,
        }
    }

    /// The body of a success; a refusal is `SourceError::Refused`.
    pub(super) async fn ask(&self, operation: ServiceOperation) -> Result<Bytes, Error> {
        let mut attempts = Attempts::new(&self.quota, self.max_attempts, false);
        loop {
            let (error, next) = match self.attempt(&operation, attempts.number()).await? {
                Ok(reply) if (200..300).contains(&reply.status) => {
                    attempts.succeeded();
                    return Ok(reply.body);
                }
                Ok(reply) => {
                    let (code, message, fault) = (operation.refusal)(&reply);
                    let error = ServiceError {
                        code,
                        message: Json::Text(message),
                        query: fault.map(|fault| QueryError { name: Json::from(""), fault }),
                        is_generic: false,
                        members: vec![],
                        reply,
                    };
                    let next = attempts.failed(error.retry(), None, fastrand::f64());
                    (SourceError::Refused { operation: operation.name, error }.into(), next)
                }
                Err(failed) => {
                    let next = attempts.failed(retry::lost(failed.kind), None, fastrand::f64());
                    (lost(failed, &operation.url), next)
                }
            };
            match next {
                Next::Retry(delay) => tokio::time::sleep(delay).await,
                Next::GiveUp(_) => return Err(error),
            }
        }
    }

    async fn attempt(&self, operation: &ServiceOperation, number: u32) -> Result<Result<Reply, HttpFailure>, Error> {
        let mut request = Request::new(SdkBody::from(operation.body.clone()));
        *request.method_mut() = operation.method.clone();
        *request.uri_mut() = uri(&operation.url)?;
        *request.headers_mut() = operation.headers.clone();
        let agent = HeaderValue::from_static(concat!("turbosqs/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(USER_AGENT, agent);
        let response = match self.pool.send(request, Some(TIMEOUT), Some(TIMEOUT)).await {
            Ok(response) => response,
            Err(failed) => return Ok(Err(failed)),
        };
        let (head, body) = response.into_parts();
        let headers = ReplyHeaders::of(head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
        let status = head.status.as_u16();
        Ok(Ok(Reply { status, headers, body, attempts: number, max_attempts: self.max_attempts, is_legacy: false }))
    }
}

/// What the JSON services say: the code is in a header or in the body.
fn json_refusal(reply: &Reply) -> (String, String, Option<String>) {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let member = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let code = reply.header("x-amzn-errortype").map(|code| code.into_owned());
    let code = code.or_else(|| member("code")).or_else(|| member("__type")).or_else(|| member("error"));
    let code = code.unwrap_or_else(|| reply.status.to_string());
    let code = code.split(':').next().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default();
    let message = member("message").or_else(|| member("Message")).or_else(|| member("error_description"));
    (code.to_owned(), message.unwrap_or_default(), None)
}

pub(super) fn uri(url: &str) -> Result<Uri, Error> {
    url.parse().map_err(|error| SourceError::Value(format!("Invalid endpoint: {} ({error})", masked(url))).into())
}

fn lost(failed: HttpFailure, url: &str) -> Error {
    let HttpFailure { kind, message, proxy_url } = failed;
    Error::Lost(Box::new(Lost { failure: kind, url: proxy_url.unwrap_or_else(|| url.to_owned()), detail: message }))
}

/// botocore's words for a request that was lost.
pub(super) fn connection_error(failed: &HttpFailure, url: &str) -> String {
    use crate::protocol::error::Failure::*;
    let url = masked(url);
    match failed.kind {
        Dns | Connect => format!("Could not connect to the endpoint URL: \"{url}\""),
        ConnectTimeout => format!("Connect timeout on endpoint URL: \"{url}\""),
        ReadTimeout => format!("Read timeout on endpoint URL: \"{url}\""),
        Closed => format!("Connection was closed before we received a valid response from endpoint URL: \"{url}\"."),
        Tls => format!("SSL validation failed for {url} {}", failed.message),
        Proxy | Other => failed.message.clone(),
    }
}
