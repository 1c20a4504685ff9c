//! Herds of callers, in simulated time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::protocol::error::Failure;
use crate::runtime::simulation::Scheduler;

const MS: Duration = Duration::from_millis(1);

/// A pool as `Pool` is one, whose connections take some time to open.
#[derive(Clone)]
struct World(Arc<Inner>);

impl Default for World {
    fn default() -> World {
        World::of(10 * MS)
    }
}

#[derive(Default)]
struct Inner {
    /// How long a connection takes to open.
    opening: Duration,
    dials: Dials<usize>,
    free: Mutex<Vec<usize>>,
    opened: AtomicUsize,
    /// How many are to fail.
    failing: AtomicUsize,
    /// When each call was answered, or failed.
    ended: Mutex<Vec<(Duration, bool)>>,
}

fn origin() -> Origin {
    Origin { https: true, host: "sqs".to_owned(), port: 443 }
}

impl World {
    fn of(opening: Duration) -> World {
        World(Arc::new(Inner { opening, ..Inner::default() }))
    }

    async fn open(&self) -> Result<(usize, Duration), HttpFailure> {
        let number = self.0.opened.fetch_add(1, Ordering::Relaxed);
        runtime::sleep(self.0.opening).await;
        let fails = self.0.failing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        match fails {
            Ok(_) => Err(HttpFailure::new(Failure::Connect, "refused")),
            Err(_) => Ok((number, self.0.opening)),
        }
    }

    async fn take(&self) -> Option<usize> {
        lock(&self.0.free).pop()
    }

    async fn call(&self, takes: Duration) -> Result<(), HttpFailure> {
        let connection = match self.take().await {
            Some(free) => free,
            None => match self.0.dials.obtain(&origin(), self.take(), self.open()).await? {
                Obtained::Opened(connection) | Obtained::Used(connection) => connection,
            },
        };
        runtime::sleep(takes).await;
        if let Some(free) = self.0.dials.offer(&origin(), connection) {
            lock(&self.0.free).push(free);
        }
        Ok(())
    }

    fn start(&self, scheduler: &Scheduler, takes: Duration) -> crate::runtime::simulation::Simulated {
        let (world, clock) = (self.clone(), scheduler.clone());
        scheduler.spawn(async move {
            let outcome = world.call(takes).await;
            lock(&world.0.ended).push((clock.elapsed(), outcome.is_ok()));
        })
    }

    fn opened(&self) -> usize {
        self.0.opened.load(Ordering::Relaxed)
    }

    fn ended(&self) -> Vec<(Duration, bool)> {
        lock(&self.0.ended).clone()
    }
}

/// 32 callers at once, each with a request that takes so long; how many connections there were, and when the last was done.
fn herd(seed: u64, opening: Duration, takes: impl Fn(usize) -> Duration) -> (usize, Duration) {
    Scheduler::run(seed, |scheduler| {
        let world = World::of(opening);
        for number in 0..32 {
            world.start(scheduler, takes(number));
        }
        scheduler.advance(Duration::from_secs(60), || {});
        let ended = world.ended();
        assert_eq!((ended.len(), ended.iter().all(|(_, well)| *well)), (32, true));
        (world.opened(), ended.iter().map(|(at, _)| *at).max().unwrap())
    })
}

#[test]
fn one_connection_where_one_will_do_and_as_many_as_it_takes_where_not() {
    for seed in 0..20 {
        // 32 short requests are done before another connection would be open.
        assert_eq!(herd(seed, 10 * MS, |_| MS / 4), (1, 18 * MS));
        // Those that come to twice that time nearly are as well.
        assert_eq!(herd(seed, 10 * MS, |_| MS * 9 / 16), (1, 28 * MS));
        // Some are; as many more wait for their turn, and those that are left then open their own, all at once.
        let (opened, last) = herd(seed, 10 * MS, |_| 3 * MS);
        assert!((2..=27).contains(&opened), "{opened}");
        assert!(last <= 33 * MS, "{last:?}");
        // Requests that take their time do not follow one another: 10 ms for the first connection, as long again, and 10 for their own.
        let polls = Duration::from_secs(20);
        assert_eq!(herd(seed, 10 * MS, |_| polls), (32, polls + 30 * MS));
    }
}

#[test]
fn where_all_is_near_those_who_wait_are_not_driven_to_open_connections() {
    for seed in 0..20 {
        // Opened in 1 ms, while nobody else opened any: as if each of the others could have one in so much.
        assert_eq!(herd(seed, MS, |_| MS / 4), (1, 9 * MS));
        assert_eq!(herd(seed, MS, |_| MS / 2), (1, 17 * MS));
        // It costs those who need one of their own ten milliseconds.
        let polls = Duration::from_secs(20);
        assert_eq!(herd(seed, MS, |_| polls), (32, polls + 12 * MS));
    }
}

#[test]
fn where_the_service_is_far_away_nobody_waits_for_a_queue_of_others() {
    for seed in 0..20 {
        // Three ways there and back for a connection, one for a request.
        let (opened, last) = herd(seed, 300 * MS, |_| 100 * MS);
        assert!((20..=29).contains(&opened), "{opened}");
        assert!(last <= 1000 * MS, "{last:?}");
    }
}

#[test]
fn a_queue_that_stops_moving_is_left() {
    let polls = Duration::from_secs(20);
    for seed in 0..20 {
        // Whoever waits on for a turn that does not come opens a connection after as long again.
        let (opened, last) = herd(seed, 10 * MS, |number| if number < 8 { MS } else { polls });
        assert!(opened >= 24, "{opened}");
        assert!(last <= polls + 40 * MS, "{last:?}");
    }
}

#[test]
fn one_who_comes_when_nothing_is_under_way_does_not_wait() {
    Scheduler::run(0, |scheduler| {
        let world = World::default();
        for _ in 0..3 {
            // Each of the others is busy for a long time, as polls are.
            world.start(scheduler, Duration::from_secs(20));
            scheduler.advance(Duration::from_secs(1), || {});
        }
        assert_eq!(world.opened(), 3);
        world.start(scheduler, MS);
        scheduler.advance(11 * MS, || {});
        assert_eq!(world.ended(), [(Duration::from_secs(3) + 11 * MS, true)]);
    });
}

#[test]
fn a_failure_is_that_of_all_who_wait_and_of_nobody_after() {
    Scheduler::run(0, |scheduler| {
        let world = World::default();
        world.0.failing.store(1, Ordering::Relaxed);
        for _ in 0..32 {
            world.start(scheduler, MS);
        }
        scheduler.advance(Duration::from_secs(1), || {});
        assert_eq!(world.ended(), [(10 * MS, false); 32]);
        world.start(scheduler, MS);
        scheduler.advance(Duration::from_secs(1), || {});
        assert_eq!((world.opened(), world.ended().last().unwrap().1), (2, true));
    });
}

#[test]
fn when_the_one_who_opens_it_gives_up_another_does() {
    for seed in 0..20 {
        Scheduler::run(seed, |scheduler| {
            let world = World::default();
            let tasks: Vec<_> = (0..8).map(|_| world.start(scheduler, MS)).collect();
            // Whoever is first, and then others, are given up in the middle of it.
            for task in &tasks[..7] {
                scheduler.advance(5 * MS, || {});
                task.abort();
            }
            scheduler.advance(Duration::from_secs(1), || {});
            let ended = world.ended();
            assert!(ended.iter().all(|(_, well)| *well) && !ended.is_empty(), "{ended:?}");
            assert_eq!(scheduler.tasks(), 0);
        });
    }
}
