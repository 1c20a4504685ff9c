//! turbosqs: boto3's SQS client on a Rust core.
//!
//! The layers, from the outside in; each may use what stands below it, never what stands above:
//!
//! - `py`         the Python binding: conversion and registration only (feature `python`)
//! - [`local`]    the embedded SQS, a server of its own; nothing of the client uses it, nor it the client
//! - [`model`]    SQS as data, generated from botocore's service model

pub mod local;
pub mod model;
#[cfg(feature = "python")]
mod py;
