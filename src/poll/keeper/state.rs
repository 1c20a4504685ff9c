//! What the keepers on one core have: which message is kept for whom, and what is still to be told.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::LostLease;
use crate::poll::leases::{Disposition, Incoming, Leases};
use crate::poll::options::life;
use crate::runtime::responder::WaitList;

/// A message as its keeper knows it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) keeper: u64,
    pub(super) handle: Arc<str>,
}

/// What is known at a moment. Whoever changes it ends with [`super::KeeperCore::follow`].
#[derive(Debug)]
pub(super) struct CoreState {
    pub(super) leases: Leases<Kept>,
    /// By receipt handle: the keepers that keep it, and what is known of it.
    pub(super) kept: HashMap<Arc<str>, Vec<(u64, Known)>>,
    pub(super) keepers: HashMap<u64, KeeperState>,
    pub(super) next_keeper: u64,
    /// Whether the visibility timeout is known.
    pub(super) is_known: bool,
    /// The queue is being asked for it.
    pub(super) asks: bool,
    /// A task looks after what is kept, and sleeps until then.
    pub(super) sleeps_until: Option<Duration>,
}

/// What is known of a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known {
    /// It waits for the visibility timeout to be known; when it was received, if its keeper knows.
    Early(Option<Duration>),
    Lease(u64),
}

/// What one keeper has, and what it has not been told.
#[derive(Debug, Default)]
pub(super) struct KeeperState {
    pub(super) handles: HashSet<Arc<str>>,
    pub(super) extended: u64,
    pub(super) losses: u64,
    /// Whether it wants to be told of what is lost; else that is logged.
    pub(super) listens: bool,
    pub(super) lost: Vec<LostLease>,
    pub(super) waiting: WaitList<()>,
}

impl CoreState {
    pub(super) fn set_visibility(&mut self, seconds: u32) {
        self.is_known = true;
        self.leases.set_visibility(Duration::from_secs(seconds.into()), life(seconds, 0.5));
    }

    /// What was to be kept before the visibility timeout was known.
    pub(super) fn hold_early(&mut self, now: Duration, is_leased: bool) {
        let mut kept = std::mem::take(&mut self.kept);
        for (handle, all) in &mut kept {
            for (keeper, known) in all {
                if let Known::Early(received) = *known {
                    *known = Known::Lease(self.hold(now, *keeper, handle, received.filter(|_| is_leased)));
                }
            }
        }
        self.kept = kept;
    }

    pub(super) fn hold(&mut self, now: Duration, keeper: u64, handle: &Arc<str>, received: Option<Duration>) -> u64 {
        let json = serde_json::Value::from(&**handle).to_string();
        let message = Kept { keeper, handle: Arc::clone(handle) };
        let received = received.unwrap_or_else(|| now.saturating_sub(self.leases.visibility() / 2));
        self.leases.hold(now, received, Incoming { message, handle: json.into(), group: None, bytes: 0 })
    }

    /// A keeper keeps a message no longer. Whether it is still ours.
    pub(super) fn forget(&mut self, now: Duration, keeper: u64, handle: &str) -> bool {
        let Some(all) = self.kept.get_mut(handle) else { return false };
        let Some(place) = all.iter().position(|(owner, _)| *owner == keeper) else { return false };
        let (_, known) = all.swap_remove(place);
        if all.is_empty() {
            self.kept.remove(handle);
        }
        let Known::Lease(id) = known else { return true };
        let kept = self.leases.is_kept(now, id);
        self.leases.finish(now, id, Disposition::Leave);
        kept
    }

    /// The messages of this receipt handle that are ours.
    pub(super) fn leases_of(&self, now: Duration, handle: &str) -> Vec<u64> {
        let all = self.kept.get(handle).map(Vec::as_slice).unwrap_or_default();
        let lease = |(_, known): &(u64, Known)| match known {
            Known::Lease(id) if self.leases.is_kept(now, *id) => Some(*id),
            _ => None,
        };
        all.iter().filter_map(lease).collect()
    }
}
