//! `turbosqs._core.Client`: kwargs in, dict or exception out.

use std::time::Duration;

use bytes::Bytes;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyString};

use super::marshal::Unfit;
use super::{config, error, marshal, query, reply, stats, validate, wait};
use crate::batcher::Single;
use crate::caller::Pending;
use crate::client::{Call, Client as Core};
use crate::config::{Credentials, StaticCredentials};
use crate::error::Error;
use crate::model::{Action, Operation};
use crate::transport::{Presign, Request};

#[pyclass(frozen, module = "turbosqs._core")]
pub struct Client {
    core: Core,
}

#[pymethods]
impl Client {
    /// `resolved`: the arguments are all there is to know, nothing else is looked up, and `set_credentials` says whom
    /// to sign for.
    #[new]
    #[pyo3(signature = (arguments, resolved = false))]
    fn new(arguments: &Bound<'_, PyDict>, resolved: bool) -> PyResult<Self> {
        Ok(Client { core: Core::new(config::settings(arguments, resolved)?) })
    }

    /// What requests are signed with from now on; for clients that were made `resolved`.
    fn set_credentials(&self, access_key: String, secret_key: String, token: Option<String>) -> PyResult<()> {
        let Credentials::Handed(handed) = &self.core.settings().credentials else {
            return Err(PyValueError::new_err("this client finds its credentials itself"));
        };
        handed.set(StaticCredentials { access_key, secret_key, token, account_id: None, method: "explicit" });
        Ok(())
    }

    /// One operation, from its arguments to its reply.
    fn call<'py>(&self, py: Python<'py>, operation: &str, params: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
        let operation = find(operation)?;
        let failed = |error| error::failure(py, error, operation.action);
        let call = self.prepare(py, operation, params)?;
        let (pending, caller) = Pending::new();
        let underway = self.core.begin(call, caller).map_err(failed)?;
        let answer = wait::wait(py, &pending).inspect_err(|_| underway.abandon())?.map_err(failed)?;
        reply::dict(py, operation, &answer)
    }

    /// A URL that carries an operation and its signature; `expires_in` in seconds, as a number or a text of digits.
    fn presign(
        &self,
        py: Python<'_>,
        operation: &str,
        params: &Bound<'_, PyDict>,
        expires_in: &Bound<'_, PyAny>,
        http_method: Option<String>,
    ) -> PyResult<String> {
        let operation = find(operation)?;
        let presign = self.to_presign(py, operation, params, expires_in, http_method)?;
        let failed = |error| error::failure(py, error, operation.action);
        let (pending, caller) = Pending::new();
        let underway = self.core.presign(presign, caller).map_err(failed)?;
        wait::wait(py, &pending).inspect_err(|_| underway.abandon())?.map_err(failed)
    }

    /// Send what waits for company, and wait until it is answered.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        let (pending, caller) = Pending::new();
        let failed = |error: Error| PyRuntimeError::new_err(error.to_string());
        self.core.flush(caller).map_err(failed)?;
        wait::wait(py, &pending)?.map_err(failed)
    }

    /// Let go of connections and cached credentials; the next call makes new ones.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.core.close());
    }

    /// What the client has done so far: see `SQS.stats`.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        stats::dict(py, &self.core.stats().snapshot())
    }

    /// Whether calls may share requests.
    #[getter]
    fn is_batching(&self) -> bool {
        self.core.settings().batching.is_some()
    }

    #[getter]
    fn region_name(&self) -> &str {
        &self.core.settings().region
    }

    #[getter]
    fn endpoint_url(&self) -> &str {
        &self.core.settings().endpoint
    }

    #[getter]
    fn partition(&self) -> &str {
        self.core.settings().partition
    }
}

impl Client {
    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    /// Whether calls of an action may share requests.
    pub(super) fn batches(&self, action: Action) -> bool {
        self.core.settings().batching.is_some() && Single::of(action).is_some()
    }

    /// A URL to be signed.
    pub(super) fn to_presign(
        &self,
        py: Python<'_>,
        operation: &'static Operation,
        params: &Bound<'_, PyDict>,
        expires_in: &Bound<'_, PyAny>,
        http_method: Option<String>,
    ) -> PyResult<Presign> {
        let expires_in = seconds(expires_in)?;
        let request = self.request(py, operation, params)?;
        Ok(Presign {
            action: operation.action,
            query: query::of_json(py, &request.body)?,
            method: http_method.unwrap_or_else(|| "POST".into()),
            expires_in,
        })
    }

    /// An operation, ready to go: as an entry if it may share a request.
    pub(super) fn prepare(
        &self,
        py: Python<'_>,
        operation: &'static Operation,
        params: &Bound<'_, PyDict>,
    ) -> PyResult<Call> {
        if self.core.settings().batching.is_some()
            && let Some(call) = self.entry(py, operation, params)?
        {
            return Ok(call);
        }
        self.request(py, operation, params).map(Call::Request)
    }

    /// An operation that has a batch form, as an entry.
    pub(super) fn entry(
        &self,
        py: Python<'_>,
        operation: &'static Operation,
        params: &Bound<'_, PyDict>,
    ) -> PyResult<Option<Call>> {
        let Some(action) = Single::of(operation.action) else { return Ok(None) };
        let entry = marshal::to_entry(params, operation.input, self.core.settings().parameter_validation)
            .map_err(|unfit| refusal(py, operation, params, unfit))?;
        Ok(entry.map(|(queue, entry)| Call::Entry(action, queue, entry)))
    }

    fn request(&self, py: Python<'_>, operation: &'static Operation, params: &Bound<'_, PyDict>) -> PyResult<Request> {
        let strict = self.core.settings().parameter_validation;
        let body =
            marshal::to_json(params, operation.input, strict).map_err(|unfit| refusal(py, operation, params, unfit))?;
        Ok(Request {
            action: operation.action,
            body: Bytes::from(body),
            long_poll: long_poll(operation.action, params),
            attempts: 0,
        })
    }
}

/// Why arguments cannot be sent.
pub(super) fn refusal(
    py: Python<'_>,
    operation: &'static Operation,
    params: &Bound<'_, PyDict>,
    unfit: Unfit,
) -> PyErr {
    match unfit {
        Unfit::Python(error) => error,
        Unfit::Invalid => match validate::report(params, operation.input) {
            Err(error) => error,
            Ok(report) if report.is_empty() => PyRuntimeError::new_err(format!(
                "the arguments of {} were refused without a reason, which is a bug in turbosqs",
                operation.name
            )),
            Ok(report) => error::with_texts(py, "ParamValidationError", &[("report", &report)]),
        },
    }
}

pub(super) fn find(name: &str) -> PyResult<&'static Operation> {
    match Action::from_name(name) {
        Some(action) => Ok(action.operation()),
        None => {
            let message = format!("SQS has no operation '{name}'; operations have the API's names, as 'SendMessage'");
            Err(PyTypeError::new_err(message))
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
