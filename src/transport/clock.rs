//! The time that signatures bear.
//!
//! The machine's, unless a test has put another in the place of Python's clock: then it is that one, for all requests of the
//! process, as it is for the URLs and whatever else the test makes in Python. Nothing else here goes by it: timeouts,
//! delays and the age of credentials are measured by clocks that no test replaces.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970, or [`MACHINES`].
static REPLACED: AtomicI64 = AtomicI64::new(MACHINES);
const MACHINES: i64 = i64::MIN;

/// From now on it is this time, in seconds since 1970; `None`: the machine's.
pub(crate) fn replace(seconds: Option<i64>) {
    let seconds = seconds.unwrap_or(MACHINES);
    // Every call comes by here, and almost always there is nothing to do.
    if REPLACED.load(Ordering::Relaxed) != seconds {
        REPLACED.store(seconds, Ordering::Relaxed);
    }
}

pub(crate) fn now() -> SystemTime {
    match REPLACED.load(Ordering::Relaxed) {
        MACHINES => SystemTime::now(),
        // No signature can be dated before 1970.
        seconds => UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or(0)),
    }
}
