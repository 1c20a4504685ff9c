//! The queue held against a reference so simple that it is plainly right: a list of messages, searched from end to end.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Send { queue: usize, group: u8, deduplication: u8, delay: u32 },
    Receive { queue: usize, max: usize, visibility: u32 },
    Delete { receipt: usize },
    ChangeVisibility { receipt: usize, visibility: u32 },
    Advance { by: Millis },
    Purge { queue: usize },
}

/// One of two queues, each the dead-letter queue of the other.
fn which() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(0usize), 1 => Just(1usize)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (which(), 0..4u8, 0..40u8, prop_oneof![4 => Just(0u32), 1 => 1..20u32])
            .prop_map(|(queue, group, deduplication, delay)| Step::Send { queue, group, deduplication, delay }),
        5 => (which(), 1..=10usize, prop_oneof![1 => Just(0u32), 5 => 1..30u32])
            .prop_map(|(queue, max, visibility)| Step::Receive { queue, max, visibility }),
        4 => (0..64usize).prop_map(|receipt| Step::Delete { receipt }),
        3 => (0..64usize, prop_oneof![Just(0u32), 1..60u32])
            .prop_map(|(receipt, visibility)| Step::ChangeVisibility { receipt, visibility }),
        4 => prop_oneof![
            4 => 0..15_000u64,
            // Just at, and just before, what is due: timeouts are whole seconds.
            3 => (0..30u64).prop_map(|seconds| seconds * 1_000),
            3 => (1..30u64).prop_map(|seconds| seconds * 1_000 - 1),
            1 => 100_000..400_000u64,
        ].prop_map(|by| Step::Advance { by }),
        1 => which().prop_map(|queue| Step::Purge { queue }),
    ];
    prop::collection::vec(step, 1..150)
}

/// A message as the reference sees it.
#[derive(Clone, Debug)]
struct Known {
    id: u128,
    group: String,
    sent_at: Millis,
    /// When it can be had, or could be since.
    visible_at: Millis,
    in_flight: bool,
    /// Delayed or in flight.
    hidden: bool,
    receives: u32,
    /// Of these, those by the queue that has it now.
    received_here: u32,
    /// How often it was moved: it may come back into a queue, but none of its earlier receipts.
    moves: u32,
    /// Since when it could be had for the first time, by which a standard queue orders its messages whatever happens to them
    /// later. Of those that came at one time the earlier goes first, and before them those whose delay was over then.
    place: (Millis, u64),
}

/// What a receive brought, to be acted on later.
#[derive(Clone, Copy)]
struct Receipt {
    queue: usize,
    key: Key,
    receive: u32,
    id: u128,
    moves: u32,
}

struct Reference {
    fifo: bool,
    retention: Millis,
    max_receives: u32,
    messages: Vec<Known>,
    deduplicated: HashMap<String, (Millis, u128)>,
    /// The groups whose oldest message can be had, in the order in which that became so.
    ready: Vec<String>,
    /// How many messages came that could be had at once.
    came: u64,
}

impl Reference {
    fn settle(&mut self, now: Millis) {
        while let Some(old) = self.messages.iter().position(|m| m.sent_at + self.retention <= now) {
            self.messages.remove(old);
            self.rank();
        }
        let due = |messages: &[Known]| {
            let due = messages.iter().enumerate().filter(|(_, m)| m.hidden && m.visible_at <= now);
            due.min_by_key(|(position, m)| (m.visible_at, *position)).map(|(position, _)| position)
        };
        while let Some(position) = due(&self.messages) {
            self.messages[position].hidden = false;
            self.messages[position].in_flight = false;
            self.rank();
        }
        self.deduplicated.retain(|_, (until, _)| *until > now);
    }

    /// The place of a message that comes now, and can be had now or later.
    fn place(&mut self, visible_at: Millis, now: Millis) -> (Millis, u64) {
        if visible_at > now {
            return (visible_at, 0);
        }
        self.came += 1;
        (now, self.came)
    }

    /// To be told of every single change.
    fn rank(&mut self) {
        let is_ready = |group: &str| self.messages.iter().find(|m| m.group == group).is_some_and(|m| !m.hidden);
        self.ready.retain(|group| is_ready(group));
        for message in &self.messages {
            if is_ready(&message.group) && !self.ready.contains(&message.group) {
                self.ready.push(message.group.clone());
            }
        }
    }

    fn add(&mut self, known: Known) {
        self.messages.push(known);
        self.rank();
    }

    /// The ids of what a receive can bring from this queue in which order.
    fn available(&self) -> Vec<u128> {
        if !self.fifo {
            return self.messages.iter().filter(|m| !m.hidden).map(|m| m.id).collect();
        }
        let of = |group: &String| {
            let group = group.clone();
            self.messages.iter().filter(move |m| m.group == group).take_while(|m| !m.hidden).map(|m| m.id)
        };
        self.ready.iter().flat_map(of).collect()
    }

    fn find(&mut self, id: u128) -> Option<&mut Known> {
        self.messages.iter_mut().find(|message| message.id == id)
    }

    /// The message on which a receipt acts.
    fn acts_on(&mut self, receipt: Receipt) -> Option<&mut Known> {
        let fifo = self.fifo;
        let here = self.find(receipt.id).filter(|message| message.moves == receipt.moves);
        here.filter(|message| !fifo || message.receives == receipt.receive && message.in_flight)
    }
}

fn run(fifo: bool, max_receives: u32, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut settings = if fifo { QueueSettings::fifo() } else { QueueSettings::standard() };
    settings.retention = 120;
    let name: Arc<str> = "q".into();
    let mut queues = [1, 2].map(|id| Queue::new(id, "0".into(), name.clone(), name.clone(), settings.clone(), 0));
    let mut references = [(); 2].map(|()| Reference {
        fifo,
        retention: 120_000,
        max_receives,
        messages: Vec::new(),
        deduplicated: HashMap::new(),
        ready: Vec::new(),
        came: 0,
    });
    let mut now: Millis = 1_000_000;
    let mut receipts: Vec<Receipt> = Vec::new();
    for step in steps {
        references.iter_mut().for_each(|reference| reference.settle(now));
        match step {
            Step::Send { queue, group, deduplication, delay } => {
                let (queue, reference) = (&mut queues[queue], &mut references[queue]);
                let group = format!("g{group}");
                let extra = fifo.then(|| {
                    Box::new(Extra {
                        group: Some(group.as_str().into()),
                        deduplication_id: Some(deduplication.to_string().into()),
                        ..Extra::default()
                    })
                });
                let delay = if fifo { 0 } else { delay };
                let new = NewMessage { body: "body".into(), md5: [0; 16], delay: Some(delay), extra };
                let sent = queue.send(new, now);
                let known = reference.deduplicated.get(&deduplication.to_string());
                if let (true, Some((_, id))) = (fifo, known) {
                    prop_assert_eq!(sent.id, *id, "a duplicate is told of the first");
                } else {
                    prop_assert!(reference.messages.iter().all(|m| m.id != sent.id));
                    reference.deduplicated.insert(deduplication.to_string(), (now + 300_000, sent.id));
                    let visible_at = now + Millis::from(delay) * 1_000;
                    let place = reference.place(visible_at, now);
                    reference.add(Known {
                        id: sent.id,
                        group,
                        sent_at: now,
                        visible_at,
                        in_flight: false,
                        hidden: delay > 0,
                        receives: 0,
                        received_here: 0,
                        moves: 0,
                        place,
                    });
                }
            }
            Step::Receive { queue: number, max, visibility } => {
                let (queue, reference) = (&mut queues[number], &mut references[number]);
                let received = queue.receive(max, visibility, Some(max_receives), now);
                let got: Vec<u128> = received.keys.iter().filter_map(|key| queue.message(*key)).map(|m| m.id).collect();
                prop_assert_eq!(got.len(), received.keys.len());
                let dead = check_received(queue, reference, &received, &got, max)?;
                for (key, id) in received.keys.iter().zip(&got) {
                    let known = reference.find(*id).expect("checked above");
                    known.receives += 1;
                    known.received_here += 1;
                    known.visible_at = now + Millis::from(visibility) * 1_000;
                    known.in_flight = visibility > 0;
                    known.hidden = true;
                    let (receive, moves) = (known.receives, known.moves);
                    receipts.push(Receipt { queue: number, key: *key, receive, id: *id, moves });
                }
                reference.rank();
                for id in got.iter().filter(|_| visibility == 0) {
                    reference.find(*id).expect("checked above").hidden = false;
                    reference.rank();
                }
                for message in received.dead {
                    queues[1 - number].adopt(message, now);
                }
                for known in dead {
                    let sent_at = if fifo { now } else { known.sent_at };
                    let place = references[1 - number].place(now, now);
                    references[1 - number].add(Known {
                        sent_at,
                        visible_at: now,
                        received_here: 0,
                        moves: known.moves + 1,
                        place,
                        ..known
                    });
                }
            }
            Step::Delete { receipt } if !receipts.is_empty() => {
                let receipt = receipts[receipt % receipts.len()];
                let (queue, reference) = (&mut queues[receipt.queue], &mut references[receipt.queue]);
                let outcome = queue.delete(receipt.key, receipt.receive, now);
                let expected = reference.acts_on(receipt).is_some();
                prop_assert_eq!(outcome.is_ok(), expected, "{:?}", outcome);
                if expected {
                    reference.messages.retain(|m| m.id != receipt.id);
                    reference.rank();
                }
            }
            Step::ChangeVisibility { receipt, visibility } if !receipts.is_empty() => {
                let receipt = receipts[receipt % receipts.len()];
                let (queue, reference) = (&mut queues[receipt.queue], &mut references[receipt.queue]);
                let outcome = queue.change_visibility(receipt.key, receipt.receive, visibility, now);
                let message = reference.acts_on(receipt);
                prop_assert_eq!(outcome.is_ok(), message.is_some(), "{:?}", outcome);
                if let Some(message) = message {
                    message.visible_at = now + Millis::from(visibility) * 1_000;
                    message.in_flight = visibility > 0;
                    message.hidden = visibility > 0;
                    reference.rank();
                }
            }
            Step::Delete { .. } | Step::ChangeVisibility { .. } => {}
            Step::Advance { by } => now += by,
            Step::Purge { queue } => {
                queues[queue].purge(now);
                references[queue].messages.clear();
                references[queue].ready.clear();
                references[queue].deduplicated.clear();
            }
        }
        for (queue, reference) in queues.iter_mut().zip(&mut references) {
            reference.settle(now);
            let (available, hidden): (Vec<_>, Vec<_>) = reference.messages.iter().partition(|m| !m.hidden);
            let in_flight = hidden.iter().filter(|m| m.in_flight).count();
            let expected = Counts { visible: available.len(), in_flight, delayed: hidden.len() - in_flight };
            prop_assert_eq!(queue.counts(now), expected);
            prop_assert_eq!(queue.next_wake(), hidden.iter().map(|m| m.visible_at).min());
        }
    }
    now += 60_000;
    for (queue, reference) in queues.iter_mut().zip(&mut references) {
        check_rest(queue, reference, now)?;
    }
    Ok(())
}

/// Nothing is lost: what the reference still has comes out once everything is visible again.
fn check_rest(queue: &mut Queue, reference: &mut Reference, now: Millis) -> Result<(), TestCaseError> {
    reference.settle(now);
    queue.settle(now);
    let mut rest: Vec<u128> = in_order(queue, &[], reference.messages.iter().collect());
    let mut got = Vec::new();
    loop {
        let received = queue.receive(10, 600, None, now);
        if received.keys.is_empty() {
            break;
        }
        for key in received.keys {
            let (receive, id) = queue.message(key).map(|m| (m.receive_count, m.id)).expect("just received");
            got.push(id);
            prop_assert!(queue.delete(key, receive, now).is_ok());
        }
    }
    if reference.fifo {
        rest.sort_unstable();
        got.sort_unstable();
    }
    prop_assert_eq!(got, rest);
    prop_assert!(queue.messages.len() == 0);
    Ok(())
}

/// The ids of messages of a standard queue in the order in which it hands them out. It is free to choose between those whose delay
/// was over at one time, so for them the order is its own.
fn in_order(queue: &Queue, dead: &[Message], mut messages: Vec<&Known>) -> Vec<u128> {
    let held = queue.messages.keys_where(|_| true);
    let held = held.into_iter().filter_map(|key| queue.message(key)).chain(dead);
    let chosen: HashMap<u128, u64> = held.map(|message| (message.id, message.place)).collect();
    messages.sort_by_key(|known| (known.place, chosen.get(&known.id).copied()));
    messages.into_iter().map(|known| known.id).collect()
}

/// What a receive brought was to be had, there was no more of it than fits, and the worn out went to the dead: these, in order.
fn check_received(
    queue: &Queue,
    reference: &mut Reference,
    received: &Received,
    got: &[u128],
    max: usize,
) -> Result<Vec<Known>, TestCaseError> {
    let available = reference.available();
    let worn = |reference: &Reference, id: u128| {
        reference.messages.iter().any(|m| m.id == id && m.received_here >= reference.max_receives)
    };
    for message in &received.dead {
        prop_assert!(available.contains(&message.id) && worn(reference, message.id), "dead too early");
    }
    for (position, id) in got.iter().enumerate() {
        prop_assert!(available.contains(id), "delivered within its visibility, or while its group was locked");
        prop_assert!(!worn(reference, *id), "delivered too often");
        prop_assert!(!got[..position].contains(id), "delivered twice at once");
    }
    let dead: Vec<u128> = received.dead.iter().map(|m| m.id).collect();
    if reference.fifo {
        let worn_out = available.iter().any(|id| worn(reference, *id));
        if !worn_out {
            prop_assert_eq!(got, &available[..available.len().min(max)]);
        }
        // A worn out message makes way for another group, but within a group the order holds whatever happens.
        let healthy: Vec<u128> = available.iter().copied().filter(|id| !worn(reference, *id)).collect();
        for message in &reference.messages {
            let of_group = |id: &&u128| reference.messages.iter().any(|m| m.id == **id && m.group == message.group);
            let (got, expected): (Vec<_>, Vec<_>) =
                (got.iter().filter(of_group).collect(), healthy.iter().filter(of_group).collect());
            prop_assert!(expected.starts_with(&got), "out of order: {:?} of {:?}", got, expected);
        }
    } else {
        // From the first place on: the worn out are met on the way to as many others as are wanted.
        let visible = reference.messages.iter().filter(|m| !m.hidden).collect();
        let (mut expected, mut worn_out) = (Vec::new(), Vec::new());
        for id in in_order(queue, &received.dead, visible) {
            if expected.len() == max {
                break;
            }
            if worn(reference, id) { worn_out.push(id) } else { expected.push(id) }
        }
        prop_assert_eq!(got, expected, "out of order");
        prop_assert_eq!(&dead, &worn_out);
    }
    let known = dead.iter().filter_map(|id| reference.find(*id).cloned()).collect();
    reference.messages.retain(|m| !dead.contains(&m.id));
    Ok(known)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_standard_queue_does_as_the_reference(steps in steps(), max_receives in 1..6u32) {
        run(false, max_receives, steps)?;
    }

    #[test]
    fn a_fifo_queue_does_as_the_reference(steps in steps(), max_receives in 1..6u32) {
        run(true, max_receives, steps)?;
    }
}
