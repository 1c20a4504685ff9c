//! The entries of a caller's dict, which the caller's own code may change while they are read.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::types::dict::BoundDictIterator;

/// An iterator over a dict. `dict.iter()` answers a change with a panic, this one with what Python's own iteration raises.
pub(super) struct Entries<'a, 'py> {
    dict: &'a Bound<'py, PyDict>,
    inner: BoundDictIterator<'py>,
    size: usize,
    /// Never more than `size` are asked for: a dict whose keys change and whose size does not has no end.
    left: usize,
}

impl<'a, 'py> Entries<'a, 'py> {
    pub(super) fn of(dict: &'a Bound<'py, PyDict>) -> Self {
        let size = dict.len();
        Entries { dict, inner: dict.iter(), size, left: size }
    }
}

impl<'py> Iterator for Entries<'_, 'py> {
    type Item = PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        if self.dict.len() != self.size {
            self.left = 0;
            return Some(Err(PyRuntimeError::new_err("dictionary changed size during iteration")));
        }
        self.inner.next().map(Ok)
    }
}
