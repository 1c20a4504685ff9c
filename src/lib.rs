//! turbosqs: boto3's SQS client on a Rust core.
//!
//! The layers, from the outside in; each may use what stands below it, never what stands above:
//!
//! - `py`          the Python binding: conversion and registration only (feature `python`)
//! - [`client`]    the facade: settings, and operations set going
//! - [`runtime`]   who owns tokio, and how it survives a fork
//! - [`transport`] a request out, a reply back; [`transport::aws`] is the only one that knows the SDK
//! - [`error`]     what the service said, what the way there said, what we said
//! - [`config`]    settings as plain data
//! - [`model`]     SQS as data, generated from botocore's service model
//!
//! Beside them stands [`local`], the embedded SQS: a server, which uses [`model`] and nothing of the client.

pub mod client;
pub mod config;
pub mod error;
pub mod local;
pub mod model;
#[cfg(feature = "python")]
mod py;
pub mod runtime;
pub mod transport;
