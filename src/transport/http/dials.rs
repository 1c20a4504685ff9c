//! Who opens a connection when several callers lack one at once: the first, and the others wait for a while.
//!
//! A TLS handshake costs both sides more CPU than a request does, and two round trips. When thirty threads begin to call together,
//! as after a start, one connection may well do for all of them. So whoever lacks a connection while one is being opened waits for
//! that, and then for one that somebody has no more use for, for as long as opening one of his own would take.
//!
//! How long that is was seen with the first. To a server that is far away it is the way there and back, and who waits longer than
//! that for others' requests, each of which goes the same way, is answered later than by a connection of his own. To one that is near it
//! is the work on both sides, of which there is the more the more are opened at once; so it is [`LEAST_WAIT`] at least.
//!
//! When the time is over, it depends on whether the others' requests come back: as many as have been handed a connection in that time will be
//! in the next, so so many wait for as long once more, and the rest open their own, all at the same time. Where none has come back,
//! since they are polls that take their time, everybody does. So nobody waits longer than for the first connection, twice that time,
//! and his own.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::connect::Origin;
use super::failure::HttpFailure;
use crate::runtime;
use crate::runtime::lock::lock;

/// About what thirty handshakes take on a core or two, however quick the first was.
const LEAST_WAIT: Duration = Duration::from_millis(10);

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
    waiters: VecDeque<Waiter<C>>,
    next_number: u64,
    /// How many were handed a connection since that was opened.
    served: usize,
}

/// One who waits for a connection.
struct Waiter<C> {
    number: u64,
    sender: oneshot::Sender<C>,
}

/// A waiter as he sees himself.
struct Turn<C> {
    number: u64,
    connection: oneshot::Receiver<C>,
}

/// How far the one who opens a connection has come. If he gives up, that is seen by his sender's end.
#[derive(Clone, Debug)]
enum Progress {
    UnderWay,
    Open(Opened),
    Failed(HttpFailure),
}

/// Since when it is open, and how long the others wait for one that is free.
#[derive(Clone, Copy, Debug)]
struct Opened {
    since: Instant,
    wait: Duration,
}

/// What one who lacks a connection is to do.
enum Part<C> {
    Open(watch::Sender<Progress>),
    Wait(watch::Receiver<Progress>, Turn<C>),
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
            let (progress, turn) = match self.join(origin) {
                Part::Open(progress) => {
                    let opened = open.await;
                    progress.send_replace(match &opened {
                        Ok((_, took)) => {
                            Progress::Open(Opened { since: runtime::now(), wait: (*took).max(LEAST_WAIT) })
                        }
                        Err(failed) => Progress::Failed(failed.clone()),
                    });
                    return opened.map(|(connection, _)| Obtained::Opened(connection));
                }
                Part::Wait(progress, turn) => (progress, turn),
            };
            // From here on whatever comes free is ours in our turn; this may have come free just before.
            if let Some(free) = free.take()
                && let Some(connection) = free.await
            {
                return Ok(Obtained::Used(connection));
            }
            match self.wait(origin, progress, turn).await? {
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
            match waiter.sender.send(connection) {
                Ok(()) => {
                    dial.served += 1;
                    return None;
                }
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
                let (sender, connection) = oneshot::channel();
                let number = dial.next_number;
                dial.next_number += 1;
                dial.waiters.push_back(Waiter { number, sender });
                return Part::Wait(dial.progress.clone(), Turn { number, connection });
            }
            let (sender, progress) = watch::channel(Progress::UnderWay);
            (dial.progress, dial.served) = (progress, 0);
            dial.waiters.retain(|waiter| !waiter.sender.is_closed());
            return Part::Open(sender);
        }
        let (sender, progress) = watch::channel(Progress::UnderWay);
        let origin = origin.clone();
        dials.push(Dial { origin, progress, waiters: VecDeque::new(), next_number: 0, served: 0 });
        Part::Open(sender)
    }

    /// Waits for a connection that is given away. The failure to open one is that of all who wait for it: each would meet it, and
    /// only then.
    async fn wait(
        &self,
        origin: &Origin,
        mut progress: watch::Receiver<Progress>,
        turn: Turn<C>,
    ) -> Result<DialOutcome<C>, HttpFailure> {
        let Turn { number, mut connection } = turn;
        let decided = async {
            let seen = progress.wait_for(|progress| !matches!(progress, Progress::UnderWay)).await;
            seen.ok().map(|progress| progress.clone())
        };
        let progress = tokio::select! {
            biased;
            Ok(connection) = &mut connection => return Ok(DialOutcome::Connection(connection)),
            progress = decided => progress,
        };
        let opened = match progress {
            None | Some(Progress::UnderWay) => return Ok(DialOutcome::Abandoned),
            Some(Progress::Failed(failed)) => return Err(failed),
            Some(Progress::Open(opened)) => opened,
        };
        for round in 1..=2 {
            if round > 1 && !self.is_soon(origin, number) {
                break;
            }
            tokio::select! {
                biased;
                Ok(connection) = &mut connection => return Ok(DialOutcome::Connection(connection)),
                () = runtime::sleep_until(opened.since + opened.wait * round) => {}
            }
        }
        // One that was given away at this very moment is not lost.
        connection.close();
        Ok(connection.try_recv().map_or(DialOutcome::TooLong, DialOutcome::Connection))
    }

    /// Whether this waiter's turn would come in as much time again, if it goes on as before.
    fn is_soon(&self, origin: &Origin, number: u64) -> bool {
        let dials = self.lock();
        dials.iter().find(|dial| dial.origin == *origin).is_some_and(|dial| {
            let before = dial.waiters.iter().filter(|waiter| waiter.number < number && !waiter.sender.is_closed());
            before.count() < dial.served
        })
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
            Progress::Open(opened) => runtime::now() < opened.since + opened.wait,
            Progress::Failed(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
