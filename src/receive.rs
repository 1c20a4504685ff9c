//! ReceiveMessage: calls that share requests, and the visibility timeouts of queues.

pub mod call;
pub mod receiver;
pub mod sharing;
pub mod visibility;
