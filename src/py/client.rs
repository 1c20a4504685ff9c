//! `turbosqs._core.Client`: kwargs in, dict or exception out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::session::Session;
use super::{arguments, config, error, journal, nested, reply, stats, wait};
use crate::client::{BegunCall, Client as Core};
use crate::config::{Credentials, StaticCredentials};
use crate::model::Action;
use crate::poll::keeper::KeeperCores;
use crate::protocol::error::Error;
use crate::runtime::responder::PendingResponse;

/// Access key, secret key, token, account, and where they come from.
type Keys = (String, String, Option<String>, Option<String>, &'static str);

/// `Client`: one client of the core.
#[pyclass(frozen, weakref, module = "turbosqs._core")]
pub(super) struct Client {
    core: Arc<Core>,
    /// What its keepers stand on.
    keepers: Arc<KeeperCores>,
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
        let settings =
            nested::run(arguments.py(), || config::settings(arguments, resolved, session.found_for_another()))?;
        Ok(Client { core: Arc::new(Core::of(settings, session)), keepers: Arc::default() })
    }

    /// The same client for another owner: connections, batches and counts are shared. How much of it may be unanswered in an
    /// event loop is counted for each owner.
    fn share(&self) -> Self {
        Client { core: Arc::clone(&self.core), keepers: Arc::clone(&self.keepers) }
    }

    /// What requests are signed with from now on; for clients that were made `resolved`.
    fn set_credentials(&self, access_key: String, secret_key: String, token: Option<String>) -> PyResult<()> {
        let Credentials::External(external) = &self.core.settings().credentials else {
            return Err(PyValueError::new_err("this client finds its credentials itself"));
        };
        external.set(StaticCredentials { access_key, secret_key, token, account_id: None, method: "explicit" });
        Ok(())
    }

    /// One operation, from its arguments to its reply. By `tag` the journal knows an entry again; `trace`: the trace that it
    /// belongs to, as `X-Amzn-Trace-Id` has it.
    #[pyo3(signature = (operation, params, tag = 0, trace = None))]
    pub(super) fn call<'py>(
        &self,
        py: Python<'py>,
        operation: &str,
        params: &Bound<'py, PyDict>,
        tag: u64,
        trace: Option<&str>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let operation = arguments::find(operation)?;
        let failed = |error| error::failure(py, error, operation.action);
        let call = arguments::call(&self.core, operation, params)?.tagged(tag).traced(trace);
        let (pending, responder) = PendingResponse::new();
        let begun = self.core.begin_waiting(call, responder).map_err(failed)?;
        let answer = match begun {
            BegunCall::Elsewhere(underway) => wait::wait(py, &pending).inspect_err(|_| underway.abandon())?,
            BegunCall::Here(own) => wait::drive(py, own, &pending)?,
        };
        reply::dict(py, operation, &answer.map_err(failed)?)
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
        let operation = arguments::find(operation)?;
        let presign = arguments::presign(&self.core, operation, params, expires_in, http_method)?;
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

    /// Whether there is a source of credentials that botocore would ask when it makes a client.
    #[getter]
    fn has_source(&self) -> bool {
        self.core.session().found().is_some_and(|found| found.credentials.are_asked_first())
    }

    /// Ask that source: what has failed then fails now.
    fn ask_source(&self, py: Python<'_>) -> PyResult<()> {
        let failed = |error| error::failure(py, error, Action::ListQueues);
        let (pending, responder) = PendingResponse::new();
        match self.core.ask_source(responder).map_err(failed)? {
            Some(underway) => wait::wait(py, &pending).inspect_err(|_| underway.abandon())?.map_err(failed),
            None => Ok(()),
        }
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

    /// Whether a journal is kept of batches that return.
    fn keep_journal(&self, is_kept: bool) {
        self.core.stats().journal.keep(is_kept);
    }

    /// What came to the journal since it was read last: batches, and how many attempts were repeated.
    fn read_journal<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyList>, u64)> {
        journal::read(py, &self.core.stats().journal)
    }

    /// How many batches are in flight.
    #[getter]
    fn in_flight(&self, py: Python<'_>) -> usize {
        wait::released(py, || self.core.in_flight())
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

    /// The retry mode in force.
    #[getter]
    fn retry_mode(&self) -> &str {
        self.core.settings().retries.mode.name()
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

    /// What `set_credentials` was given last.
    pub(super) fn handed(&self) -> Option<Arc<StaticCredentials>> {
        match &self.core.settings().credentials {
            Credentials::External(external) => external.get(),
            _ => None,
        }
    }

    pub(super) fn keepers(&self) -> &KeeperCores {
        &self.keepers
    }
}
