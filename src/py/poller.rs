//! `turbosqs._core.Poller`: messages from a poller to Python, and what becomes of them.

use std::time::{Duration, Instant};

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::client::Client;
use super::{arguments, clock, error, unmarshal, wait};
use crate::model::{Action, MESSAGE};
use crate::poll::{
    About, BackgroundError, Bounds, Delivery, Disposition, GroupMode, Poller as Core, PollerOptions, Take,
};
use crate::protocol::entry::{Members, is_fifo};
use crate::protocol::error::Error;
use crate::runtime::responder::PendingResponse;

/// `Poller`: the messages of a queue.
#[pyclass(frozen, weakref, module = "turbosqs._core")]
pub(super) struct Poller {
    core: Core,
    /// Whether takers are given lists.
    lists: bool,
}

#[pymethods]
impl Poller {
    /// `params` are ReceiveMessage's, without count. Seconds are floats; the figures have been checked. With a `batch_size`
    /// a taker is given lists.
    #[new]
    #[pyo3(signature = (
        client, params, *, min_life, max_buffered, max_buffered_bytes, ahead, max_messages, idle_timeout, tracked, rate,
        batch_size, batch_window
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        client: &Bound<'_, Client>,
        params: &Bound<'_, PyDict>,
        min_life: f64,
        max_buffered: usize,
        max_buffered_bytes: usize,
        ahead: usize,
        max_messages: Option<u64>,
        idle_timeout: Option<f64>,
        tracked: bool,
        rate: Option<f64>,
        batch_size: Option<usize>,
        batch_window: f64,
    ) -> PyResult<Self> {
        let py = client.py();
        clock::look(py)?;
        let client = client.get().core();
        let body = arguments::body(client, Action::ReceiveMessage.operation(), params)?;
        let members = Members::of(&body).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let number = |name: &str| members.get(name).and_then(|value| value.parse::<u32>().ok());
        let queue = members.get("QueueUrl").unwrap_or("\"\"").as_bytes();
        let options = PollerOptions {
            queue: queue.into(),
            members: asked_for(&members),
            wait: number("WaitTimeSeconds").unwrap_or(20),
            visibility: number("VisibilityTimeout"),
            life: min_life,
            bounds: Bounds { most: max_buffered, bytes: max_buffered_bytes },
            ahead,
            max_messages,
            idle: idle_timeout.map(duration),
            groups: match (is_fifo(queue), tracked) {
                (false, _) => GroupMode::None,
                (true, false) => GroupMode::Ordered,
                (true, true) => GroupMode::Locked,
            },
            keeps: tracked,
            endures: tracked,
            rate,
            batch: batch_size.unwrap_or(1),
            window: duration(batch_window),
        };
        let core = Core::new(client, options).map_err(|error| failure(py, error))?;
        Ok(Poller { core, lists: batch_size.is_some() })
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    /// The next message, as soon as there is one.
    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        loop {
            match self.found(py, None)? {
                Take::Messages(messages) => {
                    return messages
                        .first()
                        .map(|message| unmarshal::from_json(py, &message.json, &MESSAGE))
                        .transpose();
                }
                Take::Ended(error) => return error.map_or(Ok(None), |error| Err(failure(py, error))),
                Take::BackgroundErrors(errors) => self.tell(&background_errors(py, errors)?)?,
                Take::Nothing => {}
            }
        }
    }

    /// Work for one taker: `(id, message)`, or lists of both if it wants several; `(None, background_errors)`; None when there
    /// will be no more; `()` when `timeout`, in seconds, is over. The message `done` is deleted first.
    #[pyo3(signature = (done, timeout))]
    fn take<'py>(&self, py: Python<'py>, done: Option<u64>, timeout: f64) -> PyResult<Bound<'py, PyAny>> {
        if let Some(id) = done {
            self.finish(py, id, Disposition::Delete)?;
        }
        match self.found(py, Some(duration(timeout)))? {
            Take::Messages(messages) => self.work(py, messages),
            Take::BackgroundErrors(background_errors) => {
                (py.None(), self::background_errors(py, background_errors)?).into_bound_py_any(py)
            }
            Take::Nothing => Ok(PyTuple::empty(py).into_any()),
            Take::Ended(None) => Ok(py.None().into_bound(py)),
            Take::Ended(Some(error)) => Err(failure(py, error)),
        }
    }

    /// Delete a message that has been handled.
    fn delete(&self, py: Python<'_>, id: u64) -> PyResult<()> {
        self.finish(py, id, Disposition::Delete)
    }

    /// Give a message back that has not been handled: it is to be visible after so many seconds, or None: when its time is over.
    #[pyo3(signature = (id, seconds))]
    fn retry(&self, py: Python<'_>, id: u64, seconds: Option<u32>) -> PyResult<()> {
        self.finish(py, id, seconds.map_or(Disposition::Leave, Disposition::Visible))
    }

    /// No more polls, no more messages; what is buffered goes back.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        wait::released(py, || self.core.close()).map_err(|error| failure(py, error))
    }

    /// Have polls ask for the attributes that `params` name from now on; all else stays as it is.
    fn ask_for(&self, client: &Bound<'_, Client>, params: &Bound<'_, PyDict>) -> PyResult<()> {
        let body = arguments::body(client.get().core(), Action::ReceiveMessage.operation(), params)?;
        let members = Members::of(&body).map_err(|error| PyValueError::new_err(error.to_string()))?;
        self.core.ask_for(asked_for(&members)).map_err(|error| failure(client.py(), error))
    }

    /// What takers have not finished becomes visible.
    fn abandon(&self, py: Python<'_>) -> PyResult<()> {
        wait::released(py, || self.core.abandon()).map_err(|error| failure(py, error))
    }

    /// What has failed is not asked for again; it is among the background errors.
    fn give_up(&self, py: Python<'_>) -> PyResult<()> {
        wait::released(py, || self.core.give_up()).map_err(|error| failure(py, error))
    }

    /// Wait until nothing is under way any more, `timeout` seconds at most; whether it has come to that.
    fn quiet(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        let deadline = Instant::now() + duration(timeout);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let quiet = wait::released(py, || self.core.wait_until_quiet(left.min(wait::TICK)));
            if quiet.map_err(|error| failure(py, error))? {
                return Ok(true);
            }
            if left.is_zero() {
                return Ok(false);
            }
            py.check_signals()?;
        }
    }

    /// What has gone wrong and has not been told: `(message or None, wanted, failure)` each, where wanted is seconds of a
    /// visibility timeout, None for a delete, or "lost".
    fn background_errors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        background_errors(py, self.core.background_errors().map_err(|error| failure(py, error))?)
    }

    /// Wait until there are background errors, for a thread that is no taker: the takers may all be busy. False when there will
    /// be none.
    fn watch(&self, py: Python<'_>) -> PyResult<bool> {
        let (pending, responder) = PendingResponse::new();
        self.core.watch(responder).map_err(|error| failure(py, error))?;
        while wait::released(py, || pending.wait_for(PATIENT)).is_none() {}
        self.is_watched(py)
    }

    /// Whether there may be more background errors.
    fn is_watched(&self, py: Python<'_>) -> PyResult<bool> {
        self.core.is_abandoned().map(|abandoned| !abandoned).map_err(|error| failure(py, error))
    }

    /// The queue's URL.
    #[getter]
    fn queue_url(&self) -> PyResult<String> {
        serde_json::from_slice(self.core.queue()).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// Log background errors, as `take` gives them, for a loop, which has nobody else to be told.
    fn tell(&self, errors: &Bound<'_, PyList>) -> PyResult<()> {
        let url = self.queue_url()?;
        errors.py().import("turbosqs.polling")?.call_method1("tell", (url, errors)).map(drop)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = self.core.counts().map_err(|error| failure(py, error))?;
        let stats = PyDict::new(py);
        stats.set_item("received", counts.received)?;
        stats.set_item("handed_over", counts.handed_over)?;
        stats.set_item("handled", counts.handled)?;
        stats.set_item("failed", counts.failed)?;
        stats.set_item("deleted", counts.deleted)?;
        stats.set_item("given_back", counts.given_back)?;
        stats.set_item("extended", counts.extended)?;
        stats.set_item("lost", counts.lost)?;
        stats.set_item("buffered", counts.buffered)?;
        stats.set_item("in_progress", counts.in_progress)?;
        stats.set_item("polls", counts.polls)?;
        stats.set_item("oldest_in_hand", counts.oldest.as_secs_f64())?;
        stats.set_item("buffered_seconds", counts.messages_waited.as_secs_f64())?;
        Ok(stats)
    }
}

impl Poller {
    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    /// What there is for a taker, with the interpreter released while there is nothing; `None` is for ever.
    fn found(&self, py: Python<'_>, timeout: Option<Duration>) -> PyResult<Take> {
        let failed = |error| failure(py, error);
        let mut take = self.core.take().map_err(failed)?;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        while let Take::Nothing = take {
            clock::look(py)?;
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(take);
            }
            // One who has all the time in the world is no main thread, whose signals want to be looked after.
            let tick = if left.is_some_and(|left| left > PATIENT) { PATIENT } else { wait::TICK };
            take = wait::released(py, || self.core.wait(left.map_or(tick, |left| left.min(tick)))).map_err(failed)?;
            if matches!(take, Take::Nothing) {
                py.check_signals()?;
            }
        }
        Ok(take)
    }

    fn finish(&self, py: Python<'_>, id: u64, disposition: Disposition) -> PyResult<()> {
        self.core.finish(id, disposition).map_err(|error| failure(py, error))
    }

    fn work<'py>(&self, py: Python<'py>, messages: Vec<Delivery>) -> PyResult<Bound<'py, PyAny>> {
        let dict = |message: &Delivery| unmarshal::from_json(py, &message.json, &MESSAGE);
        match messages.as_slice() {
            [only] if !self.lists => (only.id, dict(only)?).into_bound_py_any(py),
            several => {
                let ids: Vec<u64> = several.iter().map(|message| message.id).collect();
                let dicts = several.iter().map(dict).collect::<PyResult<Vec<_>>>()?;
                (ids, dicts).into_bound_py_any(py)
            }
        }
    }
}

/// Those of ReceiveMessage's members that each poll has as they are.
fn asked_for(members: &Members<'_>) -> Box<[u8]> {
    members.without(&["QueueUrl", "WaitTimeSeconds", "VisibilityTimeout"])
}

/// Whoever waits longer than this waits without looking up.
const PATIENT: Duration = Duration::from_secs(600);

fn background_errors<'py>(py: Python<'py>, background_errors: Vec<BackgroundError>) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for BackgroundError { action, about, error } in background_errors {
        let (json, wanted) = match about {
            About::Nothing => (None, None),
            About::Unfinished(json, Disposition::Visible(seconds)) => (Some(json), Some(seconds.into_py_any(py)?)),
            About::Unfinished(json, Disposition::Delete | Disposition::Leave) => (Some(json), None),
            About::Lost(json) => (Some(json), Some("lost".into_py_any(py)?)),
        };
        let message = json.map(|json| unmarshal::from_json(py, &json, &MESSAGE)).transpose()?;
        list.append((message, wanted, error::failure(py, error, action).into_value(py)))?;
    }
    Ok(list)
}

fn failure(py: Python<'_>, error: Error) -> PyErr {
    error::failure(py, error, Action::ReceiveMessage)
}

/// Of a number that has been checked.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}
