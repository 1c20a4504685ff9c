//! Peers that dawdle, stop or hoard, over sockets; and those beside them, who are served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::*;
use crate::local::{Server, ServerOptions};

const SHORT: Duration = Duration::from_millis(50);

fn server(limits: ServerLimits) -> Server {
    let server = Server::start(ServerOptions { limits, ..ServerOptions::default() }).unwrap();
    server.create_queue("q", &[], &[]).unwrap();
    server
}

fn connect(server: &Server) -> TcpStream {
    let peer = TcpStream::connect(server.address()).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    peer
}

fn head(action: &str, length: usize) -> String {
    format!("POST / HTTP/1.1\r\nHost: q\r\nX-Amz-Target: AmazonSQS.{action}\r\nContent-Length: {length}\r\n\r\n")
}

fn request(action: &str, members: &str) -> String {
    let body = format!("{{\"QueueUrl\": \"http://q/000000000000/q\"{members}}}");
    head(action, body.len()) + &body
}

/// All that comes until the server closes the connection.
fn until_closed(mut peer: TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is an end as well.
    let _ = peer.read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}

/// The status of a request on a connection of its own.
fn status(server: &Server, request: &str) -> u16 {
    let mut peer = connect(server);
    peer.write_all(request.as_bytes()).unwrap();
    let mut start = [0; 12];
    peer.read_exact(&mut start).unwrap();
    std::str::from_utf8(&start[9..]).unwrap().parse().unwrap()
}

fn eventually(mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(20), "it never came to that");
        std::thread::yield_now();
    }
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let server = server(ServerLimits { head: SHORT, ..ServerLimits::default() });
    for start in ["", "POST / HTTP/1.1\r\nHos"] {
        let mut peer = connect(&server);
        peer.write_all(start.as_bytes()).unwrap();
        let text = until_closed(peer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 408 "), "{text}");
    }
}

#[test]
fn a_body_that_does_not_come_is_given_up() {
    let server = server(ServerLimits { body: SHORT, ..ServerLimits::default() });
    let mut peer = connect(&server);
    peer.write_all(head("SendMessage", 10_000).as_bytes()).unwrap();
    peer.write_all(b"{").unwrap();
    let text = until_closed(peer);
    assert!(text.starts_with("HTTP/1.1 408 ") && text.contains("RequestTimeout"), "{text}");
    assert!(text.contains("connection: close"), "{text}");
}

#[test]
fn a_long_poll_is_not_slow() {
    let server = server(ServerLimits { head: SHORT, body: SHORT, reply: SHORT, ..ServerLimits::default() });
    assert_eq!(status(&server, &request("ReceiveMessage", ", \"WaitTimeSeconds\": 1")), 200);
}

#[test]
fn bodies_that_do_not_end_make_room_for_those_that_do() {
    let server = server(ServerLimits { bodies: 1 << 20, ..ServerLimits::default() });
    let mut peers: Vec<TcpStream> = Vec::new();
    for _ in 0..8 {
        let mut peer = connect(&server);
        peer.write_all(head("SendMessage", 1 << 20).as_bytes()).unwrap();
        peer.write_all(&[b' '; 400_000]).unwrap();
        peers.push(peer);
        let body = "a".repeat(400_000);
        assert_eq!(status(&server, &request("SendMessage", &format!(", \"MessageBody\": \"{body}\""))), 200);
    }
    // Some have been given up, the oldest first.
    let text = until_closed(peers.remove(0));
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("unfinished requests"), "{text}");
}

/// A receive of 8 MiB whose reply is not read.
fn stalled(server: &Server) -> TcpStream {
    let message = request("SendMessage", &format!(", \"MessageBody\": \"{}\"", "a".repeat(1 << 20)));
    for _ in 0..8 {
        assert_eq!(status(server, &message), 200);
    }
    let mut peer = connect(server);
    peer.write_all(request("ReceiveMessage", ", \"MaxNumberOfMessages\": 10").as_bytes()).unwrap();
    let mut first = [0];
    peer.read_exact(&mut first).unwrap();
    peer
}

#[test]
fn a_reply_that_nobody_takes_is_given_up() {
    let server = server(ServerLimits { reply: SHORT, replies: 1, ..ServerLimits::default() });
    let peer = stalled(&server);
    eventually(|| !server.shared().replies.is_full());
    assert!(until_closed(peer).len() < 8 << 20);
}

#[test]
fn nothing_is_received_while_too_much_is_not_taken() {
    let server = server(ServerLimits { replies: 1, ..ServerLimits::default() });
    let receive = request("ReceiveMessage", "");
    assert_eq!(status(&server, &receive), 200);
    let peer = stalled(&server);
    assert_eq!(status(&server, &receive), 503);
    assert_eq!(status(&server, &request("SendMessage", ", \"MessageBody\": \"a\"")), 200);
    drop(peer);
    eventually(|| status(&server, &receive) == 200);
}

#[test]
fn heads_and_lists_have_a_most() {
    let server = server(ServerLimits::default());
    let long = format!("POST / HTTP/1.1\r\nHost: q\r\nX: {}\r\n\r\n", "a".repeat(100_000));
    assert!(matches!(status(&server, &long), 400 | 431));
    for members in [
        ", \"Entries\": [".to_owned() + &"{},".repeat(1_000_000) + "{}]",
        ", \"Entries\": [{\"MessageAttributes\": {".to_owned()
            + &(0..300).map(|n| format!("\"{n}\": {{}},")).collect::<String>()
            + "\"last\": {}}}]",
    ] {
        let mut peer = connect(&server);
        peer.write_all(
            request("SendMessageBatch", &members)
                .replace("HTTP/1.1\r\n", "HTTP/1.1\r\nConnection: close\r\n")
                .as_bytes(),
        )
        .unwrap();
        let text = until_closed(peer);
        assert!(text.starts_with("HTTP/1.1 400 ") && text.contains("more than 200 elements"), "{text}");
    }
}
