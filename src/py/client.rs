//! `turbosqs._core.Client`: kwargs in, dict or exception out.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyString};

use super::marshal::{self, Unfit};
use super::session::{self, Session};
use super::{clock, config, error, query, reply, stats, validate, wait};
use crate::client::{Call, Client as Core};
use crate::config::{Credentials, StaticCredentials};
use crate::model::{Action, Operation};
use crate::protocol::entry::Single;
use crate::protocol::error::Error;
use crate::protocol::message::{Presign, Request};
use crate::runtime::responder::PendingResponse;

/// Access key, secret key, token, account, and where they come from.
type Keys = (String, String, Option<String>, Option<String>, &'static str);

#[pyclass(frozen, module = "turbosqs._core")]
pub(super) struct Client {
    core: Core,
}

#[pymethods]
impl Client {
    /// `resolved`: the arguments are all there is to know, nothing else is looked up, and `set_credentials` says whom
    /// to sign for.
    ///
    /// `session`: whose credentials it shares, unless the arguments have some.
    #[new]
    #[pyo3(signature = (arguments, resolved = false, session = None))]
    fn new(arguments: &Bound<'_, PyDict>, resolved: bool, session: Option<&Session>) -> PyResult<Self> {
        let own = Session::default();
        let session = session.unwrap_or(&own).core();
        let settings = config::settings(arguments, resolved, session.found())?;
        Ok(Client { core: Core::of(settings, session) })
    }

    /// What requests are signed with from now on; for clients that were made `resolved`.
    fn set_credentials(&self, access_key: String, secret_key: String, token: Option<String>) -> PyResult<()> {
        let Credentials::External(external) = &self.core.settings().credentials else {
            return Err(PyValueError::new_err("this client finds its credentials itself"));
        };
        external.set(StaticCredentials { access_key, secret_key, token, account_id: None, method: "explicit" });
        Ok(())
    }

    /// One operation, from its arguments to its reply; `trace`: the trace that it belongs to, as `X-Amzn-Trace-Id` has it.
    #[pyo3(signature = (operation, params, trace = None))]
    fn call<'py>(
        &self,
        py: Python<'py>,
        operation: &str,
        params: &Bound<'py, PyDict>,
        trace: Option<&str>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let operation = find(operation)?;
        let failed = |error| error::failure(py, error, operation.action);
        let call = self.prepare(py, operation, params)?.traced(trace);
        let (pending, responder) = PendingResponse::new();
        let underway = self.core.begin(call, responder).map_err(failed)?;
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
        let (pending, responder) = PendingResponse::new();
        let underway = self.core.presign(presign, responder).map_err(failed)?;
        wait::wait(py, &pending).inspect_err(|_| underway.abandon())?.map_err(failed)
    }

    /// What requests are signed with now: access key, secret key, token, account, and botocore's name of their source.
    /// None if they are not signed.
    fn credentials(&self, py: Python<'_>) -> PyResult<Option<Keys>> {
        // No operation is involved; the failures that there are do not name one.
        let failed = |error| error::failure(py, error, Action::ListQueues);
        let (pending, responder) = PendingResponse::new();
        let underway = self.core.credentials(responder).map_err(failed)?;
        let found = wait::wait(py, &pending).inspect_err(|_| underway.abandon())?.map_err(failed)?;
        Ok(found.map(|StaticCredentials { access_key, secret_key, token, account_id, method }| {
            (access_key, secret_key, token, account_id, method)
        }))
    }

    /// Send what lingers, and wait until it is answered.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        let (pending, responder) = PendingResponse::new();
        let failed = |error: Error| PyRuntimeError::new_err(error.to_string());
        self.core.flush(responder).map_err(failed)?;
        wait::wait(py, &pending)?.map_err(failed)
    }

    /// Let go of connections; the next call makes new ones.
    fn close(&self, py: Python<'_>) {
        wait::released(py, || self.core.close());
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

    /// Seconds to connect and to read; None waits for ever.
    #[getter]
    fn timeouts(&self) -> (Option<f64>, Option<f64>) {
        let settings = self.core.settings();
        let seconds = |timeout: Option<Duration>| timeout.map(|timeout| timeout.as_secs_f64());
        (seconds(settings.connect_timeout), seconds(settings.read_timeout))
    }

    /// Whether the endpoint is the FIPS one, and the dual-stack one.
    #[getter]
    fn variants(&self) -> (bool, bool) {
        (self.core.settings().use_fips, self.core.settings().use_dualstack)
    }

    /// What environment and profile say of settings that are checked for every client, by name.
    #[getter]
    fn general(&self) -> HashMap<&'static str, &str> {
        self.core.settings().general.iter().map(|(name, value)| (*name, value.as_str())).collect()
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
        clock::look(py)?;
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
        clock::look(py)?;
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
        session::ask_for_codes(py, self.core.session())?;
        let entry = marshal::to_entry(params, operation.input, self.core.settings().parameter_validation)
            .map_err(|unfit| refusal(py, operation, params, unfit))?;
        Ok(entry.map(|(queue, entry)| Call::Entry(action, queue, entry)))
    }

    fn request(&self, py: Python<'_>, operation: &'static Operation, params: &Bound<'_, PyDict>) -> PyResult<Request> {
        session::ask_for_codes(py, self.core.session())?;
        let strict = self.core.settings().parameter_validation;
        let body =
            marshal::to_json(params, operation.input, strict).map_err(|unfit| refusal(py, operation, params, unfit))?;
        Ok(Request {
            action: operation.action,
            body: Bytes::from(body),
            long_poll: long_poll(operation.action, params),
            attempts: 0,
            not_after: None,
            trace: None,
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
            Ok(None) => PyRuntimeError::new_err(format!(
                "the arguments of {} were refused without a reason, which is a bug in turbosqs",
                operation.name
            )),
            Ok(Some(report)) => error::with_texts(py, "ParamValidationError", &[("report", &report)]),
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
