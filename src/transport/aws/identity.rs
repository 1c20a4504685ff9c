//! The credentials of a client, kept until shortly before they expire.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use tokio::sync::Mutex;

use super::credentials::FromOwner;
use super::{credentials, describe};
use crate::config::{Credentials, Settings};
use crate::error::Error;

/// How long before they expire credentials are replaced; up to half as long again, so that the processes of a fleet
/// do not ask all at once.
const AHEAD: Duration = Duration::from_secs(10);
/// How long good credentials are used on after their provider has failed.
const AGAIN: Duration = Duration::from_secs(1);

/// Whose requests they are.
#[derive(Debug)]
pub(super) enum Identity {
    /// A provider's, asked when they run out.
    Kept(Kept),
    /// The client's owner's, looked at for each request.
    Handed(FromOwner),
}

impl Identity {
    /// `None`: requests are not signed. `provider` is that of the settings.
    pub fn new(settings: &Settings, provider: Option<SharedCredentialsProvider>) -> Option<Identity> {
        let method = credentials::method(&settings.credentials);
        match &settings.credentials {
            Credentials::Handed(handed) => Some(Identity::Handed(FromOwner::new(handed.clone()))),
            _ => provider.map(|provider| Identity::Kept(Kept::new(provider, method))),
        }
    }

    pub async fn credentials(&self, now: SystemTime) -> Result<Arc<Keys>, Error> {
        match self {
            Identity::Kept(kept) => kept.credentials(now).await,
            Identity::Handed(owner) => owner.credentials().map_err(|error| failure(&error)),
        }
    }
}

/// What the caller is told of a provider's failure.
fn failure(error: &CredentialsError) -> Error {
    credentials::failure(error).unwrap_or_else(|| Error::Runtime(describe(error)))
}

#[derive(Debug)]
pub(super) struct Kept {
    provider: SharedCredentialsProvider,
    /// botocore's name for it.
    method: &'static str,
    /// How long it may take.
    limit: Duration,
    current: ArcSwapOption<Held>,
    /// Held by the one task that asks the provider, while the others wait for what it learns.
    asking: Mutex<()>,
}

#[derive(Debug)]
struct Held {
    credentials: Arc<Keys>,
    /// When to ask again; `None`: never.
    until: Option<SystemTime>,
}

impl Held {
    fn new(credentials: Keys) -> Held {
        let until = credentials
            .expiry()
            .map(|expiry| expiry.checked_sub(AHEAD.mul_f64(1.0 + fastrand::f64() / 2.0)).unwrap_or(expiry));
        Held { credentials: Arc::new(credentials), until }
    }

    fn is_fresh(&self, now: SystemTime) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    fn is_valid(&self, now: SystemTime) -> bool {
        self.credentials.expiry().is_none_or(|expiry| now < expiry)
    }
}

impl Kept {
    pub fn new(provider: SharedCredentialsProvider, method: &'static str) -> Kept {
        let limit = credentials::LOAD_TIMEOUT;
        Kept { provider, method, limit, current: ArcSwapOption::empty(), asking: Mutex::new(()) }
    }

    pub async fn credentials(&self, now: SystemTime) -> Result<Arc<Keys>, Error> {
        if let Some(fresh) = self.fresh(now) {
            return Ok(fresh);
        }
        let _asking = self.asking.lock().await;
        // Somebody else may have asked meanwhile.
        if let Some(fresh) = self.fresh(now) {
            return Ok(fresh);
        }
        let failure = match tokio::time::timeout(self.limit, self.provider.provide_credentials()).await {
            Ok(Ok(credentials)) => {
                let held = Arc::new(Held::new(credentials));
                self.current.store(Some(held.clone()));
                return Ok(held.credentials.clone());
            }
            Ok(Err(error)) => failure(&error),
            Err(_) => {
                Error::Credentials { provider: self.method, detail: format!("nothing came within {:?}", self.limit) }
            }
        };
        match self.current.load_full().filter(|held| held.is_valid(now)) {
            Some(held) => {
                let credentials = held.credentials.clone();
                let until = credentials.expiry().map(|expiry| expiry.min(now + AGAIN));
                self.current.store(Some(Arc::new(Held { credentials: credentials.clone(), until })));
                Ok(credentials)
            }
            None => Err(failure),
        }
    }

    fn fresh(&self, now: SystemTime) -> Option<Arc<Keys>> {
        let held = self.current.load();
        held.as_ref().filter(|held| held.is_fresh(now)).map(|held| held.credentials.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as Lock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_credential_types::provider::future;

    use super::*;

    /// Answers with what is next in the script, after a moment in which others can come.
    #[derive(Debug, Clone, Default)]
    struct Scripted {
        /// Seconds of life from `now`, or `None` for a failure.
        script: Arc<Lock<Vec<Option<u64>>>>,
        asked: Arc<AtomicUsize>,
        now: Option<SystemTime>,
    }

    impl ProvideCredentials for Scripted {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::new(async {
                let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
                let next = self.script.lock().unwrap().remove(0);
                tokio::time::sleep(Duration::from_millis(20)).await;
                let life = next.ok_or_else(|| CredentialsError::provider_error("out of order"))?;
                let expiry = self.now.map(|now| now + Duration::from_secs(life));
                Ok(Keys::new(format!("key {number}"), "s", None, expiry, "test"))
            })
        }
    }

    /// An identity, the counter of its provider, and now.
    fn identity(script: &[Option<u64>], expires: bool) -> (Kept, Arc<AtomicUsize>, SystemTime) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let provider = Scripted {
            script: Arc::new(Lock::new(script.to_vec())),
            now: expires.then_some(now),
            ..Scripted::default()
        };
        let asked = provider.asked.clone();
        (Kept::new(SharedCredentialsProvider::new(provider), "custom-process"), asked, now)
    }

    async fn key(identity: &Kept, now: SystemTime) -> Result<String, Error> {
        identity.credentials(now).await.map(|credentials| credentials.access_key_id().to_owned())
    }

    #[tokio::test]
    async fn many_ask_once() {
        let (identity, asked, now) = identity(&[Some(3600)], true);
        let (a, b, c) = tokio::join!(key(&identity, now), key(&identity, now), key(&identity, now));
        assert_eq!([a.unwrap(), b.unwrap(), c.unwrap()], ["key 1"; 3]);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn credentials_are_replaced_shortly_before_they_expire() {
        let (identity, _, now) = identity(&[Some(3600), Some(7200)], true);
        for (later, expected) in [(0, "key 1"), (3584, "key 1"), (3591, "key 2"), (3601, "key 2")] {
            assert_eq!(key(&identity, now + Duration::from_secs(later)).await.unwrap(), expected, "{later}");
        }
    }

    #[tokio::test]
    async fn credentials_without_an_expiry_are_kept() {
        let (identity, asked, now) = identity(&[Some(0)], false);
        for years in [0, 100] {
            assert_eq!(key(&identity, now + Duration::from_secs(years * 31_536_000)).await.unwrap(), "key 1");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_failed_refresh_keeps_what_is_valid() {
        let (identity, asked, now) = identity(&[Some(3600), None, None, Some(7200)], true);
        let at = |milliseconds| now + Duration::from_millis(milliseconds);
        key(&identity, now).await.unwrap();
        assert_eq!(key(&identity, at(3_591_000)).await.unwrap(), "key 1");
        // The provider has a moment to recover.
        assert_eq!(key(&identity, at(3_591_900)).await.unwrap(), "key 1");
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        let error = key(&identity, at(3_600_000)).await.unwrap_err();
        assert!(error.to_string().contains("out of order"), "{error}");
        assert_eq!(key(&identity, at(3_600_000)).await.unwrap(), "key 4");
    }

    #[tokio::test]
    async fn who_gives_up_asking_leaves_it_to_the_next() {
        let (identity, asked, now) = identity(&[Some(1), Some(3600)], true);
        let impatient = tokio::time::timeout(Duration::from_millis(1), key(&identity, now)).await;
        assert!(impatient.is_err());
        assert_eq!(key(&identity, now).await.unwrap(), "key 2");
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_provider_that_says_nothing_is_given_up() {
        #[derive(Debug)]
        struct Silent;
        impl ProvideCredentials for Silent {
            fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
            where
                Self: 'a,
            {
                future::ProvideCredentials::new(std::future::pending())
            }
        }
        let mut identity = Kept::new(SharedCredentialsProvider::new(Silent), "custom-process");
        identity.limit = Duration::from_millis(10);
        let error = identity.credentials(SystemTime::now()).await.unwrap_err();
        assert!(matches!(error, Error::Credentials { provider: "custom-process", .. }), "{error}");
    }
}
