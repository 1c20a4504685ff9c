//! What must hold at every step.

use std::sync::Arc;
use std::time::Duration;

use super::ms;
use super::takers::PollerCore;
use super::world::World;
use crate::local::simulated::Standing;
use crate::poll::{Phase, Poller};

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
    poller: Arc<Poller>,
    work: PollerCore,
    /// Since when, and what had happened by then.
    found: Option<(u64, (u64, u64))>,
    handed_over: Option<(u64, (u64, u64))>,
    in_vain: Option<(u64, (u64, u64))>,
}

impl Laws {
    pub(super) fn new(promise: Promise, world: &World, poller: &Arc<Poller>, work: &PollerCore) -> Laws {
        let (world, poller, work) = (world.clone(), Arc::clone(poller), Arc::clone(work));
        Laws { promise, world, poller, work, found: None, handed_over: None, in_vain: None }
    }

    /// Time has passed in which nothing could be done.
    pub(super) fn stalled(&mut self) {
        (self.found, self.handed_over, self.in_vain) = (None, None, None);
    }

    pub(super) fn check(&mut self) {
        let now = self.world.now();
        let shared = &self.poller.shared;
        let state = shared.lock();
        let mut world = self.world.lock();
        world.check_all_others(now);
        let progress = (world.received.len() as u64 + world.others_took, state.counts.handed_over);
        let serving = state.phase == Phase::Running && !state.ended && state.error.is_none();
        // Who waits for deletes to be answered, or for the rate, does not wait for messages.
        let waits = state.takers.waiting() > 0 && !state.is_behind() && state.takers.next_free <= ms(now);

        // Liveness. After a poll that failed the next may take its time.
        // What is buffered, for whomever, may be all that is still wanted, or that may be held.
        let visibility = u32::try_from(state.leases.visibility().as_secs()).unwrap();
        let most = shared.options.most(visibility).min(state.fetches.scaler.left());
        let enough = most <= state.leases.buffered().0;
        let excused = state.fetches.pausing() > 0 || world.doomed > 0 || enough;
        let visible = serving && waits && !excused && world.sqs.has_visible(now);
        self.found = keep(self.found, visible, now, progress);
        if let Some((since, _)) = self.found {
            let bound = self.promise.found;
            assert!(ms(now - since) <= bound, "visible since {since} ms beside a free taker, at {now} ms");
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
        if !world.was_late {
            for held in state.leases.held() {
                let handle: String = serde_json::from_str(&held.handle).unwrap();
                if held.ends || world.unknown.contains(&handle) || held.expires <= ms(now) {
                    continue;
                }
                match world.sqs.standing(&handle, now) {
                    Standing::Ours(until) if ms(until) + ms(1) >= held.expires => {}
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
        assert!(self.work.lock().unwrap().lost <= self.poller.counts().unwrap().lost);
    }

    /// After a stop: what no taker has had is visible.
    pub(super) fn check_given_back(&self) {
        let now = self.world.now();
        let mut world = self.world.lock();
        // What was lost is not given back, though the service may keep it for longer than we thought.
        // Nor what the service refuses to be given back.
        let refused = self.promise.handed_over.is_none();
        if world.was_late || refused || self.poller.shared.lock().leases.lost() > 0 {
            return;
        }
        let in_hand = self.work.lock().unwrap().in_hand.clone();
        let received: Vec<String> = world.received.keys().cloned().collect();
        for handle in received {
            if in_hand.contains(&handle) || world.stranded.contains(&handle) || world.unknown.contains(&handle) {
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
