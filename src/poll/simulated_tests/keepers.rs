//! Messages that their handlers have received by themselves and have kept invisible, in the same simulated time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;

use super::plan::resources;
use super::takers::Tell;
use super::world::{Faults, Way, World};
use super::{ms, s};
use crate::client::Resources;
use crate::local::simulated::Standing;
use crate::poll::keeper::{Keeper, KeeperCore, KeeperCounts};
use crate::protocol::entry::{Single, delete, visibility};
use crate::protocol::error::Error;
use crate::protocol::message::Reply;
use crate::runtime;
use crate::runtime::responder::{Responder, Sink};
use crate::runtime::simulation::Scheduler;

/// What is being handled: receipt handle and keeper.
type InHand = Arc<Mutex<BTreeMap<String, usize>>>;

/// A caller that does not read what its call has come to.
struct Unread;

impl Sink<Reply> for Unread {
    fn deliver(self: Box<Self>, _: Result<Reply, Error>) {}
}

/// A world with one queue, and some keepers on one core.
struct Kept {
    world: World,
    resources: Arc<Resources>,
    core: Arc<KeeperCore>,
    keepers: Vec<Arc<Keeper>>,
}

impl Kept {
    fn new(scheduler: &Scheduler, seed: u64, asks: Option<u32>, visibility: u32, way: Way, keepers: usize) -> Kept {
        let world = World::new(scheduler, seed, "q", visibility, way);
        let resources = resources(&world);
        let core = KeeperCore::over(&resources, serde_json::to_vec(&world.url()).unwrap().into(), asks);
        let keepers = (0..keepers).map(|_| Arc::new(Keeper::on(Arc::clone(&core), true))).collect();
        Kept { world, resources, core, keepers }
    }

    fn extended(&self) -> u64 {
        self.keepers.iter().map(|keeper| keeper.counts().unwrap().extended).sum()
    }
}

/// Whatever goes wrong: what is kept is ours as long as the service answers, what is lost is told once and left alone (which the
/// world checks whenever a request leaves), and in the end nothing is left.
#[test]
fn what_is_kept_stays_invisible() {
    let (mut kept, mut lost) = (0, 0);
    for seed in 0..300 {
        let counts = Scheduler::run(seed, |scheduler| play(scheduler, seed));
        kept += counts.extended;
        lost += counts.lost;
    }
    // What is never tried proves nothing.
    assert!(kept > 3_000 && lost > 150, "{kept} extensions, {lost} lost");
}

fn play(scheduler: &Scheduler, seed: u64) -> KeeperCounts {
    let mut random = fastrand::Rng::with_seed(seed);
    let seconds = *random.choice([1, 2, 3, 10, 30, 30, 300].iter()).unwrap();
    let v = s(u64::from(seconds));
    let extensions = match random.u8(..8) {
        0 => Faults { throttled: random.u64(..300), ..Faults::default() },
        1 => Faults { lost: random.u64(..300), unanswered: random.u64(..100), ..Faults::default() },
        2 => Faults { denied: *random.choice([20, 1_000].iter()).unwrap(), ..Faults::default() },
        3 => Faults { hangs: random.u64(..200), ..Faults::default() },
        _ => Faults::default(),
    };
    let stalls = random.u8(..4) == 0;
    let calm = extensions.is_calm() && !stalls;
    let latency = random.u64(1..=u64::from(seconds.min(10)) * 1_000 / 60);
    let way = Way { latency, extensions, ..Way::default() };
    let asks = random.bool().then_some(seconds);
    let it = Kept::new(scheduler, seed, asks, seconds, way, random.usize(1..4));
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    for keeper in &it.keepers {
        let (keeper, told) = (Arc::clone(keeper), Arc::clone(&told));
        runtime::handle().unwrap().spawn(async move {
            while !keeper.is_closed().unwrap() {
                let (tell, heard) = oneshot::channel();
                keeper.tell_lost(Responder::new(Tell(tell))).unwrap();
                let _ = heard.await;
                told.lock()
                    .unwrap()
                    .extend(keeper.take_lost().unwrap().into_iter().map(|lost| lost.handle.to_string()));
            }
        });
    }
    let in_hand = InHand::default();
    for _ in 0..random.usize(1..20) {
        let (keeper, at) = (random.usize(..it.keepers.len()), ms(random.u64(..60_000)));
        let (world, keeping, in_hand) = (it.world.clone(), Arc::clone(&it.keepers[keeper]), Arc::clone(&in_hand));
        let resources = Arc::clone(&it.resources);
        it.world.send_after(at, random.usize(1..=10), 0);
        let knows = random.bool();
        // One who does not say since when it has a message has it long enough.
        let trip = if knows { ms(random.u64(..200)) } else { v / 3 }.min(v / 3);
        let takes = ms(random.u64(..u64::try_from(v.as_millis()).unwrap() * 5));
        // A process that stands still may delete too late by itself.
        let (deletes, most) = (if stalls { random.u8(..2) * 2 } else { random.u8(..3) }, random.usize(1..=10));
        runtime::handle().unwrap().spawn(async move {
            runtime::sleep(at + ms(1)).await;
            let (handles, received) = (world.receive(most, seconds), world.now());
            runtime::sleep(trip).await;
            let age = ms(world.now() - received);
            if !knows && age > v / 2 {
                return;
            }
            for handle in &handles {
                keeping.add(handle, knows.then_some(age)).unwrap();
                in_hand.lock().unwrap().insert(handle.clone(), keeper);
            }
            runtime::sleep(takes).await;
            for handle in &handles {
                if deletes == 1 {
                    // With the client that keeps it, as `Client::begin` does; it may take a while to have it kept no longer.
                    let (action, entry) = (Single::DeleteMessage, delete(&json!(handle).to_string()));
                    let lost = keeping.is_lost(handle).unwrap();
                    resources.pollers.note_entry(action, &entry);
                    if !lost {
                        let queue = serde_json::to_vec(&world.url()).unwrap();
                        resources.batchers.of(action, &queue).enter(entry, Responder::new(Unread)).unwrap();
                    }
                    in_hand.lock().unwrap().remove(handle);
                    continue;
                }
                let kept = keeping.remove(handle).unwrap();
                in_hand.lock().unwrap().remove(handle);
                assert!(kept || !calm, "it is not ours any more, at {} ms", world.now());
                if kept && deletes == 2 {
                    world.delete(handle);
                }
            }
        });
    }
    let check = || {
        let now = it.world.now();
        let lost = |handle: &String, keeper: usize| it.keepers[keeper].is_lost(handle).unwrap();
        for (handle, keeper) in in_hand.lock().unwrap().iter() {
            let mut world = it.world.lock();
            let standing = world.sqs.standing(handle, now);
            let unknown = world.unknown.contains(handle);
            drop(world);
            let ours = matches!(standing, Standing::Ours(until) if until > now);
            assert!(ours || unknown || lost(handle, *keeper), "{handle} is {standing:?}, at {now} ms");
        }
        assert!(!calm || told.lock().unwrap().is_empty(), "lost though the service answers, at {now} ms");
    };
    if stalls {
        scheduler.advance(ms(random.u64(..60_000)), check);
        scheduler.advance_into_work(s(5), check);
        scheduler.stall(ms(random.u64(..u64::try_from(v.as_millis()).unwrap() * 2)));
    }
    // Just after a stall it is not known yet what was lost in it.
    scheduler.advance(s(61) + v * 10, || {
        if !stalls {
            check()
        }
    });
    let counts = it.keepers.iter().map(|keeper| keeper.counts().unwrap());
    let counts = counts.fold(KeeperCounts::default(), |all, counts| KeeperCounts {
        held: all.held + counts.held,
        extended: all.extended + counts.extended,
        lost: all.lost + counts.lost,
    });
    let mut told = told.lock().unwrap().clone();
    let count = told.len();
    told.sort_unstable();
    told.dedup();
    assert_eq!((told.len(), count as u64), (count, counts.lost), "seed {seed}: told once");
    it.keepers.iter().for_each(|keeper| keeper.close().unwrap());
    scheduler.advance(s(70), || {});
    assert_eq!(scheduler.tasks(), 0, "seed {seed}: something is left");
    counts
}

/// Whoever keeps messages of a queue shares requests, and no request is made for what does not take long.
#[test]
fn keepers_share_requests() {
    Scheduler::run(1, |scheduler| {
        let it = Kept::new(scheduler, 1, Some(30), 30, Way { latency: 10, ..Way::default() }, 20);
        for (number, keeper) in it.keepers.iter().enumerate() {
            it.world.send_after(ms(400) * u32::try_from(number).unwrap(), 5, 0);
            let (world, keeper) = (it.world.clone(), Arc::clone(keeper));
            scheduler.after(ms(400) * u32::try_from(number).unwrap() + ms(1), move || {
                for handle in world.receive(5, 30) {
                    keeper.add(&handle, Some(Duration::ZERO)).unwrap();
                }
            });
        }
        scheduler.advance(s(10), || {});
        assert_eq!(it.world.lock().requests, 0, "half of their time is not over");
        scheduler.advance(s(600), || {});
        let (extended, requests) = (it.extended(), it.world.lock().requests);
        assert!(extended >= 100 * 600 / 18, "{extended} extensions");
        assert!(requests * 8 < extended, "{requests} requests for {extended} extensions");
        assert_eq!(it.world.lock().sqs.counts(it.world.now()), (0, 100, 0));
        it.keepers.iter().for_each(|keeper| keeper.close().unwrap());
        scheduler.advance(s(31), || {});
        assert_eq!(it.world.lock().sqs.counts(it.world.now()), (100, 0, 0), "they come back when their time is over");
        assert_eq!((it.world.lock().requests, scheduler.tasks()), (requests, 0));
    });
}

/// Nothing is said of when they were received: they are extended at once, together.
#[test]
fn what_may_be_old_is_extended_at_once() {
    for asks in [Some(30), None] {
        Scheduler::run(1, |scheduler| {
            let it = Kept::new(scheduler, 1, asks, 30, Way { latency: 10, ..Way::default() }, 1);
            it.world.send_after(Duration::ZERO, 10, 0);
            scheduler.advance(ms(1), || {});
            let handles = it.world.receive(10, 30);
            scheduler.advance(s(28), || {});
            handles.iter().for_each(|handle| it.keepers[0].add(handle, None).unwrap());
            scheduler.advance(ms(100), || {});
            assert_eq!((it.world.lock().requests, it.extended()), (1 + u64::from(asks.is_none()), 10));
            // What is kept already is passed over, whatever is said of it.
            handles.iter().for_each(|handle| it.keepers[0].add(handle, Some(s(29))).unwrap());
            scheduler.advance(s(10), || {});
            assert_eq!(it.extended(), 10);
        });
    }
}

/// A queue that may not be asked for its visibility timeout, or has none: the messages are extended at once and kept all the same.
#[test]
fn a_visibility_timeout_that_is_not_known_is_no_obstacle() {
    for (denied, visibility) in [(1_000, 10), (0, 0)] {
        Scheduler::run(1, |scheduler| {
            let polls = Faults { denied, ..Faults::default() };
            let it = Kept::new(scheduler, 1, None, visibility, Way { latency: 10, polls, ..Way::default() }, 1);
            it.world.send_after(Duration::ZERO, 1, 0);
            scheduler.advance(ms(1), || {});
            let handles = it.world.receive(1, 10);
            it.keepers[0].add(&handles[0], Some(Duration::ZERO)).unwrap();
            scheduler.advance(s(100), || {});
            assert!(it.keepers[0].remove(&handles[0]).unwrap());
            assert!(!it.keepers[0].remove(&handles[0]).unwrap(), "once");
            assert_eq!(it.world.lock().sqs.counts(it.world.now()), (0, 1, 0));
        });
    }
}

/// A handler's own changes have the last word here as well.
#[test]
fn what_a_handler_does_with_what_is_kept_is_respected() {
    Scheduler::run(1, |scheduler| {
        let it = Kept::new(scheduler, 1, Some(30), 30, Way { latency: 10, ..Way::default() }, 1);
        it.world.send_after(Duration::ZERO, 3, 0);
        scheduler.advance(ms(1), || {});
        let handles = it.world.receive(3, 30);
        handles.iter().for_each(|handle| it.keepers[0].add(handle, Some(Duration::ZERO)).unwrap());
        let json = |handle: &String| json!(handle).to_string();
        let queue = serde_json::to_vec(&it.world.url()).unwrap();
        let changes =
            [visibility(&json(&handles[0]), 300), visibility(&json(&handles[1]), 3), delete(&json(&handles[2]))];
        let actions = [Single::ChangeMessageVisibility, Single::ChangeMessageVisibility, Single::DeleteMessage];
        for (action, entry) in actions.into_iter().zip(changes) {
            it.resources.pollers.note_entry(action, &entry);
            it.resources.batchers.of(action, &queue).enter(entry, Responder::new(Unread)).unwrap();
        }
        scheduler.advance(s(4), || {});
        assert_eq!(it.world.lock().sqs.counts(it.world.now()), (1, 1, 0), "one is visible, one is gone");
        scheduler.advance(s(200), || {});
        assert_eq!(it.world.lock().sqs.counts(it.world.now()), (1, 1, 0));
        assert!(it.keepers[0].take_lost().unwrap().is_empty());
        assert_eq!(handles.iter().map(|handle| it.keepers[0].is_lost(handle).unwrap()).collect::<Vec<_>>(), [false; 3]);
        assert_eq!(it.keepers[0].counts().unwrap(), KeeperCounts { held: 3, extended: 0, lost: 0 });
        assert!(it.keepers[0].remove(&handles[0]).unwrap() && !it.keepers[0].remove(&handles[1]).unwrap());
    });
}

/// One that ceases to be ours is told, with the reason, and not touched any more.
#[test]
fn what_cannot_be_kept_is_told() {
    Scheduler::run(1, |scheduler| {
        let extensions = Faults { denied: 1_000, ..Faults::default() };
        let it = Kept::new(scheduler, 1, Some(10), 10, Way { latency: 10, extensions, ..Way::default() }, 2);
        it.world.send_after(Duration::ZERO, 1, 0);
        scheduler.advance(ms(1), || {});
        let handle = it.world.receive(1, 10).remove(0);
        it.keepers[0].add(&handle, Some(Duration::ZERO)).unwrap();
        scheduler.advance(s(9), || {});
        assert!(!it.keepers[0].is_lost(&handle).unwrap());
        scheduler.advance(s(2), || {});
        let lost = it.keepers[0].take_lost().unwrap();
        assert_eq!(
            (lost.len(), &*lost[0].handle, lost[0].error.cause().as_str()),
            (1, &*handle, "AccessDenied (status 403)")
        );
        assert!(it.keepers[0].is_lost(&handle).unwrap() && !it.keepers[1].is_lost(&handle).unwrap());
        let requests = it.world.lock().requests;
        scheduler.advance(s(100), || {});
        assert_eq!((it.world.lock().requests, it.keepers[0].take_lost().unwrap().len()), (requests, 0));
        assert!(!it.keepers[0].remove(&handle).unwrap() && !it.keepers[0].is_lost(&handle).unwrap());
        it.keepers[0].close().unwrap();
        it.keepers[0].close().unwrap();
        assert!(it.keepers[0].add(&handle, None).is_err());
        drop(it.core);
    });
}
