//! What falls due for each message, when, and what follows from it once that time has come.

use std::time::Duration;

use super::lease::{Place, Wanted};
use super::{Command, Leases};

/// What falls due for a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    Expired,
    Stale,
    Extension,
    /// What is to become of it is to be asked for once more.
    Settlement,
}

impl<M: Clone> Leases<M> {
    /// What is to be asked now, for all that is held.
    pub(crate) fn tick(&mut self, now: Duration) -> Vec<Command> {
        let mut commands = Vec::new();
        let mut extends = false;
        while let Some(id) =
            self.deadlines.pop_due(now, |id, at| self.by_id.get(&id).is_some_and(|l| l.due == Some(at)))
        {
            if let Some(lease) = self.by_id.get_mut(&id) {
                lease.due = None;
            }
            match self.is_due(now, id) {
                Some(Due::Expired) => self.expire(now, id, &mut commands),
                Some(Due::Stale) => {
                    self.abandoned = true;
                    self.give_back(now, id, &mut commands);
                }
                Some(Due::Settlement) => self.ask(now, id, &mut commands),
                Some(Due::Extension) => {
                    extends = true;
                    self.extend(now, id, &mut commands);
                }
                None => {}
            }
            self.schedule(id);
        }
        if extends {
            self.extend_what_is_due_soon(now, &mut commands);
        }
        commands.sort_by_key(|command| command.id);
        commands
    }

    /// When [`Self::tick`] has something to do next, at the earliest.
    pub(crate) fn next_tick(&mut self) -> Option<Duration> {
        self.deadlines.next(|id, at| self.by_id.get(&id).is_some_and(|lease| lease.due == Some(at)))
    }

    /// What falls due next for a message, and when.
    pub(super) fn falls_due(&self, id: u64) -> Option<(Duration, Due)> {
        let lease = self.by_id.get(&id)?;
        let visibility = self.policy.visibility;
        if visibility.is_zero() {
            let waits = lease.wanted.is_some() && !lease.settling;
            return waits.then_some((lease.retry, Due::Settlement));
        }
        let expired = (lease.expires, Due::Expired);
        let extension =
            || (lease.expires.saturating_sub(self.policy.margin(lease.waits())).max(lease.again), Due::Extension);
        let next = match lease.place {
            Place::Lost | Place::Released => return None,
            Place::Ended if lease.settling => {
                // The answer is the last word, whenever it comes.
                let deletes = lease.wanted.is_some_and(|wanted| wanted.visible.is_none());
                return (deletes && !lease.extending).then(extension).filter(|(at, _)| *at < lease.expires);
            }
            _ if lease.extending => expired,
            Place::Ready => {
                let stale = (lease.since.saturating_add(self.policy.keep()), Due::Stale);
                if extension().0 < stale.0 { extension() } else { stale }
            }
            Place::Pending | Place::Handed => extension(),
            Place::Ended => match lease.wanted {
                Some(Wanted { visible: None, .. }) if extension().0 < lease.retry => extension(),
                _ => (lease.retry, Due::Settlement),
            },
        };
        Some(if lease.expires <= next.0 { expired } else { next })
    }

    /// What is due by now. The process may have stood still since it was: that a lease has run out comes before all else.
    pub(super) fn is_due(&self, now: Duration, id: u64) -> Option<Due> {
        let (_, due) = self.falls_due(id).filter(|(at, _)| *at <= now)?;
        let leased = !self.policy.visibility.is_zero();
        let expired = leased && self.by_id.get(&id).is_some_and(|lease| lease.expires <= now && !lease.settling);
        Some(if expired { Due::Expired } else { due })
    }

    /// See to it that a message is looked at in time. It may be looked at too early, never too late.
    pub(super) fn schedule(&mut self, id: u64) {
        let Some((at, _)) = self.falls_due(id) else { return };
        let Some(lease) = self.by_id.get_mut(&id) else { return };
        if lease.due.is_none_or(|due| at < due) {
            lease.due = Some(at);
            let by_id = &self.by_id;
            self.deadlines.push(at, id, by_id.len(), |id, at| by_id.get(&id).is_some_and(|l| l.due == Some(at)));
        }
    }
}
