//! How messages leave the stock: deleted, given back, lost; and what becomes of the rest of their group.

use std::time::Duration;

use super::{Act, Ending, Lease, Place, Settled, Stock, Told, Wanted, What, reserve};

/// Between attempts at a delete, from the first to the longest: the transport has made its own by then.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

impl<M: Clone> Stock<M> {
    /// A message that was handed over is done with. Whatever is not known any more is passed over.
    pub fn finish(&mut self, now: Duration, id: u64, ending: Ending) -> Vec<Act> {
        let mut acts = Vec::new();
        let Some(lease) = self.leases.get_mut(&id) else { return acts };
        match lease.place {
            Place::Handed => {}
            Place::Lost => {
                self.leases.remove(&id);
                return acts;
            }
            Place::Line | Place::Behind | Place::Ended => return acts,
        }
        if self.terms.visibility > Duration::ZERO && lease.expires <= now {
            self.expire(now, id, &mut acts);
            self.leases.remove(&id);
            return acts;
        }
        let group = lease.group.clone();
        // A delay does not replace the one that the handler has chosen by itself.
        let ending = if lease.own && ending != Ending::Delete { Ending::Leave } else { ending };
        let visible = match ending {
            Ending::Delete => Some(None),
            Ending::Visible(seconds) => Some(Some(now + Duration::from_secs(seconds.min(lease.longest(now)).into()))),
            Ending::Leave => None,
        };
        match visible {
            Some(visible) => self.end(now, id, Wanted { visible, said: Some(ending) }, &mut acts),
            None => {
                self.leases.remove(&id);
            }
        }
        if let Some(group) = group {
            self.comes_back(now, &group, ending == Ending::Delete, &mut acts);
        }
        acts
    }

    /// Everything that waits is given back.
    pub fn give_back_all(&mut self, now: Duration) -> Vec<Act> {
        let mut acts = Vec::new();
        let mut waiting: Vec<u64> = self.leases.iter().filter(|(_, lease)| lease.waits()).map(|(id, _)| *id).collect();
        waiting.sort_unstable();
        self.line.clear();
        for queued in self.groups.values_mut() {
            queued.behind.clear();
        }
        self.groups.retain(|_, queued| queued.out > 0);
        for id in waiting {
            self.return_it(now, id, &mut acts);
        }
        acts
    }

    /// What is handed over and not finished is nobody's any more: it becomes visible.
    pub fn abandon(&mut self, now: Duration) -> Vec<Act> {
        let handed = |(id, lease): (&u64, &Lease<M>)| matches!(lease.place, Place::Handed | Place::Lost).then_some(*id);
        let mut out: Vec<u64> = self.leases.iter().filter_map(handed).collect();
        out.sort_unstable();
        out.into_iter().flat_map(|id| self.finish(now, id, Ending::Visible(0))).collect()
    }

    /// One that stands in line is given back, and of its group all that would be handed over after it.
    pub(super) fn give_back(&mut self, now: Duration, id: u64, acts: &mut Vec<Act>) {
        self.line.retain(|other| *other != id);
        let group = self.leases.get(&id).and_then(|lease| lease.group.clone());
        self.return_it(now, id, acts);
        self.give_back_rest(now, group.as_ref(), acts);
    }

    /// A message that waits is to be visible at once. It has left the line.
    pub(super) fn return_it(&mut self, now: Duration, id: u64, acts: &mut Vec<Act>) {
        self.end(now, id, Wanted { visible: Some(now), said: None }, acts);
    }

    /// What is to become of a message is asked for, as soon as nothing else is under way for it.
    fn end(&mut self, now: Duration, id: u64, wanted: Wanted, acts: &mut Vec<Act>) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        if lease.waits() {
            self.buffered -= 1;
            self.bytes -= lease.bytes;
        }
        (lease.place, lease.wanted, lease.retry) = (Place::Ended, Some(wanted), now);
        self.unsettled += 1;
        if wanted.visible.is_none() || !lease.extending {
            self.ask(now, id, acts);
        }
        self.schedule(id);
    }

    /// What is wanted of the service for a message that has ended.
    pub(super) fn ask(&mut self, now: Duration, id: u64, acts: &mut Vec<Act>) {
        let leased = !self.terms.visibility.is_zero();
        let Some(lease) = self.leases.get_mut(&id) else { return };
        let Some(wanted) = lease.wanted.filter(|_| !lease.settling) else { return };
        if leased && lease.expires <= now {
            self.expire(now, id, acts);
            return;
        }
        let what = match wanted.visible {
            None => What::Delete,
            Some(at) => {
                let seconds = at.saturating_sub(now).as_millis().div_ceil(1_000);
                What::Visible(u32::try_from(seconds).unwrap_or(u32::MAX).min(lease.longest(now)))
            }
        };
        lease.settling = true;
        let not_after = match what {
            _ if !leased => Duration::MAX,
            // Whatever becomes of it meanwhile, its work is done.
            What::Delete => lease.expires,
            What::Visible(_) | What::Extend(_) => lease.expires.saturating_sub(reserve(self.terms.visibility)),
        };
        acts.push(Act { id, handle: lease.handle.clone(), what, not_after });
    }

    /// A delete, or a change of visibility that ends our part, has been answered.
    pub fn settled(&mut self, now: Duration, id: u64, settled: Settled) -> Vec<Act> {
        let mut acts = Vec::new();
        let leased = !self.terms.visibility.is_zero();
        let Some(lease) = self.leases.get_mut(&id) else { return acts };
        lease.settling = false;
        let deletes = lease.wanted.is_some_and(|wanted| wanted.visible.is_none());
        match settled {
            Settled::Done => self.leave(id, None),
            Settled::Refused(error) => {
                lease.error = Some(error);
                self.leave(id, lease_of(&self.leases, id));
            }
            // It may be visible already, and somebody else's.
            Settled::Unknown(error) if !deletes => {
                lease.error = Some(error);
                self.leave(id, lease_of(&self.leases, id));
            }
            Settled::Failed(error) | Settled::Unknown(error) => {
                lease.error = Some(error);
                if leased && lease.expires <= now {
                    self.expire(now, id, &mut acts);
                } else {
                    let (first, longest) = PAUSES;
                    lease.retry = now + first.saturating_mul(1 << lease.failures.min(6)).min(longest);
                    lease.failures += 1;
                }
            }
        }
        self.schedule(id);
        acts
    }

    /// What has failed and was to be asked for again is not.
    pub fn give_up(&mut self) {
        let failed =
            |(id, lease): (&u64, &Lease<M>)| (lease.place == Place::Ended && lease.error.is_some()).then_some(*id);
        let mut failed: Vec<u64> = self.leases.iter().filter_map(failed).collect();
        failed.sort_unstable();
        for id in failed {
            self.leave(id, lease_of(&self.leases, id));
        }
    }

    /// A lease has run out. Nothing is asked for that message any more.
    pub(super) fn expire(&mut self, now: Duration, id: u64, acts: &mut Vec<Act>) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        let group = lease.group.clone();
        match lease.place {
            Place::Lost => {}
            Place::Line | Place::Behind => {
                self.lost += 1;
                self.buffered -= 1;
                self.bytes -= lease.bytes;
                self.leases.remove(&id);
                self.line.retain(|other| *other != id);
                if let Some(queued) = group.as_ref().and_then(|group| self.groups.get_mut(group)) {
                    queued.behind.retain(|other| *other != id);
                }
                self.give_back_rest(now, group.as_ref(), acts);
            }
            Place::Handed => {
                self.lost += 1;
                lease.place = Place::Lost;
                let (message, error) = (lease.message.clone(), lease.error.take());
                self.told.push(Told::Lost(message, error));
                if let Some(group) = &group {
                    // Its taker goes on with what is not ours; the group does not wait for that.
                    self.comes_back(now, group, false, acts);
                }
            }
            Place::Ended => {
                let deletes = lease.wanted.is_some_and(|wanted| wanted.visible.is_none());
                self.lost += u64::from(deletes);
                self.leave(id, lease_of(&self.leases, id));
            }
        }
    }

    /// A message that has ended is done with; `failed` is what there is to tell of it.
    fn leave(&mut self, id: u64, failed: Option<(M, Ending)>) {
        let Some(lease) = self.leases.remove(&id) else { return };
        self.unsettled -= 1;
        if let Some((message, said)) = failed {
            self.told.push(Told::Failed(message, said, lease.error));
        }
    }
}

/// A message and what its taker has said, if it had one.
fn lease_of<M: Clone>(leases: &std::collections::HashMap<u64, Lease<M>>, id: u64) -> Option<(M, Ending)> {
    let lease = leases.get(&id)?;
    Some((lease.message.clone(), lease.wanted?.said?))
}
