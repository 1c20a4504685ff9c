//! The embedded SQS for Python: `turbosqs.local.Server` is documented there.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::local::console;
use crate::local::{
    ClockMode, Fault, FaultKind, LogFormat, MAX_DELAY, MAX_ENTRIES, PemFile, Server, ServerIdentity, ServerLimits,
    ServerOptions, SqsError,
};
use crate::model::Action;
use crate::runtime::ProcessBound;

/// A running server; `None` inside once it is stopped.
#[derive(Debug)]
#[pyclass(module = "turbosqs._core", frozen)]
pub(super) struct LocalServer {
    /// In a forked child its locks may be held by threads that are not there.
    server: ProcessBound<Arc<Mutex<Option<Server>>>>,
    endpoint_url: String,
    port: u16,
}

impl LocalServer {
    /// Runs `act` on the server, without the interpreter: it may wait for the server's lock.
    fn with<T: Send>(&self, py: Python<'_>, act: impl FnOnce(&Server) -> T + Send) -> PyResult<T> {
        let foreign = "the server belongs to the parent of this forked process";
        let server = self.server.get().ok_or_else(|| PyRuntimeError::new_err(foreign))?;
        py.detach(|| {
            let server = server.lock().map_err(|_| PyRuntimeError::new_err("the server failed in another thread"))?;
            server.as_ref().map(act).ok_or_else(|| PyRuntimeError::new_err("the server is stopped"))
        })
    }
}

/// A file of the console, by its place below the page's address: its media type, and its bytes. With it comes what a browser
/// is to let the page do (`Content-Security-Policy`).
#[pyfunction]
pub(super) fn console_file<'py>(
    py: Python<'py>,
    place: &str,
) -> Option<(&'static str, Bound<'py, PyBytes>, &'static str)> {
    console::file(place).map(|file| (file.kind, PyBytes::new(py, file.body), console::POLICY))
}

fn duration(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err(format!("seconds must be a number from 0 up, not {seconds}")))
}

/// What a file is called, and what it holds.
type NamedBytes = (String, Vec<u8>);

fn service_error(error: SqsError) -> PyErr {
    PyValueError::new_err(format!("{}: {}", error.code, error.message))
}

#[pymethods]
impl LocalServer {
    #[new]
    #[pyo3(signature = (*, host, port, clock, sixty_second_rules, account, region, log, allow_hosts, cors, tls))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of a Python class")]
    fn start(
        py: Python<'_>,
        host: &str,
        port: i64,
        clock: &str,
        sixty_second_rules: bool,
        account: String,
        region: String,
        log: Option<&str>,
        allow_hosts: Vec<String>,
        cors: Vec<String>,
        tls: Option<(NamedBytes, NamedBytes)>,
    ) -> PyResult<LocalServer> {
        let host = match host {
            "localhost" => IpAddr::from([127, 0, 0, 1]),
            host => host.parse().map_err(|_| {
                PyValueError::new_err(format!("host must be an IP address or 'localhost', not {host:?}"))
            })?,
        };
        let port = u16::try_from(port)
            .map_err(|_| PyValueError::new_err(format!("port must be from 0 to 65535, not {port}")))?;
        let clock = match clock {
            "real" => ClockMode::Real,
            "manual" => ClockMode::Manual,
            clock => return Err(PyValueError::new_err(format!("clock must be 'real' or 'manual', not {clock:?}"))),
        };
        let log = match log {
            None => None,
            Some("text") => Some(LogFormat::Text),
            Some("json") => Some(LogFormat::Json),
            Some(log) => return Err(PyValueError::new_err(format!("log must be 'text' or 'json', not {log:?}"))),
        };
        let pem = |(name, bytes)| PemFile { name, bytes };
        let tls = tls.map(|(certificate, key)| ServerIdentity { certificate: pem(certificate), key: pem(key) });
        let limits = ServerLimits::default();
        let options = ServerOptions {
            host,
            port,
            clock,
            sixty_second_rules,
            account,
            region,
            log,
            allow_hosts,
            cors,
            tls,
            limits,
        };
        let server = py.detach(|| Server::start(options)).map_err(|error| match error.kind() {
            // What the operating system refuses has its number and stays an OSError.
            ErrorKind::InvalidInput if error.raw_os_error().is_none() => PyValueError::new_err(error.to_string()),
            _ => PyErr::from(error),
        })?;
        Ok(LocalServer {
            endpoint_url: server.endpoint_url(),
            port: server.address().port(),
            server: ProcessBound::of(Arc::new(Mutex::new(Some(server)))),
        })
    }

    #[getter]
    fn endpoint_url(&self) -> &str {
        &self.endpoint_url
    }

    #[getter]
    fn port(&self) -> u16 {
        self.port
    }

    fn advance(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        let by = duration(seconds)?;
        self.with(py, |server| server.advance(by))
    }

    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, Server::reset)
    }

    fn create_queue(
        &self,
        py: Python<'_>,
        name: &str,
        attributes: Vec<(String, String)>,
        tags: Vec<(String, String)>,
    ) -> PyResult<String> {
        let attributes: Vec<(&str, &str)> = attributes.iter().map(|(name, value)| (&**name, &**value)).collect();
        let tags: Vec<(&str, &str)> = tags.iter().map(|(key, value)| (&**key, &**value)).collect();
        self.with(py, |server| server.create_queue(name, &attributes, &tags))?.map_err(service_error)
    }

    #[pyo3(signature = (kind, *, actions, rate, times, seconds, status, performed, entries, sender_fault))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of a Python method")]
    fn add_fault(
        &self,
        py: Python<'_>,
        kind: &str,
        actions: Vec<String>,
        rate: f64,
        times: Option<i64>,
        seconds: f64,
        status: i64,
        performed: bool,
        entries: Option<Vec<i64>>,
        sender_fault: bool,
    ) -> PyResult<()> {
        let kind = match kind {
            "delay" => {
                FaultKind::Delay(duration(seconds).ok().filter(|delay| *delay <= MAX_DELAY).ok_or_else(|| {
                    let most = MAX_DELAY.as_secs();
                    PyValueError::new_err(format!("seconds must be a number from 0 to {most}, not {seconds}"))
                })?)
            }
            "throttle" => FaultKind::Throttle,
            "access_denied" => FaultKind::AccessDenied,
            "server_error" => match u16::try_from(status) {
                Ok(status @ 500..600) => FaultKind::ServerError(status),
                _ => return Err(PyValueError::new_err(format!("status must be from 500 to 599, not {status}"))),
            },
            "reset" => FaultKind::Reset { performed },
            "half_reply" => FaultKind::HalfReply,
            "partial_failure" => {
                let position = |entry: i64| {
                    usize::try_from(entry).ok().filter(|position| *position < MAX_ENTRIES).ok_or_else(|| {
                        PyValueError::new_err(format!("entries must be from 0 to {}, not {entry}", MAX_ENTRIES - 1))
                    })
                };
                let entries = entries.map(|entries| entries.into_iter().map(position).collect()).transpose()?;
                FaultKind::PartialFailure { entries, sender_fault }
            }
            kind => {
                return Err(PyValueError::new_err(format!(
                    "kind must be 'delay', 'throttle', 'access_denied', 'server_error', 'reset', 'half_reply' or 'partial_failure', \
                     not {kind:?}"
                )));
            }
        };
        if !(0.0..=1.0).contains(&rate) {
            return Err(PyValueError::new_err(format!("rate must be a number from 0 to 1, not {rate}")));
        }
        let times = times
            .map(|times| {
                u64::try_from(times)
                    .map_err(|_| PyValueError::new_err(format!("times must be 0 or more, or None, not {times}")))
            })
            .transpose()?;
        let known = |name: &String| {
            Action::from_name(name).ok_or_else(|| PyValueError::new_err(format!("SQS has no action {name:?}")))
        };
        let actions = actions.iter().map(known).collect::<PyResult<_>>()?;
        self.with(py, |server| server.add_fault(Fault { kind, actions, rate, times }))
    }

    fn clear_faults(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |server| server.set_faults(Vec::new()))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.with(py, Server::stats)?;
        let requests = PyDict::new(py);
        for (action, count) in stats.requests {
            requests.set_item(action, count)?;
        }
        let all = PyDict::new(py);
        all.set_item("requests", requests)?;
        all.set_item("connections", stats.connections)?;
        all.set_item("handshakes", stats.handshakes)?;
        all.set_item("resumed", stats.resumed)?;
        Ok(all)
    }

    /// Stops the server; a second time, or in a forked child, it does nothing.
    fn stop(&self, py: Python<'_>) {
        let Some(server) = self.server.get() else { return };
        py.detach(|| {
            if let Ok(mut server) = server.lock() {
                drop(server.take());
            }
        });
    }
}
