//! The embedded SQS without sockets, threads or a clock, for tests that make time up: actions in, answers out, and the truth
//! about each message.

use tokio::sync::oneshot;

use super::error::SqsError;
use super::message::{MessageState, Millis};
use super::operations::Wait;
use super::polls::Polls;
use super::service::{Answer, Caller, Service};
use crate::model::Action;

/// When simulated time begins, in milliseconds since 1970.
const BEGINNING: Millis = 1_700_000_000_000;

const CALLER: Caller<'static> =
    Caller { account: "000000000000", region: "us-east-1", scheme: "http", host: "sqs", trace: None };

/// An SQS with one queue. All times are milliseconds since simulated time began.
#[derive(Debug)]
pub(crate) struct SimulatedSqs {
    service: Service,
    polls: Polls,
    queue: u32,
    /// The queue's URL.
    pub url: String,
}

/// A refusal, in the service's words.
#[derive(Debug)]
pub(crate) struct Refused {
    pub status: u16,
    pub code: String,
}

/// What a request comes to.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answered(Result<Vec<u8>, Refused>),
    /// A long poll, which ends with nothing at this time.
    Waits(Waiting, Millis),
}

/// A long poll that waits for its answer.
#[derive(Debug)]
pub(crate) struct Waiting(oneshot::Receiver<Result<Vec<u8>, SqsError>>);

impl Waiting {
    /// The answer, if there is one by now.
    pub(crate) fn answer(&mut self) -> Option<Result<Vec<u8>, Refused>> {
        self.0.try_recv().ok().map(refuse)
    }
}

/// Where a message stands, as a receipt handle sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Deleted,
    /// Received again since by somebody else.
    Superseded,
    Visible,
    /// Invisible until then, and nobody has received it since.
    Ours(Millis),
}

fn refuse(answer: Result<Vec<u8>, SqsError>) -> Result<Vec<u8>, Refused> {
    answer.map_err(|error| Refused { status: error.status, code: error.code.to_string() })
}

impl SimulatedSqs {
    pub(crate) fn new(name: &str, attributes: &[(&str, &str)]) -> SimulatedSqs {
        let mut service = Service::new(false);
        let attributes: serde_json::Map<_, _> =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let body = serde_json::json!({"QueueName": name, "Attributes": attributes}).to_string();
        let reply = match service.call(Action::CreateQueue, &CALLER, body.as_bytes(), BEGINNING) {
            Ok(Answer::Reply(reply)) => reply,
            other => panic!("the queue is not made: {other:?}"),
        };
        let reply: serde_json::Value = serde_json::from_slice(&reply).unwrap();
        let url = reply["QueueUrl"].as_str().unwrap().to_owned();
        let queue = service.find_by_url(Some(&url), &CALLER).unwrap();
        SimulatedSqs { service, polls: Polls::default(), queue, url }
    }

    pub(crate) fn call(&mut self, action: Action, body: &[u8], now: Millis) -> Outcome {
        let answer = self.service.call(action, &CALLER, body, BEGINNING + now);
        let outcome = match answer {
            Ok(Answer::Reply(reply)) => Outcome::Answered(Ok(reply)),
            Ok(Answer::Wait(wait)) => self.wait(wait),
            Err(error) => Outcome::Answered(refuse(Err(error))),
        };
        self.polls.serve(&mut self.service, BEGINNING + now);
        outcome
    }

    fn wait(&mut self, wait: Wait) -> Outcome {
        let until = wait.until - BEGINNING;
        self.service.touched.push(wait.queue);
        Outcome::Waits(Waiting(self.polls.add(wait)), until)
    }

    /// When waiting polls may have something by time alone.
    pub(crate) fn next_event(&self) -> Option<Millis> {
        self.polls.next_wake().map(|at| at - BEGINNING)
    }

    pub(crate) fn tick(&mut self, now: Millis) {
        self.polls.tick(&mut self.service, BEGINNING + now);
    }

    /// Whether a receive at this moment would bring a message.
    pub(crate) fn has_visible(&mut self, now: Millis) -> bool {
        self.service.queue_mut(self.queue).unwrap().peek(BEGINNING + now).is_some()
    }

    /// How many messages are visible, in flight, delayed.
    pub(crate) fn counts(&mut self, now: Millis) -> (usize, usize, usize) {
        let counts = self.service.queue_mut(self.queue).unwrap().counts(BEGINNING + now);
        (counts.visible, counts.in_flight, counts.delayed)
    }

    /// The bodies of all that is in the queue.
    pub(crate) fn bodies(&mut self, now: Millis) -> Vec<String> {
        let queue = self.service.queue_mut(self.queue).unwrap();
        queue.settle(BEGINNING + now);
        queue.bodies()
    }

    pub(crate) fn standing(&mut self, handle: &str, now: Millis) -> Standing {
        let receipt = self.service.open_handle(handle, self.queue).unwrap();
        let queue = self.service.queue_mut(self.queue).unwrap();
        queue.settle(BEGINNING + now);
        match queue.message(receipt.key) {
            None => Standing::Deleted,
            Some(message) if message.receive_count != receipt.receive => Standing::Superseded,
            Some(message) => match message.state {
                MessageState::InFlight(until) => Standing::Ours(until - BEGINNING),
                MessageState::Visible | MessageState::Delayed(_) => Standing::Visible,
            },
        }
    }
}
