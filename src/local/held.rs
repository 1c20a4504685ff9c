//! How much of requests and replies is in memory at once, and who has to go when it is too much.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::oneshot;

use super::lock::lock;

/// A number of bytes that may be held at once. When it is exceeded, what has been arriving for the longest is given up: a
/// request that is sent without delay is hardly ever the oldest, however many dawdle.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    books: Mutex<Books>,
}

/// A budget's books: what is held, by whom.
#[derive(Debug, Default)]
struct Books {
    total: usize,
    last: u64,
    /// What is still arriving, in the order in which it began.
    arriving: BTreeMap<u64, Arriving>,
}

/// A request that is still arriving.
#[derive(Debug)]
struct Arriving {
    bytes: usize,
    evict: oneshot::Sender<()>,
}

/// Bytes of a budget, until they are dropped.
#[derive(Debug)]
pub(super) struct Held {
    budget: Arc<Budget>,
    /// Of what is here in full.
    bytes: usize,
    /// The number of what is arriving.
    arriving: Option<u64>,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Arc<Budget> {
        Arc::new(Budget { limit, books: Mutex::default() })
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // Sums are whole whatever panicked beside them.
        lock(&self.books)
    }

    pub(super) fn is_full(&self) -> bool {
        self.books().total >= self.limit
    }

    /// Opens a place for something that arrives bit by bit. The receiver is told when it has to give up.
    pub(super) fn arriving(self: &Arc<Budget>) -> (Held, oneshot::Receiver<()>) {
        let (evict, evicted) = oneshot::channel();
        let mut books = self.books();
        books.last += 1;
        let number = books.last;
        books.arriving.insert(number, Arriving { bytes: 0, evict });
        (Held { budget: self.clone(), bytes: 0, arriving: Some(number) }, evicted)
    }

    /// Takes room for something that is here in full.
    pub(super) fn hold(self: &Arc<Budget>, bytes: usize) -> Held {
        self.books().total += bytes;
        Held { budget: self.clone(), bytes, arriving: None }
    }
}

impl Held {
    /// More of it has come.
    pub(super) fn add(&mut self, bytes: usize) {
        let mut books = self.budget.books();
        let Some(arriving) = self.arriving.and_then(|number| books.arriving.get_mut(&number)) else { return };
        arriving.bytes += bytes;
        books.total += bytes;
        while books.total > self.budget.limit
            && let Some((_, oldest)) = books.arriving.pop_first()
        {
            books.total -= oldest.bytes;
            // If it is gone already, it is dropping what it has.
            let _ = oldest.evict.send(());
        }
    }

    /// All of it has come: it stays until it is dropped.
    pub(super) fn is_whole(&mut self) {
        if let Some(arriving) = self.arriving.take().and_then(|number| self.budget.books().arriving.remove(&number)) {
            self.bytes = arriving.bytes;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.is_whole();
        self.budget.books().total -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_what_is_still_arriving_is_given_up() {
        let budget = Budget::new(100);
        let (mut first, mut first_evicted) = budget.arriving();
        let (mut second, mut second_evicted) = budget.arriving();
        let (mut third, mut third_evicted) = budget.arriving();
        first.add(40);
        first.is_whole();
        second.add(40);
        third.add(20);
        assert!(second_evicted.try_recv().is_err());
        third.add(1);
        assert!(first_evicted.try_recv().is_err() && third_evicted.try_recv().is_err());
        assert!(second_evicted.try_recv().is_ok());
        assert_eq!(budget.books().total, 61);
        // What comes to it after that counts for nothing, and neither does its end.
        second.add(1_000);
        drop(second);
        assert_eq!(budget.books().total, 61);
        // One for which there is no room even then has to give up itself.
        third.add(100);
        assert!(third_evicted.try_recv().is_ok());
        drop((first, third));
        assert_eq!(budget.books().total, 0);
        assert!(budget.books().arriving.is_empty());
    }

    #[test]
    fn what_is_held_counts_until_it_is_dropped() {
        let budget = Budget::new(100);
        let held = budget.hold(100);
        assert!(budget.is_full());
        drop(held);
        assert!(!budget.is_full());
    }
}
