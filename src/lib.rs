//! turbosqs: boto3's SQS client on a Rust core.
//!
//! The rooms, outermost first; each uses what stands below it, never what stands above (`tests/layers.rs` reads this list):
//!
//! - `py`        the Python binding: conversion and registration (feature `python`)
//! - `poll`      concurrent long polls of one queue: how many, leases of what is held, handing over; leases without polls
//! - `client`    the facade: settings, and operations set going
//! - `receive`   ReceiveMessage calls that share requests
//! - `send`      entries that share requests: windows, batchers, writers
//! - `session`   what the clients of a session share: credentials
//! - `transport` a request out, a reply back; `transport::aws` alone knows the SDK
//! - `log`       what happens, told to Python's loggers if they want to know
//! - `runtime`   the reactor thread, and how an answer reaches the one who waits for it
//! - `stats`     what a client has done, counted
//! - `protocol`  what SQS speaks: requests, replies, entries, errors
//! - `config`    settings as plain data
//! - `local`     the embedded SQS: a server, which uses `model` and nothing else of ours
//! - `model`     SQS as data, generated from botocore's service model
//!
//! Only `local` can be used from outside the crate; without the feature `python` most of the rest has no user.

#![cfg_attr(not(feature = "python"), allow(dead_code, unused_imports))]

mod client;
mod config;
pub mod local;
mod log;
mod model;
mod poll;
mod protocol;
#[cfg(feature = "python")]
mod py;
mod receive;
mod runtime;
mod send;
mod session;
mod stats;
mod transport;
