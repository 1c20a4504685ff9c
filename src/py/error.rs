//! The core's errors on their way to being boto3's exceptions.
//!
//! No exception of boto3's is made here. Their constructors are Python code, and a daemon thread that runs Python
//! code when the interpreter ends is ended in the middle of it, which must not unwind through Rust. So what is raised
//! is a [`Failure`], made without running any; `turbosqs.errorfactory` turns it into the exception proper.

use pyo3::exceptions::{PyException, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::{nested, reply};
use crate::config::{self, ConfigError, masked};
use crate::model::Action;
use crate::protocol::error::{Error, Failure as LostAt, Lost, ServiceError, SourceError};
use crate::protocol::json::Json;

pyo3::create_exception!(
    turbosqs._core,
    Failure,
    PyException,
    "What an exception is to be made of: `(class_name, kwargs)`, or `(error_name, response, operation)` for a refusal."
);

/// What went wrong with an operation.
pub(super) fn failure(py: Python<'_>, error: Error, action: Action) -> PyErr {
    match error {
        Error::Service(error) => service(py, &error, action).unwrap_or_else(|error| error),
        Error::Lost(lost) => self::lost(py, &lost),
        Error::NoCredentials => with_texts::<&str>(py, "NoCredentialsError", &[]),
        Error::Credentials { provider, detail } => {
            with_texts(py, "CredentialRetrievalError", &[("provider", provider), ("error_msg", detail.as_str())])
        }
        Error::Source(error) => source(py, &error).unwrap_or_else(|error| error),
        Error::Runtime(detail) => PyRuntimeError::new_err(detail),
    }
}

/// The failure of a source of credentials.
fn source(py: Python<'_>, error: &SourceError) -> PyResult<PyErr> {
    Ok(match error {
        SourceError::Named { class, kwargs, .. } => {
            let kwargs: Vec<_> = kwargs.iter().map(|(name, value)| (*name, value.as_str())).collect();
            with_texts(py, class, &kwargs)
        }
        SourceError::Refused { operation, error } => {
            let description = PyDict::new(py);
            if let Some(query) = &error.query {
                description.set_item("Type", &query.fault)?;
            }
            // The order of the query protocol, and of JSON.
            let (code, message) = (("Code", Json::from(error.code.as_str())), ("Message", error.message.clone()));
            for (name, text) in if error.query.is_some() { [code, message] } else { [message, code] } {
                description.set_item(name, value(py, &text)?)?;
            }
            let response = PyDict::new(py);
            response.set_item("Error", description)?;
            response.set_item("ResponseMetadata", reply::metadata_of_error(py, error)?)?;
            Failure::new_err(("ClientError", response.unbind(), *operation))
        }
        SourceError::System { number, reason, path } => PyOSError::new_err((*number, reason.clone(), path.clone())),
        SourceError::NotJson(text) => match loaded(py, text) {
            Err(error) => error,
            Ok(_) => PyValueError::new_err("a source of credentials has said something else than an object of JSON"),
        },
        SourceError::Value(text) => PyValueError::new_err(text.clone()),
    })
}

fn service(py: Python<'_>, error: &ServiceError, action: Action) -> PyResult<PyErr> {
    let description = PyDict::new(py);
    if error.is_generic {
        // In botocore's order, which is another one here.
        description.set_item("Code", &error.code)?;
    }
    description.set_item("Message", value(py, &error.message)?)?;
    description.set_item("Code", &error.code)?;
    if let Some(query) = &error.query {
        description.set_item("QueryErrorCode", value(py, &query.name)?)?;
        description.set_item("Type", &query.fault)?;
    }
    let response = PyDict::new(py);
    response.set_item("Error", description)?;
    response.set_item("ResponseMetadata", reply::metadata_of_error(py, error)?)?;
    for (name, member) in &error.members {
        response.set_item(name, value(py, member)?)?;
    }
    let operation = action.operation().name;
    Ok(Failure::new_err((error.class_name().to_owned(), response.unbind(), operation)))
}

/// JSON of no known shape as Python has it.
fn value<'py>(py: Python<'py>, value: &Json) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Json::Text(text) => Ok(text.into_pyobject(py)?.into_any()),
        Json::Other(text) => loaded(py, text),
    }
}

fn loaded<'py>(py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyAny>> {
    nested::run(py, || py.import("json")?.call_method1("loads", (json,)))
}

fn lost(py: Python<'_>, lost: &Lost) -> PyErr {
    // boto3 quotes an endpoint with the password in it; a secret has no business in an exception.
    let shown = masked(&lost.url);
    let (url, error) = (("endpoint_url", shown.as_ref()), ("error", lost.detail.as_str()));
    // The order is that of botocore's keyword arguments, which the exceptions keep.
    let class = lost.failure.exception();
    match lost.failure {
        LostAt::Proxy => with_texts(py, class, &[("proxy_url", lost.url.as_str()), error]),
        LostAt::Closed => with_texts(py, class, &[error, url]),
        LostAt::Other => with_texts(py, class, &[error]),
        _ => with_texts(py, class, &[url, error]),
    }
}

/// What is wrong with settings that do not make a client.
pub(super) fn config(py: Python<'_>, error: &ConfigError) -> PyErr {
    if let ConfigError::Value(message) = error {
        return PyValueError::new_err(message.clone());
    }
    let built = || -> PyResult<PyErr> {
        let kwargs = PyDict::new(py);
        for (name, value) in error.kwargs() {
            match value {
                config::KwargValue::Text(text) => kwargs.set_item(name, text)?,
                config::KwargValue::Integer(number) => kwargs.set_item(name, number)?,
                config::KwargValue::List(items) => kwargs.set_item(name, items)?,
                config::KwargValue::Tuple(items) => kwargs.set_item(name, PyTuple::new(py, items)?)?,
            }
        }
        Ok(Failure::new_err((error.class(), kwargs.unbind())))
    };
    built().unwrap_or_else(|error| error)
}

/// The failure that becomes an exception of `turbosqs.exceptions` with these keyword arguments.
pub(super) fn with_texts<'py, Text>(py: Python<'py>, class: &'static str, arguments: &[(&str, Text)]) -> PyErr
where
    Text: IntoPyObject<'py> + Copy,
{
    let built = || -> PyResult<PyErr> {
        let kwargs = PyDict::new(py);
        for (name, value) in arguments {
            kwargs.set_item(name, *value)?;
        }
        Ok(Failure::new_err((class, kwargs.unbind())))
    };
    built().unwrap_or_else(|error| error)
}
