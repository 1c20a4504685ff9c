//! What was seen to go wrong, each as a case: an input, and what is right.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;

use super::laws::{Laws, Promise};
use super::plan::Plan;
use super::takers::{Handler, Own, SharedWork, Taker, Tell};
use super::world::{Faults, Way, World};
use super::{ms, s};
use crate::local::simulated::Standing;
use crate::poll::poller::Parked;
use crate::poll::{Disposition, Poller, Take};
use crate::protocol::entry::{Single, delete};
use crate::runtime;
use crate::runtime::responder::{PendingResponse, Responder};
use crate::runtime::simulation::Scheduler;

/// A consumer with all defaults and what a case makes of it.
struct Case {
    scheduler: Scheduler,
    world: World,
    poller: Arc<Poller>,
    all: Arc<Vec<Own>>,
    work: SharedWork,
    promise: Promise,
    laws: Laws,
}

fn defaults() -> Plan {
    Plan {
        seed: 0,
        pollers: 1,
        one_client: true,
        leaves: None,
        fifo_groups: 0,
        visibility: 30,
        asks: false,
        wait: 20,
        takers: 0,
        watched: false,
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
        let all = Arc::new(plan.make_pollers(&world));
        let poller = Arc::clone(&all[0].poller);
        let work = SharedWork::default();
        let promise = plan.promise();
        let laws = Laws::new(promise, &world, &poller, &work);
        Case { scheduler: scheduler.clone(), world, poller, all, work, promise, laws }
    }

    /// So many takers, whose handlers do these in turn.
    fn takers(&self, count: usize, told: bool, handlers: &[Handler]) {
        let mut next = Vec::from(handlers).into_iter().cycle();
        let handlers = Arc::new(Mutex::new(move || next.next().unwrap()));
        for _ in 0..count {
            let taker = Taker {
                own: self.all[0].clone(),
                all: Arc::clone(&self.all),
                world: self.world.clone(),
                work: Arc::clone(&self.work),
                told,
                finishes: self.poller.own().unwrap().options.keeps,
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
            for (handle, other) in world.others.clone() {
                assert_eq!(world.sqs.standing(&handle, now), Standing::Ours(other.until));
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

/// Row 6: what may pass does not end it, and credentials that have run out are asked for anew.
#[test]
fn polls_go_on_after_refusals_that_may_pass() {
    let expired = [(400, "ExpiredToken"), (403, "ExpiredTokenException"), (400, "RequestExpired")];
    let others =
        [(403, "OverLimit"), (400, "KmsThrottled"), (400, "KMS.ThrottlingException"), (503, "ServiceUnavailable")];
    for (refusal, renews) in expired.map(|it| (it, 1)).into_iter().chain(others.map(|it| (it, 0))) {
        Scheduler::run(1, |scheduler| {
            let mut case = Case::new(scheduler, &defaults());
            case.takers(2, false, &[Handler::Takes(ms(5))]);
            case.world.lock().refusal = Some(refusal);
            case.world.send_after(s(2), 1, 0);
            case.advance(s(4));
            let work = case.work.lock().unwrap();
            assert_eq!((work.polls_failed, work.handed_over, work.ended), (1, 1, 0), "{refusal:?}");
            assert_eq!(case.world.lock().renewals, renews, "{refusal:?}");
        });
    }
}

#[test]
fn polls_end_with_a_refusal_that_does_not_pass() {
    for refusal in [(400, "AWS.SimpleQueueService.NonExistentQueue"), (403, "AccessDenied")] {
        Scheduler::run(1, |scheduler| {
            let mut case = Case::new(scheduler, &defaults());
            case.takers(2, false, &[Handler::Takes(ms(5))]);
            case.world.lock().refusal = Some(refusal);
            case.advance(s(4));
            assert_eq!(case.work.lock().unwrap().ended, 2, "{refusal:?}");
        });
    }
}

/// One who gives up waiting is forgotten, in whatever way it waited.
#[test]
fn those_who_give_up_are_forgotten() {
    Scheduler::run(1, |scheduler| {
        let mut case = Case::new(scheduler, &defaults());
        let responder = || Responder::new(Tell(oneshot::channel().0));
        assert!(matches!(case.poller.take().unwrap(), Take::Nothing));
        for _ in 0..100 {
            for wait in [case.poller.notify(1, responder()).unwrap(), case.poller.watch(responder()).unwrap()] {
                case.poller.withdraw(wait).unwrap();
            }
            let wait = case.poller.tell_quiet(responder()).unwrap();
            case.poller.withdraw(wait.unwrap()).unwrap();
            assert!(!case.poller.wait_until_quiet(ms(1)).unwrap());
        }
        let core = case.poller.own().unwrap();
        let state = core.lock();
        assert_eq!((state.takers.waiting(), state.watchers.len(), state.closers.len()), (0, 0, 0));
        drop(state);
        let told = case.poller.notify(3, responder()).unwrap();
        case.advance(s(30));
        assert_eq!(case.poller.own().unwrap().lock().takers.waiting(), 3);
        case.poller.withdraw(told).unwrap();
        assert_eq!(case.poller.own().unwrap().lock().takers.waiting(), 0);
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
        let case = Case::new(scheduler, &Plan { idle: Some(s(10)), ..defaults() });
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
        case.poller.own().unwrap().lock().ended = true;
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

/// Of a group whose turn has not come, messages are held that could be all that is wanted: other groups have some too.
#[test]
fn a_busy_group_does_not_hold_up_the_last_messages_of_others() {
    Scheduler::run(1, |scheduler| {
        let mut case = Case::new(scheduler, &Plan { fifo_groups: 1, max_messages: Some(10), ..defaults() });
        let quick = std::iter::repeat_n(Handler::Takes(ms(5)), 20);
        case.takers(3, false, &std::iter::once(Handler::Takes(s(40))).chain(quick).collect::<Vec<_>>());
        case.world.send_after(ms(500), 10, 1);
        case.advance(s(1));
        assert_eq!(case.handed_over(), 1);
        case.world.send_to_after(ms(500), 3, "other");
        case.advance(s(2));
        assert_eq!(case.handed_over(), 4, "the others' handlers are free");
        case.advance(s(200));
        assert_eq!((case.handed_over(), case.work.lock().unwrap().ended), (10, 3));
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

/// An extension of which nothing is heard is given up while there is time for another.
#[test]
fn an_extension_that_hangs_is_made_again_in_time() {
    for (visibility, told) in [(4, false), (10, true), (30, false), (300, true)] {
        Scheduler::run(1, |scheduler| {
            let mut case = Case::new(scheduler, &Plan { visibility, ..defaults() });
            case.takers(2, told, &[Handler::Takes(s(u64::from(visibility) * 3)), Handler::Takes(ms(5))]);
            case.world.send_after(ms(500), 1, 0);
            // In the middle of its visibility timeout.
            case.advance(s(u64::from(visibility) / 2));
            case.world.lock().way.extensions.hangs = 1_000;
            case.advance(ms(700));
            case.world.lock().way.extensions.hangs = 0;
            case.advance(s(u64::from(visibility) * 5));
            let counts = case.poller.counts().unwrap();
            assert_eq!((counts.handed_over, counts.deleted, counts.lost), (1, 1, 0), "visibility {visibility}");
        });
    }
}

/// A handler that makes its message visible by itself has not lost it: nobody is told so, and it has no say in what others
/// receive. What it comes to holds all the same.
#[test]
fn what_a_handler_lets_go_is_not_lost() {
    for (seconds, raises) in [(0, false), (0, true), (3, false), (3, true), (200, false)] {
        Scheduler::run(1, |scheduler| {
            let mut case = Case::new(scheduler, &defaults());
            let changes = Handler::Changes { after: s(2), seconds, then: s(100), raises };
            case.takers(2, false, &[changes, Handler::Takes(s(110))]);
            case.world.send_after(ms(500), 1, 0);
            case.advance(s(2));
            let extended = case.poller.counts().unwrap().extended;
            case.laws =
                Laws::new(Promise { done: false, kept: false, ..case.promise }, &case.world, &case.poller, &case.work);
            case.advance(s(95));
            assert_eq!(case.work.lock().unwrap().lost, 0);
            let again = case.handed_over() - 1;
            assert_eq!(again, u64::from(seconds < 100), "another has it as soon as it is visible");
            assert!(again > 0 || case.poller.counts().unwrap().extended == extended, "it is not extended");
            case.advance(s(200));
            let counts = case.poller.counts().unwrap();
            // The other's may be deleted under it, if its first handler returned.
            assert_eq!(counts.handled, 1 + again - u64::from(raises), "{counts:?}");
            assert_eq!(case.world.lock().sqs.counts(case.world.now()), (0, 0, 0));
            assert_eq!(counts.in_progress, 0);
        });
    }
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

/// The rate's next moment passes before the timer has looked at it: the taker is woken all the same.
#[test]
fn a_moment_that_has_passed_unseen_is_not_missed() {
    for told in [false, true] {
        Scheduler::run(1, |scheduler| {
            let mut case = Case::new(scheduler, &Plan { rate: Some(1.0), ahead: 10, ..defaults() });
            // One poll brings both.
            case.world.send_after(Duration::ZERO, 2, 0);
            case.advance(ms(1));
            assert!(matches!(case.poller.take().unwrap(), Take::Nothing));
            case.advance(s(2));
            assert!(matches!(case.poller.take().unwrap(), Take::Messages(_)));
            let (tell, mut told_of) = oneshot::channel();
            let responder = Responder::new(Tell(tell));
            if told {
                case.poller.notify(1, responder).unwrap();
            } else {
                assert!(matches!(case.poller.park(responder).unwrap(), Parked::Waits(_)));
            }
            // No task has had its turn since.
            scheduler.stall(s(2));
            case.advance(ms(10));
            assert!(told_of.try_recv().is_ok(), "{told}");
        });
    }
}

/// A handler that deletes its message by itself and goes on has lost nothing when the heartbeat finds the message gone.
#[test]
fn what_a_handler_deletes_by_itself_is_not_lost() {
    for fifo_groups in [0, 1] {
        Scheduler::run(1, |scheduler| {
            let mut case = Case::new(scheduler, &Plan { fifo_groups, ..defaults() });
            case.takers(1, false, &[Handler::Takes(s(100)), Handler::Takes(ms(5))]);
            case.world.send_after(ms(500), 2, fifo_groups);
            case.advance(s(2));
            let handle = case.work.lock().unwrap().handles.first().cloned().unwrap();
            let (action, entry) = (Single::DeleteMessage, delete(&serde_json::to_string(&handle).unwrap()));
            let (resources, queue) = (&case.all[0].resources, serde_json::to_vec(&case.world.url()).unwrap());
            resources.pollers.note_entry(action, &entry);
            let (pending, responder) = PendingResponse::new();
            resources.batchers.of(action, &queue).enter(entry, responder).unwrap();
            case.advance(s(200));
            assert!(pending.wait_for(Duration::ZERO).unwrap().is_ok());
            let counts = case.poller.counts().unwrap();
            assert_eq!((counts.handed_over, counts.handled, counts.lost), (2, 2, 0), "{counts:?}");
            let work = case.work.lock().unwrap();
            assert_eq!((work.lost, work.undone), (0, 0));
            assert_eq!(case.world.lock().sqs.counts(case.world.now()), (0, 0, 0));
        });
    }
}

/// An iterator's messages are handed over in their order, whatever group they are of: none waits for another to be finished, and
/// the last that are wanted come as well.
#[test]
fn an_iterator_over_groups_comes_to_its_last_message() {
    Scheduler::run(1, |scheduler| {
        let plan =
            Plan { keeps: false, visibility: 300, ahead: 10, fifo_groups: 1, max_messages: Some(12), ..defaults() };
        let mut case = Case::new(scheduler, &plan);
        // A group's messages come together, or not before those that were received are deleted.
        case.world.send_after(Duration::ZERO, 10, 1);
        case.world.send_to_after(Duration::ZERO, 3, "other");
        case.advance(ms(1));
        case.takers(1, false, &[Handler::Takes(s(5))]);
        case.advance(s(12 * 5 - 2));
        assert_eq!((case.handed_over(), case.work.lock().unwrap().ended), (12, 0));
        case.advance(s(6));
        assert_eq!(case.work.lock().unwrap().ended, 1);
    });
}
