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

pub(crate) use arguments::{
    Arguments, ClientCert, Options, ProxiesConfig, RetryOptions, SignatureVersion, Timeout, Verify,
};
pub(crate) use credentials::{
    Container, ContainerToken, Credentials, EnvironmentKeys, Found, Login, Metadata, OneTimeCode, Process, Role, Sso,
    StaticCredentials, WebIdentity,
};
#[cfg(test)]
pub(crate) use endpoint::host;
pub(crate) use error::{ConfigError, KwargValue};
pub(crate) use external::{ExternalCredentials, resolved};
pub(crate) use proxy::{Proxies, Proxy};
pub(crate) use resolve::{chosen_profile, resolve, session_region};
pub(crate) use services::{AwsService, Services};
pub(crate) use settings::{Batching, Retries, RetryMode, Settings, Tls, UserAgent};
pub(crate) use sources::{Section, SectionEntry, SharedFiles, Sources, command_words};
pub(crate) use system::System;
pub(crate) use url::{Url, masked, trimmed};
