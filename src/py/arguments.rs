//! The arguments of an operation, from what Python passes to what the core takes.

use std::time::Duration;

use bytes::Bytes;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyString};

use super::marshal::{self, Unfit};
use super::{clock, error, query, session, validate};
use crate::client::{Call, Client};
use crate::model::{Action, Operation};
use crate::protocol::billing::Bill;
use crate::protocol::entry::Single;
use crate::protocol::message::{Presign, Request};

/// The operation of this name in the API.
pub(super) fn find(name: &str) -> PyResult<&'static Operation> {
    match Action::from_name(name) {
        Some(action) => Ok(action.operation()),
        None => {
            let message = format!("SQS has no operation '{name}'; operations have the API's names, as 'SendMessage'");
            Err(PyTypeError::new_err(message))
        }
    }
}

/// A call, ready to go: as an entry if it may share a request.
pub(super) fn call(client: &Client, operation: &'static Operation, params: &Bound<'_, PyDict>) -> PyResult<Call> {
    clock::look(params.py())?;
    if client.settings().batching.is_some()
        && let Some(call) = entry(client, operation, params)?
    {
        return Ok(call);
    }
    request(client, operation, params).map(Call::Request)
}

/// A call of an operation that has a batch form, as an entry.
pub(super) fn entry(
    client: &Client,
    operation: &'static Operation,
    params: &Bound<'_, PyDict>,
) -> PyResult<Option<Call>> {
    let Some(action) = Single::of(operation.action) else { return Ok(None) };
    session::ask_for_codes(params.py(), client.session())?;
    let entry = marshal::to_entry(params, operation.input, client.settings().parameter_validation)
        .map_err(|unfit| refusal(operation, params, unfit))?;
    Ok(entry.map(|(queue, entry)| Call::Entry(action, queue, entry)))
}

/// A URL to be signed.
pub(super) fn presign(
    client: &Client,
    operation: &'static Operation,
    params: &Bound<'_, PyDict>,
    expires_in: &Bound<'_, PyAny>,
    http_method: Option<String>,
) -> PyResult<Presign> {
    clock::look(params.py())?;
    let expires_in = seconds(expires_in)?;
    let body = body(client, operation, params)?;
    Ok(Presign {
        action: operation.action,
        query: query::of_json(params.py(), &body)?,
        method: http_method.unwrap_or_else(|| "POST".into()),
        expires_in,
    })
}

fn request(client: &Client, operation: &'static Operation, params: &Bound<'_, PyDict>) -> PyResult<Request> {
    let (body, payload) = written(client, operation, params)?;
    let url = queue_url(params);
    let url = url.as_ref().and_then(|url| url.to_str().ok()).unwrap_or_default();
    Ok(Request {
        action: operation.action,
        body: Bytes::from(body),
        long_poll: long_poll(operation.action, params),
        attempts: 0,
        not_after: None,
        trace: None,
        bill: Bill::of(operation.action, url.as_bytes(), payload),
    })
}

/// The body of a request.
pub(super) fn body(client: &Client, operation: &'static Operation, params: &Bound<'_, PyDict>) -> PyResult<Vec<u8>> {
    written(client, operation, params).map(|(body, _)| body)
}

/// The body of a request, and how many bytes of messages are in it.
fn written(client: &Client, operation: &'static Operation, params: &Bound<'_, PyDict>) -> PyResult<(Vec<u8>, usize)> {
    session::ask_for_codes(params.py(), client.session())?;
    let strict = client.settings().parameter_validation;
    marshal::to_json(params, operation.input, strict).map_err(|unfit| refusal(operation, params, unfit))
}

/// The URL of the queue that a call is about, if it is a text: for the bill.
fn queue_url<'py>(params: &Bound<'py, PyDict>) -> Option<Bound<'py, PyString>> {
    params.get_item(intern!(params.py(), "QueueUrl")).ok().flatten()?.cast_into().ok()
}

/// Why arguments cannot be sent.
fn refusal(operation: &'static Operation, params: &Bound<'_, PyDict>, unfit: Unfit) -> PyErr {
    let py = params.py();
    let unreadable = match unfit {
        Unfit::Python(error) => return error,
        Unfit::Invalid => vec![],
        Unfit::Unreadable(files) => files,
    };
    match validate::report(params, operation.input, &unreadable) {
        Err(error) => error,
        Ok(None) => PyRuntimeError::new_err(format!(
            "the arguments of {} changed while they were read: they were refused, and nothing is wrong with them now. Give each \
             thread its own, or if nothing has changed them, report this as a bug in turbosqs",
            operation.name
        )),
        Ok(Some(report)) => {
            let error = error::with_texts(py, "ParamValidationError", &[("report", &report)]);
            if let Some(first) = unreadable.first() {
                error.set_cause(py, Some(first.why.clone_ref(py)));
            }
            error
        }
    }
}

/// A validity in seconds. boto3 takes a text for it as well, and has a default for None.
fn seconds(value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    if value.is_none() {
        return Ok(Duration::from_secs(3600));
    }
    if !value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyString>() {
        let found = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!("ExpiresIn must be an int, not {found}")));
    }
    let text = value.call_method0("__repr__")?.extract::<String>()?;
    let number = value.py().get_type::<PyInt>().call1((value,)).and_then(|number| number.extract::<u64>());
    match number {
        Ok(number) => Ok(Duration::from_secs(number)),
        Err(_) => Err(PyValueError::new_err(format!("ExpiresIn must be a number of seconds, not {text}"))),
    }
}

/// How long the service may hold the request. Arguments out of range are the service's to refuse.
fn long_poll(action: Action, params: &Bound<'_, PyDict>) -> Duration {
    if action != Action::ReceiveMessage {
        return Duration::ZERO;
    }
    let seconds = params.get_item("WaitTimeSeconds").ok().flatten().and_then(|value| value.extract::<u32>().ok());
    Duration::from_secs(seconds.unwrap_or(0).into())
}
