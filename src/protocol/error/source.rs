//! How a source of credentials fails, where botocore has an exception of its own for it.

use std::fmt;

use super::{Error, ServiceError};

/// How a source of credentials fails.
#[derive(Clone)]
pub(crate) enum SourceError {
    /// An exception of botocore's, with its keyword arguments and its text.
    Named { class: &'static str, kwargs: Vec<(&'static str, String)>, text: String },
    /// Another service than SQS has refused an operation: a `ClientError`.
    Refused { operation: &'static str, error: ServiceError },
    /// The operating system has refused a file or a program: an `OSError`.
    System { number: i32, reason: String, path: String },
    /// What should be JSON is not: the exception of Python's `json`.
    NotJson(String),
    /// A `ValueError`.
    Value(String),
}

impl SourceError {
    /// A file that cannot be read, or a program that cannot be run.
    pub(crate) fn of_system(error: &std::io::Error, path: &str) -> Error {
        let reason = error.to_string();
        // Python has the number apart.
        let reason = reason.split(" (os error").next().unwrap_or_default().to_owned();
        match error.raw_os_error() {
            Some(number) => Error::from(SourceError::System { number, reason, path: path.to_owned() }),
            None => Error::from(SourceError::Value(format!("{path}: {reason}"))),
        }
    }
}

impl SourceError {
    /// See [`Error::cause`].
    pub(super) fn cause(&self) -> String {
        match self {
            SourceError::Refused { operation, error } => {
                format!("{operation}: {} (status {})", error.code, error.reply.status)
            }
            SourceError::System { reason, path, .. } => format!("{}: {reason}: '{path}'", self.kind()),
            other => other.kind().to_owned(),
        }
    }

    /// See [`Error::kind`].
    pub(super) fn kind(&self) -> &str {
        match self {
            SourceError::Named { class, .. } => class,
            SourceError::Refused { error, .. } => &error.code,
            SourceError::System { .. } => "OSError",
            SourceError::NotJson(_) => "JSONDecodeError",
            SourceError::Value(_) => "ValueError",
        }
    }
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Error {
        Error::Source(Box::new(error))
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceError::Named { text, .. } | SourceError::Value(text) => f.write_str(text),
            SourceError::Refused { operation, error } => write!(
                f,
                "An error occurred ({}) when calling the {operation} operation: {}",
                error.code, error.message
            ),
            SourceError::System { number, reason, path } => write!(f, "[Errno {number}] {reason}: '{path}'"),
            SourceError::NotJson(_) => f.write_str("what a source of credentials has said is not JSON"),
        }
    }
}

impl fmt::Debug for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text of a source may hold keys, and so may an answer.
        fmt::Display::fmt(self, f)
    }
}
