//! Operations as HTTP requests of our own: headers, signature, retries.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderValue, Method, Uri};
use percent_encoding::{CONTROLS, utf8_percent_encode};

use super::identity::Identity;
use super::retry::{self, Attempts, Next, Quota};
use super::sign::Signer;
use super::{Endpoint, operations, user_agent};
use crate::config::{RetryMode, Settings};
use crate::log::{self, Topic};
use crate::model::Action;
use crate::protocol::billing;
use crate::protocol::error::{Error, Failure, Lost, Retry, ServiceError};
use crate::protocol::message::{Reply, Request};
use crate::stats::Stats;
use crate::transport::http::codec::{HttpReply, HttpRequestParts, push_header};
use crate::transport::http::connect::Origin;
use crate::transport::http::failure::HttpFailure;
use crate::transport::http::pool::{self, Pool, host_header};
use crate::transport::{ResponseFuture, clock};

/// A client's way to SQS over our own HTTP: signs, sends and repeats requests.
#[derive(Debug)]
pub(super) struct Direct {
    pool: Pool,
    connect_timeout: Option<Duration>,
    read_timeout: Option<Duration>,
    endpoint: Endpoint,
    /// `None`: the endpoint makes no URI.
    target: Option<Target>,
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
    /// Where that is; the failure to find out is each request's.
    origin: Option<Origin>,
    /// The headers that all have in common, as lines.
    headers: Vec<u8>,
    signer: Signer,
}

impl Target {
    fn new(endpoint: &Endpoint, region: &str, user_agent: &HeaderValue) -> Option<Target> {
        let uri: Uri = format!("{}{}", endpoint.origin(), endpoint.target()).parse().ok()?;
        let default_port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let host = host_header(&uri, default_port);
        let signer = Signer::new(region.to_owned(), &uri, host);
        let host = HeaderValue::from_str(host).ok()?;
        let mut headers = Vec::new();
        for (name, value) in [
            ("host", host.as_bytes()),
            ("content-type", b"application/x-amz-json-1.0"),
            ("x-amzn-query-mode", b"true"),
            ("user-agent", user_agent.as_bytes()),
        ] {
            push_header(&mut headers, name, value);
        }
        Some(Target { origin: pool::origin(&uri).ok(), uri, headers, signer })
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
            target: Target::new(&endpoint, &settings.region, &user_agent::header(settings)?),
            endpoint,
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

    async fn attempt(&self, request: &Request, invocation_id: &str, number: u32) -> Result<Reply, NoReply> {
        let Some(target) = &self.target else {
            let failed = HttpFailure::new(Failure::Connect, "no request can be made for this endpoint");
            return Err(NoReply::Unsent(self.lost(failed)));
        };
        let headers = self.headers(target, request, invocation_id, number).await.map_err(NoReply::Unsent)?;
        let outgoing =
            HttpRequestParts { method: &Method::POST, uri: &target.uri, headers: &headers, body: &request.body };
        let read_timeout = self.read_timeout.map(|timeout| timeout + request.long_poll);
        // That entries of a batch are asked for again was counted when it was decided.
        self.stats.requested(request.action, number - request.attempts, request.bill);
        let began = log::is_debugged(Topic::Requests).then(Instant::now);
        let response = match &target.origin {
            Some(origin) => self.pool.exchange(origin, &outgoing, self.connect_timeout, read_timeout).await,
            None => pool::origin(&target.uri).and(Err(HttpFailure::new(Failure::Other, "the endpoint is no place"))),
        };
        log::debug(Topic::Requests, || {
            let (name, most) = (request.action.operation().name, self.max_attempts);
            let answer = response.as_ref().map_or_else(
                |failed| failed.kind.exception().to_owned(),
                |response| {
                    let id = response.headers.iter().find(|(name, _)| *name == "x-amzn-requestid");
                    format!("status {}, request id {}", response.status, id.map_or("none", |(_, id)| id))
                },
            );
            let seconds = began.map(|began| began.elapsed()).unwrap_or_default().as_secs_f64();
            format!("{name}, attempt {number} of {most} at {}: {answer}, after {seconds:.3} s", self.endpoint.shown())
        });
        let reply = reply(response.map_err(NoReply::Lost)?, number, self.max_attempts);
        Ok(Reply { is_legacy: self.is_legacy, ..reply })
    }

    /// The lines of a request's headers.
    async fn headers(
        &self,
        target: &Target,
        request: &Request,
        invocation_id: &str,
        number: u32,
    ) -> Result<Vec<u8>, Error> {
        let mut headers = Vec::with_capacity(target.headers.len() + 768);
        headers.extend_from_slice(&target.headers);
        let action = operations::target(request.action);
        push_header(&mut headers, "x-amz-target", action.as_bytes());
        push_header(&mut headers, "content-length", itoa::Buffer::new().format(request.body.len()).as_bytes());
        push_header(&mut headers, "amz-sdk-invocation-id", invocation_id.as_bytes());
        let (mut of, mut most) = (itoa::Buffer::new(), itoa::Buffer::new());
        let attempt = ["attempt=", of.format(number), "; max=", most.format(self.max_attempts)].concat();
        push_header(&mut headers, "amz-sdk-request", attempt.as_bytes());
        let trace = request.trace.as_deref().and_then(|trace| HeaderValue::from_str(trace).ok());
        if let Some(trace) = trace.or_else(|| self.trace_id()) {
            push_header(&mut headers, "x-amzn-trace-id", trace.as_bytes());
        }
        if let Some(identity) = &self.identity {
            let credentials = identity.credentials(SystemTime::now()).await?;
            let name = action.to_str().unwrap_or_default();
            let unfit = |error| Error::Runtime(format!("the credentials do not fit into a header: {error}"));
            let signature = target.signer.sign(&credentials, clock::now(), name, &request.body).map_err(unfit)?;
            push_header(&mut headers, "x-amz-date", signature.date.as_bytes());
            push_header(&mut headers, "authorization", signature.authorization.as_bytes());
            if let Some(token) = signature.token {
                push_header(&mut headers, "x-amz-security-token", token.as_bytes());
            }
        }
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
fn invocation_id() -> String {
    let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid();
    id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).to_owned()
}

fn reply(reply: HttpReply, attempts: u32, max_attempts: u32) -> Reply {
    let HttpReply { status, headers, body, .. } = reply;
    Reply { status, headers, body, attempts, max_attempts, is_legacy: false }
}

#[cfg(test)]
mod tests;
