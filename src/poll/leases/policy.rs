//! For how long messages are held, and how: the rules that all leases of a poller follow.

use std::time::Duration;

/// How message groups are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupMode {
    /// A standard queue: there are none, whatever MessageGroupId says (fair queues have it too).
    None,
    /// Messages of a group are handed over in their order.
    Ordered,
    /// And not before the one before is finished.
    Locked,
}

/// For how long messages are held, and how: what the queue and the poller's options say of it, the same for all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeasePolicy {
    /// The queue's visibility timeout, or the one that was asked for; whole seconds. Zero: nothing is leased.
    pub visibility: Duration,
    /// What must be left of it at hand-over, unless it `keeps`.
    pub life: Duration,
    /// How long a message may have to wait although a taker is there: for a batch to fill up, or for the rate.
    pub max_wait: Duration,
    pub groups: GroupMode,
    /// Whether what is handed over stays leased until it is finished.
    pub keeps: bool,
}

impl LeasePolicy {
    /// How long a message may wait.
    pub(super) fn keep(&self) -> Duration {
        self.visibility.max(self.max_wait.saturating_add(self.visibility / 2))
    }

    /// With how much of its visibility left a message is extended.
    pub(super) fn margin(&self, waits: bool) -> Duration {
        let half = self.visibility / 2;
        // Not all of it: it would be extended without end.
        if waits && !self.keeps { half.max(self.life.min(self.visibility * 9 / 10)) } else { half }
    }
}
