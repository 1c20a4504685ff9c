//! Settings as plain data: what a caller passed, the environment and the shared files, made into what a client is
//! built from. Everything here is pure; reading the world is [`Sources`]'.
//!
//! The rules are botocore's, in its order of precedence. The one addition is `AWS_REGION`, which botocore ignores and
//! which is asked last.

mod arguments;
mod credentials;
mod endpoint;
mod error;
mod external;
#[cfg(test)]
mod fake;
mod general;
mod ini;
mod proxy;
mod resolve;
mod services;
mod settings;
mod sources;
mod system;
mod url;

pub use arguments::{Arguments, ClientCert, Options, ProxiesConfig, RetryOptions, SignatureVersion, Timeout, Verify};
pub use credentials::{
    Container, ContainerToken, Credentials, Found, Login, Metadata, OneTimeCode, Role, Sso, StaticCredentials,
    WebIdentity,
};
#[cfg(test)]
pub use endpoint::host;
pub use error::{ConfigError, KwargValue};
pub use external::{ExternalCredentials, resolved};
pub use proxy::{Proxies, Proxy};
pub use resolve::resolve;
pub use services::{AwsService, Services};
pub use settings::{Batching, Retries, RetryMode, Settings, Tls, UserAgent};
pub use sources::{Section, SectionEntry, SharedFiles, Sources, words};
pub use system::System;
pub use url::{Url, trimmed};
