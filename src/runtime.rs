//! Who owns tokio: one reactor thread per process, started on first use, shared by every client.
//!
//! Neither threads nor epoll survive a fork. A child therefore never touches the reactor it inherited: it is
//! recognised by its process id and left alone (leaked, not dropped: dropping would reach into descriptors
//! that the parent still uses), and the child starts its own.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::runtime::{Builder, Handle};

use crate::error::Error;

/// A value that belongs to the process that made it.
#[derive(Debug)]
pub struct PerProcess<T> {
    current: ArcSwapOption<Owned<T>>,
}

#[derive(Debug)]
struct Owned<T> {
    pid: u32,
    value: T,
}

impl<T: Clone> PerProcess<T> {
    pub const fn new() -> Self {
        PerProcess { current: ArcSwapOption::const_empty() }
    }

    /// This process's value, made now if there is none. Lock-free, so that a fork can find nothing locked: two
    /// threads that arrive together may both make one, and one of the two is dropped unused.
    pub fn get_or_try_make<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let pid = std::process::id();
        let seen = self.current.load();
        if let Some(owned) = seen.as_ref().filter(|owned| owned.pid == pid) {
            return Ok(owned.value.clone());
        }
        let made = Arc::new(Owned { pid, value: make()? });
        let previous = self.current.compare_and_swap(&seen, Some(Arc::clone(&made)));
        match previous.as_ref() {
            // Another thread of this process was first.
            Some(owned) if owned.pid == pid => Ok(owned.value.clone()),
            stale => {
                // The parent's: never dropped here.
                std::mem::forget(stale.cloned());
                Ok(made.value.clone())
            }
        }
    }
}

impl<T: Clone> PerProcess<T> {
    /// This process's value, if there is one.
    pub fn get(&self) -> Option<T> {
        let pid = std::process::id();
        self.current.load().as_ref().filter(|owned| owned.pid == pid).map(|owned| owned.value.clone())
    }
}

impl<T> PerProcess<T> {
    /// Let go of this process's value; the next use makes a new one.
    pub fn clear(&self) {
        if let Some(owned) = self.current.swap(None)
            && owned.pid != std::process::id()
        {
            std::mem::forget(owned);
        }
    }
}

impl<T: Clone> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        self.clear();
    }
}

static REACTOR: PerProcess<Handle> = PerProcess::new();

/// The reactor of this process.
pub fn handle() -> Result<Handle, Error> {
    REACTOR.get_or_try_make(start)
}

fn start() -> Result<Handle, Error> {
    let failed = |error: std::io::Error| Error::Runtime(format!("the reactor thread could not be started: {error}"));
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name("turbosqs-io".into())
        // The thread lives as long as the process: a client may be used at any moment, interpreter exit included.
        .spawn(move || runtime.block_on(std::future::pending::<()>()))
        .map_err(failed)?;
    Ok(handle)
}
