//! Herds of callers, in simulated time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::protocol::error::Failure;
use crate::runtime::simulation::Scheduler;

const MS: Duration = Duration::from_millis(1);

/// A pool as `Pool` is one, whose connections take some time to open.
#[derive(Clone, Default)]
struct World(Arc<Inner>);

#[derive(Default)]
struct Inner {
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
    async fn open(&self) -> Result<(usize, Duration), HttpFailure> {
        let number = self.0.opened.fetch_add(1, Ordering::Relaxed);
        runtime::sleep(10 * MS).await;
        let fails = self.0.failing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        match fails {
            Ok(_) => Err(HttpFailure::new(Failure::Connect, "refused")),
            Err(_) => Ok((number, 10 * MS)),
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
fn herd(seed: u64, takes: Duration) -> (usize, Duration) {
    Scheduler::run(seed, |scheduler| {
        let world = World::default();
        for _ in 0..32 {
            world.start(scheduler, takes);
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
        assert_eq!(herd(seed, MS / 4), (1, 18 * MS));
        // Some are; those that are left then open their own, all at once.
        let (opened, last) = herd(seed, 3 * MS);
        assert!((2..=30).contains(&opened), "{opened}");
        assert!(last <= 33 * MS, "{last:?}");
        // Requests that take their time do not follow one another: 10 ms for the first connection, as long again, and 10 for their own.
        assert_eq!(herd(seed, Duration::from_secs(20)), (32, Duration::from_secs(20) + 30 * MS));
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
