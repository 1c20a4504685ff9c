//! A reply as boto3's dict: the operation's members, then `ResponseMetadata`.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::unmarshal;
use crate::model::Operation;
use crate::protocol::error::ServiceError;
use crate::protocol::message::Reply;

pub(super) fn dict<'py>(py: Python<'py>, operation: &Operation, reply: &Reply) -> PyResult<Bound<'py, PyDict>> {
    let metadata = metadata_of_reply(py, reply, headers(py, reply)?)?;
    with_metadata(py, operation, reply, metadata)
}

fn with_metadata<'py>(
    py: Python<'py>,
    operation: &Operation,
    reply: &Reply,
    metadata: Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = match operation.output {
        Some(output) => unmarshal::from_json(py, &reply.body, output)?,
        None => PyDict::new(py),
    };
    dict.set_item(intern!(py, "ResponseMetadata"), metadata)?;
    Ok(dict)
}

fn metadata_of_reply<'py>(py: Python<'py>, reply: &Reply, headers: Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
    metadata(py, reply, headers, true, reply.is_last(false), false)
}

/// Several replies after one another. Those that shared a request have equal metadata, which is made once and copied: each
/// is its caller's own, to change as it likes.
#[derive(Default)]
pub(super) struct Replies<'py>(Option<SharedMetadata<'py>>);

/// The metadata of the last reply, for the next ones of the same request.
struct SharedMetadata<'py> {
    reply: Reply,
    metadata: Bound<'py, PyDict>,
    headers: Bound<'py, PyDict>,
}

impl<'py> Replies<'py> {
    pub(super) fn dict(
        &mut self,
        py: Python<'py>,
        operation: &Operation,
        reply: &Reply,
    ) -> PyResult<Bound<'py, PyDict>> {
        let metadata = self.metadata(py, reply)?;
        with_metadata(py, operation, reply, metadata)
    }

    fn metadata(&mut self, py: Python<'py>, reply: &Reply) -> PyResult<Bound<'py, PyDict>> {
        let name = intern!(py, "HTTPHeaders");
        if let Some(shared) = self.0.as_ref().filter(|shared| shared.is_of(reply)) {
            let metadata = shared.metadata.copy()?;
            metadata.set_item(name, shared.headers.copy()?)?;
            return Ok(metadata);
        }
        let headers = headers(py, reply)?;
        let metadata = metadata_of_reply(py, reply, headers.clone())?;
        self.0 = Some(SharedMetadata { reply: reply.clone(), metadata: metadata.copy()?, headers: headers.copy()? });
        Ok(metadata)
    }
}

impl SharedMetadata<'_> {
    fn is_of(&self, reply: &Reply) -> bool {
        self.reply.headers.is_of_same_reply(&reply.headers)
            && (self.reply.status, self.reply.attempts) == (reply.status, reply.attempts)
    }
}

/// The metadata of a refusal: it has a request id only if SQS itself has spoken.
pub(super) fn metadata_of_error<'py>(py: Python<'py>, error: &ServiceError) -> PyResult<Bound<'py, PyDict>> {
    let reply = &error.reply;
    let is_worth_another = error.retry().is_some();
    let exhausted = reply.is_last(is_worth_another);
    let out_of_quota = !exhausted && is_worth_another;
    metadata(py, reply, headers(py, reply)?, !error.is_generic, exhausted, out_of_quota)
}

fn metadata<'py>(
    py: Python<'py>,
    reply: &Reply,
    headers: Bound<'py, PyDict>,
    with_request_id: bool,
    exhausted: bool,
    out_of_quota: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let metadata = PyDict::new(py);
    if let Some(id) = reply.header("x-amzn-requestid").filter(|_| with_request_id) {
        metadata.set_item(intern!(py, "RequestId"), &*id)?;
    }
    metadata.set_item(intern!(py, "HTTPStatusCode"), reply.status)?;
    metadata.set_item(intern!(py, "HTTPHeaders"), headers)?;
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
        headers.set_item(header_name(py, name), value)?;
    }
    if headers.len() < reply.headers.iter().len() {
        for (name, _) in reply.headers.iter() {
            headers.set_item(name, reply.header(name))?;
        }
    }
    Ok(headers)
}

/// A header's name; those that SQS's replies have are made once.
fn header_name<'py>(py: Python<'py>, name: &str) -> Bound<'py, PyString> {
    match name {
        "connection" => intern!(py, "connection").clone(),
        "content-length" => intern!(py, "content-length").clone(),
        "content-type" => intern!(py, "content-type").clone(),
        "date" => intern!(py, "date").clone(),
        "x-amzn-requestid" => intern!(py, "x-amzn-requestid").clone(),
        _ => PyString::intern(py, name),
    }
}
