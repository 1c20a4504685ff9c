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

/// One whose messages are their takers' own affair.
fn untracked() -> Stock<u64> {
    Stock::new(Terms { keeps: false, ..terms(Groups::None) })
}

fn message(message: u64, group: Option<&str>) -> Incoming<u64> {
    Incoming { message, handle: format!("h{message}").into(), group: group.map(Into::into), bytes: 10 }
}

fn messages(numbers: std::ops::Range<u64>, group: Option<&str>) -> Vec<Incoming<u64>> {
    numbers.map(|number| message(number, group)).collect()
}

/// What is asked for, of which message.
fn asked(acts: Vec<Act>) -> Vec<(u64, What)> {
    acts.into_iter()
        .map(|act| {
            assert_eq!(&*act.handle, format!("h{}", act.id));
            (act.id, act.what)
        })
        .collect()
}

const EXTEND: What = What::Extend(30);
const BACK: What = What::Visible(0);

fn error() -> Error {
    Error::Runtime("no".into())
}

fn failed() -> Extension {
    Extension::Failed(error())
}

#[test]
fn what_is_left_of_its_life_decides() {
    let mut stock = untracked();
    stock.receive(s(2), s(0), V, [message(0, None)]);
    assert!(stock.take(s(16)).is_none(), "received at 2, but the lease runs from 0");
    assert_eq!(stock.next_tick(), Some(s(15)));
    assert_eq!(asked(stock.tick(s(16))), [(0, EXTEND)]);
    assert_eq!(asked(stock.tick(s(16))), []);
    assert!(stock.take(s(17)).is_none(), "it is not known yet whether it is extended");
    assert_eq!(asked(stock.extended(s(17), 0, Extension::Done(s(16), 30))), []);
    let taken = stock.take(s(20)).unwrap();
    assert_eq!((taken.message, taken.waited), (0, s(18)));
    assert!(stock.is_empty());
}

#[test]
fn what_stays_leased_is_handed_over_while_it_can_be_extended() {
    let mut stock = stock(Groups::None);
    stock.receive(s(20), s(0), V, [message(0, None), message(1, None)]);
    assert_eq!(asked(stock.tick(s(20))), [(0, EXTEND), (1, EXTEND)]);
    assert_eq!(stock.take(s(20)).unwrap().message, 0, "the extension may take its time");
    assert!(stock.take(s(28)).is_none(), "if it has not come by now it will hardly be in time");
}

#[test]
fn one_tick_extends_what_is_due_soon_as_well() {
    let mut stock = stock(Groups::None);
    stock.receive(s(0), s(0), V, [message(0, None)]);
    stock.receive(s(4), s(4), V, [message(1, None)]);
    stock.receive(s(9), s(9), V, [message(2, None)]);
    assert_eq!(asked(stock.tick(s(14))), []);
    assert_eq!(asked(stock.tick(s(15))), [(0, EXTEND), (1, EXTEND)]);
}

#[test]
fn what_waits_in_vain_is_given_back() {
    let mut stock = stock(Groups::None);
    stock.receive(s(0), s(0), V, [message(0, None), message(1, None)]);
    assert_eq!(stock.tick(s(15)).len(), 2);
    stock.extended(s(15), 0, Extension::Done(s(15), 30));
    stock.extended(s(16), 1, Extension::Done(s(15), 30));
    assert_eq!(asked(stock.tick(s(30))), [(0, BACK), (1, BACK)]);
    assert!(stock.take_deserted());
    assert!(!stock.is_empty() && stock.unsettled() == 2, "they are ours until that is done");
    stock.settled(s(31), 0, Settled::Done);
    stock.settled(s(31), 1, Settled::Done);
    assert!(stock.is_empty());
    assert_eq!((stock.buffered(), stock.unsettled(), stock.lost()), ((0, 0), 0, 0));
}

#[test]
fn what_we_let_wait_is_kept() {
    let mut stock = Stock::new(Terms { patience: s(60), ..terms(Groups::None) });
    stock.receive(s(0), s(0), V, [message(0, None)]);
    for at in [15, 30, 45, 60] {
        assert_eq!(stock.next_tick(), Some(s(at)));
        assert_eq!(asked(stock.tick(s(at))), [(0, EXTEND)]);
        stock.extended(s(at), 0, Extension::Done(s(at), 30));
    }
    assert!(stock.has_ready(s(60)), "its batch is as full as it will be");
    assert_eq!(asked(stock.tick(s(75))), [(0, BACK)], "and nobody has come");
    let mut stock = Stock::new(Terms { patience: Duration::MAX, ..terms(Groups::None) });
    stock.receive(s(0), s(0), V, [message(0, None)]);
    assert_eq!(stock.next_tick(), Some(s(15)));
}

#[test]
fn what_waits_is_extended_before_it_is_too_old_to_be_taken() {
    let mut stock = Stock::new(Terms { life: V * 4 / 5, keeps: false, ..terms(Groups::None) });
    stock.receive(s(0), s(0), V, [message(0, None), message(1, None)]);
    stock.take(s(0)).unwrap();
    assert_eq!(stock.next_tick(), Some(s(6)));
    assert!(stock.has_ready(s(6)));
    assert_eq!(asked(stock.tick(s(6))), [(1, EXTEND)]);
    stock.extended(s(6), 1, Extension::Done(s(6), 30));
    assert!(stock.has_ready(s(7)));
    stock.set_visibility(V, V);
    assert_eq!(asked(stock.tick(s(12))), [(1, EXTEND)]);
    stock.extended(s(12), 1, Extension::Done(s(12), 30));
    assert_eq!(stock.next_tick(), Some(s(15)), "what cannot be had is not asked for without end");
}

#[test]
fn the_heartbeat_stops_before_the_end() {
    let mut stock = stock(Groups::None);
    stock.receive(s(0), s(0), V, [message(0, None), message(1, None)]);
    stock.take(s(0)).unwrap();
    stock.take(s(0)).unwrap();
    assert_eq!(stock.tick(s(15)).len(), 2);
    assert_eq!(asked(stock.finish(s(15), 0, Ending::Delete)), [(0, What::Delete)], "whichever arrives first");
    assert_eq!(asked(stock.finish(s(15), 0, Ending::Delete)), [], "once");
    assert_eq!(asked(stock.extended(s(16), 0, Extension::Gone(error()))), [], "it is deleted");
    assert_eq!(asked(stock.finish(s(15), 1, Ending::Visible(3))), [], "the extension may still be on its way");
    assert_eq!(asked(stock.extended(s(16), 1, Extension::Done(s(15), 30))), [(1, What::Visible(2))]);
    stock.settled(s(17), 0, Settled::Done);
    stock.settled(s(17), 1, Settled::Done);
    assert_eq!((stock.next_tick(), stock.is_empty()), (None, true));
}

#[test]
fn a_lease_that_has_run_out_is_left_alone() {
    let mut stock = stock(Groups::None);
    stock.receive(s(0), s(0), V, messages(0..3, None));
    stock.take(s(1)).unwrap();
    stock.take(s(1)).unwrap();
    assert_eq!(stock.next_tick(), Some(s(15)));
    // The process stood still.
    assert_eq!(asked(stock.finish(s(40), 1, Ending::Delete)), []);
    assert_eq!(asked(stock.tick(s(40))), []);
    assert_eq!(asked(stock.give_back_all(s(40))), []);
    assert_eq!(asked(stock.finish(s(41), 0, Ending::Delete)), []);
    assert_eq!((stock.lost(), stock.is_empty()), (3, true));
    let told = stock.told();
    assert!(matches!(told.as_slice(), [Told::Lost(1, None), Told::Lost(0, None)]), "{told:?}");
}

#[test]
fn an_extension_that_fails_is_tried_again_until_the_time_is_over() {
    let mut stock = stock(Groups::None);
    stock.receive(s(0), s(0), V, [message(0, None)]);
    stock.take(s(0)).unwrap();
    assert_eq!(stock.tick(s(15)).len(), 1);
    stock.extended(s(15), 0, failed());
    assert_eq!(stock.next_tick(), Some(s(18)));
    assert_eq!(stock.tick(s(29)).len(), 1);
    assert_eq!(stock.next_tick(), Some(s(30)), "it is lost then, whatever the answer");
    assert_eq!(stock.tick(s(30)).len(), 0);
    assert_eq!(stock.extended(s(31), 0, Extension::Done(s(29), 30)).len(), 0);
    assert!(matches!(stock.told().as_slice(), [Told::Lost(0, Some(Error::Runtime(_)))]));
    assert_eq!((stock.lost(), stock.is_empty(), stock.in_progress()), (1, true, 1));
    assert_eq!(asked(stock.finish(s(50), 0, Ending::Delete)), []);
    assert_eq!(stock.in_progress(), 0);
}

#[test]
fn what_is_to_be_invisible_for_longer_than_sqs_allows_is_for_as_long_as_it_does() {
    const HOUR: u64 = 3_600;
    let mut stock = stock(Groups::None);
    stock.receive(s(10), s(0), V, messages(0..2, None));
    for id in 0..2 {
        stock.take(s(10)).unwrap();
        assert_eq!(stock.tick(s(15)).len(), if id == 0 { 2 } else { 0 });
    }
    (0..2).for_each(|id| drop(stock.extended(s(15), id, Extension::Done(s(15), 30))));
    assert_eq!(asked(stock.finish(s(20), 0, Ending::Visible(43_200))), [(0, What::Visible(43_179))]);
    let mut now = s(15);
    let mut last = 0;
    while let Some(tick) = stock.next_tick() {
        now = tick;
        for (id, what) in asked(stock.tick(now)) {
            let What::Extend(seconds) = what else { unreachable!("{what:?}") };
            last = seconds;
            stock.extended(now, id, Extension::Done(now, seconds));
        }
    }
    assert_eq!((now, last), (s(12 * HOUR - 1), 29), "extended to the last second, then lost");
    assert!(matches!(stock.told().as_slice(), [Told::Lost(1, None)]));
}

#[test]
fn a_delete_that_fails_is_asked_for_again_while_the_lease_is_kept() {
    let mut stock = stock(Groups::None);
    stock.receive(s(0), s(0), V, messages(0..2, None));
    stock.take(s(0)).unwrap();
    stock.take(s(0)).unwrap();
    assert_eq!(asked(stock.finish(s(14), 0, Ending::Delete)), [(0, What::Delete)]);
    stock.settled(s(14), 0, Settled::Unknown(error()));
    let again = s(14) + Duration::from_millis(100);
    assert_eq!((stock.next_tick(), stock.unsettled()), (Some(again), 1));
    assert_eq!(asked(stock.tick(again)), [(0, What::Delete)]);
    stock.settled(s(20), 0, Settled::Failed(error()));
    let acts = asked(stock.tick(s(20)));
    assert_eq!(acts, [(0, EXTEND), (1, EXTEND)], "it is ours still, and has to stay so");
    stock.extended(s(20), 0, Extension::Done(s(20), 30));
    assert_eq!(asked(stock.tick(s(21))), [(0, What::Delete)]);
    stock.settled(s(21), 0, Settled::Refused(error()));
    assert!(matches!(stock.told().as_slice(), [Told::Failed(0, Ending::Delete, Some(_))]));
    stock.extended(s(20), 1, Extension::Done(s(20), 30));
    assert_eq!(asked(stock.finish(s(22), 1, Ending::Visible(9))), [(1, What::Visible(9))]);
    stock.settled(s(23), 1, Settled::Failed(error()));
    assert_eq!(asked(stock.tick(s(25))), [(1, What::Visible(6))], "what is left of the delay");
    stock.settled(s(26), 1, Settled::Unknown(error()));
    assert!(matches!(stock.told().as_slice(), [Told::Failed(1, Ending::Visible(9), Some(_))]), "it may be another's");
    assert!(stock.is_empty());
}

#[test]
fn a_delete_without_an_answer_does_not_let_its_message_expire() {
    let mut stock = stock(Groups::None);
    stock.receive(s(0), s(0), V, messages(0..1, None));
    stock.take(s(0)).unwrap();
    assert_eq!(asked(stock.finish(s(1), 0, Ending::Delete)), [(0, What::Delete)]);
    assert_eq!(asked(stock.tick(s(15))), [(0, EXTEND)]);
    stock.extended(s(16), 0, Extension::Done(s(15), 30));
    assert_eq!(asked(stock.tick(s(30))), [(0, EXTEND)]);
    stock.extended(s(31), 0, failed());
    assert_eq!(asked(stock.tick(s(50))), [], "it has run out: the answer is the last word");
    stock.settled(s(61), 0, Settled::Done);
    assert_eq!((stock.is_empty(), stock.lost()), (true, 0));
}

#[test]
fn a_lost_one_is_not_handed_over() {
    let mut stock = Stock::new(Terms { keeps: false, ..terms(Groups::Ordered) });
    stock.receive(s(0), s(0), V, [message(0, Some("a")), message(1, Some("b")), message(2, Some("a"))]);
    assert_eq!(stock.tick(s(15)).len(), 3);
    assert_eq!(asked(stock.extended(s(15), 1, Extension::Done(s(15), 30))), []);
    assert_eq!(asked(stock.extended(s(15), 2, Extension::Done(s(15), 30))), []);
    assert!(stock.take(s(15)).is_none(), "in order");
    assert_eq!(asked(stock.extended(s(15), 0, Extension::Gone(error()))), [(2, BACK)], "its group goes with it");
    assert_eq!(stock.take(s(15)).unwrap().message, 1);
}

#[test]
fn one_of_a_group_at_a_time() {
    let mut stock = stock(Groups::Locked);
    stock.receive(s(0), s(0), V, [message(0, Some("a")), message(1, Some("a")), message(2, Some("b"))]);
    assert_eq!(stock.available(), 2, "one of each group");
    assert_eq!(stock.take(s(1)).unwrap().message, 0);
    assert_eq!(stock.take(s(1)).unwrap().message, 2);
    assert!(stock.take(s(1)).is_none());
    assert_eq!(asked(stock.finish(s(9), 0, Ending::Delete)), [(0, What::Delete)]);
    assert_eq!(stock.oldest(), Some(s(9)), "it could not have been taken before");
    assert_eq!(stock.take(s(9)).unwrap().message, 1);
}

#[test]
fn what_stands_behind_a_failure_goes_back() {
    let mut stock = stock(Groups::Locked);
    stock.receive(s(0), s(0), V, messages(0..3, Some("a")));
    stock.take(s(1)).unwrap();
    let acts = stock.finish(s(1), 0, Ending::Visible(7));
    assert_eq!(asked(acts), [(0, What::Visible(7)), (1, BACK), (2, BACK)]);
    // The group starts anew.
    stock.receive(s(9), s(9), V, [message(3, Some("a"))]);
    assert_eq!(stock.take(s(9)).unwrap().message, 3);
}

#[test]
fn a_lost_one_does_not_hold_its_group() {
    let mut stock = stock(Groups::Locked);
    stock.receive(s(0), s(0), V, messages(0..2, Some("a")));
    stock.take(s(1)).unwrap();
    assert_eq!(stock.tick(s(15)).len(), 2);
    stock.extended(s(16), 1, Extension::Done(s(15), 30));
    assert_eq!(asked(stock.extended(s(16), 0, Extension::Gone(error()))), [(1, BACK)]);
    stock.receive(s(20), s(20), V, [message(2, Some("a"))]);
    assert_eq!(stock.take(s(20)).unwrap().message, 2);
    assert_eq!(asked(stock.finish(s(21), 0, Ending::Delete)), []);
    assert!(stock.take(s(21)).is_none());
    assert_eq!(asked(stock.finish(s(22), 2, Ending::Delete)), [(2, What::Delete)]);
}

#[test]
fn several_of_a_group_for_one_taker() {
    let mut stock = stock(Groups::Locked);
    stock.receive(s(0), s(0), V, messages(0..4, Some("a")));
    assert_eq!(stock.take(s(1)).unwrap().id, 0);
    assert_eq!(stock.take_behind(s(1), 0).unwrap().message, 1);
    assert!(stock.take(s(1)).is_none());
    assert_eq!(stock.finish(s(1), 0, Ending::Visible(0)).len(), 1, "the other is still being handled");
    assert_eq!(stock.finish(s(1), 1, Ending::Delete).len(), 3, "and now the two behind go back");
}

#[test]
fn fair_queues_are_no_fifo_queues() {
    let mut stock = stock(Groups::None);
    stock.receive(s(0), s(0), V, messages(0..2, Some("a")));
    assert!(stock.take(s(1)).is_some() && stock.take(s(1)).is_some());
}

#[test]
fn without_a_visibility_timeout_nothing_is_leased() {
    let mut stock = Stock::new(Terms { visibility: s(0), life: s(0), keeps: false, ..terms(Groups::None) });
    stock.receive(s(0), s(0), s(0), [message(0, None)]);
    assert_eq!((stock.next_tick(), asked(stock.tick(s(99)))), (None, vec![]));
    assert!(stock.take(s(99)).is_some());
}

#[test]
fn what_is_abandoned_becomes_visible() {
    let mut stock = stock(Groups::Locked);
    stock.receive(s(0), s(0), V, [message(0, Some("a")), message(1, Some("a")), message(2, Some("b"))]);
    stock.take(s(1)).unwrap();
    assert_eq!(asked(stock.give_back_all(s(1))), [(1, BACK), (2, BACK)]);
    assert_eq!(asked(stock.abandon(s(1))), [(0, BACK)]);
    assert_eq!(stock.unsettled(), 3);
    assert_eq!(asked(stock.finish(s(1), 0, Ending::Delete)), []);
}

/// As a service may escape it.
fn slashed(number: u64) -> Incoming<u64> {
    Incoming { message: number, handle: format!("\"a\\/{number}\"").into(), group: None, bytes: 1 }
}

/// Two messages that were asked for at 0, came at 2 and are handed over.
fn two_handed_over() -> Stock<u64> {
    let mut stock = stock(Groups::None);
    stock.receive(s(2), s(0), V, [slashed(0), slashed(1)]);
    assert!(stock.take(s(2)).is_some() && stock.take(s(2)).is_some());
    stock
}

#[test]
fn a_message_whose_handler_changed_it_is_left_alone() {
    let mut stock = two_handed_over();
    stock.leave_alone(s(5), "a/0", 600);
    let extended: Vec<u64> = stock.tick(s(15)).into_iter().map(|act| act.id).collect();
    assert_eq!(extended, [1]);
    assert!(stock.finish(s(16), 0, Ending::Visible(5)).is_empty(), "it has chosen its delay");
}

#[test]
fn it_is_ours_for_as_long_as_the_handler_has_asked_for() {
    let mut stock = two_handed_over();
    stock.leave_alone(s(5), "a/0", 600);
    stock.leave_alone(s(5), "a/1", 3);
    stock.tick(s(9));
    assert_eq!(stock.lost(), 1, "it is visible again");
    let acts = stock.finish(s(500), 0, Ending::Delete);
    assert_eq!(acts.into_iter().map(|act| (act.id, act.what)).collect::<Vec<_>>(), [(0, What::Delete)]);
}

#[test]
fn what_is_not_handed_over_is_nobodys_to_change() {
    let mut stock = two_handed_over();
    stock.receive(s(2), s(0), V, [slashed(2)]);
    stock.leave_alone(s(3), "a/2", 600);
    assert_eq!(stock.tick(s(15)).len(), 3);
}

#[derive(Clone, Debug)]
enum Step {
    Receive(Vec<u8>),
    Take,
    TakeBehind(prop::sample::Index),
    Finish(prop::sample::Index, Ending),
    Pass(u64),
    Stall(u64),
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
        1 => (0..40_000u64).prop_map(Step::Stall),
        6 => (index(), 0..8u8).prop_map(|(which, kind)| Step::Answer(which, kind)),
    ]
}

/// What is known of the messages from outside.
struct World {
    stock: Stock<u64>,
    groups: Groups,
    keeps: bool,
    now: Duration,
    next: u64,
    group: BTreeMap<u64, u8>,
    handed: BTreeSet<u64>,
    out: BTreeSet<u64>,
    /// What is asked for and not answered, and when it left; by message, and whether it is an extension.
    asked: BTreeMap<(u64, bool), (What, Duration)>,
    expires: BTreeMap<u64, Duration>,
    /// What its taker wants for it, or we: other than an extension it is not kept for anybody any more.
    ended: BTreeSet<u64>,
    /// Done with: deleted, visible again, refused, lost.
    gone: BTreeSet<u64>,
    /// The last of each group that was handed over since the group last started anew.
    last: BTreeMap<u8, u64>,
}

impl World {
    fn acts(&mut self, acts: Vec<Act>) {
        for (id, what) in asked(acts) {
            assert!(!self.gone.contains(&id), "nothing is asked for what is gone");
            assert!(self.expires[&id] > self.now, "nor for what has run out");
            let extends = matches!(what, What::Extend(_));
            assert!(self.asked.insert((id, extends), (what, self.now)).is_none(), "one at a time");
            assert!(what == What::Delete || self.visible_alone(id), "not an extension and a give-back");
            match what {
                What::Extend(_) => {}
                What::Delete | What::Visible(_) => {
                    assert!(!self.out.contains(&id), "what is being handled is not given back");
                    self.ended.insert(id);
                }
            }
        }
    }

    fn taken(&mut self, taken: &Taken<u64>) {
        let (id, group) = (taken.message, self.group[&taken.message]);
        assert_eq!(taken.id, id);
        assert!(self.handed.insert(id), "once");
        assert!(!self.ended.contains(&id), "not after it was given back");
        let left = if self.keeps { Duration::from_millis(1) } else { V / 2 };
        assert!(self.expires[&id] >= self.now + left, "with enough of its life left");
        if self.groups != Groups::None {
            let last = self.last.insert(group, id);
            assert!(last.is_none_or(|last| last < id), "in order");
        }
        if self.keeps {
            self.out.insert(id);
        } else {
            self.gone.insert(id);
        }
    }

    fn visible_alone(&self, id: u64) -> bool {
        let gives_back = matches!(self.asked.get(&(id, false)), Some((What::Visible(_), _)));
        !gives_back || !self.asked.contains_key(&(id, true))
    }

    fn lapse(&mut self) {
        for (id, expires) in &self.expires {
            if *expires <= self.now && !self.asked.contains_key(&(*id, false)) {
                self.gone.insert(*id);
            }
        }
    }

    fn locked(&self, group: u8) -> bool {
        self.out.iter().any(|id| self.group[id] == group && !self.gone.contains(id))
    }

    fn play(&mut self, step: Step) {
        self.lapse();
        match step {
            Step::Receive(groups) => {
                // As the service has it: nothing of a group comes while something of it is on its way or held.
                let free = |group: &u8| {
                    let mut of_group = self.group.iter().filter(|(_, other)| *other == group);
                    self.groups == Groups::None || of_group.all(|(id, _)| self.gone.contains(id))
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
                self.stock.receive(self.now, self.now, V, incoming);
            }
            Step::Take => {
                if let Some(taken) = self.stock.take(self.now) {
                    if self.groups == Groups::Locked {
                        assert!(!self.locked(self.group[&taken.message]), "one of a group at a time");
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
                let acts = self.stock.finish(self.now, id, ending);
                self.acts(acts);
                self.ended.insert(id);
                if ending == Ending::Leave {
                    self.gone.insert(id);
                    self.asked.remove(&(id, true));
                }
            }
            Step::Pass(milliseconds) => {
                let until = self.now + Duration::from_millis(milliseconds);
                while let Some(tick) = self.stock.next_tick().filter(|tick| *tick <= until) {
                    self.now = self.now.max(tick);
                    self.lapse();
                    let acts = self.stock.tick(self.now);
                    assert!(self.stock.next_tick().is_none_or(|next| next > self.now), "no tick in vain");
                    self.acts(acts);
                }
                self.now = until;
            }
            Step::Stall(milliseconds) => {
                self.now += Duration::from_millis(milliseconds);
                self.lapse();
                let acts = self.stock.tick(self.now);
                self.acts(acts);
            }
            Step::Answer(which, kind) if !self.asked.is_empty() => {
                let key = **which.get(&self.asked.keys().collect::<Vec<_>>());
                let (what, sent) = self.asked.remove(&key).unwrap();
                let id = key.0;
                // As the driver does: first what has run out by now.
                let acts = self.stock.tick(self.now);
                self.lapse();
                let more = if let What::Extend(seconds) = what {
                    let late = self.expires[&id] <= self.now;
                    let extension = match kind {
                        0 => Extension::Gone(error()),
                        1 => Extension::Failed(error()),
                        _ => Extension::Done(sent, seconds),
                    };
                    match extension {
                        Extension::Gone(_) if !self.asked.contains_key(&(id, false)) => drop(self.gone.insert(id)),
                        Extension::Done(..) if !late => drop(self.expires.insert(id, sent + V)),
                        _ => {}
                    }
                    self.stock.extended(self.now, id, extension)
                } else {
                    let settled = match kind {
                        0 => Settled::Refused(error()),
                        1 => Settled::Failed(error()),
                        2 => Settled::Unknown(error()),
                        _ => Settled::Done,
                    };
                    let again = matches!(settled, Settled::Failed(_))
                        || matches!((&settled, what), (Settled::Unknown(_), What::Delete));
                    if !again {
                        self.gone.insert(id);
                    }
                    self.stock.settled(self.now, id, settled)
                };
                self.acts(acts);
                self.lapse();
                self.acts(more);
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens(
        groups in prop_oneof![Just(Groups::None), Just(Groups::Ordered), Just(Groups::Locked)],
        keeps: bool,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let keeps = keeps && groups != Groups::Ordered || groups == Groups::Locked;
        let mut world = World {
            stock: Stock::new(Terms { keeps, ..terms(groups) }),
            groups,
            keeps,
            now: Duration::ZERO,
            next: 0,
            group: BTreeMap::new(),
            handed: BTreeSet::new(),
            out: BTreeSet::new(),
            asked: BTreeMap::new(),
            expires: BTreeMap::new(),
            ended: BTreeSet::new(),
            gone: BTreeSet::new(),
            last: BTreeMap::new(),
        };
        for step in steps {
            world.play(step);
            let leases = world.stock.leases.values();
            let waiting = leases.clone().filter(|lease| lease.waits()).count();
            prop_assert_eq!(world.stock.buffered(), (waiting, waiting * 10));
            prop_assert_eq!(world.stock.unsettled(), leases.filter(|lease| lease.place == Place::Ended).count());
            prop_assert_eq!(world.stock.in_progress(), world.out.len());
        }
        // The end: nothing stays invisible beyond what is being handled, and then nothing at all.
        world.lapse();
        let acts = world.stock.give_back_all(world.now);
        world.acts(acts);
        prop_assert_eq!(world.stock.buffered(), (0, 0));
        world.out.clear();
        let acts = world.stock.abandon(world.now);
        world.acts(acts);
        for _ in 0..3 {
            for ((id, _), (what, sent)) in std::mem::take(&mut world.asked) {
                let acts = match what {
                    What::Extend(seconds) => {
                        if world.expires[&id] > world.now {
                            world.expires.insert(id, sent + V);
                        }
                        world.stock.extended(world.now, id, Extension::Done(sent, seconds))
                    }
                    _ => world.stock.settled(world.now, id, Settled::Done),
                };
                world.acts(acts);
            }
            world.now += s(6);
            world.lapse();
            let acts = world.stock.tick(world.now);
            world.acts(acts);
        }
        prop_assert!(world.stock.is_empty());
        prop_assert!(world.stock.groups.is_empty() && world.stock.line.is_empty());
        prop_assert_eq!(world.stock.next_tick(), None);
    }
}
