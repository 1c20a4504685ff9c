//! `turbosqs._core.Watch`: what others may replace, looked at before each call of a patched client.

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::log;

/// Objects under names, in classes and modules. Looking costs a tenth of what it does in Python, which between two
/// requests finds its own code gone from the caches.
#[pyclass(frozen, module = "turbosqs._core")]
pub(super) struct Watch {
    watched: Vec<Watched>,
    /// Whether it is a difference that a warning waits to be logged.
    heeds_log: bool,
}

/// A namespace, a name in it, and what was found there; `None`: nothing.
type Watched = (Py<PyAny>, Py<PyString>, Option<Py<PyAny>>);

#[pymethods]
impl Watch {
    /// `watched`: namespaces, names in them, and what was found there; `None` for a name that was not there.
    /// `heeds_log`: it is a difference, too, that a warning waits to be logged.
    #[new]
    #[pyo3(signature = (watched, heeds_log = false))]
    fn new(watched: Vec<Watched>, heeds_log: bool) -> Self {
        Watch { watched, heeds_log }
    }

    /// Whether all are the very objects that they were.
    fn is_same(&self, py: Python<'_>) -> bool {
        let is_same = |(namespace, name, value): &Watched| match value {
            Some(value) => namespace.bind(py).get_item(name).is_ok_and(|found| found.is(value)),
            None => namespace.bind(py).contains(name).is_ok_and(|found| !found),
        };
        !(self.heeds_log && log::is_urgent()) && self.watched.iter().all(is_same)
    }
}
