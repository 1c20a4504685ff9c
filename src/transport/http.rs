//! HTTP over connections of our own: a pool, dialling, TLS, and how a request fails below HTTP.

pub(crate) mod codec;
pub(crate) mod connect;
mod connection;
mod dials;
pub(crate) mod failure;
pub(crate) mod pool;
mod socket;
pub(crate) mod tls;
