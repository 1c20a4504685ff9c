//! Those who wait for messages: threads, each in a place of its own, and event loops, which speak for many.

use std::collections::VecDeque;
use std::time::Duration;

use crate::runtime::responder::Responder;

#[derive(Debug, Default)]
pub(super) struct Takers {
    /// Threads that wait, the longest first.
    parked: VecDeque<(u64, Responder<()>)>,
    next_place: u64,
    /// The one that was woken and has not looked yet. It wakes the next if it leaves something.
    woken: Option<u64>,
    /// Event loops that want to be told, and how many takers each has.
    loops: Vec<(usize, Responder<()>)>,
    /// Since when one waits in vain.
    pub since: Option<Duration>,
    /// When the rate allows the next message.
    pub next_free: Duration,
}

impl Takers {
    pub(super) fn park(&mut self, responder: Responder<()>) -> u64 {
        let place = self.next_place;
        self.next_place += 1;
        self.parked.push_back((place, responder));
        place
    }

    /// One who waited waits no longer, whatever for.
    pub(super) fn unpark(&mut self, place: u64) {
        if self.woken == Some(place) {
            self.woken = None;
        } else if let Some(position) = self.parked.iter().position(|(other, _)| *other == place) {
            self.parked.remove(position);
        }
    }

    pub(super) fn tell(&mut self, takers: usize, responder: Responder<()>) {
        self.loops.push((takers, responder));
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.parked.len()
            + usize::from(self.woken.is_some())
            + self.loops.iter().map(|(takers, _)| takers).sum::<usize>()
    }

    /// There is something: one thread is to be woken, and whoever wants to be told. They are to be answered outside the lock.
    pub(super) fn wake(&mut self) -> Vec<Responder<()>> {
        let mut woken: Vec<_> = self.loops.drain(..).map(|(_, responder)| responder).collect();
        if self.woken.is_none()
            && let Some((place, responder)) = self.parked.pop_front()
        {
            self.woken = Some(place);
            woken.push(responder);
        }
        woken
    }

    /// There will be nothing any more.
    pub(super) fn wake_all(&mut self) -> Vec<Responder<()>> {
        self.woken = None;
        let loops = self.loops.drain(..).map(|(_, responder)| responder);
        loops.chain(self.parked.drain(..).map(|(_, responder)| responder)).collect()
    }
}
