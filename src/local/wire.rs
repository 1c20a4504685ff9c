//! A connection that can be made to break.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

const SOUND: u8 = 0;
/// The next write stops in the middle of the body, and nothing follows.
const HALF: u8 = 1;
/// No more is written.
const BROKEN: u8 = 2;
/// No more is written, and closing resets the connection.
const RESET: u8 = 3;

/// How to break the connection that a request came by.
#[derive(Clone, Debug, Default)]
pub struct Breaker(Arc<AtomicU8>);

impl Breaker {
    pub fn reset(&self) {
        self.0.store(RESET, Ordering::Relaxed);
    }

    pub fn half_reply(&self) {
        self.0.store(HALF, Ordering::Relaxed);
    }
}

#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    breaker: Breaker,
}

impl Wire {
    pub fn new(stream: TcpStream, breaker: Breaker) -> Wire {
        Wire { stream, breaker }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

// Vectored writes are left out: hyper then puts head and body into one buffer, which is one short copy and one write.
impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        match self.breaker.0.load(Ordering::Relaxed) {
            SOUND => Pin::new(&mut self.stream).poll_write(cx, buffer),
            HALF => {
                // The head whole, so that it is a reply, and half of the body.
                let head = buffer.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
                let half = buffer.get(..head + (buffer.len() - head) / 2).unwrap_or_default();
                let written = ready!(Pin::new(&mut self.stream).poll_write(cx, half))?;
                self.breaker.0.store(BROKEN, Ordering::Relaxed);
                Poll::Ready(Ok(written))
            }
            _ => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.breaker.0.load(Ordering::Relaxed) == RESET {
            // A shutdown would say goodbye first.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.breaker.0.load(Ordering::Relaxed) == RESET {
            // If it cannot be reset it is closed, which is all that is left to do.
            let _ = self.stream.set_zero_linger();
        }
    }
}
