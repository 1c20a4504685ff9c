//! `turbosqs._core.Watch` and `ClientWatch`: what others may replace, looked at before each call of a patched client.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyMappingProxy, PyString, PyTuple, PyType};

use super::nested;
use super::place::DictPlace;
use crate::log;

/// Objects under names, in classes and modules. Looking costs a tenth of what it does in Python, which between two
/// requests finds its own code gone from the caches.
#[pyclass(frozen, module = "turbosqs._core")]
pub(super) struct Watch {
    watched: Vec<Watched>,
    /// Whether it is a difference that a warning waits to be logged.
    heeds_log: bool,
}

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

/// A namespace, a name in it, and what was found there; `None`: nothing, or None.
pub(super) struct Watched {
    namespace: Namespace,
    value: Option<Py<PyAny>>,
}

/// Where a name is: a class's or a module's own dict, as a rule.
enum Namespace {
    Dict(Py<PyDict>, DictPlace),
    /// Some other mapping, which is asked by its own methods.
    Other(Py<PyAny>, Py<PyString>),
}

impl<'py> FromPyObject<'_, 'py> for Watched {
    type Error = PyErr;

    fn extract(watched: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let (namespace, name, value): (_, _, Option<Py<PyAny>>) = watched.extract()?;
        Ok(Watched { namespace: Namespace::new(&namespace, &name)?, value })
    }
}

impl Namespace {
    fn new(mapping: &Bound<'_, PyAny>, name: &Bound<'_, PyString>) -> PyResult<Self> {
        Ok(match dict(mapping)? {
            Some(dict) => Namespace::Dict(dict.clone().unbind(), DictPlace::of(&dict, name)),
            None => Namespace::Other(mapping.clone().unbind(), name.clone().unbind()),
        })
    }
}

/// The dict that a mapping is, or stands for.
///
/// A class's `__dict__` is a proxy, which is asked by its methods, at several times the cost. The dict behind it is the class's for as long as there
/// is the class. The proxy has a reference to that dict and to nothing else, and the garbage collector, which has to know,
/// says to what, in every CPython. (The class's own `__dict__` slot does not: of a class that is part of the interpreter it is another
/// dict since Python 3.12.)
fn dict<'py>(mapping: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
    static REFERENTS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if !mapping.is_exact_instance_of::<PyMappingProxy>() {
        return Ok(mapping.cast_exact().ok().cloned());
    }
    let py = mapping.py();
    let referents = nested::run(py, || REFERENTS.import(py, "gc", "get_referents")?.call1((mapping,)))?;
    let behind = referents.cast_into::<PyList>()?.get_item(0)?;
    Ok(behind.cast_into_exact().ok())
}

/// Whether there is under all names what there was.
pub(super) fn are_same(py: Python<'_>, watched: &[Watched]) -> bool {
    watched.iter().all(|Watched { namespace, value }| match namespace {
        Namespace::Dict(dict, place) => match value {
            Some(value) => place.has(dict.bind(py), value),
            None => place.is_free(dict.bind(py)),
        },
        Namespace::Other(mapping, name) => is_same(mapping.bind(py), name, value.as_ref()),
    })
}

fn is_same(mapping: &Bound<'_, PyAny>, name: &Py<PyString>, value: Option<&Py<PyAny>>) -> bool {
    match value {
        Some(value) => mapping.get_item(name).is_ok_and(|found| found.is(value)),
        // To look for what is not there makes an exception.
        None => mapping
            .contains(name)
            .is_ok_and(|is_there| !is_there || mapping.get_item(name).is_ok_and(|found| found.is_none())),
    }
}

/// What the garbage collector is told of them: namespaces may lead back to who watches them.
pub(super) fn traverse(visit: &PyVisit<'_>, watched: &[Watched]) -> Result<(), PyTraverseError> {
    for Watched { namespace, value } in watched {
        match namespace {
            Namespace::Dict(dict, _) => visit.call(dict)?,
            Namespace::Other(mapping, _) => visit.call(mapping)?,
        }
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
    /// The client's parts, by their places in its attributes.
    parts: Vec<(DictPlace, Py<PyAny>)>,
    /// How many attributes the client has of its own.
    size: usize,
    watched: Vec<Watched>,
    /// The attributes of its parts, and how many there are: to stand before a method is to be one more.
    sizes: Vec<(Py<PyDict>, usize)>,
}

#[pymethods]
impl ClientWatch {
    /// `client`: its class is watched, too. `attributes`: its `__dict__`. `parts`: by the names of its attributes.
    #[new]
    fn new(
        functions: Py<Watch>,
        client: &Bound<'_, PyAny>,
        attributes: &Bound<'_, PyDict>,
        parts: Vec<(Bound<'_, PyString>, Py<PyAny>)>,
        size: usize,
        watched: Vec<Watched>,
        sizes: Vec<(Py<PyDict>, usize)>,
    ) -> Self {
        let class = client.get_type();
        let parts = parts.into_iter().map(|(name, part)| (DictPlace::of(attributes, &name), part)).collect();
        ClientWatch { functions, order: class.mro().unbind(), class: class.unbind(), parts, size, watched, sizes }
    }

    /// Whether all is as it was.
    ///
    /// `attributes`: the client's `__dict__`.
    pub(super) fn is_same(&self, client: &Bound<'_, PyAny>, attributes: &Bound<'_, PyDict>) -> bool {
        let py = client.py();
        let class = client.get_type();
        class.is(&self.class)
            && class.mro().is(&self.order)
            && attributes.len() == self.size
            && self.parts.iter().all(|(place, part)| place.has(attributes, part))
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
