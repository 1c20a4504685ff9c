//! One message that is held, and what is known of it.

use std::time::Duration;

use super::{Disposition, GroupId};
use crate::protocol::error::Error;

/// The longest that a message can be kept invisible, counted from its receive: AWS, "Amazon SQS visibility timeout".
pub(super) const LONGEST: Duration = Duration::from_secs(43_200);

/// How far from [`LONGEST`] we stay, since the service's clock starts when the request arrives, not when it leaves.
const RESERVE: Duration = Duration::from_secs(1);

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the ready list.
    Ready,
    /// It waits for those before it of its group.
    Pending,
    /// A taker has it.
    Handed,
    /// A taker has it, and it is not ours any more.
    Lost,
    /// A taker has it, and has let its time run out by itself.
    Released,
    /// Nobody will have it from us any more; what is to become of it is asked for.
    Ended,
}

impl Place {
    /// Whether a taker has it.
    pub(super) fn is_handed_over(self) -> bool {
        matches!(self, Place::Handed | Place::Lost | Place::Released)
    }
}

/// What is to become of a message that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// `None`: a delete; else when it is to be visible.
    pub(super) visible: Option<Duration>,
    /// What its taker has said; `None`: it was never handed over.
    pub(super) said: Option<Disposition>,
}

/// What is known of one message that is held: how long it is still ours, where it is, and what is asked for it.
#[derive(Debug)]
pub(super) struct Lease<M> {
    pub(super) message: M,
    pub(super) handle: Box<str>,
    pub(super) group: Option<GroupId>,
    pub(super) bytes: usize,
    /// When the request left that brought it: the service's limit of twelve hours counts from there.
    pub(super) sent: Duration,
    pub(super) received: Duration,
    /// Since when it could be handed over.
    pub(super) since: Duration,
    pub(super) expires: Duration,
    pub(super) place: Place,
    /// An extension is under way.
    pub(super) extending: bool,
    /// What is to become of it has been asked for, and not been answered.
    pub(super) settling: bool,
    /// Its handler has changed its visibility timeout by itself.
    pub(super) own: bool,
    /// Its handler has asked for its deletion by itself.
    pub(super) deleted: bool,
    /// An extension was under way when its visibility timeout was changed, and may arrive after that change.
    pub(super) overtakes: bool,
    /// It is not to be extended before.
    pub(super) again: Duration,
    /// What is to become of it is not to be asked for before.
    pub(super) retry: Duration,
    /// Whether an extension was refused because the message is not in flight any more.
    pub(super) gone: bool,
    /// Whether the answer to a delete was lost, which may have been done.
    pub(super) unknown: bool,
    /// How often in succession what was asked for has failed, and why the last time.
    pub(super) failures: u32,
    pub(super) error: Option<Error>,
    pub(super) wanted: Option<Wanted>,
    /// When it is looked at next, at the latest.
    pub(super) due: Option<Duration>,
}

impl<M> Lease<M> {
    pub(super) fn waits(&self) -> bool {
        matches!(self.place, Place::Ready | Place::Pending)
    }

    /// Why something has failed. What the service has said tells more than that it was not heard of, or not asked any more.
    pub(super) fn note(&mut self, error: Error) {
        if !matches!((&self.error, &error), (Some(Error::Service(_)), Error::Lost(_))) {
            self.error = Some(error);
        }
    }

    /// For how many seconds it can be invisible from `now` on, at most.
    pub(super) fn longest(&self, now: Duration) -> u32 {
        let left = (self.sent + LONGEST).saturating_sub(now + RESERVE).as_secs();
        u32::try_from(left).unwrap_or(u32::MAX)
    }
}
