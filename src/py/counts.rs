//! `turbosqs._core.Counts`: how many calls of patched clients went which way.

use std::borrow::Cow;
use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::fork;
use crate::runtime::lock::lock;

/// The key of the calls on the core.
pub(super) const FAST: &str = "fast";
/// The key of those among them that an instrumentation tool has traced. Every other key says why a call took botocore's own
/// path.
const TRACED: &str = "traced";

/// A number for each way, in the order in which they were taken first; a forked child starts from nothing.
#[derive(Debug, Default)]
struct Numbers {
    /// Whose they are.
    process: u64,
    ways: Vec<(Cow<'static, str>, u64)>,
}

/// Those of all patched clients.
static ALL: Mutex<Numbers> = Mutex::new(Numbers { process: 0, ways: Vec::new() });

impl Numbers {
    fn of_this_process(&mut self) -> &mut Vec<(Cow<'static, str>, u64)> {
        let process = fork::process();
        if self.process != process {
            *self = Numbers { process, ways: Vec::new() };
        }
        &mut self.ways
    }

    fn add(&mut self, way: &str) {
        let ways = self.of_this_process();
        match ways.iter_mut().find(|(name, _)| name == way) {
            Some((_, number)) => *number += 1,
            None => ways.push((Cow::Owned(way.to_owned()), 1)),
        }
    }
}

/// The numbers as they are now. They are locked for as long as it takes to copy them: to make a Python object may run a
/// collection, and with it anybody's finalizers, whose calls count as well.
fn dict<'py>(py: Python<'py>, numbers: &Mutex<Numbers>) -> PyResult<Bound<'py, PyDict>> {
    let ways = lock(numbers).of_this_process().clone();
    let dict = PyDict::new(py);
    dict.set_item(FAST, 0)?;
    for (way, number) in ways {
        dict.set_item(way.as_ref(), number)?;
    }
    Ok(dict)
}

/// One client's.
#[pyclass(frozen, module = "turbosqs._core")]
pub(super) struct Counts {
    own: Mutex<Numbers>,
    /// Whether they are a patched client's, and so count among those of all.
    is_patched: bool,
}

#[pymethods]
impl Counts {
    #[new]
    #[pyo3(signature = (is_patched = true))]
    fn new(is_patched: bool) -> Self {
        Counts { own: Mutex::default(), is_patched }
    }

    /// One call more, here and among those of all.
    pub(super) fn add(&self, way: &str, is_traced: bool) {
        let count = |numbers: &Mutex<Numbers>| {
            let mut numbers = lock(numbers);
            numbers.add(way);
            if is_traced {
                numbers.add(TRACED);
            }
        };
        count(&self.own);
        if self.is_patched {
            count(&ALL);
        }
    }

    fn copy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        dict(py, &self.own)
    }

    /// Those of all patched clients.
    #[staticmethod]
    fn of_all(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
        dict(py, &ALL)
    }
}
