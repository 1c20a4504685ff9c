//! Who opens a connection when several callers lack one at once: the first, and the others wait for a while.
//!
//! A TLS handshake costs both sides more CPU than a request does, and two round trips. When thirty threads begin to call together,
//! as after a start, one connection may well do for all of them. So whoever lacks a connection while one is being opened waits for
//! that, and then, as long as it took to open, for one that somebody has no more use for. Those who have none by then open theirs,
//! all at the same time: at worst a connection is there after three times as long as one takes.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::connect::Origin;
use super::failure::HttpFailure;
use crate::runtime;
use crate::runtime::lock::lock;

/// The connections that are being opened, and those who wait for one.
pub(super) struct Dials<C> {
    by_origin: Mutex<Vec<Dial<C>>>,
}

impl<C> Default for Dials<C> {
    fn default() -> Dials<C> {
        Dials { by_origin: Mutex::default() }
    }
}

/// The latest connection that was opened for more than one, and those who wait for it or another.
struct Dial<C> {
    origin: Origin,
    progress: watch::Receiver<Progress>,
    waiters: VecDeque<oneshot::Sender<C>>,
}

/// How far the one who opens a connection has come. If he gives up, that is seen by his sender's end.
#[derive(Clone, Debug)]
enum Progress {
    UnderWay,
    /// Until when the others wait for one that is free.
    Open(Instant),
    Failed(HttpFailure),
}

/// What one who lacks a connection is to do.
enum Part<C> {
    Open(watch::Sender<Progress>),
    Wait(watch::Receiver<Progress>, oneshot::Receiver<C>),
}

/// What has come of waiting for the connection that another opens.
enum DialOutcome<C> {
    Connection(C),
    /// Nothing, so that it is to be opened by oneself.
    TooLong,
    /// The one who was opening it has given up.
    Abandoned,
}

/// A connection as it was come by.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Obtained<C> {
    Opened(C),
    /// Somebody has used it before.
    Used(C),
}

impl<C> Dials<C> {
    /// A connection, for one who has found none that is free. `free` looks once more, `open` opens one and says how long that took.
    pub(super) async fn obtain(
        &self,
        origin: &Origin,
        free: impl Future<Output = Option<C>>,
        open: impl Future<Output = Result<(C, Duration), HttpFailure>>,
    ) -> Result<Obtained<C>, HttpFailure> {
        let mut free = Some(free);
        loop {
            let (progress, connection) = match self.join(origin) {
                Part::Open(progress) => {
                    let opened = open.await;
                    progress.send_replace(match &opened {
                        Ok((_, took)) => Progress::Open(runtime::now() + *took),
                        Err(failed) => Progress::Failed(failed.clone()),
                    });
                    return opened.map(|(connection, _)| Obtained::Opened(connection));
                }
                Part::Wait(progress, connection) => (progress, connection),
            };
            // From here on whatever comes free is ours in our turn; this may have come free just before.
            if let Some(free) = free.take()
                && let Some(connection) = free.await
            {
                return Ok(Obtained::Used(connection));
            }
            match wait(progress, connection).await? {
                DialOutcome::Connection(connection) => return Ok(Obtained::Used(connection)),
                DialOutcome::TooLong => return open.await.map(|(connection, _)| Obtained::Opened(connection)),
                DialOutcome::Abandoned => {}
            }
        }
    }

    /// Gives a connection that is free to the one who has waited for the longest; it comes back if nobody waits.
    pub(super) fn offer(&self, origin: &Origin, mut connection: C) -> Option<C> {
        let mut dials = self.lock();
        let Some(place) = dials.iter().position(|dial| dial.origin == *origin) else { return Some(connection) };
        let dial = dials.get_mut(place)?;
        while let Some(waiter) = dial.waiters.pop_front() {
            match waiter.send(connection) {
                Ok(()) => return None,
                Err(unwanted) => connection = unwanted,
            }
        }
        if !dial.is_worth_waiting() {
            dials.swap_remove(place);
        }
        Some(connection)
    }

    fn join(&self, origin: &Origin) -> Part<C> {
        let mut dials = self.lock();
        let known = dials.iter_mut().find(|dial| dial.origin == *origin);
        if let Some(dial) = known {
            if dial.is_worth_waiting() {
                let (waiter, connection) = oneshot::channel();
                dial.waiters.push_back(waiter);
                return Part::Wait(dial.progress.clone(), connection);
            }
            let (sender, progress) = watch::channel(Progress::UnderWay);
            dial.progress = progress;
            dial.waiters.retain(|waiter| !waiter.is_closed());
            return Part::Open(sender);
        }
        let (sender, progress) = watch::channel(Progress::UnderWay);
        dials.push(Dial { origin: origin.clone(), progress, waiters: VecDeque::new() });
        Part::Open(sender)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Dial<C>>> {
        lock(&self.by_origin)
    }
}

impl<C> Dial<C> {
    fn is_worth_waiting(&self) -> bool {
        match &*self.progress.borrow() {
            // Fails if the one who opens it is gone.
            Progress::UnderWay => self.progress.has_changed().is_ok(),
            Progress::Open(until) => runtime::now() < *until,
            Progress::Failed(_) => false,
        }
    }
}

/// Waits for a connection that is given away. The failure to open one is that of all who wait for it: each would meet it, and only
/// then.
async fn wait<C>(
    mut progress: watch::Receiver<Progress>,
    connection: oneshot::Receiver<C>,
) -> Result<DialOutcome<C>, HttpFailure> {
    let mut connection = pin!(connection);
    let decided = async {
        let seen = progress.wait_for(|progress| !matches!(progress, Progress::UnderWay)).await;
        seen.ok().map(|progress| progress.clone())
    };
    let progress = tokio::select! {
        biased;
        Ok(connection) = &mut connection => return Ok(DialOutcome::Connection(connection)),
        progress = decided => progress,
    };
    match progress {
        None => Ok(DialOutcome::Abandoned),
        Some(Progress::Failed(failed)) => Err(failed),
        Some(Progress::UnderWay) => Ok(DialOutcome::Abandoned),
        Some(Progress::Open(until)) => tokio::select! {
            biased;
            Ok(connection) = &mut connection => Ok(DialOutcome::Connection(connection)),
            () = runtime::sleep_until(until) => Ok(DialOutcome::TooLong),
        },
    }
}

#[cfg(test)]
mod tests;
