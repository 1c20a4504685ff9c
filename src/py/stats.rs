//! A client's counters as a dict.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::stats::{RequestCounts, Snapshot, Stats};

pub(super) fn dict<'py>(py: Python<'py>, snapshot: &Snapshot) -> PyResult<Bound<'py, PyDict>> {
    let dict = requests(py, &snapshot.requests)?;
    dict.set_item("messages", counts(py, &snapshot.messages)?)?;
    let fill = PyDict::new(py);
    for (action, mean) in &snapshot.fill {
        fill.set_item(action, mean)?;
    }
    dict.set_item("fill", fill)?;
    dict.set_item("flushes", counts(py, &snapshot.flushes)?)?;
    dict.set_item("retries", snapshot.retries)?;
    Ok(dict)
}

fn requests<'py>(py: Python<'py>, requests: &RequestCounts) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("requests", counts(py, &requests.by_action)?)?;
    dict.set_item("billed", by_rate(py, requests.billed)?)?;
    dict.set_item("unshared", by_rate(py, requests.unshared)?)?;
    Ok(dict)
}

/// The requests of all clients of this process, and what they are billed as.
#[pyfunction]
pub(super) fn process_stats(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    requests(py, &Stats::of_process())
}

fn by_rate(py: Python<'_>, [standard, fifo]: [u64; 2]) -> PyResult<Bound<'_, PyDict>> {
    counts(py, &[("standard", standard), ("fifo", fifo)])
}

fn counts<'py>(py: Python<'py>, counts: &[(&str, u64)]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, count) in counts {
        dict.set_item(name, count)?;
    }
    Ok(dict)
}
