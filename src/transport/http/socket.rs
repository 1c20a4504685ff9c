//! A connection's socket, whoever waits for it.
//!
//! The reactor hears of a socket's readiness from its epoll, with which the socket is registered. A thread that drives a call
//! itself ([`crate::runtime::caller`]) asks the socket alone, which is registered nowhere then, so that the reactor is not woken
//! for it. The socket changes from one to the other by itself, when it is used.

use std::io::{self, Write};
use std::mem;
use std::net::TcpStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream as RegisteredStream;

use crate::runtime::{caller, wake};

/// A connection's socket.
#[derive(Debug)]
pub(in crate::transport) enum Socket {
    /// The reactor's.
    Registered(RegisteredStream),
    /// That of a thread which drives its calls, or of nobody at the moment. It does not block either.
    Unregistered(Unregistered),
    /// It could not be changed.
    Lost,
}

/// A socket that no reactor watches.
#[derive(Debug)]
pub(in crate::transport) struct Unregistered {
    stream: TcpStream,
    /// Whether there may be something to read, as far as is known without asking.
    may_read: bool,
}

impl Socket {
    pub(crate) fn new(stream: RegisteredStream) -> Socket {
        Socket::Registered(stream)
    }

    /// The socket as the one who uses it now can use it.
    fn fit(&mut self) -> io::Result<()> {
        match (&self, caller::is_driving()) {
            (Socket::Registered(_), false) | (Socket::Unregistered(_), true) => return Ok(()),
            (Socket::Lost, _) => return Err(lost()),
            _ => {}
        }
        *self = match mem::replace(self, Socket::Lost) {
            Socket::Registered(stream) => {
                Socket::Unregistered(Unregistered { stream: stream.into_std()?, may_read: true })
            }
            Socket::Unregistered(unregistered) => Socket::Registered(RegisteredStream::from_std(unregistered.stream)?),
            Socket::Lost => Socket::Lost,
        };
        Ok(())
    }
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the socket could not be handed over")
}

impl Unregistered {
    fn read(&mut self, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if (caller::take_ready() || self.may_read) && self.read_now(buffer)? {
            return Poll::Ready(Ok(()));
        }
        caller::wait_readable(wake::descriptor(&self.stream));
        Poll::Pending
    }

    /// Whether there was something, or the end, to be read.
    fn read_now(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<bool> {
        loop {
            let room = buffer.remaining();
            match receive(&self.stream, buffer) {
                Ok(count) => {
                    // Less than there was room for is all that there was; the end stays where it is.
                    self.may_read = count == room || count == 0;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.may_read = false;
                    return Ok(false);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn write(&mut self, mut write: impl FnMut(&mut TcpStream) -> io::Result<usize>) -> Poll<io::Result<usize>> {
        loop {
            match write(&mut self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    caller::wait_writable(wake::descriptor(&self.stream));
                    return Poll::Pending;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

/// Read into the buffer, without writing to it beforehand as `Read` would have it.
#[cfg(unix)]
fn receive(stream: &TcpStream, buffer: &mut ReadBuf<'_>) -> io::Result<usize> {
    let room = buffer.remaining();
    // SAFETY: what is there is not read, and only bytes that were received are written to it.
    let unfilled = unsafe { buffer.unfilled_mut() };
    // SAFETY: the memory is ours for so many bytes until the call returns.
    let received = unsafe { libc::recv(wake::descriptor(stream), unfilled.as_mut_ptr().cast(), room, 0) };
    let Ok(count) = usize::try_from(received) else { return Err(io::Error::last_os_error()) };
    // SAFETY: so many bytes were written to it.
    unsafe { buffer.assume_init(count) };
    buffer.advance(count);
    Ok(count)
}

#[cfg(not(unix))]
fn receive(mut stream: &TcpStream, buffer: &mut ReadBuf<'_>) -> io::Result<usize> {
    let count = io::Read::read(&mut stream, buffer.initialize_unfilled())?;
    buffer.advance(count);
    Ok(count)
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        // The reactor tells of a socket only what happens once it is registered, and then not at once.
        if let Socket::Unregistered(unregistered) = socket
            && !caller::is_driving()
            && unregistered.read_now(buffer)?
        {
            return Poll::Ready(Ok(()));
        }
        socket.fit()?;
        match socket {
            Socket::Registered(stream) => Pin::new(stream).poll_read(context, buffer),
            Socket::Unregistered(unregistered) => unregistered.read(buffer),
            Socket::Lost => Poll::Ready(Err(lost())),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        socket.fit()?;
        match socket {
            Socket::Registered(stream) => Pin::new(stream).poll_write(context, bytes),
            Socket::Unregistered(unregistered) => unregistered.write(|stream| stream.write(bytes)),
            Socket::Lost => Poll::Ready(Err(lost())),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        socket.fit()?;
        match socket {
            Socket::Registered(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Socket::Unregistered(unregistered) => unregistered.write(|stream| stream.write_vectored(slices)),
            Socket::Lost => Poll::Ready(Err(lost())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// There is nothing between us and the kernel.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Registered(stream) => Pin::new(stream).poll_shutdown(context),
            Socket::Unregistered(unregistered) => {
                Poll::Ready(match unregistered.stream.shutdown(std::net::Shutdown::Write) {
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
                    done => done,
                })
            }
            Socket::Lost => Poll::Ready(Ok(())),
        }
    }
}
