use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::batch::Limits;
use crate::caller::Pending;
use crate::model::Action;
use crate::stats::Stats;
use crate::transport::scripted::{PATIENCE, Scripted, reply};

#[test]
fn one_who_leaves_late_is_not_taken_for_another() {
    let transport = Scripted::new(true, |_, _| reply(&json!({})));
    let limits = Limits { entries: 10, bytes: 1 << 18, linger: Duration::ZERO, max_in_flight: 1, at_once: true };
    let batchers = Batchers::new(transport.transport(), Arc::new(Stats::new()), limits);
    let receivers = Arc::new(Receivers::new(transport.transport(), Arc::new(batchers), Arc::default(), Duration::ZERO));
    let receive = || {
        let body = Bytes::from_static(br#"{"QueueUrl":"q","WaitTimeSeconds":0}"#);
        let request =
            Request { action: Action::ReceiveMessage, body, long_poll: Duration::ZERO, attempts: 0, not_after: None };
        let (pending, caller) = Pending::new();
        let call = Call::of(&request).unwrap();
        (pending, receivers.enter(vec![(call, request, caller)]).unwrap().pop().unwrap())
    };
    let (first, late) = receive();
    transport.let_through(1);
    first.wait_for(PATIENCE).unwrap().unwrap();
    let (second, _received) = receive();
    late.leave();
    transport.let_through(1);
    second.wait_for(PATIENCE).unwrap().unwrap();
}
