//! The Python binding: conversion and registration, nothing else.

use pyo3::prelude::*;

mod client;
mod config;
mod entries;
mod error;
mod local;
mod marshal;
mod names;
mod query;
mod reply;
mod unmarshal;
mod validate;
mod wait;

#[pymodule(gil_used = false)]
mod _core {
    use super::*;

    #[pymodule_export]
    use super::client::Client;
    #[pymodule_export]
    use super::error::Failure;
    #[pymodule_export]
    use super::local::LocalServer;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
