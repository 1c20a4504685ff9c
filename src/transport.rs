//! What carries an operation to SQS and its answer back.
//!
//! A transport moves JSON bytes: the caller has written the request, the caller reads the reply. Signing,
//! retries, timeouts and connections are the transport's own affair.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::config::StaticCredentials;
use crate::error::{Error, Retry};
use crate::model::Action;

pub mod aws;
#[cfg(test)]
pub mod scripted;

/// An operation on its way out.
#[derive(Clone, Debug)]
pub struct Request {
    pub action: Action,
    /// The JSON document of the operation's input.
    pub body: Bytes,
    /// How long the service may hold the request before it answers (`WaitTimeSeconds`); a read timeout
    /// starts counting after it.
    pub long_poll: Duration,
    /// Attempts that were made with its content before, as part of other requests.
    pub attempts: u32,
    /// The moment after which no further attempt is to be made with it.
    pub not_after: Option<Instant>,
}

impl Request {
    /// Whether the moment is over until which attempts may be made.
    pub fn is_late(&self) -> bool {
        self.not_after.is_some_and(|limit| crate::runtime::now() > limit)
    }
}

/// What came back over HTTP, of whatever status. Cheap to clone: those who shared a request each get one, whose body is
/// their part of it.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case, in the order of arrival; values of a repeated name are separate entries.
    pub headers: Arc<[(Box<str>, Box<str>)]>,
    pub body: Bytes,
    /// How many attempts were made, this reply's included.
    pub attempts: u32,
    /// How many attempts the configuration allows.
    pub max_attempts: u32,
}

impl Reply {
    /// A header; `name` in lower case. The values of a repeated header are joined, as HTTP allows.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut values = self.headers.iter().filter(|(key, _)| &**key == name).map(|(_, value)| &**value);
        let first = values.next()?;
        Some(values.fold(Cow::Borrowed(first), |joined, value| Cow::Owned(format!("{joined}, {value}"))))
    }
}

/// A request that somebody else will send.
#[derive(Clone, Debug)]
pub struct Presign {
    pub action: Action,
    /// The operation's arguments, percent-encoded, without a leading `?`.
    pub query: String,
    pub method: String,
    pub expires_in: Duration,
}

pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

pub trait Transport: Send + Sync + fmt::Debug {
    /// Carry one operation. The future may be dropped at any point: the request is then given up, though the
    /// service may have received it.
    fn send(&self, request: Request) -> Answer<Reply>;

    /// The URL that carries a request and its signature.
    fn presign(&self, presign: Presign) -> Answer<String>;

    /// What requests are signed with now; `None`: they are not signed.
    fn credentials(&self) -> Answer<Option<StaticCredentials>>;

    /// Whether part of a request may be tried once more after `attempts` attempts, and after which delay: the retries of
    /// single entries draw on the budget that whole requests draw on.
    fn retry(&self, attempts: u32, why: Retry) -> Option<Duration>;

    /// Such a retry has succeeded: what it took from the budget comes back.
    fn recovered(&self, why: Retry);

    /// The service has refused the credentials as expired: those that can be asked for anew are, before the next request.
    fn renew_credentials(&self) {}
}
