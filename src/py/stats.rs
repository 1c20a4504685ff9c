//! A client's counters as a dict.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::stats::Snapshot;

pub(super) fn dict<'py>(py: Python<'py>, snapshot: &Snapshot) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("requests", counts(py, &snapshot.requests)?)?;
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

fn counts<'py>(py: Python<'py>, counts: &[(&str, u64)]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, count) in counts {
        dict.set_item(name, count)?;
    }
    Ok(dict)
}
