//! What SQS speaks: requests and replies, the parts of both, errors. No tokio, no settings.

pub(crate) mod billing;
pub(crate) mod classify;
pub(crate) mod entry;
pub(crate) mod error;
pub(crate) mod headers;
pub(crate) mod json;
pub(crate) mod message;
pub(crate) mod quote;
pub(crate) mod reader;
pub(crate) mod slices;
