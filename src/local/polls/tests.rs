//! Waiting polls and redrive.

use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::local::queue::{MAX_IN_FLIGHT, NewMessage};
use crate::local::service::{Answer, Caller};
use crate::model::Action;

const CALLER: Caller<'static> =
    Caller { account: "000000000000", region: "us-east-1", scheme: "http", host: "localhost:9324", trace: None };

/// A service with its polls, at a time that tests choose.
struct Stage {
    service: Service,
    polls: Polls,
    now: Millis,
}

impl Stage {
    fn new(queues: &[&str]) -> Stage {
        let mut stage = Stage { service: Service::new(false), polls: Polls::default(), now: 1_000_000 };
        for name in queues {
            stage.call(Action::CreateQueue, json!({"QueueName": name}));
        }
        stage
    }

    fn call(&mut self, action: Action, input: Value) -> Answer {
        let answer = self.service.call(action, &CALLER, input.to_string().as_bytes(), self.now).unwrap();
        self.polls.serve(&mut self.service, self.now);
        answer
    }

    fn redrive(&mut self, name: &str, target: &str) {
        let target = format!("arn:aws:sqs:us-east-1:000000000000:{target}");
        let policy = json!({"deadLetterTargetArn": target, "maxReceiveCount": 1}).to_string();
        self.call(Action::SetQueueAttributes, json!({"QueueUrl": name, "Attributes": {"RedrivePolicy": policy}}));
    }

    fn send(&mut self, name: &str, body: &str) {
        self.call(Action::SendMessage, json!({"QueueUrl": name, "MessageBody": body}));
    }

    /// Receives what is there now.
    fn receive(&mut self, name: &str) -> Vec<Value> {
        match self.call(Action::ReceiveMessage, receive(name, 0)) {
            Answer::Reply(reply) => messages(Ok(Ok(reply))),
            Answer::Wait(_) => panic!("it was not to wait"),
        }
    }

    fn wait(&mut self, name: &str, seconds: u32) -> oneshot::Receiver<PollResult> {
        let answer = self.call(Action::ReceiveMessage, receive(name, seconds));
        let Answer::Wait(request) = answer else { panic!("it was to wait") };
        let queue = request.queue;
        let receiver = self.polls.add(request);
        self.service.touched.push(queue);
        self.polls.serve(&mut self.service, self.now);
        receiver
    }

    fn advance(&mut self, by: Millis) {
        self.now += by;
        self.polls.tick_all(&mut self.service, self.now);
    }
}

fn receive(name: &str, wait: u32) -> Value {
    json!({
        "QueueUrl": name,
        "VisibilityTimeout": 10,
        "WaitTimeSeconds": wait,
        "AttributeNames": ["ApproximateReceiveCount"],
    })
}

fn messages(reply: Result<PollResult, oneshot::error::TryRecvError>) -> Vec<Value> {
    let reply: Value = serde_json::from_slice(&reply.unwrap().unwrap()).unwrap();
    reply.get("Messages").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn count(message: &Value) -> &str {
    message["Attributes"]["ApproximateReceiveCount"].as_str().unwrap()
}

/// Runs a test that may not end in a thread of its own.
fn ends(test: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    match ended.recv_timeout(Duration::from_secs(20)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it goes on for ever"),
        _ => thread.join().unwrap(),
    }
}

#[test]
fn a_queue_may_be_its_own_dead_letter_queue() {
    ends(|| {
        let mut stage = Stage::new(&["a"]);
        stage.redrive("a", "a");
        stage.send("a", "body");
        for round in 1..=3 {
            let [message] = &stage.receive("a")[..] else { panic!("nothing in round {round}") };
            assert_eq!(count(message), (2 * round - 1).to_string());
            let mut waiting = stage.wait("a", 20);
            stage.advance(10_000);
            // It went out of the queue and into it again, and begins anew there.
            let [message] = &messages(waiting.try_recv())[..] else { panic!("not served") };
            assert_eq!(count(message), (2 * round).to_string());
            stage.advance(10_000);
            assert!(stage.receive("a").is_empty());
        }
    });
}

#[test]
fn two_queues_may_be_each_others_dead_letter_queue() {
    ends(|| {
        let mut stage = Stage::new(&["a", "b"]);
        stage.redrive("a", "b");
        stage.redrive("b", "a");
        stage.send("a", "body");
        assert_eq!(stage.receive("a").len(), 1);
        let (mut at_a, mut at_b) = (stage.wait("a", 15), stage.wait("b", 15));
        stage.advance(10_000);
        // Given up by one queue it is the other's to hand out.
        let [message] = &messages(at_b.try_recv())[..] else { panic!("not served") };
        assert_eq!(count(message), "2");
        stage.advance(5_000);
        assert!(messages(at_a.try_recv()).is_empty());
        let mut at_a = stage.wait("a", 15);
        stage.advance(5_000);
        assert!(stage.receive("b").is_empty());
        let [message] = &messages(at_a.try_recv())[..] else { panic!("not served") };
        assert_eq!(count(message), "3");
    });
}

#[test]
fn every_queue_counts_its_own_receives_towards_its_limit() {
    let mut stage = Stage::new(&["a", "b", "d"]);
    stage.redrive("a", "b");
    stage.redrive("b", "d");
    stage.send("a", "body");
    for (name, expected) in [("a", "1"), ("b", "2"), ("d", "3")] {
        let [message] = &stage.receive(name)[..] else { panic!("{name} never had it") };
        assert_eq!(count(message), expected);
        stage.advance(10_000);
        assert_eq!(stage.receive(name).is_empty(), name != "d");
    }
}

#[test]
fn a_delete_that_relieves_the_limit_of_messages_in_flight_serves_who_waits() {
    let mut stage = Stage::new(&["a"]);
    stage.send("a", "first");
    let [first] = &stage.receive("a")[..] else { panic!("it was sent") };
    let id = stage.service.find_by_name(CALLER.account, CALLER.region, "a").unwrap().id;
    let queue = stage.service.queue_mut(id).unwrap();
    for _ in 0..MAX_IN_FLIGHT {
        queue.send(NewMessage { body: "a".into(), md5: [0; 16], delay: None, extra: None }, stage.now);
    }
    while !queue.receive(10, 30, None, stage.now).keys.is_empty() {}
    let mut waiting = stage.wait("a", 20);
    assert!(waiting.try_recv().is_err());
    stage.call(Action::DeleteMessage, json!({"QueueUrl": "a", "ReceiptHandle": first["ReceiptHandle"]}));
    assert_eq!(messages(waiting.try_recv()).len(), 1);
}
