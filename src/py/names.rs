//! Member names as interned Python strings, made once per process.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

use crate::model::{OPERATIONS, STRUCTURE_COUNT, Shape, Structure};

/// A structure's member names.
type Names = Box<[Py<PyString>]>;

static NAMES: PyOnceLock<Box<[Names]>> = PyOnceLock::new();

/// The names of a structure's members, in their order.
pub(super) fn of<'a>(py: Python<'_>, structure: &'static Structure) -> &'a [Py<PyString>] {
    NAMES.get_or_init(py, || intern_all(py)).get(structure.index).map_or(&[], |names| names)
}

fn intern_all(py: Python<'_>) -> Box<[Names]> {
    let mut table: Vec<Names> = (0..STRUCTURE_COUNT).map(|_| Names::default()).collect();
    for operation in &OPERATIONS {
        for structure in std::iter::once(operation.input).chain(operation.output) {
            intern(py, structure, &mut table);
        }
    }
    table.into_boxed_slice()
}

fn intern(py: Python<'_>, structure: &'static Structure, table: &mut [Names]) {
    if let Some(names) = table.get_mut(structure.index) {
        *names = structure.members.iter().map(|member| PyString::intern(py, member.name).unbind()).collect();
    }
    for member in structure.members {
        if let Some(inner) = structure_of(&member.shape) {
            intern(py, inner, table);
        }
    }
}

fn structure_of(shape: &'static Shape) -> Option<&'static Structure> {
    match shape {
        Shape::Structure(structure) => Some(structure),
        Shape::List(inner) | Shape::Map(inner) => structure_of(inner),
        Shape::String | Shape::Integer | Shape::Boolean | Shape::Blob => None,
    }
}
