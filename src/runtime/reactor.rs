//! What runs tasks and tells the time: tokio's, on the reactor thread; in tests of time a scheduler that makes both up.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

#[cfg(test)]
use super::simulation::{self, Scheduler, Simulated};
use super::{ReactorThread, caller, handle};
use crate::protocol::error::Error;

/// Where tasks are spawned, from any thread.
#[derive(Clone, Debug)]
pub(crate) enum Reactor {
    /// As a task of it sees it: it has a thread.
    Inside(Handle),
    /// As others see it: its thread ends when it has nothing to do.
    Outside(Arc<ReactorThread>),
    #[cfg(test)]
    Simulated(Scheduler),
}

/// A task that was spawned, for those who may want to end it before its time.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    Tokio(AbortHandle),
    #[cfg(test)]
    Simulated(Simulated),
}

impl Reactor {
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> Task {
        match self {
            Reactor::Inside(handle) => Task::Tokio(handle.spawn(future).abort_handle()),
            Reactor::Outside(thread) => Task::Tokio(thread.spawn(future)),
            #[cfg(test)]
            Reactor::Simulated(scheduler) => Task::Simulated(scheduler.spawn(future)),
        }
    }
}

impl Task {
    /// Drop the task's future at its next turn.
    pub(crate) fn abort(&self) {
        match self {
            Task::Tokio(task) => task.abort(),
            #[cfg(test)]
            Task::Simulated(task) => task.abort(),
        }
    }
}

/// The reactor that this task runs on, which a spawned task need not wake; elsewhere this process's.
pub(crate) fn current() -> Result<Reactor, Error> {
    match Handle::try_current() {
        // A thread that drives a call is no thread of the reactor's, though it may use what is the reactor's.
        Ok(current) if !caller::is_driving() => Ok(Reactor::Inside(current)),
        _ => handle(),
    }
}

pub(crate) fn now() -> Instant {
    #[cfg(test)]
    if let Some(scheduler) = simulation::current() {
        return scheduler.now();
    }
    Instant::now()
}

pub(crate) async fn sleep_until(at: Instant) {
    #[cfg(test)]
    if let Some(scheduler) = simulation::current() {
        return scheduler.sleep_until(at).await;
    }
    tokio::time::sleep_until(at.into()).await;
}

pub(crate) async fn sleep(time: Duration) {
    // As tokio does where a sum would not fit: for ever, or near enough.
    const LONG: Duration = Duration::from_secs(86_400 * 365 * 30);
    let now = now();
    sleep_until(now.checked_add(time).unwrap_or(now + LONG)).await;
}
