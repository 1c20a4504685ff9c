//! A connection's socket, whoever waits for it.
//!
//! The reactor hears of a socket's readiness from its epoll, with which the socket is registered. A thread that drives a call
//! itself ([`crate::runtime::caller`]) asks the socket alone, which is registered nowhere then, so that the reactor is not woken
//! for it, and which blocks, so that the thread can wait for a reply in the call that reads it. The socket changes from one to the other
//! by itself, when it is used.

use std::io::{self, IoSlice};
use std::mem;
use std::net::TcpStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream as RegisteredStream;

use crate::runtime::{caller, wake};

/// A connection's socket.
#[derive(Debug)]
pub(in crate::transport) struct Socket {
    stream: SocketStream,
    must_ask: bool,
}

/// A socket as one can use it who waits for it.
#[derive(Debug)]
enum SocketStream {
    /// The reactor's.
    Registered(RegisteredStream),
    /// That of a thread which drives its calls, or of nobody at the moment.
    Unregistered(Unregistered),
    /// It could not be changed.
    Lost,
}

/// A socket that no reactor watches. If it [blocks](BLOCKS), then for [`caller::LONGEST_WAIT`] at most, and never with [`NOW`].
#[derive(Debug)]
struct Unregistered {
    stream: TcpStream,
    /// Whether there may be something to read, as far as is known without asking.
    may_read: bool,
}

impl Socket {
    pub(crate) fn new(stream: RegisteredStream) -> Socket {
        Socket { stream: SocketStream::Registered(stream), must_ask: false }
    }

    /// Have the kernel asked at the next read, whatever is known of the socket: the reactor may not have heard yet that the peer has said
    /// something, or has ended the connection.
    pub(crate) fn ask(&mut self) {
        self.must_ask = true;
    }

    /// The socket as the one who uses it now can use it.
    fn fit(&mut self) -> io::Result<&mut SocketStream> {
        match (&self.stream, caller::is_driving()) {
            (SocketStream::Registered(_), false) | (SocketStream::Unregistered(_), true) => return Ok(&mut self.stream),
            (SocketStream::Lost, _) => return Err(lost()),
            _ => {}
        }
        self.stream = match mem::replace(&mut self.stream, SocketStream::Lost) {
            SocketStream::Registered(stream) => SocketStream::Unregistered(Unregistered::new(stream.into_std()?)?),
            SocketStream::Unregistered(Unregistered { stream, .. }) => {
                stream.set_nonblocking(true)?;
                // The reactor tells of a socket only what happens once it is registered, and then not at once.
                self.must_ask = true;
                SocketStream::Registered(RegisteredStream::from_std(stream)?)
            }
            SocketStream::Lost => SocketStream::Lost,
        };
        Ok(&mut self.stream)
    }

    /// Whether there was something, or the end, to be read.
    fn ask_now(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<bool> {
        match &mut self.stream {
            SocketStream::Registered(stream) => {
                let socket = SockRef::from(&*stream);
                at_once(|| receive(&socket, NOW, buffer)).map(|count| count.is_some())
            }
            SocketStream::Unregistered(unregistered) => {
                unregistered.may_read = true;
                Ok(false)
            }
            SocketStream::Lost => Ok(false),
        }
    }
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the socket could not be handed over")
}

/// Whether the socket of a thread that drives its calls blocks. Not on Apple's systems, whose sockets block in a call that sends whatever
/// flag it has: there a read that would wait says so at once, and the thread waits in `poll`. Elsewhere than on Unix no thread drives calls.
const BLOCKS: bool = cfg!(all(unix, not(target_vendor = "apple")));

/// A flag of a call that does not block, though the socket does.
#[cfg(unix)]
const NOW: libc::c_int = libc::MSG_DONTWAIT;
#[cfg(not(unix))]
const NOW: i32 = 0;

/// Nor does a connection that the peer has ended raise a signal; where there is no such flag, sockets are made so.
#[cfg(all(unix, not(target_vendor = "apple")))]
const SEND_NOW: libc::c_int = NOW | libc::MSG_NOSIGNAL;
#[cfg(not(all(unix, not(target_vendor = "apple"))))]
const SEND_NOW: i32 = NOW;

impl Unregistered {
    fn new(stream: TcpStream) -> io::Result<Unregistered> {
        if BLOCKS {
            stream.set_nonblocking(false)?;
            stream.set_read_timeout(Some(caller::LONGEST_WAIT))?;
        }
        Ok(Unregistered { stream, may_read: true })
    }

    fn read(&mut self, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buffer.remaining();
        let socket = SockRef::from(&self.stream);
        let mut received = None;
        if caller::take_ready() || self.may_read {
            received = at_once(|| receive(&socket, NOW, buffer))?;
        }
        if received.is_none() {
            received = caller::wait(|| receive(&socket, 0, buffer))?;
        }
        // Less than there was room for is all that there was; the end stays where it is.
        self.may_read = received.is_some_and(|count| count == room || count == 0);
        if received.is_some() {
            return Poll::Ready(Ok(()));
        }
        caller::wait_readable(wake::descriptor(&self.stream));
        Poll::Pending
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match at_once(|| SockRef::from(&self.stream).send_vectored_with_flags(slices, SEND_NOW))? {
            Some(count) => Poll::Ready(Ok(count)),
            None => {
                caller::wait_writable(wake::descriptor(&self.stream));
                Poll::Pending
            }
        }
    }
}

/// Read into the buffer, without writing to it beforehand as `Read` would have it.
fn receive(socket: &SockRef<'_>, flags: i32, buffer: &mut ReadBuf<'_>) -> io::Result<usize> {
    // SAFETY: what is there is not read, and only bytes that were received are written to it.
    let unfilled = unsafe { buffer.unfilled_mut() };
    let count = socket.recv_with_flags(unfilled, flags)?;
    // SAFETY: so many bytes were written to it.
    unsafe { buffer.assume_init(count) };
    buffer.advance(count);
    Ok(count)
}

/// What could be done at once; `None`: nothing.
fn at_once(mut act: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match act() {
            Ok(count) => return Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        socket.fit()?;
        if mem::take(&mut socket.must_ask) && socket.ask_now(buffer)? {
            return Poll::Ready(Ok(()));
        }
        match &mut socket.stream {
            SocketStream::Registered(stream) => Pin::new(stream).poll_read(context, buffer),
            SocketStream::Unregistered(unregistered) => unregistered.read(buffer),
            SocketStream::Lost => Poll::Ready(Err(lost())),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut().fit()? {
            SocketStream::Registered(stream) => Pin::new(stream).poll_write(context, bytes),
            SocketStream::Unregistered(unregistered) => unregistered.write(&[IoSlice::new(bytes)]),
            SocketStream::Lost => Poll::Ready(Err(lost())),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut().fit()? {
            SocketStream::Registered(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            SocketStream::Unregistered(unregistered) => unregistered.write(slices),
            SocketStream::Lost => Poll::Ready(Err(lost())),
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
        match &mut self.get_mut().stream {
            SocketStream::Registered(stream) => Pin::new(stream).poll_shutdown(context),
            SocketStream::Unregistered(unregistered) => {
                Poll::Ready(match unregistered.stream.shutdown(std::net::Shutdown::Write) {
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
                    done => done,
                })
            }
            SocketStream::Lost => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener};
    use std::pin::pin;

    use tokio::io::AsyncReadExt;

    use super::*;

    /// What is read without waiting; `None`: nothing.
    async fn read(socket: &mut Socket) -> Option<usize> {
        let mut buffer = [0; 8];
        poll_fn(|context| match pin!(socket.read(&mut buffer)).poll(context) {
            Poll::Ready(count) => Poll::Ready(Some(count.unwrap())),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    /// The reactor hears of nothing while the one task is at work: only who asks finds out.
    #[tokio::test]
    async fn what_the_reactor_has_not_heard_of_shows_when_it_is_asked() {
        for is_end in [false, true] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let stream = RegisteredStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut peer, _) = listener.accept().unwrap();
            let mut socket = Socket::new(stream);
            peer.write_all(b"a").unwrap();
            let mut one = [0];
            assert_eq!(socket.read(&mut one).await.unwrap(), 1);
            assert_eq!(read(&mut socket).await, None);
            if is_end {
                drop(peer);
            } else {
                peer.write_all(b"bc").unwrap();
            }
            assert_eq!(read(&mut socket).await, None);
            socket.ask();
            assert_eq!(read(&mut socket).await, Some(if is_end { 0 } else { 2 }));
        }
    }

    /// And is waited for afterwards as if nobody had asked.
    #[tokio::test]
    async fn what_was_asked_in_vain_can_be_waited_for() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stream = RegisteredStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let mut socket = Socket::new(stream);
        for _ in 0..3 {
            socket.ask();
            assert_eq!(read(&mut socket).await, None);
            peer.write_all(b"a").unwrap();
            let mut one = [0];
            assert_eq!(socket.read(&mut one).await.unwrap(), 1);
        }
    }
}
