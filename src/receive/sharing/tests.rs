use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const LINGER: Duration = Duration::from_millis(2);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn long_polls() -> SharedReceives {
    SharedReceives::new(PollKind::Long, LINGER)
}

/// A call that comes alone.
fn arrive(receives: &mut SharedReceives, now: Duration, id: u64, want: usize, wait: u32) -> Vec<ReceiveRequest> {
    receives.arrive(now, id, want, wait);
    receives.tick(now)
}

fn sent(request: u64, max: usize, wait: u32) -> ReceiveRequest {
    ReceiveRequest { request, max, wait, own: None }
}

#[test]
fn a_lone_call_is_its_own() {
    let mut receives = long_polls();
    assert_eq!(arrive(&mut receives, ms(0), 7, 3, 20), [ReceiveRequest { own: Some(7), ..sent(0, 3, 20) }]);
    // Even a reply with more than was asked for is its own.
    let outcome = receives.returned(ms(5), 0, 4);
    assert_eq!(outcome, ReceiveOutcome { answers: vec![(7, 0..4)], surplus: 4..4, sends: vec![] });
    assert!(receives.is_idle());
}

#[test]
fn those_who_come_meanwhile_linger_and_no_longer() {
    let mut receives = long_polls();
    arrive(&mut receives, ms(0), 0, 1, 20);
    assert_eq!(arrive(&mut receives, ms(1), 1, 1, 20), []);
    assert_eq!(arrive(&mut receives, ms(2), 2, 4, 10), []);
    assert_eq!(receives.next_tick(), Some(ms(3)));
    assert_eq!(receives.tick(ms(2)), []);
    assert_eq!(receives.tick(ms(3)), [sent(1, 5, 10)]);
}

#[test]
fn those_who_come_together_leave_together() {
    let mut receives = long_polls();
    for id in 0..25 {
        receives.arrive(ms(0), id, 1, 20);
    }
    assert_eq!(receives.tick(ms(0)), [sent(0, 10, 20), sent(1, 10, 20), sent(2, 5, 20)]);
}

#[test]
fn ten_wanted_go_at_once() {
    let mut receives = long_polls();
    arrive(&mut receives, ms(0), 0, 1, 20);
    for id in 1..10 {
        assert_eq!(arrive(&mut receives, ms(0), id, 1, 20), []);
    }
    assert_eq!(arrive(&mut receives, ms(0), 10, 1, 20), [sent(1, 10, 20)]);
    assert_eq!(arrive(&mut receives, ms(0), 11, 10, 20), [ReceiveRequest { own: Some(11), ..sent(2, 10, 20) }]);
}

#[test]
fn the_last_reply_sends_those_who_wait() {
    let mut receives = long_polls();
    arrive(&mut receives, ms(0), 0, 1, 20);
    arrive(&mut receives, ms(1), 1, 1, 20);
    arrive(&mut receives, ms(1), 2, 1, 20);
    assert_eq!(receives.returned(ms(1), 0, 1).sends, [sent(1, 2, 20)]);
    arrive(&mut receives, ms(2), 3, 10, 20);
    arrive(&mut receives, ms(2), 4, 1, 20);
    let (told, sends) = receives.failed(ms(2), 1);
    assert_eq!((told, sends), (vec![1, 2], vec![]), "another is under way");
    assert_eq!(receives.failed(ms(2), 2), (vec![3], vec![ReceiveRequest { own: Some(4), ..sent(3, 1, 20) }]));
}

/// Two callers in request 1, which left at 1 ms.
fn two_share(first: (usize, u32), second: (usize, u32)) -> SharedReceives {
    let mut receives = long_polls();
    arrive(&mut receives, ms(0), 0, 1, 20);
    arrive(&mut receives, ms(1), 1, first.0, first.1);
    arrive(&mut receives, ms(1), 2, second.0, second.1);
    receives.returned(ms(1), 0, 1);
    receives
}

#[test]
fn what_comes_is_divided() {
    let outcome = two_share((5, 20), (2, 20)).returned(ms(9), 1, 5);
    assert_eq!(outcome, ReceiveOutcome { answers: vec![(1, 0..3), (2, 3..5)], surplus: 5..5, sends: vec![] });
}

#[test]
fn the_rest_goes_on_with_what_is_left_of_its_time() {
    let mut receives = two_share((1, 20), (1, 20));
    let outcome = receives.returned(ms(3_500), 1, 1);
    assert_eq!(outcome, ReceiveOutcome { answers: vec![(1, 0..1)], surplus: 1..1, sends: vec![sent(2, 1, 16)] });
    // 0.4 seconds are left when it comes back empty: there is nothing to ask for.
    assert_eq!(receives.returned(ms(19_600), 2, 0).answers, [(2, 0..0)]);
}

#[test]
fn the_patient_outlive_the_impatient() {
    let mut receives = two_share((1, 2), (1, 20));
    let outcome = receives.returned(ms(2_001), 1, 0);
    assert_eq!(outcome, ReceiveOutcome { answers: vec![(1, 0..0)], surplus: 0..0, sends: vec![sent(2, 1, 18)] });
}

#[test]
fn a_service_that_does_not_wait_is_not_asked_in_a_loop() {
    let outcome = two_share((1, 20), (1, 20)).returned(ms(5), 1, 0);
    assert_eq!(outcome, ReceiveOutcome { answers: vec![(1, 0..0), (2, 0..0)], surplus: 0..0, sends: vec![] });
}

#[test]
fn short_polls_end_with_an_empty_reply_and_only_with_one() {
    let mut receives = SharedReceives::new(PollKind::Short, LINGER);
    arrive(&mut receives, ms(0), 0, 1, 0);
    arrive(&mut receives, ms(0), 1, 1, 0);
    arrive(&mut receives, ms(0), 2, 1, 0);
    assert_eq!(receives.returned(ms(1), 0, 1).sends, [sent(1, 2, 0)]);
    let outcome = receives.returned(ms(2), 1, 1);
    assert_eq!((outcome.answers, outcome.sends), (vec![(1, 0..1)], vec![sent(2, 1, 0)]));
    assert_eq!(receives.returned(ms(3), 2, 0).answers, [(2, 0..0)]);
}

#[test]
fn what_nobody_takes_is_surplus() {
    let mut receives = two_share((2, 20), (3, 20));
    assert_eq!(receives.leave(2), Left::Quietly);
    assert_eq!(
        receives.returned(ms(9), 1, 5),
        ReceiveOutcome { answers: vec![(1, 0..2)], surplus: 2..5, sends: vec![] }
    );
}

#[test]
fn one_who_waits_takes_the_place_of_one_who_left() {
    let mut receives = two_share((2, 20), (3, 20));
    receives.leave(1);
    assert_eq!(receives.leave(2), Left::Orphaned(1));
    assert_eq!(arrive(&mut receives, ms(2), 3, 1, 20), []);
    assert_eq!(
        receives.returned(ms(3), 1, 5),
        ReceiveOutcome { answers: vec![(3, 0..1)], surplus: 1..5, sends: vec![] }
    );
    assert_eq!(receives.leave(3), Left::Unknown);
}

#[test]
fn an_own_call_whose_caller_left_is_surplus() {
    let mut receives = long_polls();
    arrive(&mut receives, ms(0), 0, 3, 20);
    assert_eq!(receives.leave(0), Left::Orphaned(0));
    assert_eq!(receives.returned(ms(1), 0, 3).surplus, 0..3);
}

#[derive(Clone, Debug)]
enum Step {
    Arrive { want: usize, wait: u32 },
    Leave(prop::sample::Index),
    Reply { which: prop::sample::Index, count: usize },
    Fail(prop::sample::Index),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..=MOST, 1..=20u32).prop_map(|(want, wait)| Step::Arrive { want, wait }),
        1 => any::<prop::sample::Index>().prop_map(Step::Leave),
        3 => (any::<prop::sample::Index>(), 0..=MOST).prop_map(|(which, count)| Step::Reply { which, count }),
        1 => any::<prop::sample::Index>().prop_map(Step::Fail),
        2 => prop_oneof![0..5u64, 900..1100u64, 0..25_000u64].prop_map(Step::Pass),
    ]
}

/// What a caller asked for, seen from outside.
#[derive(Debug)]
struct Asked {
    want: usize,
    until: Duration,
    arrived: Duration,
    trips: usize,
}

/// The world around the machine: a service that answers when its wait is over at the latest, and all that is promised.
struct World {
    kind: PollKind,
    receives: SharedReceives,
    now: Duration,
    /// Neither answered nor gone.
    present: BTreeMap<u64, Asked>,
    in_flight: BTreeMap<u64, (ReceiveRequest, Duration)>,
    someone_left: bool,
    next: u64,
}

impl World {
    fn sends(&mut self, sends: Vec<ReceiveRequest>) {
        for send in sends {
            assert!((1..=MOST).contains(&send.max));
            let flight = &self.receives.in_flight[&send.request];
            let mut wanted = 0;
            for caller in &flight.callers {
                let asked = self.present.get_mut(&caller.id).expect("only those who are there are asked for");
                wanted += asked.want;
                match (self.kind, send.wait) {
                    (PollKind::Long, wait) => {
                        let end = self.now + Duration::from_secs(wait.into());
                        assert!(end <= asked.until + TOLERANCE || wait == 0, "nobody waits past its own time");
                    }
                    (PollKind::Short, wait) => assert_eq!(wait, 0),
                }
                assert_eq!(send.own.is_some(), flight.callers.len() == 1 && asked.trips == 0);
                asked.trips += 1;
            }
            assert_eq!(send.max, wanted, "as much is asked for as is wanted");
            self.in_flight.insert(send.request, (send, self.now));
        }
    }

    fn reply(&mut self, request: u64, count: usize) {
        let (send, _) = self.in_flight.remove(&request).expect("it is under way");
        let count = count.min(send.max);
        let outcome = self.receives.returned(self.now, request, count);
        let mut next = 0;
        for (id, range) in &outcome.answers {
            let asked = self.present.remove(id).expect("each is answered once");
            assert!(range.len() <= asked.want, "nobody gets more than it asked for");
            assert_eq!(range.start, next, "nothing is dealt twice, nothing is left out");
            next = range.end;
            assert!(!range.is_empty() || count == 0, "an empty answer follows from an empty reply only");
        }
        assert_eq!(outcome.surplus, next..count);
        assert!(outcome.surplus.is_empty() || self.someone_left, "surplus comes of leaving alone");
        self.sends(outcome.sends);
    }

    /// Time passes; on the way whatever falls due happens.
    fn pass(&mut self, until: Duration) {
        loop {
            let tick = self.receives.next_tick().map(|at| (at, None));
            let replies = self
                .in_flight
                .iter()
                .map(|(request, (send, at))| (*at + Duration::from_secs(send.wait.into()), Some(*request)));
            let Some((at, request)) = replies.chain(tick).min().filter(|(at, _)| *at <= until) else { break };
            self.now = self.now.max(at);
            match request {
                Some(request) => self.reply(request, 0),
                None => {
                    let sends = self.receives.tick(self.now);
                    self.sends(sends);
                }
            }
        }
        self.now = until;
        for asked in self.present.values() {
            assert!(asked.trips > 0 || self.now < asked.arrived + LINGER, "nobody lingers");
            if self.kind == PollKind::Long {
                assert!(self.now <= asked.until + TOLERANCE, "nobody waits past its own time");
            }
        }
    }

    fn play(&mut self, step: Step) {
        let requests: Vec<u64> = self.in_flight.keys().copied().collect();
        match step {
            Step::Arrive { want, wait } => {
                let wait = if self.kind == PollKind::Long { wait } else { 0 };
                let until = self.now + Duration::from_secs(wait.into());
                let id = self.next;
                self.next += 1;
                self.present.insert(id, Asked { want, until, arrived: self.now, trips: 0 });
                let sends = arrive(&mut self.receives, self.now, id, want, wait);
                self.sends(sends);
            }
            Step::Leave(which) if !self.present.is_empty() => {
                let id = *which.get(&self.present.keys().collect::<Vec<_>>());
                let id = *id;
                self.present.remove(&id);
                self.someone_left = true;
                assert_ne!(self.receives.leave(id), Left::Unknown);
                assert_eq!(self.receives.leave(id), Left::Unknown);
            }
            Step::Reply { which, count } if !requests.is_empty() => self.reply(*which.get(&requests), count),
            Step::Fail(which) if !requests.is_empty() => {
                let request = *which.get(&requests);
                self.in_flight.remove(&request);
                let (told, sends) = self.receives.failed(self.now, request);
                for id in told {
                    assert!(self.present.remove(&id).is_some(), "each is answered once");
                }
                self.sends(sends);
            }
            Step::Pass(milliseconds) => self.pass(self.now + ms(milliseconds)),
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens(
        kind in prop_oneof![Just(PollKind::Long), Just(PollKind::Short)],
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut world = World {
            kind,
            receives: SharedReceives::new(kind, LINGER),
            now: Duration::ZERO,
            present: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            someone_left: false,
            next: 0,
        };
        for step in steps {
            world.play(step);
            prop_assert_eq!(world.receives.is_idle(), world.in_flight.is_empty() && world.receives.waiting.is_empty());
        }
        // In the end everybody has an answer, and nothing is left.
        for _ in 0..3 {
            world.pass(world.now + Duration::from_secs(21));
        }
        prop_assert!(world.present.is_empty());
        prop_assert!(world.receives.is_idle());
    }
}
