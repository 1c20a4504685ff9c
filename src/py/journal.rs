//! A client's journal as Python has it: a tuple for each batch.

use std::time::SystemTime;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::protocol::entry::QueueUrl;
use crate::stats::journal::{Journal, ReturnedBatch, TaggedOutcome};

pub(super) fn read<'py>(py: Python<'py>, journal: &Journal) -> PyResult<(Bound<'py, PyList>, u64)> {
    let (batches, retries) = journal.read();
    let list = PyList::empty(py);
    for batch in batches {
        list.append(tuple(py, batch)?)?;
    }
    Ok((list, retries))
}

/// `(operation, queue_url, reason, began, ended, attempts, status, request_id, error, entries)`, where `began` and `ended` are
/// nanoseconds since 1970, and each entry is `(tag, outcome, detail)`.
fn tuple(py: Python<'_>, batch: ReturnedBatch) -> PyResult<Bound<'_, PyTuple>> {
    let entries = PyList::empty(py);
    for entry in batch.entries {
        let (outcome, detail) = match entry.outcome {
            TaggedOutcome::Done(message_id) => ("done", message_id),
            TaggedOutcome::Failed(error) => ("failed", Some(error)),
            TaggedOutcome::Again => ("again", None),
        };
        entries.append((entry.tag, outcome, detail))?;
    }
    let parts = [
        batch.action.action().operation().name.into_bound_py_any(py)?,
        url(&batch.queue).into_bound_py_any(py)?,
        batch.reason.name().into_bound_py_any(py)?,
        nanoseconds(batch.began).into_bound_py_any(py)?,
        nanoseconds(batch.ended).into_bound_py_any(py)?,
        batch.attempts.into_bound_py_any(py)?,
        batch.status.into_bound_py_any(py)?,
        batch.request_id.into_bound_py_any(py)?,
        batch.error.into_bound_py_any(py)?,
        entries.into_any(),
    ];
    PyTuple::new(py, parts)
}

/// Of a URL with a lone surrogate, which no service has, nothing is said.
fn url(queue: &QueueUrl) -> String {
    serde_json::from_slice(queue).unwrap_or_default()
}

fn nanoseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
