//! The server: one thread that owns the listener, the connections and the queues.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use http::HeaderMap;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::caller;
use super::clock::ClockMode;
use super::error::SqsError;
use super::faults::{Fault, Faults};
use super::guard::Guard;
use super::held::Budget;
use super::input::{CastText, Map, Text};
use super::limits::ServerLimits;
use super::listener::{accept, listen};
use super::lock::lock;
use super::log::{self, LogFormat};
use super::message::Millis;
use super::service::{Caller, is_account, is_region};
use super::state::{ServerState, ServerStats};
use super::tls::{ServerIdentity, TlsSide};

/// How a server is set up. The default listens on a free port of the loopback interface.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    pub host: IpAddr,
    /// 0 for any free one.
    pub port: u16,
    pub clock: ClockMode,
    /// Enforce the service's rules on purging twice within 60 seconds and on making a queue again within 60 seconds
    /// of its deletion.
    pub sixty_second_rules: bool,
    /// The account of callers whose access key is not an account number itself.
    pub account: String,
    /// The region of callers that do not sign.
    pub region: String,
    /// A line per request on standard error.
    pub log: Option<LogFormat>,
    /// Host names that it answers to, besides addresses, names without a dot and those of the loopback.
    pub allow_hosts: Vec<String>,
    /// Origins (`http://localhost:3000`) whose web pages may read and act.
    pub cors: Vec<String>,
    /// Speak TLS, as the one who is named by this certificate.
    pub tls: Option<ServerIdentity>,
    pub limits: ServerLimits,
}

impl Default for ServerOptions {
    fn default() -> ServerOptions {
        ServerOptions {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            clock: ClockMode::Real,
            sixty_second_rules: false,
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            log: None,
            allow_hosts: Vec::new(),
            cors: Vec::new(),
            tls: None,
            limits: ServerLimits::default(),
        }
    }
}

/// What the server's thread and its owner share.
#[derive(Debug)]
pub(super) struct ServerShared {
    state: Mutex<ServerState>,
    /// When the ticker means to look at the queues next; [`Millis::MAX`] for never.
    ticks_at: Mutex<Millis>,
    ticker: Notify,
    stop: Notify,
    pub log: Option<LogFormat>,
    pub guard: Guard,
    pub tls: Option<TlsSide>,
    pub limits: ServerLimits,
    pub bodies: Arc<Budget>,
    pub replies: Arc<Budget>,
    account: String,
    pub region: String,
    address: SocketAddr,
    host_and_port: String,
}

impl ServerShared {
    pub(super) fn state(&self) -> MutexGuard<'_, ServerState> {
        lock(&self.state)
    }

    pub(super) fn caller<'a>(&'a self, headers: &'a HeaderMap) -> Caller<'a> {
        caller::of(headers, &self.account, &self.region, self.scheme(), &self.host_and_port)
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    pub(super) fn endpoint_url(&self) -> String {
        format!("{}://{}", self.scheme(), self.host_and_port)
    }

    /// Wakes the ticker if it would sleep too long.
    pub(super) fn reconsider(&self) {
        let next = self.state().next_event();
        let ticks_at = *lock(&self.ticks_at);
        if next.is_some_and(|next| next < ticks_at) {
            self.ticker.notify_one();
        }
    }

    /// Writes down how a request was answered.
    pub(super) fn answered(&self, entry: &log::LogEntry<'_>, name: &'static str, is_action: bool) {
        {
            let mut state = self.state();
            state.service.ledger.answered(name, entry.status);
            if is_action {
                state.service.ledger.took(entry.elapsed);
            }
        }
        if let Some(format) = self.log {
            // Nobody can be told that nobody can be told.
            let _ = io::stderr().lock().write_all(entry.line(format).as_bytes());
        }
    }

    /// Lets the time that passes have its effect on those who wait: the only timer there is.
    async fn tick(&self) {
        loop {
            let next = {
                let mut state = self.state();
                state.tick();
                let now = state.now();
                // A clock that stands still brings nothing about that is not due already.
                let moves = state.clock.mode() == ClockMode::Real;
                let next = state.next_event().filter(|next| moves || *next <= now);
                next.map(|next| (next, Duration::from_millis(next.saturating_sub(now))))
            };
            *lock(&self.ticks_at) = next.map_or(Millis::MAX, |(next, _)| next);
            match next {
                None => self.ticker.notified().await,
                Some((_, Duration::ZERO)) => tokio::task::yield_now().await,
                Some((_, delay)) => {
                    // Either way there is something to look at.
                    let _ = tokio::time::timeout(delay, self.ticker.notified()).await;
                }
            }
        }
    }
}

/// A running embedded SQS. It stops when it is dropped, and so it belongs to the process that started it: a child forked from
/// that one has neither its thread nor its sockets to serve, and must not drop it.
#[derive(Debug)]
pub struct Server {
    shared: Arc<ServerShared>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server; it takes requests when this returns.
    pub fn start(options: ServerOptions) -> io::Result<Server> {
        if !is_account(&options.account) {
            let message = format!("an account is a number of 12 digits, not {:?}", options.account);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if !is_region(&options.region) {
            let message =
                format!("a region is made of up to 64 letters, digits and hyphens, unlike {:?}", options.region);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let guard = Guard::new(&options.allow_hosts, &options.cors)
            .map_err(|message| io::Error::new(io::ErrorKind::InvalidInput, message))?;
        let tls = options.tls.as_ref().map(|identity| TlsSide::new(identity, &options.limits)).transpose();
        let tls = tls.map_err(|message| io::Error::new(io::ErrorKind::InvalidInput, message))?;
        let (started, outcome) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("turbosqs-local".to_owned())
            .spawn(move || run(options, guard, tls, started))?;
        let stopped = || io::Error::other("the server's thread ended before it had started");
        let shared = outcome.recv().map_err(|_| stopped())??;
        Ok(Server { shared, thread: Some(thread) })
    }

    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    #[cfg(test)]
    pub(super) fn shared(&self) -> &ServerShared {
        &self.shared
    }

    /// `http://127.0.0.1:9324`, or the same with `https`.
    pub fn endpoint_url(&self) -> String {
        self.shared.endpoint_url()
    }

    /// Moves the clock forward, at once: delays, visibility and retention run out, and long polls see it.
    pub fn advance(&self, by: Duration) {
        let mut state = self.shared.state();
        state.clock.advance(by);
        let ServerState { service, polls, clock, .. } = &mut *state;
        let now = clock.now();
        service.run_tasks(now);
        polls.tick_all(service, now);
        drop(state);
        self.shared.ticker.notify_one();
    }

    /// Lets these faults strike from now on, instead of those before.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.shared.state().faults.set(faults);
    }

    /// Lets this fault strike besides those before.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.state().faults.add(fault);
    }

    /// Forgets all queues, faults and counts; connections and the time stay. Long polls end.
    pub fn reset(&self) {
        let mut state = self.shared.state();
        state.faults = Faults::default();
        state.polls.release();
        state.service.reset();
        state.stats = ServerStats::default();
    }

    pub fn stats(&self) -> ServerStats {
        self.shared.state().stats.clone()
    }

    /// Makes a queue as CreateQueue does, in the server's default account and region. Its URL.
    pub fn create_queue(
        &self,
        name: &str,
        attributes: &[(&str, &str)],
        tags: &[(&str, &str)],
    ) -> Result<String, SqsError> {
        let text = |text: &str| Text(text.to_owned().into());
        let pairs = |pairs: &[(&str, &str)]| {
            Map(pairs.iter().map(|(name, value)| (text(name), CastText(text(value)))).collect())
        };
        let (attributes, tags) = (pairs(attributes), pairs(tags));
        let shared = &self.shared;
        let caller = Caller {
            account: &shared.account,
            region: &shared.region,
            scheme: shared.scheme(),
            host: &shared.host_and_port,
            trace: None,
        };
        let mut state = shared.state();
        let now = state.clock.now();
        state.service.create(&caller, name, &attributes, &tags, now)
    }

    /// Stops listening, ends every connection and waits for the thread.
    pub fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.shared.state().polls.release();
        self.shared.stop.notify_one();
        // A thread that panicked has stopped as well.
        let _ = thread.join();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(
    options: ServerOptions,
    guard: Guard,
    tls: Option<TlsSide>,
    started: mpsc::Sender<io::Result<Arc<ServerShared>>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            // Without a receiver nobody is left to care.
            let _ = started.send(Err(error));
            return;
        }
    };
    runtime.block_on(async {
        let listening = listen(SocketAddr::new(options.host, options.port));
        let listening = listening.and_then(|listener| Ok((share(&listener, options, guard, tls)?, listener)));
        let (shared, listener) = match listening {
            Ok(listening) => listening,
            Err(error) => {
                let _ = started.send(Err(error));
                return;
            }
        };
        if started.send(Ok(shared.clone())).is_err() {
            return;
        }
        tokio::select! {
            () = accept(listener, &shared) => {}
            () = shared.tick() => {}
            () = shared.stop.notified() => {}
        }
        // Polls were released: let their replies reach their connections.
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
    });
    // Dropping the runtime drops every connection.
}

/// What the thread of a server on this listener and its owner share.
fn share(
    listener: &TcpListener,
    options: ServerOptions,
    guard: Guard,
    tls: Option<TlsSide>,
) -> io::Result<Arc<ServerShared>> {
    let address = listener.local_addr()?;
    // An address that means every interface is none that a client can be sent to.
    let reachable = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port()),
        _ => address,
    };
    Ok(Arc::new(ServerShared {
        state: Mutex::new(ServerState::new(options.clock, options.sixty_second_rules)),
        ticks_at: Mutex::new(Millis::MAX),
        ticker: Notify::new(),
        stop: Notify::new(),
        log: options.log,
        guard,
        tls,
        bodies: Budget::new(options.limits.bodies),
        replies: Budget::new(options.limits.replies),
        limits: options.limits,
        account: options.account,
        region: options.region,
        address,
        host_and_port: reachable.to_string(),
    }))
}
