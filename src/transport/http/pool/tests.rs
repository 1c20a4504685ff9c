//! Over real sockets, all of them on the loopback.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::{ClientCert, ProxiesConfig, Verify};
use crate::runtime::{CallerDriven, Driven};
use crate::transport::http::codec;
use crate::transport::http::failure::{classify, proxy_url};

const SECOND: Option<Duration> = Some(Duration::from_secs(1));
const SHORT: Option<Duration> = Some(Duration::from_millis(100));

/// Who waits for the reply to a request.
#[derive(Clone, Copy, Debug)]
enum Way {
    Reactor,
    Caller,
    /// The same, by a connection that is there before.
    CallerConnected,
    /// It begins so, and the reactor goes on with it.
    HandedOver,
}

/// Each of these tests holds whoever waits.
macro_rules! both_ways {
    ($($name:ident,)*) => {
        $(mod $name {
            use super::Way;

            #[tokio::test]
            async fn on_the_reactor() {
                super::$name(Way::Reactor).await;
            }

            #[tokio::test]
            async fn in_the_callers_thread() {
                super::$name(Way::Caller).await;
            }

            #[tokio::test]
            async fn by_a_connection_that_was_there() {
                super::$name(Way::CallerConnected).await;
            }

            #[tokio::test]
            async fn begun_by_the_caller() {
                super::$name(Way::HandedOver).await;
            }
        })*
    };
}

both_ways! {
    a_request_goes_there_and_back,
    connections_are_kept_up_to_the_limit,
    a_connection_that_was_closed_while_idle_is_replaced,
    a_connection_on_which_more_came_is_replaced,
    a_reply_counts_before_all_was_sent,
    a_long_reply_arrives_whole_however_slowly,
    a_reply_without_end_is_given_up,
    a_reply_that_says_it_is_too_long_is_not_read,
    an_unknown_name_is_a_dns_failure,
    a_refused_port_is_a_connect_failure,
    a_black_hole_is_a_connect_timeout,
    silence_is_a_read_timeout,
    a_reply_that_is_none_is_a_closed_connection,
    other_schemes_are_not_spoken,
    certificates_are_verified_as_asked,
    a_certificate_in_the_bundle_is_trusted_itself,
    a_client_certificate_is_shown,
    a_bundle_that_is_none_is_named,
    tls_to_one_who_does_not_speak_it_fails,
    https_goes_through_a_tunnel,
    plain_http_is_forwarded_in_absolute_form,
    a_proxy_may_have_tls_of_its_own,
    a_proxy_that_does_not_serve_is_a_proxy_failure,
    a_proxy_that_goes_away_is_a_closed_connection,
    each_request_on_a_connection_has_its_own_read_timeout,
}

/// A pool, and who uses it.
struct Subject {
    pool: Arc<Pool>,
    way: Way,
}

impl Subject {
    async fn send(
        &self,
        request: Request<SdkBody>,
        connect_timeout: Option<Duration>,
        read_timeout: Option<Duration>,
    ) -> Result<Response<Bytes>, HttpFailure> {
        if matches!(self.way, Way::Reactor) {
            return self.pool.send(request, connect_timeout, read_timeout).await;
        }
        if matches!(self.way, Way::CallerConnected | Way::HandedOver) {
            self.connect(request.uri(), connect_timeout).await;
        }
        let (tell, told) = tokio::sync::oneshot::channel();
        let pool = self.pool.clone();
        let mut driven = CallerDriven::new(async move {
            let _ = tell.send(pool.send(request, connect_timeout, read_timeout).await);
        });
        let is_handed_over = matches!(self.way, Way::HandedOver);
        tokio::task::spawn_blocking(move || {
            let reactor = runtime::handle().unwrap();
            let limit = if is_handed_over { Duration::ZERO } else { Duration::from_millis(50) };
            loop {
                match driven.drive(&reactor, limit) {
                    Driven::Done => break,
                    Driven::Waiting(waiting) if !is_handed_over => driven = waiting,
                    Driven::Waiting(begun) | Driven::Beyond(begun) => {
                        reactor.spawn(begun);
                        break;
                    }
                }
            }
        });
        told.await.unwrap()
    }

    /// See to it that there is a connection, if one can be had.
    async fn connect(&self, uri: &Uri, timeout: Option<Duration>) {
        let (Ok(origin), pool) = (origin(uri), self.pool.clone()) else { return };
        if !pool.lock().is_empty() {
            return;
        }
        let (tell, told) = tokio::sync::oneshot::channel();
        runtime::handle().unwrap().spawn(async move {
            if let Ok(dialed) = pool.dialer.connect(&origin, timeout).await {
                pool.put(&origin, OpenConnection::new(dialed));
            }
            let _ = tell.send(());
        });
        told.await.unwrap();
    }
}

fn pool(way: Way, verify: Verify) -> Subject {
    pool_with(way, Tls { verify, client_cert: None }, Proxies::default())
}

fn pool_with(way: Way, tls: Tls, proxies: Proxies) -> Subject {
    pool_of(way, tls, proxies, 10)
}

fn pool_of(way: Way, tls: Tls, proxies: Proxies, max_idle: usize) -> Subject {
    let dialer = Dialer::new(tls, proxies, false);
    Subject { pool: Arc::new(Pool { dialer, max_idle, idle: Arc::default(), dials: Dials::default() }), way }
}

fn post(url: &str, body: &'static str) -> Request<SdkBody> {
    Request::post(url).body(SdkBody::from(body)).unwrap()
}

async fn text(pool: &Subject, url: &str) -> Result<String, HttpFailure> {
    let response = pool.send(post(url, "{}"), SECOND, SECOND).await?;
    Ok(String::from_utf8(response.into_body().to_vec()).unwrap())
}

/// The kind as the SDK's caller learns it, whether it would be retried, and the text.
async fn failure(pool: &Subject, url: &str) -> (Failure, bool, String) {
    let error = ConnectorError::from(text(pool, url).await.unwrap_err());
    let message = std::error::Error::source(&error).unwrap().to_string();
    (classify(&error), error.is_io() || error.is_timeout(), message)
}

/// Runs `serve` for each connection and says where.
async fn listen<F, R>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// One request's head and body, which is known to be "{}" here.
async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n{}") {
        request.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8(request).unwrap())
}

async fn reply(stream: &mut (impl AsyncWrite + Unpin), body: &str) -> io::Result<()> {
    let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(reply.as_bytes()).await?;
    stream.flush().await
}

/// Answers every request with the request itself.
async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    loop {
        let request = receive(&mut stream).await?;
        reply(&mut stream, &request).await?;
    }
}

/// Holds the connection and says nothing.
async fn silence(_held: TcpStream) -> io::Result<()> {
    std::future::pending().await
}

/// An address at which nobody listens.
async fn refusing() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap()
}

/// A listener whose queue is full, so that further connections stay unanswered.
async fn black_hole() -> (SocketAddr, Vec<Box<dyn std::any::Any>>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held: Vec<Box<dyn std::any::Any>> = vec![Box::new(listener)];
    while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
        held.push(Box::new(stream));
    }
    (address, held)
}

async fn a_request_goes_there_and_back(way: Way) {
    let address = listen(echo).await;
    let request = text(&pool(way, Verify::Yes), &format!("http://u:p@{address}/path?query")).await.unwrap();
    assert!(request.starts_with("POST /path?query HTTP/1.1\r\n"), "{request}");
    assert!(
        request.contains(&format!("host: {address}\r\n")) && request.contains("content-length: 2\r\n"),
        "{request}"
    );
}

#[test]
fn the_host_header_leaves_out_what_goes_without_saying() {
    for (uri, port, expected) in [
        ("http://h:80/", 80, "h"),
        ("https://h:80/", 443, "h:80"),
        ("https://h/", 443, "h"),
        ("http://[::1]/", 80, "[::1]"),
        ("http://[::1]:80/", 80, "[::1]"),
        ("http://u:p@h:1/", 80, "h:1"),
    ] {
        assert_eq!(host_header(&uri.parse().unwrap(), port), expected, "{uri}");
    }
}

async fn connections_are_kept_up_to_the_limit(way: Way) {
    let accepted = Arc::new(AtomicUsize::new(0));
    let counter = accepted.clone();
    // The last four requests are answered when all of them are there.
    let (served, last) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Barrier::new(4)));
    let address = listen(move |mut stream| {
        counter.fetch_add(1, Ordering::Relaxed);
        let (served, last) = (served.clone(), last.clone());
        async move {
            loop {
                receive(&mut stream).await?;
                if served.fetch_add(1, Ordering::Relaxed) >= 5 {
                    last.wait().await;
                }
                reply(&mut stream, "{}").await?;
            }
        }
    })
    .await;
    let pool = pool_of(way, Tls { verify: Verify::Yes, client_cert: None }, Proxies::default(), 2);
    let url = format!("http://{address}");
    for _ in 0..5 {
        text(&pool, &url).await.unwrap();
    }
    assert_eq!(accepted.load(Ordering::Relaxed), 1);
    let all = tokio::join!(text(&pool, &url), text(&pool, &url), text(&pool, &url), text(&pool, &url));
    assert!(all.0.is_ok() && all.1.is_ok() && all.2.is_ok() && all.3.is_ok());
    assert_eq!(accepted.load(Ordering::Relaxed), 4);
    assert_eq!(pool.pool.lock()[0].1.len(), 2);
}

async fn a_connection_that_was_closed_while_idle_is_replaced(way: Way) {
    let address = listen(|mut stream| async move {
        receive(&mut stream).await?;
        reply(&mut stream, "once").await
    })
    .await;
    let pool = pool(way, Verify::Yes);
    for pause in [0, 0, 20, 0] {
        assert_eq!(text(&pool, &format!("http://{address}")).await.unwrap(), "once");
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

async fn a_connection_on_which_more_came_is_replaced(way: Way) {
    let address = listen(|mut stream| async move {
        receive(&mut stream).await?;
        // What is not asked for is the answer to nothing.
        stream
            .write_all(
                b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\noneHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\ntwo",
            )
            .await?;
        std::future::pending().await
    })
    .await;
    let pool = pool(way, Verify::Yes);
    for _ in 0..3 {
        assert_eq!(text(&pool, &format!("http://{address}")).await.unwrap(), "one");
    }
}

/// The peer refuses what it has not read, and does not read on: more than what the sockets hold could never leave.
async fn a_reply_counts_before_all_was_sent(way: Way) {
    let address = listen(|mut stream| async move {
        stream.read_u8().await?;
        reply(&mut stream, "no").await?;
        std::future::pending().await
    })
    .await;
    let body: &'static str = "x".repeat(32 << 20).leak();
    let sent = pool(way, Verify::Yes).send(post(&format!("http://{address}"), body), SECOND, SECOND).await;
    assert_eq!(sent.unwrap().into_body(), "no");
}

async fn a_long_reply_arrives_whole_however_slowly(way: Way) {
    let long = "x".repeat(300_000);
    let expected = long.clone();
    let address = listen(move |mut stream| {
        let long = long.clone();
        async move {
            receive(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            for part in long.as_bytes().chunks(75_000) {
                tokio::time::sleep(Duration::from_millis(60)).await;
                let chunk = [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
                stream.write_all(&chunk).await?;
            }
            stream.write_all(b"0\r\n\r\n").await
        }
    })
    .await;
    // Longer in all than the read timeout, which bounds each silence only.
    let response = pool(way, Verify::Yes).send(post(&format!("http://{address}"), "{}"), SECOND, SHORT).await.unwrap();
    assert_eq!(response.into_body(), expected.as_bytes());
}

async fn a_reply_without_end_is_given_up(way: Way) {
    for head in ["transfer-encoding: chunked", "connection: close"] {
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = sent.clone();
        let address = listen(move |mut stream| {
            let sent = counted.clone();
            async move {
                receive(&mut stream).await?;
                stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes()).await?;
                let chunk = [&b"100000\r\n"[..], &[b' '; 0x10_0000], b"\r\n"].concat();
                loop {
                    stream.write_all(&chunk).await?;
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
        .await;
        let (kind, retried, message) = failure(&pool(way, Verify::Yes), &format!("http://{address}/")).await;
        assert_eq!((kind, retried), (Failure::Other, false), "{message}");
        assert!(message.contains("more than SQS can send"), "{message}");
        assert!((codec::MAX_REPLY >> 20..codec::MAX_REPLY >> 19).contains(&sent.load(Ordering::Relaxed)), "{sent:?}");
    }
}

async fn a_reply_that_says_it_is_too_long_is_not_read(way: Way) {
    for (head, length) in [
        ("content-length: 1099511627776\r\n\r\n", 1_u64 << 40),
        ("transfer-encoding: chunked\r\n\r\n1\r\nx\r\n8000000\r\n", 0x800_0001),
    ] {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let address = listen(move |mut stream| {
            let tell = tell.clone();
            async move {
                receive(&mut stream).await?;
                stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}").as_bytes()).await?;
                // No more of it has to come, and the connection is closed all the same.
                let _ = tell.send(stream.read(&mut [0]).await);
                Ok(())
            }
        })
        .await;
        let (kind, retried, message) = failure(&pool(way, Verify::Yes), &format!("http://{address}/")).await;
        assert_eq!((kind, retried), (Failure::Other, false), "{message}");
        assert!(message.starts_with(&format!("The reply has {length} bytes or more")), "{message}");
        assert!(matches!(told.recv().await, Some(Ok(0) | Err(_))));
    }
}

async fn an_unknown_name_is_a_dns_failure(way: Way) {
    let (kind, retried, message) = failure(&pool(way, Verify::Yes), "http://no-such-host.invalid").await;
    assert_eq!((kind, retried), (Failure::Dns, true));
    assert!(message.starts_with("failed to resolve 'no-such-host.invalid'"), "{message}");
}

async fn a_refused_port_is_a_connect_failure(way: Way) {
    let (kind, retried, _) = failure(&pool(way, Verify::Yes), &format!("http://{}", refusing().await)).await;
    assert_eq!((kind, retried), (Failure::Connect, true));
}

async fn a_black_hole_is_a_connect_timeout(way: Way) {
    let (address, _held) = black_hole().await;
    let sent = pool(way, Verify::Yes).send(post(&format!("http://{address}"), "{}"), SHORT, None).await;
    let error = ConnectorError::from(sent.unwrap_err());
    assert_eq!((classify(&error), error.is_timeout()), (Failure::ConnectTimeout, true));
}

async fn silence_is_a_read_timeout(way: Way) {
    for head in ["", "HTTP/1.1 200 OK\r\nconte", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123"] {
        let address = listen(move |mut stream| async move {
            receive(&mut stream).await?;
            stream.write_all(head.as_bytes()).await?;
            std::future::pending().await
        })
        .await;
        let sent = pool(way, Verify::Yes).send(post(&format!("http://{address}"), "{}"), None, SHORT).await;
        let error = ConnectorError::from(sent.unwrap_err());
        assert_eq!((classify(&error), error.is_timeout()), (Failure::ReadTimeout, true), "{head}");
    }
}

async fn a_reply_that_is_none_is_a_closed_connection(way: Way) {
    for head in ["", "hello\r\n\r\n", "HTTP/1.1 200 OK\r\nconte", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123"] {
        let address = listen(move |mut stream| async move {
            receive(&mut stream).await?;
            stream.write_all(head.as_bytes()).await
        })
        .await;
        let (kind, retried, _) = failure(&pool(way, Verify::Yes), &format!("http://{address}")).await;
        assert_eq!((kind, retried), (Failure::Closed, true), "{head}");
    }
}

async fn other_schemes_are_not_spoken(way: Way) {
    let (kind, retried, message) = failure(&pool(way, Verify::Yes), "ftp://localhost/").await;
    assert_eq!((kind, retried, message.as_str()), (Failure::Other, false, "Not supported URL scheme ftp"));
}

/// Certificates on disk, gone with the value.
struct Pki {
    folder: std::path::PathBuf,
    authority: Issuer<'static, KeyPair>,
}

impl Pki {
    fn new(name: &str) -> Pki {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("turbosqs-{name}-{}-{made}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        std::fs::write(folder.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Pki { folder, authority: Issuer::new(params, key) }
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// A certificate for `name`, signed by the authority or by itself.
    fn issue(&self, file: &str, name: &str, change: impl FnOnce(&mut CertificateParams)) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = match params.is_ca {
            IsCa::Ca(_) => params.self_signed(&key).unwrap(),
            _ => params.signed_by(&key, &self.authority).unwrap(),
        };
        let mut both = std::fs::File::create(self.path(file)).unwrap();
        both.write_all(certificate.pem().as_bytes()).unwrap();
        both.write_all(key.serialize_pem().as_bytes()).unwrap();
    }

    async fn serve(&self, file: &str, client_authority: bool) -> SocketAddr {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let builder = if client_authority {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![CertificateDer::from_pem_file(self.path(file)).unwrap()];
        let key = PrivateKeyDer::from_pem_file(self.path(file)).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
        listen(move |stream| {
            let acceptor = acceptor.clone();
            async move { echo(acceptor.accept(stream).await?).await }
        })
        .await
    }
}

impl Drop for Pki {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn certificates_are_verified_as_asked(way: Way) {
    let pki = Pki::new("verify");
    pki.issue("server.pem", "localhost", |_| {});
    pki.issue("other.pem", "elsewhere", |_| {});
    let (good, other) = (pki.serve("server.pem", false).await, pki.serve("other.pem", false).await);
    let url = |address: SocketAddr| format!("https://localhost:{}", address.port());
    let trusting = pool(way, Verify::Bundle(pki.path("ca.pem")));
    assert!(text(&trusting, &url(good)).await.unwrap().contains("POST / HTTP/1.1"));
    let (kind, retried, message) = failure(&trusting, &url(other)).await;
    assert_eq!((kind, retried), (Failure::Tls, false));
    assert!(message.contains("certificate"), "{message}");
    // The system knows nothing of this authority.
    let (kind, retried, message) = failure(&pool(way, Verify::Yes), &url(good)).await;
    assert_eq!((kind, retried), (Failure::Tls, false), "{message}");
    for address in [good, other] {
        assert!(text(&pool(way, Verify::No), &url(address)).await.is_ok());
    }
}

async fn a_certificate_in_the_bundle_is_trusted_itself(way: Way) {
    let pki = Pki::new("pinned");
    let authority = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    pki.issue("own.pem", "localhost", authority);
    pki.issue("other.pem", "elsewhere", authority);
    pki.issue("old.pem", "localhost", |params| {
        authority(params);
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    for (file, bundle, expected) in [
        ("own.pem", "own.pem", None),
        ("own.pem", "ca.pem", Some(Failure::Tls)),
        ("other.pem", "other.pem", Some(Failure::Tls)),
        ("old.pem", "old.pem", Some(Failure::Tls)),
    ] {
        let address = pki.serve(file, false).await;
        let sent =
            text(&pool(way, Verify::Bundle(pki.path(bundle))), &format!("https://localhost:{}", address.port())).await;
        assert_eq!(sent.as_ref().err().map(|failed| failed.kind), expected, "{file} {bundle} {sent:?}");
    }
}

async fn a_client_certificate_is_shown(way: Way) {
    let pki = Pki::new("client");
    pki.issue("server.pem", "localhost", |_| {});
    pki.issue("client.pem", "client", |_| {});
    let url = format!("https://localhost:{}", pki.serve("server.pem", true).await.port());
    let with = |cert: &str, key: Option<&str>| {
        let client_cert = Some(ClientCert { cert: pki.path(cert), key: key.map(|key| pki.path(key)) });
        pool_with(way, Tls { verify: Verify::Bundle(pki.path("ca.pem")), client_cert }, Proxies::default())
    };
    assert!(text(&with("client.pem", None), &url).await.is_ok());
    assert!(text(&with("client.pem", Some("client.pem")), &url).await.is_ok());
    for (cert, key) in [("none.pem", None), ("ca.pem", None), ("client.pem", Some("server.pem"))] {
        let (kind, retried, message) = failure(&with(cert, key), &url).await;
        assert_eq!((kind, retried), (Failure::Tls, false), "{cert} {message}");
    }
    assert!(text(&pool(way, Verify::Bundle(pki.path("ca.pem"))), &url).await.is_err());
}

async fn a_bundle_that_is_none_is_named(way: Way) {
    let pki = Pki::new("bundle");
    std::fs::write(pki.path("junk.pem"), "junk").unwrap();
    pki.issue("server.pem", "localhost", |_| {});
    let url = format!("https://localhost:{}", pki.serve("server.pem", false).await.port());
    for name in ["none.pem", "junk.pem"] {
        let (kind, retried, message) = failure(&pool(way, Verify::Bundle(pki.path(name))), &url).await;
        assert_eq!((kind, retried), (Failure::Tls, false));
        assert!(message.starts_with(&pki.path(name)), "{message}");
    }
}

async fn tls_to_one_who_does_not_speak_it_fails(way: Way) {
    let plain = listen(|mut stream| async move {
        let mut hello = [0; 64];
        stream.read_exact(&mut hello).await?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await
    })
    .await;
    assert_eq!(failure(&pool(way, Verify::No), &format!("https://{plain}")).await.0, Failure::Tls);
    let silent = listen(silence).await;
    let sent = pool(way, Verify::No).send(post(&format!("https://{silent}"), "{}"), SHORT, None).await;
    assert_eq!(sent.unwrap_err().kind, Failure::ReadTimeout);
}

fn proxies(scheme: &str, url: String, config: ProxiesConfig) -> Proxies {
    Proxies::given(&[(scheme.to_owned(), url)], &config)
}

fn plainly(way: Way, scheme: &str, url: String) -> Subject {
    pool_with(way, Tls { verify: Verify::No, client_cert: None }, proxies(scheme, url, ProxiesConfig::default()))
}

/// A proxy that joins tunnels to `target`, whatever they ask for, when they are authorized.
async fn tunneling(target: SocketAddr) -> SocketAddr {
    listen(move |mut stream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap();
        if head != "CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\nProxy-Authorization: Basic dTpw\r\n\r\n" {
            return stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
        }
        stream.write_all(b"HTTP/1.1 200 Connection established\r\nx: y\r\n\r\n").await?;
        copy_bidirectional(&mut stream, &mut TcpStream::connect(target).await?).await.map(drop)
    })
    .await
}

async fn https_goes_through_a_tunnel(way: Way) {
    let pki = Pki::new("tunnel");
    pki.issue("server.pem", "h.test", |_| {});
    let proxy = tunneling(pki.serve("server.pem", false).await).await;
    let tls = Tls { verify: Verify::Bundle(pki.path("ca.pem")), client_cert: None };
    let pool = pool_with(way, tls, proxies("https", format!("http://u:p@{proxy}"), ProxiesConfig::default()));
    let request = text(&pool, "https://h.test/path").await.unwrap();
    assert!(request.starts_with("POST /path HTTP/1.1\r\n") && request.contains("host: h.test\r\n"), "{request}");
    assert!(!request.contains("proxy"), "{request}");
}

async fn plain_http_is_forwarded_in_absolute_form(way: Way) {
    let proxy = listen(echo).await;
    for (url, authorized) in [(format!("http://u:p@{proxy}"), true), (proxy.to_string(), false)] {
        let request = text(&plainly(way, "http", url), "http://h.test/path?q").await.unwrap();
        assert!(request.starts_with("POST http://h.test/path?q HTTP/1.1\r\n"), "{request}");
        assert_eq!(request.contains("proxy-authorization: Basic dTpw\r\n"), authorized, "{request}");
        assert!(request.contains("host: h.test\r\n"), "{request}");
    }
}

async fn a_proxy_may_have_tls_of_its_own(way: Way) {
    let pki = Pki::new("proxy");
    pki.issue("server.pem", "localhost", |_| {});
    let url = format!("https://localhost:{}", pki.serve("server.pem", false).await.port());
    let config = |ca_bundle: Option<&str>| ProxiesConfig {
        ca_bundle: ca_bundle.map(|name| pki.path(name)),
        use_forwarding_for_https: Some(true),
        client_cert: None,
    };
    let with = |name| {
        pool_with(way, Tls { verify: Verify::Yes, client_cert: None }, proxies("https", url.clone(), config(name)))
    };
    let request = text(&with(Some("ca.pem")), "https://h.test/path").await.unwrap();
    assert!(request.starts_with("POST https://h.test/path HTTP/1.1\r\n"), "{request}");
    assert_eq!(failure(&with(None), "https://h.test").await.0, Failure::Proxy);
    let (kind, _, message) = failure(&with(Some("none.pem")), "https://h.test").await;
    assert_eq!(kind, Failure::Other);
    assert_eq!(message, "Invalid configuration value(s) provided for proxies_config.");
}

async fn a_proxy_that_does_not_serve_is_a_proxy_failure(way: Way) {
    let refusing = refusing().await;
    let denying = tunneling(refusing).await;
    for (url, expected) in [
        (format!("http://u:secret@{refusing}"), "Connection refused"),
        (format!("http://x:y@{denying}"), "Tunnel connection failed: 407 Proxy Authentication Required"),
        ("http://no-such-host.invalid:1".to_owned(), "failed to resolve 'no-such-host.invalid'"),
    ] {
        let error =
            ConnectorError::from(text(&plainly(way, "https", url.clone()), "https://h.test").await.unwrap_err());
        assert_eq!((classify(&error), error.is_io()), (Failure::Proxy, true), "{url}");
        assert!(std::error::Error::source(&error).unwrap().to_string().contains(expected), "{error:?}");
        assert!(proxy_url(&error).is_some_and(|url| !url.contains("secret")), "{error:?}");
    }
}

async fn a_proxy_that_goes_away_is_a_closed_connection(way: Way) {
    let closing = listen(|mut stream| async move { stream.read_u8().await.map(drop) }).await;
    assert_eq!(failure(&plainly(way, "https", closing.to_string()), "https://h.test").await.0, Failure::Closed);
    let silent = listen(silence).await;
    let sent = plainly(way, "https", silent.to_string()).send(post("https://h.test", "{}"), SHORT, None).await;
    assert_eq!(sent.unwrap_err().kind, Failure::ReadTimeout);
}

#[tokio::test]
async fn the_sdks_own_timeout_is_a_read_timeout() {
    assert_eq!(classify(&ConnectorError::timeout("late".into())), Failure::ReadTimeout);
    assert_eq!(classify(&ConnectorError::io("gone".into())), Failure::Closed);
    assert_eq!(classify(&ConnectorError::other("odd".into(), None)), Failure::Other);
}

#[tokio::test]
async fn keepalive_is_set_when_asked_for() {
    for asked in [false, true] {
        let tls = Tls { verify: Verify::Yes, client_cert: None };
        let dialer = Dialer::new(tls, Proxies::default(), asked);
        let socket = dialer.socket((Ipv4Addr::LOCALHOST, 1).into()).unwrap();
        assert_eq!((socket.keepalive().unwrap(), socket.nodelay().unwrap()), (asked, true));
    }
}

async fn each_request_on_a_connection_has_its_own_read_timeout(way: Way) {
    let accepted = Arc::new(AtomicUsize::new(0));
    let counter = accepted.clone();
    let address = listen(move |mut stream| {
        counter.fetch_add(1, Ordering::Relaxed);
        async move {
            for delay in [0, 300, 0, 300] {
                receive(&mut stream).await?;
                tokio::time::sleep(Duration::from_millis(delay)).await;
                reply(&mut stream, "{}").await?;
            }
            Ok(())
        }
    })
    .await;
    let pool = pool(way, Verify::Yes);
    let url = format!("http://{address}");
    // The second outlives the timer that the first has left, and the fourth must not wait for that of the third.
    for (timeout, is_answered) in [(SHORT, true), (SECOND, true), (SECOND, true), (SHORT, false)] {
        let began = Instant::now();
        match pool.send(post(&url, "{}"), SECOND, timeout).await {
            Ok(_) => assert!(is_answered),
            Err(failed) => {
                assert_eq!((failed.kind, is_answered), (Failure::ReadTimeout, false));
                assert!(began.elapsed() < Duration::from_millis(280), "{:?}", began.elapsed());
            }
        }
    }
    assert_eq!(accepted.load(Ordering::Relaxed), 1);
}
