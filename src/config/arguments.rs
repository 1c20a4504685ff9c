//! What the caller passed, as it was passed: nothing looked up, nothing defaulted.

use super::Batching;

/// The arguments of `client()` and `Session()` together.
///
/// `None` means "not given" (or given as Python's `None`, which botocore treats alike).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arguments {
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
}

/// The options of `Config(...)` that mean something to an SQS client.
///
/// Options about other services (`s3`, checksums, endpoint discovery and so on) are checked where they are accepted
/// and are not carried any further.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
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

/// `verify=`: whether, and against what, a server's certificate is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verify {
    /// Against the system's certificate authorities.
    Yes,
    No,
    /// Against the authorities in this PEM file.
    Bundle(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureVersion {
    /// `botocore.UNSIGNED`.
    Unsigned,
    Named(String),
}

/// A timeout as `Config` takes it; Python's `None` is `Never`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Timeout {
    Never,
    Seconds(f64),
}

/// A client certificate: the file, and the file of its key if that is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCert {
    pub cert: String,
    pub key: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxiesConfig {
    pub ca_bundle: Option<String>,
    pub client_cert: Option<ClientCert>,
    pub use_forwarding_for_https: Option<bool>,
}

/// `retries={...}`. `max_attempts` counts retries, `total_max_attempts` counts the first attempt too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryOptions {
    pub max_attempts: Option<i64>,
    pub total_max_attempts: Option<i64>,
    pub mode: Option<String>,
}
