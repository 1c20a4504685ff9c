//! HTTP/1.1 over a pool of connections, for our own requests and for the SDK's.
//!
//! Our own and not the SDK's, which has no `verify=False`, no client certificates, no keep-alive option, no TLS of its
//! own for proxies, and a read timeout that covers the reply's head only.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use tokio::task::AbortHandle;

use super::codec::{HttpReply, HttpRequestParts, of_latin_1, push_header};
use super::connect::{Dialer, Origin};
use super::connection::OpenConnection;
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
    dials: Dials<OpenConnection>,
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
    connection: OpenConnection,
    since: Instant,
    /// By whom it was used last, since its socket need not be changed for the next one of the kind.
    by_caller: bool,
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

    /// One request to this origin, and its reply.
    pub(crate) async fn exchange(
        &self,
        origin: &Origin,
        request: &HttpRequestParts<'_>,
        connect_timeout: Option<Duration>,
        read_timeout: Option<Duration>,
    ) -> Result<HttpReply, HttpFailure> {
        loop {
            let (mut connection, is_fresh) = match self.take(origin).await {
                Some(idle) => (idle, false),
                // Boxed, since it is large and seldom needed.
                None => match Box::pin(self.obtain(origin, connect_timeout)).await? {
                    Some(obtained) => obtained,
                    None => continue,
                },
            };
            match connection.exchange(request, read_timeout).await {
                Ok(reply) => {
                    self.put(origin, connection);
                    return Ok(reply);
                }
                // The peer had closed the connection while it was idle.
                Err(unanswered) if unanswered.is_unsent && !is_fresh => {}
                Err(unanswered) => return Err(unanswered.failure),
            }
        }
    }

    /// A connection where none is free, and whether it is fresh; `None` for another try. With TLS it may be one that was waited for.
    async fn obtain(
        &self,
        origin: &Origin,
        timeout: Option<Duration>,
    ) -> Result<Option<(OpenConnection, bool)>, HttpFailure> {
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

    async fn open(&self, origin: &Origin, timeout: Option<Duration>) -> Result<OpenConnection, HttpFailure> {
        self.dialer.connect(origin, timeout).await.map(OpenConnection::new)
    }

    /// A request that others have made, and its reply as they want it.
    pub(crate) async fn send(
        &self,
        request: Request<SdkBody>,
        connect_timeout: Option<Duration>,
        read_timeout: Option<Duration>,
    ) -> Result<Response<Bytes>, HttpFailure> {
        let other = |why: &str| HttpFailure::new(Failure::Other, why);
        let origin = origin(request.uri())?;
        let body = request.body().bytes().ok_or_else(|| other("the request's body is not in memory"))?;
        let headers = lines(&request, &origin, body);
        let outgoing = HttpRequestParts { method: request.method(), uri: request.uri(), headers: &headers, body };
        let reply = self.exchange(&origin, &outgoing, connect_timeout, read_timeout).await?;
        let mut response = Response::new(reply.body);
        *response.status_mut() =
            StatusCode::from_u16(reply.status).map_err(|_| other("the reply has a status that is none"))?;
        for (name, value) in reply.headers.iter() {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| other("a header has no name"))?;
            let value = HeaderValue::from_bytes(&of_latin_1(value)).map_err(|_| other("a header has no value"))?;
            response.headers_mut().append(name, value);
        }
        Ok(response)
    }

    /// The connection that was used last, if it is still good; rather one that was last used as it will be now.
    async fn take(&self, origin: &Origin) -> Option<OpenConnection> {
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
            let mut connection = idle.connection;
            if idle.since.elapsed() < MAX_IDLE_TIME && connection.is_free().await {
                return Some(connection);
            }
        }
    }

    fn put(&self, origin: &Origin, connection: OpenConnection) {
        if !connection.is_reusable() || self.max_idle == 0 {
            return;
        }
        let Some(connection) = self.dials.offer(origin, connection) else { return };
        let idle = Idle { connection, since: Instant::now(), by_caller: caller::is_driving() };
        let mut pools = self.lock();
        match pools.iter_mut().find(|(known, _)| known == origin) {
            Some((_, pool)) => {
                if pool.len() < self.max_idle {
                    pool.push(idle);
                }
            }
            None => pools.push((origin.clone(), vec![idle])),
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

/// Where a URL leads.
pub(in crate::transport) fn origin(uri: &Uri) -> Result<Origin, HttpFailure> {
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

/// The headers as they are sent, those among them that go without saying.
fn lines(request: &Request<SdkBody>, origin: &Origin, body: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    let headers = request.headers();
    if !headers.contains_key(HOST) {
        let host = host_header(request.uri(), if origin.https { 443 } else { 80 });
        push_header(&mut lines, HOST.as_str(), host.as_bytes());
    }
    for (name, value) in headers {
        push_header(&mut lines, name.as_str(), value.as_bytes());
    }
    let has_body = !body.is_empty() || [Method::POST, Method::PUT, Method::PATCH].contains(request.method());
    if has_body && !headers.contains_key(CONTENT_LENGTH) {
        push_header(&mut lines, CONTENT_LENGTH.as_str(), body.len().to_string().as_bytes());
    }
    lines
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

#[cfg(test)]
mod tests;
