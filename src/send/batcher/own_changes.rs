//! Visibility timeouts that a handler changes by itself, through the client that its consumer uses: they are the last word.
//! The heartbeat leaves such a message alone from then on, and a retry delay does not replace what the handler has chosen.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use serde::Deserialize;

use crate::model::Action;
use crate::protocol::entry::{Entry, Single};
use crate::protocol::message::Request;
use crate::runtime::lock::lock;

/// One who keeps messages invisible for those who handle them.
pub(crate) trait KeepsMessages: fmt::Debug + Send + Sync {
    /// The message of this receipt handle is to be invisible for so many seconds from now, by whoever handles it.
    fn is_changed(self: Arc<Self>, handle: &str, seconds: u32);
}

/// The pollers of one client that keep messages invisible.
#[derive(Debug, Default)]
pub(crate) struct Pollers(Mutex<Vec<Weak<dyn KeepsMessages>>>);

/// What is read of a ChangeMessageVisibility, alone or in a batch.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change<'a> {
    #[serde(borrow)]
    receipt_handle: Cow<'a, str>,
    visibility_timeout: u32,
}

impl Change<'_> {
    fn owned(self) -> (String, u32) {
        (self.receipt_handle.into_owned(), self.visibility_timeout)
    }
}

/// What is read of a ChangeMessageVisibilityBatch.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Changes<'a> {
    #[serde(borrow)]
    entries: Vec<Change<'a>>,
}

impl Pollers {
    pub(crate) fn register(&self, poller: Weak<dyn KeepsMessages>) {
        let mut pollers = lock(&self.0);
        pollers.retain(|poller| poller.strong_count() > 0);
        pollers.push(poller);
    }

    /// An entry is about to leave, on behalf of a caller.
    pub(crate) fn note_entry(&self, action: Single, entry: &Entry) {
        if action == Single::ChangeMessageVisibility {
            self.note(|| {
                let body = entry.to_object();
                let change: Change<'_> = serde_json::from_slice(&body).ok()?;
                Some(vec![change.owned()])
            });
        }
    }

    /// A request is about to leave, on behalf of a caller.
    pub(crate) fn note_request(&self, request: &Request) {
        match request.action {
            Action::ChangeMessageVisibility => self.note(|| {
                let change: Change<'_> = serde_json::from_slice(&request.body).ok()?;
                Some(vec![change.owned()])
            }),
            Action::ChangeMessageVisibilityBatch => self.note(|| {
                let changes: Changes<'_> = serde_json::from_slice(&request.body).ok()?;
                Some(changes.entries.into_iter().map(Change::owned).collect())
            }),
            _ => {}
        }
    }

    /// `handles` is asked only if there is a poller; `None` is what no service will understand either.
    fn note(&self, handles: impl FnOnce() -> Option<Vec<(String, u32)>>) {
        let pollers = lock(&self.0).clone();
        let pollers: Vec<_> = pollers.iter().filter_map(Weak::upgrade).collect();
        if pollers.is_empty() {
            return;
        }
        for (handle, seconds) in handles().unwrap_or_default() {
            for poller in &pollers {
                Arc::clone(poller).is_changed(&handle, seconds);
            }
        }
    }
}
