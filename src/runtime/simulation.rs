//! A scheduler that makes time up, for tests: tasks and the world around them on one thread, in an order that a seed decides.
//!
//! Time passes only when every task waits, from one event to the next. Two kinds of things happen: tasks take their turn
//! (this process), and *events* of the world (the service, other consumers, replies on their way). During a [stall] of the
//! process events go on happening and tasks do not take their turn, as when a machine is suspended or a process is stopped.
//!
//! [stall]: Scheduler::stall

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// The future of a simulated task.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Something that is to happen at a moment.
type Event = Box<dyn FnOnce() + Send>;

thread_local! {
    static CURRENT: RefCell<Option<Scheduler>> = const { RefCell::new(None) };
}

/// The scheduler that this thread simulates with, if it does.
pub(crate) fn current() -> Option<Scheduler> {
    CURRENT.with_borrow(Clone::clone)
}

/// A scheduler of tasks on one thread, with a time of its own.
#[derive(Clone)]
pub(crate) struct Scheduler(Arc<Mutex<State>>);

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scheduler")
    }
}

/// A scheduler's tasks, timers and time.
struct State {
    began: Instant,
    now: Duration,
    random: fastrand::Rng,
    tasks: HashMap<u64, Option<Work>>,
    next_task: u64,
    /// Tasks that are to be dropped.
    aborted: Vec<u64>,
    /// Tasks that can take their turn.
    ready: Arc<Mutex<Vec<u64>>>,
    timers: BTreeMap<(Duration, u64), Waker>,
    events: BTreeMap<(Duration, u64), Event>,
    /// Of timers and events: those of one moment happen in the order in which they were made.
    next_number: u64,
    /// How often a timer has woken a task.
    alarms: u64,
}

/// A task of a [`Scheduler`].
#[derive(Clone, Debug)]
pub(crate) struct Simulated {
    scheduler: Scheduler,
    task: u64,
}

impl Simulated {
    /// As tokio does, the future is dropped when the task would have had its turn, not at once.
    pub(crate) fn abort(&self) {
        let mut state = self.scheduler.lock();
        if state.tasks.contains_key(&self.task) {
            state.aborted.push(self.task);
        }
    }
}

/// A waker: it puts a task among those that are ready.
struct Turn {
    task: u64,
    ready: Arc<Mutex<Vec<u64>>>,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        let mut ready = self.ready.lock().unwrap();
        if !ready.contains(&self.task) {
            ready.push(self.task);
        }
    }
}

impl Scheduler {
    /// What `body` does is simulated: it finds this scheduler wherever it spawns a task or asks for the time.
    pub(crate) fn run<T>(seed: u64, body: impl FnOnce(&Scheduler) -> T) -> T {
        let scheduler = Scheduler(Arc::new(Mutex::new(State {
            began: Instant::now(),
            now: Duration::ZERO,
            random: fastrand::Rng::with_seed(seed),
            tasks: HashMap::new(),
            next_task: 0,
            aborted: Vec::new(),
            ready: Arc::default(),
            timers: BTreeMap::new(),
            events: BTreeMap::new(),
            next_number: 0,
            alarms: 0,
        })));
        struct Left;
        impl Drop for Left {
            fn drop(&mut self) {
                CURRENT.with_borrow_mut(|current| *current = None);
            }
        }
        CURRENT.with_borrow_mut(|current| *current = Some(scheduler.clone()));
        let _left = Left;
        let outcome = body(&scheduler);
        // Tasks hold what they work on, which holds the scheduler.
        let (tasks, events) = {
            let mut state = scheduler.lock();
            state.timers.clear();
            (std::mem::take(&mut state.tasks), std::mem::take(&mut state.events))
        };
        drop((tasks, events));
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn now(&self) -> Instant {
        let state = self.lock();
        state.began + state.now
    }

    /// Since the simulation began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.lock().now
    }

    /// How many tasks there are that have not ended.
    pub(crate) fn tasks(&self) -> usize {
        self.lock().tasks.len()
    }

    /// How often a timer has woken a task so far.
    pub(crate) fn alarms(&self) -> u64 {
        self.lock().alarms
    }

    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> Simulated {
        let mut state = self.lock();
        let task = state.next_task;
        state.next_task += 1;
        state.tasks.insert(task, Some(Box::pin(future)));
        state.ready.lock().unwrap().push(task);
        Simulated { scheduler: self.clone(), task }
    }

    /// Something that happens in the world after a while, whether or not this process is stalled.
    pub(crate) fn after(&self, time: Duration, event: impl FnOnce() + Send + 'static) {
        let mut state = self.lock();
        let at = state.now + time;
        state.next_number += 1;
        let number = state.next_number;
        state.events.insert((at, number), Box::new(event));
    }

    pub(crate) async fn sleep_until(&self, at: Instant) {
        let at = at.saturating_duration_since(self.lock().began);
        let sleep = Sleep { scheduler: self.clone(), at, number: None };
        sleep.await;
    }

    /// Let things happen for so long. `check` is called after each of them.
    pub(crate) fn advance(&self, time: Duration, mut check: impl FnMut()) {
        let until = self.lock().now + time;
        loop {
            while self.turn() {
                check();
            }
            if !self.next(until, false) {
                break;
            }
            check();
        }
        self.lock().now = until;
    }

    /// As [`Self::advance`], up to a moment at which tasks are ready that have not taken their turn, if the dice find one: a
    /// process is not stopped at its leisure.
    pub(crate) fn advance_into_work(&self, most: Duration, mut check: impl FnMut()) {
        let until = self.lock().now + most;
        loop {
            if self.is_ready() && self.lock().random.u8(..3) == 0 {
                return;
            }
            if self.turn() {
                check();
            } else if !self.next(until, false) {
                return;
            }
        }
    }

    fn is_ready(&self) -> bool {
        !self.lock().ready.lock().unwrap().is_empty()
    }

    /// This process stands still for so long, while the world goes on.
    pub(crate) fn stall(&self, time: Duration) {
        let until = self.lock().now + time;
        while self.next(until, true) {}
        self.lock().now = until;
    }

    /// One ready task takes its turn, if there is one.
    fn turn(&self) -> bool {
        let dropped = {
            let mut state = self.lock();
            let aborted = state.aborted.pop();
            aborted.map(|task| state.tasks.remove(&task))
        };
        if dropped.is_some() {
            // Outside the lock: what it drops may spawn.
            drop(dropped);
            return true;
        }
        let (task, mut work, ready) = {
            let mut state = self.lock();
            let ready = Arc::clone(&state.ready);
            loop {
                let task = {
                    let mut ready = ready.lock().unwrap();
                    if ready.is_empty() {
                        return false;
                    }
                    let place = state.random.usize(..ready.len());
                    ready.remove(place)
                };
                // One that has ended or was aborted has no work.
                if let Some(work) = state.tasks.get_mut(&task).and_then(Option::take) {
                    break (task, work, ready);
                }
            }
        };
        let waker = Waker::from(Arc::new(Turn { task, ready }));
        let ended = work.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        let mut state = self.lock();
        match state.tasks.get_mut(&task) {
            Some(place) if !ended => *place = Some(work),
            Some(_) => {
                state.tasks.remove(&task);
                drop(state);
                drop(work);
            }
            None => {
                drop(state);
                drop(work);
            }
        }
        true
    }

    /// The next event or timer up to `until`, at its time. While stalled, timers do not go off.
    fn next(&self, until: Duration, stalled: bool) -> bool {
        let mut state = self.lock();
        let event = state.events.keys().next().copied().filter(|(at, _)| *at <= until);
        let timer = if stalled { None } else { state.timers.keys().next().copied().filter(|(at, _)| *at <= until) };
        match (event, timer) {
            (Some(event), timer) if timer.is_none_or(|timer| event < timer) => {
                state.now = state.now.max(event.0);
                let happens = state.events.remove(&event);
                drop(state);
                if let Some(happens) = happens {
                    happens();
                }
                true
            }
            (_, Some(timer)) => {
                state.now = state.now.max(timer.0);
                state.alarms += 1;
                let waker = state.timers.remove(&timer);
                drop(state);
                if let Some(waker) = waker {
                    waker.wake();
                }
                true
            }
            _ => false,
        }
    }
}

/// A future that is ready at a moment of simulated time.
struct Sleep {
    scheduler: Scheduler,
    at: Duration,
    number: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let scheduler = self.scheduler.clone();
        let mut state = scheduler.lock();
        if let Some(number) = self.number.take() {
            state.timers.remove(&(self.at, number));
        }
        if state.now >= self.at {
            return Poll::Ready(());
        }
        state.next_number += 1;
        let number = state.next_number;
        state.timers.insert((self.at, number), context.waker().clone());
        drop(state);
        self.number = Some(number);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.number.take() {
            let waker = self.scheduler.lock().timers.remove(&(self.at, number));
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{self, reactor};

    /// What happened, and when.
    type Told = Arc<Mutex<Vec<(u64, &'static str)>>>;

    #[test]
    fn time_passes_from_event_to_event() {
        let told = Told::default();
        let tell = |told: &Told, scheduler: &Scheduler, what| {
            told.lock().unwrap().push((scheduler.elapsed().as_secs(), what));
        };
        Scheduler::run(1, |scheduler| {
            let (task, heard) = (scheduler.clone(), Arc::clone(&told));
            runtime::handle().unwrap().spawn(async move {
                reactor::sleep(Duration::from_secs(10)).await;
                tell(&heard, &task, "slept");
                reactor::sleep(Duration::from_secs(3_600)).await;
                tell(&heard, &task, "slept on");
            });
            let (world, heard) = (scheduler.clone(), Arc::clone(&told));
            scheduler.after(Duration::from_secs(20), move || tell(&heard, &world, "event"));
            scheduler.advance(Duration::from_secs(15), || {});
            scheduler.stall(Duration::from_secs(4_000));
            scheduler.advance(Duration::from_secs(1), || {});
            assert_eq!((scheduler.tasks(), scheduler.alarms()), (0, 2));
        });
        assert_eq!(*told.lock().unwrap(), [(10, "slept"), (20, "event"), (4_015, "slept on")]);
    }

    #[test]
    fn a_task_that_is_aborted_is_dropped_with_its_timer() {
        Scheduler::run(1, |scheduler| {
            let task = runtime::handle().unwrap().spawn(reactor::sleep(Duration::from_secs(10)));
            scheduler.advance(Duration::from_secs(1), || {});
            task.abort();
            scheduler.advance(Duration::from_secs(20), || {});
            assert_eq!((scheduler.tasks(), scheduler.alarms()), (0, 0));
        });
    }
}
