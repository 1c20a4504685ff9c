//! What a seed stands for: a queue, a poller, its takers, the way to the service, and all that goes wrong.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::laws::{Laws, Promise};
use super::takers::{Handler, Own, SharedWork, Taker};
use super::world::{Faults, HANGS, Way, World};
use super::{ms, s};
use crate::client::Resources;
use crate::poll::{Bounds, GroupMode, Poller, PollerOptions};
use crate::receive::receiver::Receivers;
use crate::runtime;
use crate::runtime::simulation::Scheduler;
use crate::send::Limits;
use crate::send::batcher::Batchers;
use crate::stats::Stats;

const LINGER: Duration = Duration::from_millis(2);

#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub seed: u64,
    /// How many pollers of this process receive from the queue, and whether they belong to one client.
    pub(crate) pollers: usize,
    pub(crate) one_client: bool,
    /// When the last of several stops.
    pub(crate) leaves: Option<Duration>,
    pub fifo_groups: u64,
    /// The queue's, in seconds.
    pub visibility: u32,
    /// Whether polls ask for it.
    pub asks: bool,
    pub wait: u32,
    /// Of each poller.
    pub takers: usize,
    /// Whether a watcher hears of background errors too.
    pub(crate) watched: bool,
    pub told: bool,
    pub keeps: bool,
    pub batch: usize,
    pub window: Duration,
    pub ahead: usize,
    pub max_messages: Option<u64>,
    pub idle: Option<Duration>,
    pub rate: Option<f64>,
    pub way: Way,
    /// When so many messages are sent.
    pub arrivals: Vec<(Duration, usize)>,
    pub handlers: Vec<Handler>,
    /// When the process stands still, and for how long.
    pub stalls: Vec<(Duration, Duration)>,
    /// When nothing gets through, and for how long.
    pub outages: Vec<(Duration, Duration)>,
    /// Other consumers: when, with which visibility, and for how long they hold what they get.
    pub others: Vec<(Duration, u64, Duration)>,
    pub lasts: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Played {
    pub simulated: Duration,
    pub handed_over: u64,
    pub handled: u64,
    pub lost: u64,
    pub told_lost: u64,
    pub(crate) own_changes: u64,
    pub(crate) several: u64,
    pub requests: u64,
    pub alarms: u64,
}

impl Plan {
    pub(super) fn of(seed: u64) -> Plan {
        let mut random = fastrand::Rng::with_seed(seed);
        let r = &mut random;
        let visibility = *r.choice([1, 2, 3, 4, 10, 30, 30, 30, 60, 300, 43_200].iter()).unwrap_or(&30);
        let v = s(visibility.into());
        let keeps = r.u8(..10) < 8;
        let calm = r.u8(..10) < 4;
        let span = (v * 6).clamp(s(60), s(7_200));
        let time = |r: &mut fastrand::Rng, most: Duration| ms(r.u64(..=u64::try_from(most.as_millis()).unwrap()));
        let few = |r: &mut fastrand::Rng, most: usize| if calm { 0 } else { r.usize(..=most) };
        let mut way = Way { latency: r.u64(1..=(visibility.min(10) as u64) * 1_000 / 60), ..Way::default() };
        if !calm {
            let of = |r: &mut fastrand::Rng| match r.u8(..7) {
                0 => Faults { throttled: r.u64(..300), ..Faults::default() },
                1 => Faults { lost: r.u64(..300), unanswered: r.u64(..100), ..Faults::default() },
                2 => Faults { denied: *r.choice([20, 1_000].iter()).unwrap_or(&20), ..Faults::default() },
                3 => Faults { late: r.u64(..visibility as u64 * 2_000).min(120_000), ..Faults::default() },
                4 => Faults { hangs: r.u64(..200), ..Faults::default() },
                _ => Faults::default(),
            };
            way.extensions = of(r);
            way.deletes = of(r);
            let polls = of(r);
            // A poll that is refused for good ends it, and one that is late keeps its messages.
            way.polls = Faults { denied: 0, late: 0, hangs: 0, ..polls };
        }
        let changes = keeps && r.u8(..4) == 0;
        let handlers = (0..8)
            .map(|_| match r.u8(..10) {
                2 | 3 if changes => Handler::Changes {
                    after: time(r, v),
                    seconds: *r
                        .choice([0, 0, 1, visibility / 2, visibility, visibility * 2].iter())
                        .unwrap_or(&0)
                        .min(&43_000),
                    then: time(r, v),
                    raises: r.bool(),
                },
                0..=3 => Handler::Takes(ms(r.u64(..50))),
                4..=6 => Handler::Takes(time(r, v)),
                7 => Handler::Takes(time(r, (v * 4).min(s(100_000)))),
                8 => Handler::Fails(time(r, v / 2), (r.bool()).then(|| r.u32(..60))),
                _ if r.u8(..8) == 0 => Handler::NeverEnds,
                _ => Handler::Takes(v / 2),
            })
            .collect();
        let mut arrivals = Vec::new();
        let mut at = ms(r.u64(..2_000));
        let mut left = 40usize;
        while at < span && left > 0 {
            let count = if r.u8(..4) == 0 { r.usize(1..=20) } else { 1 }.min(left);
            arrivals.push((at, count));
            left -= count;
            at += match r.u8(..8) {
                0 => s(3_600),
                1..=3 => time(r, v * 2),
                _ => time(r, s(3)),
            };
        }
        let mut lasts = span.max(arrivals.last().map_or(s(0), |(at, _)| *at)) + v.min(s(600)) * 2;
        if r.u8(..3) == 0 {
            // It is stopped in the middle of things.
            lasts = time(r, lasts).max(ms(1));
        }
        let fifo = r.u8(..5) == 0;
        let pollers = if r.u8(..3) == 0 { r.usize(2..=3) } else { 1 };
        Plan {
            seed,
            pollers,
            one_client: r.bool(),
            leaves: (pollers > 1 && r.bool()).then(|| time(r, lasts)),
            fifo_groups: if fifo { r.u64(1..5) } else { 0 },
            visibility,
            asks: r.bool(),
            wait: *r.choice([1, 2, 3, 5, 10, 20, 20, 20].iter()).unwrap_or(&20),
            takers: r.usize(1..=12 / pollers),
            watched: pollers > 1 || r.bool(),
            told: r.bool(),
            keeps,
            batch: if keeps && r.u8(..4) == 0 { r.usize(2..=10) } else { 1 },
            window: if r.u8(..4) == 0 { ms(r.u64(..1_000)) } else { Duration::ZERO },
            ahead: if keeps { 0 } else { 10 },
            max_messages: (r.u8(..6) == 0).then(|| r.u64(1..50)),
            idle: (r.u8(..6) == 0).then(|| time(r, s(60))),
            rate: (keeps && r.u8(..6) == 0).then(|| r.f64() * 20.0 + 0.05),
            way,
            arrivals,
            handlers,
            stalls: (0..few(r, 3)).map(|_| (time(r, lasts), time(r, (v * 2).min(s(50_000))))).collect(),
            outages: (0..few(r, 2)).map(|_| (time(r, lasts), ms(r.u64(..3_000)))).collect(),
            others: (0..if calm { r.usize(..=1) } else { r.usize(..=4) })
                .map(|_| (time(r, lasts), *r.choice([1, 30, 300].iter()).unwrap_or(&30), time(r, s(60))))
                .collect(),
            lasts,
        }
    }

    pub(super) fn options(&self, world: &World) -> PollerOptions {
        PollerOptions {
            queue: serde_json::to_vec(&world.url()).unwrap().into(),
            members: if self.fifo_groups > 0 {
                (*br#","MessageSystemAttributeNames":["MessageGroupId"]"#).into()
            } else {
                Box::default()
            },
            wait: self.wait,
            visibility: self.asks.then_some(self.visibility),
            life: 0.5,
            bounds: Bounds { most: 100, bytes: 1 << 20 },
            ahead: self.ahead,
            max_messages: self.max_messages,
            idle: self.idle,
            groups: match (self.fifo_groups > 0, self.keeps) {
                (false, _) => GroupMode::None,
                (true, false) => GroupMode::Ordered,
                (true, true) => GroupMode::Locked,
            },
            keeps: self.keeps,
            endures: true,
            rate: self.rate,
            batch: self.batch,
            window: if self.batch > 1 { self.window } else { Duration::ZERO },
        }
    }

    /// What it may take under these circumstances.
    pub(super) fn promise(&self) -> Promise {
        let trip = self.way.round_trip();
        let window = if self.batch > 1 { self.window } else { Duration::ZERO };
        let extends = self.way.extensions.is_calm() && self.outages.is_empty();
        // What two have by their own doing one may delete while the other extends it.
        let one_each = !self.handlers.iter().any(|handler| matches!(handler, Handler::Changes { .. }));
        // After a stall, what is too short-lived to be handed over may have to run out first.
        let too_late = if self.stalls.is_empty() { Duration::ZERO } else { s(self.visibility.max(2).into()) / 10 };
        Promise {
            found: trip + LINGER + window + ms(5),
            handed_over: extends.then_some(trip + LINGER + window + too_late + ms(5)),
            done: extends && one_each && self.way.deletes.denied == 0 && self.stalls.is_empty() && self.ends_within(),
            kept: extends
                && one_each
                && self.way.polls.is_calm()
                && self.way.deletes.is_calm()
                && self.stalls.is_empty()
                && self.ends_within(),
            most: self.max_messages.unwrap_or(u64::MAX),
            rate: self.rate.map(|rate| (rate, self.batch as u64)),
            // A poll that left before the wait began comes back first, and waits for whole seconds.
            ends: self
                .idle
                .filter(|_| self.way.polls.is_calm() && self.outages.is_empty())
                .map(|idle| idle + s(u64::from(self.wait) + 2) + trip * 2),
        }
    }

    /// Whether no handler takes longer than SQS lets a message be invisible.
    fn ends_within(&self) -> bool {
        let limit = s(43_200) / u32::try_from(self.batch).unwrap() - s(self.visibility.into()).min(s(4_000));
        self.handlers.iter().all(|handler| match handler {
            Handler::Takes(time) | Handler::Fails(time, _) => *time < limit,
            Handler::Changes { after, then, .. } => *after + *then < limit,
            Handler::NeverEnds => self.lasts < limit,
        })
    }

    pub(super) fn play(&self) -> Played {
        Scheduler::run(self.seed, |scheduler| self.play_on(scheduler))
    }

    fn play_on(&self, scheduler: &Scheduler) -> Played {
        let name = if self.fifo_groups > 0 { "q.fifo" } else { "q" };
        let world = World::new(scheduler, self.seed, name, self.visibility, self.way.clone());
        world.lock().is_prompt = self.way.extensions.is_calm() && self.stalls.is_empty() && self.outages.is_empty();
        let all = Arc::new(self.make_pollers(&world));
        let work = SharedWork::default();
        let laws = all.iter().map(|own| Laws::new(self.promise(), &world, &own.poller, &work));
        let mut laws = AllLaws { laws: laws.collect(), all: Arc::clone(&all), work: Arc::clone(&work) };
        let (handlers, mut next) = (self.handlers.clone(), 0);
        let handlers = Arc::new(Mutex::new(move || {
            next += 1;
            handlers[next % handlers.len()]
        }));
        for own in &*all {
            let taker = Taker {
                own: own.clone(),
                all: Arc::clone(&all),
                world: world.clone(),
                work: Arc::clone(&work),
                told: self.told,
                finishes: self.keeps,
                handlers: handlers.clone(),
            };
            for _ in 0..self.takers {
                runtime::handle().unwrap().spawn(taker.clone().run());
            }
            if self.watched {
                runtime::handle().unwrap().spawn(taker.watch());
            }
        }
        if let (Some(at), Some(last)) = (self.leaves, all.last()) {
            let poller = Arc::clone(&last.poller);
            runtime::handle().unwrap().spawn(async move {
                runtime::sleep(at).await;
                poller.close().unwrap();
            });
        }
        for (at, count) in &self.arrivals {
            world.send_after(*at, *count, self.fifo_groups);
        }
        for (at, visibility, holds) in &self.others {
            world.other_after(*at, *visibility, *holds);
        }
        for (at, lasts) in &self.outages {
            let (world, until) = (world.clone(), *at + *lasts);
            scheduler.after(*at, move || world.lock().out_until = until);
        }
        let mut stalls = self.stalls.clone();
        stalls.sort();
        for (at, lasts) in stalls {
            if let Some(time) = at.checked_sub(scheduler.elapsed()) {
                scheduler.advance(time, || laws.check());
                scheduler.advance_into_work(s(5), || laws.check());
                scheduler.stall(lasts);
                laws.stalled();
            }
        }
        if let Some(time) = self.lasts.checked_sub(scheduler.elapsed()) {
            scheduler.advance(time, || laws.check());
        }
        self.stop(scheduler, &world, &laws);
        let counts: Vec<_> = all.iter().map(|own| own.poller.counts().unwrap()).collect();
        let work = work.lock().unwrap();
        Played {
            simulated: scheduler.elapsed(),
            handed_over: work.handed_over,
            handled: counts.iter().map(|counts| counts.handled).sum(),
            lost: counts.iter().map(|counts| counts.lost).sum(),
            told_lost: work.lost,
            own_changes: work.own_changes,
            several: u64::from(self.pollers > 1),
            requests: world.lock().requests,
            alarms: scheduler.alarms(),
        }
    }

    /// It ends as it should, whenever that is.
    fn stop(&self, scheduler: &Scheduler, world: &World, laws: &AllLaws) {
        let all = &*laws.all;
        world.lock().way = Way { latency: self.way.latency, ..Way::default() };
        world.lock().out_until = Duration::ZERO;
        all.iter().for_each(|own| own.poller.close().unwrap());
        // What is on its way already is answered; polls come back within a second or are broken off; what they bring goes back.
        let faults = [self.way.polls, self.way.extensions, self.way.deletes];
        let late = |faults: &Faults| if faults.hangs > 0 { HANGS } else { ms(faults.late) };
        let late = faults.iter().map(late).max().unwrap_or_default();
        let trip = self.way.round_trip();
        let grace = s(3) + trip * 5 + late + s(6);
        scheduler.advance(grace, || {});
        assert_eq!(world.lock().polls(), 0, "polls after the stop");
        // What has come to a process that stood still for longer than it is ours cannot be given back.
        let last = self.stalls.iter().map(|(at, lasts)| *at + *lasts + s(5)).max().unwrap_or_default();
        if self.keeps && (self.stalls.is_empty() || last + s(self.visibility.into()) < scheduler.elapsed()) {
            laws.check_given_back();
        }
        all.iter().for_each(|own| own.poller.abandon().unwrap());
        // A delete that was asked for at the end lingers in the poller's own window.
        scheduler.advance(trip * 3 + LINGER + ms(10), || {});
        for own in all {
            let shared = own.poller.own().unwrap();
            let state = shared.lock();
            assert!(state.is_quiet(), "{state:?}");
        }
        let alarms = scheduler.alarms();
        // Handlers sleep on; nothing else does.
        let (sleeping, takers) = (scheduler.tasks(), self.takers * self.pollers);
        assert!(sleeping <= takers, "{sleeping} tasks are left of {takers} takers");
        scheduler.advance(s(60), || {});
        // One that changes its message's visibility timeout sleeps twice, and that for each of a batch.
        let most = (takers * self.batch.max(5) * 2) as u64;
        assert!(scheduler.alarms() - alarms <= most, "it ticks on after the stop");
    }

    /// Each with a client of its own, or all of one.
    pub(crate) fn make_pollers(&self, world: &World) -> Vec<Own> {
        let shared = resources(world);
        (0..self.pollers)
            .map(|number| {
                let resources = if self.one_client { Arc::clone(&shared) } else { resources(world) };
                let poller = Arc::new(Poller::over(&resources, self.options(world)));
                Own { number, poller, resources }
            })
            .collect()
    }
}

/// The laws of all pollers.
pub(crate) struct AllLaws {
    laws: Vec<Laws>,
    all: Arc<Vec<Own>>,
    work: SharedWork,
}

impl AllLaws {
    fn check(&mut self) {
        self.laws.iter_mut().for_each(Laws::check);
        let lost: u64 = self.laws.iter().map(Laws::lost).sum();
        assert!(self.work.lock().unwrap().lost <= lost);
    }

    /// What was lost is not given back, though the service may keep it for longer than we thought.
    fn check_given_back(&self) {
        if self.laws.iter().all(|laws| laws.lost() == 0) {
            self.laws.iter().for_each(Laws::check_given_back);
        }
    }

    fn stalled(&mut self) {
        self.laws.iter_mut().for_each(Laws::stalled);
    }
}

/// What a client has.
pub(super) fn resources(world: &World) -> Arc<Resources> {
    let limits = Limits { entries: 10, bytes: 1 << 20, linger: LINGER, max_in_flight: 8, at_once: true };
    let transport = world.transport();
    let batchers = Arc::new(Batchers::new(Arc::clone(&transport), Arc::new(Stats::new()), limits));
    let stats = Arc::new(Stats::new());
    let receivers = Arc::new(Receivers::new(Arc::clone(&transport), Arc::clone(&batchers), stats, LINGER));
    let (visibilities, pollers) = Default::default();
    Arc::new(Resources { transport, batchers, receivers, visibilities, pollers })
}
