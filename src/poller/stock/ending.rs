//! How messages leave the stock: deleted, given back, lost; and what becomes of the rest of their group.

use super::{Act, Ending, Group, Groups, Lease, Stock, What};

impl<M> Stock<M> {
    /// Everything that waits is given back.
    pub fn give_back_all(&mut self) -> Vec<Act> {
        let mut acts = Vec::new();
        let mut waiting: Vec<u64> =
            self.leases.iter().filter(|(_, lease)| lease.message.is_some()).map(|(id, _)| *id).collect();
        waiting.sort_unstable();
        for id in waiting {
            self.forget(id);
            self.end(id, Some(What::Visible(0)), &mut acts);
        }
        self.line.clear();
        for queued in self.groups.values_mut() {
            queued.behind.clear();
        }
        self.groups.retain(|_, queued| queued.out > 0);
        acts
    }

    /// What is handed over and not finished is nobody's any more: it becomes visible.
    pub fn abandon(&mut self) -> Vec<Act> {
        let mut out: Vec<u64> = self
            .leases
            .iter()
            .filter(|(_, lease)| lease.message.is_none() && !lease.ended)
            .map(|(id, _)| *id)
            .collect();
        out.sort_unstable();
        out.into_iter().flat_map(|id| self.finish(id, Ending::Visible(0))).collect()
    }

    /// One that stands in line is given back, and of its group all that would be handed over after it.
    pub(super) fn give_back(&mut self, id: u64, acts: &mut Vec<Act>) {
        let Some(place) = self.line.iter().position(|other| *other == id) else { return };
        self.line.remove(place);
        let group = self.forget(id);
        self.end(id, Some(What::Visible(0)), acts);
        self.give_back_rest(group, acts);
    }

    /// One that is not ours any more leaves without a word; those after it of its group are given back.
    pub(super) fn drop_lost(&mut self, id: u64, acts: &mut Vec<Act>) {
        self.line.retain(|other| *other != id);
        let group = self.forget(id);
        self.leases.remove(&id);
        match (&group, self.terms.groups) {
            (Some(name), Groups::Locked) if self.groups.get(name).is_some_and(|queued| queued.out > 0) => {
                // It will be received again: what stands behind it has to wait for that.
                if let Some(queued) = self.groups.get_mut(name) {
                    queued.behind.retain(|other| *other != id);
                    queued.spoiled = true;
                }
            }
            _ => self.give_back_rest(group, acts),
        }
    }

    fn give_back_rest(&mut self, group: Option<Group>, acts: &mut Vec<Act>) {
        let Some(group) = group else { return };
        if self.terms.groups == Groups::Locked {
            self.line.retain(|id| self.leases.get(id).is_none_or(|lease| lease.group.as_ref() != Some(&group)));
            self.give_back_behind(&group, acts);
            return;
        }
        let of_group = |id: &&u64| self.leases.get(id).is_some_and(|lease| lease.group.as_ref() == Some(&group));
        let rest: Vec<u64> = self.line.iter().filter(of_group).copied().collect();
        self.line.retain(|id| !rest.contains(id));
        for id in rest {
            self.forget(id);
            self.end(id, Some(What::Visible(0)), acts);
        }
    }

    /// All of a group that is not handed over, at a moment when nothing of it is.
    pub(super) fn give_back_behind(&mut self, group: &Group, acts: &mut Vec<Act>) {
        let members = |(id, lease): (&u64, &Lease<M>)| {
            (lease.message.is_some() && lease.group.as_ref() == Some(group)).then_some(*id)
        };
        let mut members: Vec<u64> = self.leases.iter().filter_map(members).collect();
        members.sort_unstable();
        for id in members {
            self.forget(id);
            self.end(id, Some(What::Visible(0)), acts);
        }
        self.groups.remove(group);
    }

    /// The next of a group stands in line.
    pub(super) fn advance(&mut self, group: &Group) {
        match self.groups.get_mut(group).map(|queued| queued.behind.pop_front()) {
            Some(Some(next)) => self.line.push_back(next),
            Some(None) => {
                self.groups.remove(group);
            }
            None => {}
        }
    }

    /// A message that waits does not wait any more. Returns its group.
    fn forget(&mut self, id: u64) -> Option<Group> {
        let lease = self.leases.get_mut(&id)?;
        if lease.message.take().is_some() {
            self.buffered -= 1;
            self.bytes -= lease.bytes;
        }
        lease.group.clone()
    }

    /// The last thing that is asked for a message, as soon as nothing else is under way for it.
    pub(super) fn end(&mut self, id: u64, what: Option<What>, acts: &mut Vec<Act>) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        lease.ended = true;
        if lease.extending {
            lease.ending = what;
        } else if let Some(Lease { handle, .. }) = self.leases.remove(&id)
            && let Some(what) = what
        {
            acts.push(Act { id, handle, what });
        }
    }
}
