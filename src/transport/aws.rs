//! SQS over HTTP.
//!
//! Two call paths carry an operation. [`direct`] is our own: it signs with aws-sigv4, sends over the connections of
//! [`crate::transport::http`], and retries as botocore's standard mode does. [`sdk`] puts aws-sdk-sqs on top of the same kind of
//! connections, for the `adaptive` retry mode alone: its orchestrator costs more than all the rest of a request.
//! Credentials come from [`sources`] in both, kept by [`identity`].

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{ResponseFuture, Transport, clock};
use crate::config::{RetryMode, Settings, StaticCredentials, Url, trimmed};
use crate::protocol::error::{Error, Failure, Lost, Retry};
use crate::protocol::message::{Presign, Reply, Request};
use crate::stats::Stats;

mod direct;
mod identity;
mod operations;
mod presign;
mod retry;
#[cfg(test)]
mod rules_tests;
mod sdk;
mod sign;
mod sources;
mod user_agent;

pub(crate) use identity::{Holder, Identity};
pub(crate) use presign::RESERVED;

/// A client's way to SQS over HTTP, with its endpoint and whose requests they are.
#[derive(Debug)]
pub(crate) struct AwsTransport {
    call_path: CallPath,
    endpoint: Endpoint,
    region: String,
    /// `None`: nothing is signed.
    identity: Option<Arc<Identity>>,
    /// botocore's name for where the credentials come from.
    method: &'static str,
}

/// Which of the two call paths the client's retry mode takes.
#[derive(Debug)]
enum CallPath {
    Direct(Arc<direct::Direct>),
    Sdk(sdk::Sdk),
}

impl AwsTransport {
    /// With credentials of its own.
    #[cfg(test)]
    pub(crate) fn new(settings: &Settings, stats: Arc<Stats>) -> Result<Self, Error> {
        let found =
            crate::config::Found { credentials: settings.credentials.clone(), services: settings.services.clone() };
        Self::with_identity(settings, stats, Identity::new(&found, Holder::default()).map(Arc::new))
    }

    /// Cheap: nothing is connected, read or asked for before the first operation.
    pub(crate) fn with_identity(
        settings: &Settings,
        stats: Arc<Stats>,
        identity: Option<Arc<Identity>>,
    ) -> Result<Self, Error> {
        let endpoint = Endpoint::new(&settings.endpoint);
        let call_path = match settings.retries.mode {
            RetryMode::Legacy | RetryMode::Standard => {
                CallPath::Direct(Arc::new(direct::Direct::new(settings, endpoint.clone(), identity.clone(), stats)?))
            }
            RetryMode::Adaptive => CallPath::Sdk(sdk::Sdk::new(settings, endpoint.clone(), identity.clone(), stats)),
        };
        let method = settings.credentials.method();
        Ok(AwsTransport { call_path, endpoint, region: settings.region.clone(), identity, method })
    }
}

/// What a request comes to that was given up because it may have to be made again.
fn unanswered(url: String, limit: Duration) -> Error {
    Error::Lost(Box::new(Lost { failure: Failure::ReadTimeout, url, detail: given_up(limit) }))
}

fn given_up(limit: Duration) -> String {
    format!("no answer within {:.1} s, which is half of the time that there is for it", limit.as_secs_f64())
}

impl Transport for AwsTransport {
    fn send(&self, request: Request) -> ResponseFuture<Reply> {
        match &self.call_path {
            CallPath::Direct(direct) => direct.clone().send(request),
            // The SDK tries again by itself, whatever the time: so all its attempts together have the time of one.
            CallPath::Sdk(sdk) => match request.attempt_limit() {
                None => sdk.send(request),
                Some(limit) => {
                    let (url, answer) = (sdk.url(), sdk.send(request));
                    Box::pin(async move {
                        tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(unanswered(url, limit)))
                    })
                }
            },
        }
    }

    fn retry(&self, attempts: u32, why: Retry) -> Option<Duration> {
        match &self.call_path {
            CallPath::Direct(direct) => direct.retry(attempts, why),
            CallPath::Sdk(sdk) => sdk.retry(attempts, why),
        }
    }

    fn recovered(&self, why: Retry) {
        match &self.call_path {
            CallPath::Direct(direct) => direct.recovered(why),
            CallPath::Sdk(sdk) => sdk.recovered(why),
        }
    }

    fn renew_credentials(&self) {
        if let Some(identity) = &self.identity {
            identity.renew(SystemTime::now());
        }
    }

    fn credentials(&self) -> ResponseFuture<Option<StaticCredentials>> {
        let (identity, method) = (self.identity.clone(), self.method);
        Box::pin(async move {
            let Some(identity) = identity else { return Ok(None) };
            let keys = identity.credentials(SystemTime::now()).await?;
            Ok(Some(StaticCredentials {
                access_key: keys.access_key_id().to_owned(),
                secret_key: keys.secret_access_key().to_owned(),
                token: keys.session_token().map(str::to_owned),
                account_id: keys.account_id().map(|id| id.as_str().to_owned()),
                method,
            }))
        })
    }

    fn presign(&self, presign: Presign) -> ResponseFuture<String> {
        let mut url = self.endpoint.0.clone();
        let Some(identity) = self.identity.clone() else {
            // botocore signs nothing then, and leaves out the arguments too.
            return Box::pin(std::future::ready(Ok(url)));
        };
        if !presign.query.is_empty() {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&presign.query);
        }
        let region = self.region.clone();
        Box::pin(async move {
            let credentials = identity.credentials(SystemTime::now()).await?;
            let now = clock::now();
            let sign = |url| presign::sign_url(url, &presign, &region, Credentials::clone(&credentials), now);
            if url.starts_with("//") {
                // The scheme is not signed, but the signer wants one.
                return sign(format!("http:{url}")).map(|signed| signed.replacen("http:", "", 1));
            }
            sign(url)
        })
    }
}

/// The URL of every request of a client.
#[derive(Clone, Debug)]
pub(super) struct Endpoint(String);

impl Endpoint {
    /// An endpoint without a path is asked at `/`.
    fn new(url: &str) -> Self {
        let url = trimmed(url);
        let (before, after) = url.split_at(authority(url));
        match after.find(['/', '?', '#']) {
            Some(position) if after[position..].starts_with('/') => Endpoint(url.to_owned()),
            Some(position) => Endpoint(format!("{before}{}/{}", &after[..position], &after[position..])),
            None => Endpoint(format!("{url}/")),
        }
    }

    /// As a log may show it: without a user, a password or a query.
    fn shown(&self) -> String {
        let url = Url::split(&self.0);
        let path = self.0.get(self.path()..).and_then(|target| target.split(['?', '#']).next()).unwrap_or_default();
        format!("{}://{}{path}", url.scheme, url.authority())
    }

    /// Where the path begins.
    fn path(&self) -> usize {
        let authority = authority(&self.0);
        self.0[authority..].find('/').map_or(self.0.len(), |position| authority + position)
    }

    /// Scheme, host and port. The SDK gets no more than this: it would end a path with a slash.
    fn origin(&self) -> Cow<'_, str> {
        let origin = &self.0[..self.path()];
        // urllib3 takes a URL without a scheme for http.
        if origin.starts_with("//") { Cow::Owned(format!("http:{origin}")) } else { Cow::Borrowed(origin) }
    }

    /// Path and query, with what no request line can carry percent-encoded.
    fn target(&self) -> String {
        let target = &self.0[self.path()..];
        let sent = target.split('#').next().unwrap_or_default();
        utf8_percent_encode(sent, NOT_IN_A_TARGET).to_string()
    }
}

const NOT_IN_A_TARGET: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Where host and port begin.
fn authority(url: &str) -> usize {
    url.find("//").map_or(0, |position| position + 2)
}

/// An error with its causes, each after a colon.
fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
