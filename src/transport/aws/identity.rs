//! The credentials of a client or a session, kept until shortly before they expire.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use tokio::sync::Mutex;

use super::sources::{Source, made_of, not_refreshed, source};
use crate::config::{Credentials, ExternalCredentials, Found, StaticCredentials};
use crate::log::{self, Topic};
use crate::protocol::error::Error;

/// How long before they expire credentials are replaced, by one request while others still use them; and how long before, by
/// a request that all others wait for. Both are botocore's. Of keys that live no longer than that, a half and a third of
/// their life.
const ADVISORY: Duration = Duration::from_secs(15 * 60);
const MANDATORY: Duration = Duration::from_secs(10 * 60);
/// How long good credentials are used on after their source has failed.
const AGAIN: Duration = Duration::from_secs(1);

/// Whose requests they are.
#[derive(Debug)]
pub(crate) struct Identity(Kind);

/// Whether we look for the credentials, or are handed them.
#[derive(Debug)]
enum Kind {
    /// A source's, asked when they run out.
    Cached(CachedCredentials),
    /// The client's owner's, looked at for each request.
    External(FromOwner),
}

impl Identity {
    /// `None`: requests are not signed. What is in `holder` is used until it runs out, and what is found goes there.
    pub(crate) fn new(found: &Found, holder: Holder) -> Option<Identity> {
        Some(Identity(match &found.credentials {
            Credentials::External(handed) => Kind::External(FromOwner::new(handed.clone())),
            credentials => {
                let source = source(credentials, &found.services)?;
                Kind::Cached(CachedCredentials { holder, ..CachedCredentials::new(source, credentials.method()) })
            }
        }))
    }

    /// What botocore does about them when a client is made. That there are none is told by the first call.
    pub(crate) async fn prepare(&self) -> Result<(), Error> {
        match &self.0 {
            Kind::Cached(cached) => match cached.prepare(SystemTime::now()).await {
                Err(Error::NoCredentials) => Ok(()),
                prepared => prepared,
            },
            Kind::External(_) => Ok(()),
        }
    }

    /// Whether their source has given none, where boto3 would have asked it, and found nothing, when a client was made.
    pub(crate) fn has_failed(&self) -> bool {
        match &self.0 {
            Kind::Cached(cached) => cached.has_failed(),
            Kind::External(_) => false,
        }
    }

    /// The service has refused them as expired, whatever they say: the source is asked before they are used again.
    pub(super) fn renew(&self, now: SystemTime) {
        if let Kind::Cached(cached) = &self.0 {
            cached.renew(now);
        }
    }

    pub(super) async fn credentials(&self, now: SystemTime) -> Result<Arc<Keys>, Error> {
        match &self.0 {
            Kind::Cached(cached) => cached.credentials(now).await,
            Kind::External(owner) => owner.credentials(),
        }
    }
}

/// The credentials that were found last. Copies share what is in it, processes do not: a forked child goes on with what
/// its parent had.
#[derive(Clone, Default)]
pub(crate) struct Holder(Arc<ArcSwapOption<CachedKeys>>);

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Holder")
    }
}

/// Keys that the client's owner may replace at any moment.
#[derive(Debug)]
struct FromOwner {
    handed: ExternalCredentials,
    /// What was handed over last, and what it became: the signer knows credentials by their allocation.
    made: ArcSwapOption<(Arc<StaticCredentials>, Arc<Keys>)>,
}

impl FromOwner {
    fn new(handed: ExternalCredentials) -> FromOwner {
        FromOwner { handed, made: ArcSwapOption::empty() }
    }

    fn credentials(&self) -> Result<Arc<Keys>, Error> {
        let Some(current) = self.handed.get() else { return Err(Error::NoCredentials) };
        let made = self.made.load();
        if let Some(made) = made.as_ref().filter(|made| Arc::ptr_eq(&made.0, &current)) {
            return Ok(made.1.clone());
        }
        let keys = Arc::new(made_of(&current, None)?);
        self.made.store(Some(Arc::new((current, keys.clone()))));
        Ok(keys)
    }
}

/// What a source has found.
#[derive(Debug)]
pub(super) struct CachedCredentials {
    source: Arc<dyn Source>,
    /// botocore's name for it.
    method: &'static str,
    holder: Holder,
    /// See [`Identity::has_failed`].
    failed: AtomicBool,
    /// Held by the one task that asks the source, while others wait for what it learns.
    asking: Mutex<()>,
}

/// Credentials that a source has given, and when it is to be asked again.
#[derive(Debug)]
struct CachedKeys {
    credentials: Arc<Keys>,
    /// From when on one request asks for new ones, and from when on all wait for them. `None`: never.
    advisory: Option<SystemTime>,
    mandatory: Option<SystemTime>,
}

impl CachedKeys {
    fn new(credentials: Keys, now: SystemTime) -> CachedKeys {
        let before = |window: Duration, part: f64| {
            let expiry = credentials.expiry()?;
            let life = expiry.duration_since(now).unwrap_or_default();
            expiry.checked_sub(window.min(life.mul_f64(part)))
        };
        let (advisory, mandatory) = (before(ADVISORY, 0.5), before(MANDATORY, 1.0 / 3.0));
        CachedKeys { credentials: Arc::new(credentials), advisory, mandatory }
    }

    fn is_fresh(&self, now: SystemTime) -> bool {
        self.advisory.is_none_or(|from| now < from)
    }

    fn is_good(&self, now: SystemTime) -> bool {
        self.mandatory.is_none_or(|from| now < from)
    }

    fn is_valid(&self, now: SystemTime) -> bool {
        self.credentials.expiry().is_none_or(|expiry| now < expiry)
    }
}

impl CachedCredentials {
    pub(super) fn new(source: Arc<dyn Source>, method: &'static str) -> CachedCredentials {
        let (failed, asking) = (AtomicBool::new(false), Mutex::new(()));
        CachedCredentials { source, method, holder: Holder::default(), failed, asking }
    }

    /// See [`Identity::prepare`].
    pub(super) async fn prepare(&self, now: SystemTime) -> Result<(), Error> {
        if self.source.is_asked_first() {
            return self.credentials(now).await.map(drop);
        }
        let prepared = self.source.prepare().await;
        self.failed.store(prepared.is_err(), Ordering::Relaxed);
        prepared
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed) && self.holder.0.load().is_none()
    }

    pub(super) async fn credentials(&self, now: SystemTime) -> Result<Arc<Keys>, Error> {
        if let Some(fresh) = self.cached_keys(|cached_keys| cached_keys.is_fresh(now)) {
            return Ok(fresh);
        }
        let _asking = match (self.asking.try_lock(), self.cached_keys(|cached_keys| cached_keys.is_good(now))) {
            (Ok(asking), _) => asking,
            // Somebody is at it.
            (Err(_), Some(good)) => return Ok(good),
            (Err(_), None) => self.asking.lock().await,
        };
        // Somebody else may have asked meanwhile.
        if let Some(fresh) = self.cached_keys(|cached_keys| cached_keys.is_fresh(now)) {
            return Ok(fresh);
        }
        let failure = match self.source.find().await {
            Ok(credentials) => {
                let cached_keys = Arc::new(CachedKeys::new(credentials, now));
                if cached_keys.is_valid(now) {
                    log::debug(Topic::Credentials, || {
                        let until = cached_keys.credentials.expiry().map_or("for ever".into(), |at| until(at, now));
                        format!("credentials found: {}, good {until}", self.method)
                    });
                    let credentials = cached_keys.credentials.clone();
                    self.holder.0.store(Some(cached_keys));
                    return Ok(credentials);
                }
                Error::Runtime("Credentials were refreshed, but the refreshed credentials are still expired.".into())
            }
            Err(error) => error,
        };
        match self.holder.0.load_full() {
            Some(cached_keys) if cached_keys.is_valid(now) => {
                let credentials = cached_keys.credentials.clone();
                let pause = Some(now + AGAIN);
                log::warning(Topic::Credentials, || {
                    let until = credentials.expiry().map_or("for ever".into(), |at| until(at, now));
                    let (method, cause) = (self.method, failure.cause());
                    format!(
                        "credentials could not be found anew by {method}: {cause}; those at hand are used, good {until}"
                    )
                });
                self.holder.0.store(Some(Arc::new(CachedKeys {
                    credentials: credentials.clone(),
                    advisory: pause,
                    mandatory: pause,
                })));
                Ok(credentials)
            }
            expired => {
                log::debug(Topic::Credentials, || {
                    format!("credentials could not be found by {}: {}", self.method, failure.cause())
                });
                if expired.is_some() && self.method == "iam-role" && matches!(failure, Error::NoCredentials) {
                    return Err(not_refreshed());
                }
                if self.source.is_asked_first() || self.method == "iam-role" {
                    self.failed.store(true, Ordering::Relaxed);
                }
                Err(failure)
            }
        }
    }

    /// Those that never run out cannot be replaced.
    fn renew(&self, now: SystemTime) {
        let cached_keys = self.holder.0.load_full().filter(|cached_keys| cached_keys.credentials.expiry().is_some());
        if let Some(cached_keys) = cached_keys {
            let credentials = cached_keys.credentials.clone();
            self.holder.0.store(Some(Arc::new(CachedKeys { credentials, advisory: Some(now), mandatory: Some(now) })));
        }
    }

    fn cached_keys(&self, is: impl Fn(&CachedKeys) -> bool) -> Option<Arc<Keys>> {
        let cached_keys = self.holder.0.load();
        cached_keys.as_ref().filter(|cached_keys| is(cached_keys)).map(|cached_keys| cached_keys.credentials.clone())
    }
}

/// How long something is good that ends at a moment.
fn until(at: SystemTime, now: SystemTime) -> String {
    format!("for {} s", at.duration_since(now).unwrap_or_default().as_secs())
}

/// The same for the SDK, which keeps nothing of its own.
#[derive(Debug)]
pub(super) struct Provider(pub Arc<Identity>);

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            match self.0.credentials(SystemTime::now()).await {
                Ok(keys) => Ok(Keys::clone(&keys)),
                Err(error) => Err(CredentialsError::provider_error(Failed(error))),
            }
        })
    }
}

/// An error of ours on its way through the SDK.
#[derive(Debug)]
struct Failed(Error);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failed {}

/// Looks for an error of ours among an error and its causes.
pub(super) fn failure(error: &(dyn std::error::Error + 'static)) -> Option<Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(Failed(error)) = error.downcast_ref() {
            return Some(error.clone());
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests;
