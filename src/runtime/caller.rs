//! Calls that are alone: the thread that waits for one drives it itself.
//!
//! To hand a call to the reactor and to be woken with its answer costs two changes of threads, more than all else that is ours in
//! a request. So the caller's thread polls the future that the reactor would poll, for as long as that waits for the socket of
//! an open connection and for nothing else. Whatever else it comes to wait for (a name, a new connection, credentials, the delay
//! before another attempt): the reactor takes the future over as it is, and the caller waits for its answer as all others do.

use std::cell::{Cell, RefCell};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::wake::{self, Descriptor};
use super::{Reactor, ReactorThread};

/// What a future says that its caller's thread has polled: for which socket it waits, and until when.
#[derive(Clone, Copy, Debug, Default)]
struct SocketWait {
    socket: Option<(Descriptor, Interest)>,
    /// Whether the socket is all that it waits for.
    is_only: bool,
    until: Option<Instant>,
    /// Whether the socket may have become ready since it was last found not to be.
    is_ready: bool,
    /// Until when its thread has time; `None`: not long enough to wait in a read.
    give_up: Option<Instant>,
    /// Whether what is polled now waits for nothing but what it reads.
    may_wait: bool,
    /// A signal has ended a read.
    is_interrupted: bool,
}

impl SocketWait {
    /// Whether a read may wait. Its thread's time is looked at each time: what comes in small pieces may take longer than there is.
    fn may_wait_now(self) -> bool {
        let Some(give_up) = self.give_up.filter(|_| self.may_wait) else { return false };
        let now = Instant::now();
        now < give_up && self.until.is_none_or(|until| until >= now + LONGEST_WAIT)
    }
}

/// What a socket is waited for to become.
#[derive(Clone, Copy, Debug, Default)]
struct Interest {
    readable: bool,
    writable: bool,
}

/// What has come of waiting for a socket.
enum Waited {
    Ready,
    Late,
    /// By a signal, as a rule.
    Interrupted,
}

/// How far a thread has come with its call.
#[derive(Debug)]
pub(crate) enum Driven {
    Done,
    /// It waits for its socket still: there was a signal, or the time was over.
    Waiting(CallerDriven),
    /// It waits for something that is the reactor's to see to.
    Beyond(CallerDriven),
}

/// Whether what this thread polls has asked to be polled again. From another thread nothing is waited for but the socket, so there
/// is nobody to be woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

thread_local! {
    /// `Some` while this thread polls a call of its own.
    static WAIT: Cell<Option<SocketWait>> = const { Cell::new(None) };
    static WOKEN: (Arc<Woken>, Waker) = {
        let woken = Arc::<Woken>::default();
        (Arc::clone(&woken), Waker::from(woken))
    };
    /// Held while this thread polls, but for the time of a read that waits.
    static POLLS: Cell<Option<RwLockReadGuard<'static, ()>>> = const { Cell::new(None) };
    /// Held by the thread that forks.
    static HELD_FOR_FORK: RefCell<Option<RwLockWriteGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// Read by each thread while it polls, which it does without the interpreter; written by one that forks. So a child finds no
/// lock held and nothing half done.
///
/// A read that waits lets go of it in the middle of a poll, and so a fork may come then. That is right as long as whoever polls an exchange
/// holds no lock meanwhile: none is kept across an `await`, since these futures are `Send`, and none of ours polls another under one.
static POLLING: RwLock<()> = RwLock::new(());

/// How long a read waits at most, each time: sockets that block are set so. It is how long a signal for another thread may go unheard, too.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_millis(50);

static IS_ON: AtomicBool = AtomicBool::new(true);

/// Whether callers may drive their calls at all. Elsewhere than on Unix, and where tests ask for what is done there, they do not.
pub(crate) fn may_drive() -> bool {
    static IS_POSSIBLE: LazyLock<bool> = LazyLock::new(|| cfg!(unix) && !wake::is_portable());
    IS_ON.load(Ordering::Relaxed) && *IS_POSSIBLE
}

/// For tests, which ask the same of both ways.
pub(crate) fn set_driving(is_on: bool) {
    IS_ON.store(is_on, Ordering::Relaxed);
}

/// Before a fork, by the thread that makes it: from now on no thread is in the middle of anything, and none makes another fork.
pub(crate) fn hold() {
    keep(POLLING.write().unwrap_or_else(PoisonError::into_inner));
}

/// The same, if there is nothing to wait for; whether it is held.
pub(crate) fn try_hold() -> bool {
    let held = match POLLING.try_write() {
        Ok(held) => held,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return false,
    };
    keep(held);
    true
}

fn keep(held: RwLockWriteGuard<'static, ()>) {
    HELD_FOR_FORK.with(|place| *place.borrow_mut() = Some(held));
}

/// After the fork, by the same thread, in both processes.
pub(crate) fn release() {
    HELD_FOR_FORK.with(|place| drop(place.borrow_mut().take()));
}

/// A thread that polls, for as long as it does.
struct Polling;

impl Polling {
    fn begin() -> Polling {
        Polling::go_on();
        Polling
    }

    fn go_on() {
        POLLS.set(Some(POLLING.read().unwrap_or_else(PoisonError::into_inner)));
    }

    fn let_go() {
        drop(POLLS.take());
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        Polling::let_go();
    }
}

/// Whether what is being polled is polled by its caller's thread.
pub(crate) fn is_driving() -> bool {
    WAIT.get().is_some()
}

fn change(change: impl FnOnce(&mut SocketWait)) {
    if let Some(mut wait) = WAIT.get() {
        change(&mut wait);
        WAIT.set(Some(wait));
    }
}

/// This socket is to be readable before the future is polled again.
pub(crate) fn wait_readable(socket: Descriptor) {
    wait_for(socket, |interest| interest.readable = true);
}

/// This socket is to be writable before the future is polled again.
pub(crate) fn wait_writable(socket: Descriptor) {
    wait_for(socket, |interest| interest.writable = true);
}

fn wait_for(socket: Descriptor, want: impl FnOnce(&mut Interest)) {
    change(|wait| {
        let mut interest =
            wait.socket.filter(|(other, _)| *other == socket).map_or_else(Interest::default, |(_, of)| of);
        want(&mut interest);
        wait.socket = Some((socket, interest));
    });
}

/// The sockets of which there was talk so far are not waited for.
pub(crate) fn forget_sockets() {
    change(|wait| (wait.socket, wait.is_only) = (None, false));
}

/// The future waits for its socket and for nothing else; `is_only` is looked at when it is not ready.
pub(crate) fn wait_for_socket_only() {
    change(|wait| wait.is_only = true);
}

/// Poll what has nothing to wait for but the bytes that it reads: the first read that finds none may wait itself, which takes fewer system
/// calls. One and no other: TLS that has a record looks for the next one before it hands it on.
pub(crate) fn poll_read<T>(poll: impl FnOnce() -> T) -> T {
    change(|wait| wait.may_wait = wait.give_up.is_some());
    let polled = poll();
    change(|wait| wait.may_wait = false);
    polled
}

/// Wait in a read of a socket that blocks for [`LONGEST_WAIT`] at most; `None`: it must not be waited now, or nothing has come.
///
/// # Errors
///
/// What comes of the read, but for a time that is over and a signal, which ends [`CallerDriven::drive`].
pub(crate) fn wait<T>(read: impl FnOnce() -> io::Result<T>) -> io::Result<Option<T>> {
    if !WAIT.get().is_some_and(SocketWait::may_wait_now) {
        return Ok(None);
    }
    change(|wait| wait.may_wait = false);
    Polling::let_go();
    let read = read();
    Polling::go_on();
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            change(|wait| wait.is_interrupted = true);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The future is to be polled at this moment at the latest. Whether a thread is driving it, and so sees to that.
pub(crate) fn wait_until(deadline: Instant) -> bool {
    change(|wait| wait.until = Some(wait.until.map_or(deadline, |until| until.min(deadline))));
    is_driving()
}

/// Whether the socket may have become ready since the last one asked this.
pub(crate) fn take_ready() -> bool {
    let is_ready = WAIT.get().is_some_and(|wait| wait.is_ready);
    if is_ready {
        change(|wait| wait.is_ready = false);
    }
    is_ready
}

/// A call that its caller's thread drives, or has driven.
pub(crate) struct CallerDriven(Pin<Box<dyn Future<Output = ()> + Send>>);

impl std::fmt::Debug for CallerDriven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CallerDriven")
    }
}

impl Future for CallerDriven {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

impl CallerDriven {
    pub(crate) fn new(future: impl Future<Output = ()> + Send + 'static) -> CallerDriven {
        CallerDriven(Box::pin(future))
    }

    /// Drive it in this thread, until a signal comes or for as long as `limit` at most.
    pub(crate) fn drive(self, reactor: &Reactor, limit: Duration) -> Driven {
        let Reactor::Outside(thread) = reactor else { return Driven::Beyond(self) };
        WOKEN.with(|(woken, waker)| self.drive_woken(thread, limit, woken, waker))
    }

    fn drive_woken(mut self, thread: &ReactorThread, limit: Duration, woken: &Woken, waker: &Waker) -> Driven {
        let give_up = Instant::now() + limit;
        let start = SocketWait { give_up: (limit >= LONGEST_WAIT).then_some(give_up), ..SocketWait::default() };
        let mut is_ready = false;
        loop {
            woken.0.store(false, Ordering::Relaxed);
            let wait = {
                let _polling = Polling::begin();
                let _entered = thread.enter();
                WAIT.set(Some(SocketWait { is_ready, ..start }));
                let polled = self.poll_once(waker);
                let wait = WAIT.take().unwrap_or_default();
                if polled.is_ready() {
                    drop(self);
                    return Driven::Done;
                }
                wait
            };
            is_ready = false;
            if wait.is_interrupted {
                return Driven::Waiting(self);
            }
            if woken.0.load(Ordering::Relaxed) {
                continue;
            }
            let Some((socket, interest)) = wait.socket.filter(|_| wait.is_only) else { return Driven::Beyond(self) };
            match wait_at(socket, interest, wait.until.map_or(give_up, |until| until.min(give_up))) {
                Waited::Ready => is_ready = true,
                Waited::Late if Instant::now() < give_up => {}
                Waited::Late | Waited::Interrupted => return Driven::Waiting(self),
            }
        }
    }

    /// What panics is over, and tells its caller by being dropped.
    fn poll_once(&mut self, waker: &Waker) -> Poll<()> {
        let polled = catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(&mut Context::from_waker(waker))));
        polled.unwrap_or(Poll::Ready(()))
    }
}

#[cfg(unix)]
fn wait_at(socket: Descriptor, interest: Interest, until: Instant) -> Waited {
    let mut events = 0;
    if interest.readable {
        events |= libc::POLLIN;
    }
    if interest.writable {
        events |= libc::POLLOUT;
    }
    let left = until.saturating_duration_since(Instant::now());
    // Rounded up: to come back too early would be to go round for nothing.
    let milliseconds = left.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(i32::MAX);
    let mut watched = libc::pollfd { fd: socket, events, revents: 0 };
    // SAFETY: it is given one entry, which it may write to until it returns.
    match unsafe { libc::poll(&raw mut watched, 1, milliseconds) } {
        // An error of the socket's is told by the next one who reads or writes.
        1.. => Waited::Ready,
        0 => Waited::Late,
        _ => Waited::Interrupted,
    }
}

#[cfg(not(unix))]
fn wait_at(_: Descriptor, _: Interest, _: Instant) -> Waited {
    Waited::Late
}

#[cfg(test)]
mod tests;
