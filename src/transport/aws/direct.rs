//! Operations as HTTP requests of our own: headers, signature, retries.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Response, Uri};
use percent_encoding::{CONTROLS, utf8_percent_encode};

use super::identity::Identity;
use super::retry::{self, Attempts, Next, Quota};
use super::sign::Signer;
use super::{Endpoint, latin_1, operations, user_agent};
use crate::config::{RetryMode, Settings};
use crate::log::{self, Topic};
use crate::model::Action;
use crate::protocol::billing;
use crate::protocol::error::{Error, Failure, Lost, Retry, ServiceError};
use crate::protocol::message::{Reply, Request};
use crate::stats::Stats;
use crate::transport::http::failure::HttpFailure;
use crate::transport::http::pool::{Pool, host_header};
use crate::transport::{ResponseFuture, clock};

const X_AMZ_TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const X_AMZN_QUERY_MODE: HeaderName = HeaderName::from_static("x-amzn-query-mode");
const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const X_AMZN_TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const INVOCATION_ID: HeaderName = HeaderName::from_static("amz-sdk-invocation-id");
const ATTEMPT: HeaderName = HeaderName::from_static("amz-sdk-request");

/// A client's way to SQS over our own HTTP: signs, sends and repeats requests.
#[derive(Debug)]
pub(super) struct Direct {
    pool: Pool,
    connect_timeout: Option<Duration>,
    read_timeout: Option<Duration>,
    endpoint: Endpoint,
    /// `None`: the endpoint makes no URI.
    target: Option<Target>,
    user_agent: HeaderValue,
    /// `None`: requests are not signed.
    identity: Option<Arc<Identity>>,
    max_attempts: u32,
    is_legacy: bool,
    quota: Quota,
    stats: Arc<Stats>,
    /// Functions say on whose behalf they call, so that endless loops of them can be told.
    in_lambda: bool,
}

/// What each request of a client has in common, made once: where it goes, and who signs it.
#[derive(Debug)]
struct Target {
    uri: Uri,
    host: HeaderValue,
    signer: Signer,
}

impl Target {
    fn new(endpoint: &Endpoint, region: &str) -> Option<Target> {
        let uri: Uri = format!("{}{}", endpoint.origin(), endpoint.target()).parse().ok()?;
        let default_port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let host = host_header(&uri, default_port);
        let signer = Signer::new(region.to_owned(), &uri, host);
        Some(Target { host: HeaderValue::from_str(host).ok()?, uri, signer })
    }
}

/// Why there is no reply to an attempt.
enum NoReply {
    Lost(HttpFailure),
    /// The request could not be made; trying again is of no use.
    Unsent(Error),
}

impl Direct {
    /// Cheap: nothing is connected, read or asked for before the first operation.
    pub(super) fn new(
        settings: &Settings,
        endpoint: Endpoint,
        identity: Option<Arc<Identity>>,
        stats: Arc<Stats>,
    ) -> Result<Direct, Error> {
        Ok(Direct {
            pool: Pool::of(settings),
            connect_timeout: settings.connect_timeout,
            read_timeout: settings.read_timeout,
            target: Target::new(&endpoint, &settings.region),
            endpoint,
            user_agent: user_agent::header(settings)?,
            identity,
            max_attempts: settings.retries.total_max_attempts,
            is_legacy: settings.retries.mode == RetryMode::Legacy,
            quota: Quota::new(),
            stats,
            in_lambda: std::env::var_os("AWS_LAMBDA_FUNCTION_NAME").is_some(),
        })
    }

    /// See [`Transport::retry`](crate::transport::Transport::retry).
    pub(super) fn retry(&self, attempts: u32, why: Retry) -> Option<Duration> {
        retry::after(&self.quota, self.max_attempts, attempts, why)
    }

    /// See [`Transport::recovered`](crate::transport::Transport::recovered).
    pub(super) fn recovered(&self, why: Retry) {
        self.quota.recovered(why);
    }

    pub(super) fn send(self: Arc<Self>, request: Request) -> ResponseFuture<Reply> {
        Box::pin(async move { self.operation(&request).await })
    }

    async fn operation(&self, request: &Request) -> Result<Reply, Error> {
        let invocation_id = invocation_id();
        let mut attempts = Attempts::new(&self.quota, self.max_attempts, request.action == Action::ReceiveMessage)
            .after(request.attempts);
        loop {
            let attempt = self.attempt(request, &invocation_id, attempts.number());
            let outcome = match request.attempt_limit() {
                None => attempt.await,
                Some(limit) => tokio::time::timeout(limit, attempt).await.unwrap_or_else(|_| {
                    Err(NoReply::Lost(HttpFailure::new(Failure::ReadTimeout, super::given_up(limit))))
                }),
            };
            let (error, next) = match outcome {
                Ok(reply) if (200..300).contains(&reply.status) => {
                    attempts.succeeded();
                    self.stats.brought(request.bill, billing::brought(request.action, &reply));
                    return Ok(reply);
                }
                Ok(reply) => {
                    let error = ServiceError::from_reply(reply);
                    let retry_after = error.reply.header("x-amz-retry-after");
                    let next = attempts.failed(error.retry(), retry_after.as_deref(), fastrand::f64());
                    (Error::Service(Box::new(error)), next)
                }
                Err(NoReply::Lost(failed)) => {
                    let next = attempts.failed(retry::lost(failed.kind), None, fastrand::f64());
                    (self.lost(failed), next)
                }
                Err(NoReply::Unsent(error)) => return Err(error),
            };
            self.tell(request.action, &attempts, &error, next);
            match next {
                Next::Retry(delay) => {
                    tokio::time::sleep(delay).await;
                    // Looked at when it is over: the process may have stood still meanwhile.
                    if request.is_late() {
                        return Err(error);
                    }
                }
                Next::GiveUp(delay) => {
                    if !delay.is_zero() {
                        tokio::time::sleep(delay).await;
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Why an attempt has failed, and what comes of it.
    fn tell(&self, action: Action, attempts: &Attempts<'_>, error: &Error, next: Next) {
        log::debug(Topic::Retries, || {
            let (name, cause) = (action.operation().name, error.cause());
            match next {
                Next::Retry(delay) => {
                    let (number, most) = (attempts.number(), self.max_attempts);
                    format!(
                        "{name} has failed with {cause}; attempt {number} of {most} in {:.3} s",
                        delay.as_secs_f64()
                    )
                }
                Next::GiveUp(_) if attempts.number() >= self.max_attempts => {
                    format!("{name} has failed with {cause}; that was the last attempt")
                }
                Next::GiveUp(_) => {
                    format!("{name} has failed with {cause}; not worth another attempt, or none is left to spend")
                }
            }
        });
    }

    async fn attempt(&self, request: &Request, invocation_id: &HeaderValue, number: u32) -> Result<Reply, NoReply> {
        let Some(target) = &self.target else {
            let failed = HttpFailure::new(Failure::Connect, "no request can be made for this endpoint");
            return Err(NoReply::Unsent(self.lost(failed)));
        };
        let mut outgoing = http::Request::new(SdkBody::from(request.body.clone()));
        *outgoing.method_mut() = Method::POST;
        *outgoing.uri_mut() = target.uri.clone();
        *outgoing.headers_mut() =
            self.headers(target, request, invocation_id, number).await.map_err(NoReply::Unsent)?;
        let read_timeout = self.read_timeout.map(|timeout| timeout + request.long_poll);
        // That entries of a batch are asked for again was counted when it was decided.
        self.stats.requested(request.action, number - request.attempts, request.bill);
        let began = log::is_debugged(Topic::Requests).then(Instant::now);
        let response = self.pool.send(outgoing, self.connect_timeout, read_timeout).await;
        log::debug(Topic::Requests, || {
            let (name, most) = (request.action.operation().name, self.max_attempts);
            let answer = response.as_ref().map_or_else(
                |failed| failed.kind.exception().to_owned(),
                |response| {
                    let id = response.headers().get("x-amzn-requestid").and_then(|id| id.to_str().ok());
                    format!("status {}, request id {}", response.status().as_u16(), id.unwrap_or("none"))
                },
            );
            let seconds = began.map(|began| began.elapsed()).unwrap_or_default().as_secs_f64();
            format!("{name}, attempt {number} of {most} at {}: {answer}, after {seconds:.3} s", self.endpoint.shown())
        });
        let reply = reply(response.map_err(NoReply::Lost)?, number, self.max_attempts);
        Ok(Reply { is_legacy: self.is_legacy, ..reply })
    }

    async fn headers(
        &self,
        target: &Target,
        request: &Request,
        invocation_id: &HeaderValue,
        number: u32,
    ) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::with_capacity(16);
        let action = operations::target(request.action);
        headers.insert(HOST, target.host.clone());
        headers.insert(CONTENT_TYPE, const { HeaderValue::from_static("application/x-amz-json-1.0") });
        headers.insert(X_AMZN_QUERY_MODE, const { HeaderValue::from_static("true") });
        headers.insert(USER_AGENT, self.user_agent.clone());
        headers.insert(INVOCATION_ID, invocation_id.clone());
        let unfit =
            |error: http::header::InvalidHeaderValue| Error::Runtime(format!("a header cannot be sent: {error}"));
        let attempt = HeaderValue::try_from(format!("attempt={number}; max={}", self.max_attempts)).map_err(unfit)?;
        headers.insert(ATTEMPT, attempt);
        let trace = request.trace.as_deref().and_then(|trace| HeaderValue::from_str(trace).ok());
        if let Some(trace) = trace.or_else(|| self.trace_id()) {
            headers.insert(X_AMZN_TRACE_ID, trace);
        }
        if let Some(identity) = &self.identity {
            let credentials = identity.credentials(SystemTime::now()).await?;
            let name = action.to_str().unwrap_or_default();
            let unfit = |error| Error::Runtime(format!("the credentials do not fit into a header: {error}"));
            let signature = target.signer.sign(&credentials, clock::now(), name, &request.body).map_err(unfit)?;
            headers.insert(X_AMZ_DATE, signature.date);
            headers.insert(AUTHORIZATION, signature.authorization);
            if let Some(token) = signature.token {
                headers.insert(X_AMZ_SECURITY_TOKEN, token);
            }
        }
        headers.insert(X_AMZ_TARGET, action);
        Ok(headers)
    }

    /// Which chain of calls this one belongs to. It changes with every invocation of the function.
    fn trace_id(&self) -> Option<HeaderValue> {
        let id = self.in_lambda.then(|| std::env::var("_X_AMZN_TRACE_ID").ok()).flatten()?;
        HeaderValue::try_from(utf8_percent_encode(&id, CONTROLS).to_string()).ok()
    }

    fn lost(&self, failed: HttpFailure) -> Error {
        let HttpFailure { kind, message, proxy_url } = failed;
        let url = proxy_url.unwrap_or_else(|| self.endpoint.0.clone());
        Error::Lost(Box::new(Lost { failure: kind, url, detail: message }))
    }
}

/// A random UUID, the same for all attempts of an operation.
fn invocation_id() -> HeaderValue {
    let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid();
    // Hexadecimal digits fit into any header.
    HeaderValue::try_from(id.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn reply(response: Response<Bytes>, attempts: u32, max_attempts: u32) -> Reply {
    let (head, body) = response.into_parts();
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().into(), latin_1(value.as_bytes()))).collect();
    Reply { status: head.status.as_u16(), headers, body, attempts, max_attempts, is_legacy: false }
}

#[cfg(test)]
mod tests;
