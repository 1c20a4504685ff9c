//! What the caller passed, as it was passed: nothing looked up, nothing defaulted.

use std::fmt;
use std::sync::Arc;

use super::{Batching, Found, Proxies};

/// The arguments of `client()` and `Session()` together.
///
/// `None` means "not given" (or given as Python's `None`, which botocore treats alike).
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Arguments {
    pub region_name: Option<String>,
    pub profile_name: Option<String>,
    pub api_version: Option<String>,
    pub endpoint_url: Option<String>,
    pub use_ssl: Option<bool>,
    pub verify: Option<Verify>,
    pub aws_access_key_id: Option<String>,
    pub aws_secret_access_key: Option<String>,
    pub aws_session_token: Option<String>,
    pub aws_account_id: Option<String>,
    /// `Some(None)` is `batching=False`.
    pub batching: Option<Option<Batching>>,
    pub config: Options,
    /// Where the credentials come from, if the session has found that out for another of its clients.
    pub found: Option<Arc<Found>>,
}

impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys and tokens stay out of logs and panics.
        f.debug_struct("Arguments")
            .field("region_name", &self.region_name)
            .field("profile_name", &self.profile_name)
            .field("endpoint_url", &self.endpoint_url)
            .field("verify", &self.verify)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The options of `Config(...)` that mean something to an SQS client.
///
/// Options about other services (`s3`, checksums, endpoint discovery and so on) are checked where they are accepted
/// and are not carried any further.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Options {
    pub region_name: Option<String>,
    pub signature_version: Option<SignatureVersion>,
    pub user_agent: Option<String>,
    pub user_agent_extra: Option<String>,
    pub user_agent_appid: Option<String>,
    pub connect_timeout: Option<Timeout>,
    pub read_timeout: Option<Timeout>,
    pub parameter_validation: Option<bool>,
    pub max_pool_connections: Option<i64>,
    /// By scheme of the endpoint. `Some` and empty means: no proxy, whatever the environment says.
    pub proxies: Option<Vec<(String, String)>>,
    pub proxies_config: ProxiesConfig,
    pub retries: RetryOptions,
    pub client_cert: Option<ClientCert>,
    pub use_dualstack_endpoint: Option<bool>,
    pub use_fips_endpoint: Option<bool>,
    pub ignore_configured_endpoint_urls: Option<bool>,
    pub defaults_mode: Option<String>,
    pub tcp_keepalive: Option<bool>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proxies = self.proxies.as_deref().map(|given| Proxies::given(given, &self.proxies_config));
        f.debug_struct("Options")
            .field("region_name", &self.region_name)
            .field("connect_timeout", &self.connect_timeout)
            .field("read_timeout", &self.read_timeout)
            .field("proxies", &proxies)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

/// `verify=`: whether, and against what, a server's certificate is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verify {
    /// Against the system's certificate authorities.
    Yes,
    No,
    /// Against the authorities in this PEM file.
    Bundle(String),
}

/// `signature_version=`: how requests are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignatureVersion {
    /// `botocore.UNSIGNED`.
    Unsigned,
    Named(String),
}

/// A timeout as `Config` takes it; Python's `None` is `Never`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Timeout {
    Never,
    Seconds(f64),
}

/// A client certificate: the file, and the file of its key if that is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientCert {
    pub cert: String,
    pub key: Option<String>,
}

/// `proxies_config={...}`: how proxies are talked to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProxiesConfig {
    pub ca_bundle: Option<String>,
    pub client_cert: Option<ClientCert>,
    pub use_forwarding_for_https: Option<bool>,
}

/// `retries={...}`. `max_attempts` counts retries, `total_max_attempts` counts the first attempt too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RetryOptions {
    pub max_attempts: Option<i64>,
    pub total_max_attempts: Option<i64>,
    pub mode: Option<String>,
}
