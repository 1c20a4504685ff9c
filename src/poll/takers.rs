//! Those who wait for messages: threads, each in a place of its own, and event loops, which speak for many.

use std::time::Duration;

use crate::runtime::responder::{Responder, WaitList};

/// Those who wait for a message, in the order in which they came, and when the next may have one.
#[derive(Debug, Default)]
pub(super) struct Takers {
    /// Threads that wait.
    parked: WaitList<()>,
    /// The one that was woken and has not looked yet. It wakes the next if it leaves something.
    woken: Option<u64>,
    /// Event loops that want to be told, and how many takers each has.
    loops: WaitList<usize>,
    /// Since when one waits in vain.
    pub since: Option<Duration>,
    /// When the rate allows the next message.
    pub next_free: Duration,
}

impl Takers {
    pub(super) fn park(&mut self, responder: Responder<()>) -> u64 {
        self.parked.push((), responder)
    }

    /// A thread that waited waits no longer, whatever for.
    pub(super) fn unpark(&mut self, place: u64) {
        if self.woken == Some(place) {
            self.woken = None;
        } else {
            // Its thread is not waiting to hear of this.
            drop(self.parked.withdraw(place));
        }
    }

    pub(super) fn tell(&mut self, takers: usize, responder: Responder<()>) -> u64 {
        self.loops.push(takers, responder)
    }

    /// An event loop does not want to be told any more.
    pub(super) fn withdraw(&mut self, number: u64) -> Option<Responder<()>> {
        self.loops.withdraw(number)
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.parked.len() + usize::from(self.woken.is_some()) + self.loops.iter().sum::<usize>()
    }

    /// Whether one waits that has not been woken, nor will be by one that has.
    pub(super) fn sleeps(&self) -> bool {
        self.woken.is_none() && (self.parked.len() > 0 || self.loops.len() > 0)
    }

    /// There is something: one thread is to be woken, and whoever wants to be told. They are to be answered outside the lock.
    pub(super) fn wake(&mut self) -> Vec<Responder<()>> {
        let mut woken = self.loops.take_all();
        if self.woken.is_none()
            && let Some((place, responder)) = self.parked.pop()
        {
            self.woken = Some(place);
            woken.push(responder);
        }
        woken
    }

    /// There will be nothing any more.
    pub(super) fn wake_all(&mut self) -> Vec<Responder<()>> {
        self.woken = None;
        let mut woken = self.loops.take_all();
        woken.append(&mut self.parked.take_all());
        woken
    }
}
