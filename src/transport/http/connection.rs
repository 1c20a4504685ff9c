//! A connection on which requests go out, one after another, and their replies come back.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::time::Sleep;

use super::codec::{HttpReply, HttpRequestParts, MAX_REPLY, ReplyReader, UnreadableReply};
use super::connect::{Connection as Dialed, Stream};
use super::failure::HttpFailure;
use crate::protocol::error::Failure;
use crate::runtime::caller;

/// How much room there is for what is read, at first and at most: it grows with what comes.
const ROOM: usize = 8 << 10;
const MOST_ROOM: usize = 512 << 10;

/// A connection that requests can be sent on, one after another.
///
/// No task reads and writes on it: whoever waits for a reply does, since that may be a thread which drives its call.
pub(super) struct OpenConnection {
    stream: Stream,
    /// What has come and was not taken.
    buffer: BytesMut,
    /// See [`Dialed::forwarding`].
    forwarding: Option<Option<String>>,
    silence: Silence,
    is_reusable: bool,
}

/// Why there is no reply.
pub(super) struct FailedExchange {
    pub failure: HttpFailure,
    /// Nothing of the request has left: the peer had closed the connection before.
    pub is_unsent: bool,
}

impl From<HttpFailure> for FailedExchange {
    fn from(failure: HttpFailure) -> FailedExchange {
        FailedExchange { failure, is_unsent: false }
    }
}

impl OpenConnection {
    pub(super) fn new(dialed: Dialed) -> OpenConnection {
        OpenConnection {
            stream: dialed.stream,
            buffer: BytesMut::new(),
            forwarding: dialed.forwarding,
            silence: Silence::default(),
            is_reusable: true,
        }
    }

    /// Whether it may take another request.
    pub(super) fn is_reusable(&self) -> bool {
        self.is_reusable
    }

    /// Whether it can take a request, after it was idle: nobody has looked since whether the peer has closed it, or has said
    /// something that nobody has asked for.
    pub(super) async fn is_free(&mut self) -> bool {
        self.stream.socket().ask();
        let (stream, buffer) = (&mut self.stream, &mut self.buffer);
        let is_silent = poll_fn(|context| Poll::Ready(poll_read(stream, buffer, ROOM, context).is_pending())).await;
        caller::forget_sockets();
        is_silent
    }

    /// Send a request and read its reply, whole, so that one cut short is this attempt's failure. The timeout is that of each
    /// wait, as on botocore's sockets.
    pub(super) async fn exchange(
        &mut self,
        request: &HttpRequestParts<'_>,
        timeout: Option<Duration>,
    ) -> Result<HttpReply, FailedExchange> {
        self.is_reusable = false;
        let head = request.head(self.forwarding.as_ref());
        let mut sending =
            UnsentRequest { parts: [&head, request.body], has_begun: false, is_over: false, broken: None };
        let mut reader = ReplyReader::default();
        let mut room = ROOM;
        let reply = loop {
            let (stream, buffer) = (&mut self.stream, &mut self.buffer);
            let step = poll_fn(|context| poll_step(&mut sending, stream, buffer, room, context));
            match self.silence.limit(timeout, step).await? {
                Ok(ConnectionStep::Sent) => {}
                Ok(ConnectionStep::Read(0)) => match reader.end(&mut self.buffer) {
                    Some(reply) => break reply,
                    None => return Err(closed("connection closed before message completed").into()),
                },
                Ok(ConnectionStep::Read(count)) => {
                    if let Some(reply) = reader.read(&mut self.buffer).map_err(unreadable)? {
                        break reply;
                    }
                    room = if count >= room { (room * 2).min(MOST_ROOM) } else { room };
                }
                Err(error) => {
                    let failure = closed(format!("connection error: {error}"));
                    return Err(FailedExchange { failure, is_unsent: !sending.has_begun });
                }
            }
        };
        self.is_reusable = reply.keeps && sending.is_over && self.buffer.is_empty();
        if reply.body.len() > ROOM {
            // It would hold the memory of the long reply.
            self.buffer = BytesMut::new();
        }
        Ok(reply)
    }
}

/// A request on its way out.
struct UnsentRequest<'a> {
    /// Head and body, what is left of them.
    parts: [&'a [u8]; 2],
    has_begun: bool,
    /// All of it has left.
    is_over: bool,
    /// Why no more of it can leave. The peer may have answered all the same.
    broken: Option<io::Error>,
}

impl UnsentRequest<'_> {
    /// Send what can be sent now; whether anything was.
    fn go_on(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> bool {
        let mut has_sent = false;
        while !self.is_over && self.broken.is_none() {
            let [head, body] = &mut self.parts;
            if head.is_empty() && body.is_empty() {
                match Pin::new(&mut *stream).poll_flush(context) {
                    Poll::Ready(Ok(())) => self.is_over = true,
                    Poll::Ready(Err(error)) => self.broken = Some(error),
                    Poll::Pending => break,
                }
                continue;
            }
            match Pin::new(&mut *stream).poll_write_vectored(context, &[IoSlice::new(head), IoSlice::new(body)]) {
                Poll::Ready(Ok(0)) => self.broken = Some(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    let of_head = count.min(head.len());
                    head.advance(of_head);
                    body.advance((count - of_head).min(body.len()));
                    (has_sent, self.has_begun) = (true, true);
                }
                Poll::Ready(Err(error)) => self.broken = Some(error),
                Poll::Pending => break,
            }
        }
        has_sent
    }
}

/// What has come of a wait.
enum ConnectionStep {
    /// A part of the request has left.
    Sent,
    /// So many bytes have come; none: the peer has ended the connection.
    Read(usize),
}

fn poll_step(
    sending: &mut UnsentRequest<'_>,
    stream: &mut Stream,
    buffer: &mut BytesMut,
    room: usize,
    context: &mut Context<'_>,
) -> Poll<io::Result<ConnectionStep>> {
    let has_sent = sending.go_on(stream, context);
    if !sending.has_begun
        && let Some(error) = sending.broken.take()
    {
        return Poll::Ready(Err(error));
    }
    // The reply may come before all has left, and be the reason why no more can.
    let read = if sending.is_over {
        caller::poll_read(|| poll_read(stream, buffer, room, context))
    } else {
        poll_read(stream, buffer, room, context)
    };
    match read {
        Poll::Ready(Ok(count)) => Poll::Ready(Ok(ConnectionStep::Read(count))),
        Poll::Ready(Err(error)) => Poll::Ready(Err(sending.broken.take().unwrap_or(error))),
        Poll::Pending if has_sent && !sending.is_over => Poll::Ready(Ok(ConnectionStep::Sent)),
        Poll::Pending => {
            caller::wait_for_socket_only();
            Poll::Pending
        }
    }
}

/// Read what there is, into room of at least this size.
fn poll_read(
    stream: &mut Stream,
    buffer: &mut BytesMut,
    room: usize,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    buffer.reserve(room);
    pin!(stream.read_buf(buffer)).poll(context)
}

/// The read timeout of a connection.
///
/// To set a timer wakes the reactor, which costs two system calls. So one timer stays with the connection and is not
/// moved by each request: when it goes off before its time has come, it is set anew.
#[derive(Default)]
struct Silence {
    timer: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    /// Give up the work when it takes longer.
    async fn limit<T>(&mut self, timeout: Option<Duration>, work: impl Future<Output = T>) -> Result<T, HttpFailure> {
        let Some(deadline) = timeout.and_then(|timeout| tokio::time::Instant::now().checked_add(timeout)) else {
            return Ok(work.await);
        };
        let mut work = pin!(work);
        poll_fn(|context| {
            // A thread that drives its call needs no timer: it comes back by then.
            let is_driven = caller::wait_until(deadline.into_std());
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(done));
            }
            if is_driven {
                let is_late = tokio::time::Instant::now() >= deadline;
                return if is_late { Poll::Ready(Err(late(timeout))) } else { Poll::Pending };
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
            if timer.deadline() > deadline || timer.is_elapsed() {
                timer.as_mut().reset(deadline);
            }
            loop {
                ready!(timer.as_mut().poll(context));
                if tokio::time::Instant::now() >= deadline {
                    return Poll::Ready(Err(late(timeout)));
                }
                timer.as_mut().reset(deadline);
            }
        })
        .await
    }
}

fn late(timeout: Option<Duration>) -> HttpFailure {
    HttpFailure::new(Failure::ReadTimeout, format!("Read timed out. (read timeout={:?})", timeout.unwrap_or_default()))
}

fn closed(message: impl std::fmt::Display) -> HttpFailure {
    HttpFailure::new(Failure::Closed, message)
}

fn unreadable(why: UnreadableReply) -> HttpFailure {
    match why {
        UnreadableReply::Invalid(text) => closed(text),
        // Not retried: what answers so is no SQS, and would again.
        UnreadableReply::TooLong(length) => {
            let text = format!(
                "The reply has {length} bytes or more, of which at most {MAX_REPLY} are read, since that is more than SQS can send: is the endpoint one of SQS?"
            );
            HttpFailure::new(Failure::Other, text)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener};

    use tokio::net::TcpStream;

    use super::*;
    use crate::transport::http::socket::Socket;

    /// The reactor hears of nothing while the one task is at work, as it may not have heard yet when a call comes.
    #[tokio::test]
    async fn one_that_is_over_is_not_free_whatever_the_reactor_has_heard() {
        for is_end in [false, true] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut peer, _) = listener.accept().unwrap();
            let stream = Stream::Plain(Socket::new(stream));
            let mut connection = OpenConnection::new(Dialed { stream, forwarding: None });
            assert!(connection.is_free().await);
            if is_end {
                drop(peer);
            } else {
                peer.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").unwrap();
            }
            assert!(!connection.is_free().await);
        }
    }
}
