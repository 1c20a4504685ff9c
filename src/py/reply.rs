//! A reply as boto3's dict: the operation's members, then `ResponseMetadata`.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::unmarshal;
use crate::error::ServiceError;
use crate::model::Operation;
use crate::transport::Reply;

pub fn dict<'py>(py: Python<'py>, operation: &Operation, reply: &Reply) -> PyResult<Bound<'py, PyDict>> {
    let dict = match operation.output {
        Some(output) => unmarshal::from_json(py, &reply.body, output)?,
        None => PyDict::new(py),
    };
    let exhausted = reply.attempts >= reply.max_attempts;
    dict.set_item(intern!(py, "ResponseMetadata"), metadata(py, reply, true, exhausted, false)?)?;
    Ok(dict)
}

/// The metadata of a refusal: it has a request id only if SQS itself has spoken.
pub fn metadata_of_error<'py>(py: Python<'py>, error: &ServiceError) -> PyResult<Bound<'py, PyDict>> {
    let reply = &error.reply;
    let exhausted = reply.attempts >= reply.max_attempts;
    let out_of_quota = !exhausted && error.retry().is_some();
    metadata(py, reply, !error.is_generic, exhausted, out_of_quota)
}

fn metadata<'py>(
    py: Python<'py>,
    reply: &Reply,
    with_request_id: bool,
    exhausted: bool,
    out_of_quota: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let metadata = PyDict::new(py);
    if let Some(id) = reply.header("x-amzn-requestid").filter(|_| with_request_id) {
        metadata.set_item(intern!(py, "RequestId"), &*id)?;
    }
    metadata.set_item(intern!(py, "HTTPStatusCode"), reply.status)?;
    metadata.set_item(intern!(py, "HTTPHeaders"), headers(py, reply)?)?;
    if exhausted {
        metadata.set_item(intern!(py, "MaxAttemptsReached"), true)?;
    }
    if out_of_quota {
        metadata.set_item(intern!(py, "RetryQuotaReached"), true)?;
    }
    metadata.set_item(intern!(py, "RetryAttempts"), reply.attempts.saturating_sub(1))?;
    Ok(metadata)
}

/// One entry a name; values of a repeated name are joined, as HTTP allows and boto3 does.
fn headers<'py>(py: Python<'py>, reply: &Reply) -> PyResult<Bound<'py, PyDict>> {
    let headers = PyDict::new(py);
    for (name, value) in reply.headers.iter() {
        let name = PyString::intern(py, name);
        match headers.get_item(&name)? {
            None => headers.set_item(name, &**value)?,
            Some(first) => headers.set_item(name, format!("{}, {value}", first.cast::<PyString>()?.to_str()?))?,
        }
    }
    Ok(headers)
}
