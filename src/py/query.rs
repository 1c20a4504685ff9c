//! An operation's arguments as a query string, for presigned URLs.

use percent_encoding::utf8_percent_encode;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use super::entries::Entries;
use super::nested;
use crate::transport::aws::RESERVED;

/// The members of a JSON object as botocore puts them into a URL: a list repeats its name, and what is nested
/// deeper goes in as Python prints it.
pub(super) fn of_json(py: Python<'_>, body: &[u8]) -> PyResult<String> {
    nested::run(py, || query(py, body))
}

fn query(py: Python<'_>, body: &[u8]) -> PyResult<String> {
    let parsed = py.import("json")?.call_method1("loads", (PyBytes::new(py, body),))?;
    let mut pairs = Vec::new();
    for entry in Entries::of(parsed.cast::<PyDict>()?) {
        let (name, value) = entry?;
        match value.cast::<PyList>() {
            Ok(list) => list.iter().try_for_each(|item| pair(&name, &item).map(|pair| pairs.push(pair)))?,
            Err(_) => pairs.push(pair(&name, &value)?),
        }
    }
    Ok(pairs.join("&"))
}

fn pair(name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let (name, value) = (name.str()?, value.str()?);
    let encoded = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
    Ok(format!("{}={}", encoded(name.to_str()?), encoded(value.to_str()?)))
}
