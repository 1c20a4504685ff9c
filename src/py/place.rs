//! A name in a dict, and where the dict has it.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// Whether a dict stays as it is for as long as we do not let go of the interpreter. An object is a count and a type then; without an
/// interpreter lock it is more.
const IS_LOCKED: bool = size_of::<ffi::PyObject>() == 2 * size_of::<usize>();

/// A name in a dict. Where the dict had it the first time it has it the next time, as a rule: to look there takes less than to find it by
/// the name, and touches neither the name nor the dict's index, which between two requests leave the caches.
///
/// A place is where to look first and nothing more: an entry there that is not the one which is looked for means that the name is looked up.
pub(super) struct DictPlace {
    name: Py<PyString>,
    /// Its entry's, as `PyDict_Next` counts. `None`: there was no entry.
    position: Option<ffi::Py_ssize_t>,
}

impl DictPlace {
    /// That of a name which may be there.
    pub(super) fn of(dict: &Bound<'_, PyDict>, name: &Bound<'_, PyString>) -> Self {
        let name = interned(name);
        let (mut next, mut position) = (0, None);
        while let Some(entry) = LentEntry::at(dict, next) {
            if entry.key == name.as_ptr() {
                position = Some(next);
                break;
            }
            next = entry.next;
        }
        DictPlace { name: name.unbind(), position }
    }

    /// Whether there is that very object under the name now.
    #[inline]
    pub(super) fn has(&self, dict: &Bound<'_, PyDict>, value: &Py<PyAny>) -> bool {
        let is_entry = |entry: LentEntry| entry.key == self.name.as_ptr() && entry.value == value.as_ptr();
        self.position.and_then(|position| LentEntry::at(dict, position)).is_some_and(is_entry)
            || self.is_found(dict, value)
    }

    #[cold]
    fn is_found(&self, dict: &Bound<'_, PyDict>, value: &Py<PyAny>) -> bool {
        dict.get_item(&self.name).is_ok_and(|found| found.is_some_and(|found| found.is(value)))
    }

    /// Whether there is nothing under the name now, or None.
    #[inline]
    pub(super) fn is_free(&self, dict: &Bound<'_, PyDict>) -> bool {
        dict.contains(&self.name).is_ok_and(|is_there| !is_there || self.is_none(dict))
    }

    #[cold]
    fn is_none(&self, dict: &Bound<'_, PyDict>) -> bool {
        dict.get_item(&self.name).is_ok_and(|found| found.is_none_or(|found| found.is_none()))
    }
}

/// The name as the keys of namespaces are: so it is found by identity.
fn interned<'py>(name: &Bound<'py, PyString>) -> Bound<'py, PyString> {
    // One with lone surrogates is none of Rust's, and nobody's attribute.
    name.to_str().map_or_else(|_| name.clone(), |text| PyString::intern(name.py(), text))
}

/// An entry of a dict, to be compared and nothing else: nobody keeps it alive for us.
struct LentEntry {
    key: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
    /// Where the entries after it begin.
    next: ffi::Py_ssize_t,
}

impl LentEntry {
    /// The first one at a position or after it. `None` where other threads may change the dict meanwhile: it would have to be locked for
    /// each look, and threads would wait for one another at the classes that all of them share.
    #[inline]
    fn at(dict: &Bound<'_, PyDict>, position: ffi::Py_ssize_t) -> Option<LentEntry> {
        if !IS_LOCKED {
            return None;
        }
        let (mut next, mut key, mut value) = (position, std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: it is a dict, and the interpreter is ours. Positions are such as it has given; that the dict has become smaller
        // since is answered with 0, and whatever entry is there now is one that the dict has now.
        let is_there = unsafe { ffi::PyDict_Next(dict.as_ptr(), &raw mut next, &raw mut key, &raw mut value) };
        (is_there != 0).then_some(LentEntry { key, value, next })
    }
}
