//! Connections: sockets that give slow peers up, what is spoken over them, and how they are made to break.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

const SOUND: u8 = 0;
/// The next write stops in the middle of the body, and nothing follows.
const HALF: u8 = 1;
/// No more is written.
const BROKEN: u8 = 2;
/// No more is written, and closing resets the connection.
const RESET: u8 = 3;

/// How to break the connection that a request came by.
#[derive(Clone, Debug, Default)]
pub(super) struct Breaker(Arc<AtomicU8>);

impl Breaker {
    pub(super) fn reset(&self) {
        self.0.store(RESET, Ordering::Relaxed);
    }

    pub(super) fn half_reply(&self) {
        self.0.store(HALF, Ordering::Relaxed);
    }
}

/// A TCP connection that is given up if its peer takes nothing.
#[derive(Debug)]
pub(super) struct ServerSocket {
    stream: TcpStream,
    /// How long the peer may take nothing of what is written.
    timeout: Duration,
    /// When that is over, while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl ServerSocket {
    pub(super) fn new(stream: TcpStream, timeout: Duration) -> ServerSocket {
        ServerSocket { stream, timeout, stalled: None }
    }

    /// The first byte that comes, which stays there to be read; `None` if the peer is gone before.
    pub(super) async fn first_byte(&self) -> Option<u8> {
        let mut first = [0];
        let read = self.stream.peek(&mut first).await.ok()?;
        first.into_iter().take(read).next()
    }

    /// Ends a write at which the peer has taken nothing for too long.
    fn bear(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let timeout = self.timeout;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
        timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for ServerSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for ServerSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buffer);
        self.bear(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, buffers);
        self.bear(cx, written)
    }

    // Head and body of a reply are written together without being copied: hyper would keep the buffer for the copy as
    // long as the connection, however large the one reply that needed it.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What HTTP is spoken on.
#[derive(Debug)]
pub(super) enum ServerStream {
    Plain(ServerSocket),
    Tls(Box<TlsStream<ServerSocket>>),
}

/// The same call of whatever stream is within.
macro_rules! each {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            ServerStream::Plain($inner) => $call,
            ServerStream::Tls($inner) => $call,
        }
    };
}

/// A connection that faults can break.
#[derive(Debug)]
pub(super) struct Wire {
    stream: ServerStream,
    breaker: Breaker,
}

impl Wire {
    pub(super) fn new(stream: ServerStream, breaker: Breaker) -> Wire {
        Wire { stream, breaker }
    }

    fn socket(&self) -> &ServerSocket {
        match &self.stream {
            ServerStream::Plain(socket) => socket,
            ServerStream::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.stream, inner => Pin::new(inner).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buffer)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.breaker.0.load(Ordering::Relaxed) {
            SOUND => each!(&mut self.stream, inner => Pin::new(inner).poll_write_vectored(cx, buffers)),
            HALF => {
                let whole: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.iter().copied()).collect();
                // The head whole, so that it is a reply, and half of the body.
                let head = whole.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
                let half = whole.get(..head + (whole.len() - head) / 2).unwrap_or_default();
                let written = ready!(each!(&mut self.stream, inner => Pin::new(inner).poll_write(cx, half)))?;
                self.breaker.0.store(BROKEN, Ordering::Relaxed);
                Poll::Ready(Ok(written))
            }
            _ => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        each!(&self.stream, inner => inner.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.stream, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.breaker.0.load(Ordering::Relaxed) == RESET {
            // A shutdown would say goodbye first.
            return Poll::Ready(Ok(()));
        }
        each!(&mut self.stream, inner => Pin::new(inner).poll_shutdown(cx))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.breaker.0.load(Ordering::Relaxed) == RESET {
            // If it cannot be reset it is closed, which is all that is left to do.
            let _ = self.socket().stream.set_zero_linger();
        }
    }
}
