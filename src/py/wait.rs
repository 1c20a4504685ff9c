//! Waiting for an operation with the interpreter released.
//!
//! Python runs signal handlers on its main thread only, between bytecodes: so a wait comes up for air every
//! [`TICK`] to let Ctrl-C through; of a thread that waits for a socket, a signal ends the wait at once. A thread does not come
//! back to an interpreter that has ended: see [`released`].

use std::time::{Duration, Instant};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::client::{OwnCall, OwnProgress};
use crate::protocol::error::Error;
use crate::protocol::message::Reply;
use crate::runtime::caller;
use crate::runtime::responder::PendingResponse;

/// How long Ctrl-C may go unnoticed.
pub(super) const TICK: Duration = caller::LONGEST_WAIT;

/// Do something that takes a while with the interpreter released.
///
/// When the interpreter ends, daemon threads are still here. CPython before 3.14 ends those that come back to it from then on,
/// but it looks at what it has already given up to find out (the thread's state), and ends them by unwinding their stack, in
/// the middle of the process's own end. So they stay where they are: parked, until the process has ended.
pub(super) fn released<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    // The one thread that has the interpreter while it ends is the thread that ends it (a finalizer calls): that one comes back.
    let is_last = has_ended();
    py.detach(|| {
        let done = work();
        while !is_last && has_ended() {
            std::thread::park();
        }
        done
    })
}

/// Whether the interpreter has begun to end; by then the functions have been called that are to be called at exit.
fn has_ended() -> bool {
    // SAFETY: it may be asked at any time, by any thread.
    unsafe { pyo3::ffi::Py_IsInitialized() == 0 }
}

/// Wait for an answer. A signal's exception ends the wait; what becomes of the operation is its caller's to say.
pub(super) fn wait<T: Send + 'static>(py: Python<'_>, pending: &PendingResponse<T>) -> PyResult<Result<T, Error>> {
    loop {
        if let Some(result) = released(py, || pending.wait_for(TICK)) {
            return Ok(result);
        }
        py.check_signals()?;
    }
}

/// Drive a call in this thread, and wait for its answer. A signal ends the wait for the socket at once.
pub(super) fn drive(py: Python<'_>, own: OwnCall, pending: &PendingResponse<Reply>) -> PyResult<Result<Reply, Error>> {
    let mut progress = released(py, || own.drive(TICK));
    while let OwnProgress::Waiting(own) = progress {
        if let Err(raised) = py.check_signals() {
            own.abandon();
            return Err(raised);
        }
        progress = released(py, || own.drive(TICK));
    }
    if let Some(answer) = pending.take() {
        return Ok(answer);
    }
    wait(py, pending).inspect_err(|_| {
        if let OwnProgress::Elsewhere(underway) = &progress {
            underway.abandon();
        }
    })
}

/// The moment when so many seconds are over; a time that no clock reaches is as good as a year.
pub(super) fn deadline(seconds: f64) -> PyResult<Instant> {
    const YEAR: f64 = 365.0 * 86_400.0;
    match Duration::try_from_secs_f64(seconds.min(YEAR)) {
        Ok(timeout) => Ok(Instant::now() + timeout),
        Err(error) => Err(PyValueError::new_err(error.to_string())),
    }
}
