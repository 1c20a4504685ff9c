//! The Python binding: conversion and registration, nothing else.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use crate::protocol::error::Error;
use crate::runtime::responder::PendingResponse;
use crate::send::exit;

mod arguments;
mod client;
mod clock;
mod completions;
mod config;
mod counts;
mod entries;
mod error;
mod fork;
mod journal;
mod keeper;
mod local;
mod log;
mod marshal;
mod names;
mod nested;
mod place;
mod poller;
mod query;
mod reply;
mod session;
mod shortcut;
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
    use super::counts::Counts;
    #[pymodule_export]
    use super::error::Failure;
    #[pymodule_export]
    use super::keeper::Keeper;
    #[pymodule_export]
    use super::local::{LocalServer, console_file};
    #[pymodule_export]
    use super::nested::guarded;
    #[pymodule_export]
    use super::poller::Poller;
    #[pymodule_export]
    use super::session::Session;
    #[pymodule_export]
    use super::shortcut::{Shortcut, take_shortcut};
    #[pymodule_export]
    use super::stats::process_stats;
    #[pymodule_export]
    use super::watch::{ClientWatch, Watch};
    #[pymodule_export]
    use super::writer::Writer;

    /// Send everything that lingers, whichever client it belongs to, and wait for the answers, at most
    /// `timeout` seconds; how many entries have none then.
    #[pyfunction]
    fn drain(py: Python<'_>, timeout: f64) -> PyResult<usize> {
        let deadline = wait::deadline(timeout)?;
        let failed = |error: Error| PyRuntimeError::new_err(error.to_string());
        let mut left = wait::released(py, exit::unanswered);
        // An answer may lead to another entry: a message that comes for a receive which nobody waits for any more is given back, and
        // may come to the next of them. Threads that go on calling do not keep the program for longer than so many answers.
        for _ in 0..10 {
            if left == 0 {
                break;
            }
            let (pending, responder) = PendingResponse::new();
            exit::flush(responder).map_err(failed)?;
            while wait::released(py, || pending.wait_for(wait::TICK)).transpose().map_err(failed)?.is_none() {
                py.check_signals()?;
                if Instant::now() >= deadline {
                    return Ok(wait::released(py, exit::unanswered));
                }
            }
            left = wait::released(py, exit::unanswered);
        }
        Ok(left)
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
        crate::protocol::entry::is_fifo(queue_url.to_string_lossy().as_bytes())
    }

    /// A URL as a log or an exception may show it: without what may be secret in it.
    #[pyfunction]
    fn masked_url(url: &Bound<'_, PyString>) -> String {
        crate::config::masked(&url.to_string_lossy()).into_owned()
    }

    /// For tests: how long the I/O thread of a process that has made no call yet has nothing to do before it ends, or half of
    /// that.
    #[pyfunction]
    fn set_idle_time(seconds: f64) -> PyResult<()> {
        let time = Duration::try_from_secs_f64(seconds).map_err(|error| PyValueError::new_err(error.to_string()))?;
        crate::runtime::set_idle_time(time);
        Ok(())
    }

    /// For tests: whether threads drive the calls for which they wait, where they can, or leave them all to the I/O thread.
    #[pyfunction]
    fn set_driving(is_on: bool) {
        crate::runtime::caller::set_driving(is_on);
    }

    /// What a logger of this name wants to know: the least level, in Python's numbers.
    #[pyfunction]
    fn set_log_level(logger: &str, least: u8) -> PyResult<()> {
        log::set_level(logger, least)
    }

    /// The records that wait, `(logger, level, time, text)` each, and how many were lost.
    #[pyfunction]
    fn take_log_records(py: Python<'_>) -> PyResult<(Bound<'_, PyList>, u64)> {
        log::take(py)
    }

    /// Wait until there are records, `timeout` seconds at most; False when there is to be no more waiting.
    #[pyfunction]
    fn wait_for_log_records(py: Python<'_>, timeout: f64) -> PyResult<bool> {
        log::wait(py, timeout)
    }

    /// Whether there is to be waiting for records: False wakes those who wait.
    #[pyfunction]
    fn open_log(is_open: bool) {
        crate::log::open(is_open);
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        fork::watch(module.py())?;
        nested::watch(module.py())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
