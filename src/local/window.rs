//! Things remembered by name for five minutes: SQS's deduplication interval.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::message::Millis;

pub(super) const INTERVAL: Millis = 5 * 60 * 1_000;

/// Values by name, each for a while: they live for [`INTERVAL`] from when they were made, so they run out in the order in which
/// they came and each operation costs amortized constant time.
#[derive(Debug)]
pub(super) struct TimeWindow<T> {
    entries: HashMap<Arc<str>, (Millis, T)>,
    order: VecDeque<(Millis, Arc<str>)>,
}

impl<T> Default for TimeWindow<T> {
    fn default() -> Self {
        TimeWindow { entries: HashMap::new(), order: VecDeque::new() }
    }
}

impl<T> TimeWindow<T> {
    pub(super) fn get(&mut self, name: &str, now: Millis) -> Option<&mut T> {
        self.forget(now);
        self.entries.get_mut(name).map(|(_, entry)| entry)
    }

    pub(super) fn insert(&mut self, name: &str, entry: T, now: Millis) {
        self.forget(now);
        let name: Arc<str> = name.into();
        self.order.push_back((now + INTERVAL, name.clone()));
        self.entries.insert(name, (now + INTERVAL, entry));
    }

    pub(super) fn clear(&mut self) {
        self.entries = HashMap::new();
        self.order = VecDeque::new();
    }

    fn forget(&mut self, now: Millis) {
        while let Some((until, _)) = self.order.front()
            && *until <= now
        {
            if let Some((until, name)) = self.order.pop_front()
                // The name may have been taken anew since.
                && self.entries.get(&name).is_some_and(|(newest, _)| *newest == until)
            {
                self.entries.remove(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_lives_its_interval_and_a_new_one_its_own() {
        let mut window = TimeWindow::default();
        window.insert("a", 1, 0);
        assert_eq!(window.get("a", INTERVAL - 1), Some(&mut 1));
        assert_eq!(window.get("a", INTERVAL), None);
        window.insert("a", 2, INTERVAL);
        window.insert("a", 3, INTERVAL + 10);
        assert_eq!(window.get("a", 2 * INTERVAL), Some(&mut 3));
        assert_eq!(window.get("a", 2 * INTERVAL + 10), None);
        assert!(window.order.is_empty() && window.entries.is_empty());
    }
}
