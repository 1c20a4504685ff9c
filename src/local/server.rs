//! The server: one thread that owns the listener, the connections and the queues.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use http::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, oneshot};

use super::clock::{Clock, ClockMode};
use super::error::SqsError;
use super::faults::{EntryFault, Fault, Faults, Plan};
use super::guard::Guard;
use super::held::Budget;
use super::http as front;
use super::input::{CastText, Map, Text};
use super::limits::ServerLimits;
use super::lock::lock;
use super::log::{self, LogFormat};
use super::message::Millis;
use super::operations::Wait;
use super::polls::Polls;
use super::service::{Answer, Caller, Service, is_account, is_region};
use super::wire::{Breaker, Wire};
use crate::model::Action;

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
            limits: ServerLimits::default(),
        }
    }
}

/// What a server has done so far.
#[derive(Clone, Debug, Default)]
pub struct ServerStats {
    /// Requests by action, those refused included.
    pub requests: BTreeMap<&'static str, u64>,
    /// Connections accepted.
    pub connections: u64,
}

/// Everything that requests change, behind one lock that is never held across a wait.
#[derive(Debug)]
pub(super) struct ServerState {
    service: Service,
    polls: Polls,
    clock: Clock,
    stats: ServerStats,
    faults: Faults,
}

impl ServerState {
    pub(super) fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Decides what faults a request meets.
    pub(super) fn plan(&mut self, action: Action) -> Plan {
        self.faults.plan(action)
    }

    /// Counts a request. One that waits is counted under the same lock, so whoever sees it counted can rely on it.
    pub(super) fn count(&mut self, action: Action) {
        *self.stats.requests.entry(action.operation().name).or_default() += 1;
    }

    /// Carries an action out, and hands what it made available to whoever waits for it.
    pub(super) fn call(
        &mut self,
        action: Action,
        caller: &Caller<'_>,
        body: &[u8],
        entry_fault: Option<EntryFault>,
    ) -> Result<Answer, SqsError> {
        self.count(action);
        let now = self.clock.now();
        self.service.entry_fault = entry_fault;
        self.service.asked.set(None);
        let answer = self.service.call(action, caller, body, now);
        if let Ok(answer) = &answer {
            let reply = match answer {
                Answer::Reply(reply) => reply.len(),
                Answer::Wait(_) => 0,
            };
            self.service.requested(action, body.len().max(reply));
        }
        self.service.unblock_tasks(now);
        self.polls.serve(&mut self.service, now);
        answer
    }

    /// Looks at messages, which changes nothing.
    pub(super) fn peek(&mut self, caller: &Caller<'_>, body: &[u8]) -> Result<Vec<u8>, SqsError> {
        let now = self.clock.now();
        self.service.peek_by_request(caller, body, now)
    }

    /// The queues with the books, and how many connections there were.
    pub(super) fn books(&mut self) -> (&mut Service, u64) {
        (&mut self.service, self.stats.connections)
    }

    /// When something happens by time alone: a waiting poll's message becomes visible, a move task goes on.
    fn next_event(&self) -> Option<Millis> {
        let polls = self.polls.next_wake();
        polls.into_iter().chain(self.service.next_task()).min()
    }

    /// Lets what is due happen.
    fn tick(&mut self) {
        let now = self.clock.now();
        self.service.run_tasks(now);
        self.polls.tick(&mut self.service, now);
    }

    pub(super) fn wait(&mut self, request: Wait) -> oneshot::Receiver<Result<Vec<u8>, SqsError>> {
        let queue = request.queue;
        let receiver = self.polls.add(request);
        // Not to receive, which was tried just now, but to be scheduled.
        self.service.touched.push(queue);
        let now = self.clock.now();
        self.polls.serve(&mut self.service, now);
        receiver
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
        front::caller(headers, &self.account, &self.region, &self.host_and_port)
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
        let (started, outcome) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("turbosqs-local".to_owned())
            .spawn(move || run(options, guard, started))?;
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

    /// `http://127.0.0.1:9324`.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.shared.host_and_port)
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
            scheme: "http",
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

fn run(options: ServerOptions, guard: Guard, started: mpsc::Sender<io::Result<Arc<ServerShared>>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            // Without a receiver nobody is left to care.
            let _ = started.send(Err(error));
            return;
        }
    };
    runtime.block_on(async {
        let (listener, shared) = match listen(options, guard) {
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

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 4_096;

/// The same error, which says of which address it is.
fn name_address(error: io::Error, address: SocketAddr) -> io::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let message = format!("{address} is in use: another server may have it; choose another port, or 0 for any");
            io::Error::new(io::ErrorKind::AddrInUse, message)
        }
        _ => error,
    }
}

fn listen(options: ServerOptions, guard: Guard) -> io::Result<(TcpListener, Arc<ServerShared>)> {
    let socket = if options.host.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    let wanted = SocketAddr::new(options.host, options.port);
    socket.bind(wanted).map_err(|error| name_address(error, wanted))?;
    let listener = socket.listen(BACKLOG).map_err(|error| name_address(error, wanted))?;
    let address = listener.local_addr()?;
    // An address that means every interface is none that a client can be sent to.
    let reachable = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), address.port()),
        _ => address,
    };
    let state = ServerState {
        service: Service::new(options.sixty_second_rules),
        polls: Polls::default(),
        clock: Clock::new(options.clock),
        stats: ServerStats::default(),
        faults: Faults::default(),
    };
    let shared = ServerShared {
        state: Mutex::new(state),
        ticks_at: Mutex::new(Millis::MAX),
        ticker: Notify::new(),
        stop: Notify::new(),
        log: options.log,
        guard,
        bodies: Budget::new(options.limits.bodies),
        replies: Budget::new(options.limits.replies),
        limits: options.limits,
        account: options.account,
        region: options.region,
        address,
        host_and_port: reachable.to_string(),
    };
    Ok((listener, Arc::new(shared)))
}

/// A file that is always there.
const NOWHERE: &str = if cfg!(windows) { "NUL" } else { "/dev/null" };

async fn accept(listener: TcpListener, shared: &Arc<ServerShared>) {
    // Given up for a moment when there are no descriptors left, so that a caller is turned away instead of left hanging.
    let mut spare = std::fs::File::open(NOWHERE).ok();
    let mut complained: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                shared.state().stats.connections += 1;
                tokio::spawn(connection(stream, shared.clone()));
            }
            Err(error) => {
                let now = Instant::now();
                if complained.is_none_or(|last| now - last > Duration::from_secs(1)) {
                    complained = Some(now);
                    let line = format!("turbosqs: cannot accept a connection: {error}\n");
                    let _ = io::stderr().lock().write_all(line.as_bytes());
                }
                // Turns one caller away with the descriptor kept for it, and never spins.
                drop(spare.take());
                let turned_away = tokio::time::timeout(Duration::from_millis(10), listener.accept()).await;
                drop(turned_away);
                spare = std::fs::File::open(NOWHERE).ok();
                if spare.is_none() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }
}

/// How much of a connection's requests is read ahead, and so the longest head.
const MAX_BUFFER: usize = 65_536;

async fn connection(stream: TcpStream, shared: Arc<ServerShared>) {
    // Replies are written whole; without this each would wait for the peer's acknowledgement.
    let _ = stream.set_nodelay(true);
    let breaker = Breaker::default();
    let wire = Wire::new(stream, breaker.clone(), shared.limits.reply);
    let head = shared.limits.head;
    let service = service_fn(move |request| front::serve(shared.clone(), breaker.clone(), request));
    // A connection that fails has nobody left to tell: hyper has answered what could be answered.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(wire), service)
        .await;
}
