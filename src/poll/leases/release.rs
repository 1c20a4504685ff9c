//! How messages leave the leases: deleted, given back, lost; and what becomes of the rest of their group.

use std::time::Duration;

use super::lease::{LONGEST, Lease, Place, Wanted};
use super::{Command, CommandKind, Disposition, Leases, Settled, Told, reserve};

/// Between attempts at a delete, from the first to the longest: the transport has made its own by then.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

impl<M: Clone> Leases<M> {
    /// A message that was handed over is done with. Whatever is not known any more is passed over.
    pub(crate) fn finish(&mut self, now: Duration, id: u64, disposition: Disposition) -> Vec<Command> {
        let mut commands = Vec::new();
        let leased = !self.policy.visibility.is_zero();
        if self.by_id.get(&id).is_some_and(|lease| lease.place == Place::Handed && leased && lease.expires <= now) {
            self.expire(now, id, &mut commands);
        }
        let Some(lease) = self.by_id.get_mut(&id) else { return commands };
        if lease.own && disposition == Disposition::Delete {
            // Its handler has decided both: when it is visible, and that it is done.
            lease.expires = lease.sent + LONGEST;
        }
        match lease.place {
            Place::Handed => {}
            Place::Released if disposition == Disposition::Delete => {
                self.end(now, id, Wanted { visible: None, said: Some(disposition) }, &mut commands);
                return commands;
            }
            Place::Lost | Place::Released => {
                self.by_id.remove(&id);
                return commands;
            }
            Place::Ready | Place::Pending | Place::Ended => return commands,
        }
        let group = lease.group.clone();
        // A delay does not replace the one that the handler has chosen by itself.
        let disposition =
            if lease.own && disposition != Disposition::Delete { Disposition::Leave } else { disposition };
        let visible = match disposition {
            Disposition::Delete => Some(None),
            Disposition::Visible(seconds) => {
                Some(Some(now + Duration::from_secs(seconds.min(lease.longest(now)).into())))
            }
            Disposition::Leave => None,
        };
        match visible {
            Some(visible) => self.end(now, id, Wanted { visible, said: Some(disposition) }, &mut commands),
            None => {
                self.by_id.remove(&id);
            }
        }
        if let Some(group) = group {
            self.comes_back(now, &group, disposition == Disposition::Delete, &mut commands);
        }
        commands
    }

    /// Everything that waits is given back.
    pub(crate) fn give_back_all(&mut self, now: Duration) -> Vec<Command> {
        let mut commands = Vec::new();
        let mut waiting: Vec<u64> = self.by_id.iter().filter(|(_, lease)| lease.waits()).map(|(id, _)| *id).collect();
        waiting.sort_unstable();
        self.ready.clear();
        for queued in self.groups.values_mut() {
            queued.pending.clear();
        }
        self.groups.retain(|_, queued| queued.in_progress > 0);
        for id in waiting {
            self.return_it(now, id, &mut commands);
        }
        commands
    }

    /// What is handed over and not finished is nobody's any more: it becomes visible.
    pub(crate) fn abandon(&mut self, now: Duration) -> Vec<Command> {
        let in_hand = |(id, lease): (&u64, &Lease<M>)| lease.place.is_handed_over().then_some(*id);
        let mut in_progress: Vec<u64> = self.by_id.iter().filter_map(in_hand).collect();
        in_progress.sort_unstable();
        in_progress.into_iter().flat_map(|id| self.finish(now, id, Disposition::Visible(0))).collect()
    }

    /// One of the ready list is given back, and of its group all that would be handed over after it.
    pub(super) fn give_back(&mut self, now: Duration, id: u64, commands: &mut Vec<Command>) {
        self.ready.retain(|other| *other != id);
        let group = self.by_id.get(&id).and_then(|lease| lease.group.clone());
        self.return_it(now, id, commands);
        self.give_back_rest(now, group.as_ref(), commands);
    }

    /// A message that waits is to be visible at once. It has left the ready list.
    pub(super) fn return_it(&mut self, now: Duration, id: u64, commands: &mut Vec<Command>) {
        self.end(now, id, Wanted { visible: Some(now), said: None }, commands);
    }

    /// What is to become of a message is asked for, as soon as nothing else is under way for it.
    fn end(&mut self, now: Duration, id: u64, wanted: Wanted, commands: &mut Vec<Command>) {
        let Some(lease) = self.by_id.get_mut(&id) else { return };
        if lease.waits() {
            self.buffered -= 1;
            self.bytes -= lease.bytes;
        }
        (lease.place, lease.wanted, lease.retry) = (Place::Ended, Some(wanted), now);
        self.unsettled += 1;
        if wanted.visible.is_none() || !lease.extending {
            self.ask(now, id, commands);
        }
        self.schedule(id);
    }

    /// What is wanted of the service for a message that has ended.
    pub(super) fn ask(&mut self, now: Duration, id: u64, commands: &mut Vec<Command>) {
        let leased = !self.policy.visibility.is_zero();
        let Some(lease) = self.by_id.get_mut(&id) else { return };
        let Some(wanted) = lease.wanted.filter(|_| !lease.settling) else { return };
        if leased && lease.expires <= now {
            self.expire(now, id, commands);
            return;
        }
        let kind = match wanted.visible {
            None => CommandKind::Delete,
            Some(at) => {
                let seconds = at.saturating_sub(now).as_millis().div_ceil(1_000);
                CommandKind::Visible(u32::try_from(seconds).unwrap_or(u32::MAX).min(lease.longest(now)))
            }
        };
        lease.settling = true;
        let not_after = match kind {
            _ if !leased => Duration::MAX,
            // Whatever becomes of it meanwhile, its work is done.
            CommandKind::Delete => lease.expires,
            CommandKind::Visible(_) | CommandKind::Extend(_) => {
                lease.expires.saturating_sub(reserve(self.policy.visibility))
            }
        };
        commands.push(Command { id, handle: lease.handle.clone(), kind, not_after });
    }

    /// A delete, or a change of visibility that ends our part, has been answered.
    pub(crate) fn settled(&mut self, now: Duration, id: u64, settled: Settled) -> Vec<Command> {
        let mut commands = Vec::new();
        let leased = !self.policy.visibility.is_zero();
        let Some(lease) = self.by_id.get_mut(&id) else { return commands };
        lease.settling = false;
        let unknown = matches!(settled, Settled::Unknown(_));
        let deletes = lease.wanted.is_some_and(|wanted| wanted.visible.is_none());
        match settled {
            Settled::Done => self.leave(id, None),
            // There is nothing left of it to be refused.
            Settled::Refused(_) if lease.deleted => self.leave(id, None),
            Settled::Refused(error) => {
                lease.error = Some(error);
                self.leave(id, lease_of(&self.by_id, id));
            }
            // It may be visible already, and somebody else's.
            Settled::Unknown(error) if !deletes => {
                lease.error = Some(error);
                self.leave(id, lease_of(&self.by_id, id));
            }
            Settled::Failed(error) | Settled::Unknown(error) => {
                lease.unknown |= unknown;
                lease.note(error);
                if leased && lease.expires <= now {
                    self.expire(now, id, &mut commands);
                } else {
                    let (first, longest) = PAUSES;
                    lease.retry = now + first.saturating_mul(1 << lease.failures.min(6)).min(longest);
                    lease.failures += 1;
                }
            }
        }
        self.leave_if_deleted(id);
        self.schedule(id);
        commands
    }

    /// A message that is not in flight any more after a delete whose answer was lost has been deleted by that.
    pub(super) fn leave_if_deleted(&mut self, id: u64) {
        let deleted = |lease: &Lease<M>| lease.place == Place::Ended && !lease.settling && lease.gone && lease.unknown;
        if self.by_id.get(&id).is_some_and(deleted) {
            self.leave(id, None);
        }
    }

    /// What has failed and was to be asked for again is not.
    pub(crate) fn give_up(&mut self) {
        let failed =
            |(id, lease): (&u64, &Lease<M>)| (lease.place == Place::Ended && lease.error.is_some()).then_some(*id);
        let mut failed: Vec<u64> = self.by_id.iter().filter_map(failed).collect();
        failed.sort_unstable();
        for id in failed {
            self.leave(id, lease_of(&self.by_id, id));
        }
    }

    /// A lease has run out. Nothing is asked for that message any more.
    pub(super) fn expire(&mut self, now: Duration, id: u64, commands: &mut Vec<Command>) {
        let Some(lease) = self.by_id.get_mut(&id) else { return };
        let group = lease.group.clone();
        match lease.place {
            Place::Lost | Place::Released => {}
            Place::Ready | Place::Pending => {
                self.lost += 1;
                self.buffered -= 1;
                self.bytes -= lease.bytes;
                self.by_id.remove(&id);
                self.ready.retain(|other| *other != id);
                if let Some(queued) = group.as_ref().and_then(|group| self.groups.get_mut(group)) {
                    queued.pending.retain(|other| *other != id);
                }
                self.give_back_rest(now, group.as_ref(), commands);
            }
            Place::Handed => {
                if lease.own {
                    lease.place = Place::Released;
                } else {
                    self.lost += 1;
                    lease.place = Place::Lost;
                    let (message, error) = (lease.message.clone(), lease.error.take());
                    self.told.push(Told::Lost(message, error));
                }
                if let Some(group) = &group {
                    // Its taker goes on with what is not ours; the group does not wait for that.
                    self.comes_back(now, group, false, commands);
                }
            }
            Place::Ended => {
                let deletes = lease.wanted.is_some_and(|wanted| wanted.visible.is_none());
                self.lost += u64::from(deletes);
                self.leave(id, lease_of(&self.by_id, id));
            }
        }
    }

    /// A message that has ended is done with; `failed` is what there is to tell of it.
    fn leave(&mut self, id: u64, failed: Option<(M, Disposition)>) {
        let Some(lease) = self.by_id.remove(&id) else { return };
        self.unsettled -= 1;
        if let Some((message, said)) = failed {
            self.told.push(Told::Failed(message, said, lease.error));
        }
    }
}

/// A message and what its taker has said, if it had one.
fn lease_of<M: Clone>(by_id: &std::collections::HashMap<u64, Lease<M>>, id: u64) -> Option<(M, Disposition)> {
    let lease = by_id.get(&id)?;
    Some((lease.message.clone(), lease.wanted?.said?))
}
