//! `turbosqs._core.Watch` and `ClientWatch`: what others may replace, looked at before each call of a patched client.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use crate::log;

/// Objects under names, in classes and modules. Looking costs a tenth of what it does in Python, which between two
/// requests finds its own code gone from the caches.
#[pyclass(frozen, module = "turbosqs._core")]
pub(super) struct Watch {
    watched: Vec<Watched>,
    /// Whether it is a difference that a warning waits to be logged.
    heeds_log: bool,
}

/// A namespace, a name in it, and what was found there; `None`: nothing, or None.
pub(super) type Watched = (Py<PyAny>, Py<PyString>, Option<Py<PyAny>>);

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
        !(self.heeds_log && log::is_urgent()) && are_same(py, &self.watched)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        traverse(&visit, &self.watched)
    }
}

/// Whether there is under all names what there was.
pub(super) fn are_same(py: Python<'_>, watched: &[Watched]) -> bool {
    watched.iter().all(|(namespace, name, value)| {
        let namespace = namespace.bind(py);
        match value {
            Some(value) => namespace.get_item(name).is_ok_and(|found| found.is(value)),
            // To look for what is not there makes an exception.
            None => namespace
                .contains(name)
                .is_ok_and(|is_there| !is_there || namespace.get_item(name).is_ok_and(|found| found.is_none())),
        }
    })
}

/// What the garbage collector is told of them: namespaces may lead back to who watches them.
pub(super) fn traverse(visit: &PyVisit<'_>, watched: &[Watched]) -> Result<(), PyTraverseError> {
    for (namespace, _, value) in watched {
        visit.call(namespace)?;
        visit.call(value.as_ref())?;
    }
    Ok(())
}

/// A client of botocore's, and all that may come to listen to one of its operations.
///
/// The client's own attributes are given with each look and not kept: it keeps what has the watch, and is to be gone as soon
/// as nobody has it.
#[pyclass(frozen, module = "turbosqs._core")]
pub(super) struct ClientWatch {
    /// The functions that carry the calls of all clients.
    functions: Py<Watch>,
    class: Py<PyType>,
    /// The class's bases, in their order.
    order: Py<PyTuple>,
    /// The client's parts, by the names of its attributes.
    parts: Vec<(Py<PyString>, Py<PyAny>)>,
    /// How many attributes the client has of its own.
    size: usize,
    watched: Vec<Watched>,
    /// The attributes of its parts, and how many there are: to stand before a method is to be one more.
    sizes: Vec<(Py<PyDict>, usize)>,
}

#[pymethods]
impl ClientWatch {
    #[new]
    fn new(
        functions: Py<Watch>,
        class: &Bound<'_, PyType>,
        parts: Vec<(Py<PyString>, Py<PyAny>)>,
        size: usize,
        watched: Vec<Watched>,
        sizes: Vec<(Py<PyDict>, usize)>,
    ) -> Self {
        let order = class.mro().unbind();
        ClientWatch { functions, class: class.clone().unbind(), order, parts, size, watched, sizes }
    }

    /// Whether all is as it was.
    ///
    /// `attributes`: the client's `__dict__`.
    pub(super) fn is_same(&self, client: &Bound<'_, PyAny>, attributes: &Bound<'_, PyDict>) -> bool {
        let py = client.py();
        let class = client.get_type();
        let is_same_part = |(name, part): &(Py<PyString>, Py<PyAny>)| {
            attributes.get_item(name).is_ok_and(|found| found.is_some_and(|found| found.is(part)))
        };
        class.is(&self.class)
            && class.mro().is(&self.order)
            && attributes.len() == self.size
            && self.parts.iter().all(is_same_part)
            && self.sizes.iter().all(|(attributes, size)| attributes.bind(py).len() == *size)
            && are_same(py, &self.watched)
            && self.functions.get().is_same(py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.functions)?;
        visit.call(&self.class)?;
        for (_, part) in &self.parts {
            visit.call(part)?;
        }
        for (attributes, _) in &self.sizes {
            visit.call(attributes)?;
        }
        traverse(&visit, &self.watched)
    }
}
