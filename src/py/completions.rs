//! `turbosqs._core.CompletionQueue`: one event loop's side of the core.
//!
//! The loop's thread keeps a future for each call under a number, and gives the core the number alone: what runs on the
//! reactor touches no Python object and needs no interpreter. What the loop begins within one of its ticks leaves at
//! the tick's end, in order, and the entries of one queue together.

use std::sync::{Arc, Mutex};

use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::client::Client;
use super::keeper::Keeper;
use super::poller::Poller;
use super::reply::Replies;
use super::writer::Writer;
use super::{arguments, wait};
use crate::client::{Call, Underway};
use crate::model::{Action, Operation};
use crate::poll::PollerWait;
use crate::protocol::error::Error;
use crate::protocol::message::Reply;
use crate::runtime::admission::Weight;
use crate::runtime::completions::CompletionQueue as Core;
use crate::runtime::lock::lock;
use crate::runtime::responder::Responder;
use crate::runtime::wake::Descriptor;
use crate::runtime::{self, ProcessBound};
use crate::send::writer::WaitFor;

mod answers;
mod calls;

use answers::{Address, Completion};
use calls::{CallStage, LoopState, Withdraw};

/// `CompletionQueue`: the calls of an event loop, and the answers that it has not taken.
#[pyclass(frozen, module = "turbosqs._core")]
pub(super) struct CompletionQueue {
    completions: Arc<Core<Completion>>,
    /// No Python runs while it is locked, and nothing panics.
    state: ProcessBound<Arc<Mutex<LoopState>>>,
}

#[pymethods]
impl CompletionQueue {
    #[new]
    fn new() -> PyResult<Self> {
        let completions = Core::new().map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(CompletionQueue { completions, state: ProcessBound::of(Arc::default()) })
    }

    /// What the loop watches: readable while there is something to drain.
    #[getter]
    fn descriptor(&self) -> Descriptor {
        self.completions.descriptor()
    }

    /// Wait for something to drain, for ever: for a thread that stands in for a loop which cannot watch descriptors.
    /// False when the queue is closed.
    fn wait(&self, py: Python<'_>) -> bool {
        wait::released(py, || self.completions.wait())
    }

    /// End all waiting.
    fn close(&self) {
        self.completions.close();
    }

    /// Begin an operation, to leave with the tick; False if as much of the client is unanswered as may be. `tag` and `trace`
    /// as for `Client.call`.
    #[pyo3(signature = (number, client, operation, params, tag = 0, trace = None))]
    fn begin(
        &self,
        number: u64,
        client: &Bound<'_, Client>,
        operation: &str,
        params: &Bound<'_, PyDict>,
        tag: u64,
        trace: Option<&str>,
    ) -> PyResult<bool> {
        let operation = arguments::find(operation)?;
        let core = client.get().core();
        let state = self.state()?;
        if lock(&state).is_full(client, operation.action) {
            return Ok(false);
        }
        // What follows may run the caller's own code, so nothing is locked.
        let call = arguments::call(core, operation, params)?.tagged(tag).traced(trace);
        let weight = match &call {
            Call::Entry(_, _, entry) => Weight::Entry(entry.size),
            Call::Request(_) => Weight::Request,
        };
        let mut state = lock(&state);
        state.insert(number, client, weight, CallStage::Here(call));
        state.tick.push(number);
        Ok(true)
    }

    /// The tick is over: what was begun in it leaves.
    fn leave(&self, py: Python<'_>) {
        let Some(state) = self.state.get() else { return };
        let mut state = lock(&state);
        let mut by_client: Vec<ClientTick> = Vec::new();
        for number in std::mem::take(&mut state.tick) {
            // One that was abandoned is not there any more.
            let Some(begun) = state.calls.get_mut(&number) else { continue };
            let call = match std::mem::replace(&mut begun.stage, CallStage::Away) {
                CallStage::Here(call) => call,
                stage => {
                    begun.stage = stage;
                    continue;
                }
            };
            let responder = Responder::new(self.address(number, call.action().operation()));
            let place = by_client.iter().position(|tick| tick.client.is(&begun.client)).unwrap_or(by_client.len());
            if place == by_client.len() {
                by_client.push(ClientTick {
                    client: begun.client.clone_ref(py),
                    numbers: Vec::new(),
                    calls: Vec::new(),
                });
            }
            if let Some(tick) = by_client.get_mut(place) {
                tick.numbers.push(number);
                tick.calls.push((call, responder));
            }
        }
        for ClientTick { client, numbers, calls } in by_client {
            let underway = client.get().core().begin_together(calls);
            for (number, underway) in numbers.into_iter().zip(underway) {
                if let (Some(underway), Some(begun)) = (underway, state.calls.get_mut(&number)) {
                    begun.stage = CallStage::Underway(underway);
                }
            }
        }
    }

    /// Have a URL signed; see `Client.presign`.
    #[pyo3(signature = (number, client, operation, params, expires_in, http_method))]
    fn presign(
        &self,
        number: u64,
        client: &Bound<'_, Client>,
        operation: &str,
        params: &Bound<'_, PyDict>,
        expires_in: &Bound<'_, PyAny>,
        http_method: Option<String>,
    ) -> PyResult<()> {
        let operation = arguments::find(operation)?;
        let core = client.get().core();
        let presign = arguments::presign(core, operation, params, expires_in, http_method)?;
        let state = self.state()?;
        lock(&state).insert(number, client, Weight::Request, CallStage::Away);
        let responder = Responder::new(self.address(number, operation));
        // What cannot be set going has told its caller.
        if let Err(error) = core.ready() {
            responder.respond(Err(error));
        } else if let Ok(underway) = core.presign(presign, responder)
            && let Some(begun) = lock(&state).calls.get_mut(&number)
        {
            begun.stage = CallStage::Underway(underway);
        }
        Ok(())
    }

    /// Let everything of a client leave that lingers; the answer comes when all of it is answered.
    fn flush(&self, py: Python<'_>, number: u64, client: &Bound<'_, Client>) -> PyResult<()> {
        self.leave(py);
        let responder = self.expect(number, client)?;
        client.get().core().flush(responder).map_err(failed)
    }

    /// The answer comes when a writer has room for an entry of this weight.
    fn await_room(
        &self,
        number: u64,
        client: &Bound<'_, Client>,
        writer: &Bound<'_, Writer>,
        weight: usize,
    ) -> PyResult<()> {
        self.await_writer(number, client, writer, WaitFor::Room(weight))
    }

    /// The answer comes when all is answered that a writer was given.
    fn await_answers(&self, number: u64, client: &Bound<'_, Client>, writer: &Bound<'_, Writer>) -> PyResult<()> {
        self.await_writer(number, client, writer, WaitFor::Answers)
    }

    /// The answer comes when a poller may have messages for so many takers.
    fn await_messages(
        &self,
        number: u64,
        client: &Bound<'_, Client>,
        poller: &Bound<'_, Poller>,
        takers: usize,
    ) -> PyResult<()> {
        let wait = poller.get().core().notify(takers, self.expect(number, client)?).map_err(failed)?;
        self.waits_for_poller(number, poller, wait)
    }

    /// The answer comes when a poller has background errors to tell, or will have none any more.
    fn await_background_errors(
        &self,
        number: u64,
        client: &Bound<'_, Client>,
        poller: &Bound<'_, Poller>,
    ) -> PyResult<()> {
        let wait = poller.get().core().watch(self.expect(number, client)?).map_err(failed)?;
        self.waits_for_poller(number, poller, wait)
    }

    /// The answer comes when a keeper has lost something, or is closed.
    fn await_lost(&self, number: u64, client: &Bound<'_, Client>, keeper: &Bound<'_, Keeper>) -> PyResult<()> {
        let place = keeper.get().core().tell_lost(self.expect(number, client)?).map_err(failed)?;
        if let Some(place) = place {
            let keeper = keeper.clone().unbind();
            // What cannot be withdrawn is a parent's.
            self.waits(number, Box::new(move || drop(keeper.get().core().withdraw(place))))?;
        }
        Ok(())
    }

    /// The answer comes when so many seconds are over, by a clock that nothing of Python's can replace.
    fn sleep(&self, number: u64, client: &Bound<'_, Client>, seconds: f64) -> PyResult<()> {
        let deadline = wait::deadline(seconds)?;
        let reactor = runtime::handle().map_err(failed)?;
        let responder = self.expect(number, client)?;
        let task = reactor.spawn(async move {
            tokio::time::sleep_until(deadline.into()).await;
            responder.respond(Ok(()));
        });
        if let Some(begun) = lock(&*self.state()?).calls.get_mut(&number) {
            begun.stage = CallStage::Underway(Underway::Task(task));
        }
        Ok(())
    }

    /// Whether a closed poller has nothing under way any more; if it has, the answer comes when that may have changed.
    fn await_quiet(&self, number: u64, client: &Bound<'_, Client>, poller: &Bound<'_, Poller>) -> PyResult<bool> {
        let wait = poller.get().core().tell_quiet(self.expect(number, client)?).map_err(failed)?;
        let Some(wait) = wait else { return Ok(true) };
        self.waits_for_poller(number, poller, wait)?;
        Ok(false)
    }

    /// Nobody waits for an answer any more. What has not left does not leave; see `Underway::abandon`.
    fn abandon(&self, number: u64) {
        let Some(shared) = self.state.get() else { return };
        let mut state = lock(&shared);
        let Some(begun) = state.calls.get_mut(&number) else { return };
        match std::mem::replace(&mut begun.stage, CallStage::Abandoned) {
            CallStage::Here(_) => {
                let removed = state.remove(number);
                // The last one to have the client may be this call: what goes with it may run Python code.
                drop(state);
                drop(removed);
            }
            CallStage::Underway(underway) => {
                // It answers by a completion, which wants no lock of ours; still, first things first.
                drop(state);
                underway.abandon();
            }
            CallStage::Waits(withdraw) => {
                drop(state);
                withdraw();
            }
            CallStage::Away | CallStage::Abandoned => {}
        }
    }

    /// The answers that have come: a number and what its call has come to, a reply or an exception.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let state = self.state()?;
        let mut answers = Vec::new();
        let mut replies = Replies::default();
        for Completion { number, answer } in self.completions.drain() {
            let begun = lock(&state).remove(number);
            // To make a Python object may run a collection, and with it anybody's finalizers: nothing is locked here.
            if begun.is_some_and(|begun| !matches!(begun.stage, CallStage::Abandoned)) {
                answers.push((number, answer.into_python(py, &mut replies)?));
            }
        }
        PyList::new(py, answers)
    }
}

impl CompletionQueue {
    fn address(&self, number: u64, operation: &'static Operation) -> Address {
        Address { completions: Arc::clone(&self.completions), number, operation }
    }

    fn await_writer(
        &self,
        number: u64,
        client: &Bound<'_, Client>,
        writer: &Bound<'_, Writer>,
        wait: WaitFor,
    ) -> PyResult<()> {
        let core = writer.get().core()?;
        let place = core.tell(wait, self.expect(number, client)?).map_err(failed)?;
        place.map_or(Ok(()), |place| self.waits(number, Box::new(move || core.withdraw(place))))
    }

    fn waits_for_poller(&self, number: u64, poller: &Bound<'_, Poller>, wait: PollerWait) -> PyResult<()> {
        let poller = poller.clone().unbind();
        // What cannot be withdrawn is a parent's.
        self.waits(number, Box::new(move || drop(poller.get().core().withdraw(wait))))
    }

    fn waits(&self, number: u64, withdraw: Withdraw) -> PyResult<()> {
        if let Some(begun) = lock(&*self.state()?).calls.get_mut(&number) {
            begun.stage = CallStage::Waits(withdraw);
        }
        Ok(())
    }

    /// An answer that says no more than that it is there.
    fn expect(&self, number: u64, client: &Bound<'_, Client>) -> PyResult<Responder<()>> {
        lock(&*self.state()?).insert(number, client, Weight::Nothing, CallStage::Away);
        // It never fails but by being dropped, which is no operation's failure.
        Ok(Responder::new(self.address(number, Action::SendMessage.operation())))
    }

    /// The loop's calls, unless they are those of the process that this one was forked from.
    fn state(&self) -> PyResult<Arc<Mutex<LoopState>>> {
        let foreign = "these calls belong to the process that began them, not to a child forked from it";
        self.state.get().ok_or_else(|| PyRuntimeError::new_err(foreign))
    }
}

/// The calls of one tick by one client.
struct ClientTick {
    client: Py<Client>,
    numbers: Vec<u64>,
    calls: Vec<(Call, Responder<Reply>)>,
}

fn failed(error: Error) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}
