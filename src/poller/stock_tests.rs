use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const V: Duration = Duration::from_secs(30);

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn terms(groups: Groups) -> Terms {
    Terms { visibility: V, life: V / 2, patience: s(0), groups, keeps: true }
}

fn stock(groups: Groups) -> Stock<u64> {
    Stock::new(terms(groups))
}

fn message(message: u64, group: Option<&str>) -> Incoming<u64> {
    Incoming { message, handle: format!("h{message}").into(), group: group.map(Into::into), bytes: 10 }
}

fn act(id: u64, what: What) -> Act {
    Act { id, handle: format!("h{id}").into(), what }
}

#[test]
fn what_is_left_of_its_life_decides() {
    let mut stock = stock(Groups::None);
    stock.receive(s(2), s(0), [message(0, None)]);
    assert!(stock.take(s(16)).is_none(), "received at 2, but the lease runs from 0");
    assert_eq!(stock.next_tick(), Some(s(15)));
    assert_eq!(stock.tick(s(16)), [act(0, What::Extend)]);
    assert_eq!(stock.tick(s(16)), []);
    assert!(stock.take(s(17)).is_none(), "it is not known yet whether it is extended");
    assert_eq!(stock.extended(s(17), 0, Extension::Done(s(16))), []);
    let taken = stock.take(s(20)).unwrap();
    assert_eq!((taken.message, taken.waited), (0, s(18)));
}

#[test]
fn one_tick_extends_what_is_due_soon_as_well() {
    let mut stock = stock(Groups::None);
    stock.receive(s(0), s(0), [message(0, None)]);
    stock.receive(s(4), s(4), [message(1, None)]);
    stock.receive(s(9), s(9), [message(2, None)]);
    assert_eq!(stock.tick(s(14)), []);
    assert_eq!(stock.tick(s(15)), [act(0, What::Extend), act(1, What::Extend)]);
}

#[test]
fn what_waits_in_vain_is_given_back() {
    let mut stock = stock(Groups::None);
    stock.receive(s(0), s(0), [message(0, None), message(1, None)]);
    assert_eq!(stock.tick(s(15)).len(), 2);
    stock.extended(s(15), 0, Extension::Done(s(15)));
    assert_eq!(stock.tick(s(30)), [act(0, What::Visible(0))], "the other's extension is not answered");
    assert_eq!(stock.extended(s(31), 1, Extension::Done(s(15))), [act(1, What::Visible(0))]);
    assert!(stock.is_empty());
    assert_eq!(stock.buffered(), (0, 0));
}

#[test]
fn what_we_let_wait_is_kept() {
    let mut stock = Stock::new(Terms { patience: s(60), ..terms(Groups::None) });
    stock.receive(s(0), s(0), [message(0, None)]);
    for at in [15, 30, 45, 60] {
        assert_eq!(stock.next_tick(), Some(s(at)));
        assert_eq!(stock.tick(s(at)), [act(0, What::Extend)]);
        stock.extended(s(at), 0, Extension::Done(s(at)));
    }
    assert!(stock.has_ready(s(60)), "its batch is as full as it will be");
    assert_eq!(stock.tick(s(75)), [act(0, What::Visible(0))], "and nobody has come");
    let mut stock = Stock::new(Terms { patience: Duration::MAX, ..terms(Groups::None) });
    stock.receive(s(0), s(0), [message(0, None)]);
    assert_eq!(stock.next_tick(), Some(s(15)));
}

#[test]
fn what_waits_is_extended_before_it_is_too_old_to_be_taken() {
    let mut stock = Stock::new(Terms { life: V * 4 / 5, ..terms(Groups::None) });
    stock.receive(s(0), s(0), [message(0, None), message(1, None)]);
    stock.take(s(0)).unwrap();
    assert_eq!(stock.next_tick(), Some(s(6)));
    assert!(stock.has_ready(s(6)));
    assert_eq!(stock.tick(s(6)), [act(1, What::Extend)], "the one that was taken has time until half of it is over");
    stock.extended(s(6), 1, Extension::Done(s(6)));
    assert!(stock.has_ready(s(7)));
    stock.set_visibility(V, V);
    assert_eq!(stock.next_tick(), Some(s(9)), "what cannot be had is not asked for without end");
}

#[test]
fn the_heartbeat_stops_before_the_delete() {
    let mut stock = stock(Groups::None);
    stock.receive(s(0), s(0), [message(0, None), message(1, None)]);
    stock.take(s(0)).unwrap();
    stock.take(s(0)).unwrap();
    assert_eq!(stock.tick(s(15)).len(), 2);
    assert_eq!(stock.finish(0, Ending::Delete), [], "the extension may still be on its way");
    assert_eq!(stock.extended(s(16), 0, Extension::Gone), [act(0, What::Delete)]);
    stock.extended(s(16), 1, Extension::Done(s(15)));
    assert_eq!(stock.finish(1, Ending::Delete), [act(1, What::Delete)]);
    assert_eq!(stock.finish(1, Ending::Delete), [], "once");
    assert_eq!(stock.next_tick(), None);
}

#[test]
fn an_extension_that_fails_is_tried_again_until_the_time_is_over() {
    let mut stock = stock(Groups::None);
    stock.receive(s(0), s(0), [message(0, None)]);
    assert_eq!(stock.tick(s(15)).len(), 1);
    stock.extended(s(15), 0, Extension::Failed);
    assert_eq!(stock.next_tick(), Some(s(18)));
    assert_eq!(stock.tick(s(29)).len(), 1);
    assert_eq!(stock.extended(s(31), 0, Extension::Failed), []);
    assert_eq!((stock.lost(), stock.is_empty()), (1, true));
}

#[test]
fn a_lost_one_is_not_handed_over() {
    let mut stock = stock(Groups::Ordered);
    stock.receive(s(0), s(0), [message(0, Some("a")), message(1, Some("b")), message(2, Some("a"))]);
    assert_eq!(stock.tick(s(15)).len(), 3);
    assert_eq!(stock.extended(s(15), 1, Extension::Done(s(15))), []);
    assert_eq!(stock.extended(s(15), 2, Extension::Done(s(15))), []);
    assert!(stock.take(s(15)).is_none(), "in order");
    assert_eq!(stock.extended(s(15), 0, Extension::Gone), [act(2, What::Visible(0))], "its group goes with it");
    assert_eq!(stock.take(s(15)).unwrap().message, 1);
}

#[test]
fn one_of_a_group_at_a_time() {
    let mut stock = stock(Groups::Locked);
    stock.receive(s(0), s(0), [message(0, Some("a")), message(1, Some("a")), message(2, Some("b"))]);
    assert_eq!(stock.take(s(1)).unwrap().message, 0);
    assert_eq!(stock.take(s(1)).unwrap().message, 2);
    assert!(stock.take(s(1)).is_none());
    assert_eq!(stock.finish(0, Ending::Delete), [act(0, What::Delete)]);
    assert_eq!(stock.take(s(1)).unwrap().message, 1);
}

#[test]
fn what_stands_behind_a_failure_goes_back() {
    let mut stock = stock(Groups::Locked);
    stock.receive(s(0), s(0), (0..3).map(|number| message(number, Some("a"))));
    stock.take(s(1)).unwrap();
    let acts = stock.finish(0, Ending::Visible(7));
    assert_eq!(acts, [act(0, What::Visible(7)), act(1, What::Visible(0)), act(2, What::Visible(0))]);
    assert!(stock.is_empty());
    // The group starts anew.
    stock.receive(s(9), s(9), [message(3, Some("a"))]);
    assert_eq!(stock.take(s(9)).unwrap().message, 3);
}

#[test]
fn several_of_a_group_for_one_taker() {
    let mut stock = stock(Groups::Locked);
    stock.receive(s(0), s(0), (0..4).map(|number| message(number, Some("a"))));
    assert_eq!(stock.take(s(1)).unwrap().id, 0);
    assert_eq!(stock.take_behind(s(1), 0).unwrap().message, 1);
    assert!(stock.take(s(1)).is_none());
    assert_eq!(stock.finish(0, Ending::Visible(0)).len(), 1, "the other is still being handled");
    assert_eq!(stock.finish(1, Ending::Delete).len(), 3, "and now the two behind go back");
}

#[test]
fn fair_queues_are_no_fifo_queues() {
    let mut stock = stock(Groups::None);
    stock.receive(s(0), s(0), [message(0, Some("a")), message(1, Some("a"))]);
    assert!(stock.take(s(1)).is_some() && stock.take(s(1)).is_some());
}

#[test]
fn without_a_visibility_timeout_nothing_is_leased() {
    let mut stock = Stock::new(Terms { visibility: s(0), life: s(0), ..terms(Groups::None) });
    stock.receive(s(0), s(0), [message(0, None)]);
    assert_eq!((stock.next_tick(), stock.tick(s(99))), (None, vec![]));
    assert!(stock.take(s(99)).is_some());
}

#[test]
fn what_is_abandoned_becomes_visible() {
    let mut stock = stock(Groups::Locked);
    stock.receive(s(0), s(0), [message(0, Some("a")), message(1, Some("a")), message(2, Some("b"))]);
    stock.take(s(1)).unwrap();
    assert_eq!(stock.give_back_all(), [act(1, What::Visible(0)), act(2, What::Visible(0))]);
    assert_eq!(stock.abandon(), [act(0, What::Visible(0))]);
    assert!(stock.is_empty());
    assert_eq!(stock.finish(0, Ending::Delete), []);
}

#[derive(Clone, Debug)]
enum Step {
    Receive(Vec<u8>),
    Take,
    TakeBehind(prop::sample::Index),
    Finish(prop::sample::Index, Ending),
    Pass(u64),
    Answer(prop::sample::Index, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let ending = prop_oneof![4 => Just(Ending::Delete), 1 => Just(Ending::Visible(3)), 1 => Just(Ending::Leave)];
    let index = any::<prop::sample::Index>;
    prop_oneof![
        2 => prop::collection::vec(0..4u8, 1..10).prop_map(Step::Receive),
        4 => Just(Step::Take),
        1 => index().prop_map(Step::TakeBehind),
        4 => (index(), ending).prop_map(|(which, ending)| Step::Finish(which, ending)),
        3 => (0..12_000u64).prop_map(Step::Pass),
        4 => (index(), 0..8u8).prop_map(|(which, kind)| Step::Answer(which, kind)),
    ]
}

/// What is known of the messages from outside.
struct World {
    stock: Stock<u64>,
    groups: Groups,
    now: Duration,
    next: u64,
    group: BTreeMap<u64, u8>,
    handed: BTreeSet<u64>,
    out: BTreeSet<u64>,
    /// Extensions under way, and when they left.
    extending: BTreeMap<u64, Duration>,
    expires: BTreeMap<u64, Duration>,
    /// Asked to be deleted or visible.
    ended: BTreeSet<u64>,
    /// The last of each group that was handed over since the group last started anew.
    last: BTreeMap<u8, u64>,
}

impl World {
    fn acts(&mut self, acts: Vec<Act>) {
        for act in acts {
            assert!(!self.ended.contains(&act.id), "nothing follows an ending");
            assert!(!self.extending.contains_key(&act.id), "one thing at a time");
            assert_eq!(&*act.handle, format!("h{}", act.id));
            if act.what == What::Extend {
                self.extending.insert(act.id, self.now);
            } else {
                assert!(!self.out.contains(&act.id), "what is being handled is not given back");
                self.ended.insert(act.id);
            }
        }
    }

    fn taken(&mut self, taken: &Taken<u64>) {
        let (id, group) = (taken.message, self.group[&taken.message]);
        assert_eq!(taken.id, id);
        assert!(self.handed.insert(id), "once");
        assert!(!self.ended.contains(&id), "not after it was given back");
        assert!(self.expires[&id] >= self.now + V / 2, "with half of its life left");
        if self.groups != Groups::None {
            let last = self.last.insert(group, id);
            assert!(last.is_none_or(|last| last < id), "in order");
        }
        self.out.insert(id);
    }

    fn locked(&self, group: u8, but: &[u64]) -> bool {
        self.out.iter().any(|id| self.group[id] == group && !but.contains(id))
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::Receive(groups) => {
                // As the service has it: nothing of a group comes while something of it is on its way or held.
                let free = |group: &u8| {
                    self.groups == Groups::None
                        || !self
                            .group
                            .iter()
                            .any(|(id, other)| other == group && !self.ended.contains(id) && !self.done(*id))
                };
                let groups: Vec<u8> = groups.into_iter().filter(free).collect();
                let mut incoming = Vec::new();
                for group in groups {
                    let id = self.next;
                    self.next += 1;
                    self.group.insert(id, group);
                    self.expires.insert(id, self.now + V);
                    incoming.push(message(id, Some(&group.to_string())));
                }
                self.stock.receive(self.now, self.now, incoming);
            }
            Step::Take => {
                if let Some(taken) = self.stock.take(self.now) {
                    if self.groups == Groups::Locked {
                        assert!(!self.locked(self.group[&taken.message], &[]), "one of a group at a time");
                    }
                    self.taken(&taken);
                }
            }
            Step::TakeBehind(which) if !self.out.is_empty() && self.groups == Groups::Locked => {
                let first = **which.get(&self.out.iter().collect::<Vec<_>>());
                if let Some(taken) = self.stock.take_behind(self.now, first) {
                    assert_eq!(self.group[&taken.message], self.group[&first]);
                    self.taken(&taken);
                }
            }
            Step::Finish(which, ending) if !self.out.is_empty() => {
                let id = **which.get(&self.out.iter().collect::<Vec<_>>());
                self.out.remove(&id);
                let acts = self.stock.finish(id, ending);
                self.acts(acts);
                if ending == Ending::Leave {
                    self.ended.insert(id);
                }
            }
            Step::Pass(milliseconds) => {
                let until = self.now + Duration::from_millis(milliseconds);
                while let Some(tick) = self.stock.next_tick().filter(|tick| *tick <= until) {
                    self.now = self.now.max(tick);
                    let acts = self.stock.tick(self.now);
                    assert!(!acts.is_empty() || self.stock.next_tick() != Some(tick), "no tick in vain");
                    self.acts(acts);
                }
                self.now = until;
            }
            Step::Answer(which, kind) if !self.extending.is_empty() => {
                let id = **which.get(&self.extending.keys().collect::<Vec<_>>());
                let sent = self.extending.remove(&id).unwrap();
                let extension = match kind {
                    0 => Extension::Gone,
                    1 => Extension::Failed,
                    _ => Extension::Done(sent),
                };
                if let Extension::Done(sent) = extension {
                    self.expires.insert(id, sent + V);
                }
                let acts = self.stock.extended(self.now, id, extension);
                self.acts(acts);
            }
            _ => {}
        }
    }

    /// Not held any more, without having been asked for.
    fn done(&self, id: u64) -> bool {
        !self.stock.leases.contains_key(&id)
    }
}

proptest! {
    #[test]
    fn whatever_happens(
        groups in prop_oneof![Just(Groups::None), Just(Groups::Ordered), Just(Groups::Locked)],
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World {
            stock: stock(groups),
            groups,
            now: Duration::ZERO,
            next: 0,
            group: BTreeMap::new(),
            handed: BTreeSet::new(),
            out: BTreeSet::new(),
            extending: BTreeMap::new(),
            expires: BTreeMap::new(),
            ended: BTreeSet::new(),
            last: BTreeMap::new(),
        };
        for step in steps {
            world.play(step);
            let waiting = world.stock.leases.values().filter(|lease| lease.message.is_some()).count();
            prop_assert_eq!(world.stock.buffered(), (waiting, waiting * 10));
            prop_assert_eq!(world.stock.in_progress(), world.out.len());
        }
        // The end: nothing stays invisible beyond what is being handled, and then nothing at all.
        let acts = world.stock.give_back_all();
        world.acts(acts);
        prop_assert_eq!(world.stock.buffered(), (0, 0));
        world.out.clear();
        let acts = world.stock.abandon();
        world.acts(acts);
        for id in std::mem::take(&mut world.extending).into_keys() {
            let acts = world.stock.extended(world.now, id, Extension::Failed);
            world.acts(acts);
        }
        prop_assert!(world.stock.is_empty());
        prop_assert!(world.stock.groups.is_empty() && world.stock.line.is_empty());
        let lost = (0..world.next).filter(|id| !world.ended.contains(id)).count() as u64;
        prop_assert!(lost <= world.stock.lost());
    }
}
