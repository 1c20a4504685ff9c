//! What SQS speaks: requests and replies, entries of batches, errors. No tokio, no settings.

pub(crate) mod classify;
pub(crate) mod entry;
pub(crate) mod error;
pub(crate) mod json;
pub(crate) mod message;
