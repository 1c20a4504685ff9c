//! HTTP/1.1 over a pool of connections, for our own requests and for the SDK's.
//!
//! Our own and not the SDK's, which has no `verify=False`, no client certificates, no keep-alive option, no TLS of its
//! own for proxies, and a read timeout that covers the reply's head only.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::{Bytes, BytesMut};
use http::header::{HOST, HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use http::uri::{PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;
use tokio::time::Sleep;

use super::connect::{Dialer, Origin, Stream};
use super::dials::{Dials, Obtained};
use super::failure::HttpFailure;
use crate::config::{Proxies, Settings, Tls, Verify};
use crate::protocol::error::Failure;
use crate::runtime::lock::lock;
use crate::runtime::{self, caller};

/// The HTTP client of one SQS client: its own pool of connections, made from settings alone.
///
/// Nothing is read or connected here. Timeouts are those that the SDK passes on from the client's `TimeoutConfig`.
pub(crate) fn http_client(settings: &Settings) -> SharedHttpClient {
    SharedHttpClient::new(PooledClient(Arc::new(Pool::of(settings))))
}

/// A pool as the SDK wants its HTTP client: what makes a connector of timeouts.
#[derive(Debug)]
struct PooledClient(Arc<Pool>);

impl HttpClient for PooledClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            pool: self.0.clone(),
            connect_timeout: settings.connect_timeout(),
            read_timeout: settings.read_timeout(),
        })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("hyper", Some("1.x".into())))
    }
}

/// A pool with timeouts, as the SDK sends requests by it.
#[derive(Debug)]
struct Connector {
    pool: Arc<Pool>,
    connect_timeout: Option<Duration>,
    read_timeout: Option<Duration>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (pool, connect, read) = (self.pool.clone(), self.connect_timeout, self.read_timeout);
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let response = pool.send(request, connect, read).await?;
            let response = response.map(SdkBody::from);
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Idle connections are given up before the minute after which load balancers commonly close them.
const MAX_IDLE_TIME: Duration = Duration::from_secs(50);

/// Connections to the origins of one client: those that are idle wait here for the next request.
pub(in crate::transport) struct Pool {
    dialer: Dialer,
    dials: Dials<Open>,
    /// Per origin. More connections may be open at a time; they are closed when they come back.
    max_idle: usize,
    idle: Arc<IdleConnections>,
}

/// Connections that nobody uses, by origin: a client has one, its credential providers have a few.
#[derive(Default)]
struct IdleConnections {
    by_origin: Mutex<Vec<(Origin, Vec<Idle>)>>,
    /// Sees to it that they are closed when the reactor's thread ends.
    closing: Mutex<Option<AbortHandle>>,
    are_watched: AtomicBool,
}

impl Drop for IdleConnections {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.closing).take() {
            task.abort();
        }
    }
}

/// A connection that nobody uses, and since when.
struct Idle {
    connection: Open,
    since: Instant,
    /// By whom it was used last, since its socket need not be changed for the next one of the kind.
    by_caller: bool,
}

/// A connection that requests can be sent on, one after another.
///
/// No task reads and writes on it: whoever waits for a reply does, since that may be a thread which drives its call.
struct Open {
    sender: SendRequest<SdkBody>,
    /// `None`: the connection has ended.
    connection: Option<Pin<Box<HttpConnection>>>,
    /// See [`super::connect::Connection::forwarding`].
    forwarding: Option<Option<String>>,
    silence: Silence,
}

/// A connection as hyper drives it.
type HttpConnection = Connection<TokioIo<Stream>, SdkBody>;

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
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(done));
            }
            // A thread that drives its call needs no timer: it comes back by then.
            if caller::wait_until(deadline.into_std()) {
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

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("dialer", &self.dialer).finish_non_exhaustive()
    }
}

impl Pool {
    /// The connections of one SQS client, made from settings alone. Nothing is read or connected here.
    pub(crate) fn of(settings: &Settings) -> Pool {
        Pool {
            dialer: Dialer::new(settings.tls.clone(), settings.proxies.clone(), settings.tcp_keepalive),
            // Requests that leave together come back together: their connections are worth keeping.
            max_idle: settings.max_pool_connections.max(settings.batching.map_or(0, |batching| batching.max_in_flight)),
            idle: Arc::default(),
            dials: Dials::default(),
        }
    }

    /// Connections to where credentials come from, which is asked seldom: none is kept.
    pub(crate) fn to_source(verify: Verify, proxies: Proxies) -> Pool {
        let dialer = Dialer::new(Tls { verify, client_cert: None }, proxies, false);
        Pool { dialer, max_idle: 0, idle: Arc::default(), dials: Dials::default() }
    }

    pub(crate) async fn send(
        &self,
        mut request: Request<SdkBody>,
        connect_timeout: Option<Duration>,
        read_timeout: Option<Duration>,
    ) -> Result<Response<Bytes>, HttpFailure> {
        let origin = origin(request.uri())?;
        loop {
            let (mut open, fresh) = match self.take(&origin).await {
                Some(idle) => (idle, false),
                // Boxed, since it is large and seldom needed.
                None => match Box::pin(self.obtain(&origin, connect_timeout)).await? {
                    Some(obtained) => obtained,
                    None => continue,
                },
            };
            let uri = request.uri().clone();
            address(&mut request, &origin, &open)?;
            let sent = open.sender.try_send_request(request);
            match open.silence.limit(read_timeout, turning(&mut open.connection, sent)).await? {
                Ok(response) => {
                    let response = read(response, read_timeout, &mut open).await?;
                    self.put(origin, open);
                    return Ok(response);
                }
                // The peer had closed the connection while it was idle: nothing of the request has left.
                Err(mut error) => match error.take_message().filter(|_| !fresh) {
                    Some(unsent) => {
                        request = unsent;
                        *request.uri_mut() = uri;
                    }
                    None => return Err(exchange_failed(&error.into_error())),
                },
            }
        }
    }

    /// A connection where none is free, and whether it is fresh; `None` for another try. With TLS it may be one that was waited for.
    async fn obtain(&self, origin: &Origin, timeout: Option<Duration>) -> Result<Option<(Open, bool)>, HttpFailure> {
        if !origin.https || self.max_idle == 0 {
            return Ok(Some((self.open(origin, timeout).await?, true)));
        }
        let open = async {
            self.dialer.prepare(origin, timeout).await?;
            let began = runtime::now();
            let open = self.open(origin, timeout).await?;
            Ok((open, runtime::now() - began))
        };
        Ok(match self.dials.obtain(origin, self.take(origin), open).await? {
            Obtained::Opened(open) => Some((open, true)),
            Obtained::Used(mut open) => open.is_free().await.then_some((open, false)),
        })
    }

    async fn open(&self, origin: &Origin, timeout: Option<Duration>) -> Result<Open, HttpFailure> {
        let dialed = self.dialer.connect(origin, timeout).await?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(dialed.stream)).await.map_err(|error| exchange_failed(&error))?;
        let connection = Some(Box::pin(connection));
        Ok(Open { sender, connection, forwarding: dialed.forwarding, silence: Silence::default() })
    }

    /// The connection that was used last, if it is still good; rather one that was last used as it will be now.
    async fn take(&self, origin: &Origin) -> Option<Open> {
        let by_caller = caller::is_driving();
        loop {
            let idle = {
                let mut pools = self.lock();
                let (_, pool) = pools.iter_mut().find(|(known, _)| known == origin)?;
                match pool.iter().rposition(|idle| idle.by_caller == by_caller) {
                    Some(place) => pool.remove(place),
                    None => pool.pop()?,
                }
            };
            let mut open = idle.connection;
            if idle.since.elapsed() < MAX_IDLE_TIME && open.is_free().await {
                return Some(open);
            }
        }
    }

    fn put(&self, origin: Origin, connection: Open) {
        if connection.sender.is_closed() || self.max_idle == 0 {
            return;
        }
        let Some(connection) = self.dials.offer(&origin, connection) else { return };
        let idle = Idle { connection, since: Instant::now(), by_caller: caller::is_driving() };
        let mut pools = self.lock();
        match pools.iter_mut().find(|(known, _)| *known == origin) {
            Some((_, pool)) => {
                if pool.len() < self.max_idle {
                    pool.push(idle);
                }
            }
            None => pools.push((origin, vec![idle])),
        }
        drop(pools);
        if !self.idle.are_watched.swap(true, Ordering::Relaxed) {
            let closing = CloseIdle(Arc::downgrade(&self.idle));
            let task = runtime::spawn_bystander(async move {
                std::future::pending::<()>().await;
                drop(closing);
            });
            *lock(&self.idle.closing) = Some(task);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Origin, Vec<Idle>)>> {
        // A list of connections is whole whatever panicked beside it.
        lock(&self.idle.by_origin)
    }
}

/// Closes the idle connections when it is dropped, which is when the reactor's thread ends.
struct CloseIdle(Weak<IdleConnections>);

impl Drop for CloseIdle {
    fn drop(&mut self) {
        let Some(idle) = self.0.upgrade() else { return };
        idle.are_watched.store(false, Ordering::Relaxed);
        let closed = std::mem::take(&mut *lock(&idle.by_origin));
        drop(closed);
    }
}

impl Open {
    /// Whether it can take a request, after it was idle: nobody has looked since whether the peer has closed it. One that is still
    /// busy, because the peer has answered a request that it has not read to its end, may stay so for ever.
    async fn is_free(&mut self) -> bool {
        caller::ask_anew();
        poll_fn(|context| {
            turn(&mut self.connection, context);
            Poll::Ready(())
        })
        .await;
        caller::forget_sockets();
        self.sender.is_ready() && !self.sender.is_closed()
    }
}

/// Let a connection read and write what it can. Its errors are told to the request that meets them.
fn turn(connection: &mut Option<Pin<Box<HttpConnection>>>, context: &mut Context<'_>) {
    if connection.as_mut().is_some_and(|connection| connection.as_mut().poll(context).is_ready()) {
        *connection = None;
    }
}

/// Wait for something of this connection's.
async fn turning<T>(connection: &mut Option<Pin<Box<HttpConnection>>>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        turn(connection, context);
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            caller::wait_for_socket_only();
        }
        polled
    })
    .await
}

fn origin(uri: &Uri) -> Result<Origin, HttpFailure> {
    let unsupported =
        || HttpFailure::new(Failure::Other, format!("Not supported URL scheme {}", uri.scheme_str().unwrap_or("")));
    let https = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        Some(scheme) if *scheme == Scheme::HTTP => false,
        _ => return Err(unsupported()),
    };
    let host = uri.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned();
    Ok(Origin { https, host, port: uri.port_u16().unwrap_or(if https { 443 } else { 80 }) })
}

/// Writes the target as the next hop wants it, and the headers that go with it.
fn address(request: &mut Request<SdkBody>, origin: &Origin, open: &Open) -> Result<(), HttpFailure> {
    if !request.headers().contains_key(HOST) {
        let host = host_header(request.uri(), if origin.https { 443 } else { 80 }).to_owned();
        insert(request, HOST, &host)?;
    }
    match &open.forwarding {
        None => {
            let target = request.uri().path_and_query().cloned();
            *request.uri_mut() = Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
        }
        Some(None) => {}
        Some(Some(authorization)) => insert(request, PROXY_AUTHORIZATION, authorization)?,
    }
    Ok(())
}

/// The authority without credentials, and without the port that goes without saying.
pub(in crate::transport) fn host_header(uri: &Uri, default_port: u16) -> &str {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.rsplit_once(':') {
        Some((name, port)) if port.parse() == Ok(default_port) => name,
        _ => host,
    }
}

fn insert(request: &mut Request<SdkBody>, name: HeaderName, value: &str) -> Result<(), HttpFailure> {
    let value =
        HeaderValue::from_str(value).map_err(|error| HttpFailure::new(Failure::Other, format!("{name}: {error}")))?;
    request.headers_mut().insert(name, value);
    Ok(())
}

/// Reads the whole reply, so that one cut short is this attempt's failure and is retried. The timeout is that of each
/// wait, as on botocore's sockets.
async fn read(
    response: Response<Incoming>,
    timeout: Option<Duration>,
    open: &mut Open,
) -> Result<Response<Bytes>, HttpFailure> {
    let (head, mut body) = response.into_parts();
    let mut whole = Bytes::new();
    while !body.is_end_stream() {
        let frame = match open.silence.limit(timeout, turning(&mut open.connection, body.frame())).await? {
            None => break,
            Some(frame) => frame.map_err(|error| exchange_failed(&error))?,
        };
        if let Ok(data) = frame.into_data() {
            if whole.len() + data.len() > MAX_REPLY {
                return Err(too_long());
            }
            whole = if whole.is_empty() { data } else { joined(whole, &data, body.size_hint().lower()) };
        }
    }
    Ok(Response::from_parts(head, whole))
}

/// The longest reply that is read: twice what ten messages of 1 MiB come to if every byte is written as an escape of six.
const MAX_REPLY: usize = 120 << 20;

/// Not retried: what answers so is no SQS, and would again.
fn too_long() -> HttpFailure {
    let text = format!(
        "The reply is longer than {MAX_REPLY} bytes, which is more than SQS can send: is the endpoint one of SQS?"
    );
    HttpFailure::new(Failure::Other, text)
}

/// Ten messages of 1 MiB, written as JSON.
const MAX_ANNOUNCED: u64 = 16 << 20;

/// The two together, with room for what is still to come.
fn joined(whole: Bytes, data: &Bytes, to_come: u64) -> Bytes {
    let mut buffer = whole.try_into_mut().unwrap_or_else(|whole| BytesMut::from(whole.as_ref()));
    // What is to come is what the peer says, so it is believed up to what SQS can send.
    buffer.reserve(data.len() + usize::try_from(to_come.min(MAX_ANNOUNCED)).unwrap_or(0));
    buffer.extend_from_slice(data);
    buffer.freeze()
}

fn late(timeout: Option<Duration>) -> HttpFailure {
    HttpFailure::new(Failure::ReadTimeout, format!("Read timed out. (read timeout={:?})", timeout.unwrap_or_default()))
}

fn exchange_failed(error: &hyper::Error) -> HttpFailure {
    let kind = if error.is_user() { Failure::Other } else { Failure::Closed };
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    HttpFailure::new(kind, format!("{error}{cause}"))
}

#[cfg(test)]
mod tests;
