//! `turbosqs._core.Shortcut`: a call of a patched client whose way has been decided before.

use std::sync::Arc;
use std::time::SystemTime;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::client::Client;
use super::counts::{Counts, FAST};
use super::watch::{self, ClientWatch, Watched};
use super::{arguments, clock};
use crate::config::StaticCredentials;
use crate::log;

/// The way of one operation's calls to the core, for as long as all is as it was when it was found that nobody would miss them.
///
/// All of it is one call from Python: between two requests the interpreter's own code and data leave the caches, so that each
/// function of Python's in between costs a multiple of what it costs in a loop.
#[pyclass(frozen, module = "turbosqs._core")]
pub(super) struct Shortcut {
    watch: Py<ClientWatch>,
    core: Py<Client>,
    operation: &'static str,
    counts: Py<Counts>,
    /// Where the client's credentials are.
    keys: Vec<Watched>,
    /// What the core has of them. Several operations of a client have shortcuts, and only one of them is gone when the credentials
    /// are replaced: the others must not come back with the old ones.
    handed: Option<Arc<StaticCredentials>>,
    /// When they may have to be refreshed, in seconds since 1970; `None`: never.
    until: Option<f64>,
    /// The instrumentation tools that trace the calls.
    tools: Option<Py<PyAny>>,
}

#[pymethods]
impl Shortcut {
    /// `keys`: where the credentials are that the core has been handed. `until`: when they may have to be refreshed, in seconds since
    /// 1970. `tools`: known tools that trace the calls.
    #[new]
    fn new(
        watch: Py<ClientWatch>,
        core: Py<Client>,
        operation: &str,
        counts: Py<Counts>,
        keys: Vec<Watched>,
        until: Option<f64>,
        tools: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let operation = arguments::find(operation)?.name;
        let handed = core.get().handed();
        Ok(Shortcut { watch, core, operation, counts, keys, handed, until, tools })
    }

    /// The reply to a call, or the tools that trace it: then it is counted, and theirs to make. None if something has changed, and
    /// nothing was done.
    ///
    /// `attributes`: the client's `__dict__`.
    fn call<'py>(
        &self,
        client: &Bound<'py, PyAny>,
        attributes: &Bound<'py, PyDict>,
        params: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (py, core) = (client.py(), self.core.get());
        let Ok(params) = params.cast_exact::<PyDict>() else { return Ok(None) };
        let is_same = !log::is_urgent()
            && self.watch.get().is_same(client, attributes)
            && watch::are_same(py, &self.keys)
            && self.handed.as_ref().map(Arc::as_ptr) == core.handed().as_ref().map(Arc::as_ptr)
            && self.is_fresh(py)?;
        if !is_same {
            return Ok(None);
        }
        self.counts.get().add(FAST, self.tools.is_some());
        match &self.tools {
            Some(tools) => Ok(Some(tools.bind(py).clone())),
            None => Ok(Some(core.call(py, self.operation, params, 0, None)?.into_any())),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.watch)?;
        visit.call(self.tools.as_ref())?;
        watch::traverse(&visit, &self.keys)
    }
}

impl Shortcut {
    /// Whether the credentials are not to be refreshed yet, by the machine's clock: with another one Python is asked.
    fn is_fresh(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(until) = self.until else { return Ok(true) };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        Ok(now < until && !clock::is_replaced(py)?)
    }
}
