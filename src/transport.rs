//! What carries an operation to SQS and its answer back.
//!
//! A transport moves JSON bytes: the caller has written the request, the caller reads the reply. Signing,
//! retries, timeouts and connections are the transport's own affair.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::config::StaticCredentials;
use crate::protocol::error::{Error, Retry};
use crate::protocol::message::{Presign, Reply, Request};

pub(crate) mod aws;
pub(crate) mod clock;
pub(crate) mod http;
#[cfg(test)]
pub(crate) mod scripted;

impl Request {
    /// Whether the moment is over until which attempts may be made.
    pub(crate) fn is_late(&self) -> bool {
        self.not_after.is_some_and(|limit| crate::runtime::now() > limit)
    }

    /// How long an attempt that begins now may take, whatever the timeouts of the settings: half of the time that is left, so
    /// that another can be made if nothing comes of this one, and a second at least. `None`: as long as the settings say.
    pub(crate) fn attempt_limit(&self) -> Option<Duration> {
        const LEAST: Duration = Duration::from_secs(1);
        let left = self.not_after?.saturating_duration_since(crate::runtime::now());
        Some((left / 2).max(LEAST))
    }
}

/// The reply to come to a request, or the failure.
pub(crate) type ResponseFuture<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// A way to SQS.
pub(crate) trait Transport: Send + Sync + fmt::Debug {
    /// Carry one operation. The future may be dropped at any point: the request is then given up, though the
    /// service may have received it.
    fn send(&self, request: Request) -> ResponseFuture<Reply>;

    /// The URL that carries a request and its signature.
    fn presign(&self, presign: Presign) -> ResponseFuture<String>;

    /// What requests are signed with now; `None`: they are not signed.
    fn credentials(&self) -> ResponseFuture<Option<StaticCredentials>>;

    /// Whether part of a request may be tried once more after `attempts` attempts, and after which delay: the retries of
    /// single entries draw on the budget that whole requests draw on.
    fn retry(&self, attempts: u32, why: Retry) -> Option<Duration>;

    /// Such a retry has succeeded: what it took from the budget comes back.
    fn recovered(&self, why: Retry);

    /// The service has refused the credentials as expired: those that can be asked for anew are, before the next request.
    fn renew_credentials(&self) {}
}
