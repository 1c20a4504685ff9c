use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::model::Action;
use crate::protocol::billing::Bill;
use crate::runtime::responder::PendingResponse;
use crate::send::Limits;
use crate::stats::Stats;
use crate::transport::scripted::{Scripted, TIMEOUT, reply};

#[test]
fn one_who_leaves_late_is_not_taken_for_another() {
    let transport = Scripted::new(true, |_, _| reply(&json!({})));
    let limits = Limits { entries: 10, bytes: 1 << 18, linger: Duration::ZERO, max_in_flight: 1, at_once: true };
    let batchers = Batchers::new(transport.transport(), Arc::new(Stats::new()), limits);
    let receivers = Arc::new(Receivers::new(transport.transport(), Arc::new(batchers), Arc::default(), Duration::ZERO));
    let receive = || {
        let body = Bytes::from_static(br#"{"QueueUrl":"q","WaitTimeSeconds":0}"#);
        let request = Request {
            action: Action::ReceiveMessage,
            body,
            long_poll: Duration::ZERO,
            attempts: 0,
            not_after: None,
            trace: None,
            bill: Bill::default(),
        };
        let (pending, responder) = PendingResponse::new();
        let call = ReceiveCall::of(&request).unwrap();
        (pending, receivers.enter(vec![(call, request, responder)]).unwrap().pop().unwrap())
    };
    let (first, late) = receive();
    transport.let_through(1);
    first.wait_for(TIMEOUT).unwrap().unwrap();
    let (second, _received) = receive();
    late.leave();
    transport.let_through(1);
    second.wait_for(TIMEOUT).unwrap().unwrap();
}
