//! One connection: name, socket, proxy, TLS.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::failure::HttpFailure;
use super::socket::Socket;
use super::tls;
use crate::config::{Proxies, Proxy, Tls, Url, Verify};
use crate::protocol::error::Failure;
use crate::runtime;

/// Where a request goes, whatever lies between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::transport) struct Origin {
    pub https: bool,
    /// Without brackets.
    pub host: String,
    pub port: u16,
}

impl Origin {
    /// As written in `CONNECT` and `Host`.
    pub(crate) fn authority(&self) -> String {
        authority(&self.host, self.port)
    }
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Opens connections as the settings say.
#[derive(Debug)]
pub(in crate::transport) struct Dialer {
    tls: Tls,
    proxies: Proxies,
    tcp_keepalive: bool,
    /// Made for the first https connection; files that could not be read are read again for the next.
    config: OnceLock<Arc<ClientConfig>>,
    proxy_config: OnceLock<Arc<ClientConfig>>,
}

/// A byte stream to the origin, and how requests are to be written on it.
pub(in crate::transport) struct Connection {
    pub stream: Stream,
    /// The `Proxy-Authorization` of requests in absolute form; inner `None` when the proxy wants none.
    pub forwarding: Option<Option<String>>,
}

impl Dialer {
    pub(crate) fn new(tls: Tls, proxies: Proxies, tcp_keepalive: bool) -> Dialer {
        Dialer { tls, proxies, tcp_keepalive, config: OnceLock::new(), proxy_config: OnceLock::new() }
    }

    /// Reads what TLS needs with this origin, which is done once for all connections.
    pub(crate) async fn prepare(&self, origin: &Origin, timeout: Option<Duration>) -> Result<(), HttpFailure> {
        if origin.https && self.proxies.select("https", &origin.authority()).is_none() {
            self.config(timeout).await?;
        }
        Ok(())
    }

    pub(crate) async fn connect(&self, origin: &Origin, timeout: Option<Duration>) -> Result<Connection, HttpFailure> {
        let scheme = if origin.https { "https" } else { "http" };
        let Some(proxy) = self.proxies.select(scheme, &origin.authority()) else {
            let stream = self.tcp(&origin.host, origin.port, timeout).await?;
            let stream = if origin.https {
                Stream::Tls(Box::new(handshake(self.config(timeout).await?, &origin.host, stream, timeout).await?))
            } else {
                Stream::Plain(stream)
            };
            return Ok(Connection { stream, forwarding: None });
        };
        let failed = |error: HttpFailure| error.at_proxy(proxy.masked_url());
        let url = Url::split(&proxy.url);
        let secure = url.scheme == "https";
        let port = url.port().map(|port| port.unwrap_or(if secure { 443 } else { 80 }));
        let port = port.ok_or_else(|| HttpFailure::new(Failure::Other, "the proxy's port is not a number"))?;
        let stream = self.tcp(url.host(), port, timeout).await.map_err(failed)?;
        let mut stream = if secure {
            let config = self.proxy_config(&proxy, timeout).await?;
            Stream::Tls(Box::new(handshake(config, url.host(), stream, timeout).await.map_err(failed)?))
        } else {
            Stream::Plain(stream)
        };
        let authorization = proxy.credentials.as_ref().map(|(user, password)| {
            format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}")))
        });
        if !origin.https || proxy.use_forwarding_for_https {
            return Ok(Connection { stream, forwarding: Some(authorization) });
        }
        let target = origin.authority();
        let tunnel = tunnel(&mut stream, &target, authorization.as_deref());
        within(timeout, tunnel, || HttpFailure::new(Failure::ReadTimeout, "the proxy did not answer in time"))
            .await
            .map_err(|error| if error.kind == Failure::Proxy { failed(error) } else { error })?;
        let stream = handshake(self.config(timeout).await?, &origin.host, stream, timeout).await?;
        Ok(Connection { stream: Stream::Tunnel(Box::new(stream)), forwarding: None })
    }

    async fn tcp(&self, host: &str, port: u16, timeout: Option<Duration>) -> Result<Socket, HttpFailure> {
        let lookup = async {
            let found = resolve(host, port).await;
            found.map_err(|error| HttpFailure::new(Failure::Dns, format!("failed to resolve '{host}': {error}")))
        };
        let slow = || HttpFailure::new(Failure::Dns, format!("failed to resolve '{host}' in time"));
        let mut last = HttpFailure::new(Failure::Dns, format!("'{host}' has no address"));
        for address in within(timeout, lookup, slow).await? {
            let connect = async {
                let refused = |error: io::Error| HttpFailure::new(Failure::Connect, format!("{address}: {error}"));
                self.socket(address).map_err(refused)?.connect(address).await.map_err(refused)
            };
            let slow = || HttpFailure::new(Failure::ConnectTimeout, format!("{address}: connection timed out"));
            match within(timeout, connect, slow).await {
                Ok(stream) => return Ok(Socket::new(stream)),
                Err(failed) => last = failed,
            }
        }
        Err(last)
    }

    pub(crate) fn socket(&self, address: SocketAddr) -> io::Result<TcpSocket> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_nodelay(true)?;
        if self.tcp_keepalive {
            socket.set_keepalive(true)?;
        }
        Ok(socket)
    }

    async fn config(&self, timeout: Option<Duration>) -> Result<Arc<ClientConfig>, HttpFailure> {
        once(&self.config, &self.tls, timeout).await
    }

    async fn proxy_config(&self, proxy: &Proxy, timeout: Option<Duration>) -> Result<Arc<ClientConfig>, HttpFailure> {
        if proxy.ca_bundle.is_none() && proxy.client_cert.is_none() {
            return self.config(timeout).await;
        }
        let verify = proxy.ca_bundle.clone().map_or(Verify::Yes, Verify::Bundle);
        once(&self.proxy_config, &Tls { verify, client_cert: proxy.client_cert.clone() }, timeout).await.map_err(|_| {
            HttpFailure::new(Failure::Other, "Invalid configuration value(s) provided for proxies_config.")
        })
    }
}

/// The addresses of a host, by the system's own resolver. Not by tokio's function for it, whose threads a fork would find.
async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let host = host.to_owned();
    let found = runtime::spawn_blocking(move || (host.as_str(), port).to_socket_addrs().map(Iterator::collect));
    found.await.map_err(io::Error::other)?
}

/// Initialized without holding a lock meanwhile, see [`tls`], and off the reactor: it reads files.
async fn once(
    cell: &OnceLock<Arc<ClientConfig>>,
    tls: &Tls,
    timeout: Option<Duration>,
) -> Result<Arc<ClientConfig>, HttpFailure> {
    if let Some(config) = cell.get() {
        return Ok(config.clone());
    }
    let tls = tls.clone();
    let reading = async {
        let read = runtime::spawn_blocking(move || tls::client_config(&tls)).await;
        read.unwrap_or_else(|error| {
            Err(HttpFailure::new(Failure::Other, format!("certificates could not be read: {error}")))
        })
    };
    let late = || HttpFailure::new(Failure::ConnectTimeout, "the certificates could not be read in time");
    let config = within(timeout, reading, late).await?;
    Ok(cell.get_or_init(|| config).clone())
}

pub(in crate::transport) async fn within<T>(
    timeout: Option<Duration>,
    work: impl Future<Output = Result<T, HttpFailure>>,
    late: impl FnOnce() -> HttpFailure,
) -> Result<T, HttpFailure> {
    match timeout {
        None => work.await,
        Some(timeout) => tokio::time::timeout(timeout, work).await.unwrap_or_else(|_| Err(late())),
    }
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    config: Arc<ClientConfig>,
    host: &str,
    stream: S,
    timeout: Option<Duration>,
) -> Result<TlsStream<S>, HttpFailure> {
    let failed = |error: &dyn Display| HttpFailure::new(Failure::Tls, format!("{host}: {error}"));
    let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(&error))?;
    let connector = TlsConnector::from(config);
    let work = async { connector.connect(name, stream).await.map_err(|error| failed(&tls::explained(&error))) };
    // botocore's kind for it, although its connect timeout is the one that runs out.
    within(timeout, work, || HttpFailure::new(Failure::ReadTimeout, format!("{host}: the TLS handshake timed out")))
        .await
}

/// The longest answer to CONNECT that is read.
const TUNNEL_REPLY: usize = 16 * 1024;

async fn tunnel(stream: &mut Stream, authority: &str, authorization: Option<&str>) -> Result<(), HttpFailure> {
    let authorization = authorization.map(|value| format!("Proxy-Authorization: {value}\r\n")).unwrap_or_default();
    let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{authorization}\r\n");
    let closed =
        |error: io::Error| HttpFailure::new(Failure::Closed, format!("the proxy closed the connection: {error}"));
    stream.write_all(request.as_bytes()).await.map_err(closed)?;
    stream.flush().await.map_err(closed)?;
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n\r\n") {
        // Byte by byte: what follows the head is the origin's. It is one short answer per connection.
        reply.push(stream.read_u8().await.map_err(closed)?);
        if reply.len() > TUNNEL_REPLY {
            return Err(HttpFailure::new(Failure::Proxy, "Tunnel connection failed: the answer has no end"));
        }
    }
    let head = String::from_utf8_lossy(&reply);
    let status = head.lines().next().unwrap_or_default().split_once(' ').map_or("", |(_, status)| status).trim();
    if status.starts_with('2') {
        return Ok(());
    }
    Err(HttpFailure::new(Failure::Proxy, format!("Tunnel connection failed: {status}")))
}

/// What HTTP is spoken on.
pub(in crate::transport) enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
    /// TLS to the origin, through a proxy.
    Tunnel(Box<TlsStream<Stream>>),
}

impl Stream {
    /// What carries its bytes.
    pub(super) fn socket(&mut self) -> &mut Socket {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => stream.get_mut().0,
            Stream::Tunnel(stream) => stream.get_mut().0.socket(),
        }
    }
}

/// The same call of whatever stream is within.
macro_rules! each {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream.get_mut() {
            Stream::Plain($inner) => $call,
            Stream::Tls($inner) => $call,
            Stream::Tunnel($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, inner => Pin::new(inner).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, inner => Pin::new(inner).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, inner => Pin::new(inner).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Plain(inner) => inner.is_write_vectored(),
            Stream::Tls(inner) => inner.is_write_vectored(),
            Stream::Tunnel(inner) => inner.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, inner => Pin::new(inner).poll_shutdown(cx))
    }
}
