//! The embedded SQS over real sockets: many clients at once on one queue.

// Helpers of tests are tests: what they do not expect is to fail the test.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use turbosqs::local::{Fault, FaultKind, Server, ServerOptions};

/// A client that knows just enough HTTP.
struct Client(BufReader<TcpStream>);

impl Client {
    fn of(server: &Server) -> Client {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Client(BufReader::new(stream))
    }

    fn call(&mut self, action: &str, members: Value) -> Value {
        let body = members.to_string();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AmazonSQS.{action}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut status, mut length) = (String::new(), 0);
        self.0.read_line(&mut status).unwrap();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            match line.trim_end().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        let mut reply = vec![0; length];
        self.0.read_exact(&mut reply).unwrap();
        let reply = serde_json::from_slice(&reply).unwrap();
        assert!(status.starts_with("HTTP/1.1 200"), "{action}: {status}{reply}");
        reply
    }
}

const CLIENTS: usize = 64;
const BATCHES: usize = 25;

/// Who received a message, and when, for each time.
type Receives = HashMap<String, Vec<(usize, Instant)>>;

/// Half of the clients send, half receive and delete, all on one queue. What they saw, by body, in the order of each.
fn stress(server: &Server, url: &str, fifo: bool) -> Receives {
    let expected = CLIENTS / 2 * BATCHES * 10;
    let deleted = Arc::new(AtomicUsize::new(0));
    let seen: Arc<Mutex<Receives>> = Arc::default();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS / 2 {
            scope.spawn(move || {
                let mut connection = Client::of(server);
                for batch in 0..BATCHES {
                    let entries: Vec<Value> = (0..10)
                        .map(|i| {
                            let body = format!("{client}/{}", batch * 10 + i);
                            let mut entry = json!({"Id": i.to_string(), "MessageBody": body});
                            if fifo {
                                entry["MessageGroupId"] = json!(client.to_string());
                                entry["MessageDeduplicationId"] = json!(body.replace('/', "-"));
                            }
                            entry
                        })
                        .collect();
                    let reply = connection.call("SendMessageBatch", json!({"QueueUrl": url, "Entries": entries}));
                    assert_eq!(reply["Successful"].as_array().unwrap().len(), 10);
                }
            });
            let (deleted, seen) = (deleted.clone(), seen.clone());
            scope.spawn(move || {
                let mut connection = Client::of(server);
                while deleted.load(Ordering::SeqCst) < expected {
                    let request = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1});
                    let reply = connection.call("ReceiveMessage", request);
                    let Some(messages) = reply["Messages"].as_array() else { continue };
                    let now = Instant::now();
                    let mut entries = Vec::new();
                    for (i, message) in messages.iter().enumerate() {
                        let body = message["Body"].as_str().unwrap().to_owned();
                        seen.lock().unwrap().entry(body).or_default().push((client, now));
                        entries.push(json!({"Id": i.to_string(), "ReceiptHandle": message["ReceiptHandle"]}));
                    }
                    let reply = connection.call("DeleteMessageBatch", json!({"QueueUrl": url, "Entries": entries}));
                    deleted.fetch_add(reply["Successful"].as_array().unwrap().len(), Ordering::SeqCst);
                }
            });
        }
    });
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), expected, "messages were lost");
    let twice: Vec<_> = seen.iter().filter(|(_, receives)| receives.len() > 1).collect();
    assert!(twice.is_empty(), "delivered twice within their visibility: {twice:?}");
    seen
}

#[test]
fn sixty_four_clients_on_a_standard_queue() {
    let server = Server::start(ServerOptions::default()).unwrap();
    let url = server.create_queue("orders", &[("VisibilityTimeout", "600")], &[]).unwrap();
    stress(&server, &url, false);
    let stats = server.stats();
    assert_eq!(stats.requests["SendMessageBatch"], (CLIENTS / 2 * BATCHES) as u64);
}

#[test]
fn sixty_four_clients_on_a_fifo_queue() {
    let server = Server::start(ServerOptions::default()).unwrap();
    let url = server.create_queue("jobs.fifo", &[("FifoQueue", "true"), ("VisibilityTimeout", "600")], &[]).unwrap();
    let seen = stress(&server, &url, true);
    // A group is one sender's. Its later message is never handed out before its earlier one: both were noted on
    // receipt, and a message behind one in flight is only handed out together with it or after its deletion.
    for client in 0..CLIENTS / 2 {
        let times: Vec<Instant> = (0..BATCHES * 10).map(|i| seen[&format!("{client}/{i}")][0].1).collect();
        assert!(times.is_sorted(), "group {client} was out of order");
    }
}

#[test]
fn it_starts_at_once() {
    let mut times: Vec<Duration> = (0..20)
        .map(|_| {
            let started = Instant::now();
            let server = Server::start(ServerOptions::default()).unwrap();
            Client::of(&server).call("ListQueues", json!({}));
            started.elapsed()
        })
        .collect();
    times.sort();
    // The median, since this machine may be busy; a start takes well under a millisecond.
    assert!(times[10] < Duration::from_millis(20), "{times:?}");
}

#[test]
fn a_poll_whose_client_has_left_takes_no_message() {
    let server = Server::start(ServerOptions::default()).unwrap();
    let url = server.create_queue("orders", &[], &[]).unwrap();
    let body = json!({"QueueUrl": url, "WaitTimeSeconds": 20}).to_string();
    let mut leaver = TcpStream::connect(server.address()).unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AmazonSQS.ReceiveMessage\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    leaver.write_all((head + &body).as_bytes()).unwrap();
    while !server.stats().requests.contains_key("ReceiveMessage") {
        std::thread::yield_now();
    }
    drop(leaver);
    let mut client = Client::of(&server);
    // The server learns of the goodbye in its own time: requests that follow it through the same loop come later.
    for _ in 0..50 {
        client.call("ListQueues", json!({}));
    }
    client.call("SendMessage", json!({"QueueUrl": url, "MessageBody": "a"}));
    let reply = client.call("ReceiveMessage", json!({"QueueUrl": url}));
    assert_eq!(reply["Messages"][0]["Body"], "a");
}

#[test]
fn the_clock_moves_and_faults_strike_from_rust() {
    let mut server = Server::start(ServerOptions::default()).unwrap();
    let url = server.create_queue("orders", &[], &[]).unwrap();
    let mut client = Client::of(&server);
    client.call("SendMessage", json!({"QueueUrl": url, "MessageBody": "a", "DelaySeconds": 900}));
    assert_eq!(client.call("ReceiveMessage", json!({"QueueUrl": url})), json!({}));
    server.advance(Duration::from_secs(900));
    assert_eq!(client.call("ReceiveMessage", json!({"QueueUrl": url}))["Messages"][0]["Body"], "a");
    let kind = FaultKind::PartialFailure { entries: Some(vec![0]), sender_fault: false };
    server.set_faults(vec![Fault { times: Some(1), ..Fault::always(kind) }]);
    let entries = json!([{"Id": "a", "MessageBody": "b"}]);
    let reply = client.call("SendMessageBatch", json!({"QueueUrl": url, "Entries": entries}));
    assert_eq!(reply["Failed"][0]["SenderFault"], false);
    server.reset();
    assert_eq!(client.call("ListQueues", json!({})), json!({}));
    server.stop();
    assert!(TcpStream::connect(server.address()).is_err());
}
