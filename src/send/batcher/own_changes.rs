//! What handlers do with their messages by themselves, through the client that keeps them: visibility timeouts that they
//! change, which are the last word (the heartbeat leaves such a message alone from then on, and a retry delay does not replace
//! what the handler has chosen), and deletes, after which a message that is gone is not lost.

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

    /// The message of this receipt handle is to be deleted, by whoever handles it.
    fn is_deleted(self: Arc<Self>, handle: &str);
}

/// Those of one client that keep messages invisible.
#[derive(Debug, Default)]
pub(crate) struct Pollers(Mutex<Vec<Weak<dyn KeepsMessages>>>);

/// What is read of a DeleteMessage or a ChangeMessageVisibility, alone or in a batch.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OwnChange<'a> {
    #[serde(borrow)]
    receipt_handle: Cow<'a, str>,
    /// `None`: it is deleted.
    visibility_timeout: Option<u32>,
}

/// What is read of a batch of them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OwnChanges<'a> {
    #[serde(borrow)]
    entries: Vec<OwnChange<'a>>,
}

impl Pollers {
    pub(crate) fn register(&self, poller: Weak<dyn KeepsMessages>) {
        let mut pollers = lock(&self.0);
        pollers.retain(|poller| poller.strong_count() > 0);
        pollers.push(poller);
    }

    /// An entry is about to leave, on behalf of a caller.
    pub(crate) fn note_entry(&self, action: Single, entry: &Entry) {
        if matches!(action, Single::ChangeMessageVisibility | Single::DeleteMessage) {
            self.note(|keepers| {
                let body = entry.to_object();
                // What cannot be read no service will understand either.
                let changes = serde_json::from_slice(&body).map(|change| vec![change]);
                tell(keepers, &changes.unwrap_or_default());
            });
        }
    }

    /// A request is about to leave, on behalf of a caller.
    pub(crate) fn note_request(&self, request: &Request) {
        match request.action {
            Action::ChangeMessageVisibility | Action::DeleteMessage => self.note(|keepers| {
                let changes = serde_json::from_slice(&request.body).map(|change| vec![change]);
                tell(keepers, &changes.unwrap_or_default());
            }),
            Action::ChangeMessageVisibilityBatch | Action::DeleteMessageBatch => self.note(|keepers| {
                let changes = serde_json::from_slice(&request.body).map(|changes: OwnChanges<'_>| changes.entries);
                tell(keepers, &changes.unwrap_or_default());
            }),
            _ => {}
        }
    }

    /// `change` is read only if there is somebody who wants to know.
    fn note(&self, change: impl FnOnce(&[Arc<dyn KeepsMessages>])) {
        let keepers: Vec<_> = lock(&self.0).iter().filter_map(Weak::upgrade).collect();
        if !keepers.is_empty() {
            change(&keepers);
        }
    }
}

fn tell(keepers: &[Arc<dyn KeepsMessages>], changes: &[OwnChange<'_>]) {
    for change in changes {
        for keeper in keepers.iter().map(Arc::clone) {
            match change.visibility_timeout {
                Some(seconds) => keeper.is_changed(&change.receipt_handle, seconds),
                None => keeper.is_deleted(&change.receipt_handle),
            }
        }
    }
}
