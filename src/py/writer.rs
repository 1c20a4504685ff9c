//! `turbosqs._core.Writer`: many messages from a thread that does not wait for each answer.

use std::sync::Arc;
use std::time::Instant;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::client::Client;
use super::wait::{self, TICK, deadline};
use super::{arguments, clock, error, unmarshal};
use crate::client::Call;
use crate::model::Action;
use crate::protocol::entry::{self, Entry, Single};
use crate::protocol::error::Error;
use crate::runtime::ProcessBound;
use crate::send::writer::{Unsent, Writer as Core};

/// `Writer`: what is behind a `batch_writer`.
#[pyclass(frozen, module = "turbosqs._core")]
pub(super) struct Writer {
    client: Py<Client>,
    core: ProcessBound<Arc<Core>>,
}

#[pymethods]
impl Writer {
    /// `queue_url` is the value of `QueueUrl` that all entries will have.
    #[new]
    fn new(client: &Bound<'_, Client>, queue_url: &str) -> PyResult<Self> {
        let queue = serde_json::to_vec(queue_url).map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        let core = client.get().core();
        let resources = core.resources().map_err(runtime)?;
        let (batchers, pollers) = (Arc::clone(&resources.batchers), Arc::clone(&resources.pollers));
        let bounds = core.settings().batching.unwrap_or_default();
        let writer = Arc::new(Core::new(batchers, pollers, queue, bounds));
        Ok(Writer { client: client.clone().unbind(), core: ProcessBound::of(writer) })
    }

    /// Take the arguments of one operation; returns at once unless too much is unanswered. Whether so many have failed
    /// that their caller should hear of it.
    #[pyo3(signature = (operation, params, tag = 0))]
    fn put(&self, py: Python<'_>, operation: &str, params: &Bound<'_, PyDict>, tag: u64) -> PyResult<bool> {
        let core = self.core()?;
        let (action, mut entry) = self.entry(py, operation, params, tag)?;
        while let Some(back) = core.put(action, entry).map_err(runtime)? {
            entry = back;
            wait::released(py, || core.wait_for_room(entry.members.len(), TICK)).map_err(runtime)?;
            py.check_signals()?;
        }
        Ok(core.is_failing())
    }

    /// Whether this is the process that made it.
    #[getter]
    fn is_mine(&self) -> bool {
        self.core.get().is_some()
    }

    /// Whether something is unanswered, or a failure untold, that this process should know of.
    #[getter]
    fn is_unfinished(&self) -> bool {
        self.core.get().is_some_and(|core| core.is_unfinished())
    }

    /// Whether so many have failed that their caller should hear of it.
    #[getter]
    fn is_failing(&self) -> bool {
        self.core.get().is_some_and(|core| core.is_failing())
    }

    /// Take the arguments of one operation, if there is room: 0, or the weight that room is to be waited for.
    #[pyo3(signature = (operation, params, tag = 0))]
    fn offer(&self, py: Python<'_>, operation: &str, params: &Bound<'_, PyDict>, tag: u64) -> PyResult<usize> {
        let core = self.core()?;
        let (action, entry) = self.entry(py, operation, params, tag)?;
        Ok(core.put(action, entry).map_err(runtime)?.map_or(0, |entry| entry.members.len()))
    }

    /// Let everything leave that was put.
    fn send(&self) -> PyResult<()> {
        self.core.get().map_or(Ok(()), |core| core.flush()).map_err(runtime)
    }

    /// Wait until everything is answered that was put, at most `timeout` seconds; whether it is.
    fn wait(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        let deadline = deadline(timeout)?;
        let Some(core) = self.core.get() else { return Ok(true) };
        while !wait::released(py, || core.wait_for_answers(TICK)) {
            py.check_signals()?;
            if Instant::now() >= deadline {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How many entries were put, and how many of them have been answered.
    fn progress(&self) -> PyResult<(u64, u64)> {
        Ok(self.core()?.progress())
    }

    /// What was not accepted: for each entry its position among all, its operation, its arguments and its `Failure` (or
    /// another exception).
    fn take_failures<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        let Some(core) = self.core.get() else { return Ok(list) };
        for Unsent { position, action, members, error } in core.take_failures() {
            let params = params(py, core.queue(), action, members.as_deref())?;
            let name = action.action().operation().name;
            let error = error::failure(py, error, action.action()).into_value(py);
            list.append(PyTuple::new(
                py,
                [
                    position.into_pyobject(py)?.into_any(),
                    name.into_pyobject(py)?.into_any(),
                    params.into_any(),
                    error.into_bound(py).into_any(),
                ],
            )?)?;
        }
        Ok(list)
    }
}

impl Writer {
    /// What there is to it, unless it is that of the process that this one was forked from.
    pub(super) fn core(&self) -> PyResult<Arc<Core>> {
        let foreign = "this batch_writer belongs to the process that made it, not to a child forked from it";
        self.core.get().ok_or_else(|| PyRuntimeError::new_err(foreign))
    }

    fn entry(
        &self,
        py: Python<'_>,
        operation: &str,
        params: &Bound<'_, PyDict>,
        tag: u64,
    ) -> PyResult<(Single, Entry)> {
        clock::look(py)?;
        let operation = arguments::find(operation)?;
        match arguments::entry(self.client.get().core(), operation, params)? {
            Some(Call::Entry(action, _, entry)) => Ok((action, Entry { tag, ..entry })),
            _ => Err(PyRuntimeError::new_err(format!("{} has no batch form", operation.name))),
        }
    }
}

/// The arguments that an entry was written from.
fn params<'py>(py: Python<'py>, queue: &[u8], action: Single, members: Option<&[u8]>) -> PyResult<Bound<'py, PyDict>> {
    let json = entry::input(queue, members.unwrap_or(b"}"));
    let action: Action = action.action();
    unmarshal::from_json(py, &json, action.operation().input)
}

fn runtime(error: Error) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}
