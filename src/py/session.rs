//! The credentials that the clients of a session share, and the codes that a person has to be asked for.

use std::sync::Arc;

use pyo3::prelude::*;

use super::nested;
use crate::session::Session as Core;

/// `Session`: what the clients of a session share.
#[pyclass(frozen, module = "turbosqs._core")]
#[derive(Default)]
pub(super) struct Session(Arc<Core>);

#[pymethods]
impl Session {
    #[new]
    fn new() -> Session {
        Session::default()
    }
}

impl Session {
    pub(super) fn core(&self) -> &Arc<Core> {
        &self.0
    }
}

/// Before a request is made: roles that want a code of a device have a person asked, in the calling thread and once.
pub(super) fn ask_for_codes(py: Python<'_>, session: &Core) -> PyResult<()> {
    if !session.wants_codes() {
        return Ok(());
    }
    nested::run(py, || ask_in_turn(py, session))
}

fn ask_in_turn(py: Python<'_>, session: &Core) -> PyResult<()> {
    let ask = py.import("turbosqs._codes")?.getattr("ask")?;
    // One thread asks, others that come meanwhile wait for it, and find nothing left to ask.
    let lock = py.import("turbosqs._codes")?.getattr("lock")?;
    lock.call_method0("acquire")?;
    let asked = session.unknown_codes().into_iter().try_for_each(|code| {
        code.give(ask.call1((&code.serial,))?.extract()?);
        Ok(())
    });
    lock.call_method0("release")?;
    asked
}
