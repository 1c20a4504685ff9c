//! Where credentials come from, as plain data. [`chain`] settles which source it is.

mod chain;
mod environment;
mod legacy;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{ExternalCredentials, Services};

pub(super) use chain::choose;
pub(crate) use environment::EnvironmentKeys;

/// Where credentials come from. Which source it is gets settled when a client is made, in botocore's order of asking; asking a
/// source that is not at hand (a process, a service) is left to the first call.
#[derive(Clone, PartialEq)]
pub(crate) enum Credentials {
    Static(StaticCredentials),
    /// Those of the environment, which expire.
    Environment,
    Role(Box<Role>),
    WebIdentity(WebIdentity),
    Sso(Sso),
    Login(Login),
    Process(Process),
    Container(Container),
    InstanceMetadata(Metadata),
    /// The client's owner hands them over.
    External(ExternalCredentials),
    /// There are none, and the first call says so.
    Missing,
    /// `signature_version=UNSIGNED`: requests are not signed.
    Anonymous,
}

/// A source that a session has found, with the settings that its other clients go by as well.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub credentials: Credentials,
    pub services: Services,
}

/// Keys as they are, and where they are from.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StaticCredentials {
    pub access_key: String,
    pub secret_key: String,
    pub token: Option<String>,
    pub account_id: Option<String>,
    /// botocore's name of where they were found: `explicit`, `env`, `shared-credentials-file`, `config-file`,
    /// `ec2-credentials-file`, `boto-config`.
    pub method: &'static str,
}

/// A role that is assumed with other credentials.
#[derive(Clone, PartialEq)]
pub(crate) struct Role {
    pub arn: String,
    pub session_name: Option<String>,
    pub external_id: Option<String>,
    pub duration: Option<i64>,
    pub code: Option<OneTimeCode>,
    pub source: Credentials,
    /// `credential_source` and the profile that has it, where that names the source.
    pub named: Option<(String, String)>,
}

/// A role that is assumed with a token in a file.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct WebIdentity {
    pub token_file: String,
    pub role_arn: String,
    pub session_name: Option<String>,
}

/// A role of a user who has logged in with IAM Identity Center.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sso {
    pub start_url: String,
    pub region: String,
    pub account_id: String,
    pub role_name: String,
    /// The `sso-session` section; without one, tokens are not renewed.
    pub session: Option<String>,
    /// The folder of the tokens.
    pub cache: String,
}

/// A user who has logged in to the console, with `aws login`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub session: String,
    /// The folder of the tokens.
    pub cache: String,
}

/// A program that prints keys.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub command: String,
    /// The profile's, for a program that does not say whose its keys are.
    pub account_id: Option<String>,
}

/// The credentials of a container, from an address of the machine that it runs on.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Container {
    pub url: String,
    pub token: Option<ContainerToken>,
}

/// The value of the `Authorization` header.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum ContainerToken {
    /// In this file, which is read for each request.
    File(String),
    Text(String),
}

/// The instance metadata service of EC2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// With a slash at its end.
    pub endpoint: String,
    /// Of each connection and each reply.
    pub timeout: Duration,
    pub attempts: u32,
    /// Whether requests without a token are out of the question.
    pub is_v1_disabled: bool,
}

impl Credentials {
    /// Whether they are the session's, for all clients that are given none of their own.
    pub(crate) fn is_of_session(&self) -> bool {
        match self {
            Credentials::Static(found) => found.method != "explicit",
            Credentials::External(_) | Credentials::Missing | Credentials::Anonymous => false,
            _ => true,
        }
    }

    /// Whether botocore asks their source when a client is made, or that of a role: what is on this machine, or beside it. The
    /// metadata of an instance is asked by the first call, unless a role names it.
    pub(crate) fn are_asked_first(&self) -> bool {
        match self {
            Credentials::Environment | Credentials::Process(_) | Credentials::Container(_) | Credentials::Login(_) => {
                true
            }
            Credentials::Role(role) => {
                role.source.are_asked_first() || matches!(role.source, Credentials::InstanceMetadata(_))
            }
            _ => false,
        }
    }

    /// botocore's name for the source.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Credentials::Static(found) => found.method,
            Credentials::Environment => "env",
            Credentials::Role(_) => "assume-role",
            Credentials::WebIdentity(_) => "assume-role-with-web-identity",
            Credentials::Sso(_) => "sso",
            Credentials::Login(_) => "login",
            Credentials::Process(_) => "custom-process",
            Credentials::Container(_) => "container-role",
            Credentials::InstanceMetadata(_) => "iam-role",
            Credentials::External(_) => "explicit",
            Credentials::Missing | Credentials::Anonymous => "none",
        }
    }

    /// The codes that a person has to be asked for, in botocore's order: the outermost role's first.
    pub(crate) fn codes(&self) -> Vec<OneTimeCode> {
        let mut codes = vec![];
        let mut credentials = self;
        while let Credentials::Role(role) = credentials {
            codes.extend(role.code.clone());
            credentials = &role.source;
        }
        codes
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No keys, and no command lines or paths that may hold some.
        match self {
            Credentials::Static(credentials) => credentials.fmt(f),
            Credentials::Role(role) => role.fmt(f),
            Credentials::WebIdentity(identity) => identity.fmt(f),
            Credentials::Sso(sso) => sso.fmt(f),
            Credentials::Login(login) => login.fmt(f),
            Credentials::Process(process) => process.fmt(f),
            Credentials::Container(container) => container.fmt(f),
            other => f.write_str(other.method()),
        }
    }
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Role").field("arn", &self.arn).finish_non_exhaustive()
    }
}

impl fmt::Debug for WebIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebIdentity").field("role_arn", &self.role_arn).finish_non_exhaustive()
    }
}

impl fmt::Debug for Sso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sso").field("role_name", &self.role_name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("session", &self.session).finish_non_exhaustive()
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").finish_non_exhaustive()
    }
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container").field("url", &self.url).finish_non_exhaustive()
    }
}

impl fmt::Debug for StaticCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Secrets stay out of logs and panics.
        f.debug_struct("StaticCredentials").field("method", &self.method).finish_non_exhaustive()
    }
}

/// The code of a device (`mfa_serial`), which a person is asked for once: it is good for one request. Copies share it.
#[derive(Clone)]
pub(crate) struct OneTimeCode {
    pub serial: String,
    state: Arc<Mutex<Code>>,
}

/// How far the asking for a code is.
#[derive(Default)]
enum Code {
    #[default]
    Unknown,
    Given(String),
    Used,
}

impl OneTimeCode {
    pub(crate) fn new(serial: String) -> OneTimeCode {
        OneTimeCode { serial, state: Arc::default() }
    }

    /// Whether nobody was asked yet.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(*self.lock(), Code::Unknown)
    }

    pub(crate) fn give(&self, code: String) {
        *self.lock() = Code::Given(code);
    }

    /// The code, for the one request; `None` if it is used up, or was never given.
    pub(crate) fn take(&self) -> Option<String> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, Code::Used) {
            Code::Given(code) => Some(code),
            Code::Unknown | Code::Used => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Code> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for OneTimeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OneTimeCode").field(&self.serial).finish()
    }
}

impl PartialEq for OneTimeCode {
    fn eq(&self, other: &Self) -> bool {
        self.serial == other.serial
    }
}
