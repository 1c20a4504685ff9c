//! A value that belongs to the process that made it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::process;

/// A value that belongs to the process that made it.
#[derive(Debug)]
pub(crate) struct ProcessBound<T> {
    current: ArcSwapOption<Owned<T>>,
}

/// A value and the process that made it.
#[derive(Debug)]
struct Owned<T> {
    pid: u32,
    value: T,
}

impl<T: Clone> ProcessBound<T> {
    pub(crate) const fn new() -> Self {
        ProcessBound { current: ArcSwapOption::const_empty() }
    }

    /// One that this process has made already.
    pub(crate) fn of(value: T) -> Self {
        let owned = Owned { pid: process::id(), value };
        ProcessBound { current: ArcSwapOption::from_pointee(owned) }
    }

    /// This process's value, made now if there is none. Lock-free, so that a fork can find nothing locked: two
    /// threads that arrive together may both make one, and one of the two is dropped unused.
    pub(crate) fn get_or_try_make<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let pid = process::id();
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

impl<T: Clone> ProcessBound<T> {
    /// This process's value, if there is one.
    pub(crate) fn get(&self) -> Option<T> {
        let pid = process::id();
        self.current.load().as_ref().filter(|owned| owned.pid == pid).map(|owned| owned.value.clone())
    }
}

impl<T> ProcessBound<T> {
    /// Let go of this process's value; the next use makes a new one.
    pub(crate) fn clear(&self) {
        if let Some(owned) = self.current.swap(None)
            && owned.pid != process::id()
        {
            std::mem::forget(owned);
        }
    }
}

impl<T: Clone> Default for ProcessBound<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for ProcessBound<T> {
    fn drop(&mut self) {
        self.clear();
    }
}
