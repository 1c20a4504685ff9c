//! What was seen to go wrong, each as a case: an input, and what is right.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::laws::{Laws, Promise};
use super::plan::{self, Plan};
use super::takers::{Handler, PollerCore, Taker};
use super::world::{Faults, Way, World};
use super::{ms, s};
use crate::local::simulated::Standing;
use crate::poll::{Disposition, GroupMode, Poller, PollerOptions};
use crate::runtime;
use crate::runtime::simulation::Scheduler;

/// A consumer with all defaults and what a case makes of it.
struct Case {
    scheduler: Scheduler,
    world: World,
    poller: Arc<Poller>,
    work: PollerCore,
    laws: Laws,
}

fn defaults() -> Plan {
    Plan {
        seed: 0,
        fifo_groups: 0,
        visibility: 30,
        asks: false,
        wait: 20,
        takers: 0,
        told: false,
        keeps: true,
        batch: 1,
        window: Duration::ZERO,
        ahead: 0,
        max_messages: None,
        idle: None,
        rate: None,
        way: Way { latency: 20, ..Way::default() },
        arrivals: Vec::new(),
        handlers: Vec::new(),
        stalls: Vec::new(),
        outages: Vec::new(),
        others: Vec::new(),
        lasts: Duration::ZERO,
    }
}

impl Case {
    fn new(scheduler: &Scheduler, plan: &Plan) -> Case {
        let name = if plan.fifo_groups > 0 { "q.fifo" } else { "q" };
        let world = World::new(scheduler, 1, name, plan.visibility, plan.way.clone());
        let poller = Arc::new(plan::poller(&world, plan.options(&world)));
        let work = PollerCore::default();
        let laws = Laws::new(plan.promise(), &world, &poller, &work);
        Case { scheduler: scheduler.clone(), world, poller, work, laws }
    }

    /// So many takers, whose handlers do these in turn.
    fn takers(&self, count: usize, told: bool, handlers: &[Handler]) {
        let mut next = Vec::from(handlers).into_iter().cycle();
        let handlers = Arc::new(Mutex::new(move || next.next().unwrap()));
        for _ in 0..count {
            let taker = Taker {
                poller: Arc::clone(&self.poller),
                world: self.world.clone(),
                work: Arc::clone(&self.work),
                told,
                finishes: self.poller.shared.options.keeps,
                handlers: handlers.clone(),
            };
            runtime::handle().unwrap().spawn(taker.run());
        }
    }

    fn advance(&mut self, time: Duration) {
        let laws = &mut self.laws;
        self.scheduler.advance(time, || laws.check());
    }

    fn handed_over(&self) -> u64 {
        self.work.lock().unwrap().handed_over
    }

    fn lost(&self) -> u64 {
        self.poller.counts().unwrap().lost
    }
}

/// Row 1: one handler is busy, two are free, and a message comes late in a long poll.
#[test]
fn a_message_late_in_a_poll_is_handled_at_once() {
    let ways = [(1, false, 0), (1, true, 0), (5, true, 0), (1, false, 1_000_000)];
    for (batch, told, fifo_groups) in ways {
        Scheduler::run(1, |scheduler| {
            let mut case = Case::new(scheduler, &Plan { batch, fifo_groups, ..defaults() });
            case.takers(3, told, &[Handler::Takes(s(40)), Handler::Takes(ms(5))]);
            case.world.send_after(ms(500), 1, fifo_groups);
            case.advance(s(1));
            // The next poll leaves when the first message is taken.
            case.world.send_after(s(16), 1, fifo_groups);
            case.advance(s(16) + ms(60));
            assert_eq!(case.handed_over(), 2, "{batch} {told} {fifo_groups}");
            case.advance(s(60));
            assert_eq!((case.lost(), case.handed_over()), (0, 2));
        });
    }
}

/// Row 1b: quick messages, then nothing, then more than there are handlers for, all of them slow.
#[test]
fn a_burst_of_slow_messages_after_a_pause_is_handled_once() {
    Scheduler::run(1, |scheduler| {
        let mut case = Case::new(scheduler, &defaults());
        let quick = std::iter::repeat_n(Handler::Takes(ms(5)), 5);
        let handlers: Vec<_> = quick.chain(std::iter::repeat_n(Handler::Takes(s(40)), 200)).collect();
        case.takers(10, false, &handlers);
        for number in 0..5 {
            case.world.send_after(ms(number * 100), 1, 0);
        }
        case.world.send_after(ms(17_500), 20, 0);
        case.advance(s(120));
        assert_eq!((case.handed_over(), case.lost()), (25, 0));
    });
}

/// Row 2: the lease of what comes at the end of a poll is long enough, however short the visibility timeout.
#[test]
fn a_trickle_is_handled_once_at_every_visibility() {
    for visibility in [1, 2, 3, 4, 10] {
        Scheduler::run(1, |scheduler| {
            let plan = Plan { visibility, wait: 5, way: Way { latency: 40, ..Way::default() }, ..defaults() };
            let mut case = Case::new(scheduler, &plan);
            case.takers(1, false, &[Handler::Takes(s(42))]);
            for number in 0..10 {
                case.world.send_after(ms(100) + s(5) * number, 1, 0);
            }
            case.advance(s(42 * 11));
            assert_eq!((case.handed_over(), case.lost()), (10, 0), "visibility {visibility}");
            assert_eq!(case.poller.counts().unwrap().deleted, 10);
        });
    }
}

/// Row 3: whatever becomes of what is held, polls go on.
#[test]
fn polls_go_on_when_extensions_are_refused() {
    Scheduler::run(1, |scheduler| {
        let extensions = Faults { denied: 1_000, ..Faults::default() };
        let way = Way { latency: 20, extensions, ..Way::default() };
        let mut case = Case::new(scheduler, &Plan { visibility: 4, wait: 3, way, ..defaults() });
        case.takers(1, false, &[Handler::Takes(ms(5))]);
        for number in 0..20 {
            case.world.send_after(ms(2_500 + 3_700 * number), 1, 0);
        }
        case.advance(s(90));
        assert_eq!(case.handed_over(), 20);
        assert_eq!((case.world.lock().polls(), case.poller.counts().unwrap().buffered), (1, 0));
    });
}

#[test]
fn polls_go_on_after_a_stall() {
    for (told, keeps) in [(false, true), (true, true), (false, false)] {
        Scheduler::run(1, |scheduler| {
            let ahead = if keeps { 0 } else { 10 };
            let mut case = Case::new(scheduler, &Plan { visibility: 3, wait: 3, keeps, ahead, ..defaults() });
            case.takers(1, told, &[Handler::Takes(ms(700))]);
            case.world.send_after(ms(2_500), 5, 0);
            case.advance(s(3));
            scheduler.stall(s(5));
            case.laws.stalled();
            case.world.send_after(s(20), 5, 0);
            case.laws =
                Laws::new(Promise { kept: false, ..defaults().promise() }, &case.world, &case.poller, &case.work);
            case.advance(s(60));
            assert!(case.handed_over() >= 10);
            if keeps {
                assert_eq!((case.world.lock().polls(), case.poller.counts().unwrap().buffered), (1, 0));
            }
        });
    }
}

/// Row 4: after a stall, what others have is left to them.
#[test]
fn what_others_took_during_a_stall_is_left_to_them() {
    for keeps in [false, true] {
        Scheduler::run(1, |scheduler| {
            let mut case = Case::new(scheduler, &Plan { visibility: 2, asks: true, keeps, ahead: 10, ..defaults() });
            case.takers(1, false, &[Handler::Takes(s(60))]);
            case.world.send_after(ms(500), 10, 0);
            case.advance(s(1));
            case.laws =
                Laws::new(Promise { kept: false, ..defaults().promise() }, &case.world, &case.poller, &case.work);
            case.world.other_after(s(3), 300, s(250));
            scheduler.stall(s(4));
            case.laws.stalled();
            case.advance(s(1));
            assert_eq!(case.world.lock().others.len(), 10);
            // Leaving the loop gives back what is ours, which is nothing.
            case.poller.close().unwrap();
            case.poller.abandon().unwrap();
            case.advance(s(200));
            let (now, mut world) = (case.world.now(), case.world.lock());
            world.check_all_others(now);
            for (handle, until) in world.others.clone() {
                assert_eq!(world.sqs.standing(&handle, now), Standing::Ours(until));
            }
            drop(world);
            assert!(case.lost() >= if keeps { 10 } else { 9 });
        });
    }
}

/// Row 4b: nothing gets through for a while: deletes are asked for again.
#[test]
fn deletes_outlive_an_outage() {
    for outage in [ms(300), s(1), s(3), s(10)] {
        Scheduler::run(1, |scheduler| {
            let mut case = Case::new(scheduler, &defaults());
            case.takers(50, false, &[Handler::Takes(ms(50))]);
            case.world.send_after(ms(500), 300, 0);
            case.advance(ms(700));
            let until = scheduler.elapsed() + outage;
            case.world.lock().out_until = until;
            case.advance(s(120));
            let counts = case.poller.counts().unwrap();
            assert_eq!((counts.handed_over, counts.deleted, counts.lost), (300, 300, 0), "{outage:?}");
            assert_eq!(case.work.lock().unwrap().undone, 0);
        });
    }
}

/// Row 5: a handler that goes on for longer than its message can be kept is told, once, and its message left alone.
#[test]
fn a_lost_lease_is_told() {
    Scheduler::run(1, |scheduler| {
        let extensions = Faults { denied: 1_000, ..Faults::default() };
        let way = Way { latency: 20, extensions, ..Way::default() };
        let mut case = Case::new(scheduler, &Plan { way, ..defaults() });
        case.takers(2, false, &[Handler::Takes(s(100)), Handler::Takes(ms(5))]);
        case.world.send_after(ms(500), 1, 0);
        case.advance(s(29));
        assert_eq!(case.work.lock().unwrap().lost, 0);
        case.advance(s(5));
        assert_eq!(case.work.lock().unwrap().lost, 1);
        assert_eq!(case.handed_over(), 2, "and is handled again, by the other");
        case.advance(s(200));
        let counts = case.poller.counts().unwrap();
        assert_eq!((counts.deleted, counts.lost, counts.in_progress), (1, 1, 0));
    });
}

#[test]
fn twelve_hours_are_the_limit() {
    Scheduler::run(1, |scheduler| {
        let mut case = Case::new(scheduler, &defaults());
        case.takers(1, false, &[Handler::Takes(s(43_100)), Handler::NeverEnds]);
        case.world.send_after(ms(500), 1, 0);
        case.advance(s(43_150));
        let counts = case.poller.counts().unwrap();
        assert_eq!((counts.handled, counts.deleted, counts.lost), (1, 1, 0));
        case.world.send_after(ms(500), 1, 0);
        case.advance(s(43_100));
        assert_eq!(case.lost(), 0);
        case.laws = Laws::new(Promise { kept: false, ..defaults().promise() }, &case.world, &case.poller, &case.work);
        case.advance(s(200));
        assert_eq!(case.lost(), 1, "no sooner and no later");
    });
}

/// Row 9: the longest delay that is possible is asked for, not one that is refused.
#[test]
fn the_longest_retry_delay_is_what_is_left_of_twelve_hours() {
    for (delay, held) in [(43_200, 0), (43_199, 5), (43_200, 3_600)] {
        Scheduler::run(1, |scheduler| {
            let mut case = Case::new(scheduler, &defaults());
            case.takers(1, false, &[Handler::Fails(s(held), Some(delay)), Handler::Takes(ms(5))]);
            case.world.send_after(ms(500), 1, 0);
            case.advance(s(held + 60));
            assert_eq!((case.handed_over(), case.work.lock().unwrap().undone), (1, 0));
            case.advance(s(43_100 - held));
            assert_eq!(case.handed_over(), 1);
            case.advance(s(200));
            assert_eq!(case.handed_over(), 2);
        });
    }
}

/// With nothing to do nothing wakes up but the long polls.
#[test]
fn an_idle_hour_has_no_timers() {
    for told in [false, true] {
        Scheduler::run(1, |scheduler| {
            let mut case = Case::new(scheduler, &defaults());
            case.takers(5, told, &[Handler::Takes(ms(5))]);
            case.world.send_after(ms(500), 3, 0);
            case.advance(s(60));
            let (alarms, requests) = (scheduler.alarms(), case.world.lock().requests);
            case.advance(s(3_600));
            assert_eq!(scheduler.alarms() - alarms, 0);
            // Long polls, and the visibility timeout every five minutes.
            assert!(case.world.lock().requests - requests <= 3_600 / 20 + 12 + 1);
        });
    }
}

/// A taker that has waited for as long as it is meant to ends the loop, whatever the polls do.
#[test]
fn the_idle_timeout_ends_the_loop_when_polls_fail() {
    Scheduler::run(1, |scheduler| {
        let plan = defaults();
        let world = World::new(scheduler, 1, "q", 30, plan.way.clone());
        let options = PollerOptions { idle: Some(s(10)), groups: GroupMode::None, ..plan.options(&world) };
        let poller = Arc::new(plan::poller(&world, options));
        let work = PollerCore::default();
        let laws = Laws::new(Promise { kept: false, ..plan.promise() }, &world, &poller, &work);
        let case = Case { scheduler: scheduler.clone(), world, poller, work, laws };
        case.takers(2, false, &[Handler::Takes(ms(5))]);
        case.world.lock().out_until = s(1_000);
        scheduler.advance(s(5), || {});
        assert_eq!(case.work.lock().unwrap().ended, 0);
        scheduler.advance(s(40), || {});
        assert_eq!(case.work.lock().unwrap().ended, 2);
    });
}

/// A message that is finished after the poller was closed is deleted all the same.
#[test]
fn what_is_finished_after_the_close_is_deleted() {
    Scheduler::run(1, |scheduler| {
        let mut case = Case::new(scheduler, &defaults());
        case.takers(3, false, &[Handler::Takes(s(70))]);
        case.world.send_after(ms(500), 8, 0);
        case.advance(s(1));
        case.poller.close().unwrap();
        case.advance(s(2));
        case.advance(s(70));
        let counts = case.poller.counts().unwrap();
        assert_eq!((counts.deleted, counts.lost, counts.in_progress), (3, 0, 0));
        assert!(case.poller.own().unwrap().lock().is_quiet());
        assert_eq!(scheduler.tasks(), 0);
        case.poller.finish(99, Disposition::Delete).unwrap();
    });
}

/// What was given back before a taker came for it, or was lost, does not count among the messages that are wanted.
#[test]
fn as_many_messages_as_are_wanted_are_handed_over() {
    for keeps in [false, true] {
        Scheduler::run(1, |scheduler| {
            let mut case = Case::new(scheduler, &Plan { keeps, ahead: 10, max_messages: Some(10), ..defaults() });
            case.takers(1, false, &[Handler::Takes(s(40))]);
            case.world.send_after(ms(500), 10, 0);
            case.advance(s(390));
            assert_eq!((case.handed_over(), case.work.lock().unwrap().ended), (10, 0), "{keeps}");
            case.advance(s(20));
            assert_eq!(case.work.lock().unwrap().ended, 1, "{keeps}");
        });
    }
}

/// One taker that waits in vain is enough, whatever the others are at.
#[test]
fn the_idle_timeout_ends_the_loop_beside_a_busy_taker() {
    for told in [false, true] {
        Scheduler::run(1, |scheduler| {
            let mut case = Case::new(scheduler, &Plan { idle: Some(s(10)), ..defaults() });
            case.takers(2, told, &[Handler::Takes(s(3_600))]);
            case.world.send_after(s(5), 1, 0);
            case.advance(s(14));
            assert_eq!((case.handed_over(), case.work.lock().unwrap().ended), (1, 0));
            case.advance(s(6));
            assert_eq!(case.work.lock().unwrap().ended, 1, "{told}");
        });
    }
}

/// What a poll brings when no taker will come any more goes back at once, though a handler is still at it.
#[test]
fn what_comes_after_the_end_goes_back() {
    Scheduler::run(1, |scheduler| {
        let mut case = Case::new(scheduler, &Plan { visibility: 300, ..defaults() });
        case.takers(30, false, &[Handler::Takes(ms(5))]);
        case.world.send_after(ms(500), 30, 0);
        case.advance(s(2));
        assert!(case.world.lock().polls() > 1);
        case.poller.shared.lock().ended = true;
        case.world.send_after(ms(1), 1, 0);
        case.advance(s(3));
        assert_eq!((case.world.lock().polls(), case.poller.counts().unwrap().buffered), (0, 0));
        let now = case.world.now();
        assert!(case.world.lock().sqs.has_visible(now));
    });
}

/// A batch of one message group is full when it has as many as are wanted.
#[test]
fn a_full_batch_of_one_group_does_not_wait_to_fill_up() {
    Scheduler::run(1, |scheduler| {
        let plan = Plan { fifo_groups: 1, batch: 10, window: s(10), ..defaults() };
        let mut case = Case::new(scheduler, &plan);
        case.world.send_after(Duration::ZERO, 10, 1);
        case.advance(ms(10));
        case.takers(1, false, &[Handler::Takes(ms(5))]);
        case.advance(s(1));
        assert_eq!(case.handed_over(), 10);
    });
}

/// The queue is given a shorter visibility timeout: what is handled is kept all the same.
#[test]
fn a_visibility_timeout_that_shrinks_loses_nothing() {
    Scheduler::run(1, |scheduler| {
        let mut case = Case::new(scheduler, &defaults());
        case.takers(2, false, &[Handler::Takes(s(20))]);
        case.world.send_after(s(1), 1, 0);
        case.world.set_visibility_after(s(2), 3);
        case.world.send_after(s(60), 1, 0);
        case.advance(s(120));
        assert_eq!((case.handed_over(), case.lost()), (2, 0));
    });
}

/// While deletes pile up nothing more is fetched, lest it be given back again and again.
#[test]
fn nothing_is_fetched_that_cannot_be_handed_over() {
    Scheduler::run(1, |scheduler| {
        let way = Way { latency: 20, deletes: Faults { throttled: 1_000, ..Faults::default() }, ..Way::default() };
        let case = Case::new(scheduler, &Plan { visibility: 300, way, ..defaults() });
        case.takers(200, false, &[Handler::Takes(ms(0))]);
        case.world.send_after(ms(500), 1_500, 0);
        scheduler.advance(s(100), || {});
        let counts = case.poller.counts().unwrap();
        assert!((500..800).contains(&counts.handed_over), "{counts:?}");
        scheduler.advance(s(900), || {});
        let later = case.poller.counts().unwrap();
        // What was buffered by then goes back once, and is not fetched again.
        assert_eq!((later.handed_over, later.received), (counts.handed_over, counts.received), "{later:?}");
    });
}

/// A delete that comes too late for the lease it was asked for under is asked for again: the message has been kept meanwhile.
#[test]
fn a_delete_that_waits_for_its_turn_outlives_its_first_lease() {
    Scheduler::run(1, |scheduler| {
        let deletes = Faults { late: 4_000, ..Faults::default() };
        let way = Way { latency: 20, deletes, ..Way::default() };
        let mut case = Case::new(scheduler, &Plan { visibility: 3, way, ..defaults() });
        case.takers(50, false, &[Handler::Takes(ms(0))]);
        case.world.send_after(ms(500), 500, 0);
        case.laws = Laws::new(Promise { kept: false, ..defaults().promise() }, &case.world, &case.poller, &case.work);
        case.advance(s(120));
        let counts = case.poller.counts().unwrap();
        assert_eq!((case.work.lock().unwrap().undone, counts.lost, counts.deleted), (0, 0, 500));
    });
}
