//! What single rules come to, one at a time.

use super::*;

fn queue(settings: QueueSettings) -> Queue {
    let name: Arc<str> = "q".into();
    Queue::new(1, "000000000000".into(), name.clone(), name, settings, 0)
}

fn plain(body: &str) -> NewMessage {
    NewMessage { body: body.into(), md5: [0; 16], delay: None, extra: None }
}

fn grouped(body: &str, group: &str, deduplication: Option<&str>) -> NewMessage {
    let extra =
        Extra { group: Some(group.into()), deduplication_id: deduplication.map(Into::into), ..Extra::default() };
    NewMessage { extra: Some(Box::new(extra)), ..plain(body) }
}

fn bodies(queue: &Queue, keys: &[Key]) -> Vec<String> {
    keys.iter().filter_map(|key| queue.message(*key)).map(|message| message.body.to_string()).collect()
}

fn receive(queue: &mut Queue, max: usize, now: Millis) -> Vec<String> {
    let keys = queue.receive(max, 30, None, now).keys;
    bodies(queue, &keys)
}

#[test]
fn a_group_is_had_up_to_its_first_message_in_flight() {
    // What the real service was seen to do with three messages of which one had its visibility extended.
    for (extended, expected) in [(0, vec![]), (1, vec!["a"]), (2, vec!["a", "b"])] {
        let mut queue = queue(QueueSettings::fifo());
        for body in ["a", "b", "c"] {
            queue.send(grouped(body, "g", Some(body)), 0);
        }
        let keys = queue.receive(10, 2, None, 0).keys;
        queue.change_visibility(keys[extended], 1, 10, 0).unwrap();
        assert_eq!(receive(&mut queue, 10, 5_000), expected);
    }
}

#[test]
fn deduplication_scopes() {
    let mut settings = QueueSettings::fifo();
    let mut by_queue = queue(settings.clone());
    let first = by_queue.send(grouped("a", "g1", Some("d")), 0);
    assert_eq!(by_queue.send(grouped("b", "g2", Some("d")), 1), first);
    assert_ne!(by_queue.send(grouped("b", "g2", Some("d")), 300_000), first);
    settings.fifo = settings.fifo.map(|fifo| FifoSettings { scope: DeduplicationScope::MessageGroup, ..fifo });
    let mut by_group = queue(settings);
    let first = by_group.send(grouped("a", "g1", Some("d")), 0);
    assert_ne!(by_group.send(grouped("b", "g2", Some("d")), 1), first);
    assert_eq!(by_group.send(grouped("c", "g1", Some("d")), 2), first);
}

#[test]
fn sequence_numbers_grow() {
    let mut queue = queue(QueueSettings::fifo());
    let numbers: Vec<u64> = (0..5).map(|i| queue.send(grouped("a", "g", Some(&i.to_string())), 0).sequence).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

#[test]
fn an_attempt_repeats_until_something_happens_to_its_messages() {
    let mut queue = queue(QueueSettings::fifo());
    for body in ["a", "b"] {
        queue.send(grouped(body, "g", Some(body)), 0);
    }
    let keys = queue.receive(10, 30, None, 0).keys;
    queue.remember_attempt("try", &keys, 0);
    assert_eq!(queue.receive_again("try", 30, 10_000), Some(keys.clone()));
    // Its visibility began anew: at 35 s it is in flight still.
    assert_eq!(queue.counts(35_000).in_flight, 2);
    assert_eq!(queue.receive_again("other", 30, 10_000), None);
    queue.delete(keys[0], 1, 11_000).unwrap();
    assert_eq!(queue.receive_again("try", 30, 12_000), None);
}

#[test]
fn visibility_cannot_be_extended_beyond_twelve_hours() {
    let mut queue = queue(QueueSettings::standard());
    queue.send(plain("a"), 0);
    let key = queue.receive(1, 43_200, None, 0).keys[0];
    assert_eq!(queue.change_visibility(key, 1, 43_200, 1_000), Err(ReceiptError::TooLong));
    assert_eq!(queue.change_visibility(key, 1, 43_199, 1_000), Ok(()));
}

#[test]
fn twelve_hours_count_from_the_latest_receive() {
    const HOUR: Millis = 3_600_000;
    let mut queue = queue(QueueSettings::standard());
    queue.send(plain("a"), 0);
    let key = queue.receive(1, 30, None, 0).keys[0];
    assert_eq!(queue.change_visibility(key, 1, 3_600, 11 * HOUR), Ok(()));
    assert_eq!(queue.change_visibility(key, 1, 1, 12 * HOUR), Err(ReceiptError::TooLong));
    assert_eq!(queue.change_visibility(key, 1, 0, 13 * HOUR), Ok(()));
    assert_eq!(queue.receive(1, 30, None, 13 * HOUR).keys, [key]);
    assert_eq!(queue.change_visibility(key, 1, 43_200, 13 * HOUR), Ok(()));
}

#[test]
fn an_old_receipt_of_a_standard_queue_acts() {
    let mut queue = queue(QueueSettings::standard());
    queue.send(plain("a"), 0);
    let key = queue.receive(1, 1, None, 0).keys[0];
    // Visible again: it is hidden once more, or stays visible.
    assert_eq!(queue.change_visibility(key, 1, 0, 2_000), Ok(()));
    assert_eq!(queue.counts(2_000).visible, 1);
    assert_eq!(queue.change_visibility(key, 1, 10, 2_000), Ok(()));
    assert_eq!(receive(&mut queue, 10, 11_999), [""; 0]);
    // Received again since: the message of the other is what it acts on.
    assert_eq!(receive(&mut queue, 10, 12_000), ["a"]);
    assert_eq!(queue.change_visibility(key, 1, 0, 12_000), Ok(()));
    assert_eq!(receive(&mut queue, 10, 12_000), ["a"]);
    assert_eq!(queue.delete(key, 1, 12_000), Ok(()));
    assert_eq!(queue.counts(12_000), Counts::default());
    assert_eq!(queue.delete(key, 3, 12_000), Err(ReceiptError::Gone));
    assert_eq!(queue.change_visibility(key, 3, 10, 12_000), Err(ReceiptError::Gone));
}

#[test]
fn an_old_receipt_of_a_fifo_queue_does_not() {
    let mut queue = queue(QueueSettings::fifo());
    queue.send(grouped("a", "g", Some("a")), 0);
    let key = queue.receive(1, 1, None, 0).keys[0];
    for now in [1_000, 2_000] {
        assert_eq!(queue.change_visibility(key, 1, 10, now), Err(ReceiptError::Expired));
        assert_eq!(queue.delete(key, 1, now), Err(ReceiptError::Expired));
        queue.receive(1, 30, None, now);
    }
    assert_eq!(queue.delete(key, 2, 3_000), Ok(()));
}

#[test]
fn what_an_old_receipt_hides_is_handed_out_once() {
    let mut queue = queue(QueueSettings::standard());
    let tenants = |queue: &mut Queue, body: &str| {
        for _ in 0..40 {
            queue.send(grouped(body, "t", None), 0);
        }
    };
    tenants(&mut queue, "first");
    let mut keys = Vec::new();
    for _ in 0..4 {
        keys.extend(queue.receive(10, 1, None, 0).keys);
    }
    // All are visible again, and after the first 30 they are passed over, since their tenant is noisy then.
    queue.send(plain("other"), 1_000);
    for _ in 0..3 {
        assert_eq!(queue.receive(10, 1_000, None, 1_000).keys.len(), 10);
    }
    assert_eq!(receive(&mut queue, 1, 1_000), ["other"]);
    // Those that are left are hidden where they stand, shown, and hidden again; one is deleted meanwhile.
    let left: Vec<Key> = keys.into_iter().filter(|key| queue.message(*key).unwrap().receive_count == 1).collect();
    assert_eq!(left.len(), 10);
    for now in [1_000, 2_000] {
        for key in &left {
            queue.change_visibility(*key, 1, 10, now).unwrap();
        }
        assert_eq!(receive(&mut queue, 10, now), [""; 0]);
        for key in &left[1..] {
            queue.change_visibility(*key, 1, 0, now).unwrap();
            queue.change_visibility(*key, 1, 5, now).unwrap();
            queue.change_visibility(*key, 1, 0, now).unwrap();
        }
    }
    queue.delete(left[0], 1, 3_000).unwrap();
    assert_eq!(receive(&mut queue, 10, 3_000).len(), 9);
    assert_eq!(receive(&mut queue, 10, 3_000), [""; 0]);
    let Order::Standard(ready) = &queue.order else { panic!("it is a standard queue") };
    assert_eq!(ready.hidden_count(), 0);
}

#[test]
fn in_flight_is_limited() {
    let mut queue = queue(QueueSettings::standard());
    for _ in 0..MAX_IN_FLIGHT + 5 {
        queue.send(plain("a"), 0);
    }
    while !queue.receive(10, 30, None, 0).keys.is_empty() {}
    assert_eq!(queue.counts(0), Counts { visible: 5, in_flight: MAX_IN_FLIGHT, delayed: 0 });
    assert_eq!(queue.receive(10, 30, None, 30_000).keys.len(), 10);
}

#[test]
fn a_noisy_tenant_does_not_hold_up_a_quiet_one() {
    let mut queue = queue(QueueSettings::standard());
    for _ in 0..100 {
        queue.send(grouped("noisy", "noisy", None), 0);
    }
    queue.send(grouped("quiet", "quiet", None), 0);
    for _ in 0..3 {
        assert_eq!(receive(&mut queue, 10, 0), ["noisy"; 10]);
    }
    // With 30 in flight it is noisy, though nobody else has any, and the others come before its backlog, which comes next all the same.
    assert_eq!(receive(&mut queue, 2, 0), ["quiet", "noisy"]);
    let rest: Vec<String> = std::iter::repeat_with(|| receive(&mut queue, 10, 0)).take(8).flatten().collect();
    assert_eq!(rest.len(), 69);
}

#[test]
fn a_tenant_that_has_become_quiet_comes_before_the_noisy() {
    let mut queue = queue(QueueSettings::standard());
    for body in ["a", "b"] {
        for _ in 0..40 {
            queue.send(grouped(body, body, None), 0);
        }
    }
    let mut keys = Vec::new();
    for _ in 0..6 {
        keys.extend(queue.receive(10, 30, None, 0).keys);
    }
    assert_eq!(bodies(&queue, &keys), [["a"; 30], ["b"; 30]].concat());
    // Both are noisy now and take turns.
    assert_eq!(receive(&mut queue, 2, 0), ["a", "b"]);
    for key in &keys[30..32] {
        queue.delete(*key, 1, 0).unwrap();
    }
    assert_eq!(receive(&mut queue, 5, 0), ["b"; 5]);
    assert_eq!(receive(&mut queue, 10, 0).len(), 10);
    assert_eq!(queue.counts(0).visible, 3);
}

#[test]
fn a_fifo_group_that_comes_back_stands_at_the_end() {
    let mut queue = queue(QueueSettings::fifo());
    for body in ["a1", "b1", "a2", "b2"] {
        queue.send(grouped(body, &body[..1], Some(body)), 0);
    }
    let key = queue.receive(1, 30, None, 0).keys[0];
    queue.change_visibility(key, 1, 0, 0).unwrap();
    assert_eq!(receive(&mut queue, 10, 0), ["b1", "b2", "a1", "a2"]);
    // What comes back at one time does so in the order in which it was sent.
    assert_eq!(receive(&mut queue, 10, 30_000), ["a1", "a2", "b1", "b2"]);
}

#[test]
fn a_fifo_queues_delay_is_retroactive() {
    let delayed = |delay| QueueSettings { delay, ..QueueSettings::fifo() };
    let mut queue = queue(delayed(60));
    queue.send(grouped("a", "a", Some("a")), 0);
    queue.send(grouped("b", "b", Some("b")), 1_000);
    queue.set(delayed(10), 5_000);
    assert_eq!(queue.next_wake(), Some(10_000));
    assert_eq!(receive(&mut queue, 10, 10_000), ["a"]);
    // What has been received once is not delayed any more; what has not is, even if it could have been.
    queue.set(delayed(50), 41_000);
    assert_eq!(queue.counts(41_000), Counts { visible: 1, in_flight: 0, delayed: 1 });
    queue.set(delayed(0), 42_000);
    assert_eq!(receive(&mut queue, 10, 42_000).len(), 2);
}

#[test]
fn a_standard_queues_delay_is_not_retroactive() {
    let delayed = |delay| QueueSettings { delay, ..QueueSettings::standard() };
    let mut queue = queue(delayed(60));
    queue.send(plain("a"), 0);
    queue.set(delayed(0), 5_000);
    assert_eq!(queue.counts(59_999).delayed, 1);
    assert_eq!(receive(&mut queue, 10, 60_000), ["a"]);
}

#[test]
fn indexes_stay_in_proportion_to_what_is_alive() {
    let mut queue = queue(QueueSettings::standard());
    for round in 0..50 {
        for _ in 0..100 {
            queue.send(plain("a"), round);
        }
        while let [first, rest @ ..] = queue.receive(10, 43_200, None, round).keys.as_slice() {
            for key in std::iter::once(first).chain(rest) {
                queue.delete(*key, 1, round).unwrap();
            }
        }
    }
    assert_eq!(queue.counts(50), Counts::default());
    assert!(queue.ages.len() <= 264 && queue.wakes.len() <= 264, "{} {}", queue.ages.len(), queue.wakes.len());
    assert_eq!(queue.messages.len(), 0);
}

#[test]
fn a_groups_line_stays_in_proportion_to_what_is_alive() {
    let mut queue = queue(QueueSettings::fifo());
    for i in 0..1_000 {
        queue.send(grouped("a", "g", Some(&i.to_string())), 0);
    }
    let mut keys = queue.receive(1_000, 30, None, 0).keys;
    // The first one stays, so that none of the others is ever at the front.
    for key in keys.drain(1..) {
        queue.delete(key, 1, 0).unwrap();
    }
    let Order::Fifo(groups) = &queue.order else { panic!("it is a FIFO queue") };
    assert!(groups.longest_line() <= 66, "{}", groups.longest_line());
    assert_eq!(receive(&mut queue, 10, 30_000), ["a"]);
}

#[test]
fn retention_ends_messages_in_any_state() {
    let mut queue = queue(QueueSettings { retention: 60, ..QueueSettings::standard() });
    queue.send(plain("in flight"), 0);
    queue.receive(1, 43_200, None, 0);
    queue.send(plain("visible"), 1);
    queue.send(NewMessage { delay: Some(900), ..plain("delayed") }, 2);
    assert_eq!(queue.counts(59_999), Counts { visible: 1, in_flight: 1, delayed: 1 });
    assert_eq!(queue.counts(60_000), Counts { visible: 1, in_flight: 0, delayed: 1 });
    assert_eq!(queue.counts(60_002), Counts::default());
}
