//! From Python's arguments to [`Arguments`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::entries::Entries;
use crate::config::{
    self, Arguments, Batching, ClientCert, Found, Options, ProxiesConfig, RetryOptions, Settings, SignatureVersion,
    Sources, System, Timeout, Verify, resolve, resolved,
};

/// Options of `Config` that change nothing for SQS: other services', and what the protocol of SQS has no place for.
const WITHOUT_EFFECT: &[&str] = &[
    "account_id_endpoint_mode",
    "auth_scheme_preference",
    "client_context_params",
    "disable_request_compression",
    "endpoint_discovery_enabled",
    "inject_host_prefix",
    "request_checksum_calculation",
    "request_min_compression_size_bytes",
    "response_checksum_validation",
    "s3",
    "s3_disable_express_session_auth",
    "sigv4a_signing_region_set",
];

/// What a client with these arguments is built from; or why there cannot be one, as botocore's exception. `is_resolved`:
/// neither environment nor files have anything to add.
/// `found` is what the session knows of its credentials.
pub(super) fn settings(dict: &Bound<'_, PyDict>, is_resolved: bool, found: Option<Arc<Found>>) -> PyResult<Settings> {
    let arguments = Arguments { found, ..arguments(dict)? };
    let settings = if is_resolved { resolved(&arguments) } else { resolve(&arguments, &System::default()) };
    settings.map_err(|error| super::error::config(dict.py(), &error))
}

/// The profile that is in use: the one given, else the environment's; None where nobody chose one.
#[pyfunction]
pub(super) fn chosen_profile(profile_name: Option<&str>) -> Option<String> {
    config::chosen_profile(profile_name, &System::default())
}

/// The names of all profiles in the shared files, those of the configuration file first.
#[pyfunction]
pub(super) fn profiles(py: Python<'_>) -> PyResult<Vec<String>> {
    let found = System::default().files().map(|files| files.profile_names.clone());
    found.map_err(|error| super::error::config(py, &error))
}

/// The region of a session's clients where neither the session nor the client names one.
#[pyfunction]
pub(super) fn default_region(py: Python<'_>, profile_name: Option<&str>) -> PyResult<Option<String>> {
    config::session_region(profile_name, &System::default()).map_err(|error| super::error::config(py, &error))
}

/// The arguments of `client()`, with `profile_name` beside them, and under `config` a dict of the options of `Config`
/// that were set.
fn arguments(dict: &Bound<'_, PyDict>) -> PyResult<Arguments> {
    let mut arguments = Arguments::default();
    for entry in Entries::of(dict) {
        let (key, value) = entry?;
        let name: String = key.extract()?;
        match name.as_str() {
            // The one argument for which None is not "not given".
            "use_ssl" => arguments.use_ssl = Some(value.is_truthy()?),
            _ if value.is_none() => {}
            "region_name" => arguments.region_name = text(&name, &value)?,
            "profile_name" => arguments.profile_name = text(&name, &value)?,
            "api_version" => arguments.api_version = text(&name, &value)?,
            "endpoint_url" => arguments.endpoint_url = text(&name, &value)?,
            "verify" => arguments.verify = Some(verify(&value)?),
            "aws_access_key_id" => arguments.aws_access_key_id = text(&name, &value)?,
            "aws_secret_access_key" => arguments.aws_secret_access_key = text(&name, &value)?,
            "aws_session_token" => arguments.aws_session_token = text(&name, &value)?,
            "aws_account_id" => arguments.aws_account_id = text(&name, &value)?,
            "batching" => arguments.batching = Some(batching(&value)?),
            "config" => arguments.config = options(mapping(&name, &value)?)?,
            _ => return Err(unexpected(&name)),
        }
    }
    Ok(arguments)
}

/// False, or the attributes of `turbosqs.Batching`, which has checked them, as a tuple.
fn batching(value: &Bound<'_, PyAny>) -> PyResult<Option<Batching>> {
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(flag.is_true().then(Batching::default));
    }
    let (linger, max_in_flight, max_waiting, max_waiting_bytes) = value.extract()?;
    let linger: f64 = linger;
    let linger = Duration::try_from_secs_f64(linger).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(Some(Batching { linger, max_in_flight, max_waiting, max_waiting_bytes }))
}

fn options(dict: &Bound<'_, PyDict>) -> PyResult<Options> {
    let mut options = Options::default();
    for entry in Entries::of(dict) {
        let (key, value) = entry?;
        let name: String = key.extract()?;
        match name.as_str() {
            "connect_timeout" => options.connect_timeout = Some(timeout("connect", &value)?),
            "read_timeout" => options.read_timeout = Some(timeout("read", &value)?),
            "parameter_validation" => options.parameter_validation = Some(value.is_truthy()?),
            name if WITHOUT_EFFECT.contains(&name) => {}
            _ if value.is_none() => {}
            "region_name" => options.region_name = text(&name, &value)?,
            "signature_version" => options.signature_version = Some(signature_version(&value)?),
            "user_agent" => options.user_agent = text(&name, &value)?,
            "user_agent_extra" => options.user_agent_extra = text(&name, &value)?,
            "user_agent_appid" => options.user_agent_appid = text(&name, &value)?,
            "max_pool_connections" => options.max_pool_connections = Some(integer(&name, &value)?),
            "proxies" => options.proxies = Some(proxies(&value)?),
            "proxies_config" => options.proxies_config = proxies_config(mapping(&name, &value)?)?,
            "retries" => options.retries = retries(mapping(&name, &value)?)?,
            "client_cert" => options.client_cert = Some(client_cert(&name, &value)?),
            "use_dualstack_endpoint" => options.use_dualstack_endpoint = Some(value.is_truthy()?),
            "use_fips_endpoint" => options.use_fips_endpoint = Some(value.is_truthy()?),
            "ignore_configured_endpoint_urls" => options.ignore_configured_endpoint_urls = Some(value.is_truthy()?),
            "defaults_mode" => options.defaults_mode = text(&name, &value)?,
            "tcp_keepalive" => options.tcp_keepalive = Some(value.is_truthy()?),
            _ => return Err(unexpected(&name)),
        }
    }
    Ok(options)
}

/// botocore's text for an option that it does not know.
fn unexpected(name: &str) -> PyErr {
    PyTypeError::new_err(format!("Got unexpected keyword argument '{name}'"))
}

fn wrong(name: &str, expected: &str, value: &Bound<'_, PyAny>) -> PyErr {
    match value.get_type().name() {
        Ok(found) => PyTypeError::new_err(format!("{name} must be {expected}, not {found}")),
        Err(error) => error,
    }
}

fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    match value.cast::<PyString>() {
        Ok(text) => text.extract().map(Some),
        Err(_) => Err(wrong(name, "a str", value)),
    }
}

fn integer(name: &str, value: &Bound<'_, PyAny>) -> PyResult<i64> {
    match value.cast::<PyInt>() {
        // Python's numbers have no limit: what is beyond ours is as good as the limit.
        Ok(number) => match number.extract::<i64>() {
            Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => {
                Ok(if number.lt(0)? { i64::MIN } else { i64::MAX })
            }
            extracted => extracted,
        },
        Err(_) => Err(wrong(name, "an int", value)),
    }
}

fn mapping<'a, 'py>(name: &str, value: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyDict>> {
    value.cast::<PyDict>().map_err(|_| wrong(name, "a dict", value))
}

/// A str or a `pathlib.Path`.
fn path(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    match value.extract::<PathBuf>().map(PathBuf::into_os_string) {
        Ok(path) => path.into_string().map_err(|_| PyValueError::new_err(format!("{name} is not valid UTF-8"))),
        Err(_) => Err(wrong(name, "a path", value)),
    }
}

fn verify(value: &Bound<'_, PyAny>) -> PyResult<Verify> {
    match value.cast::<PyBool>() {
        Ok(flag) => Ok(if flag.is_true() { Verify::Yes } else { Verify::No }),
        Err(_) => match path("verify", value) {
            Ok(bundle) => Ok(Verify::Bundle(bundle)),
            Err(_) => Err(wrong("verify", "a bool or the path of a bundle", value)),
        },
    }
}

/// `None` waits for ever. The complaints are urllib3's.
fn timeout(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Timeout> {
    if value.is_none() {
        return Ok(Timeout::Never);
    }
    if value.is_instance_of::<PyBool>() {
        return Err(PyValueError::new_err("Timeout cannot be a boolean value. It must be an int, float or None."));
    }
    if !value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyFloat>() {
        let value = value.str()?;
        return Err(PyValueError::new_err(format!(
            "Timeout value {name} was {value}, but it must be an int, float or None."
        )));
    }
    let seconds: f64 = value.extract()?;
    if seconds <= 0.0 {
        let value = value.str()?;
        return Err(PyValueError::new_err(format!(
            "Attempted to set {name} timeout to {value}, but the timeout cannot be set to a value less than or equal \
             to 0."
        )));
    }
    Ok(Timeout::Seconds(seconds))
}

/// botocore's `UNSIGNED`, or ours, is known by the name of its type, as botocore may not be there.
fn signature_version(value: &Bound<'_, PyAny>) -> PyResult<SignatureVersion> {
    if let Ok(name) = value.cast::<PyString>() {
        return Ok(SignatureVersion::Named(name.extract()?));
    }
    if value.get_type().name()? == "UNSIGNED" {
        return Ok(SignatureVersion::Unsigned);
    }
    Err(wrong("signature_version", "a str or UNSIGNED", value))
}

fn proxies(value: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    let mut by_scheme = Vec::new();
    for entry in Entries::of(mapping("proxies", value)?) {
        let (scheme, url) = entry?;
        if !url.is_none() {
            let scheme: String = scheme.extract()?;
            let url = text(&format!("proxies['{scheme}']"), &url)?.unwrap_or_default();
            by_scheme.push((scheme, url));
        }
    }
    Ok(by_scheme)
}

/// Keys that botocore does not know it passes over.
fn proxies_config(dict: &Bound<'_, PyDict>) -> PyResult<ProxiesConfig> {
    let given = |name: &str| dict.get_item(name).map(|value| value.filter(|value| !value.is_none()));
    let (bundle, cert) = ("proxy_ca_bundle", "proxy_client_cert");
    Ok(ProxiesConfig {
        ca_bundle: given(bundle)?.map(|value| path(bundle, &value)).transpose()?,
        client_cert: given(cert)?.map(|value| client_cert(cert, &value)).transpose()?,
        use_forwarding_for_https: given("proxy_use_forwarding_for_https")?
            .map(|value| value.is_truthy())
            .transpose()?,
    })
}

fn client_cert(name: &str, value: &Bound<'_, PyAny>) -> PyResult<ClientCert> {
    let pair = match (value.cast::<PyTuple>(), value.cast::<PyList>()) {
        (Ok(pair), _) => Some(pair.clone()),
        (_, Ok(pair)) => Some(pair.to_tuple()),
        _ => None,
    };
    match pair {
        Some(pair) if pair.len() == 2 => {
            Ok(ClientCert { cert: path(name, &pair.get_item(0)?)?, key: Some(path(name, &pair.get_item(1)?)?) })
        }
        None if value.extract::<PathBuf>().is_ok() => Ok(ClientCert { cert: path(name, value)?, key: None }),
        _ => Err(wrong(name, "a path or a pair of paths", value)),
    }
}

fn retries(dict: &Bound<'_, PyDict>) -> PyResult<RetryOptions> {
    let given = |name: &str| dict.get_item(name).map(|value| value.filter(|value| !value.is_none()));
    let count = |name: &str| given(name)?.map(|value| integer(&format!("retries['{name}']"), &value)).transpose();
    Ok(RetryOptions {
        max_attempts: count("max_attempts")?,
        total_max_attempts: count("total_max_attempts")?,
        mode: match given("mode")? {
            Some(mode) => text("retries['mode']", &mode)?,
            None => None,
        },
    })
}
