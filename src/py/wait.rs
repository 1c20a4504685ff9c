//! Waiting for an operation with the interpreter released.
//!
//! Python runs signal handlers on its main thread only, between bytecodes: so a wait comes up for air every
//! [`TICK`] to let Ctrl-C through. A thread that would come back to an interpreter that is finalizing stays
//! where it is for good: CPython does that from 3.14 on, and PyO3 sees to it before.

use std::time::Duration;

use pyo3::prelude::*;

use crate::client::Pending;
use crate::error::Error;

/// How long Ctrl-C may go unnoticed.
const TICK: Duration = Duration::from_millis(50);

/// Wait for an answer; a signal's exception gives the operation up.
pub fn wait<T: Send + 'static>(py: Python<'_>, pending: &mut Pending<T>) -> PyResult<Result<T, Error>> {
    loop {
        if let Some(result) = py.detach(|| pending.wait_for(TICK)) {
            return Ok(result);
        }
        py.check_signals()?;
    }
}
