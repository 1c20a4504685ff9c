//! What must hold at every step.

use std::sync::Arc;
use std::time::Duration;

use super::ms;
use super::takers::SharedWork;
use super::world::World;
use crate::local::simulated::Standing;
use crate::poll::{Phase, Poller, PollerCore};

/// How long it may take, under which circumstances.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promise {
    /// A message that is visible and a taker that is free.
    pub found: Duration,
    /// One that is held and a taker that is free; `None` where extensions fail.
    pub handed_over: Option<Duration>,
    /// What handlers want for their messages is done, sooner or later.
    pub done: bool,
    /// Nothing is lost.
    pub kept: bool,
    /// How many messages are handed over at most.
    pub most: u64,
    /// How many a second, and at a time.
    pub rate: Option<(f64, u64)>,
    /// One that waits in vain ends the loop; `None` where polls fail.
    pub ends: Option<Duration>,
}

pub(super) struct Laws {
    promise: Promise,
    world: World,
    core: Arc<PollerCore>,
    work: SharedWork,
    /// Since when, and what had happened by then.
    found: Option<(u64, (u64, u64))>,
    handed_over: Option<(u64, (u64, u64))>,
    in_vain: Option<(u64, (u64, u64))>,
    /// When it was checked last.
    checked: Option<u64>,
}

impl Laws {
    pub(crate) fn new(promise: Promise, world: &World, poller: &Arc<Poller>, work: &SharedWork) -> Laws {
        let (world, core, work) = (world.clone(), poller.own().unwrap(), Arc::clone(work));
        Laws { promise, world, core, work, found: None, handed_over: None, in_vain: None, checked: None }
    }

    /// Time has passed in which nothing could be done.
    pub(super) fn stalled(&mut self) {
        (self.found, self.handed_over, self.in_vain) = (None, None, None);
    }

    pub(super) fn check(&mut self) {
        let now = self.world.now();
        // What does not hold between two steps of the same moment holds when that is over.
        let first = self.checked.replace(now) != Some(now);
        let shared = Arc::clone(&self.core);
        let state = shared.lock();
        let mut world = self.world.lock();
        if first {
            world.check_all_others(now);
        }
        let progress = (world.received.len() as u64 + world.others_took, state.counts.handed_over);
        let serving = state.phase == Phase::Running && !state.ended && state.error.is_none();
        // Who waits for deletes to be answered, or for the rate, does not wait for messages.
        let waits = state.takers.waiting() > 0 && !state.is_behind() && state.takers.next_free <= ms(now);

        // Liveness. After a poll that failed the next may take its time.
        // What is buffered may be all that is still wanted, if it does not wait for another of its group; or that may be held.
        let visibility = u32::try_from(state.leases.visibility().as_secs()).unwrap();
        let (reachable, buffered) = (state.leases.within_reach(usize::MAX), state.leases.buffered().0);
        let enough = shared.options.most(visibility) <= buffered || state.fetches.scaler.left() <= reachable;
        let excused = state.fetches.pausing() > 0 || world.doomed > 0 || enough;
        let visible = serving && waits && !excused && world.sqs.has_visible(now);
        self.found = keep(self.found, visible, now, progress);
        if let Some((since, _)) = self.found {
            let bound = self.promise.found;
            assert!(ms(now - since) <= bound, "visible since {since} ms beside a free taker, at {now} ms: {state:?}");
        }
        let held = serving && waits && state.leases.available() > 0;
        self.handed_over = keep(self.handed_over, held, now, progress);
        if let (Some((since, _)), Some(bound)) = (self.handed_over, self.promise.handed_over) {
            assert!(ms(now - since) <= bound, "held since {since} ms beside a free taker, at {now} ms");
        }

        if let Some(bound) = self.promise.ends {
            let in_vain = serving && state.takers.waiting() > 0 && state.leases.buffered().0 == 0;
            self.in_vain = keep(self.in_vain, in_vain, now, progress);
            if let Some((since, _)) = self.in_vain {
                assert!(ms(now - since) <= bound, "a taker waits in vain since {since} ms, at {now} ms");
            }
        }

        // No more than was asked for, and no sooner.
        let handed_over = state.counts.handed_over;
        assert!(handed_over <= self.promise.most, "{handed_over} messages, at {now} ms");
        if let Some((rate, batch)) = self.promise.rate {
            let most = rate * ms(now).as_secs_f64() + batch as f64 + 0.01;
            assert!(handed_over as f64 <= most, "{handed_over} messages at {rate} a second, at {now} ms");
        }
        if state.ended {
            assert_eq!(state.leases.buffered().0, 0, "held for nobody, at {now} ms");
        }

        // Safety. What we think is ours is.
        if first && !world.was_late {
            for held in state.leases.held() {
                let handle: String = serde_json::from_str(&held.handle).unwrap();
                if held.ends || world.unknown.contains(&handle) || held.expires <= ms(now) {
                    continue;
                }
                if world.is_released_by(&handle, now) {
                    continue;
                }
                match world.sqs.standing(&handle, now) {
                    Standing::Ours(until) if ms(until) + ms(1) >= held.expires => {}
                    // What its handler asks for is on its way; or an extension is that was asked for before.
                    Standing::Ours(_) if world.is_changed(&handle) => {}
                    _ if world.is_changing(&handle) => {}
                    // By a delete with an earlier handle, which was under way when it was received again.
                    Standing::Deleted if world.deletes(&handle) => {}
                    other => panic!("ours until {:?} we think, {other:?} it is, at {now} ms", held.expires),
                }
            }
        }
        if self.promise.kept {
            assert_eq!(state.leases.lost(), 0, "lost though the service answers in time, at {now} ms");
        }
        drop(world);
        drop(state);
        let undone = self.work.lock().unwrap().undone;
        assert!(!self.promise.done || undone == 0, "a delete was given up while it could be repeated, at {now} ms");
    }

    /// How many messages have been lost.
    pub(crate) fn lost(&self) -> u64 {
        self.core.lock().leases.lost()
    }

    /// After a stop: what no taker has had is visible.
    pub(super) fn check_given_back(&self) {
        let now = self.world.now();
        let mut world = self.world.lock();
        // What was lost is not given back, though the service may keep it for longer than we thought.
        // Nor what the service refuses to be given back.
        let refused = self.promise.handed_over.is_none();
        if world.was_late || refused || self.core.lock().leases.lost() > 0 {
            return;
        }
        let in_hand = self.work.lock().unwrap().in_hand.clone();
        let received: Vec<String> = world.received.keys().cloned().collect();
        for handle in received {
            let known = !world.stranded.contains(&handle) && !world.unknown.contains(&handle);
            if in_hand.contains(&handle) || !known || world.is_released_by(&handle, now) {
                continue;
            }
            let standing = world.sqs.standing(&handle, now);
            assert!(!matches!(standing, Standing::Ours(_)), "{standing:?} after the stop, at {now} ms");
        }
    }
}

fn keep(since: Option<(u64, (u64, u64))>, lasts: bool, now: u64, progress: (u64, u64)) -> Option<(u64, (u64, u64))> {
    if !lasts {
        return None;
    }
    since.filter(|(_, then)| *then == progress).or(Some((now, progress)))
}
