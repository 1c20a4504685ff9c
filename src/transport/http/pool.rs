//! HTTP/1.1 over a pool of connections, for our own requests and for the SDK's.
//!
//! Our own and not the SDK's, which has no `verify=False`, no client certificates, no keep-alive option, no TLS of its
//! own for proxies, and a read timeout that covers the reply's head only.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, ready};
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
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::Sleep;

use super::connect::{Dialer, Origin};
use super::failure::HttpFailure;
use crate::config::{Proxies, Settings, Tls, Verify};
use crate::protocol::error::Failure;
use crate::runtime;
use crate::runtime::lock::lock;

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
    /// Per origin. More connections may be open at a time; they are closed when they come back.
    max_idle: usize,
    /// A client has one origin; its credential providers have a few.
    idle: Mutex<Vec<(Origin, Vec<Idle>)>>,
}

/// A connection that nobody uses, and since when.
struct Idle {
    connection: Open,
    since: Instant,
}

/// A connection that requests can be sent on, one after another.
struct Open {
    sender: SendRequest<SdkBody>,
    /// See [`super::connect::Connection::forwarding`].
    forwarding: Option<Option<String>>,
    silence: Silence,
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
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() > deadline || timer.is_elapsed() {
            timer.as_mut().reset(deadline);
        }
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(done));
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
            idle: Mutex::default(),
        }
    }

    /// Connections to where credentials come from, which is asked seldom: none is kept.
    pub(crate) fn to_source(verify: Verify, proxies: Proxies) -> Pool {
        let dialer = Dialer::new(Tls { verify, client_cert: None }, proxies, false);
        Pool { dialer, max_idle: 0, idle: Mutex::default() }
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
                None => (self.open(&origin, connect_timeout).await?, true),
            };
            let uri = request.uri().clone();
            address(&mut request, &origin, &open)?;
            let sent = open.sender.try_send_request(request);
            match open.silence.limit(read_timeout, sent).await? {
                Ok(response) => {
                    let response = read(response, read_timeout, &mut open.silence).await?;
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

    async fn open(&self, origin: &Origin, timeout: Option<Duration>) -> Result<Open, HttpFailure> {
        let connection = self.dialer.connect(origin, timeout).await?;
        let io = TokioIo::new(connection.stream);
        let (sender, driver) = http1::handshake(io).await.map_err(|error| exchange_failed(&error))?;
        // Ends with the connection; its errors are told to the request that meets them.
        runtime::spawn_bystander(async move { drop(driver.await) });
        Ok(Open { sender, forwarding: connection.forwarding, silence: Silence::default() })
    }

    /// The connection that was used last, if it is still good.
    async fn take(&self, origin: &Origin) -> Option<Open> {
        loop {
            let idle = {
                let mut pools = self.lock();
                let (_, pool) = pools.iter_mut().find(|(known, _)| known == origin)?;
                pool.pop()?
            };
            let open = idle.connection;
            if idle.since.elapsed() < MAX_IDLE_TIME && is_free(&open.sender).await {
                return Some(open);
            }
        }
    }

    fn put(&self, origin: Origin, connection: Open) {
        if connection.sender.is_closed() || self.max_idle == 0 {
            return;
        }
        let idle = Idle { connection, since: Instant::now() };
        let mut pools = self.lock();
        match pools.iter_mut().find(|(known, _)| *known == origin) {
            Some((_, pool)) => {
                if pool.len() < self.max_idle {
                    pool.push(idle);
                }
            }
            None => pools.push((origin, vec![idle])),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Origin, Vec<Idle>)>> {
        // A list of connections is whole whatever panicked beside it.
        lock(&self.idle)
    }
}

/// Whether a pooled connection can take a request. The driver of the connection runs on this reactor: a few turns are enough
/// for it to see the end of the last reply. One that is still busy then, because the peer has answered a
/// request that it has not read to its end, may stay so for ever.
async fn is_free(sender: &SendRequest<SdkBody>) -> bool {
    for _ in 0..8 {
        if sender.is_ready() || sender.is_closed() {
            break;
        }
        tokio::task::yield_now().await;
    }
    sender.is_ready() && !sender.is_closed()
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
    silence: &mut Silence,
) -> Result<Response<Bytes>, HttpFailure> {
    let (head, mut body) = response.into_parts();
    let mut whole = Bytes::new();
    while !body.is_end_stream() {
        let frame = match silence.limit(timeout, body.frame()).await? {
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
