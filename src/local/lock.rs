//! Locks whose holders may have panicked, which is a bug, but none that should take every other request with it.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The guard of a mutex, poisoned or not.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
