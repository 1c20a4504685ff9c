//! How a request failed below HTTP, read off the SDK's errors.

use std::error::Error;
use std::fmt;

use aws_smithy_runtime_api::client::result::ConnectorError;

use crate::protocol::error::Failure;

/// What our connector puts into a [`ConnectorError`].
#[derive(Debug, Clone)]
pub(in crate::transport) struct HttpFailure {
    pub kind: Failure,
    pub message: String,
    /// With the password starred out, where a proxy failed.
    pub proxy_url: Option<String>,
}

impl HttpFailure {
    pub(crate) fn new(kind: Failure, message: impl fmt::Display) -> HttpFailure {
        HttpFailure { kind, message: message.to_string(), proxy_url: None }
    }

    /// The same failure, on the way to a proxy.
    pub(crate) fn at_proxy(self, url: String) -> HttpFailure {
        HttpFailure { kind: Failure::Proxy, proxy_url: Some(url), message: self.message }
    }
}

impl fmt::Display for HttpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for HttpFailure {}

/// Timeouts and broken connections are retried by the SDK; what no second try can mend is not.
impl From<HttpFailure> for ConnectorError {
    fn from(failed: HttpFailure) -> ConnectorError {
        match failed.kind {
            Failure::ConnectTimeout => ConnectorError::timeout(failed.into()).never_connected(),
            Failure::ReadTimeout => ConnectorError::timeout(failed.into()),
            Failure::Dns | Failure::Connect | Failure::Proxy => ConnectorError::io(failed.into()).never_connected(),
            Failure::Closed => ConnectorError::io(failed.into()),
            Failure::Tls => ConnectorError::other(failed.into(), None).never_connected(),
            Failure::Other => ConnectorError::user(failed.into()),
        }
    }
}

/// The kind of a failure; its text is the error's source.
pub(crate) fn classify(error: &ConnectorError) -> Failure {
    match failed(error) {
        Some(failed) => failed.kind,
        // Not ours: the SDK's own timeouts around the connector.
        None if error.is_timeout() => Failure::ReadTimeout,
        None if error.is_io() => Failure::Closed,
        None => Failure::Other,
    }
}

/// The proxy that failed, as botocore names it in `ProxyConnectionError`.
pub(crate) fn proxy_url(error: &ConnectorError) -> Option<&str> {
    failed(error)?.proxy_url.as_deref()
}

fn failed(error: &ConnectorError) -> Option<&HttpFailure> {
    error.source()?.downcast_ref()
}
