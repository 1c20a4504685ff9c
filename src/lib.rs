//! turbosqs: boto3's SQS client on a Rust core.
//!
//! The layers, from the outside in; each may use what stands below it, never what stands above:
//!
//! - `py`          the Python binding: conversion and registration only (feature `python`)
//! - [`client`]    the facade: settings, and operations set going
//! - [`session`]   what clients share: credentials
//! - [`writer`]    many entries from one who does not wait for each answer
//! - [`poller`]    concurrent long polls: buffer, leases, flow control
//! - [`receiver`]  ReceiveMessage calls that share requests
//! - [`batcher`]   sends windows' batches and tells each caller its part of the reply
//! - [`batch`]     the windows: who shares a request with whom, without clock or I/O
//! - [`caller`]    who waits for an answer, and how it reaches them
//! - [`mailbox`]   where answers wait for an event loop to take them
//! - [`runtime`]   who owns tokio, and how it survives a fork
//! - [`clock`]     the time that signatures bear
//! - [`transport`] a request out, a reply back; [`transport::aws`] is the only one that knows the SDK
//! - [`stats`]     what a client has done, counted
//! - [`json`]      JSON as Python reads it
//! - [`error`]     what the service said, what the way there said, what we said
//! - [`config`]    settings as plain data
//! - [`model`]     SQS as data, generated from botocore's service model
//!
//! Beside them stands [`local`], the embedded SQS: a server, which uses [`model`] and nothing of the client.

pub mod batch;
pub mod batcher;
pub mod caller;
pub mod client;
pub mod clock;
pub mod config;
pub mod error;
pub mod json;
pub mod local;
pub mod mailbox;
pub mod model;
pub mod poller;
#[cfg(feature = "python")]
mod py;
pub mod receiver;
pub mod runtime;
pub mod session;
pub mod stats;
pub mod transport;
pub mod writer;
