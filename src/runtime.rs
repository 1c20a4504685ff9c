//! Who owns tokio: one reactor thread per process, started on first use, shared by every client.
//!
//! Neither threads nor epoll survive a fork. A child therefore never touches the reactor it inherited: it is
//! recognised by its process id and left alone (leaked, not dropped: dropping would reach into descriptors
//! that the parent still uses), and the child starts its own. For the time of a fork the parent's thread is stopped: Python
//! warns of threads that a fork finds, and what a child inherits is then in nobody's hands.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Notify;

use crate::protocol::error::Error;
use crate::runtime::lock::lock;

pub(crate) mod admission;
pub(crate) mod completions;
pub(crate) mod lock;
pub(crate) mod process_bound;
pub(crate) mod reactor;
pub(crate) mod responder;
#[cfg(test)]
pub(crate) mod simulation;
pub(crate) mod wake;

pub(crate) use reactor::{Reactor, Task, current, now, sleep, sleep_until};

pub(crate) use process_bound::ProcessBound;

static REACTOR: ProcessBound<Arc<ReactorThread>> = ProcessBound::new();

/// The reactor of this process, its thread running.
pub(crate) fn handle() -> Result<Reactor, Error> {
    #[cfg(test)]
    if let Some(scheduler) = simulation::current() {
        return Ok(Reactor::Simulated(scheduler));
    }
    let thread = REACTOR.get_or_try_make(|| ReactorThread::new().map(Arc::new))?;
    thread.run()?;
    Ok(Reactor::Tokio(thread.handle.clone()))
}

/// Spawn, from a task of the reactor, one that may stand still while no other is under way: it is no reason to have a thread.
pub(crate) fn spawn_bystander(task: impl Future<Output = ()> + Send + 'static) {
    let counted = REACTOR.get().map(|reactor| Counted::new(&reactor.bystanders));
    tokio::spawn(async move {
        let _counted = counted;
        task.await;
    });
}

/// See to it that what stood still since a fork goes on, if there is anything.
pub(crate) fn rouse() -> Result<(), Error> {
    REACTOR.get().map_or(Ok(()), |reactor| reactor.run())
}

/// Before this process forks: end the reactor's thread, so that the fork finds none of ours, nor anything that one is in the
/// middle of. What is under way stays as it is until [`resume`].
///
/// Who uses the reactor meanwhile loses nothing: what is spawned waits.
pub(crate) fn pause() {
    if let Some(reactor) = REACTOR.get() {
        reactor.pause();
    }
}

/// After the fork, in the parent: go on, now or when there is something to do. The child has a reactor of its own when it
/// needs one.
pub(crate) fn resume() -> Result<(), Error> {
    REACTOR.get().map_or(Ok(()), |reactor| reactor.resume())
}

/// How long a fork waits for the reactor's thread. It stops between two tasks, of which none blocks.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The runtime, and the thread that drives it, which is not always the same.
#[derive(Debug)]
struct ReactorThread {
    handle: Handle,
    /// Whether a thread drives it, or has been told to.
    is_running: AtomicBool,
    driver: Mutex<Driver>,
    /// Here while no thread drives it.
    runtime: Arc<Mutex<Option<Runtime>>>,
    /// How many of its tasks may stand still.
    bystanders: Arc<AtomicUsize>,
}

/// One task counted, for as long as it lives.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Counted {
        count.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The thread that drives the runtime, and how to stop it.
#[derive(Debug, Default)]
struct Driver {
    thread: Option<JoinHandle<()>>,
    stop: Arc<Notify>,
    /// Below `/proc`, where there is one: the thread as the kernel sees it.
    task: Arc<OnceLock<PathBuf>>,
    paused: bool,
}

impl ReactorThread {
    fn new() -> Result<ReactorThread, Error> {
        // A thread that waits for a blocking call (a host's name) ends with it: it would be one more that a fork finds.
        let runtime = Builder::new_current_thread().enable_all().thread_keep_alive(Duration::ZERO).build();
        let runtime = runtime.map_err(failed)?;
        Ok(ReactorThread {
            handle: runtime.handle().clone(),
            is_running: AtomicBool::new(false),
            driver: Mutex::default(),
            runtime: Arc::new(Mutex::new(Some(runtime))),
            bystanders: Arc::default(),
        })
    }

    /// See to it that a thread drives the runtime.
    fn run(&self) -> Result<(), Error> {
        if self.is_running.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut driver = lock(&self.driver);
        if !self.is_running.load(Ordering::Acquire) {
            self.start(&mut driver)?;
        }
        Ok(())
    }

    fn start(&self, driver: &mut Driver) -> Result<(), Error> {
        let place = Arc::clone(&self.runtime);
        let (stop, task) = (Arc::<Notify>::default(), Arc::<OnceLock<PathBuf>>::default());
        let (stopped, known) = (Arc::clone(&stop), Arc::clone(&task));
        let before = driver.thread.take();
        let started = std::thread::Builder::new().name("turbosqs-io".into()).spawn(move || {
            // One that did not stop in time gives the runtime back all the same.
            if let Some(before) = before {
                let _ = before.join();
            }
            let Some(runtime) = lock(&place).take() else { return };
            if let Ok(task) = std::fs::read_link("/proc/thread-self") {
                let _ = known.set(Path::new("/proc").join(task));
            }
            // As long as the process otherwise: a client may be used at any moment, interpreter exit included.
            runtime.block_on(stopped.notified());
            *lock(&place) = Some(runtime);
        });
        *driver = Driver { thread: Some(started.map_err(failed)?), stop, task, paused: false };
        self.is_running.store(true, Ordering::Release);
        Ok(())
    }

    fn pause(&self) {
        let mut driver = lock(&self.driver);
        let Some(thread) = &driver.thread else { return };
        driver.stop.notify_one();
        let deadline = Instant::now() + TIMEOUT;
        let wait_until = |done: &dyn Fn() -> bool| {
            while !done() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_micros(20));
            }
        };
        wait_until(&|| thread.is_finished());
        // The kernel counts a thread for some moments longer than anybody can wait for it.
        if let Some(task) = driver.task.get() {
            wait_until(&|| !task.exists());
        }
        driver.paused = true;
        self.is_running.store(false, Ordering::Release);
    }

    /// Some versions of Python count the threads only after this, so there is one again only where it is needed: for what is
    /// under way, and where other threads of the process (of which Python warns anyway) may be about to spawn something on
    /// the handle that they had before. Else the next use starts it.
    fn resume(&self) -> Result<(), Error> {
        let mut driver = lock(&self.driver);
        if !driver.paused || !(self.is_busy() || is_one_of_several_threads()) {
            return Ok(());
        }
        self.start(&mut driver).inspect_err(|_| {
            // Without a thread nothing of this would ever be answered: with the runtime its tasks end, which tells their
            // callers, and the next use tries anew.
            REACTOR.clear();
            if let Some(runtime) = lock(&self.runtime).take() {
                runtime.shutdown_background();
            }
        })
    }
}

impl ReactorThread {
    fn is_busy(&self) -> bool {
        self.handle.metrics().num_alive_tasks() > self.bystanders.load(Ordering::Relaxed)
    }
}

/// Where that cannot be told, yes.
fn is_one_of_several_threads() -> bool {
    std::fs::read_dir("/proc/self/task").map_or(true, |tasks| tasks.count() > 1)
}

fn failed(error: std::io::Error) -> Error {
    Error::Runtime(format!("the reactor thread could not be started: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is under way when the thread is stopped goes on with the next one; what comes in between waits for it.
    #[test]
    fn a_pause_loses_nothing() {
        let reactor = Arc::new(ReactorThread::new().unwrap());
        reactor.pause();
        reactor.resume().unwrap();
        assert!(lock(&reactor.driver).thread.is_none(), "nothing was to be resumed, and nothing was started");
        reactor.run().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let (go, mut gate) = tokio::sync::mpsc::unbounded_channel::<u32>();
        reactor.handle.spawn(async move {
            while let Some(number) = gate.recv().await {
                tokio::time::sleep(Duration::from_micros(50)).await;
                sender.send((number, std::thread::current().id())).unwrap();
            }
        });
        let mut threads = std::collections::HashSet::new();
        for number in 0..20 {
            let at_work = reactor.driver.lock().unwrap().task.get().cloned();
            reactor.pause();
            assert!(at_work.is_none_or(|task| !task.exists()), "the thread is gone");
            assert!(lock(&reactor.runtime).is_some());
            go.send(number).unwrap();
            assert!(receiver.try_recv().is_err());
            // Two ways to go on: as a fork does when there is something to do, and at the next use.
            if number % 2 == 0 {
                reactor.resume().unwrap()
            } else {
                reactor.run().unwrap()
            }
            let (done, thread) = receiver.recv_timeout(Duration::from_secs(20)).unwrap();
            assert_eq!(done, number);
            threads.insert(thread);
        }
        assert_eq!(threads.len(), 20);
    }

    #[test]
    fn bystanders_are_no_reason_to_go_on() {
        let reactor = ReactorThread::new().unwrap();
        assert!(!reactor.is_busy());
        let counted = Counted::new(&reactor.bystanders);
        let (go, gate) = tokio::sync::oneshot::channel::<()>();
        reactor.handle.spawn(async move {
            let _counted = counted;
            let _ = gate.await;
        });
        assert!(!reactor.is_busy());
        let other = reactor.handle.spawn(std::future::pending::<()>());
        assert!(reactor.is_busy());
        reactor.run().unwrap();
        go.send(()).unwrap();
        other.abort();
        let deadline = Instant::now() + Duration::from_secs(20);
        while reactor.handle.metrics().num_alive_tasks() > 0 || reactor.bystanders.load(Ordering::Relaxed) > 0 {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        assert!(!reactor.is_busy());
    }

    #[test]
    fn one_that_does_not_stop_in_time_is_followed_all_the_same() {
        let reactor = ReactorThread::new().unwrap();
        reactor.run().unwrap();
        let (begun, begins) = std::sync::mpsc::channel();
        let (ends, end) = std::sync::mpsc::channel::<()>();
        reactor.handle.spawn(async move {
            begun.send(()).unwrap();
            let _ = end.recv();
        });
        begins.recv().unwrap();
        reactor.pause();
        reactor.resume().unwrap();
        ends.send(()).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        reactor.handle.spawn(async move { sender.send(()).unwrap() });
        receiver.recv_timeout(Duration::from_secs(20)).unwrap();
    }

    #[test]
    fn who_comes_at_once_starts_one_thread() {
        let reactor = Arc::new(ReactorThread::new().unwrap());
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let reactor = Arc::clone(&reactor);
                std::thread::spawn(move || {
                    reactor.run().unwrap();
                    let id = async { std::thread::current().id() };
                    reactor.handle.block_on(reactor.handle.spawn(id)).unwrap()
                })
            })
            .collect();
        let ids: std::collections::HashSet<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(ids.len(), 1);
    }
}
