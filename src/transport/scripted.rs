//! A transport for tests, which does what the test says.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{ResponseFuture, Transport};
use crate::config::StaticCredentials;
use crate::model::Action;
use crate::protocol::error::{Error, Failure, Lost, Retry, ServiceError};
use crate::protocol::headers::ReplyHeaders;
use crate::protocol::message::{Presign, Reply, Request};

/// What the configuration would allow.
pub(crate) const MAX_ATTEMPTS: u32 = 3;
/// For what does happen, however busy the machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

type Script = dyn Fn(Action, &Value) -> Result<Reply, Error> + Send + Sync;

/// Answers by a script, each request once it is let through.
pub(crate) struct Scripted {
    script: Box<Script>,
    /// `None`: requests pass at once.
    gate: Option<tokio::sync::Semaphore>,
    pub seen: Mutex<Vec<(Action, Value)>>,
    arrived: Mutex<mpsc::Sender<()>>,
    arrivals: Mutex<mpsc::Receiver<()>>,
    pub retries: AtomicUsize,
    /// How many of them have succeeded.
    pub recovered: AtomicUsize,
    /// How long an entry rests before another try.
    pub rest: Mutex<Duration>,
}

impl Scripted {
    /// `gated`: requests wait for [`Scripted::let_through`].
    pub(crate) fn new(
        gated: bool,
        script: impl Fn(Action, &Value) -> Result<Reply, Error> + Send + Sync + 'static,
    ) -> Arc<Scripted> {
        let (arrived, arrivals) = mpsc::channel();
        Arc::new(Scripted {
            script: Box::new(script),
            gate: gated.then(|| tokio::sync::Semaphore::new(0)),
            seen: Mutex::default(),
            arrived: Mutex::new(arrived),
            arrivals: Mutex::new(arrivals),
            retries: AtomicUsize::new(0),
            recovered: AtomicUsize::new(0),
            rest: Mutex::new(Duration::from_micros(100)),
        })
    }

    pub(crate) fn transport(self: &Arc<Self>) -> Arc<dyn Transport> {
        Arc::new(ScriptedTransport(Arc::clone(self)))
    }

    /// Wait until one more request has arrived.
    pub(crate) fn arrival(&self) {
        self.arrivals.lock().unwrap().recv_timeout(TIMEOUT).expect("no request came");
    }

    pub(crate) fn let_through(&self, requests: usize) {
        self.gate.as_ref().unwrap().add_permits(requests);
    }

    /// The bodies of the messages that each request so far has carried.
    pub(crate) fn seen_bodies(&self) -> Vec<Vec<String>> {
        self.seen.lock().unwrap().iter().map(|(_, body)| bodies(body)).collect()
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

#[derive(Debug)]
struct ScriptedTransport(Arc<Scripted>);

impl Transport for ScriptedTransport {
    fn send(&self, request: Request) -> ResponseFuture<Reply> {
        let it = Arc::clone(&self.0);
        Box::pin(async move {
            let body: Value = serde_json::from_slice(&request.body).expect("a request is JSON");
            it.seen.lock().unwrap().push((request.action, body.clone()));
            let _ = it.arrived.lock().unwrap().send(());
            if let Some(gate) = &it.gate {
                gate.acquire().await.unwrap().forget();
            }
            (it.script)(request.action, &body)
        })
    }

    fn presign(&self, _: Presign) -> ResponseFuture<String> {
        unreachable!("nothing is signed here")
    }

    fn credentials(&self) -> ResponseFuture<Option<StaticCredentials>> {
        unreachable!("nothing is signed here")
    }

    fn retry(&self, attempts: u32, _: Retry) -> Option<Duration> {
        (attempts < MAX_ATTEMPTS).then(|| {
            self.0.retries.fetch_add(1, Ordering::Relaxed);
            *self.0.rest.lock().unwrap()
        })
    }

    fn recovered(&self, _: Retry) {
        self.0.recovered.fetch_add(1, Ordering::Relaxed);
    }
}

/// The bodies of a request's messages, in order.
pub(crate) fn bodies(request: &Value) -> Vec<String> {
    match request.get("Entries") {
        Some(entries) => entries.as_array().unwrap().iter().map(|entry| text(entry, "MessageBody")).collect(),
        None => vec![text(request, "MessageBody")],
    }
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap().to_owned()
}

pub(crate) fn reply(body: &Value) -> Result<Reply, Error> {
    Ok(Reply {
        status: 200,
        headers: ReplyHeaders::none(),
        body: Bytes::from(body.to_string()),
        attempts: 1,
        max_attempts: MAX_ATTEMPTS,
        is_legacy: false,
    })
}

pub(crate) fn refusal(status: u16, code: &str) -> Result<Reply, Error> {
    let body = json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": code});
    let reply = Reply { status, ..reply(&body)? };
    Err(Error::Service(Box::new(ServiceError::from_reply(reply))))
}

pub(crate) fn lost() -> Result<Reply, Error> {
    Err(Error::Lost(Box::new(Lost { failure: Failure::Closed, url: "http://q".into(), detail: "gone".into() })))
}

/// An SQS that takes everything, and gives each message its body for an id.
pub(crate) fn echo(_: Action, request: &Value) -> Result<Reply, Error> {
    let Some(entries) = request.get("Entries") else { return reply(&taken(&request["MessageBody"])) };
    let all = entries.as_array().unwrap().iter().rev();
    let successful: Vec<_> = all
        .map(|entry| {
            let mut taken = taken(&entry["MessageBody"]);
            taken["Id"] = entry["Id"].clone();
            taken
        })
        .collect();
    reply(&json!({"Successful": successful}))
}

fn taken(body: &Value) -> Value {
    json!({"MessageId": body, "MD5OfMessageBody": "md5"})
}
