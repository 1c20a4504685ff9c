//! `turbosqs._core.Shortcut`: a call of a patched client whose way has been decided before.

use std::sync::Arc;
use std::time::SystemTime;

use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::client::Client;
use super::counts::{Counts, FAST};
use super::error::Failure;
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

/// What has become of a call.
enum Made<'py> {
    Reply(Bound<'py, PyDict>),
    /// Who goes on with it: tools that trace it, or the `Failure` that is to be an exception of the client's.
    Elsewhere(Bound<'py, PyAny>),
}

/// Make a call of a patched client by its shortcut, if it has one that holds: the first thing that botocore's own function does.
///
/// None of our own functions of Python's runs below it. So what Python has to do with a call is done by who has asked: the reply is a dict; a tuple is the
/// client's call path and what goes on, the tools that trace the call (it is counted, and theirs to make) or a `Failure`; None: nothing was done.
#[pyfunction]
#[pyo3(signature = (client, operation_name, api_params, /))]
pub(super) fn take_shortcut<'py>(
    client: &Bound<'py, PyAny>,
    operation_name: &Bound<'py, PyAny>,
    api_params: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = client.py();
    let Ok(params) = api_params.cast_exact::<PyDict>() else { return Ok(None) };
    let Ok(operation_name) = operation_name.cast_exact::<PyString>() else { return Ok(None) };
    let Some(attributes) = attributes(client) else { return Ok(None) };
    let Some(call_path) = attributes.get_item(intern!(py, "_turbosqs_call_path"))? else { return Ok(None) };
    let shortcuts = call_path.getattr(intern!(py, "shortcuts"))?.cast_into::<PyDict>()?;
    let Some(shortcut) = shortcuts.get_item(operation_name)? else { return Ok(None) };
    Ok(match shortcut.cast::<Shortcut>()?.get().call(client, &attributes, params)? {
        None => None,
        Some(Made::Reply(reply)) => Some(reply.into_any()),
        Some(Made::Elsewhere(who)) => Some((call_path, who).into_pyobject(py)?.into_any()),
    })
}

/// A client's `__dict__`: not by asking for the attribute, which a class may answer in Python.
fn attributes<'py>(client: &Bound<'py, PyAny>) -> Option<Bound<'py, PyDict>> {
    // SAFETY: any object may be asked; one that has none raises.
    let found = unsafe {
        let dict = ffi::PyObject_GenericGetDict(client.as_ptr(), std::ptr::null_mut());
        Bound::from_owned_ptr_or_err(client.py(), dict)
    };
    found.ok()?.cast_into().ok()
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

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.watch)?;
        visit.call(self.tools.as_ref())?;
        watch::traverse(&visit, &self.keys)
    }
}

impl Shortcut {
    /// The reply to a call, or the tools that trace it: then it is counted, and theirs to make. None if something has changed, and
    /// nothing was done.
    ///
    /// `attributes`: the client's `__dict__`.
    fn call<'py>(
        &self,
        client: &Bound<'py, PyAny>,
        attributes: &Bound<'py, PyDict>,
        params: &Bound<'py, PyDict>,
    ) -> PyResult<Option<Made<'py>>> {
        let (py, core) = (client.py(), self.core.get());
        let is_same = !log::is_urgent()
            && self.watch.get().is_same(client, attributes)
            && watch::are_same(py, &self.keys)
            && self.handed.as_ref().map(Arc::as_ptr) == core.handed().as_ref().map(Arc::as_ptr)
            && self.is_fresh(py)?;
        if !is_same {
            return Ok(None);
        }
        self.counts.get().add(FAST, self.tools.is_some());
        Ok(Some(match &self.tools {
            Some(tools) => Made::Elsewhere(tools.bind(py).clone()),
            None => match core.call(py, self.operation, params, 0, None) {
                Ok(reply) => Made::Reply(reply),
                Err(error) if error.is_instance_of::<Failure>(py) => {
                    Made::Elsewhere(error.into_value(py).into_bound(py).into_any())
                }
                Err(error) => return Err(error),
            },
        }))
    }

    /// Whether the credentials are not to be refreshed yet, by the machine's clock: with another one Python is asked.
    fn is_fresh(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(until) = self.until else { return Ok(true) };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        Ok(now < until && !clock::is_replaced(py)?)
    }
}
