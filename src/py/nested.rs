//! Python code below Rust: what a caller's objects do when they are looked at, and what Python's own `json` does.
//!
//! When the interpreter ends, CPython before 3.14 ends a daemon thread that asks for it by unwinding the thread's stack, and
//! Python code asks for it at any time. Rust's frames cannot be unwound so: the process would abort. So the end waits until
//! no such code runs, and from then on whoever is about to run some stays where it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// How long the end waits. A file of the caller's may take any time.
const TIMEOUT: Duration = Duration::from_secs(3);

/// How many threads run such code, or are about to look whether they may.
static RUNNING: AtomicUsize = AtomicUsize::new(0);
/// The thread that ends the interpreter, which may go on as it likes.
static ENDS: ArcSwapOption<ThreadId> = ArcSwapOption::const_empty();

/// One thread in such code.
struct Running;

impl Running {
    fn new() -> Running {
        RUNNING.fetch_add(1, Ordering::SeqCst);
        Running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Do something that may run Python code.
pub(super) fn run<T>(py: Python<'_>, work: impl FnOnce() -> T) -> T {
    let running = Running::new();
    if ENDS.load().as_ref().is_some_and(|ender| **ender != std::thread::current().id()) {
        drop(running);
        py.detach(|| {
            loop {
                std::thread::park();
            }
        })
    }
    work()
}

/// Call a function of Python's, and have the end of the interpreter wait for it. An import, above all: CPython 3.12 frees the locks
/// of imports at its end, and daemons that wait for one make it crash.
#[pyfunction]
#[pyo3(signature = (function, *arguments))]
pub(super) fn guarded<'py>(
    py: Python<'py>,
    function: &Bound<'py, PyAny>,
    arguments: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    run(py, || function.call1(arguments))
}

/// Have the end of the interpreter wait: after the functions that the program registers from now on.
pub(super) fn watch(py: Python<'_>) -> PyResult<()> {
    py.import("atexit")?.call_method1("register", (wrap_pyfunction!(wait_at_end, py)?,)).map(drop)
}

#[pyfunction]
fn wait_at_end(py: Python<'_>) {
    ENDS.store(Some(Arc::new(std::thread::current().id())));
    let deadline = Instant::now() + TIMEOUT;
    py.detach(|| {
        while RUNNING.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_micros(200));
        }
    });
}

/// In a forked child the threads are gone, whatever they were doing.
pub(super) fn forget() {
    RUNNING.store(0, Ordering::SeqCst);
    ENDS.store(None);
}
