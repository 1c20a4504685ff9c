//! `turbosqs._core.Keeper`: messages that Python has received by itself, kept invisible while it handles them.

use std::time::Duration;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::client::Client;
use super::{clock, error, wait};
use crate::model::Action;
use crate::poll::keeper::{Keeper as Core, LostLease};
use crate::protocol::error::Error;
use crate::runtime::responder::PendingResponse;

/// `Keeper`: what keeps the messages of a queue invisible.
#[pyclass(frozen, weakref, module = "turbosqs._core")]
pub(super) struct Keeper {
    core: Core,
}

#[pymethods]
impl Keeper {
    /// `visibility` in seconds; None: the queue's own. `listens`: whether somebody is to be told of what is lost, else it is logged.
    #[new]
    #[pyo3(signature = (client, queue_url, visibility, listens))]
    fn new(client: &Bound<'_, Client>, queue_url: &str, visibility: Option<u32>, listens: bool) -> PyResult<Self> {
        let py = client.py();
        clock::look(py)?;
        let queue = serde_json::to_vec(queue_url).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let client = client.get();
        let core = client.keepers().open(client.core(), queue.into(), visibility, listens);
        let failed = |error| error::failure(py, error, Action::ChangeMessageVisibility);
        Ok(Keeper { core: core.map_err(failed)? })
    }

    /// Keep a message invisible that was received `age` seconds ago, if that is known.
    #[pyo3(signature = (handle, age = None))]
    fn add(&self, handle: &str, age: Option<f64>) -> PyResult<()> {
        let age = age.map(|age| Duration::try_from_secs_f64(age).unwrap_or(Duration::MAX));
        self.core.add(handle, age).map_err(failed)
    }

    /// Keep it no longer; whether it is still ours.
    fn remove(&self, handle: &str) -> PyResult<bool> {
        self.core.remove(handle).map_err(failed)
    }

    /// Whether it is not ours any more.
    fn is_lost(&self, handle: &str) -> PyResult<bool> {
        self.core.is_lost(handle).map_err(failed)
    }

    /// Keep nothing any more.
    fn close(&self) -> PyResult<()> {
        self.core.close().map_err(failed)
    }

    #[getter]
    fn is_closed(&self) -> PyResult<bool> {
        self.core.is_closed().map_err(failed)
    }

    /// What was lost and has not been told: receipt handle and failure.
    fn take_lost<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for LostLease { handle, error } in self.core.take_lost().map_err(failed)? {
            let failure = error::failure(py, error, Action::ChangeMessageVisibility).into_value(py);
            list.append((&*handle, failure))?;
        }
        Ok(list)
    }

    /// Wait until something is lost; False when the keeper is closed.
    fn watch(&self, py: Python<'_>) -> PyResult<bool> {
        let (pending, responder) = PendingResponse::new();
        self.core.tell_lost(responder).map_err(failed)?;
        while wait::released(py, || pending.wait_for(PATIENT)).is_none() {}
        self.core.is_closed().map(|closed| !closed).map_err(failed)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = self.core.counts().map_err(failed)?;
        let stats = PyDict::new(py);
        stats.set_item("held", counts.held)?;
        stats.set_item("extended", counts.extended)?;
        stats.set_item("lost", counts.lost)?;
        Ok(stats)
    }
}

impl Keeper {
    pub(super) fn core(&self) -> &Core {
        &self.core
    }
}

/// Nobody looks up from this wait but when there is something.
const PATIENT: Duration = Duration::from_secs(600);

fn failed(error: Error) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}
