//! ReceiveMessage calls that overlap: which of them share a request, and who gets what of its reply.
//!
//! One [`SharedReceives`] serves the calls of one key: all parameters equal but for the count and, among long polls, the wait.
//! What holds at all times:
//!
//! - Each caller is waiting or in one request, and is answered once.
//! - A request asks for what its callers want together and for [`MOST`] at most, so nothing comes that nobody asked
//!   for, unless a caller leaves meanwhile. Callers that want more than fits together do not share: they would only
//!   slow each other down.
//! - A request waits no longer than the least patient of its callers, so nobody's time runs out in one.
//! - A caller alone in its first request sends its own call as it is, and gets the reply as it is.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

/// What a ReceiveMessage can bring.
pub(crate) const MOST: usize = 10;

/// How far past its time a caller may be asked for, since a request waits for whole seconds and time has passed before
/// it leaves. More than the usual linger, less than anybody notices.
const TOLERANCE: Duration = Duration::from_millis(10);

/// How the callers of a key wait. It is part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PollKind {
    /// WaitTimeSeconds is 0.
    Short,
    /// Each caller has its own WaitTimeSeconds, above 0.
    Long,
}

/// A caller of a key, as the sharing sees it.
#[derive(Debug)]
struct Participant {
    id: u64,
    want: usize,
    arrived: Duration,
    /// When its own WaitTimeSeconds are over; [`PollKind::Long`] only.
    until: Duration,
    /// It was in a request already, which did not have enough for it.
    asked_before: bool,
}

/// A request under way, and for whom.
#[derive(Debug)]
struct SharedRequest {
    callers: Vec<Participant>,
    sent: Duration,
    wait: u32,
    /// Its one caller's own call.
    own: bool,
}

/// A request to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReceiveRequest {
    pub request: u64,
    /// MaxNumberOfMessages.
    pub max: usize,
    /// WaitTimeSeconds.
    pub wait: u32,
    /// The only caller, on its first trip: its own call goes out, unchanged.
    pub own: Option<u64>,
}

/// What follows from a reply.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ReceiveOutcome {
    /// Callers and their messages, as positions in the reply; an empty range is an empty answer.
    pub answers: Vec<(u64, Range<usize>)>,
    /// Messages that nobody wants any more.
    pub surplus: Range<usize>,
    pub sends: Vec<ReceiveRequest>,
}

/// What becomes of a call whose caller has left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// It had been answered, or was never there.
    Unknown,
    /// Nothing more to do.
    Quietly,
    /// This request is under way for nobody now. What it brings goes to whoever waits by then, or is surplus.
    Orphaned(u64),
}

/// The callers of one key and the requests that they share.
#[derive(Debug)]
pub(crate) struct SharedReceives {
    kind: PollKind,
    linger: Duration,
    /// Oldest first.
    waiting: VecDeque<Participant>,
    in_flight: HashMap<u64, SharedRequest>,
    next_request: u64,
}

impl SharedReceives {
    /// `linger` is how long a caller lingers while other requests are under way.
    pub(crate) fn new(kind: PollKind, linger: Duration) -> Self {
        SharedReceives { kind, linger, waiting: VecDeque::new(), in_flight: HashMap::new(), next_request: 0 }
    }

    /// A call; [`Self::tick`] says what leaves, for all that arrive at the same moment together. `want` is from 1 to
    /// [`MOST`]; `wait` counts for [`PollKind::Long`] only.
    pub(crate) fn arrive(&mut self, now: Duration, id: u64, want: usize, wait: u32) {
        let until = now + Duration::from_secs(wait.into());
        self.waiting.push_back(Participant { id, want, arrived: now, until, asked_before: false });
    }

    /// When [`Self::tick`] is due: by the oldest that waits.
    pub(crate) fn next_tick(&self) -> Option<Duration> {
        self.waiting
            .front()
            .map(|caller| if caller.asked_before { Duration::ZERO } else { caller.arrived + self.linger })
    }

    /// What leaves now: everybody who waits, if nothing is under way, if they want a full request together, or if somebody's
    /// linger is over. One who has been in a request has waited already.
    pub(crate) fn tick(&mut self, now: Duration) -> Vec<ReceiveRequest> {
        let wanted: usize = self.waiting.iter().map(|caller| caller.want).sum();
        let due = self.next_tick().is_some_and(|due| due <= now);
        if self.in_flight.is_empty() || wanted >= MOST || due { self.flush(now) } else { Vec::new() }
    }

    /// A caller that no longer waits for its answer.
    pub(crate) fn leave(&mut self, id: u64) -> Left {
        if let Some(position) = self.waiting.iter().position(|caller| caller.id == id) {
            self.waiting.remove(position);
            return Left::Quietly;
        }
        for (request, flight) in &mut self.in_flight {
            if let Some(position) = flight.callers.iter().position(|caller| caller.id == id) {
                flight.callers.remove(position);
                return if flight.callers.is_empty() { Left::Orphaned(*request) } else { Left::Quietly };
            }
        }
        Left::Unknown
    }

    /// A reply with so many messages.
    pub(crate) fn returned(&mut self, now: Duration, request: u64, count: usize) -> ReceiveOutcome {
        let Some(flight) = self.in_flight.remove(&request) else {
            return ReceiveOutcome { surplus: 0..count, ..ReceiveOutcome::default() };
        };
        let mut outcome = ReceiveOutcome::default();
        if let ([caller], true) = (flight.callers.as_slice(), flight.own) {
            outcome.answers.push((caller.id, 0..count));
            outcome.surplus = count..count;
            outcome.sends = self.tick(now);
            return outcome;
        }
        let early = flight.ended_early(now);
        let mut start = 0;
        let shares = divide(count, &flight.callers);
        let mut rest = Vec::new();
        for (caller, share) in flight.callers.into_iter().zip(shares) {
            if share > 0 || (count == 0 && (early || self.out_of_time(&caller, now))) {
                outcome.answers.push((caller.id, start..start + share));
                start += share;
            } else {
                rest.push(Participant { asked_before: true, ..caller });
            }
        }
        // Those whose places were left empty by others' going.
        while start < count
            && let Some(caller) = self.waiting.pop_front()
        {
            let share = caller.want.min(count - start);
            outcome.answers.push((caller.id, start..start + share));
            start += share;
        }
        outcome.surplus = start..count;
        for caller in rest.into_iter().rev() {
            self.waiting.push_front(caller);
        }
        outcome.sends = self.tick(now);
        outcome
    }

    /// A request that will have no reply: its callers, all of whom are to be told why, and what is to be sent now.
    pub(crate) fn failed(&mut self, now: Duration, request: u64) -> (Vec<u64>, Vec<ReceiveRequest>) {
        let callers = self.in_flight.remove(&request).map(|flight| flight.callers).unwrap_or_default();
        (callers.into_iter().map(|caller| caller.id).collect(), self.tick(now))
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_empty()
    }

    /// Whether an empty reply is this caller's answer: with less than a second left there is nothing to ask for.
    fn out_of_time(&self, caller: &Participant, now: Duration) -> bool {
        self.kind != PollKind::Long || seconds_left(caller, now) == 0
    }

    /// Everybody who waits, in as few requests as hold them.
    fn flush(&mut self, now: Duration) -> Vec<ReceiveRequest> {
        let mut groups: Vec<(usize, Vec<Participant>)> = Vec::new();
        for caller in self.waiting.drain(..) {
            match groups.iter_mut().find(|(wanted, _)| wanted + caller.want <= MOST) {
                Some((wanted, group)) => {
                    *wanted += caller.want;
                    group.push(caller);
                }
                None => groups.push((caller.want, vec![caller])),
            }
        }
        groups.into_iter().map(|(max, callers)| self.send(now, max, callers)).collect()
    }

    fn send(&mut self, now: Duration, max: usize, callers: Vec<Participant>) -> ReceiveRequest {
        let wait = match self.kind {
            PollKind::Short => 0,
            PollKind::Long => callers.iter().map(|caller| seconds_left(caller, now)).min().unwrap_or(0),
        };
        let own = match callers.as_slice() {
            [caller] if !caller.asked_before => Some(caller.id),
            _ => None,
        };
        let request = self.next_request;
        self.next_request += 1;
        self.in_flight.insert(request, SharedRequest { callers, sent: now, wait, own: own.is_some() });
        ReceiveRequest { request, max, wait, own }
    }
}

impl SharedRequest {
    /// Whether the service has answered before the wait was over. Asking again at once would then be a loop.
    fn ended_early(&self, now: Duration) -> bool {
        let wait = Duration::from_secs(self.wait.into());
        now + TOLERANCE < self.sent + wait
    }
}

fn seconds_left(caller: &Participant, now: Duration) -> u32 {
    let left = (caller.until + TOLERANCE).saturating_sub(now).as_secs();
    u32::try_from(left).unwrap_or(u32::MAX)
}

/// So many messages among callers, as evenly as their wants allow; the older one first when it does not come out even.
fn divide(count: usize, callers: &[Participant]) -> Vec<usize> {
    let mut shares = vec![0; callers.len()];
    let mut left = count.min(callers.iter().map(|caller| caller.want).sum());
    while left > 0 {
        for (share, caller) in shares.iter_mut().zip(callers) {
            if *share < caller.want && left > 0 {
                *share += 1;
                left -= 1;
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests;
