//! HTTP over connections of our own: a pool, dialling, TLS, and how a request fails below HTTP.

pub mod connect;
pub mod failure;
pub mod pool;
pub mod tls;
