use std::collections::HashSet;
use std::sync::mpsc;
use std::thread::{self, ThreadId};

use super::*;

const LONG: Duration = Duration::from_secs(20);

fn reactor(idle_time: Duration) -> Arc<ReactorThread> {
    Arc::new(ReactorThread::new(idle_time).unwrap())
}

fn wait_until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
}

/// Which thread does what is spawned from here.
fn worker(reactor: &Arc<ReactorThread>) -> ThreadId {
    let (sender, receiver) = mpsc::channel();
    reactor.spawn(async move { sender.send(thread::current().id()).unwrap() });
    receiver.recv_timeout(LONG).unwrap()
}

fn has_ended(reactor: &ReactorThread) -> bool {
    lock(&reactor.driver).thread.as_ref().is_some_and(JoinHandle::is_finished)
}

/// What is under way when the thread is stopped goes on with the next one; what comes in between waits for it.
#[test]
fn a_pause_loses_nothing() {
    let reactor = reactor(LONG);
    reactor.pause();
    reactor.resume().unwrap();
    assert!(lock(&reactor.driver).thread.is_none(), "nothing was to be resumed, and nothing was started");
    reactor.run().unwrap();
    let (sender, receiver) = mpsc::channel();
    let (go, mut gate) = tokio::sync::mpsc::unbounded_channel::<u32>();
    reactor.spawn(async move {
        while let Some(number) = gate.recv().await {
            tokio::time::sleep(Duration::from_micros(50)).await;
            sender.send((number, thread::current().id())).unwrap();
        }
    });
    let mut threads = HashSet::new();
    for number in 0..20 {
        let at_work = lock(&reactor.driver).task.get().cloned();
        reactor.pause();
        assert!(at_work.is_none_or(|task| !task.exists()), "the thread is gone");
        assert!(lock(&reactor.runtime).is_some());
        go.send(number).unwrap();
        assert!(receiver.try_recv().is_err());
        // Who comes before the fork is made, from a thread that goes on meanwhile, starts nothing.
        reactor.run().unwrap();
        assert!(has_ended(&reactor));
        reactor.resume().unwrap();
        let (done, thread) = receiver.recv_timeout(LONG).unwrap();
        assert_eq!(done, number);
        threads.insert(thread);
    }
    assert_eq!(threads.len(), 20);
}

/// Another thread of the process is about to spawn something while a fork is made.
#[test]
fn what_is_spawned_behind_a_pause_is_done() {
    let reactor = reactor(LONG);
    let first = worker(&reactor);
    reactor.pause();
    reactor.resume().unwrap();
    assert!(has_ended(&reactor));
    assert_ne!(worker(&reactor), first);
}

#[test]
fn bystanders_are_no_reason_to_go_on() {
    let reactor = reactor(LONG);
    assert!(!reactor.is_busy());
    let (go, gate) = tokio::sync::oneshot::channel::<()>();
    let bystander = reactor.handle.spawn(async move { drop(gate.await) });
    reactor.add_bystander(bystander.abort_handle());
    assert!(!reactor.is_busy());
    let other = reactor.handle.spawn(std::future::pending::<()>());
    assert!(reactor.is_busy());
    reactor.run().unwrap();
    go.send(()).unwrap();
    other.abort();
    wait_until(|| reactor.handle.metrics().num_alive_tasks() == 0);
    assert!(!reactor.is_busy());
    assert!(lock(&reactor.bystanders).is_empty());
}

#[test]
fn one_that_does_not_stop_in_time_is_followed_all_the_same() {
    let reactor = reactor(LONG);
    let (begun, begins) = mpsc::channel();
    let (ends, end) = mpsc::channel::<()>();
    reactor.spawn(async move {
        begun.send(()).unwrap();
        let _ = end.recv();
    });
    begins.recv().unwrap();
    reactor.pause();
    reactor.resume().unwrap();
    ends.send(()).unwrap();
    worker(&reactor);
}

#[test]
fn who_comes_at_once_starts_one_thread() {
    let reactor = reactor(LONG);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let reactor = Arc::clone(&reactor);
            thread::spawn(move || {
                reactor.run().unwrap();
                worker(&reactor)
            })
        })
        .collect();
    let ids: HashSet<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(ids.len(), 1);
}

/// Its bystanders end with it.
#[test]
fn a_thread_that_has_nothing_to_do_ends() {
    let reactor = reactor(Duration::from_millis(1));
    let (connection, mut peer) = tokio::sync::oneshot::channel::<()>();
    let bystander = reactor.handle.spawn(async move {
        let _connection = connection;
        std::future::pending::<()>().await;
    });
    reactor.add_bystander(bystander.abort_handle());
    reactor.run().unwrap();
    wait_until(|| has_ended(&reactor));
    assert!(peer.try_recv().is_err_and(|error| error == tokio::sync::oneshot::error::TryRecvError::Closed));
    assert!(lock(&reactor.runtime).is_some());
    assert_eq!(reactor.handle.metrics().num_alive_tasks(), 0);
    // A fork then has nothing to stop, and nothing to go on with; who comes next has a thread again.
    reactor.pause();
    reactor.resume().unwrap();
    assert!(has_ended(&reactor));
    let (first, second) = (worker(&reactor), worker(&reactor));
    assert_eq!(first, second);
    wait_until(|| has_ended(&reactor));
}

#[test]
fn a_thread_that_has_something_to_do_does_not_end() {
    let reactor = reactor(Duration::from_millis(1));
    let (sender, receiver) = mpsc::channel();
    reactor.spawn(async move {
        for _ in 0..30 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            sender.send(thread::current().id()).unwrap();
        }
    });
    let threads: HashSet<_> = (0..30).map(|_| receiver.recv_timeout(LONG).unwrap()).collect();
    assert_eq!(threads.len(), 1);
}

/// The two orders in which the end of the thread and a task can meet, and a lock that somebody else has.
#[test]
fn a_task_that_comes_at_the_last_moment() {
    let reactor = reactor(LONG);
    reactor.state.store(QUIET, Ordering::Relaxed);
    let late = reactor.handle.spawn(std::future::pending::<()>());
    assert!(!reactor.ends(), "it is seen, and the thread goes on");
    assert_eq!(reactor.state.load(Ordering::Relaxed), ACTIVE);

    reactor.state.store(QUIET, Ordering::Relaxed);
    let driver = lock(&reactor.driver);
    assert!(reactor.ends(), "somebody is starting the next thread, or will look after a fork");
    drop(driver);
    assert_eq!(reactor.state.load(Ordering::Relaxed), STOPPED);
    late.abort();
    worker(&reactor);

    reactor.pause();
    reactor.state.store(ACTIVE, Ordering::Relaxed);
    assert!(!reactor.ends(), "somebody has called since it was quiet");
}

/// Calls that come just when the thread ends, again and again.
#[test]
fn nobody_is_left_waiting() {
    let (reactor, mut rng) = (reactor(Duration::from_millis(1)), fastrand::Rng::with_seed(1));
    let threads = (0..150).map(|_| {
        // It looks twice, a millisecond apart, more or less.
        thread::sleep(Duration::from_micros(rng.u64(1_500..4_500)));
        worker(&reactor)
    });
    assert!(threads.collect::<HashSet<_>>().len() > 1, "it has ended now and then");
}

/// A fork finds no thread of a blocking call that is over, however slowly that ends; and it does not wait for one that goes on.
#[test]
fn a_pause_waits_for_what_has_blocked() {
    let reactor = reactor(LONG);
    let tasks = || lock(&reactor.helpers.tasks).clone();
    reactor.run().unwrap();
    for _ in 0..50 {
        let (sender, receiver) = mpsc::channel();
        drop(reactor.spawn_blocking(move || sender.send(this_task()).unwrap()));
        let task = receiver.recv_timeout(LONG).unwrap();
        wait_until(|| reactor.helpers.calls.load(Ordering::SeqCst) == 0);
        reactor.pause();
        assert!(task.is_none_or(|task| !task.exists()));
        assert!(tasks().is_empty());
        reactor.resume().unwrap();
        reactor.run().unwrap();
    }
    let (go, gate) = mpsc::channel::<()>();
    let blocked = reactor.spawn_blocking(move || gate.recv());
    wait_until(|| this_task().is_none() || !tasks().is_empty());
    reactor.pause();
    assert!(!blocked.is_finished());
    assert_eq!(tasks().len(), usize::from(this_task().is_some()), "it is waited for by the next");
    go.send(()).unwrap();
    wait_until(|| blocked.is_finished());
    reactor.pause();
    assert!(tasks().iter().all(|task| !task.exists()));
}

/// Of two that are made at once one is dropped, wherever that is.
#[tokio::test]
async fn one_that_was_never_used_is_dropped_from_a_task_of_another_runtime() {
    drop(reactor(LONG));
}
