//! The Python binding: conversion and registration, nothing else.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::protocol::error::Error;
use crate::runtime::responder::PendingResponse;
use crate::send::exit;

mod arguments;
mod client;
mod clock;
mod completions;
mod config;
mod entries;
mod error;
mod fork;
mod local;
mod marshal;
mod names;
mod nested;
mod poller;
mod query;
mod reply;
mod session;
mod stats;
mod unmarshal;
mod validate;
mod wait;
mod watch;
mod writer;

#[pymodule(gil_used = false)]
mod _core {
    use super::*;

    #[pymodule_export]
    use super::client::Client;
    #[pymodule_export]
    use super::completions::CompletionQueue;
    #[pymodule_export]
    use super::config::{chosen_profile, default_region, profiles};
    #[pymodule_export]
    use super::error::Failure;
    #[pymodule_export]
    use super::local::LocalServer;
    #[pymodule_export]
    use super::nested::guarded;
    #[pymodule_export]
    use super::poller::Poller;
    #[pymodule_export]
    use super::session::Session;
    #[pymodule_export]
    use super::watch::Watch;
    #[pymodule_export]
    use super::writer::Writer;

    /// Send everything that lingers, whichever client it belongs to, and wait for the answers, at most
    /// `timeout` seconds.
    #[pyfunction]
    fn drain(py: Python<'_>, timeout: f64) -> PyResult<()> {
        let deadline = wait::deadline(timeout)?;
        let failed = |error: Error| PyRuntimeError::new_err(error.to_string());
        let (pending, responder) = PendingResponse::new();
        exit::flush(responder).map_err(failed)?;
        while Instant::now() < deadline {
            if let Some(answer) = wait::released(py, || pending.wait_for(wait::TICK)) {
                return answer.map_err(failed);
            }
            py.check_signals()?;
        }
        Ok(())
    }

    /// How many entries have no answer yet, whichever client they belong to.
    #[pyfunction]
    fn unanswered(py: Python<'_>) -> usize {
        wait::released(py, exit::unanswered)
    }

    /// Seconds since the first call, by the system's clock: tests that replace Python's clocks do not stop it.
    #[pyfunction]
    fn monotonic() -> f64 {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGAN.elapsed().as_secs_f64()
    }

    /// Whether a queue's URL is that of a FIFO queue.
    #[pyfunction]
    fn is_fifo(queue_url: &Bound<'_, PyString>) -> bool {
        crate::protocol::entry::is_fifo(format!("\"{}\"", queue_url.to_string_lossy()).as_bytes())
    }

    /// For tests: how long the I/O thread of a process that has made no call yet has nothing to do before it ends, or half of
    /// that.
    #[pyfunction]
    fn set_idle_time(seconds: f64) -> PyResult<()> {
        let time = Duration::try_from_secs_f64(seconds).map_err(|error| PyValueError::new_err(error.to_string()))?;
        crate::runtime::set_idle_time(time);
        Ok(())
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        fork::watch(module.py())?;
        nested::watch(module.py())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
