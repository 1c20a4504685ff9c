//! The server's sockets: listening, accepting connections, and what becomes of each.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::http as front;
use super::lock::lock;
use super::log::Complaints;
use super::server::ServerShared;
use super::tls::{self, TlsSide};
use super::wire::{Breaker, ServerSocket, ServerStream, Wire};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 4_096;

/// The same error, which says of which address it is.
fn name_address(error: io::Error, address: SocketAddr) -> io::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let message = format!("{address} is in use: another server may have it; choose another port, or 0 for any");
            io::Error::new(io::ErrorKind::AddrInUse, message)
        }
        _ => error,
    }
}

/// Listens on this address, with port 0 on any free one.
pub(super) fn listen(wanted: SocketAddr) -> io::Result<TcpListener> {
    let socket = if wanted.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(wanted).map_err(|error| name_address(error, wanted))?;
    socket.listen(BACKLOG).map_err(|error| name_address(error, wanted))
}
/// A file that is always there.
const NOWHERE: &str = if cfg!(windows) { "NUL" } else { "/dev/null" };

/// Takes connections and serves each, for ever.
pub(super) async fn accept(listener: TcpListener, shared: &Arc<ServerShared>) {
    // Given up for a moment when there are no descriptors left, so that a caller is turned away instead of left hanging.
    let mut spare = std::fs::File::open(NOWHERE).ok();
    let mut complaints = Complaints::default();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                shared.state().stats.connections += 1;
                tokio::spawn(connection(stream, shared.clone()));
            }
            Err(error) => {
                complaints.say(shared.log, &format!("cannot accept a connection: {error}"));
                // Turns one caller away with the descriptor kept for it, and never spins.
                drop(spare.take());
                let turned_away = tokio::time::timeout(Duration::from_millis(10), listener.accept()).await;
                drop(turned_away);
                spare = std::fs::File::open(NOWHERE).ok();
                if spare.is_none() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }
}

/// How much of a connection's requests is read ahead, and so the longest head.
const MAX_BUFFER: usize = 65_536;

async fn connection(stream: TcpStream, shared: Arc<ServerShared>) {
    // Replies are written whole; without this each would wait for the peer's acknowledgement.
    let _ = stream.set_nodelay(true);
    let socket = ServerSocket::new(stream, shared.limits.reply);
    let stream = match &shared.tls {
        None => ServerStream::Plain(socket),
        Some(tls) => match secure(tls, socket, &shared).await {
            Some(stream) => stream,
            None => return,
        },
    };
    let over_tls = matches!(stream, ServerStream::Tls(_));
    let breaker = Breaker::default();
    let wire = Wire::new(stream, breaker.clone());
    let head = shared.limits.head;
    let service = service_fn(move |request| front::serve(shared.clone(), breaker.clone(), over_tls, request));
    // A connection that fails has nobody left to tell: hyper has answered what could be answered.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(wire), service)
        .await;
}

/// What HTTP is spoken on with a client of a server that speaks TLS: the other side of the handshake, or the bare connection if
/// the client knows no better, who is then told. `None` for one that does not get so far.
async fn secure(tls: &TlsSide, socket: ServerSocket, shared: &ServerShared) -> Option<ServerStream> {
    let (mut held, evicted) = tls.unfinished.arriving();
    held.add(1);
    let handshake = async {
        match socket.first_byte().await {
            None => None,
            Some(tls::HANDSHAKE) => Some(tls.handshake(socket).await),
            Some(_) => Some(Ok(ServerStream::Plain(socket))),
        }
    };
    let done = tokio::select! {
        biased;
        done = handshake => done?,
        _ = evicted => return None,
        () = tokio::time::sleep(shared.limits.head) => return None,
    };
    let complaint = match &done {
        Ok(ServerStream::Tls(stream)) => {
            let stats = &mut shared.state().stats;
            stats.handshakes += 1;
            stats.resumed += u64::from(tls::is_resumed(stream));
            None
        }
        Ok(ServerStream::Plain(_)) => Some(front::not_tls(shared)),
        Err(error) => tls::explained(error),
    };
    if let Some(complaint) = complaint {
        lock(&tls.complaints).say(shared.log, &complaint);
    }
    done.ok()
}
