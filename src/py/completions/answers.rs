//! The answers to an event loop's calls, on their way to it.

use std::sync::Arc;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;

use crate::model::{Action, Operation};
use crate::protocol::error::Error;
use crate::protocol::message::Reply;
use crate::py::error;
use crate::py::reply::Replies;
use crate::runtime::completions::CompletionQueue as Core;
use crate::runtime::responder::Sink;

/// A call's number and its answer.
pub(super) struct Completion {
    pub number: u64,
    pub answer: Payload,
}

/// What a call has come to, before it is a Python object.
pub(super) enum Payload {
    Reply(&'static Operation, Reply),
    Text(String),
    Done,
    Failed(Action, Error),
}

impl Payload {
    /// As Python's: a reply, or an exception as a value.
    pub(super) fn into_python<'py>(self, py: Python<'py>, replies: &mut Replies<'py>) -> PyResult<Bound<'py, PyAny>> {
        let made = match self {
            Payload::Reply(operation, reply) => replies.dict(py, operation, &reply).map(Bound::into_any),
            Payload::Text(text) => text.into_bound_py_any(py),
            Payload::Done => Ok(py.None().into_bound(py)),
            Payload::Failed(action, error) => Err(error::failure(py, error, action)),
        };
        Ok(made.unwrap_or_else(|error| error.into_value(py).into_bound(py).into_any()))
    }
}

/// The sink of one call: a number of a loop.
pub(super) struct Address {
    pub completions: Arc<Core<Completion>>,
    pub number: u64,
    pub operation: &'static Operation,
}

impl Address {
    fn send<T>(&self, answer: Result<T, Error>, wrap: impl FnOnce(T) -> Payload) {
        let answer = match answer {
            Ok(answer) => wrap(answer),
            Err(error) => Payload::Failed(self.operation.action, error),
        };
        self.completions.push(Completion { number: self.number, answer });
    }
}

impl Sink<Reply> for Address {
    fn deliver(self: Box<Self>, answer: Result<Reply, Error>) {
        self.send(answer, |reply| Payload::Reply(self.operation, reply));
    }
}

impl Sink<String> for Address {
    fn deliver(self: Box<Self>, answer: Result<String, Error>) {
        self.send(answer, Payload::Text);
    }
}

impl Sink<()> for Address {
    fn deliver(self: Box<Self>, answer: Result<(), Error>) {
        self.send(answer, |()| Payload::Done);
    }
}
