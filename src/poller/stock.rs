//! The messages that are held: what is buffered, what has been handed over, and how long each is still ours. Pure: time is
//! an argument, and what is to be asked of the service is said as [`Act`]s.
//!
//! - A lease runs from when the request *left*, so it is never thought longer than it is.
//! - A message is handed over with at least [`Terms::life`] of its visibility left.
//! - What is held is extended when half of its visibility is over, together with whatever is due soon after; what waits, before
//!   too little of its life is left to hand it over.
//! - What has waited for a whole visibility timeout is given back: others may be quicker. Not while it is we who let it wait,
//!   [`Terms::patience`] long.
//! - While an extension is under way nothing else is asked for the same message: the two could arrive the other way round.
//! - In a FIFO queue no message overtakes another of its group. What is given back takes the rest of its group along.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

mod ending;

pub type Group = Arc<str>;

/// How message groups are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Groups {
    /// A standard queue: there are none, whatever MessageGroupId says (fair queues have it too).
    None,
    /// Messages of a group are handed over in their order.
    Ordered,
    /// And not before the one before is finished.
    Locked,
}

#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The queue's visibility timeout, or the one that was asked for; whole seconds. Zero: nothing is leased.
    pub visibility: Duration,
    /// What must be left of it at hand-over.
    pub life: Duration,
    /// How long a message may have to wait although a taker is there: for a batch to fill up, or for the rate.
    pub patience: Duration,
    pub groups: Groups,
    /// Whether what is handed over stays leased until it is finished.
    pub keeps: bool,
}

impl Terms {
    /// How long a message may wait.
    fn keep(&self) -> Duration {
        self.visibility.max(self.patience.saturating_add(self.visibility / 2))
    }

    /// With how much of its visibility left a message is extended.
    fn margin(&self, waits: bool) -> Duration {
        let half = self.visibility / 2;
        // Not all of it: it would be extended without end.
        if waits { half.max(self.life.min(self.visibility * 9 / 10)) } else { half }
    }
}

/// A message on its way in.
#[derive(Debug)]
pub struct Incoming<M> {
    pub message: M,
    /// Its receipt handle, as JSON.
    pub handle: Box<str>,
    pub group: Option<Group>,
    pub bytes: usize,
}

/// What is to be asked of the service for one message.
#[derive(Debug, PartialEq, Eq)]
pub struct Act {
    pub id: u64,
    pub handle: Box<str>,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Its visibility timeout anew; [`Stock::extended`] is to be told.
    Extend,
    /// To be visible after so many seconds.
    Visible(u32),
    Delete,
}

/// How a message that was handed over ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Delete,
    Visible(u32),
    /// It comes back when its time is over.
    Leave,
}

/// What became of an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// The request left at this time.
    Done(Duration),
    /// The message is not ours any more.
    Gone,
    /// No telling; worth another try.
    Failed,
}

#[derive(Debug)]
pub struct Taken<M> {
    pub id: u64,
    pub message: M,
    /// How long it was held before.
    pub waited: Duration,
}

#[derive(Debug)]
struct Lease<M> {
    handle: Box<str>,
    /// `None` once it is handed over.
    message: Option<M>,
    group: Option<Group>,
    bytes: usize,
    received: Duration,
    expires: Duration,
    extending: bool,
    /// Not to be extended before; never, if it is not ours any more.
    again: Option<Duration>,
    /// To be asked for when the extension under way is answered.
    ending: Option<What>,
    /// Nobody will have it from us any more.
    ended: bool,
}

#[derive(Debug, Default)]
struct Queued {
    /// Behind the one that stands in line, or those that are handed over.
    behind: VecDeque<u64>,
    /// Handed over and not finished.
    out: usize,
    /// One of them was not deleted: what is behind must not be had before it.
    spoiled: bool,
}

#[derive(Debug)]
pub struct Stock<M> {
    terms: Terms,
    next: u64,
    leases: HashMap<u64, Lease<M>>,
    /// What may be handed over, in order.
    line: VecDeque<u64>,
    /// [`Groups::Locked`]: groups of which something is held.
    groups: HashMap<Group, Queued>,
    buffered: usize,
    bytes: usize,
    /// Messages that ceased to be ours while they were held.
    lost: u64,
}

impl<M> Stock<M> {
    pub fn new(terms: Terms) -> Self {
        Stock {
            terms,
            next: 0,
            leases: HashMap::new(),
            line: VecDeque::new(),
            groups: HashMap::new(),
            buffered: 0,
            bytes: 0,
            lost: 0,
        }
    }

    /// What is known of the queue has changed.
    pub fn set_visibility(&mut self, visibility: Duration, life: Duration) {
        (self.terms.visibility, self.terms.life) = (visibility, life);
    }

    pub fn visibility(&self) -> Duration {
        self.terms.visibility
    }

    /// How many messages wait, and their bytes.
    pub fn buffered(&self) -> (usize, usize) {
        (self.buffered, self.bytes)
    }

    /// How many messages are handed over and not finished.
    pub fn in_progress(&self) -> usize {
        self.leases.values().filter(|lease| lease.message.is_none() && !lease.ended).count()
    }

    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Messages of one reply, in its order, whose request left at `sent`.
    pub fn receive(&mut self, now: Duration, sent: Duration, messages: impl IntoIterator<Item = Incoming<M>>) {
        for Incoming { message, handle, group, bytes } in messages {
            let id = self.next;
            self.next += 1;
            let group = group.filter(|_| self.terms.groups != Groups::None);
            match group.as_ref().filter(|_| self.terms.groups == Groups::Locked) {
                Some(group) => match self.groups.get_mut(group) {
                    Some(queued) => queued.behind.push_back(id),
                    None => {
                        self.groups.insert(Arc::clone(group), Queued::default());
                        self.line.push_back(id);
                    }
                },
                None => self.line.push_back(id),
            }
            self.buffered += 1;
            self.bytes += bytes;
            let lease = Lease {
                handle,
                message: Some(message),
                group,
                bytes,
                received: now,
                expires: sent + self.terms.visibility,
                extending: false,
                again: Some(Duration::ZERO),
                ending: None,
                ended: false,
            };
            self.leases.insert(id, lease);
        }
    }

    /// The next message that is ours for long enough.
    pub fn take(&mut self, now: Duration) -> Option<Taken<M>> {
        let place = self.ready_place(now)?;
        let id = self.line.remove(place)?;
        self.hand_over(now, id)
    }

    /// Whether there is a next message that is ours for long enough.
    pub fn has_ready(&self, now: Duration) -> bool {
        self.ready_place(now).is_some()
    }

    /// When what waits first was received.
    pub fn oldest(&self) -> Option<Duration> {
        self.line.front().and_then(|id| self.leases.get(id)).map(|lease| lease.received)
    }

    fn ready_place(&self, now: Duration) -> Option<usize> {
        // In order: what is not ready yet holds up those behind it.
        let reach = if self.terms.groups == Groups::Ordered { 1 } else { self.line.len() };
        self.line.iter().take(reach).position(|id| self.leases.get(id).is_some_and(|lease| self.is_ready(lease, now)))
    }

    fn is_ready(&self, lease: &Lease<M>, now: Duration) -> bool {
        !lease.extending && (self.terms.visibility.is_zero() || lease.expires >= now + self.terms.life)
    }

    /// Further messages of the same group as the one just taken, for one who takes several at a time.
    pub fn take_behind(&mut self, now: Duration, id: u64) -> Option<Taken<M>> {
        let group = self.leases.get(&id)?.group.clone()?;
        let next = *self.groups.get(&group)?.behind.front()?;
        if !self.leases.get(&next).is_some_and(|lease| self.is_ready(lease, now)) {
            return None;
        }
        self.groups.get_mut(&group)?.behind.pop_front();
        self.hand_over(now, next)
    }

    fn hand_over(&mut self, now: Duration, id: u64) -> Option<Taken<M>> {
        let lease = self.leases.get_mut(&id)?;
        let message = lease.message.take()?;
        let waited = now.saturating_sub(lease.received);
        self.buffered -= 1;
        self.bytes -= lease.bytes;
        if !self.terms.keeps {
            self.leases.remove(&id);
        } else if let Some(queued) = lease.group.as_ref().and_then(|group| self.groups.get_mut(group)) {
            queued.out += 1;
        }
        Some(Taken { id, message, waited })
    }

    /// A message that was handed over is done with. Whatever is not known any more is passed over.
    pub fn finish(&mut self, id: u64, ending: Ending) -> Vec<Act> {
        let mut acts = Vec::new();
        let Some(lease) = self.leases.get(&id).filter(|lease| lease.message.is_none() && !lease.ended) else {
            return acts;
        };
        let group = lease.group.clone();
        let what = match ending {
            Ending::Delete => Some(What::Delete),
            Ending::Visible(seconds) => Some(What::Visible(seconds)),
            Ending::Leave => None,
        };
        self.end(id, what, &mut acts);
        if let Some(group) = group
            && let Some(queued) = self.groups.get_mut(&group)
        {
            queued.out = queued.out.saturating_sub(1);
            queued.spoiled |= ending != Ending::Delete;
            if queued.out == 0 {
                if queued.spoiled {
                    self.give_back_behind(&group, &mut acts);
                } else {
                    self.advance(&group);
                }
            }
        }
        acts
    }

    /// What is to be asked now, for all that is held.
    pub fn tick(&mut self, now: Duration) -> Vec<Act> {
        let mut acts = Vec::new();
        let visibility = self.terms.visibility;
        if visibility.is_zero() {
            return acts;
        }
        let keep = self.terms.keep();
        let stale = |id: &&u64| self.leases.get(id).is_some_and(|lease| lease.received.saturating_add(keep) <= now);
        let stale: Vec<u64> = self.line.iter().filter(stale).copied().collect();
        for id in stale {
            self.give_back(id, &mut acts);
        }
        let terms = self.terms;
        let due = |lease: &Lease<M>, portion: Duration| {
            !lease.extending
                && !lease.ended
                && lease.again.is_some_and(|again| again <= now)
                && lease.expires <= now + portion.max(terms.margin(lease.message.is_some()))
        };
        if self.leases.values().any(|lease| due(lease, visibility / 2)) {
            let mut extended = Vec::new();
            for (id, lease) in &mut self.leases {
                if due(lease, visibility * 2 / 3) {
                    lease.extending = true;
                    extended.push(Act { id: *id, handle: lease.handle.clone(), what: What::Extend });
                }
            }
            extended.sort_by_key(|act| act.id);
            acts.append(&mut extended);
        }
        acts
    }

    /// When [`Self::tick`] has something to do next.
    pub fn next_tick(&self) -> Option<Duration> {
        let visibility = self.terms.visibility;
        if visibility.is_zero() {
            return None;
        }
        let extensions = self.leases.values().filter(|lease| !lease.extending && !lease.ended);
        let extensions = extensions.filter_map(|lease| {
            let margin = self.terms.margin(lease.message.is_some());
            Some(lease.expires.saturating_sub(margin).max(lease.again?))
        });
        let keep = self.terms.keep();
        let stale = self.line.iter().filter_map(|id| Some(self.leases.get(id)?.received.saturating_add(keep)));
        extensions.chain(stale).min()
    }

    pub fn extended(&mut self, now: Duration, id: u64, extension: Extension) -> Vec<Act> {
        let mut acts = Vec::new();
        let visibility = self.terms.visibility;
        let Some(lease) = self.leases.get_mut(&id) else { return acts };
        lease.extending = false;
        if lease.ended {
            if let Some(Lease { handle, ending: Some(what), .. }) = self.leases.remove(&id) {
                acts.push(Act { id, handle, what });
            }
            return acts;
        }
        let expired = lease.expires <= now;
        match extension {
            Extension::Done(sent) => lease.expires = lease.expires.max(sent + visibility),
            Extension::Failed if !expired => {
                let pause = (visibility / 10).clamp(Duration::from_millis(100), Duration::from_secs(5));
                lease.again = Some(now + pause);
            }
            Extension::Failed | Extension::Gone => {
                self.lost += 1;
                if lease.message.is_some() {
                    self.drop_lost(id, &mut acts);
                } else {
                    lease.again = None;
                }
            }
        }
        acts
    }

    /// Whether nothing is held, asked for or waited for.
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }
}

#[cfg(test)]
#[path = "stock_tests.rs"]
mod tests;
