use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::*;
use crate::client::Resources;
use crate::receive::receiver::Receivers;
use crate::send::Limits;
use crate::send::batcher::Batchers;
use crate::stats::Stats;
use crate::transport::scripted::{Scripted, TIMEOUT, refusal, reply};

fn options() -> PollerOptions {
    PollerOptions {
        queue: (*b"\"q\"").into(),
        members: Box::default(),
        wait: 0,
        visibility: None,
        life: 0.5,
        bounds: Bounds { most: 100, bytes: 1 << 20 },
        ahead: 0,
        max_messages: None,
        idle: None,
        groups: GroupMode::None,
        keeps: true,
        endures: true,
        rate: None,
        batch: 1,
        window: Duration::ZERO,
    }
}

fn poller(transport: &Arc<Scripted>, options: PollerOptions) -> Poller {
    let limits = Limits { entries: 10, bytes: 1 << 18, linger: Duration::ZERO, max_in_flight: 1, at_once: true };
    let batchers = Arc::new(Batchers::new(transport.transport(), Arc::new(Stats::new()), limits));
    let receivers =
        Arc::new(Receivers::new(transport.transport(), Arc::clone(&batchers), Arc::default(), Duration::ZERO));
    let transport = transport.transport();
    Poller::over(
        &Resources { transport, batchers, receivers, visibilities: Arc::default(), pollers: Arc::default() },
        options,
    )
}

fn visibilities(transport: &Scripted) -> Vec<Value> {
    let seen = transport.seen.lock().unwrap();
    let polls = seen.iter().filter(|(action, _)| *action == Action::ReceiveMessage);
    polls.map(|(_, body)| body["VisibilityTimeout"].clone()).collect()
}

#[test]
fn an_unknown_visibility_is_told_assumed_and_asked_for_again() {
    let asked = AtomicUsize::new(0);
    let transport = Scripted::new(false, move |action, _| match action {
        Action::GetQueueAttributes if asked.fetch_add(1, Ordering::Relaxed) == 0 => refusal(503, "ServiceUnavailable"),
        Action::GetQueueAttributes => reply(&json!({"Attributes": {"VisibilityTimeout": "2"}})),
        _ => reply(&json!({})),
    });
    let poller = poller(&transport, options());
    let deadline = Instant::now() + TIMEOUT;
    let mut told = Vec::new();
    while visibilities(&transport).last() != Some(&json!(2)) && Instant::now() < deadline {
        if let Take::BackgroundErrors(background_errors) = poller.wait(Duration::from_millis(20)).unwrap() {
            told.extend(background_errors.into_iter().map(|background_error| background_error.action));
        }
    }
    assert_eq!(told, [Action::GetQueueAttributes]);
    let visibilities = visibilities(&transport);
    assert_eq!((visibilities.first(), visibilities.last()), (Some(&json!(30)), Some(&json!(2))));
    assert_eq!(poller.own().unwrap().lock().leases.visibility(), Duration::from_secs(2));
}

#[test]
fn a_rate_bounds_what_is_held() {
    let slow = PollerOptions { rate: Some(1.0), batch: 2, ..options() };
    assert_eq!((slow.most(30), slow.most(2), slow.most(1_000)), (15, 2, 100));
    assert_eq!(slow.max_wait(), Duration::from_secs(2));
}
