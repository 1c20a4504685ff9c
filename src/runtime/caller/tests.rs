use std::future::{pending, poll_fn, ready};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, mpsc};
use std::thread;

use super::*;
use crate::runtime::{self, wake};

/// More than a test takes.
const LONG: Duration = Duration::from_secs(60);

/// Until a byte comes; `polls` counts how often that was asked.
fn byte(receiver: TcpStream, polls: Arc<AtomicUsize>) -> CallerDriven {
    CallerDriven::new(poll_fn(move |_| {
        polls.fetch_add(1, Ordering::SeqCst);
        if receiver.peek(&mut [0]).is_ok() {
            return Poll::Ready(());
        }
        wait_readable(wake::descriptor(&receiver));
        wait_for_socket_only();
        Poll::Pending
    }))
}

/// The same, of a socket that blocks: a read waits for the byte. Until `deadline`, if there is one.
fn awaited_byte(receiver: TcpStream, deadline: Option<Instant>, polls: Arc<AtomicUsize>) -> CallerDriven {
    receiver.set_nonblocking(false).unwrap();
    receiver.set_read_timeout(Some(LONGEST_WAIT)).unwrap();
    CallerDriven::new(poll_fn(move |_| {
        polls.fetch_add(1, Ordering::SeqCst);
        if deadline.is_some_and(|deadline| wait_until(deadline) && Instant::now() >= deadline) {
            return Poll::Ready(());
        }
        if let Some(count) = poll_read(|| wait(|| (&receiver).read(&mut [0]))).unwrap() {
            assert_eq!(count, 1);
            return Poll::Ready(());
        }
        wait_readable(wake::descriptor(&receiver));
        wait_for_socket_only();
        Poll::Pending
    }))
}

fn drive(driven: CallerDriven, limit: Duration) -> Driven {
    driven.drive(&runtime::handle().unwrap(), limit)
}

fn is_done(driven: CallerDriven) -> bool {
    matches!(drive(driven, LONG), Driven::Done)
}

fn is_beyond(driven: CallerDriven) -> bool {
    matches!(drive(driven, LONG), Driven::Beyond(_))
}

#[test]
fn a_socket_is_waited_for() {
    let (mut sender, receiver) = wake::pair().unwrap();
    let polls = Arc::<AtomicUsize>::default();
    let driven = byte(receiver, Arc::clone(&polls));
    let thread = thread::spawn(move || is_done(driven));
    while polls.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    assert_eq!(sender.write(&[1]).unwrap(), 1);
    assert!(thread.join().unwrap());
    assert_eq!(polls.load(Ordering::SeqCst), 2);
}

#[test]
fn a_read_waits_by_itself() {
    let (mut sender, receiver) = wake::pair().unwrap();
    let polls = Arc::<AtomicUsize>::default();
    let mut has_waited = false;
    // Unless it was too late for that: the machine may have done something else for so long.
    for _ in 0..100 {
        let driven = awaited_byte(receiver.try_clone().unwrap(), None, Arc::clone(&polls));
        polls.store(0, Ordering::SeqCst);
        let thread = thread::spawn(move || is_done(driven));
        while polls.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        assert_eq!(sender.write(&[1]).unwrap(), 1);
        assert!(thread.join().unwrap());
        has_waited |= polls.load(Ordering::SeqCst) == 1;
    }
    assert!(has_waited);
}

/// Who has read something may look for more before he hands it on, as TLS does: that is not to be waited for.
#[test]
fn no_read_waits_after_one_that_has_brought_something() {
    let (_sender, receiver) = wake::pair().unwrap();
    let mut brought = None;
    let work = CallerDriven::new(poll_fn(move |_| {
        if brought.is_none() {
            brought = poll_read(|| {
                let first = wait(|| Ok(1)).unwrap();
                assert_eq!(wait(|| Ok(2)).unwrap(), None);
                first
            });
            // Unless the machine did something else for as long as a read may wait.
            wait_readable(wake::descriptor(&receiver));
            wait_for_socket_only();
        }
        if brought.is_none() { Poll::Pending } else { Poll::Ready(()) }
    }));
    let mut driven = drive(work, LONGEST_WAIT);
    while let Driven::Waiting(work) = driven {
        driven = drive(work, LONGEST_WAIT);
    }
    assert!(matches!(driven, Driven::Done));
}

/// Signals are heard in between, and deadlines kept.
#[test]
fn what_comes_in_pieces_is_not_waited_for_without_end() {
    let (_sender, receiver) = wake::pair().unwrap();
    let pieces = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&pieces);
    let work = CallerDriven::new(poll_fn(move |_| {
        let piece = || {
            thread::sleep(LONGEST_WAIT / 5);
            Ok(counted.fetch_add(1, Ordering::SeqCst))
        };
        while poll_read(|| wait(piece)).unwrap().is_some() {}
        wait_readable(wake::descriptor(&receiver));
        wait_for_socket_only();
        Poll::Pending
    }));
    assert!(matches!(drive(work, LONGEST_WAIT), Driven::Waiting(_)));
    let pieces = pieces.load(Ordering::SeqCst);
    assert!(pieces <= 5, "{pieces}");
}

#[test]
fn a_read_that_waited_in_vain_is_gone_on_with() {
    let (mut sender, receiver) = wake::pair().unwrap();
    let polls = Arc::<AtomicUsize>::default();
    let driven = drive(awaited_byte(receiver, None, Arc::clone(&polls)), LONGEST_WAIT);
    let Driven::Waiting(driven) = driven else { panic!("{driven:?}") };
    assert!(polls.load(Ordering::SeqCst) > 0);
    assert_eq!(sender.write(&[1]).unwrap(), 1);
    assert!(is_done(driven));
}

/// It could not be left in time.
#[test]
fn no_read_waits_beyond_a_deadline() {
    let reads = Arc::<AtomicUsize>::default();
    for limit in [LONG, LONGEST_WAIT / 2] {
        let reads = Arc::clone(&reads);
        let (_sender, receiver) = wake::pair().unwrap();
        let deadline = (limit == LONG).then(|| Instant::now() + LONGEST_WAIT / 2);
        let mut is_first = true;
        let work = CallerDriven::new(poll_fn(move |_| {
            if let Some(deadline) = deadline {
                wait_until(deadline);
            }
            let read = poll_read(|| wait(|| Ok(reads.fetch_add(1, Ordering::SeqCst)))).unwrap();
            assert_eq!(read, None);
            if !std::mem::take(&mut is_first) {
                return Poll::Ready(());
            }
            wait_readable(wake::descriptor(&receiver));
            wait_for_socket_only();
            Poll::Pending
        }));
        assert!(!matches!(drive(work, limit), Driven::Beyond(_)));
    }
    // Nor of what waits for more than what it reads, nor where nobody drives.
    assert_eq!(wait(|| Ok(reads.fetch_add(1, Ordering::SeqCst))).unwrap(), None);
    assert_eq!(poll_read(|| wait(|| Ok(reads.fetch_add(1, Ordering::SeqCst)))).unwrap(), None);
    assert_eq!(reads.load(Ordering::SeqCst), 0);
}

#[test]
fn what_waits_for_anything_else_is_handed_over() {
    let (_sender, receiver) = wake::pair().unwrap();
    let socket = wake::descriptor(&receiver);
    assert!(is_done(CallerDriven::new(ready(()))));
    assert!(is_beyond(CallerDriven::new(pending())));
    // It has come by a socket, but that is not what it waits for.
    let passing = poll_fn(move |_| {
        wait_readable(socket);
        Poll::Pending
    });
    assert!(is_beyond(CallerDriven::new(passing)));
    let forgetful = poll_fn(move |_| {
        wait_readable(socket);
        wait_for_socket_only();
        forget_sockets();
        Poll::Pending
    });
    assert!(is_beyond(CallerDriven::new(forgetful)));
}

#[test]
fn what_takes_its_time_can_be_gone_on_with() {
    let (mut sender, receiver) = wake::pair().unwrap();
    let polls = Arc::<AtomicUsize>::default();
    let driven = drive(byte(receiver, Arc::clone(&polls)), Duration::from_millis(1));
    let Driven::Waiting(driven) = driven else { panic!("{driven:?}") };
    assert_eq!(polls.load(Ordering::SeqCst), 1);
    assert_eq!(sender.write(&[1]).unwrap(), 1);
    assert!(is_done(driven));
}

#[test]
fn what_has_a_deadline_is_asked_then() {
    let (_sender, receiver) = wake::pair().unwrap();
    let deadline = Instant::now() + Duration::from_millis(20);
    assert!(is_done(CallerDriven::new(poll_fn(move |_| {
        if Instant::now() >= deadline {
            return Poll::Ready(());
        }
        assert!(wait_until(deadline));
        wait_readable(wake::descriptor(&receiver));
        wait_for_socket_only();
        Poll::Pending
    }))));
}

#[test]
fn what_wakes_itself_is_polled_again() {
    let mut polls = 0;
    assert!(is_done(CallerDriven::new(poll_fn(move |context| {
        polls += 1;
        context.waker().wake_by_ref();
        if polls < 3 { Poll::Pending } else { Poll::Ready(()) }
    }))));
}

#[test]
fn what_panics_is_over() {
    struct Told(mpsc::Sender<()>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (sender, told) = mpsc::channel();
    let responder = Told(sender);
    let work = async move {
        let _responder = responder;
        panic!("as this test wants");
    };
    assert!(is_done(CallerDriven::new(work)));
    told.try_recv().unwrap();
    assert!(!is_driving());
}

#[test]
fn who_polls_is_known_to_what_is_polled() {
    let (send, seen) = mpsc::channel();
    let work = CallerDriven::new(poll_fn(move |_| {
        send.send(is_driving()).unwrap();
        if is_driving() { Poll::Pending } else { Poll::Ready(()) }
    }));
    let reactor = runtime::handle().unwrap();
    let driven = work.drive(&reactor, LONG);
    let Driven::Beyond(begun) = driven else { panic!("{driven:?}") };
    reactor.spawn(begun);
    assert!(seen.recv().unwrap());
    assert!(!seen.recv().unwrap());
    assert!(!is_driving());
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_wait() {
    extern "C" fn ignore(_: libc::c_int) {}
    // SAFETY: the handler does nothing, and no other test wants this signal.
    unsafe { libc::signal(libc::SIGURG, ignore as extern "C" fn(libc::c_int) as libc::sighandler_t) };
    let waits = [byte, |receiver, polls| awaited_byte(receiver, None, polls)];
    for wait in waits {
        let (_sender, receiver) = wake::pair().unwrap();
        let driven = wait(receiver, Arc::default());
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            // SAFETY: it may be asked at any time.
            tell.send(unsafe { libc::pthread_self() }).unwrap();
            matches!(drive(driven, LONG), Driven::Waiting(_))
        });
        let waiting = told.recv().unwrap();
        while !thread.is_finished() {
            // SAFETY: the thread has not been joined.
            unsafe { libc::pthread_kill(waiting, libc::SIGURG) };
            thread::sleep(Duration::from_millis(1));
        }
        assert!(thread.join().unwrap());
    }
}

/// Who forks holds all that polls, and need not wait until there is something to read.
#[test]
fn a_fork_does_not_wait_for_a_read() {
    let (mut sender, receiver) = wake::pair().unwrap();
    let (tell, told) = mpsc::channel();
    let work = CallerDriven::new(poll_fn(move |_| {
        let read = poll_read(|| {
            wait(|| {
                tell.send(()).unwrap();
                receiver.set_nonblocking(false)?;
                (&receiver).read(&mut [0])
            })
        });
        assert_eq!(read.unwrap(), Some(1));
        Poll::Ready(())
    }));
    let thread = thread::spawn(move || is_done(work));
    told.recv().unwrap();
    hold();
    // What it has read it goes on with after the fork.
    assert_eq!(sender.write(&[1]).unwrap(), 1);
    for _ in 0..100 {
        thread::yield_now();
    }
    assert!(!thread.is_finished());
    release();
    assert!(thread.join().unwrap());
}

#[test]
fn nothing_is_polled_while_a_process_forks() {
    let polls = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&polls);
    let work = CallerDriven::new(poll_fn(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(())
    }));
    hold();
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || {
        tell.send(()).unwrap();
        is_done(work)
    });
    told.recv().unwrap();
    for _ in 0..100 {
        thread::yield_now();
    }
    assert_eq!(polls.load(Ordering::SeqCst), 0);
    release();
    assert!(thread.join().unwrap());
    assert_eq!(polls.load(Ordering::SeqCst), 1);
}
