//! ReceiveMessage calls that overlap: which of them share a request, and who gets what of its reply.
//!
//! One [`Receives`] serves the calls of one key: all parameters equal but for the count and, among long polls, the wait.
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
pub const MOST: usize = 10;

/// How far past its time a caller may be asked for, since a request waits for whole seconds and time has passed before
/// it leaves. More than the usual linger, less than anybody notices.
const TOLERANCE: Duration = Duration::from_millis(10);

/// How the callers of a key wait. It is part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Patience {
    /// WaitTimeSeconds is 0.
    None,
    /// Each caller has its own WaitTimeSeconds, above 0.
    Own,
}

#[derive(Debug)]
struct Caller {
    id: u64,
    want: usize,
    arrived: Duration,
    /// When its own WaitTimeSeconds are over; [`Patience::Own`] only.
    until: Duration,
    /// It was in a request already, which did not have enough for it.
    asked_before: bool,
}

#[derive(Debug)]
struct Flight {
    callers: Vec<Caller>,
    sent: Duration,
    wait: u32,
    /// Its one caller's own call.
    own: bool,
}

/// A request to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Send {
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
pub struct Outcome {
    /// Callers and their messages, as positions in the reply; an empty range is an empty answer.
    pub answers: Vec<(u64, Range<usize>)>,
    /// Messages that nobody wants any more.
    pub surplus: Range<usize>,
    pub sends: Vec<Send>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Left {
    /// It had been answered, or was never there.
    Unknown,
    /// Nothing more to do.
    Quietly,
    /// This request is under way for nobody now. What it brings goes to whoever waits by then, or is surplus.
    Orphaned(u64),
}

#[derive(Debug)]
pub struct Receives {
    patience: Patience,
    linger: Duration,
    /// Oldest first.
    waiting: VecDeque<Caller>,
    flying: HashMap<u64, Flight>,
    next_request: u64,
}

impl Receives {
    /// `linger` is how long a caller waits for company while other requests are under way.
    pub fn new(patience: Patience, linger: Duration) -> Self {
        Receives { patience, linger, waiting: VecDeque::new(), flying: HashMap::new(), next_request: 0 }
    }

    /// A call; [`Self::tick`] says what leaves, for all that arrive at the same moment together. `want` is from 1 to
    /// [`MOST`]; `wait` counts for [`Patience::Own`] only.
    pub fn arrive(&mut self, now: Duration, id: u64, want: usize, wait: u32) {
        let until = now + Duration::from_secs(wait.into());
        self.waiting.push_back(Caller { id, want, arrived: now, until, asked_before: false });
    }

    /// When [`Self::tick`] is due: by the oldest that waits.
    pub fn next_tick(&self) -> Option<Duration> {
        self.waiting
            .front()
            .map(|caller| if caller.asked_before { Duration::ZERO } else { caller.arrived + self.linger })
    }

    /// What leaves now: everybody who waits, if nothing is under way, if they want a full request together, or if somebody's
    /// linger is over. One who has been in a request has waited already.
    pub fn tick(&mut self, now: Duration) -> Vec<Send> {
        let wanted: usize = self.waiting.iter().map(|caller| caller.want).sum();
        let due = self.next_tick().is_some_and(|due| due <= now);
        if self.flying.is_empty() || wanted >= MOST || due { self.flush(now) } else { Vec::new() }
    }

    /// A caller that no longer waits for its answer.
    pub fn leave(&mut self, id: u64) -> Left {
        if let Some(position) = self.waiting.iter().position(|caller| caller.id == id) {
            self.waiting.remove(position);
            return Left::Quietly;
        }
        for (request, flight) in &mut self.flying {
            if let Some(position) = flight.callers.iter().position(|caller| caller.id == id) {
                flight.callers.remove(position);
                return if flight.callers.is_empty() { Left::Orphaned(*request) } else { Left::Quietly };
            }
        }
        Left::Unknown
    }

    /// A reply with so many messages.
    pub fn returned(&mut self, now: Duration, request: u64, count: usize) -> Outcome {
        let Some(flight) = self.flying.remove(&request) else {
            return Outcome { surplus: 0..count, ..Outcome::default() };
        };
        let mut outcome = Outcome::default();
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
                rest.push(Caller { asked_before: true, ..caller });
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
    pub fn failed(&mut self, now: Duration, request: u64) -> (Vec<u64>, Vec<Send>) {
        let callers = self.flying.remove(&request).map(|flight| flight.callers).unwrap_or_default();
        (callers.into_iter().map(|caller| caller.id).collect(), self.tick(now))
    }

    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.flying.is_empty()
    }

    /// Whether an empty reply is this caller's answer: with less than a second left there is nothing to ask for.
    fn out_of_time(&self, caller: &Caller, now: Duration) -> bool {
        self.patience != Patience::Own || seconds_left(caller, now) == 0
    }

    /// Everybody who waits, in as few requests as hold them.
    fn flush(&mut self, now: Duration) -> Vec<Send> {
        let mut groups: Vec<(usize, Vec<Caller>)> = Vec::new();
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

    fn send(&mut self, now: Duration, max: usize, callers: Vec<Caller>) -> Send {
        let wait = match self.patience {
            Patience::None => 0,
            Patience::Own => callers.iter().map(|caller| seconds_left(caller, now)).min().unwrap_or(0),
        };
        let own = match callers.as_slice() {
            [caller] if !caller.asked_before => Some(caller.id),
            _ => None,
        };
        let request = self.next_request;
        self.next_request += 1;
        self.flying.insert(request, Flight { callers, sent: now, wait, own: own.is_some() });
        Send { request, max, wait, own }
    }
}

impl Flight {
    /// Whether the service has answered before the wait was over. Asking again at once would then be a loop.
    fn ended_early(&self, now: Duration) -> bool {
        let wait = Duration::from_secs(self.wait.into());
        now + TOLERANCE < self.sent + wait
    }
}

fn seconds_left(caller: &Caller, now: Duration) -> u32 {
    let left = (caller.until + TOLERANCE).saturating_sub(now).as_secs();
    u32::try_from(left).unwrap_or(u32::MAX)
}

/// So many messages among callers, as evenly as their wants allow; the older one first when it does not come out even.
fn divide(count: usize, callers: &[Caller]) -> Vec<usize> {
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
#[path = "receives_tests.rs"]
mod tests;
