//! What happens, told to Python's loggers.
//!
//! A record is text that waits here until a thread of Python's comes for it: what runs on the reactor needs no interpreter to
//! tell something. Whether a logger wants to know is a number that Python sets when it changes, so that what nobody wants
//! to know costs a comparison.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::runtime::lock::lock;

/// The logger that a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// Requests and their replies, endpoints.
    Requests,
    /// What is asked for again, and why.
    Retries,
    Credentials,
}

/// How important a record is, in Python's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Level {
    Debug = 10,
    Warning = 30,
}

/// What has happened, and when.
#[derive(Debug)]
pub(crate) struct LogRecord {
    pub topic: Topic,
    pub level: Level,
    pub at: SystemTime,
    pub text: String,
}

/// So many records may wait; those that come then are counted, and not kept.
const MOST: usize = 10_000;

/// By topic: the least level that its logger wants. Python's own default is to hear of warnings.
static REQUESTS: AtomicU8 = AtomicU8::new(Level::Warning as u8);
static RETRIES: AtomicU8 = AtomicU8::new(Level::Warning as u8);
static CREDENTIALS: AtomicU8 = AtomicU8::new(Level::Warning as u8);

/// Whether a warning waits: there may be no thread that comes for it by itself.
static URGENT: AtomicBool = AtomicBool::new(false);

static WAITING: Mutex<LogQueue> = Mutex::new(LogQueue { records: VecDeque::new(), lost: 0, closed: false });
static CHANGED: Condvar = Condvar::new();

/// The records that no thread of Python's has come for yet, and how many were too many to keep.
#[derive(Debug)]
struct LogQueue {
    records: VecDeque<LogRecord>,
    lost: u64,
    /// Nobody is to wait for records any more.
    closed: bool,
}

impl Topic {
    pub(crate) const ALL: [Topic; 3] = [Topic::Requests, Topic::Retries, Topic::Credentials];

    /// The logger's name.
    pub(crate) fn logger(self) -> &'static str {
        match self {
            Topic::Requests => "turbosqs",
            Topic::Retries => "turbosqs.retry",
            Topic::Credentials => "turbosqs.credentials",
        }
    }

    fn level(self) -> &'static AtomicU8 {
        match self {
            Topic::Requests => &REQUESTS,
            Topic::Retries => &RETRIES,
            Topic::Credentials => &CREDENTIALS,
        }
    }

    /// What the logger wants to know from now on.
    pub(crate) fn set_level(self, least: u8) {
        self.level().store(least, Ordering::Relaxed);
    }

    fn wants(self, level: Level) -> bool {
        self.level().load(Ordering::Relaxed) <= level as u8
    }
}

/// Whether a logger wants to know what helps to find out what is going on.
pub(crate) fn is_debugged(topic: Topic) -> bool {
    topic.wants(Level::Debug)
}

/// Tell something that helps to find out what is going on. No key, token, signature or body may be in it.
pub(crate) fn debug(topic: Topic, text: impl FnOnce() -> String) {
    tell(topic, Level::Debug, text);
}

/// Tell something that whoever runs the program has to know.
pub(crate) fn warning(topic: Topic, text: impl FnOnce() -> String) {
    tell(topic, Level::Warning, text);
}

fn tell(topic: Topic, level: Level, text: impl FnOnce() -> String) {
    if topic.wants(level) {
        keep(LogRecord { topic, level, at: SystemTime::now(), text: text() });
    }
}

#[cold]
fn keep(record: LogRecord) {
    let urgent = record.level == Level::Warning;
    let mut waiting = lock(&WAITING);
    if waiting.records.len() >= MOST {
        waiting.lost += 1;
        return;
    }
    waiting.records.push_back(record);
    if urgent {
        URGENT.store(true, Ordering::Relaxed);
    }
    if waiting.records.len() == 1 {
        CHANGED.notify_all();
    }
}

/// Whether a warning waits.
pub(crate) fn is_urgent() -> bool {
    URGENT.load(Ordering::Relaxed)
}

/// The records that wait, and how many were lost since they were last taken.
pub(crate) fn take() -> (VecDeque<LogRecord>, u64) {
    let mut waiting = lock(&WAITING);
    URGENT.store(false, Ordering::Relaxed);
    (std::mem::take(&mut waiting.records), std::mem::take(&mut waiting.lost))
}

/// Wait until there are records, at most `timeout` long; false when there is to be no more waiting.
pub(crate) fn wait(timeout: Duration) -> bool {
    let waiting = lock(&WAITING);
    let nothing = |waiting: &mut LogQueue| waiting.records.is_empty() && !waiting.closed;
    let waited = CHANGED.wait_timeout_while(waiting, timeout, nothing);
    let (waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
    !waiting.closed
}

/// Whether there is to be waiting: false wakes those who wait.
pub(crate) fn open(is_open: bool) {
    lock(&WAITING).closed = !is_open;
    CHANGED.notify_all();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The queue is the process's, so one test has it all.
    #[test]
    fn what_is_wanted_waits_in_order_and_what_is_not_is_not_even_written() {
        let ours = |records: VecDeque<LogRecord>| -> Vec<String> {
            // Other tests run beside this one.
            records.into_iter().map(|record| record.text).filter(|text| text.starts_with("test ")).collect()
        };
        debug(Topic::Credentials, || unreachable!("nobody wants to know"));
        warning(Topic::Credentials, || "test 1".into());
        assert!(is_urgent());
        Topic::Credentials.set_level(Level::Debug as u8);
        debug(Topic::Credentials, || "test 2".into());
        Topic::Credentials.set_level(Level::Warning as u8);
        debug(Topic::Credentials, || unreachable!("nobody wants to know any more"));
        assert!(wait(Duration::ZERO));
        assert_eq!(ours(take().0), ["test 1", "test 2"]);
        assert!(!is_urgent());
        for number in 0..MOST + 5 {
            warning(Topic::Retries, || format!("test {number}"));
        }
        let (records, lost) = take();
        assert_eq!((records.len(), lost), (MOST, 5));
        assert_eq!(ours(take().0), [""; 0]);
        open(false);
        assert!(!wait(Duration::from_secs(60)));
        open(true);
    }
}
