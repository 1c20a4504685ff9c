//! SQS over HTTP.
//!
//! Two lanes carry an operation. [`direct`] is our own: it signs with aws-sigv4, sends over the connections of
//! [`connector`], and retries as botocore's standard mode does. [`sdk`] puts aws-sdk-sqs on top of the same kind of
//! connections, for the `adaptive` retry mode alone: its orchestrator costs more than all the rest of a request.
//! Credentials come from aws-config's providers in both.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::config::{RetryMode, Settings};
use crate::error::{Error, Retry};
use crate::stats::Stats;

use self::identity::Identity;
use super::{Answer, Presign, Reply, Request, Transport};

mod connect;
mod connector;
mod credentials;
mod direct;
mod failure;
mod identity;
mod operations;
mod presign;
mod retry;
#[cfg(test)]
mod rules_tests;
mod sdk;
mod sign;
mod tls;
mod user_agent;

pub use presign::RESERVED;

#[derive(Debug)]
pub struct AwsTransport {
    lane: Lane,
    endpoint: Endpoint,
    region: String,
    /// `None`: nothing is signed.
    identity: Option<Arc<Identity>>,
}

#[derive(Debug)]
enum Lane {
    Direct(Arc<direct::Direct>),
    Sdk(sdk::Sdk),
}

impl AwsTransport {
    /// Cheap: nothing is connected, read or asked for before the first operation.
    pub fn new(settings: &Settings, stats: Arc<Stats>) -> Result<Self, Error> {
        let credentials = credentials::provider(settings);
        let identity = Identity::new(settings, credentials.clone()).map(Arc::new);
        let endpoint = Endpoint::new(&settings.endpoint);
        let lane = match settings.retries.mode {
            RetryMode::Legacy | RetryMode::Standard => {
                Lane::Direct(Arc::new(direct::Direct::new(settings, endpoint.clone(), identity.clone(), stats)?))
            }
            RetryMode::Adaptive => Lane::Sdk(sdk::Sdk::new(settings, endpoint.clone(), credentials, stats)),
        };
        Ok(AwsTransport { lane, endpoint, region: settings.region.clone(), identity })
    }
}

impl Transport for AwsTransport {
    fn send(&self, request: Request) -> Answer<Reply> {
        match &self.lane {
            Lane::Direct(direct) => direct.clone().send(request),
            Lane::Sdk(sdk) => sdk.send(request),
        }
    }

    fn retry(&self, attempts: u32, why: Retry) -> Option<Duration> {
        match &self.lane {
            Lane::Direct(direct) => direct.retry(attempts, why),
            Lane::Sdk(sdk) => sdk.retry(attempts, why),
        }
    }

    fn recovered(&self, why: Retry) {
        match &self.lane {
            Lane::Direct(direct) => direct.recovered(why),
            Lane::Sdk(sdk) => sdk.recovered(why),
        }
    }

    fn presign(&self, presign: Presign) -> Answer<String> {
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
            let now = SystemTime::now();
            let credentials = identity.credentials(now).await?;
            presign::sign_url(url, &presign, &region, Credentials::clone(&credentials), now)
        })
    }
}

/// The URL of every request of a client.
#[derive(Clone, Debug)]
pub(super) struct Endpoint(String);

impl Endpoint {
    /// An endpoint without a path is asked at `/`.
    fn new(url: &str) -> Self {
        let (before, after) = url.split_at(authority(url));
        match after.find(['/', '?', '#']) {
            Some(position) if after[position..].starts_with('/') => Endpoint(url.to_owned()),
            Some(position) => Endpoint(format!("{before}{}/{}", &after[..position], &after[position..])),
            None => Endpoint(format!("{url}/")),
        }
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

/// The value of a header as Python's `http.client` reads it: a character for each byte.
fn latin_1(value: &[u8]) -> Box<str> {
    match std::str::from_utf8(value) {
        Ok(text) if text.is_ascii() => text.into(),
        _ => value.iter().copied().map(char::from).collect::<String>().into(),
    }
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
