//! Whether a test has replaced Python's clock, and what it shows.
//!
//! botocore dates its signatures by `datetime.datetime.now()`. freezegun puts a class of its own into the module
//! `datetime`, which shows by identity; time-machine changes the class itself, and says so when asked. Where there is neither,
//! to find that out costs two look-ups. Nothing is imported for it: what nobody has imported, nobody has replaced.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyModule, PyType};

use super::nested;
use crate::transport::clock;

/// `sys.modules`
static MODULES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
static DATETIME: PyOnceLock<Datetime> = PyOnceLock::new();

/// The module `datetime`, since somebody has imported it.
struct Datetime {
    /// What it holds now.
    names: Py<PyDict>,
    /// Its class `datetime` as Python has made it.
    class: Py<PyAny>,
}

/// What is signed from now on bears the time that Python's clock shows.
pub(super) fn look(py: Python<'_>) -> PyResult<()> {
    clock::replace(replaced(py)?);
    Ok(())
}

/// Whether it shows another time than the machine's.
pub(super) fn is_replaced(py: Python<'_>) -> PyResult<bool> {
    Ok(replaced(py)?.is_some())
}

/// Seconds since 1970 by a clock that is not the machine's.
fn replaced(py: Python<'_>) -> PyResult<Option<i64>> {
    let modules = MODULES.get_or_try_init(py, || {
        let modules = PyModule::import(py, "sys")?.getattr("modules")?;
        PyResult::Ok(modules.cast_into::<PyDict>()?.unbind())
    })?;
    let modules = modules.bind(py);
    let datetime = match DATETIME.get(py) {
        Some(known) => known,
        None => {
            let Some(module) = modules.get_item("datetime")? else { return Ok(None) };
            DATETIME.get_or_try_init(py, || Datetime::new(&module))?
        }
    };
    let names = datetime.names.bind(py);
    let Some(class) = names.get_item(intern!(py, "datetime"))? else { return Ok(None) };
    if class.is(&datetime.class) && !is_travelling(modules)? {
        return Ok(None);
    }
    let utc = names.as_any().get_item("timezone")?.getattr("utc")?;
    let now = || class.call_method1("now", (utc,))?.call_method0("timestamp");
    let seconds: f64 = nested::run(py, now)?.extract()?;
    Ok(Some(seconds.floor() as i64))
}

impl Datetime {
    fn new(module: &Bound<'_, PyAny>) -> PyResult<Datetime> {
        let names = module.getattr("__dict__")?.cast_into::<PyDict>()?;
        let class = real(&names.as_any().get_item("datetime")?);
        Ok(Datetime { names: names.unbind(), class })
    }
}

/// The clock may have been replaced before we look for the first time: by a class that is derived from the real one.
fn real(class: &Bound<'_, PyAny>) -> Py<PyAny> {
    let classes = class.cast::<PyType>().map_or_else(|_| Vec::new(), |class| class.mro().iter().collect());
    let is_real = |class: &Bound<'_, PyAny>| {
        class.cast::<PyType>().is_ok_and(|class| class.name().is_ok_and(|name| name == "datetime"))
    };
    classes.into_iter().rev().find(is_real).unwrap_or_else(|| class.clone()).unbind()
}

fn is_travelling(modules: &Bound<'_, PyDict>) -> PyResult<bool> {
    match modules.get_item(intern!(modules.py(), "time_machine"))? {
        Some(machine) => {
            nested::run(modules.py(), || machine.getattr("escape_hatch")?.call_method0("is_travelling"))?.extract()
        }
        None => Ok(false),
    }
}
