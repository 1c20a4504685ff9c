//! What handlers do with their messages by themselves, past the one who keeps them.

use std::time::Duration;

use super::Leases;
use super::lease::{Lease, Place};

impl<M: Clone> Leases<M> {
    /// The messages with this receipt handle that a taker has and that are ours.
    pub(crate) fn handed_over(&self, now: Duration, handle: &str) -> Vec<u64> {
        let theirs =
            |lease: &Lease<M>| lease.place == Place::Handed && lease.expires > now && is_same(&lease.handle, handle);
        self.by_id.iter().filter(|(_, lease)| theirs(lease)).map(|(id, _)| *id).collect()
    }

    /// Whether a taker has this message and it is ours.
    pub(crate) fn is_kept(&self, now: Duration, id: u64) -> bool {
        self.by_id.get(&id).is_some_and(|lease| lease.place == Place::Handed && lease.expires > now)
    }

    /// Whether a taker has this message and it has been lost.
    pub(crate) fn is_lost(&self, id: u64) -> bool {
        self.by_id.get(&id).is_some_and(|lease| lease.place == Place::Lost)
    }

    /// The handler changes the visibility timeout of its message by itself: that is the last word, and it is not extended any
    /// more. What it lets run out is not lost. One whose lease has run out before is.
    pub(crate) fn leave_alone(&mut self, now: Duration, id: u64, seconds: u32) {
        if let Some(lease) = self.by_id.get_mut(&id) {
            (lease.own, lease.again, lease.overtakes) = (true, Duration::MAX, lease.extending);
            lease.expires = now + Duration::from_secs(seconds.into());
        }
        self.schedule(id);
    }

    /// The handler deletes its message by itself. That may fail, so it is kept; but that it is gone is no loss from now on.
    pub(crate) fn is_deleted(&mut self, id: u64) {
        if let Some(lease) = self.by_id.get_mut(&id) {
            lease.deleted = true;
        }
    }
}

/// Whether JSON is this text.
fn is_same(json: &str, text: &str) -> bool {
    let plain = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
    plain == Some(text) || json.contains('\\') && serde_json::from_str::<String>(json).is_ok_and(|other| other == text)
}
