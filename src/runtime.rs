//! Who owns tokio: one reactor thread per process, started on first use, shared by every client.
//!
//! Neither threads nor epoll survive a fork. A child therefore never touches the reactor it inherited: it is
//! recognised by its process id and left alone (leaked, not dropped: dropping would reach into descriptors
//! that the parent still uses), and the child starts its own. For the time of a fork the parent's thread is stopped: Python
//! warns of threads that a fork finds, and what a child inherits is then in nobody's hands.

use std::sync::Arc;

use tokio::task::{AbortHandle, JoinHandle};

use crate::protocol::error::Error;

pub(crate) mod admission;
pub(crate) mod caller;
pub(crate) mod completions;
pub(crate) mod lock;
mod process;
pub(crate) mod process_bound;
pub(crate) mod reactor;
pub(crate) mod responder;
#[cfg(test)]
pub(crate) mod simulation;
mod thread;
pub(crate) mod wake;

pub(crate) use caller::{CallerDriven, Driven};
pub(crate) use process_bound::ProcessBound;
pub(crate) use reactor::{Reactor, Task, current, now, sleep, sleep_until};
pub(crate) use thread::set_idle_time;

use thread::ReactorThread;

static REACTOR: ProcessBound<Arc<ReactorThread>> = ProcessBound::new();

/// The reactor of this process, its thread running.
pub(crate) fn handle() -> Result<Reactor, Error> {
    #[cfg(test)]
    if let Some(scheduler) = simulation::current() {
        return Ok(Reactor::Simulated(scheduler));
    }
    let thread = REACTOR.get_or_try_make(|| ReactorThread::new(thread::idle_time()).map(Arc::new))?;
    thread.run()?;
    Ok(Reactor::Outside(thread))
}

/// Spawn, from a task of the reactor, one that may stand still while no other is under way: it is no reason to have a thread,
/// and ends with one that is idle.
pub(crate) fn spawn_bystander(task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    let task = tokio::spawn(task).abort_handle();
    if let Some(reactor) = REACTOR.get() {
        reactor.add_bystander(task.clone());
    }
    task
}

/// Do, from a task of the reactor, what blocks its thread for as long as that takes: in another one, which ends with it.
/// An error: it has panicked, or the reactor ends.
pub(crate) fn spawn_blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    match REACTOR.get() {
        Some(reactor) => reactor.spawn_blocking(act),
        None => tokio::task::spawn_blocking(act),
    }
}

/// Before this process forks: end the reactor's thread, so that the fork finds none of ours, nor anything that one is in the
/// middle of. What is under way stays as it is until [`resume`].
///
/// Who uses the reactor meanwhile loses nothing: what is spawned waits. Calls that threads drive themselves are
/// [held](caller::hold) before.
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
