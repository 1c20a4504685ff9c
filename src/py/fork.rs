//! What happens around a fork that Python makes.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule};

use super::nested;
use crate::runtime::{self, caller};
use crate::stats::Stats;

/// Have Python tell us of its forks: those of `os.fork` and of what stands on it, and of `subprocess` where it runs Python code
/// in between.
pub(super) fn watch(py: Python<'_>) -> PyResult<()> {
    // Where there is no fork there is nothing to register with.
    let Some(register) = PyModule::import(py, "os")?.getattr_opt("register_at_fork")? else { return Ok(()) };
    let hooks = PyDict::new(py);
    hooks.set_item("before", wrap_pyfunction!(before_fork, py)?)?;
    hooks.set_item("after_in_child", wrap_pyfunction!(after_fork_in_child, py)?)?;
    hooks.set_item("after_in_parent", wrap_pyfunction!(after_fork_in_parent, py)?)?;
    register.call((), Some(&hooks)).map(drop)
}

/// Other threads of Python's may go on until the fork is made: where there is no interpreter lock until Python stops them all, and
/// elsewhere while hooks that come after this one wait for something. Their calls wait until it is made.
///
/// One that forks as well is waited for without the interpreter, which it needs for its own fork.
#[pyfunction]
fn before_fork(py: Python<'_>) {
    if !caller::try_hold() {
        py.detach(caller::hold);
    }
    runtime::pause();
}

/// How many forks this process is away from the one that has loaded the module.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// A number that this process has, and neither its parent nor a child.
pub(super) fn process() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

#[pyfunction]
fn after_fork_in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    caller::release();
    nested::forget();
    Stats::begin_process();
}

#[pyfunction]
fn after_fork_in_parent() -> PyResult<()> {
    // In this order: who waits to fork then finds all as it should be.
    let resumed = runtime::resume();
    caller::release();
    resumed.map_err(|error| PyRuntimeError::new_err(error.to_string()))
}
