//! Credentials: the source that the settings name, asked when the first request is signed.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use aws_config::Region;
use aws_config::credential_process::CredentialProcessProvider;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::identity::IdentityCache;
use aws_config::imds;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider};
use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_sqs::config::SharedIdentityCache;
use http::HeaderValue;

use super::connector::credential_client;
use crate::config::{Credentials, Handed, Settings, StaticCredentials};

/// The provider of a client's credentials; `None`: its requests are not signed.
pub fn provider(settings: &Settings) -> Option<SharedCredentialsProvider> {
    match &settings.credentials {
        Credentials::Anonymous => None,
        Credentials::Static(found) => Some(SharedCredentialsProvider::new(Given(keys(found), found.method))),
        Credentials::Handed(handed) => Some(SharedCredentialsProvider::new(FromOwner::new(handed.clone()))),
        _ => Some(SharedCredentialsProvider::new(Lazy { settings: settings.clone(), inner: OnceLock::new() })),
    }
}

/// How long a source may take. A credential process may ask a person, so it is given longer than the SDK's 5 s.
pub const LOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// The SDK's cache for the provider.
pub fn identity_cache(settings: &Settings) -> SharedIdentityCache {
    match settings.credentials {
        Credentials::Handed(_) => IdentityCache::no_cache(),
        _ => IdentityCache::lazy().load_timeout(LOAD_TIMEOUT).build(),
    }
}

/// Looks for a failure of ours among an error and its causes.
pub fn failure(error: &(dyn Error + 'static)) -> Option<crate::error::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(failed) = error.downcast_ref::<Failed>() {
            let Failed { provider, message } = failed;
            return Some(crate::error::Error::Credentials { provider, detail: message.clone() });
        }
        if let Some(CredentialsError::CredentialsNotLoaded(_)) = error.downcast_ref() {
            return Some(crate::error::Error::NoCredentials);
        }
        cause = error.source();
    }
    None
}

fn keys(found: &StaticCredentials) -> Keys {
    let builder = Keys::builder()
        .access_key_id(&found.access_key)
        .secret_access_key(&found.secret_key)
        .provider_name(found.method);
    let builder = match &found.token {
        Some(token) => builder.session_token(token),
        None => builder,
    };
    match &found.account_id {
        Some(id) => builder.account_id(id.as_str()),
        None => builder,
    }
    .build()
}

/// What no request can be signed with: the SDK panics on a key that no header can carry.
fn checked(keys: Keys, method: &'static str) -> Result<Keys, CredentialsError> {
    if HeaderValue::from_str(keys.access_key_id()).is_ok() {
        return Ok(keys);
    }
    let message = "the access key has a line break or another character that no header can carry".to_owned();
    Err(CredentialsError::provider_error(Failed { provider: method, message }))
}

/// Keys that are there already.
#[derive(Debug)]
struct Given(Keys, &'static str);

impl ProvideCredentials for Given {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(checked(self.0.clone(), self.1))
    }
}

/// Keys that the client's owner may replace at any moment.
#[derive(Debug)]
pub(super) struct FromOwner {
    handed: Handed,
    /// What was handed over last, and what it became: the signer knows credentials by their allocation.
    made: ArcSwapOption<(Arc<StaticCredentials>, Arc<Keys>)>,
}

impl FromOwner {
    pub fn new(handed: Handed) -> FromOwner {
        FromOwner { handed, made: ArcSwapOption::empty() }
    }

    pub fn credentials(&self) -> Result<Arc<Keys>, CredentialsError> {
        let Some(current) = self.handed.get() else {
            return Err(CredentialsError::not_loaded("Unable to locate credentials"));
        };
        let made = self.made.load();
        if let Some(made) = made.as_ref().filter(|made| Arc::ptr_eq(&made.0, &current)) {
            return Ok(made.1.clone());
        }
        let keys = Arc::new(checked(keys(&current), current.method)?);
        self.made.store(Some(Arc::new((current, keys.clone()))));
        Ok(keys)
    }
}

impl ProvideCredentials for FromOwner {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(self.credentials().map(|keys| Keys::clone(&keys)))
    }
}

/// The SDK's provider for the source, made when it is first asked: making it costs more than the whole client.
struct Lazy {
    settings: Settings,
    inner: OnceLock<Arc<dyn ProvideCredentials>>,
}

impl fmt::Debug for Lazy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.credentials.fmt(f)
    }
}

impl ProvideCredentials for Lazy {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.ask())
    }
}

impl Lazy {
    async fn ask(&self) -> Result<Keys, CredentialsError> {
        let provider = match self.inner.get() {
            Some(provider) => provider,
            None => {
                let Some(provider) = build(&self.settings) else {
                    return Err(CredentialsError::not_loaded("Unable to locate credentials"));
                };
                self.inner.get_or_init(|| provider)
            }
        };
        let method = method(&self.settings.credentials);
        let keys = provider.provide_credentials().await.map_err(|error| match method {
            // A machine without instance metadata is simply one without credentials.
            "iam-role" => CredentialsError::not_loaded(Failed::new("iam-role", &error)),
            method => CredentialsError::provider_error(Failed::new(method, &error)),
        })?;
        checked(keys, method)
    }
}

/// botocore's name for the source.
pub fn method(credentials: &Credentials) -> &'static str {
    match credentials {
        Credentials::Profile { method, .. } => method,
        Credentials::WebIdentity { .. } => "assume-role-with-web-identity",
        Credentials::Process { .. } => "custom-process",
        Credentials::Container => "container-role",
        Credentials::InstanceMetadata { .. } => "iam-role",
        Credentials::Static(found) => found.method,
        Credentials::Handed(_) => "explicit",
        Credentials::Missing | Credentials::Anonymous => "none",
    }
}

fn build(settings: &Settings) -> Option<Arc<dyn ProvideCredentials>> {
    let config = ProviderConfig::without_region()
        .with_region(Some(Region::new(settings.region.clone())))
        .with_http_client(credential_client(settings))
        .with_use_fips(Some(settings.use_fips))
        .with_use_dual_stack(Some(settings.use_dualstack));
    Some(match &settings.credentials {
        Credentials::Profile { name, config_path, credentials_path, .. } => {
            let mut files = EnvConfigFiles::builder();
            for (kind, path) in
                [(EnvConfigFileKind::Config, config_path), (EnvConfigFileKind::Credentials, credentials_path)]
            {
                if let Some(path) = path {
                    files = files.with_file(kind, path);
                }
            }
            let builder = ProfileFileCredentialsProvider::builder().configure(&config).profile_name(name);
            Arc::new(builder.profile_files(files.build()).build())
        }
        Credentials::WebIdentity { token_file, role_arn, session_name } => {
            let identity = StaticConfiguration {
                web_identity_token_file: token_file.into(),
                role_arn: role_arn.clone(),
                session_name: session_name.clone().unwrap_or_else(default_session_name),
            };
            let builder = WebIdentityTokenCredentialsProvider::builder().configure(&config);
            Arc::new(builder.static_configuration(identity).build())
        }
        Credentials::Process { command } => Arc::new(CredentialProcessProvider::new(command.clone())),
        Credentials::Container => Arc::new(EcsCredentialsProvider::builder().configure(&config).build()),
        Credentials::InstanceMetadata { endpoint, timeout, attempts } => {
            let client = imds::Client::builder()
                .configure(&config)
                .max_attempts(*attempts)
                .connect_timeout(*timeout)
                .read_timeout(*timeout);
            let client = match endpoint {
                Some(endpoint) => client.endpoint(endpoint).ok()?,
                None => client,
            };
            let builder = ImdsCredentialsProvider::builder().configure(&config);
            Arc::new(builder.imds_client(client.build()).build())
        }
        Credentials::Static(_) | Credentials::Handed(_) | Credentials::Missing | Credentials::Anonymous => return None,
    })
}

fn default_session_name() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("botocore-session-{}", now.as_secs())
}

/// A source's failure, with all its causes in one line.
#[derive(Debug)]
struct Failed {
    provider: &'static str,
    message: String,
}

impl Failed {
    fn new(provider: &'static str, error: &CredentialsError) -> Failed {
        let mut message = String::new();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Many causes repeat what theirs say.
            if !message.contains(&text) {
                message = if message.is_empty() { text } else { format!("{message}: {text}") };
            }
            cause = error.source();
        }
        Failed { provider, message: if message.is_empty() { error.to_string() } else { message } }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error when retrieving credentials from {}: {}", self.provider, self.message)
    }
}

impl Error for Failed {}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
