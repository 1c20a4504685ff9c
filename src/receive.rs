//! ReceiveMessage: calls that share requests, and the visibility timeouts of queues.

pub(crate) mod call;
pub(crate) mod receiver;
pub(crate) mod sharing;
pub(crate) mod visibility;
