//! The whole receiving side in simulated time: the real poller, its polls, timers, takers and deletes, over the embedded
//! SQS's own operations, while the service is slow, refuses or loses what it is asked, the process stands still, and others
//! receive from the same queue.
//!
//! A seed decides everything. `TURBOSQS_SEED=17` plays that one, `TURBOSQS_SEEDS=1000000` so many, `TURBOSQS_SEEDS=5000..6000` those.

use std::ops::Range;
use std::time::Duration;

mod cases;
mod keepers;
mod laws;
mod plan;
mod senders;
mod takers;
mod world;

use plan::Plan;

/// How many seeds the ordinary run plays.
const SEEDS: u64 = 10_000;

/// The seeds that a variable of the environment names: one number, or two, `FROM..TO`.
fn seeds(name: &str) -> Option<Range<u64>> {
    let value = std::env::var(name).ok()?;
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{name} is neither number nor range: {value:?}"));
    Some(value.split_once("..").map_or_else(|| 0..number(&value), |(from, to)| number(from)..number(to)))
}

#[test]
fn receiving_holds_what_it_promises() {
    if let Some(Range { end: seed, .. }) = seeds("TURBOSQS_SEED") {
        let plan = Plan::of(seed);
        println!("{plan:#?}");
        println!("{:#?}", plan.play());
        return;
    }
    let seeds = seeds("TURBOSQS_SEEDS").unwrap_or(0..SEEDS);
    let count = seeds.end - seeds.start;
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let began = std::time::Instant::now();
    let played: Vec<Result<plan::Played, u64>> = std::thread::scope(|scope| {
        let play = |first| move || (first..seeds.end).step_by(threads as usize).map(play).collect::<Vec<_>>();
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(play(seeds.start + thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let failed: Vec<u64> = played.iter().filter_map(|played| played.err()).collect();
    assert!(failed.is_empty(), "it does not hold for TURBOSQS_SEED={} ({} in all)", failed[0], failed.len());
    let played: Vec<plan::Played> = played.into_iter().flatten().collect();
    let sum = |of: fn(&plan::Played) -> u64| played.iter().map(of).sum::<u64>();
    println!(
        "{seeds:?}: {count} seeds, {} with several pollers: {} hours, {} messages handed over, {} handled, {} lost ({} while handled), \
         {} changed by handlers, {} requests, {} timers, in {:?}",
        sum(|it| it.several),
        sum(|it| it.simulated.as_secs()) / 3_600,
        sum(|it| it.handed_over),
        sum(|it| it.handled),
        sum(|it| it.lost),
        sum(|it| it.told_lost),
        sum(|it| it.own_changes),
        sum(|it| it.requests),
        sum(|it| it.alarms),
        began.elapsed(),
    );
    // What is never tried proves nothing.
    assert!(sum(|it| it.handed_over) > count * 5);
    assert!(count < 1_000 || sum(|it| it.lost) > 0 && sum(|it| it.own_changes) > 0 && sum(|it| it.several) > 0);
}

/// Plays a seed; what did not hold is printed.
fn play(seed: u64) -> Result<plan::Played, u64> {
    std::panic::catch_unwind(|| Plan::of(seed).play()).map_err(|_| {
        println!("that was TURBOSQS_SEED={seed}");
        seed
    })
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
