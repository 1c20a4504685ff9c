//! The calls of an event loop that have no answer yet.

use std::collections::HashMap;

use pyo3::prelude::*;

use crate::client::{Call, Underway};
use crate::model::Action;
use crate::protocol::entry::Single;
use crate::py::client::Client;
use crate::runtime::admission::{Admission, Weight};

/// The unanswered calls of a loop.
#[derive(Default)]
pub(super) struct LoopState {
    pub calls: HashMap<u64, Begun>,
    /// What was begun since the last tick's end.
    pub tick: Vec<u64>,
    /// What is unanswered, by the client's address, which a call keeps.
    admission: Admission<usize>,
}

impl Drop for LoopState {
    /// The loop is gone: nobody waits for its requests any more, such as long polls. Entries leave as their callers wanted it.
    fn drop(&mut self) {
        for begun in std::mem::take(&mut self.calls).into_values() {
            match begun.stage {
                CallStage::Underway(underway @ (Underway::Task(_) | Underway::Received(_))) => underway.abandon(),
                CallStage::Waits(withdraw) => withdraw(),
                _ => {}
            }
        }
    }
}

impl LoopState {
    /// Whether as much of a client is unanswered as may be.
    pub(super) fn is_full(&self, client: &Bound<'_, Client>, action: Action) -> bool {
        let (settings, key) = (client.get().core().settings(), address_of(client));
        match &settings.batching {
            Some(bounds) if Single::of(action).is_some() => self.admission.is_full_of_entries(&key, bounds),
            _ => self.admission.is_full_of_requests(&key, settings.max_pool_connections),
        }
    }

    pub(super) fn insert(&mut self, number: u64, client: &Bound<'_, Client>, weight: Weight, stage: CallStage) {
        self.admission.enter(address_of(client), weight);
        self.calls.insert(number, Begun { client: client.clone().unbind(), weight, stage });
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Begun> {
        let begun = self.calls.remove(&number)?;
        self.admission.leave(&begun.client.as_ptr().addr(), begun.weight);
        Some(begun)
    }
}

fn address_of(client: &Bound<'_, Client>) -> usize {
    client.as_ptr().addr()
}

/// A call without an answer.
pub(super) struct Begun {
    pub client: Py<Client>,
    weight: Weight,
    pub stage: CallStage,
}

/// How far a call is.
pub(super) enum CallStage {
    /// It leaves at the end of this tick.
    Here(Call),
    /// It cannot be taken back.
    Away,
    Underway(Underway),
    /// It waits to be told something, and can be withdrawn.
    Waits(Withdraw),
    /// Nobody waits for it any more.
    Abandoned,
}

/// Tells those who would answer a call that nobody waits for it any more.
pub(super) type Withdraw = Box<dyn FnOnce() + Send>;
