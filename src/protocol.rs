//! What SQS speaks: requests and replies, entries of batches, errors. No tokio, no settings.

pub mod classify;
pub mod entry;
pub mod error;
pub mod json;
pub mod message;
