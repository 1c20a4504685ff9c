use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::protocol::error::Error;

const V: Duration = Duration::from_secs(30);

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn policy(groups: GroupMode) -> LeasePolicy {
    LeasePolicy { visibility: V, life: V / 2, max_wait: s(0), groups, keeps: true }
}

fn leases(groups: GroupMode) -> Leases<u64> {
    Leases::new(policy(groups))
}

/// One whose messages are their takers' own affair.
fn untracked() -> Leases<u64> {
    Leases::new(LeasePolicy { keeps: false, ..policy(GroupMode::None) })
}

fn message(message: u64, group: Option<&str>) -> Incoming<u64> {
    Incoming { message, handle: format!("h{message}").into(), group: group.map(Into::into), bytes: 10 }
}

fn messages(numbers: std::ops::Range<u64>, group: Option<&str>) -> Vec<Incoming<u64>> {
    numbers.map(|number| message(number, group)).collect()
}

/// What is asked for, of which message.
fn asked(commands: Vec<Command>) -> Vec<(u64, CommandKind)> {
    commands
        .into_iter()
        .map(|command| {
            assert_eq!(&*command.handle, format!("h{}", command.id));
            (command.id, command.kind)
        })
        .collect()
}

const EXTEND: CommandKind = CommandKind::Extend(30);
const BACK: CommandKind = CommandKind::Visible(0);

fn error() -> Error {
    Error::Runtime("no".into())
}

fn failed() -> Extension {
    Extension::Failed(error())
}

#[test]
fn what_is_left_of_its_life_decides() {
    let mut leases = untracked();
    leases.receive(s(2), s(0), V, [message(0, None)]);
    assert!(leases.take(s(16)).is_none(), "received at 2, but the lease runs from 0");
    assert_eq!(leases.next_tick(), Some(s(15)));
    assert_eq!(asked(leases.tick(s(16))), [(0, EXTEND)]);
    assert_eq!(asked(leases.tick(s(16))), []);
    assert!(leases.take(s(17)).is_none(), "it is not known yet whether it is extended");
    assert_eq!(asked(leases.extended(s(17), 0, Extension::Done(s(16), 30))), []);
    let taken = leases.take(s(20)).unwrap();
    assert_eq!((taken.message, taken.waited), (0, s(18)));
    assert!(leases.is_empty());
}

#[test]
fn what_stays_leased_is_handed_over_while_it_can_be_extended() {
    let mut leases = leases(GroupMode::None);
    leases.receive(s(20), s(0), V, [message(0, None), message(1, None)]);
    assert_eq!(asked(leases.tick(s(20))), [(0, EXTEND), (1, EXTEND)]);
    assert_eq!(leases.take(s(20)).unwrap().message, 0, "the extension may take its time");
    assert!(leases.take(s(28)).is_none(), "if it has not come by now it will hardly be in time");
}

#[test]
fn one_tick_extends_what_is_due_soon_as_well() {
    let mut leases = leases(GroupMode::None);
    leases.receive(s(0), s(0), V, [message(0, None)]);
    leases.receive(s(4), s(4), V, [message(1, None)]);
    leases.receive(s(9), s(9), V, [message(2, None)]);
    assert_eq!(asked(leases.tick(s(14))), []);
    assert_eq!(asked(leases.tick(s(15))), [(0, EXTEND), (1, EXTEND)]);
}

#[test]
fn what_waits_in_vain_is_given_back() {
    let mut leases = leases(GroupMode::None);
    leases.receive(s(0), s(0), V, [message(0, None), message(1, None)]);
    assert_eq!(leases.tick(s(15)).len(), 2);
    leases.extended(s(15), 0, Extension::Done(s(15), 30));
    leases.extended(s(16), 1, Extension::Done(s(15), 30));
    assert_eq!(asked(leases.tick(s(30))), [(0, BACK), (1, BACK)]);
    assert!(leases.take_abandoned());
    assert!(!leases.is_empty() && leases.unsettled() == 2, "they are ours until that is done");
    leases.settled(s(31), 0, Settled::Done);
    leases.settled(s(31), 1, Settled::Done);
    assert!(leases.is_empty());
    assert_eq!((leases.buffered(), leases.unsettled(), leases.lost()), ((0, 0), 0, 0));
}

#[test]
fn what_we_let_wait_is_kept() {
    let mut leases = Leases::new(LeasePolicy { max_wait: s(60), ..policy(GroupMode::None) });
    leases.receive(s(0), s(0), V, [message(0, None)]);
    for at in [15, 30, 45, 60] {
        assert_eq!(leases.next_tick(), Some(s(at)));
        assert_eq!(asked(leases.tick(s(at))), [(0, EXTEND)]);
        leases.extended(s(at), 0, Extension::Done(s(at), 30));
    }
    assert!(leases.has_next(s(60)), "its batch is as full as it will be");
    assert_eq!(asked(leases.tick(s(75))), [(0, BACK)], "and nobody has come");
    let mut leases = Leases::new(LeasePolicy { max_wait: Duration::MAX, ..policy(GroupMode::None) });
    leases.receive(s(0), s(0), V, [message(0, None)]);
    assert_eq!(leases.next_tick(), Some(s(15)));
}

#[test]
fn what_waits_is_extended_before_it_is_too_old_to_be_taken() {
    let mut leases = Leases::new(LeasePolicy { life: V * 4 / 5, keeps: false, ..policy(GroupMode::None) });
    leases.receive(s(0), s(0), V, [message(0, None), message(1, None)]);
    leases.take(s(0)).unwrap();
    assert_eq!(leases.next_tick(), Some(s(6)));
    assert!(leases.has_next(s(6)));
    assert_eq!(asked(leases.tick(s(6))), [(1, EXTEND)]);
    leases.extended(s(6), 1, Extension::Done(s(6), 30));
    assert!(leases.has_next(s(7)));
    leases.set_visibility(V, V);
    assert_eq!(asked(leases.tick(s(12))), [(1, EXTEND)]);
    leases.extended(s(12), 1, Extension::Done(s(12), 30));
    assert_eq!(leases.next_tick(), Some(s(15)), "what cannot be had is not asked for without end");
}

#[test]
fn the_heartbeat_stops_before_the_end() {
    let mut leases = leases(GroupMode::None);
    leases.receive(s(0), s(0), V, [message(0, None), message(1, None)]);
    leases.take(s(0)).unwrap();
    leases.take(s(0)).unwrap();
    assert_eq!(leases.tick(s(15)).len(), 2);
    assert_eq!(
        asked(leases.finish(s(15), 0, Disposition::Delete)),
        [(0, CommandKind::Delete)],
        "whichever arrives first"
    );
    assert_eq!(asked(leases.finish(s(15), 0, Disposition::Delete)), [], "once");
    assert_eq!(asked(leases.extended(s(16), 0, Extension::Gone(error()))), [], "it is deleted");
    assert_eq!(asked(leases.finish(s(15), 1, Disposition::Visible(3))), [], "the extension may still be on its way");
    assert_eq!(asked(leases.extended(s(16), 1, Extension::Done(s(15), 30))), [(1, CommandKind::Visible(2))]);
    leases.settled(s(17), 0, Settled::Done);
    leases.settled(s(17), 1, Settled::Done);
    assert_eq!((leases.next_tick(), leases.is_empty()), (None, true));
}

#[test]
fn a_lease_that_has_run_out_is_left_alone() {
    let mut leases = leases(GroupMode::None);
    leases.receive(s(0), s(0), V, messages(0..3, None));
    leases.take(s(1)).unwrap();
    leases.take(s(1)).unwrap();
    assert_eq!(leases.next_tick(), Some(s(15)));
    // The process stood still.
    assert_eq!(asked(leases.finish(s(40), 1, Disposition::Delete)), []);
    assert_eq!(asked(leases.tick(s(40))), []);
    assert_eq!(asked(leases.give_back_all(s(40))), []);
    assert_eq!(asked(leases.finish(s(41), 0, Disposition::Delete)), []);
    assert_eq!((leases.lost(), leases.is_empty()), (3, true));
    let told = leases.told();
    assert!(matches!(told.as_slice(), [Told::Lost(1, None), Told::Lost(0, None)]), "{told:?}");
}

#[test]
fn an_extension_that_fails_is_tried_again_until_the_time_is_over() {
    let mut leases = leases(GroupMode::None);
    leases.receive(s(0), s(0), V, [message(0, None)]);
    leases.take(s(0)).unwrap();
    assert_eq!(leases.tick(s(15)).len(), 1);
    leases.extended(s(15), 0, failed());
    assert_eq!(leases.next_tick(), Some(s(18)));
    assert_eq!(leases.tick(s(29)).len(), 1);
    assert_eq!(leases.next_tick(), Some(s(30)), "it is lost then, whatever the answer");
    assert_eq!(leases.tick(s(30)).len(), 0);
    assert_eq!(leases.extended(s(31), 0, Extension::Done(s(29), 30)).len(), 0);
    assert!(matches!(leases.told().as_slice(), [Told::Lost(0, Some(Error::Runtime(_)))]));
    assert_eq!((leases.lost(), leases.is_empty(), leases.in_progress()), (1, true, 1));
    assert_eq!(asked(leases.finish(s(50), 0, Disposition::Delete)), []);
    assert_eq!(leases.in_progress(), 0);
}

#[test]
fn what_is_to_be_invisible_for_longer_than_sqs_allows_is_for_as_long_as_it_does() {
    const HOUR: u64 = 3_600;
    let mut leases = leases(GroupMode::None);
    leases.receive(s(10), s(0), V, messages(0..2, None));
    for id in 0..2 {
        leases.take(s(10)).unwrap();
        assert_eq!(leases.tick(s(15)).len(), if id == 0 { 2 } else { 0 });
    }
    (0..2).for_each(|id| drop(leases.extended(s(15), id, Extension::Done(s(15), 30))));
    assert_eq!(asked(leases.finish(s(20), 0, Disposition::Visible(43_200))), [(0, CommandKind::Visible(43_179))]);
    let mut now = s(15);
    let mut last = 0;
    while let Some(tick) = leases.next_tick() {
        now = tick;
        for (id, kind) in asked(leases.tick(now)) {
            let CommandKind::Extend(seconds) = kind else { unreachable!("{kind:?}") };
            last = seconds;
            leases.extended(now, id, Extension::Done(now, seconds));
        }
    }
    assert_eq!((now, last), (s(12 * HOUR - 1), 29), "extended to the last second, then lost");
    assert!(matches!(leases.told().as_slice(), [Told::Lost(1, None)]));
}

#[test]
fn a_delete_that_fails_is_asked_for_again_while_the_lease_is_kept() {
    let mut leases = leases(GroupMode::None);
    leases.receive(s(0), s(0), V, messages(0..2, None));
    leases.take(s(0)).unwrap();
    leases.take(s(0)).unwrap();
    assert_eq!(asked(leases.finish(s(14), 0, Disposition::Delete)), [(0, CommandKind::Delete)]);
    leases.settled(s(14), 0, Settled::Unknown(error()));
    let again = s(14) + Duration::from_millis(100);
    assert_eq!((leases.next_tick(), leases.unsettled()), (Some(again), 1));
    assert_eq!(asked(leases.tick(again)), [(0, CommandKind::Delete)]);
    leases.settled(s(20), 0, Settled::Failed(error()));
    let commands = asked(leases.tick(s(20)));
    assert_eq!(commands, [(0, EXTEND), (1, EXTEND)], "it is ours still, and has to stay so");
    leases.extended(s(20), 0, Extension::Done(s(20), 30));
    assert_eq!(asked(leases.tick(s(21))), [(0, CommandKind::Delete)]);
    leases.settled(s(21), 0, Settled::Refused(error()));
    assert!(matches!(leases.told().as_slice(), [Told::Failed(0, Disposition::Delete, Some(_))]));
    leases.extended(s(20), 1, Extension::Done(s(20), 30));
    assert_eq!(asked(leases.finish(s(22), 1, Disposition::Visible(9))), [(1, CommandKind::Visible(9))]);
    leases.settled(s(23), 1, Settled::Failed(error()));
    assert_eq!(asked(leases.tick(s(25))), [(1, CommandKind::Visible(6))], "what is left of the delay");
    leases.settled(s(26), 1, Settled::Unknown(error()));
    assert!(
        matches!(leases.told().as_slice(), [Told::Failed(1, Disposition::Visible(9), Some(_))]),
        "it may be another's"
    );
    assert!(leases.is_empty());
}

#[test]
fn a_delete_without_an_answer_does_not_let_its_message_expire() {
    let mut leases = leases(GroupMode::None);
    leases.receive(s(0), s(0), V, messages(0..1, None));
    leases.take(s(0)).unwrap();
    assert_eq!(asked(leases.finish(s(1), 0, Disposition::Delete)), [(0, CommandKind::Delete)]);
    assert_eq!(asked(leases.tick(s(15))), [(0, EXTEND)]);
    leases.extended(s(16), 0, Extension::Done(s(15), 30));
    assert_eq!(asked(leases.tick(s(30))), [(0, EXTEND)]);
    leases.extended(s(31), 0, failed());
    assert_eq!(asked(leases.tick(s(50))), [], "it has run out: the answer is the last word");
    leases.settled(s(61), 0, Settled::Done);
    assert_eq!((leases.is_empty(), leases.lost()), (true, 0));
}

#[test]
fn what_was_deleted_without_an_answer_is_not_told_as_undeleted() {
    let mut leases = leases(GroupMode::None);
    leases.receive(s(0), s(0), V, messages(0..1, None));
    leases.take(s(0)).unwrap();
    assert_eq!(asked(leases.finish(s(14), 0, Disposition::Delete)), [(0, CommandKind::Delete)]);
    assert_eq!(asked(leases.tick(s(15))), [(0, EXTEND)]);
    leases.settled(s(16), 0, Settled::Unknown(error()));
    assert_eq!(
        asked(leases.extended(s(16), 0, Extension::Gone(error()))),
        [],
        "it is not in flight: it has been deleted"
    );
    assert_eq!((leases.is_empty(), leases.lost(), leases.told().len()), (true, 0, 0));
    // The other way round, with one that is certain not to have been done in between.
    leases.receive(s(20), s(20), V, messages(1..2, None));
    leases.take(s(20)).unwrap();
    leases.finish(s(34), 1, Disposition::Delete);
    assert_eq!(asked(leases.tick(s(35))), [(1, EXTEND)]);
    leases.extended(s(36), 1, Extension::Gone(error()));
    leases.settled(s(36), 1, Settled::Failed(error()));
    assert_eq!(asked(leases.tick(s(37))), [(1, CommandKind::Delete)]);
    leases.settled(s(38), 1, Settled::Unknown(error()));
    assert_eq!((leases.is_empty(), leases.lost(), leases.told().len()), (true, 0, 0));
}

#[test]
fn a_lost_one_is_not_handed_over() {
    let mut leases = Leases::new(LeasePolicy { keeps: false, ..policy(GroupMode::Ordered) });
    leases.receive(s(0), s(0), V, [message(0, Some("a")), message(1, Some("b")), message(2, Some("a"))]);
    assert_eq!(leases.tick(s(15)).len(), 3);
    assert_eq!(asked(leases.extended(s(15), 1, Extension::Done(s(15), 30))), []);
    assert_eq!(asked(leases.extended(s(15), 2, Extension::Done(s(15), 30))), []);
    assert!(leases.take(s(15)).is_none(), "in order");
    assert_eq!(asked(leases.extended(s(15), 0, Extension::Gone(error()))), [(2, BACK)], "its group goes with it");
    assert_eq!(leases.take(s(15)).unwrap().message, 1);
}

#[test]
fn one_of_a_group_at_a_time() {
    let mut leases = leases(GroupMode::Locked);
    leases.receive(s(0), s(0), V, [message(0, Some("a")), message(1, Some("a")), message(2, Some("b"))]);
    assert_eq!(leases.available(), 2, "one of each group");
    assert_eq!(leases.take(s(1)).unwrap().message, 0);
    assert_eq!(leases.take(s(1)).unwrap().message, 2);
    assert!(leases.take(s(1)).is_none());
    assert_eq!(asked(leases.finish(s(9), 0, Disposition::Delete)), [(0, CommandKind::Delete)]);
    assert_eq!(leases.oldest(), Some(s(9)), "it could not have been taken before");
    assert_eq!(leases.take(s(9)).unwrap().message, 1);
}

#[test]
fn what_stands_behind_a_failure_goes_back() {
    let mut leases = leases(GroupMode::Locked);
    leases.receive(s(0), s(0), V, messages(0..3, Some("a")));
    leases.take(s(1)).unwrap();
    let commands = leases.finish(s(1), 0, Disposition::Visible(7));
    assert_eq!(asked(commands), [(0, CommandKind::Visible(7)), (1, BACK), (2, BACK)]);
    // The group starts anew.
    leases.receive(s(9), s(9), V, [message(3, Some("a"))]);
    assert_eq!(leases.take(s(9)).unwrap().message, 3);
}

#[test]
fn a_lost_one_does_not_hold_its_group() {
    let mut leases = leases(GroupMode::Locked);
    leases.receive(s(0), s(0), V, messages(0..2, Some("a")));
    leases.take(s(1)).unwrap();
    assert_eq!(leases.tick(s(15)).len(), 2);
    leases.extended(s(16), 1, Extension::Done(s(15), 30));
    assert_eq!(asked(leases.extended(s(16), 0, Extension::Gone(error()))), [(1, BACK)]);
    leases.receive(s(20), s(20), V, [message(2, Some("a"))]);
    assert_eq!(leases.take(s(20)).unwrap().message, 2);
    assert_eq!(asked(leases.finish(s(21), 0, Disposition::Delete)), []);
    assert!(leases.take(s(21)).is_none());
    assert_eq!(asked(leases.finish(s(22), 2, Disposition::Delete)), [(2, CommandKind::Delete)]);
}

#[test]
fn several_of_a_group_for_one_taker() {
    let mut leases = leases(GroupMode::Locked);
    leases.receive(s(0), s(0), V, messages(0..4, Some("a")));
    assert_eq!(leases.take(s(1)).unwrap().id, 0);
    assert_eq!(leases.take_pending(s(1), 0).unwrap().message, 1);
    assert!(leases.take(s(1)).is_none());
    assert_eq!(leases.finish(s(1), 0, Disposition::Visible(0)).len(), 1, "the other is still being handled");
    assert_eq!(leases.finish(s(1), 1, Disposition::Delete).len(), 3, "and now the two that are pending go back");
}

#[test]
fn fair_queues_are_no_fifo_queues() {
    let mut leases = leases(GroupMode::None);
    leases.receive(s(0), s(0), V, messages(0..2, Some("a")));
    assert!(leases.take(s(1)).is_some() && leases.take(s(1)).is_some());
}

#[test]
fn without_a_visibility_timeout_nothing_is_leased() {
    let mut leases = Leases::new(LeasePolicy { visibility: s(0), life: s(0), keeps: false, ..policy(GroupMode::None) });
    leases.receive(s(0), s(0), s(0), [message(0, None)]);
    assert_eq!((leases.next_tick(), asked(leases.tick(s(99)))), (None, vec![]));
    assert!(leases.take(s(99)).is_some());
}

#[test]
fn what_is_abandoned_becomes_visible() {
    let mut leases = leases(GroupMode::Locked);
    leases.receive(s(0), s(0), V, [message(0, Some("a")), message(1, Some("a")), message(2, Some("b"))]);
    leases.take(s(1)).unwrap();
    assert_eq!(asked(leases.give_back_all(s(1))), [(1, BACK), (2, BACK)]);
    assert_eq!(asked(leases.abandon(s(1))), [(0, BACK)]);
    assert_eq!(leases.unsettled(), 3);
    assert_eq!(asked(leases.finish(s(1), 0, Disposition::Delete)), []);
}

/// As a service may escape it.
fn slashed(number: u64) -> Incoming<u64> {
    Incoming { message: number, handle: format!("\"a\\/{number}\"").into(), group: None, bytes: 1 }
}

/// Two messages that were asked for at 0, came at 2 and are handed over.
fn two_handed_over() -> Leases<u64> {
    let mut leases = leases(GroupMode::None);
    leases.receive(s(2), s(0), V, [slashed(0), slashed(1)]);
    assert!(leases.take(s(2)).is_some() && leases.take(s(2)).is_some());
    leases
}

/// The handler of this message changes its visibility timeout by itself.
fn leave_alone(leases: &mut Leases<u64>, now: Duration, handle: &str, seconds: u32) {
    for id in leases.handed_over(now, handle) {
        leases.leave_alone(now, id, seconds);
    }
}

#[test]
fn what_its_handler_deletes_by_itself_is_kept_until_it_is_gone_and_is_not_lost_then() {
    for disposition in [Disposition::Delete, Disposition::Visible(60), Disposition::Leave] {
        let mut leases = two_handed_over();
        assert_eq!(leases.handed_over(s(3), "a/0"), [0]);
        leases.is_deleted(0);
        assert_eq!(leases.tick(s(15)).len(), 2, "it may have failed");
        assert!(leases.extended(s(16), 0, Extension::Gone(error())).is_empty());
        assert!(leases.extended(s(16), 1, Extension::Done(s(15), 30)).is_empty());
        assert_eq!(leases.tick(s(40)).len(), 1, "one is kept, the other is gone");
        assert_eq!((leases.lost(), leases.told().len(), leases.is_lost(0)), (0, 0, false));
        let commands = leases.finish(s(41), 0, disposition);
        for _ in commands {
            assert!(leases.settled(s(42), 0, Settled::Refused(error())).is_empty());
        }
        assert_eq!((leases.lost(), leases.told().len(), leases.unsettled()), (0, 0, 0));
    }
}

#[test]
fn what_its_taker_has_received_by_itself_is_kept_as_everything_else_is() {
    let mut leases = leases(GroupMode::None);
    assert_eq!(leases.hold(s(20), s(5), message(0, None)), 0, "half of its time is over");
    assert_eq!(leases.hold(s(20), s(19), message(1, None)), 1);
    assert_eq!((leases.in_progress(), leases.buffered()), (2, (0, 0)));
    assert_eq!(asked(leases.tick(s(20))), [(0, EXTEND)]);
    leases.extended(s(21), 0, Extension::Done(s(20), 30));
    assert_eq!(asked(leases.tick(s(34))), [(0, EXTEND), (1, EXTEND)]);
    leases.extended(s(35), 1, Extension::Gone(error()));
    assert!(leases.is_lost(1) && !leases.is_kept(s(35), 1) && leases.is_kept(s(35), 0));
    assert_eq!(leases.told().len(), 1);
    for id in 0..2 {
        assert_eq!(asked(leases.finish(s(36), id, Disposition::Leave)), []);
    }
    assert!(leases.is_empty() && leases.next_tick().is_none());
}

#[test]
fn a_message_whose_handler_changed_it_is_left_alone() {
    let mut leases = two_handed_over();
    leave_alone(&mut leases, s(5), "a/0", 600);
    let extended: Vec<u64> = leases.tick(s(15)).into_iter().map(|command| command.id).collect();
    assert_eq!(extended, [1]);
    assert!(leases.finish(s(16), 0, Disposition::Visible(5)).is_empty(), "it has chosen its delay");
}

#[test]
fn it_is_ours_for_as_long_as_the_handler_has_asked_for() {
    let mut leases = two_handed_over();
    leave_alone(&mut leases, s(5), "a/0", 600);
    leave_alone(&mut leases, s(5), "a/1", 3);
    leases.tick(s(9));
    assert_eq!((leases.lost(), leases.told().len()), (0, 0), "it is visible again, as its handler wants it");
    assert!(leases.tick(s(500)).is_empty(), "nor is the other one's business ours");
    for id in [0, 1] {
        let commands = leases.finish(s(500), id, Disposition::Delete);
        let asked: Vec<_> = commands.into_iter().map(|command| (command.id, command.kind)).collect();
        assert_eq!(asked, [(id, CommandKind::Delete)], "that it is done is for its handler to say too");
    }
    assert!(leases.settled(s(501), 1, Settled::Failed(error())).is_empty());
    assert_eq!(leases.tick(s(520)).len(), 1, "and is asked for again");
}

#[test]
fn what_its_handler_lets_run_out_is_nobodys() {
    for disposition in [Disposition::Leave, Disposition::Visible(0), Disposition::Visible(60)] {
        let mut leases = two_handed_over();
        leave_alone(&mut leases, s(5), "a/0", 0);
        leases.tick(s(5));
        assert!(leases.finish(s(6), 0, disposition).is_empty());
        leave_alone(&mut leases, s(5), "a/1", 0);
        assert!(leases.finish(s(6), 1, disposition).is_empty());
        assert!(leases.is_empty() && leases.in_progress() == 0 && leases.lost() == 0);
    }
}

#[test]
fn a_group_does_not_wait_for_one_whose_handler_let_it_run_out() {
    let mut leases = leases(GroupMode::Locked);
    leases.receive(s(0), s(0), V, (0..3).map(|number| Incoming { group: Some("a".into()), ..slashed(number) }));
    leases.take(s(0)).unwrap();
    leave_alone(&mut leases, s(1), "a/0", 0);
    let given_back: Vec<_> = leases.tick(s(1)).into_iter().map(|command| (command.id, command.kind)).collect();
    assert_eq!(given_back, [(1, BACK), (2, BACK)], "they are to be had after it");
    assert_eq!(leases.lost(), 0);
    assert_eq!(leases.finish(s(9), 0, Disposition::Delete).len(), 1);
}

#[test]
fn an_extension_that_is_under_way_does_not_have_the_last_word() {
    let mut leases = two_handed_over();
    assert_eq!(leases.tick(s(15)).len(), 2);
    leave_alone(&mut leases, s(16), "a/0", 600);
    let again = leases.extended(s(17), 0, Extension::Done(s(15), 30));
    assert_eq!((again.len(), again[0].kind), (1, CommandKind::Extend(599)));
    assert!(leases.extended(s(18), 0, Extension::Done(s(17), 599)).is_empty());
    leave_alone(&mut leases, s(16), "a/1", 1);
    leases.tick(s(17));
    assert!(leases.extended(s(17), 1, Extension::Done(s(15), 30)).is_empty(), "it may be somebody else's by now");
    assert_eq!(leases.lost(), 0);
}

#[test]
fn a_delete_of_what_its_handler_changed_is_asked_for_again_though_an_extension_was_under_way() {
    let mut leases = two_handed_over();
    assert_eq!(leases.tick(s(15)).len(), 2);
    leave_alone(&mut leases, s(16), "a/0", 1);
    assert_eq!(leases.finish(s(16), 0, Disposition::Delete).len(), 1);
    leases.settled(s(17), 0, Settled::Failed(error()));
    leases.extended(s(18), 0, Extension::Done(s(15), 30));
    assert_eq!(leases.tick(s(18)).len(), 1);
}

#[test]
fn a_lease_that_has_run_out_is_not_had_again_by_changing_it() {
    let mut leases = two_handed_over();
    leave_alone(&mut leases, s(31), "a/0", 600);
    leases.tick(s(31));
    assert_eq!(leases.lost(), 2);
}

#[test]
fn what_is_not_handed_over_is_nobodys_to_change() {
    let mut leases = two_handed_over();
    leases.receive(s(2), s(0), V, [slashed(2)]);
    leave_alone(&mut leases, s(3), "a/2", 600);
    assert_eq!(leases.tick(s(15)).len(), 3);
}

#[derive(Clone, Debug)]
enum Step {
    Receive(Vec<u8>),
    Take,
    TakePending(prop::sample::Index),
    Finish(prop::sample::Index, Disposition),
    Pass(u64),
    Stall(u64),
    Answer(prop::sample::Index, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let disposition =
        prop_oneof![4 => Just(Disposition::Delete), 1 => Just(Disposition::Visible(3)), 1 => Just(Disposition::Leave)];
    let index = any::<prop::sample::Index>;
    prop_oneof![
        2 => prop::collection::vec(0..4u8, 1..10).prop_map(Step::Receive),
        4 => Just(Step::Take),
        1 => index().prop_map(Step::TakePending),
        4 => (index(), disposition).prop_map(|(which, disposition)| Step::Finish(which, disposition)),
        3 => (0..12_000u64).prop_map(Step::Pass),
        1 => (0..40_000u64).prop_map(Step::Stall),
        6 => (index(), 0..8u8).prop_map(|(which, kind)| Step::Answer(which, kind)),
    ]
}

/// What is known of the messages from outside.
struct World {
    leases: Leases<u64>,
    groups: GroupMode,
    keeps: bool,
    now: Duration,
    next: u64,
    group: BTreeMap<u64, u8>,
    in_hand: BTreeSet<u64>,
    out: BTreeSet<u64>,
    /// What is asked for and not answered, and when it left; by message, and whether it is an extension.
    asked: BTreeMap<(u64, bool), (CommandKind, Duration)>,
    expires: BTreeMap<u64, Duration>,
    /// What its taker wants for it, or we: other than an extension it is not kept for anybody any more.
    ended: BTreeSet<u64>,
    /// Those of them of which a delete has been asked for.
    deleted: BTreeSet<u64>,
    /// Done with: deleted, visible again, refused, lost.
    gone: BTreeSet<u64>,
    /// The last of each group that was handed over since the group last started anew.
    last: BTreeMap<u8, u64>,
}

impl World {
    fn commands(&mut self, commands: Vec<Command>) {
        for (id, kind) in asked(commands) {
            assert!(!self.gone.contains(&id), "nothing is asked for what is gone");
            assert!(self.expires[&id] > self.now, "nor for what has run out");
            let extends = matches!(kind, CommandKind::Extend(_));
            assert!(self.asked.insert((id, extends), (kind, self.now)).is_none(), "one at a time");
            assert!(kind == CommandKind::Delete || self.visible_alone(id), "not an extension and a give-back");
            match kind {
                CommandKind::Extend(_) => {}
                CommandKind::Delete | CommandKind::Visible(_) => {
                    if kind == CommandKind::Delete {
                        self.deleted.insert(id);
                    }
                    assert!(!self.out.contains(&id), "what is being handled is not given back");
                    self.ended.insert(id);
                }
            }
        }
    }

    fn taken(&mut self, taken: &Taken<u64>) {
        let (id, group) = (taken.message, self.group[&taken.message]);
        assert_eq!(taken.id, id);
        assert!(self.in_hand.insert(id), "once");
        assert!(!self.ended.contains(&id), "not after it was given back");
        let left = if self.keeps { Duration::from_millis(1) } else { V / 2 };
        assert!(self.expires[&id] >= self.now + left, "with enough of its life left");
        if self.groups != GroupMode::None {
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
        let gives_back = matches!(self.asked.get(&(id, false)), Some((CommandKind::Visible(_), _)));
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
                    self.groups == GroupMode::None || of_group.all(|(id, _)| self.gone.contains(id))
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
                self.leases.receive(self.now, self.now, V, incoming);
            }
            Step::Take => {
                if let Some(taken) = self.leases.take(self.now) {
                    if self.groups == GroupMode::Locked {
                        assert!(!self.locked(self.group[&taken.message]), "one of a group at a time");
                    }
                    self.taken(&taken);
                }
            }
            Step::TakePending(which) if !self.out.is_empty() && self.groups == GroupMode::Locked => {
                let first = **which.get(&self.out.iter().collect::<Vec<_>>());
                if let Some(taken) = self.leases.take_pending(self.now, first) {
                    assert_eq!(self.group[&taken.message], self.group[&first]);
                    self.taken(&taken);
                }
            }
            Step::Finish(which, disposition) if !self.out.is_empty() => {
                let id = **which.get(&self.out.iter().collect::<Vec<_>>());
                self.out.remove(&id);
                let commands = self.leases.finish(self.now, id, disposition);
                self.commands(commands);
                self.ended.insert(id);
                if disposition == Disposition::Leave {
                    self.gone.insert(id);
                    self.asked.remove(&(id, true));
                }
            }
            Step::Pass(milliseconds) => {
                let until = self.now + Duration::from_millis(milliseconds);
                while let Some(tick) = self.leases.next_tick().filter(|tick| *tick <= until) {
                    self.now = self.now.max(tick);
                    self.lapse();
                    let commands = self.leases.tick(self.now);
                    assert!(self.leases.next_tick().is_none_or(|next| next > self.now), "no tick in vain");
                    self.commands(commands);
                }
                self.now = until;
            }
            Step::Stall(milliseconds) => {
                self.now += Duration::from_millis(milliseconds);
                self.lapse();
                let commands = self.leases.tick(self.now);
                self.commands(commands);
            }
            Step::Answer(which, case) if !self.asked.is_empty() => {
                let key = **which.get(&self.asked.keys().collect::<Vec<_>>());
                let (kind, sent) = self.asked.remove(&key).unwrap();
                let id = key.0;
                // As the driver does: first what has run out by now.
                let commands = self.leases.tick(self.now);
                self.lapse();
                let more = if let CommandKind::Extend(seconds) = kind {
                    let late = self.expires[&id] <= self.now;
                    let extension = match case {
                        0 => Extension::Gone(error()),
                        1 => Extension::Failed(error()),
                        _ => Extension::Done(sent, seconds),
                    };
                    match extension {
                        // A delete whose answer was lost may have been done.
                        Extension::Gone(_) if self.deleted.contains(&id) => {}
                        Extension::Gone(_) => drop(self.gone.insert(id)),
                        Extension::Done(..) if !late => drop(self.expires.insert(id, sent + V)),
                        _ => {}
                    }
                    self.leases.extended(self.now, id, extension)
                } else {
                    let settled = match case {
                        0 => Settled::Refused(error()),
                        1 => Settled::Failed(error()),
                        2 => Settled::Unknown(error()),
                        _ => Settled::Done,
                    };
                    let again = matches!(settled, Settled::Failed(_))
                        || matches!((&settled, kind), (Settled::Unknown(_), CommandKind::Delete));
                    if !again {
                        self.gone.insert(id);
                    }
                    self.leases.settled(self.now, id, settled)
                };
                self.commands(commands);
                self.lapse();
                self.commands(more);
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens(
        groups in prop_oneof![Just(GroupMode::None), Just(GroupMode::Ordered), Just(GroupMode::Locked)],
        keeps: bool,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let keeps = keeps && groups != GroupMode::Ordered || groups == GroupMode::Locked;
        let mut world = World {
            leases: Leases::new(LeasePolicy { keeps, ..policy(groups) }),
            groups,
            keeps,
            now: Duration::ZERO,
            next: 0,
            group: BTreeMap::new(),
            in_hand: BTreeSet::new(),
            out: BTreeSet::new(),
            asked: BTreeMap::new(),
            expires: BTreeMap::new(),
            ended: BTreeSet::new(),
            deleted: BTreeSet::new(),
            gone: BTreeSet::new(),
            last: BTreeMap::new(),
        };
        for step in steps {
            world.play(step);
            let by_id = world.leases.by_id.values();
            let waiting = by_id.clone().filter(|lease| lease.waits()).count();
            prop_assert_eq!(world.leases.buffered(), (waiting, waiting * 10));
            prop_assert_eq!(world.leases.unsettled(), by_id.filter(|lease| lease.place == Place::Ended).count());
            prop_assert_eq!(world.leases.in_progress(), world.out.len());
        }
        // The end: nothing stays invisible beyond what is being handled, and then nothing at all.
        world.lapse();
        let commands = world.leases.give_back_all(world.now);
        world.commands(commands);
        prop_assert_eq!(world.leases.buffered(), (0, 0));
        world.out.clear();
        let commands = world.leases.abandon(world.now);
        world.commands(commands);
        for _ in 0..3 {
            for ((id, _), (kind, sent)) in std::mem::take(&mut world.asked) {
                let commands = match kind {
                    CommandKind::Extend(seconds) => {
                        if world.expires[&id] > world.now {
                            world.expires.insert(id, sent + V);
                        }
                        world.leases.extended(world.now, id, Extension::Done(sent, seconds))
                    }
                    _ => world.leases.settled(world.now, id, Settled::Done),
                };
                world.commands(commands);
            }
            world.now += s(6);
            world.lapse();
            let commands = world.leases.tick(world.now);
            world.commands(commands);
        }
        prop_assert!(world.leases.is_empty());
        prop_assert!(world.leases.groups.is_empty() && world.leases.ready.is_empty());
        prop_assert_eq!(world.leases.next_tick(), None);
    }
}
