//! How many polls there are, and how much each asks for. Pure: no clock, no I/O.
//!
//! Two things are found out as it goes. How many polls the queue can fill: twice as many when one comes back full, half as
//! many when one comes back empty, one when the queue is idle. And how far ahead of the takers messages are fetched: twice as
//! far when one had to wait although the queue had more, half as far when what was taken had waited long. What is
//! buffered and what polls under way may still bring never exceeds the bound together.

use crate::receive::sharing::MOST;

/// What may be held for a taker that has not come for it yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Messages.
    pub most: usize,
    /// Bytes of them, as far as they can be foreseen.
    pub bytes: usize,
}

/// What is buffered for takers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Buffered {
    /// All that wait.
    pub(crate) messages: usize,
    /// Those that do not wait for another message of their group to be finished: of a number that is wanted in all only they
    /// count, as long as somebody waits who could have others.
    pub(crate) reachable: usize,
    /// Those that can be handed over now.
    pub(crate) available: usize,
    /// Bytes of all that wait.
    pub bytes: usize,
}

/// How many polls there are, and how many messages each asks for, as replies and takers have it.
#[derive(Debug)]
pub(crate) struct PollScaler {
    bounds: Bounds,
    /// How many messages to have ahead of those that are waited for.
    target: usize,
    /// How many polls there may be.
    polls: usize,
    in_flight: usize,
    /// What the polls under way ask for together.
    asked: usize,
    /// How many more messages are to be handed over.
    left: Option<u64>,
    /// Bytes of a message, lately.
    mean: usize,
    /// The last reply brought all it was asked for, and nobody has waited since.
    full: bool,
}

impl PollScaler {
    /// No more messages than these are to be held from now on.
    pub(crate) fn set_most(&mut self, most: usize) {
        self.bounds.most = most.max(1);
    }

    /// `first` is how many messages to have ahead at first; `left` how many are wanted at all.
    pub(crate) fn new(bounds: Bounds, first: usize, left: Option<u64>) -> PollScaler {
        let bounds = Bounds { most: bounds.most.max(1), ..bounds };
        PollScaler {
            bounds,
            target: first.min(bounds.most),
            polls: 1,
            in_flight: 0,
            asked: 0,
            left,
            mean: 0,
            full: false,
        }
    }

    /// Whether one more poll is to leave, and what it asks for.
    pub(crate) fn ask(&mut self, buffered: Buffered, awaited_messages: usize) -> Option<usize> {
        let Buffered { messages: buffered, reachable, available, bytes } = buffered;
        if self.in_flight >= self.polls {
            return None;
        }
        let wanted = self.wanted(reachable);
        let target = self.target.max(awaited_messages).min(self.bounds.most);
        let worthwhile = MOST.min(target).min(wanted);
        let places = self.bounds.most.saturating_sub(buffered + self.asked);
        let room = target.saturating_sub(available + self.asked).min(places).min(wanted).min(MOST);
        // A poll for the one place that has just become free costs as much as one for ten; but nobody is left waiting for that.
        let awaited = available + self.asked < awaited_messages;
        if room == 0 || (room < worthwhile && !awaited) {
            return None;
        }
        let idle = buffered == 0 && self.in_flight == 0;
        let fits = match self.mean {
            0 => room,
            mean => (self.bounds.bytes.saturating_sub(bytes) / mean).saturating_sub(self.asked),
        };
        let asks = room.min(fits.max(usize::from(idle)));
        if asks == 0 {
            return None;
        }
        self.in_flight += 1;
        self.asked += asks;
        Some(asks)
    }

    /// A poll that asked for `asked` is back.
    pub(crate) fn replied(&mut self, asked: usize, got: usize, bytes: usize) {
        self.ended(asked);
        self.full = got > 0 && got >= asked;
        if self.full {
            self.polls = (self.polls * 2).min(self.bounds.most.div_ceil(MOST));
        } else if got == 0 {
            self.polls = (self.polls / 2).max(1);
        }
        if let Some(mean) = bytes.checked_div(got) {
            // What is large now counts at once, what was large is forgotten slowly.
            self.mean = mean.max((self.mean * 7 + mean) / 8);
        }
    }

    /// A poll that asked for `asked` is over without a reply.
    pub(crate) fn ended(&mut self, asked: usize) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.asked = self.asked.saturating_sub(asked);
    }

    /// So many messages have come to takers. What is received and does not (it is given back, or lost) does not count among
    /// those that are wanted.
    pub(crate) fn handed_over(&mut self, messages: usize) {
        self.left = self.left.map(|left| left.saturating_sub(messages as u64));
    }

    /// A poll keeps its place for a while without asking.
    pub(crate) fn pauses(&mut self) {
        self.in_flight += 1;
    }

    pub(crate) fn resumes(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// The taker finds nothing.
    pub(crate) fn found_empty(&mut self) {
        if std::mem::take(&mut self.full) || self.target == 0 {
            self.target = (self.target * 2).clamp(1, self.bounds.most);
        }
    }

    /// What the taker got had waited long.
    pub(crate) fn waited_long(&mut self) {
        self.target /= 2;
    }

    /// What was buffered waited in vain: no more until somebody comes for it.
    pub(crate) fn abandoned(&mut self) {
        self.target = 0;
    }

    /// How many polls are under way.
    #[cfg(test)]
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many more messages are to be handed over.
    pub(crate) fn left(&self) -> usize {
        self.left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX))
    }

    /// How many more messages are to be received, beside `held` ones and those that polls have been sent for.
    fn wanted(&self, held: usize) -> usize {
        self.left().saturating_sub(held + self.asked)
    }

    /// Everything that is wanted has been handed over.
    pub(crate) fn is_complete(&self) -> bool {
        self.left == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { most: 100, bytes: 1 << 20 };

    fn held(buffered: usize, bytes: usize) -> Buffered {
        Buffered { messages: buffered, reachable: buffered, available: buffered, bytes }
    }

    fn polls(scaler: &mut PollScaler, buffered: usize, bytes: usize) -> Vec<usize> {
        std::iter::from_fn(|| scaler.ask(held(buffered, bytes), 0)).collect()
    }

    #[test]
    fn an_idle_queue_has_one_poll() {
        let mut scaler = PollScaler::new(BOUNDS, 10, None);
        for _ in 0..5 {
            assert_eq!(polls(&mut scaler, 0, 0), [10]);
            scaler.replied(10, 0, 0);
            scaler.found_empty();
        }
    }

    #[test]
    fn a_full_queue_and_a_waiting_taker_have_more_each_time() {
        let mut scaler = PollScaler::new(BOUNDS, 10, None);
        let mut counts = Vec::new();
        for _ in 0..6 {
            let asked = polls(&mut scaler, 0, 0);
            counts.push(asked.len());
            for asked in asked {
                scaler.replied(asked, asked, asked * 200);
                scaler.found_empty();
            }
        }
        assert_eq!(counts, [1, 2, 8, 10, 10, 10]);
        scaler.replied(0, 0, 0);
        assert_eq!(polls(&mut scaler, 0, 0).len(), 5, "half as many after an empty reply");
    }

    #[test]
    fn a_slow_taker_is_given_one_at_a_time_and_a_gone_one_nothing() {
        let mut scaler = PollScaler::new(BOUNDS, 10, None);
        for _ in 0..4 {
            scaler.waited_long();
        }
        assert!(polls(&mut scaler, 0, 0).is_empty());
        assert_eq!(scaler.ask(held(0, 0), 1), Some(1));
        scaler.replied(1, 1, 200);
        assert!(polls(&mut scaler, 1, 200).is_empty());
        scaler.abandoned();
        assert!(polls(&mut scaler, 0, 0).is_empty());
        scaler.found_empty();
        assert_eq!(polls(&mut scaler, 0, 0), [1]);
    }

    #[test]
    fn those_who_wait_are_asked_for_together() {
        let mut scaler = PollScaler::new(BOUNDS, 0, None);
        assert_eq!(scaler.ask(held(0, 0), 0), None);
        assert_eq!(scaler.ask(held(0, 0), 4), Some(4));
        assert_eq!(scaler.ask(held(0, 0), 5), None, "one poll at first, and not for a single one more");
        scaler.replied(4, 2, 400);
        assert_eq!(scaler.ask(held(2, 400), 4), Some(2), "those who wait for the rest of a batch");
        scaler.replied(2, 0, 0);
        assert_eq!(scaler.ask(held(0, 0), 30), Some(10));
    }

    #[test]
    fn what_waits_for_a_busy_group_is_not_all_that_is_wanted() {
        let mut scaler = PollScaler::new(BOUNDS, 0, Some(10));
        let behind = Buffered { messages: 10, reachable: 1, available: 1, bytes: 2_000 };
        assert_eq!(scaler.ask(behind, 3), Some(2));
        assert_eq!(PollScaler::new(BOUNDS, 0, Some(10)).ask(held(10, 2_000), 12), None);
    }

    #[test]
    fn a_bound_that_shrinks_holds_whoever_waits() {
        let mut scaler = PollScaler::new(BOUNDS, 10, None);
        scaler.set_most(3);
        assert_eq!(scaler.ask(held(0, 0), 50), Some(3));
        scaler.replied(3, 3, 600);
        for _ in 0..5 {
            scaler.found_empty();
        }
        assert_eq!(scaler.ask(held(1, 200), 50), Some(2));
        assert_eq!(scaler.ask(held(1, 200), 50), None);
    }

    #[test]
    fn large_messages_are_asked_for_in_small_numbers() {
        let mut scaler = PollScaler::new(BOUNDS, 100, None);
        assert_eq!(polls(&mut scaler, 0, 0), [10]);
        scaler.replied(10, 10, 10 << 18);
        assert!(polls(&mut scaler, 10, 10 << 18).is_empty());
        assert_eq!(polls(&mut scaler, 0, 0), [4], "a quarter of a megabyte each");
        scaler.replied(4, 4, 4 << 21);
        assert_eq!(polls(&mut scaler, 0, 0), [1], "something has to come");
    }

    proptest! {
        #[test]
        fn the_bounds_hold(
            most in 1..200usize,
            first in 0..300usize,
            left in prop::option::of(0..500u64),
            steps in prop::collection::vec((0..6u8, 0..=10usize), 0..200),
        ) {
            let mut scaler = PollScaler::new(Bounds { most, bytes: 1 << 20 }, first, left);
            let (mut buffered, mut handed_over) = (0, 0);
            let mut in_flight: Vec<usize> = Vec::new();
            for (kind, number) in steps {
                match kind {
                    0 | 1 => {
                        while let Some(asked) = scaler.ask(held(buffered, buffered * 100), number) {
                            prop_assert!((1..=MOST).contains(&asked));
                            in_flight.push(asked);
                        }
                    }
                    2 if !in_flight.is_empty() => {
                        let asked = in_flight.remove(number % in_flight.len());
                        let got = asked.min(number);
                        scaler.replied(asked, got, got * 100);
                        buffered += got;
                    }
                    3 => {
                        if buffered == 0 {
                            scaler.found_empty();
                        } else {
                            buffered -= 1;
                            // Or it is lost.
                            if number > 3 {
                                scaler.handed_over(1);
                                handed_over += 1;
                            }
                        }
                    }
                    4 => scaler.waited_long(),
                    5 if !in_flight.is_empty() => scaler.ended(in_flight.remove(number % in_flight.len())),
                    _ => {}
                }
                prop_assert!(buffered + in_flight.iter().sum::<usize>() <= most.max(1));
                let coming = (buffered + in_flight.iter().sum::<usize>()) as u64;
                prop_assert!(left.is_none_or(|left| handed_over + coming <= left));
                prop_assert_eq!(scaler.is_complete(), left == Some(handed_over));
            }
            // A taker that waits has a poll under way, unless there is nothing more to want.
            if buffered == 0 {
                scaler.found_empty();
                scaler.ask(held(0, 0), 1);
                prop_assert!(scaler.in_flight() > 0 || scaler.is_complete());
            }
        }
    }
}
