//! A window under random schedules: arrivals, replies in any order, failures, cancellations, and time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// Something that happens to a window.
#[derive(Clone, Debug)]
enum Event {
    Arrive {
        size: usize,
        group: Option<u8>,
    },
    /// The `which`th request in flight returns.
    Return {
        which: usize,
        outcome: TestOutcome,
    },
    /// The `which`th of all entries so far is no longer wanted.
    Withdraw {
        which: usize,
    },
    Pass {
        milliseconds: u64,
    },
    Flush,
}

#[derive(Clone, Copy, Debug)]
enum TestOutcome {
    Answered,
    /// The entries whose bit is set are to be asked for again, later.
    Faults(u16),
    /// Each entry is to be asked for alone.
    Solo,
}

fn event() -> impl Strategy<Value = Event> {
    let outcome = prop_oneof![
        4 => Just(TestOutcome::Answered),
        2 => any::<u16>().prop_map(TestOutcome::Faults),
        1 => Just(TestOutcome::Solo),
    ];
    let size = prop_oneof![4 => 1usize..40, 1 => 40usize..140];
    prop_oneof![
        8 => (size, proptest::option::weighted(0.9, 0u8..4)).prop_map(|(size, group)| Event::Arrive { size, group }),
        5 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Event::Return { which, outcome }),
        1 => any::<usize>().prop_map(|which| Event::Withdraw { which }),
        3 => (0u64..8).prop_map(|milliseconds| Event::Pass { milliseconds }),
        1 => Just(Event::Flush),
    ]
}

const LIMITS: Limits =
    Limits { entries: 4, bytes: 100, linger: Duration::from_millis(5), max_in_flight: 3, at_once: true };
const REST: Duration = Duration::from_millis(3);

/// The window, and what a driver would know.
struct World {
    window: Window<usize>,
    fifo: bool,
    now: Instant,
    limits: Limits,
    in_flight: Vec<Batch<usize>>,
    /// By entry: size, group, key, arrival.
    entries: Vec<(usize, Option<u8>, EntryKey, Instant)>,
    open: BTreeSet<usize>,
    answered: BTreeSet<usize>,
    withdrawn: BTreeSet<usize>,
    /// Entries that were in a batch refused as a whole.
    solo: BTreeSet<usize>,
    /// By group: what has been answered, in the order of the answers.
    order: BTreeMap<u8, Vec<usize>>,
}

impl World {
    fn new(limits: Limits, fifo: bool) -> World {
        World {
            window: Window::new(limits, fifo),
            fifo,
            now: Instant::now(),
            limits,
            in_flight: Vec::new(),
            entries: Vec::new(),
            open: BTreeSet::new(),
            answered: BTreeSet::new(),
            withdrawn: BTreeSet::new(),
            solo: BTreeSet::new(),
            order: BTreeMap::new(),
        }
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Arrive { size, group } => {
                let name = group.map(|group| format!("g{group}"));
                let key = self.window.push(self.now, size, name.map(Into::into), self.entries.len());
                self.open.insert(self.entries.len());
                self.entries.push((size, group, key, self.now));
            }
            Event::Return { which, outcome } if !self.in_flight.is_empty() => {
                let batch = self.in_flight.remove(which % self.in_flight.len());
                self.return_one(batch, outcome);
            }
            Event::Withdraw { which } if !self.entries.is_empty() => {
                let entry = which % self.entries.len();
                let entries_in_flight =
                    self.in_flight.iter().flat_map(|batch| &batch.entries).any(|it| it.item == entry);
                let withdrawn = self.window.withdraw(&self.entries[entry].2.clone());
                let expected = self.open.contains(&entry) && !entries_in_flight;
                assert_eq!(withdrawn, expected.then_some(entry), "what waits can be withdrawn, and nothing else");
                if expected {
                    self.open.remove(&entry);
                    self.withdrawn.insert(entry);
                }
            }
            Event::Pass { milliseconds } => self.now += Duration::from_millis(milliseconds),
            Event::Flush => self.window.flush(),
            Event::Return { .. } | Event::Withdraw { .. } => {}
        }
        self.send();
    }

    fn return_one(&mut self, batch: Batch<usize>, outcome: TestOutcome) {
        let alone = batch.entries.len() == 1;
        let mut back = Vec::new();
        let mut until = self.now;
        for (place, entry) in batch.entries.into_iter().enumerate() {
            match outcome {
                TestOutcome::Faults(bits) if bits & (1 << place) != 0 => {
                    until = self.now + REST;
                    back.push(entry);
                }
                TestOutcome::Solo if !alone => {
                    self.solo.insert(entry.item);
                    back.push(entry.solo());
                }
                _ => {
                    assert!(self.open.remove(&entry.item), "answered once");
                    self.answered.insert(entry.item);
                    if let Some(group) = self.entries[entry.item].1 {
                        self.order.entry(group).or_default().push(entry.item);
                    }
                }
            }
        }
        if self.fifo {
            // What the driver keeps to: nothing is asked for again that a later one of its group has overtaken.
            let overtaken: Vec<usize> = back
                .iter()
                .map(|entry| entry.item)
                .filter(|item| {
                    let group = self.entries[*item].1;
                    group.and_then(|group| self.order.get(&group)).is_some_and(|order| order.iter().any(|it| it > item))
                })
                .collect();
            back.retain(|entry| !overtaken.contains(&entry.item));
            for item in overtaken {
                self.open.remove(&item);
                self.answered.insert(item);
            }
        }
        self.window.complete(batch.token, back, until);
    }

    /// What leaves, checked against every limit; then, why the rest does not.
    fn send(&mut self) {
        while let Some(batch) = self.window.next(self.now) {
            self.check(&batch);
            self.in_flight.push(batch);
        }
        assert!(self.in_flight.len() <= self.limits.max_in_flight);
        assert_eq!(self.window.unanswered(), self.open.len());
        self.check_waiting();
    }

    fn check(&self, batch: &Batch<usize>) {
        let items: Vec<usize> = batch.entries.iter().map(|entry| entry.item).collect();
        assert!(!items.is_empty() && items.len() <= self.limits.entries, "{items:?}");
        let bytes: usize = items.iter().map(|item| self.entries[*item].0).sum();
        assert!(bytes <= self.limits.bytes || items.len() == 1, "{bytes} bytes in {items:?}");
        for item in &items {
            assert!(self.open.contains(item), "{item} was answered or withdrawn before it left");
            assert!(!self.solo.contains(item) || items.len() == 1, "{item} was to go alone");
            if self.fifo
                && let Some(group) = self.entries[*item].1
            {
                let elsewhere = self.in_flight.iter().flat_map(|batch| &batch.entries);
                assert!(elsewhere.clone().all(|other| self.entries[other.item].1 != Some(group)), "one batch a group");
                let older = self.open.range(..*item).filter(|older| self.entries[**older].1 == Some(group));
                let mut older = older.filter(|older| !items.contains(older));
                assert_eq!(older.next(), None, "an older one of the group was left behind");
            }
        }
        if self.fifo {
            let mut last = BTreeMap::new();
            for item in &items {
                let group = self.entries[*item].1;
                assert!(group.is_none() || last.insert(group, *item) < Some(*item), "in order within the batch");
            }
        }
    }

    /// Nothing waits without a reason, and a reason that time will end has its moment told.
    fn check_waiting(&self) {
        let entries_in_flight: BTreeSet<usize> =
            self.in_flight.iter().flat_map(|batch| &batch.entries).map(|entry| entry.item).collect();
        let held = |item: usize| {
            let group = self.entries[item].1;
            self.fifo && group.is_some() && entries_in_flight.iter().any(|other| self.entries[*other].1 == group)
        };
        let waiting: Vec<usize> =
            self.open.iter().copied().filter(|item| !entries_in_flight.contains(item) && !held(*item)).collect();
        if waiting.is_empty() || self.in_flight.len() >= self.limits.max_in_flight {
            return;
        }
        let deadline = self.window.deadline().expect("somebody waits, and nobody will look again");
        assert!(deadline > self.now, "what is due has not left");
        let longest = waiting.iter().map(|item| self.entries[*item].3 + self.limits.linger).max();
        // A rest may be longer than a linger.
        assert!(Some(deadline) <= longest.map(|longest| longest.max(self.now + REST)));
    }

    /// All requests return, and time passes, until nothing is open.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            if let Some(batch) = self.in_flight.pop() {
                self.return_one(batch, TestOutcome::Answered);
            } else if let Some(deadline) = self.window.deadline() {
                self.now = self.now.max(deadline);
            } else {
                break;
            }
            self.send();
        }
        assert!(self.open.is_empty(), "never answered: {:?}", self.open);
        assert_eq!(self.window.unanswered(), 0);
        assert_eq!(self.answered.len() + self.withdrawn.len(), self.entries.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn every_entry_is_answered_once_within_all_limits(
        events in proptest::collection::vec(event(), 1..150),
        fifo in any::<bool>(),
        at_once in any::<bool>(),
    ) {
        let mut world = World::new(Limits { at_once, ..LIMITS }, fifo);
        for event in &events {
            world.happen(event);
        }
        world.finish();
        if fifo {
            for (group, order) in &world.order {
                prop_assert!(order.is_sorted(), "group {group} out of order: {order:?}");
            }
        }
    }
}

fn window(fifo: bool) -> (Window<u32>, Instant) {
    (Window::new(Limits { entries: 10, bytes: 1000, ..LIMITS }, fifo), Instant::now())
}

fn left(window: &mut Window<u32>, now: Instant) -> Option<(Vec<u32>, Reason, InFlightToken)> {
    let batch = window.next(now)?;
    Some((batch.entries.into_iter().map(|entry| entry.item).collect(), batch.reason, batch.token))
}

#[test]
fn a_lone_entry_leaves_at_once() {
    let (mut window, now) = window(false);
    window.push(now, 10, None, 1);
    let (items, reason, _) = left(&mut window, now).unwrap();
    assert_eq!((items, reason), (vec![1], Reason::Idle));
    assert_eq!(window.deadline(), None);
}

#[test]
fn entries_linger_while_a_request_is_in_flight() {
    let (mut window, now) = window(false);
    window.push(now, 10, None, 0);
    let first = left(&mut window, now).unwrap();
    for item in 1..10 {
        window.push(now, 10, None, item);
        assert!(left(&mut window, now).is_none());
    }
    assert_eq!(window.deadline(), Some(now + LIMITS.linger));
    window.push(now, 10, None, 10);
    let (items, reason, _) = left(&mut window, now).unwrap();
    assert_eq!((items, reason), ((1..=10).collect(), Reason::Full));
    window.push(now, 10, None, 11);
    window.complete(first.2, Vec::new(), now);
    assert!(left(&mut window, now).is_none(), "another is still in flight");
    let (items, reason, _) = left(&mut window, now + LIMITS.linger).unwrap();
    assert_eq!((items, reason), (vec![11], Reason::Linger));
}

#[test]
fn the_last_request_that_returns_takes_the_rest_with_it() {
    let (mut window, now) = window(false);
    window.push(now, 10, None, 0);
    let first = left(&mut window, now).unwrap();
    window.push(now, 10, None, 1);
    assert!(left(&mut window, now).is_none());
    window.complete(first.2, Vec::new(), now);
    let (items, reason, _) = left(&mut window, now).unwrap();
    assert_eq!((items, reason), (vec![1], Reason::Returned));
}

#[test]
fn bytes_end_a_batch_and_an_entry_too_large_goes_alone() {
    let (mut window, now) = window(false);
    window.push(now, 10, None, 0);
    let _first = left(&mut window, now).unwrap();
    window.push(now, 600, None, 1);
    window.push(now, 400, None, 2);
    let (items, reason, _) = left(&mut window, now).unwrap();
    assert_eq!((items, reason), (vec![1, 2], Reason::Bytes), "exactly the limit");
    window.push(now, 999, None, 3);
    window.push(now, 5000, None, 4);
    let (items, reason, token) = left(&mut window, now).unwrap();
    assert_eq!((items, reason), (vec![3], Reason::Bytes));
    window.complete(token, Vec::new(), now);
    let (items, reason, _) = left(&mut window, now).unwrap();
    assert_eq!((items, reason), (vec![4], Reason::Bytes));
}

#[test]
fn the_deadline_is_that_of_the_oldest() {
    let (mut window, now) = window(false);
    window.push(now, 10, None, 0);
    let _first = left(&mut window, now).unwrap();
    let key = window.push(now, 10, None, 1);
    window.push(now + Duration::from_millis(2), 10, None, 2);
    assert_eq!(window.deadline(), Some(now + LIMITS.linger));
    window.withdraw(&key);
    assert_eq!(window.deadline(), Some(now + Duration::from_millis(2) + LIMITS.linger));
}

#[test]
fn a_group_on_a_standard_queue_changes_nothing() {
    let (mut window, now) = window(false);
    window.push(now, 10, Some("a".into()), 0);
    let _first = left(&mut window, now).unwrap();
    window.push(now, 10, Some("a".into()), 1);
    assert!(left(&mut window, now + LIMITS.linger).is_some(), "a second batch of the group");
}

#[test]
fn what_follows_a_fault_in_its_group_waits_for_it() {
    let (mut window, now) = window(true);
    window.push(now, 10, Some("a".into()), 0);
    let batch = window.next(now).unwrap();
    window.push(now, 10, Some("a".into()), 1);
    window.push(now, 10, Some("b".into()), 2);
    window.complete(batch.token, batch.entries, now + REST);
    let (items, _, token) = left(&mut window, now).unwrap();
    assert_eq!(items, [2], "only the other group");
    window.complete(token, Vec::new(), now);
    assert!(left(&mut window, now).is_none());
    let (items, ..) = left(&mut window, now + REST).unwrap();
    assert_eq!(items, [0, 1]);
}
