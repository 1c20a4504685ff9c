//! The reactor's thread: started when there is something to do, ended when there has been nothing for a while.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock, TryLockError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, EnterGuard, Handle, Runtime};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::REACTOR;
use super::lock::lock;
use crate::protocol::error::Error;

/// How long a fork waits for the thread. It stops between two tasks, of which none blocks.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How long for the last traces of one that had ended by itself.
const MOMENT: Duration = Duration::from_millis(5);

/// The thread ends when it has found nothing to do twice, so long apart: longer than any connection is kept to be used again.
static IDLE_MILLISECONDS: AtomicU64 = AtomicU64::new(60_000);

pub(crate) fn idle_time() -> Duration {
    Duration::from_millis(IDLE_MILLISECONDS.load(Ordering::Relaxed))
}

/// For tests, which have better things to do than to wait: of reactors that are made from now on.
pub(crate) fn set_idle_time(time: Duration) {
    IDLE_MILLISECONDS.store(time.as_millis().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// No thread drives the runtime, or the one that does is about to end: somebody has to start the next.
const STOPPED: u8 = 0;
/// A thread drives it that has found nothing to do when it last looked.
const QUIET: u8 = 1;
const ACTIVE: u8 = 2;

/// The runtime, and the thread that drives it, which is not always the same.
#[derive(Debug)]
pub(crate) struct ReactorThread {
    handle: Handle,
    idle_time: Duration,
    /// Whoever sees that the thread has stopped starts the next, which waits for this one to end; so it is taken back, if at
    /// all, with the driver locked.
    state: AtomicU8,
    driver: Mutex<Driver>,
    /// Here while no thread drives it.
    runtime: Mutex<Option<Runtime>>,
    /// Tasks that may stand still.
    bystanders: Mutex<Vec<AbortHandle>>,
    helpers: Arc<Helpers>,
}

/// The threads that tokio starts for blocking calls, each for as long as one lasts.
#[derive(Debug, Default)]
struct Helpers {
    /// Below `/proc`: those that a fork may find, ended ones among them.
    tasks: Mutex<Vec<PathBuf>>,
    /// Calls that are begun and not done.
    calls: AtomicUsize,
}

/// A blocking call from its beginning to its end, or until it is clear that it will not be made.
struct BlockingCall(Arc<Helpers>);

impl BlockingCall {
    fn begin(helpers: &Arc<Helpers>) -> BlockingCall {
        helpers.calls.fetch_add(1, Ordering::SeqCst);
        BlockingCall(Arc::clone(helpers))
    }
}

impl Drop for BlockingCall {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Below `/proc`, where there is one: the thread that asks.
fn this_task() -> Option<PathBuf> {
    std::fs::read_link("/proc/thread-self").ok().map(|task| Path::new("/proc").join(task))
}

/// The thread that drives the runtime, and how to stop it.
#[derive(Debug, Default)]
struct Driver {
    thread: Option<JoinHandle<()>>,
    stop: Arc<Notify>,
    /// Below `/proc`, where there is one: the thread as the kernel sees it.
    task: Arc<OnceLock<PathBuf>>,
    /// A fork is being made: nobody starts a thread before [`ReactorThread::resume`].
    paused: bool,
}

impl ReactorThread {
    pub(crate) fn new(idle_time: Duration) -> Result<ReactorThread, Error> {
        let helpers = Arc::<Helpers>::default();
        let known = Arc::clone(&helpers);
        // A thread that waits for a blocking call (a host's name) ends with it: it would be one more that a fork finds.
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_keep_alive(Duration::ZERO)
            .on_thread_start(move || lock(&known.tasks).extend(this_task()))
            .build()
            .map_err(failed)?;
        Ok(ReactorThread {
            handle: runtime.handle().clone(),
            idle_time,
            state: AtomicU8::new(STOPPED),
            driver: Mutex::default(),
            runtime: Mutex::new(Some(runtime)),
            bystanders: Mutex::default(),
            helpers,
        })
    }

    /// Spawn a task from outside, which is done however the thread feels about it: either this sees that the thread has stopped,
    /// or the thread sees the task before it ends.
    pub(crate) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let task = self.handle.spawn(task).abort_handle();
        fence(Ordering::SeqCst);
        if self.state.load(Ordering::Relaxed) != ACTIVE && self.run().is_err() {
            self.give_up();
        }
        task
    }

    /// What blocks, in a thread that ends with it.
    pub(crate) fn spawn_blocking<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        let call = BlockingCall::begin(&self.helpers);
        self.handle.spawn_blocking(move || {
            let done = act();
            drop(call);
            done
        })
    }

    /// What is polled in this thread meanwhile may use timers, sockets and tasks of the runtime.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// See to it that a thread drives the runtime.
    pub(crate) fn run(self: &Arc<Self>) -> Result<(), Error> {
        if self.state.load(Ordering::Acquire) == ACTIVE || self.exchange(QUIET, ACTIVE) {
            return Ok(());
        }
        let mut driver = lock(&self.driver);
        let is_needed = self.state.load(Ordering::Acquire) == STOPPED && !driver.paused;
        if is_needed { self.start(&mut driver) } else { Ok(()) }
    }

    fn start(self: &Arc<Self>, driver: &mut Driver) -> Result<(), Error> {
        let this = Arc::clone(self);
        let (stop, task) = (Arc::<Notify>::default(), Arc::<OnceLock<PathBuf>>::default());
        let (stopped, known) = (Arc::clone(&stop), Arc::clone(&task));
        let before = driver.thread.take();
        let started = std::thread::Builder::new().name("turbosqs-io".into()).spawn(move || {
            // One that did not stop in time, or is about to end by itself, gives the runtime back all the same.
            if let Some(before) = before {
                let _ = before.join();
            }
            let Some(runtime) = lock(&this.runtime).take() else { return };
            if let Some(task) = this_task() {
                let _ = known.set(task);
            }
            runtime.block_on(this.drive(&stopped));
            *lock(&this.runtime) = Some(runtime);
        });
        *driver = Driver { thread: Some(started.map_err(failed)?), stop, task, paused: false };
        self.state.store(ACTIVE, Ordering::Release);
        Ok(())
    }

    /// Until somebody wants the thread to stop, or it has had nothing to do for a while.
    async fn drive(&self, stopped: &Notify) {
        while tokio::time::timeout(self.idle_time, stopped.notified()).await.is_err() {
            if self.is_busy() {
                self.exchange(QUIET, ACTIVE);
            } else if !self.exchange(ACTIVE, QUIET) && self.ends() {
                return self.end_bystanders().await;
            }
        }
    }

    /// Whether a thread that was quiet is to end. Something may come at the last moment, from somebody who has not seen that
    /// the thread stops.
    fn ends(&self) -> bool {
        if !self.exchange(QUIET, STOPPED) {
            return false;
        }
        fence(Ordering::SeqCst);
        if !self.is_busy() {
            return true;
        }
        let _driver = match self.driver.try_lock() {
            Ok(driver) => driver,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // The next thread is being started, or a fork is being made, which ends with a look at what there is to do.
            Err(TryLockError::WouldBlock) => return true,
        };
        !self.exchange(STOPPED, ACTIVE)
    }

    /// Connections that will not be used again are closed.
    async fn end_bystanders(&self) {
        let bystanders = std::mem::take(&mut *lock(&self.bystanders));
        for bystander in &bystanders {
            bystander.abort();
        }
        // Each ends at its next turn.
        while bystanders.iter().any(|bystander| !bystander.is_finished()) {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn add_bystander(&self, task: AbortHandle) {
        let mut bystanders = lock(&self.bystanders);
        bystanders.retain(|bystander| !bystander.is_finished());
        bystanders.push(task);
    }

    /// Before a fork: no thread, whatever there is to do, until it is made.
    pub(crate) fn pause(&self) {
        let mut driver = lock(&self.driver);
        driver.paused = true;
        let Some(thread) = &driver.thread else { return };
        let wait_until = |timeout: Duration, done: &dyn Fn() -> bool| {
            let deadline = Instant::now() + timeout;
            while !done() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_micros(20));
            }
        };
        let had_ended = thread.is_finished();
        driver.stop.notify_one();
        wait_until(TIMEOUT, &|| thread.is_finished());
        // The kernel counts a thread for some moments longer than anybody can wait for it.
        if let Some(task) = driver.task.get() {
            wait_until(if had_ended { MOMENT } else { TIMEOUT }, &|| !task.exists());
        }
        // What blocks cannot be stopped; where nothing does any more, the threads for it are about to end.
        let mut tasks = std::mem::take(&mut *lock(&self.helpers.tasks));
        tasks.retain(|task| task.exists());
        let blocks = self.helpers.calls.load(Ordering::SeqCst) > 0;
        wait_until(if blocks { MOMENT } else { TIMEOUT }, &|| !tasks.iter().any(|task| task.exists()));
        if blocks {
            lock(&self.helpers.tasks).append(&mut tasks);
        }
        self.state.store(STOPPED, Ordering::Release);
    }

    /// Some versions of Python count the threads only after this, so there is one again only for what is under way. Else the
    /// next use starts it.
    pub(crate) fn resume(self: &Arc<Self>) -> Result<(), Error> {
        let mut driver = lock(&self.driver);
        let was_paused = std::mem::take(&mut driver.paused);
        if !was_paused || self.state.load(Ordering::Acquire) != STOPPED || !self.is_busy() {
            return Ok(());
        }
        self.start(&mut driver).inspect_err(|_| self.give_up())
    }

    /// Without a thread nothing of this would ever be answered: with the runtime its tasks end, which tells their callers, and
    /// the next use tries anew.
    fn give_up(&self) {
        REACTOR.clear();
        if let Some(runtime) = lock(&self.runtime).take() {
            runtime.shutdown_background();
        }
    }

    /// Whether anything is under way. Of bystanders that have just ended it may say so for a moment.
    fn is_busy(&self) -> bool {
        let mut bystanders = lock(&self.bystanders);
        bystanders.retain(|bystander| !bystander.is_finished());
        self.handle.metrics().num_alive_tasks() > bystanders.len()
    }

    fn exchange(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

impl Drop for ReactorThread {
    /// One that was made while another thread made one as well is dropped unused, by whoever came second: also from a task of another
    /// runtime, where tokio panics when a runtime is dropped in the usual way, which waits for its threads.
    fn drop(&mut self) {
        if let Some(runtime) = lock(&self.runtime).take() {
            runtime.shutdown_background();
        }
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::Runtime(format!("the reactor thread could not be started: {error}"))
}

#[cfg(test)]
mod tests;
