//! Answers for a thread that has other things to do than to wait for them: an event loop's.
//!
//! They collect here, and a descriptor is readable while there are any. However many come before the thread looks, it is
//! woken once; and whoever brings an answer needs no lock but this one.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;

#[derive(Debug)]
pub struct Mailbox<T> {
    letters: Mutex<Letters<T>>,
    /// Written to when the first letter comes, and read from when they are taken: at most one byte is on its way.
    button: UnixStream,
    bell: UnixStream,
}

#[derive(Debug)]
struct Letters<T> {
    waiting: Vec<T>,
    rung: bool,
}

impl<T: Send + 'static> Mailbox<T> {
    pub fn new() -> io::Result<Arc<Mailbox<T>>> {
        let (button, bell) = UnixStream::pair()?;
        button.set_nonblocking(true)?;
        bell.set_nonblocking(true)?;
        Ok(Arc::new(Mailbox { letters: Mutex::new(Letters { waiting: Vec::new(), rung: false }), button, bell }))
    }

    /// Readable while there are letters to take. It is closed with the mailbox.
    pub fn descriptor(&self) -> RawFd {
        self.bell.as_raw_fd()
    }

    pub fn put(self: &Arc<Self>, letter: T) {
        let mut letters = self.lock();
        letters.waiting.push(letter);
        let first = !std::mem::replace(&mut letters.rung, true);
        drop(letters);
        if !first {
            return;
        }
        match Handle::try_current() {
            // On the reactor more answers are about to come: those of the same batch, and of others that came with it.
            Ok(reactor) => {
                let mailbox = Arc::clone(self);
                reactor.spawn(async move { mailbox.ring() });
            }
            Err(_) => self.ring(),
        }
    }

    /// All that has come.
    pub fn take(&self) -> Vec<T> {
        // First the byte, then the letters: what comes in between rings again.
        let mut bytes = [0; 8];
        loop {
            match (&self.bell).read(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Nothing to read is what a thread finds that looks without having been woken.
                _ => break,
            }
        }
        let mut letters = self.lock();
        letters.rung = false;
        std::mem::take(&mut letters.waiting)
    }

    fn ring(&self) {
        loop {
            match (&self.button).write(&[1]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // There is room for one byte, and nobody but the mailbox holds the other end.
                _ => break,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Letters<T>> {
        // Nothing that could panic happens inside.
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How often the bell was rung since letters were last taken.
    fn rings(mailbox: &Mailbox<u32>) -> usize {
        let mut byte = [0; 1];
        let mut count = 0;
        while (&mailbox.bell).read(&mut byte).is_ok_and(|read| read > 0) {
            count += 1;
        }
        // As it was before.
        for _ in 0..count {
            assert_eq!((&mailbox.button).write(&byte).unwrap(), 1);
        }
        count
    }

    #[test]
    fn many_letters_ring_once() {
        let mailbox = Mailbox::new().unwrap();
        assert_eq!(rings(&mailbox), 0);
        for letter in 0..100 {
            mailbox.put(letter);
        }
        assert_eq!(rings(&mailbox), 1);
        assert_eq!(mailbox.take(), (0..100).collect::<Vec<_>>());
        assert_eq!((rings(&mailbox), mailbox.take()), (0, Vec::new()));
        mailbox.put(7);
        assert_eq!(rings(&mailbox), 1);
        assert_eq!(mailbox.take(), [7]);
    }

    #[test]
    fn on_the_reactor_the_bell_waits_for_what_else_comes() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mailbox = Mailbox::new().unwrap();
        runtime.block_on(async {
            mailbox.put(1);
            mailbox.put(2);
            assert_eq!(rings(&mailbox), 0);
            tokio::task::yield_now().await;
            assert_eq!(rings(&mailbox), 1);
        });
        assert_eq!(mailbox.take(), [1, 2]);
    }

    /// No letter is left behind without a ring, however putting and taking interleave.
    #[test]
    fn no_letter_is_forgotten() {
        const EACH: u32 = 20_000;
        let mailbox = Mailbox::new().unwrap();
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let mailbox = Arc::clone(&mailbox);
                std::thread::spawn(move || (0..EACH).for_each(|letter| mailbox.put(writer * EACH + letter)))
            })
            .collect();
        // As an event loop: it blocks until it is rung for, and gives up if that does not happen.
        let waiting = mailbox.bell.try_clone().unwrap();
        let mut taken = Vec::new();
        while taken.len() < 4 * EACH as usize {
            waiting.set_nonblocking(false).unwrap();
            waiting.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut byte = [0; 1];
            assert_eq!((&waiting).read(&mut byte).unwrap(), 1, "{} letters came, then no ring", taken.len());
            waiting.set_nonblocking(true).unwrap();
            taken.extend(mailbox.take());
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        taken.sort_unstable();
        assert_eq!(taken, (0..4 * EACH).collect::<Vec<_>>());
    }
}
