//! Messages that somebody else has received and handles, kept invisible for as long as that takes: the leases of [`super::leases`]
//! without polls.
//!
//! All keepers of one client, queue and visibility timeout stand on one [`KeeperCore`], so that what they keep shares requests. It
//! runs on the reactor alone: no thread of Python's has to be free. A task looks after it only while something is kept.

use std::sync::{Arc, Mutex};
use std::time::Duration;

mod cores;
mod state;

use state::{KeeperState, Known};

pub(super) use self::cores::KeeperCore;
pub(crate) use self::cores::KeeperCores;
use crate::protocol::error::Error;
use crate::runtime::ProcessBound;
use crate::runtime::lock::lock;
use crate::runtime::responder::Responder;

/// One who keeps messages of a queue invisible for those who handle them. Dropping it closes it; it belongs to the process
/// that made it.
#[derive(Debug)]
pub(crate) struct Keeper {
    number: u64,
    /// What was lost and had not been told when it was closed.
    untold: Mutex<Vec<LostLease>>,
    core: ProcessBound<Arc<KeeperCore>>,
}

/// What a keeper has done so far, and how much it keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeeperCounts {
    pub held: usize,
    pub extended: u64,
    pub lost: u64,
}

/// A message that was lost: its receipt handle, and why.
#[derive(Debug)]
pub(crate) struct LostLease {
    pub handle: Arc<str>,
    pub error: Error,
}

impl Keeper {
    pub(super) fn on(core: Arc<KeeperCore>, listens: bool) -> Keeper {
        let mut state = core.lock();
        let number = state.next_keeper;
        state.next_keeper += 1;
        state.keepers.insert(number, KeeperState { listens, ..KeeperState::default() });
        drop(state);
        Keeper { number, untold: Mutex::default(), core: ProcessBound::of(core) }
    }

    /// Keep a message invisible from now on. `age`: how long ago the request was made that brought it; without it half of its
    /// visibility timeout is taken to be over, so that it is extended at once. What is kept already is passed over.
    pub(crate) fn add(&self, handle: &str, age: Option<Duration>) -> Result<(), Error> {
        let core = self.own()?;
        let now = core.now();
        let mut state = core.lock();
        let Some(keeper) = state.keepers.get_mut(&self.number) else {
            return Err(Error::Runtime("this keeper is closed".into()));
        };
        let handle: Arc<str> = handle.into();
        if !keeper.handles.insert(Arc::clone(&handle)) {
            return Ok(());
        }
        let received = age.map(|age| now.saturating_sub(age));
        let known = if state.is_known {
            Known::Lease(state.hold(now, self.number, &handle, received))
        } else {
            Known::Early(received)
        };
        state.kept.entry(handle).or_default().push((self.number, known));
        if !state.is_known {
            core.ask_queue(&mut state)?;
        }
        core.follow(state, Vec::new())
    }

    /// Keep a message no longer: its handler has come to its end with it. Whether it is still ours.
    pub(crate) fn remove(&self, handle: &str) -> Result<bool, Error> {
        let core = self.own()?;
        let now = core.now();
        let mut state = core.lock();
        if let Some(keeper) = state.keepers.get_mut(&self.number) {
            keeper.handles.remove(handle);
        }
        let kept = state.forget(now, self.number, handle);
        core.follow(state, Vec::new())?;
        Ok(kept)
    }

    /// Whether a message that was to be kept is not ours any more.
    pub(crate) fn is_lost(&self, handle: &str) -> Result<bool, Error> {
        let core = self.own()?;
        let mut state = core.lock();
        // What has run out just now, the timer may not have looked at.
        let commands = state.leases.tick(core.now());
        let known = state.kept.get(handle).and_then(|all| all.iter().find(|(keeper, _)| *keeper == self.number));
        let lost = matches!(known, Some((_, Known::Lease(id))) if state.leases.is_lost(*id));
        core.follow(state, commands)?;
        Ok(lost)
    }

    /// Keep nothing any more. What was kept comes back when its time is over.
    pub(crate) fn close(&self) -> Result<(), Error> {
        let core = self.own()?;
        let now = core.now();
        let mut state = core.lock();
        let Some(mut keeper) = state.keepers.remove(&self.number) else { return Ok(()) };
        for handle in &keeper.handles {
            state.forget(now, self.number, handle);
        }
        if state.keepers.is_empty() && state.sleeps_until.is_some() {
            state.sleeps_until = Some(Duration::ZERO);
            core.alarm.notify_one();
        }
        let followed = core.follow(state, Vec::new());
        lock(&self.untold).append(&mut keeper.lost);
        keeper.waiting.take_all().into_iter().for_each(|responder| responder.respond(Ok(())));
        followed
    }

    pub(crate) fn is_closed(&self) -> Result<bool, Error> {
        Ok(!self.own()?.lock().keepers.contains_key(&self.number))
    }

    pub(crate) fn counts(&self) -> Result<KeeperCounts, Error> {
        let core = self.own()?;
        let state = core.lock();
        let counts = |keeper: &KeeperState| KeeperCounts {
            held: keeper.handles.len(),
            extended: keeper.extended,
            lost: keeper.losses,
        };
        Ok(state.keepers.get(&self.number).map(counts).unwrap_or_default())
    }

    /// What was lost and has not been told.
    pub(crate) fn take_lost(&self) -> Result<Vec<LostLease>, Error> {
        let core = self.own()?;
        let mut lost = std::mem::take(&mut *lock(&self.untold));
        if let Some(keeper) = core.lock().keepers.get_mut(&self.number) {
            lost.append(&mut keeper.lost);
        }
        Ok(lost)
    }

    /// Answer the caller when something has been lost, or when the keeper is closed. `None`: that is so, and it has been answered.
    pub(crate) fn tell_lost(&self, responder: Responder<()>) -> Result<Option<u64>, Error> {
        let core = self.own()?;
        let mut state = core.lock();
        match state.keepers.get_mut(&self.number).filter(|keeper| keeper.lost.is_empty()) {
            Some(keeper) => Ok(Some(keeper.waiting.push((), responder))),
            None => {
                drop(state);
                responder.respond(Ok(()));
                Ok(None)
            }
        }
    }

    /// Nobody waits for this any more.
    pub(crate) fn withdraw(&self, number: u64) -> Result<(), Error> {
        let core = self.own()?;
        let mut state = core.lock();
        let withdrawn = state.keepers.get_mut(&self.number).and_then(|keeper| keeper.waiting.withdraw(number));
        drop(state);
        // Outside of the lock: it answers.
        drop(withdrawn);
        Ok(())
    }

    /// A forked child finds nothing of its parent's here.
    fn own(&self) -> Result<Arc<KeeperCore>, Error> {
        let forked = || "this keeper belongs to the process that made it, not to a child forked from it".into();
        self.core.get().ok_or_else(|| Error::Runtime(forked()))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // What is the parent's is left to it.
        let _ = self.close();
    }
}
