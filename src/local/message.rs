//! A message and where messages are kept.

use std::sync::Arc;

/// Milliseconds since 1970, on whatever clock the owner runs.
pub(super) type Millis = u64;

/// Where a message stands in a [`Store`]. The generation makes the key of a deleted message name nothing for
/// ever, even when its place has been taken again: that is what lets the indexes drop entries lazily.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub index: u32,
    pub generation: u32,
}

/// Whether a message can be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageState {
    /// Not yet for anybody, until then.
    Delayed(Millis),
    Visible,
    /// Handed out, until then.
    InFlight(Millis),
}

/// The value of a message attribute. The data type is kept beside it, since it may carry a label of the user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TypedValue {
    Text(Box<str>),
    Binary(Box<[u8]>),
}

/// A message attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    pub name: Box<str>,
    pub data_type: Box<str>,
    pub value: TypedValue,
}

/// What most messages do not have, kept apart so that those stay small.
#[derive(Clone, Debug, Default)]
pub(super) struct Extra {
    /// Sorted by name, as they are digested and echoed.
    pub attributes: Vec<Attribute>,
    pub trace_header: Option<Box<str>>,
    pub group: Option<Arc<str>>,
    pub deduplication_id: Option<Box<str>>,
    /// The queue from which redrive moved it here.
    pub dead_letter_source: Option<Arc<str>>,
    /// How often it had been received when it came into this queue from another.
    pub received_before: u32,
}

/// A message of a queue.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub id: u128,
    pub body: Box<str>,
    pub md5: [u8; 16],
    pub sent_at: Millis,
    /// 0 until the first receive.
    pub first_received_at: Millis,
    /// When it was last handed out.
    pub received_at: Millis,
    pub receive_count: u32,
    /// The group's place in the queue's table of groups.
    pub group: u32,
    /// Position among the messages of its queue: in a FIFO queue from the beginning, in a standard one from when it can first be
    /// had, and 0 until then.
    pub place: u64,
    pub state: MessageState,
    pub extra: Option<Box<Extra>>,
}

impl Message {
    pub(super) fn extra(&self) -> Option<&Extra> {
        self.extra.as_deref()
    }

    /// How often it was received in the queue that has it now: the limit of a redrive policy is on these alone.
    pub(super) fn received_here(&self) -> u32 {
        self.receive_count - self.extra().map_or(0, |extra| extra.received_before)
    }

    pub(super) fn group_id(&self) -> Option<&Arc<str>> {
        self.extra()?.group.as_ref()
    }
}

/// A place in a [`Store`].
#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    message: Option<Message>,
}

/// The messages of one queue: constant time to add, find and remove.
#[derive(Debug, Default)]
pub(super) struct Store {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Where the generations of new slots begin: above every key that was ever handed out before a `clear`.
    first_generation: u32,
}

impl Store {
    pub(super) fn insert(&mut self, message: Message) -> Key {
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index as usize)
        {
            slot.message = Some(message);
            return Key { index, generation: slot.generation };
        }
        let index = self.slots.len() as u32;
        let generation = self.first_generation;
        self.slots.push(Slot { generation, message: Some(message) });
        Key { index, generation }
    }

    pub(super) fn get(&self, key: Key) -> Option<&Message> {
        let slot = self.slots.get(key.index as usize)?;
        if slot.generation == key.generation { slot.message.as_ref() } else { None }
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Message> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation == key.generation { slot.message.as_mut() } else { None }
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Message> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation != key.generation {
            return None;
        }
        let message = slot.message.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(message)
    }

    /// The messages of which `wanted` is true, in no order.
    pub(super) fn keys_where(&self, wanted: impl Fn(&Message) -> bool) -> Vec<Key> {
        let slots = self.slots.iter().enumerate().filter(|(_, slot)| slot.message.as_ref().is_some_and(&wanted));
        slots.map(|(index, slot)| Key { index: index as u32, generation: slot.generation }).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Forgets every message and gives the memory back; keys handed out before stay invalid.
    pub(super) fn clear(&mut self) {
        let highest = self.slots.iter().map(|slot| slot.generation).max();
        self.first_generation = highest.unwrap_or(self.first_generation).wrapping_add(1);
        self.slots = Vec::new();
        self.free = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str) -> Message {
        Message {
            id: 1,
            body: body.into(),
            md5: [0; 16],
            sent_at: 0,
            first_received_at: 0,
            received_at: 0,
            receive_count: 0,
            group: 0,
            place: 0,
            state: MessageState::Visible,
            extra: None,
        }
    }

    #[test]
    fn a_key_outlives_its_message_without_naming_another() {
        let mut store = Store::default();
        let first = store.insert(message("first"));
        assert_eq!(store.remove(first).unwrap().body.as_ref(), "first");
        let second = store.insert(message("second"));
        assert_eq!(second.index, first.index);
        assert!(store.get(first).is_none());
        assert!(store.remove(first).is_none());
        store.clear();
        assert!(store.get(second).is_none());
        assert_eq!(store.len(), 0);
        let third = store.insert(message("third"));
        assert!(store.get(first).is_none() && store.get(second).is_none() && store.get(third).is_some());
    }

    #[test]
    fn a_plain_message_is_small() {
        assert!(size_of::<Slot>() <= 144, "{}", size_of::<Slot>());
    }
}
