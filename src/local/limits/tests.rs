//! Peers that dawdle, stop or hoard, over sockets; and those beside them, who are served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::*;
use crate::local::{PemFile, Server, ServerIdentity, ServerOptions};

const SHORT: Duration = Duration::from_millis(50);

fn server(limits: ServerLimits) -> Server {
    let server = Server::start(ServerOptions { limits, ..ServerOptions::default() }).unwrap();
    server.create_queue("q", &[], &[]).unwrap();
    server
}

/// One that speaks TLS, and how clients do so with it.
fn secured(limits: ServerLimits) -> (Server, Arc<ClientConfig>) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let pem = |name: &str, text: String| PemFile { name: name.to_owned(), bytes: text.into_bytes() };
    let identity = ServerIdentity { certificate: pem("cert", certificate.pem()), key: pem("key", key.serialize_pem()) };
    let server = Server::start(ServerOptions { limits, tls: Some(identity), ..ServerOptions::default() }).unwrap();
    server.create_queue("q", &[], &[]).unwrap();
    let mut trusted = RootCertStore::empty();
    trusted.add(certificate.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    (server, Arc::new(builder.with_root_certificates(trusted).with_no_client_auth()))
}

fn connect_by_tls(server: &Server, config: &Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(config.clone(), name).unwrap(), connect(server))
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
fn until_closed(mut peer: impl Read) -> String {
    let mut text = Vec::new();
    // A reset is an end as well.
    let _ = peer.read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}

/// The status of a request on a connection of its own.
fn status(server: &Server, request: &str) -> u16 {
    status_by(connect(server), request)
}

fn status_by(mut peer: impl Read + Write, request: &str) -> u16 {
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
    stalled_by(|| connect(server))
}

fn stalled_by<P: Read + Write>(connect: impl Fn() -> P) -> P {
    let message = request("SendMessage", &format!(", \"MessageBody\": \"{}\"", "a".repeat(1 << 20)));
    for _ in 0..8 {
        assert_eq!(status_by(connect(), &message), 200);
    }
    let mut peer = connect();
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
fn a_reply_by_tls_that_nobody_takes_is_given_up() {
    let (server, config) = secured(ServerLimits { reply: SHORT, replies: 1, ..ServerLimits::default() });
    let peer = stalled_by(|| connect_by_tls(&server, &config));
    eventually(|| !server.shared().replies.is_full());
    assert!(until_closed(peer).len() < 8 << 20);
}

/// What a client says first, but for its end.
fn part_of_a_hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let mut client = ClientConnection::new(config.clone(), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello.truncate(hello.len() / 2);
    hello
}

#[test]
fn a_handshake_that_does_not_come_to_its_end_ends_the_connection() {
    let (server, config) = secured(ServerLimits { head: SHORT, ..ServerLimits::default() });
    for start in [Vec::new(), part_of_a_hello(&config)] {
        let mut peer = connect(&server);
        peer.write_all(&start).unwrap();
        assert_eq!(until_closed(peer), "");
    }
    // Nor does it stay when no request follows, if it has come so far in time.
    let mut peer = connect_by_tls(&server, &config);
    let _ = peer.conn.complete_io(&mut peer.sock);
    let text = until_closed(peer);
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 408 "), "{text}");
}

#[test]
fn handshakes_that_do_not_end_make_room_for_those_that_do() {
    let (server, config) = secured(ServerLimits { handshakes: 3, ..ServerLimits::default() });
    let mut peers: Vec<TcpStream> = Vec::new();
    for number in 0..8 {
        let mut peer = connect(&server);
        peer.write_all(&part_of_a_hello(&config)).unwrap();
        peers.push(peer);
        // Whose turn it is to be accepted is not ours to say: the server has it when it has counted it.
        eventually(|| server.stats().connections > 2 * number);
        assert_eq!(status_by(connect_by_tls(&server, &config), &request("ReceiveMessage", "")), 200);
    }
    assert_eq!(until_closed(peers.remove(0)), "");
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
