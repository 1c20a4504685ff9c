//! Log records on their way to Python's loggers.

use std::time::{Duration, SystemTime};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::wait;
use crate::log::{self, Topic};

pub(super) fn set_level(logger: &str, least: u8) -> PyResult<()> {
    let topic = Topic::ALL.into_iter().find(|topic| topic.logger() == logger);
    topic.map(|topic| topic.set_level(least)).ok_or_else(|| PyValueError::new_err(format!("no logger '{logger}'")))
}

pub(super) fn take(py: Python<'_>) -> PyResult<(Bound<'_, PyList>, u64)> {
    let (records, lost) = log::take();
    let list = PyList::empty(py);
    for record in records {
        let at = record.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        list.append((record.topic.logger(), record.level as u8, at, record.text))?;
    }
    Ok((list, lost))
}

pub(super) fn wait(py: Python<'_>, timeout: f64) -> PyResult<bool> {
    let timeout = Duration::try_from_secs_f64(timeout).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(wait::released(py, || log::wait(timeout)))
}
