//! The completion queue of an event loop: answers for a thread that has other things to do than to wait for them.
//!
//! They collect here, and a descriptor is readable while there are any. However many come before the thread looks, it is
//! woken once; and whoever brings an answer needs no lock but this one. An event loop that watches no descriptors has a
//! thread of its own that waits here in its stead.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use tokio::runtime::Handle;

use super::lock::{lock, wait_while};
use super::wake;

/// Completions that nobody has taken yet, and the descriptor that wakes the one who takes them.
#[derive(Debug)]
pub(crate) struct CompletionQueue<T> {
    completions: Mutex<Completions<T>>,
    /// The end that is written to when the first completion comes; at most one byte is on its way.
    wake_sender: TcpStream,
    /// The wake descriptor: readable while there are completions, read from when they are taken.
    wake_receiver: TcpStream,
    /// For a thread that waits instead of watching the descriptor.
    woken: Condvar,
}

/// What a completion queue holds.
#[derive(Debug)]
struct Completions<T> {
    waiting: Vec<T>,
    /// Whether the wake descriptor has been written to since completions were last taken.
    armed: bool,
    /// Whether there was a wake-up that no waiting thread has taken.
    is_woken: bool,
    /// Nothing is waited for any more.
    closed: bool,
}

impl<T: Send + 'static> CompletionQueue<T> {
    pub(crate) fn new() -> io::Result<Arc<CompletionQueue<T>>> {
        let (wake_sender, wake_receiver) = wake::pair()?;
        let completions = Completions { waiting: Vec::new(), armed: false, is_woken: false, closed: false };
        Ok(Arc::new(CompletionQueue {
            completions: Mutex::new(completions),
            wake_sender,
            wake_receiver,
            woken: Condvar::new(),
        }))
    }

    /// The wake descriptor: readable while there are completions to take. It is closed with the queue.
    pub(crate) fn descriptor(&self) -> wake::Descriptor {
        wake::descriptor(&self.wake_receiver)
    }

    /// Wait for the next wake-up, for ever; false when the queue is closed. There is one for however many completions come
    /// before they are taken.
    pub(crate) fn wait(&self) -> bool {
        let asleep = |completions: &mut Completions<T>| !completions.is_woken && !completions.closed;
        let mut completions = wait_while(&self.woken, self.lock(), asleep);
        completions.is_woken = false;
        !completions.closed
    }

    /// End all waiting. What comes can still be taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.woken.notify_all();
    }

    pub(crate) fn push(self: &Arc<Self>, completion: T) {
        let mut completions = self.lock();
        completions.waiting.push(completion);
        let first = !std::mem::replace(&mut completions.armed, true);
        drop(completions);
        if !first {
            return;
        }
        match Handle::try_current() {
            // On the reactor more answers are about to come: those of the same batch, and of others that came with it.
            Ok(reactor) => {
                let queue = Arc::clone(self);
                reactor.spawn(async move { queue.wake() });
            }
            Err(_) => self.wake(),
        }
    }

    /// Take all that has come.
    pub(crate) fn drain(&self) -> Vec<T> {
        // First the byte, then the completions: what comes in between wakes again.
        let mut bytes = [0; 8];
        loop {
            match (&self.wake_receiver).read(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Nothing to read is what a thread finds that looks without having been woken.
                _ => break,
            }
        }
        let mut completions = self.lock();
        completions.armed = false;
        std::mem::take(&mut completions.waiting)
    }

    fn wake(&self) {
        self.lock().is_woken = true;
        self.woken.notify_all();
        loop {
            match (&self.wake_sender).write(&[1]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // There is room for one byte, and nobody but the queue holds the other end.
                _ => break,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Completions<T>> {
        // Nothing that could panic happens inside.
        lock(&self.completions)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How often the descriptor was written to since completions were last taken.
    fn wakes(queue: &CompletionQueue<u32>) -> usize {
        let mut byte = [0; 1];
        let mut count = 0;
        while (&queue.wake_receiver).read(&mut byte).is_ok_and(|read| read > 0) {
            count += 1;
        }
        // As it was before.
        for _ in 0..count {
            assert_eq!((&queue.wake_sender).write(&byte).unwrap(), 1);
        }
        count
    }

    #[test]
    fn many_completions_wake_once() {
        let queue = CompletionQueue::new().unwrap();
        assert_eq!(wakes(&queue), 0);
        for completion in 0..100 {
            queue.push(completion);
        }
        assert_eq!(wakes(&queue), 1);
        assert_eq!(queue.drain(), (0..100).collect::<Vec<_>>());
        assert_eq!((wakes(&queue), queue.drain()), (0, Vec::new()));
        queue.push(7);
        assert_eq!(wakes(&queue), 1);
        assert_eq!(queue.drain(), [7]);
    }

    #[test]
    fn on_the_reactor_the_wake_up_waits_for_what_else_comes() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let queue = CompletionQueue::new().unwrap();
        runtime.block_on(async {
            queue.push(1);
            queue.push(2);
            assert_eq!(wakes(&queue), 0);
            tokio::task::yield_now().await;
            assert_eq!(wakes(&queue), 1);
        });
        assert_eq!(queue.drain(), [1, 2]);
    }

    #[test]
    fn a_thread_waits_for_the_next_wake_up() {
        let queue = CompletionQueue::new().unwrap();
        queue.push(1);
        queue.push(2);
        assert!(queue.wait());
        assert_eq!(queue.drain(), [1, 2]);
        let waiting = std::thread::spawn({
            let queue = Arc::clone(&queue);
            move || (queue.wait(), queue.drain(), queue.wait())
        });
        queue.push(3);
        while !queue.lock().waiting.is_empty() {
            std::thread::yield_now();
        }
        queue.close();
        assert_eq!(waiting.join().unwrap(), (true, vec![3], false));
        // Nobody waits for what comes now, and it can be had.
        queue.push(4);
        assert!(!queue.wait());
        assert_eq!(queue.drain(), [4]);
    }

    /// No completion is left behind without a wake-up, however pushing and draining interleave.
    #[test]
    fn no_completion_is_forgotten() {
        const EACH: u32 = 20_000;
        let queue = CompletionQueue::new().unwrap();
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let queue = Arc::clone(&queue);
                std::thread::spawn(move || (0..EACH).for_each(|completion| queue.push(writer * EACH + completion)))
            })
            .collect();
        // As an event loop: it blocks until it is woken, and gives up if that does not happen.
        let waiting = queue.wake_receiver.try_clone().unwrap();
        let mut taken = Vec::new();
        while taken.len() < 4 * EACH as usize {
            waiting.set_nonblocking(false).unwrap();
            waiting.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut byte = [0; 1];
            assert_eq!((&waiting).read(&mut byte).unwrap(), 1, "{} completions came, then no wake-up", taken.len());
            waiting.set_nonblocking(true).unwrap();
            taken.extend(queue.drain());
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        taken.sort_unstable();
        assert_eq!(taken, (0..4 * EACH).collect::<Vec<_>>());
    }
}
