//! The sources of credentials: what asks a service, a file or a program for keys, in botocore's ways and words.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::Credentials as Keys;
use aws_smithy_types::date_time::{DateTime, Format};
use http::HeaderValue;
use serde_json::{Map, Value};

use crate::config::{Credentials, Services, StaticCredentials};
use crate::protocol::error::{Error, SourceError};

mod container;
mod environment;
mod login;
mod metadata;
mod process;
mod roles;
mod services;
mod sso;
mod tokens;
#[cfg(test)]
mod world_tests;

pub(super) use metadata::not_refreshed;

/// The keys, once they are found.
pub(super) type Finding<'a> = Pin<Box<dyn Future<Output = Result<Keys, Error>> + Send + 'a>>;
/// What botocore does when a client is made, once it is done.
pub(super) type Preparing<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// Where keys come from, whenever they are needed anew.
pub(super) trait Source: fmt::Debug + Send + Sync {
    fn find(&self) -> Finding<'_>;

    /// Whether botocore asks for the keys when a client is made. Of others it looks at no more than what [`Self::prepare`] does.
    fn is_asked_first(&self) -> bool {
        false
    }

    /// What else botocore does when a client is made: what has failed then fails there.
    fn prepare(&self) -> Preparing<'_> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// The source that the settings name; `None`: there is none, or its keys are handed over.
pub(super) fn source(credentials: &Credentials, services: &Services) -> Option<Arc<dyn Source>> {
    Some(match credentials {
        Credentials::Static(found) => Arc::new(Given(found.clone())),
        Credentials::Environment => Arc::new(environment::EnvironmentSource),
        Credentials::Role(role) => Arc::new(roles::RoleSource::new(role, services)),
        Credentials::WebIdentity(identity) => Arc::new(roles::WebIdentitySource::new(identity, services)),
        Credentials::Sso(sso) => Arc::new(sso::SsoSource::new(sso, services)),
        Credentials::Login(login) => Arc::new(login::LoginSource::new(login, services)),
        Credentials::Process(process) => Arc::new(process::ProcessSource::new(process)),
        Credentials::Container(container) => Arc::new(container::ContainerSource::new(container)),
        Credentials::InstanceMetadata(metadata) => Arc::new(metadata::MetadataSource::new(metadata, services)),
        Credentials::Missing => Arc::new(Nothing),
        Credentials::External(_) | Credentials::Anonymous => return None,
    })
}

/// Keys as their source has them, which is `method` in botocore's words; with the account that they are of, if it says so.
///
/// # Errors
/// No request can be signed with them: no header can carry the access key.
fn made(
    method: &'static str,
    (id, secret): (&str, &str),
    token: Option<&str>,
    expiry: Option<SystemTime>,
    account: Option<&str>,
) -> Result<Keys, Error> {
    if HeaderValue::from_str(id).is_err() {
        return Err(retrieval(method, "the access key has a line break or another character that no header can carry"));
    }
    let mut keys = Keys::builder().access_key_id(id).secret_access_key(secret).provider_name(method);
    keys.set_session_token(token.map(str::to_owned));
    keys.set_expiry(expiry);
    keys.set_account_id(account.filter(|account| !account.is_empty()).map(Into::into));
    Ok(keys.build())
}

/// Keys that were found where settings are.
pub(super) fn made_of(found: &StaticCredentials, expiry: Option<SystemTime>) -> Result<Keys, Error> {
    let pair = (found.access_key.as_str(), found.secret_key.as_str());
    made(found.method, pair, found.token.as_deref(), expiry, found.account_id.as_deref())
}

/// Keys that are there already.
#[derive(Debug)]
struct Given(StaticCredentials);

impl Source for Given {
    fn find(&self) -> Finding<'_> {
        Box::pin(std::future::ready(made_of(&self.0, None)))
    }
}

/// The source that has no keys: what the search for credentials ends with when it has found none.
#[derive(Debug)]
struct Nothing;

impl Source for Nothing {
    fn find(&self) -> Finding<'_> {
        Box::pin(std::future::ready(Err(Error::NoCredentials)))
    }
}

/// `CredentialRetrievalError`
fn retrieval(provider: &'static str, detail: impl Into<String>) -> Error {
    Error::Credentials { provider, detail: detail.into() }
}

/// An exception of botocore's whose text is this one and whose only argument is `error_msg`, if it has any.
fn named(class: &'static str, error_msg: Option<&str>, text: String) -> Error {
    let kwargs = error_msg.map(|message| ("error_msg", message.to_owned())).into_iter().collect();
    SourceError::Named { class, kwargs, text }.into()
}

/// An object of JSON; what is none is told as Python's `json` would, or as a failure of the source.
fn object(provider: &'static str, text: &[u8]) -> Result<Map<String, Value>, Error> {
    match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(retrieval(provider, "the answer is JSON, but no object")),
        Err(_) => Err(SourceError::NotJson(String::from_utf8_lossy(text).into_owned()).into()),
    }
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

/// A member that has to be there.
fn required<'a>(provider: &'static str, object: &'a Map<String, Value>, name: &str) -> Result<&'a str, Error> {
    text(object, name).ok_or_else(|| missing(provider, name))
}

/// A reply without a member that has to be there, in botocore's words.
fn missing(provider: &'static str, name: &str) -> Error {
    retrieval(provider, format!("Missing required key in response: '{name}'"))
}

/// A time as the sources write it.
fn time(provider: &'static str, text: &str) -> Result<SystemTime, Error> {
    let unreadable = || retrieval(provider, format!("the expiration '{text}' is no time with a zone, in ISO 8601"));
    // RFC 3339 allows a blank for the T, and ISO 8601 a zone without a colon or minutes.
    let mut written = text.trim().replacen(' ', "T", 1);
    if let Some(zone) = written.rfind(['+', '-']).filter(|zone| *zone > 10)
        && let Some(digits) = written.get(zone + 1..)
        && digits.len() != 5
        && digits.chars().all(|digit| digit.is_ascii_digit())
    {
        match digits.len() {
            2 => written.push_str(":00"),
            4 => written.insert(zone + 3, ':'),
            _ => return Err(unreadable()),
        }
    }
    let time = DateTime::from_str(&written, Format::DateTimeWithOffset).map_err(|_| unreadable())?;
    SystemTime::try_from(time).map_err(|_| unreadable())
}

/// `2026-11-25T10:00:00Z`
fn written(time: SystemTime) -> String {
    DateTime::from_secs(DateTime::from(time).secs()).fmt(Format::DateTime).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        let at = |text: &str| time("p", text).unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        for text in [
            "2026-11-25T10:00:00Z",
            "2026-11-25T10:00:00.000Z",
            "2026-11-25T10:00:00+00:00",
            "2026-11-25T12:00:00+0200",
            "2026-11-25T08:00:00-02",
            "2026-11-25 10:00:00Z",
        ] {
            assert_eq!(at(text), 1_795_600_800, "{text}");
        }
        for text in ["", "soon", "2026-11-25", "2026-11-25T10:00:00", "2026-11-25T10:00:00+123"] {
            assert!(matches!(time("p", text), Err(Error::Credentials { provider: "p", .. })), "{text}");
        }
        assert_eq!(written(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_600_800)), "2026-11-25T10:00:00Z");
    }
}
