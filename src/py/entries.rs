//! The entries of a caller's dict, which the caller's own code, or another thread, may change while they are read.

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::PyDict;

/// An iterator over a dict. `dict.iter()` answers a change with a panic, this one with what Python's own iteration raises.
///
/// Where there is no interpreter lock, a dict changes between any two looks at it. So to see that it is as large as it was and to
/// take the next entry is one step, with the dict locked; elsewhere that costs nothing.
pub(super) struct Entries<'a, 'py> {
    dict: &'a Bound<'py, PyDict>,
    /// Where `PyDict_Next` goes on.
    place: ffi::Py_ssize_t,
    size: usize,
    /// Never more than `size` are asked for: a dict whose keys change and whose size does not has no end.
    left: usize,
}

/// A key and its value.
type DictEntry<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);

impl<'a, 'py> Entries<'a, 'py> {
    pub(super) fn of(dict: &'a Bound<'py, PyDict>) -> Self {
        let size = dict.len();
        Entries { dict, place: 0, size, left: size }
    }

    /// With the dict locked.
    fn step(&mut self) -> Option<PyResult<DictEntry<'py>>> {
        if self.dict.len() != self.size {
            self.left = 0;
            return Some(Err(PyRuntimeError::new_err("dictionary changed size during iteration")));
        }
        let (mut key, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: it is a dict, and nobody changes it before its key and value, which it lends, are ours as well.
        unsafe {
            if ffi::PyDict_Next(self.dict.as_ptr(), &raw mut self.place, &raw mut key, &raw mut value) == 0 {
                return None;
            }
            let py = self.dict.py();
            Some(Ok((Bound::from_borrowed_ptr(py, key), Bound::from_borrowed_ptr(py, value))))
        }
    }
}

impl<'py> Iterator for Entries<'_, 'py> {
    type Item = PyResult<DictEntry<'py>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        with_critical_section(self.dict.as_any(), || self.step())
    }
}
