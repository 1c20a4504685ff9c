//! Waiting for an operation with the interpreter released.
//!
//! Python runs signal handlers on its main thread only, between bytecodes: so a wait comes up for air every
//! [`TICK`] to let Ctrl-C through. A thread that would come back to an interpreter that is finalizing stays
//! where it is for good: CPython does that from 3.14 on, and PyO3 sees to it before.

use std::time::{Duration, Instant};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::caller::Pending;
use crate::error::Error;

/// How long Ctrl-C may go unnoticed.
pub const TICK: Duration = Duration::from_millis(50);

/// Wait for an answer. A signal's exception ends the wait; what becomes of the operation is its caller's to say.
pub fn wait<T: Send + 'static>(py: Python<'_>, pending: &Pending<T>) -> PyResult<Result<T, Error>> {
    loop {
        if let Some(result) = py.detach(|| pending.wait_for(TICK)) {
            return Ok(result);
        }
        py.check_signals()?;
    }
}

/// The moment when so many seconds are over; a time that no clock reaches is as good as a year.
pub fn deadline(seconds: f64) -> PyResult<Instant> {
    const YEAR: f64 = 365.0 * 86_400.0;
    match Duration::try_from_secs_f64(seconds.min(YEAR)) {
        Ok(patience) => Ok(Instant::now() + patience),
        Err(error) => Err(PyValueError::new_err(error.to_string())),
    }
}
