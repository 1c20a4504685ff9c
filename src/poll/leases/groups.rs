//! Message groups of a FIFO queue: who waits for whom.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::lease::{Lease, Place};
use super::{Command, GroupId, GroupMode, Leases, Taken};

/// What is held of a group.
#[derive(Debug, Default)]
pub(super) struct Queued {
    /// They wait for the one that is in the ready list, or those that are handed over.
    pub pending: VecDeque<u64>,
    /// Handed over and not finished.
    pub in_progress: usize,
    /// One of them was not deleted: what is pending must not be had before it.
    pub failed: bool,
}

impl<M: Clone> Leases<M> {
    /// A message that was received joins the ready list, or those that wait for others of their group.
    pub(super) fn queue(&mut self, id: u64) {
        let group = self.by_id.get(&id).and_then(|lease| lease.group.clone());
        let locked = group.filter(|_| self.policy.groups == GroupMode::Locked);
        match locked.as_ref().map(|group| self.groups.get_mut(group)) {
            Some(Some(queued)) => {
                queued.pending.push_back(id);
                if let Some(lease) = self.by_id.get_mut(&id) {
                    lease.place = Place::Pending;
                }
                return;
            }
            Some(None) => {
                self.groups.extend(locked.map(|group| (group, Queued::default())));
            }
            None => {}
        }
        self.ready.push_back(id);
    }

    /// Further messages of the same group as the one just taken, for one who takes several at a time.
    pub(crate) fn take_pending(&mut self, now: Duration, id: u64) -> Option<Taken<M>> {
        let group = self.by_id.get(&id).filter(|lease| lease.place == Place::Handed)?.group.clone()?;
        let next = *self.groups.get(&group)?.pending.front()?;
        if !self.by_id.get(&next).is_some_and(|lease| self.is_fresh(lease, now)) {
            return None;
        }
        self.groups.get_mut(&group)?.pending.pop_front();
        self.hand_over(now, next)
    }

    /// How many messages one taker would get of the ready list and of what is pending, counted up to `most`, the most that it
    /// takes.
    pub(crate) fn within_reach(&self, most: usize) -> usize {
        let mut count = 0;
        for id in &self.ready {
            count += 1 + self.pending(*id);
            if count >= most {
                return most;
            }
        }
        count
    }

    /// How many messages wait for one of their group.
    pub(super) fn pending(&self, id: u64) -> usize {
        let group = self.by_id.get(&id).and_then(|lease| lease.group.as_ref());
        group.and_then(|group| self.groups.get(group)).map_or(0, |queued| queued.pending.len())
    }

    /// One of a group that was handed over is not any more.
    pub(super) fn comes_back(&mut self, now: Duration, group: &GroupId, done: bool, commands: &mut Vec<Command>) {
        let Some(queued) = self.groups.get_mut(group) else { return };
        queued.in_progress = queued.in_progress.saturating_sub(1);
        queued.failed |= !done;
        if queued.in_progress > 0 {
            return;
        }
        if queued.failed {
            self.give_back_pending(now, group, commands);
        } else {
            self.advance(now, group);
        }
    }

    /// All of a group that is not handed over, at a moment when nothing of it is.
    pub(super) fn give_back_pending(&mut self, now: Duration, group: &GroupId, commands: &mut Vec<Command>) {
        let members =
            |(id, lease): (&u64, &Lease<M>)| (lease.waits() && lease.group.as_ref() == Some(group)).then_some(*id);
        let mut members: Vec<u64> = self.by_id.iter().filter_map(members).collect();
        members.sort_unstable();
        self.ready.retain(|id| !members.contains(id));
        self.groups.remove(group);
        for id in members {
            self.return_it(now, id, commands);
        }
    }

    /// The next of a group joins the ready list.
    fn advance(&mut self, now: Duration, group: &GroupId) {
        match self.groups.get_mut(group).map(|queued| queued.pending.pop_front()) {
            Some(Some(next)) => {
                self.ready.push_back(next);
                if let Some(lease) = self.by_id.get_mut(&next) {
                    (lease.place, lease.since) = (Place::Ready, now);
                }
                self.schedule(next);
            }
            Some(None) => {
                self.groups.remove(group);
            }
            None => {}
        }
    }

    /// What would be handed over after a message of its group that leaves: it goes back, to be had after it.
    pub(super) fn give_back_rest(&mut self, now: Duration, group: Option<&GroupId>, commands: &mut Vec<Command>) {
        let Some(group) = group else { return };
        let (group, locked) = (Arc::clone(group), self.policy.groups == GroupMode::Locked);
        match self.groups.get_mut(&group) {
            // It will be received again: what is pending has to wait for that, and those who have the others too.
            Some(queued) if locked && queued.in_progress > 0 => queued.failed = true,
            _ => self.give_back_pending(now, &group, commands),
        }
    }
}
