//! What a client is built from: every question answered, nothing left to look up but credentials.

use std::time::Duration;

use super::{ClientCert, Credentials, Proxies, Services, Verify};

/// All that a client is built from, resolved.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// The region that requests are signed for.
    pub region: String,
    /// The endpoint that the caller, the environment or the profile asked for; it overrides the rules.
    pub endpoint_url: Option<String>,
    /// Where requests go: `endpoint_url`, or what the rules give for the region. This is `meta.endpoint_url`.
    pub endpoint: String,
    /// `aws`, `aws-cn`, ...: `meta.partition`.
    pub partition: &'static str,
    /// FIPS and dualstack only shape the endpoint of the rules, and `endpoint` says what came of it.
    pub use_fips: bool,
    pub use_dualstack: bool,
    pub credentials: Credentials,
    pub retries: Retries,
    /// `None`: wait for ever.
    pub connect_timeout: Option<Duration>,
    /// The longest silence on a socket, not the length of an attempt. `None`: wait for ever.
    pub read_timeout: Option<Duration>,
    pub tls: Tls,
    pub proxies: Proxies,
    /// How the services that credentials come from are reached.
    pub services: Services,
    pub user_agent: UserAgent,
    /// How many idle connections are kept. As with botocore's pool, more may be open at a time.
    pub max_pool_connections: usize,
    pub tcp_keepalive: bool,
    pub parameter_validation: bool,
    /// What environment and profile say of settings that are not SQS's, by name.
    pub general: Vec<(&'static str, String)>,
    /// `None`: every call is a request of its own.
    pub batching: Option<Batching>,
}

/// How calls share requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batching {
    /// How long an entry lingers while a request is in flight.
    pub linger: Duration,
    /// Requests on their way at a time, for each queue and action.
    pub max_in_flight: usize,
    /// Entries, and bytes of them, that may be unanswered before one who does not wait for answers has to wait.
    pub max_waiting: usize,
    pub max_waiting_bytes: usize,
}

impl Default for Batching {
    fn default() -> Self {
        Batching {
            linger: Duration::from_millis(2),
            max_in_flight: 32,
            max_waiting: 10_000,
            max_waiting_bytes: 64 << 20,
        }
    }
}

/// How often, and by which rules, failed requests are repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retries {
    pub mode: RetryMode,
    /// The first attempt included.
    pub total_max_attempts: u32,
}

/// botocore's retry modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryMode {
    Legacy,
    Standard,
    Adaptive,
}

impl RetryMode {
    /// As written in `Config(retries={'mode': ...})`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            RetryMode::Legacy => "legacy",
            RetryMode::Standard => "standard",
            RetryMode::Adaptive => "adaptive",
        }
    }
}

/// How TLS connections are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tls {
    pub verify: Verify,
    pub client_cert: Option<ClientCert>,
}

/// The user's part of the header `User-Agent`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UserAgent {
    /// `Config(user_agent=...)`: replaces the whole header.
    pub replacement: Option<String>,
    /// `Config(user_agent_extra=...)`: goes to the end.
    pub extra: Option<String>,
    /// `Config(user_agent_appid=...)`: travels as `app/<id>`.
    pub app_id: Option<String>,
}
