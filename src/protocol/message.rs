//! A request on its way out, and the reply that came back.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::billing::Bill;
use super::headers::ReplyHeaders;
use crate::model::Action;

/// An operation on its way out.
#[derive(Clone, Debug)]
pub(crate) struct Request {
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
    /// The trace that the request belongs to, for the header `X-Amzn-Trace-Id`.
    pub trace: Option<Arc<str>>,
    pub bill: Bill,
}

/// What came back over HTTP, of whatever status. Cheap to clone: those who shared a request each get one, whose body is
/// their part of it.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub headers: ReplyHeaders,
    pub body: Bytes,
    /// How many attempts were made, this reply's included.
    pub attempts: u32,
    /// How many attempts the configuration allows.
    pub max_attempts: u32,
    /// botocore's retry mode `legacy`, which has words of its own for a last attempt: see [`Reply::is_last`].
    pub is_legacy: bool,
}

impl Reply {
    /// Whether it is told that no attempt was left, as botocore tells it: of any last one, but in mode `legacy` of what was worth
    /// another alone.
    pub(crate) fn is_last(&self, is_worth_another: bool) -> bool {
        self.attempts >= self.max_attempts && (is_worth_another || !self.is_legacy)
    }

    /// A header; `name` in lower case. The values of a repeated header are joined, as HTTP allows.
    pub(crate) fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut values = self.headers.iter().filter(|(key, _)| *key == name).map(|(_, value)| value);
        let first = values.next()?;
        Some(values.fold(Cow::Borrowed(first), |joined, value| Cow::Owned(format!("{joined}, {value}"))))
    }
}

/// A request that somebody else will send.
#[derive(Clone, Debug)]
pub(crate) struct Presign {
    pub action: Action,
    /// The operation's arguments, percent-encoded, without a leading `?`.
    pub query: String,
    pub method: String,
    pub expires_in: Duration,
}
