//! Metrics, for Prometheus to collect.

use std::fmt::Write as _;

use crate::local::ledger::BUCKETS;
use crate::local::state::ServerState;

/// Prometheus' text format.
pub(super) fn metrics(state: &mut ServerState) -> String {
    let mut text = String::new();
    let now = state.now();
    let (service, connections) = state.books();
    let mut family = |name: &str, kind: &str, help: &str, lines: &[(String, String)]| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in lines {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let label = |name: &str, value: &str| format!("{name}=\"{value}\"");
    let (mut held, mut ages, mut moved) = (Vec::new(), Vec::new(), Vec::new());
    for queue in service.queues_mut() {
        let counts = queue.counts(now);
        let region = queue.arn.split(':').nth(3).unwrap_or_default();
        // None of these has a character that would need escaping.
        let whose = [label("account", &queue.account), label("region", region), label("queue", &queue.name)].join(",");
        for (state, count) in
            [("visible", counts.visible), ("in_flight", counts.in_flight), ("delayed", counts.delayed)]
        {
            held.push((format!("{{{whose},state=\"{state}\"}}"), count.to_string()));
        }
        let age = queue.oldest(now).map_or(0.0, |sent_at| now.saturating_sub(sent_at) as f64 / 1_000.0);
        ages.push((format!("{{{whose}}}"), age.to_string()));
        for (what, count) in [("sent", queue.sent), ("received", queue.received), ("deleted", queue.deleted)] {
            moved.push((format!("{{{whose},what=\"{what}\"}}"), count.to_string()));
        }
    }
    family("turbosqs_messages", "gauge", "Messages in a queue, by state.", &held);
    family("turbosqs_oldest_message_age_seconds", "gauge", "Age of the oldest message in a queue.", &ages);
    family(
        "turbosqs_queue_messages_total",
        "counter",
        "Messages sent to, received from and deleted from a queue.",
        &moved,
    );
    let ledger = &service.ledger;
    let answers: Vec<_> = ledger
        .answers()
        .map(|(name, status, count)| (format!("{{{},status=\"{status}\"}}", label("action", name)), count.to_string()))
        .collect();
    family("turbosqs_requests_total", "counter", "Requests, by action and HTTP status.", &answers);
    let (buckets, count, elapsed) = ledger.latency();
    let mut lines: Vec<_> = BUCKETS
        .iter()
        .zip(buckets)
        .map(|(bound, count)| (format!("_bucket{{le=\"{}\"}}", *bound as f64 / 1e6), count.to_string()))
        .collect();
    lines.push(("_bucket{le=\"+Inf\"}".to_owned(), count.to_string()));
    lines.push(("_sum".to_owned(), elapsed.as_secs_f64().to_string()));
    lines.push(("_count".to_owned(), count.to_string()));
    family("turbosqs_request_duration_seconds", "histogram", "How long actions took, long polls included.", &lines);
    family(
        "turbosqs_connections_total",
        "counter",
        "Connections accepted.",
        &[(String::new(), connections.to_string())],
    );
    text
}
