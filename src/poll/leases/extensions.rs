//! Leases are extended before they run out, and what an answer to that changes.

use std::time::Duration;

use super::due::Due;
use super::lease::{LONGEST, Place};
use super::{Command, CommandKind, Extension, Leases, reserve};

impl<M: Clone> Leases<M> {
    /// One request takes ten: what would be due shortly comes along.
    pub(super) fn extend_what_is_due_soon(&mut self, now: Duration, commands: &mut Vec<Command>) {
        let soon = now + self.policy.visibility / 6;
        let extension = |id: &&u64| {
            self.falls_due(**id).is_some_and(|(at, due)| at <= soon && matches!(due, Due::Extension))
                && self.by_id.get(id).is_some_and(|lease| lease.again <= now)
        };
        let ids: Vec<u64> = self.by_id.keys().filter(extension).copied().collect();
        for id in ids {
            self.extend(now, id, commands);
        }
    }

    pub(super) fn extend(&mut self, now: Duration, id: u64, commands: &mut Vec<Command>) {
        let visibility = self.policy.visibility;
        let Some(lease) = self.by_id.get_mut(&id).filter(|lease| !lease.extending) else { return };
        if lease.expires <= now {
            // Only a delete that has no answer yet is left by then.
            lease.again = Duration::MAX;
            return;
        }
        let seconds = lease.longest(now).min(u32::try_from(visibility.as_secs()).unwrap_or(u32::MAX));
        if now + Duration::from_secs(seconds.into()) <= lease.expires {
            // The service allows no more: it stays ours until its time is over.
            lease.again = Duration::MAX;
            return;
        }
        let kind = CommandKind::Extend(seconds);
        lease.extending = true;
        let not_after = lease.expires.saturating_sub(reserve(visibility));
        commands.push(Command { id, handle: lease.handle.clone(), kind, not_after });
        self.schedule(id);
    }

    /// An extension has been answered.
    pub(crate) fn extended(&mut self, now: Duration, id: u64, extension: Extension) -> Vec<Command> {
        let mut commands = Vec::new();
        let Some(lease) = self.by_id.get_mut(&id) else { return commands };
        lease.extending = false;
        // Of one that is not ours any more there is nothing to learn, nor of one whose handler sees to its time: what that has
        // asked for has to be the last word.
        if lease.place == Place::Lost || lease.own {
            let gone = matches!(extension, Extension::Gone(_));
            if std::mem::take(&mut lease.overtakes) && !gone && lease.place == Place::Handed && now < lease.expires {
                lease.extending = true;
                let seconds = lease.expires.saturating_sub(now).as_millis().div_ceil(1_000);
                let kind = CommandKind::Extend(u32::try_from(seconds).unwrap_or(u32::MAX).min(lease.longest(now)));
                commands.push(Command { id, handle: lease.handle.clone(), kind, not_after: lease.expires });
            }
            self.schedule(id);
            return commands;
        }
        let deletes = lease.place == Place::Ended && lease.wanted.is_some_and(|wanted| wanted.visible.is_none());
        if lease.settling || deletes {
            // What cannot be extended any more has been deleted, by a delete that is under way or whose answer was lost.
            match extension {
                Extension::Done(sent, seconds) if now < lease.expires => {
                    lease.expires = lease.expires.max(sent + Duration::from_secs(seconds.into()));
                    lease.again = Duration::ZERO;
                }
                Extension::Gone(_) => (lease.gone, lease.again) = (true, Duration::MAX),
                Extension::Done(..) | Extension::Failed(_) => lease.again = now + pause(self.policy.visibility),
            }
            self.leave_if_deleted(id);
            self.schedule(id);
            return commands;
        }
        let expired = lease.expires <= now;
        match extension {
            Extension::Done(sent, seconds) if !expired => {
                lease.expires = lease.expires.max(sent + Duration::from_secs(seconds.into()));
                lease.again = Duration::ZERO;
            }
            // What ran out before the answer came may have been somebody else's when it was asked for.
            Extension::Done(..) => {}
            Extension::Failed(error) => {
                lease.again = now + pause(self.policy.visibility);
                lease.note(error);
            }
            // Its handler is still at it, but it will not come again.
            Extension::Gone(_) if lease.deleted => {
                (lease.again, lease.expires) = (Duration::MAX, lease.sent + LONGEST);
            }
            Extension::Gone(error) => {
                lease.error = Some(error);
                lease.expires = now;
            }
        }
        if lease.expires <= now {
            self.expire(now, id, &mut commands);
        } else if lease.place == Place::Ended && lease.retry <= now {
            self.ask(now, id, &mut commands);
        }
        self.schedule(id);
        commands
    }
}

/// Between attempts at an extension.
fn pause(visibility: Duration) -> Duration {
    (visibility / 10).clamp(Duration::from_millis(100), Duration::from_secs(5))
}
