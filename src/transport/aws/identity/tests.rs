use std::sync::Mutex as Lock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::transport::aws::sources::Finding;

/// Answers with what is next in the script, after a moment in which others can come.
#[derive(Debug, Clone, Default)]
struct Scripted {
    /// Seconds of life from `now`, or `None` for a failure.
    script: Arc<Lock<Vec<Option<u64>>>>,
    asked: Arc<AtomicUsize>,
    now: Option<SystemTime>,
}

impl Source for Scripted {
    fn find(&self) -> Finding<'_> {
        Box::pin(async {
            let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
            let next = self.script.lock().unwrap().remove(0);
            tokio::time::sleep(Duration::from_millis(20)).await;
            let life = next.ok_or_else(|| Error::Runtime("out of order".into()))?;
            let expiry = self.now.map(|now| now + Duration::from_secs(life));
            Ok(Keys::new(format!("key {number}"), "s", None, expiry, "test"))
        })
    }
}

/// An identity, the counter of its source, and now.
fn identity(script: &[Option<u64>], expires: bool) -> (CachedCredentials, Arc<AtomicUsize>, SystemTime) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let source =
        Scripted { script: Arc::new(Lock::new(script.to_vec())), now: expires.then_some(now), ..Scripted::default() };
    let asked = source.asked.clone();
    (CachedCredentials::new(Arc::new(source), "custom-process"), asked, now)
}

async fn key(identity: &CachedCredentials, now: SystemTime) -> Result<String, Error> {
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
async fn credentials_are_replaced_before_they_expire() {
    let (identity, _, now) = identity(&[Some(3600), Some(7200)], true);
    for (later, expected) in [(0, "key 1"), (2699, "key 1"), (2700, "key 2"), (3601, "key 2")] {
        assert_eq!(key(&identity, now + Duration::from_secs(later)).await.unwrap(), expected, "{later}");
    }
    // Those that live a minute are asked for anew after half of it, not with every request.
    let (identity, asked, now) = self::identity(&[Some(60), Some(120)], true);
    for (later, expected) in [(0, "key 1"), (29, "key 1"), (30, "key 2")] {
        assert_eq!(key(&identity, now + Duration::from_secs(later)).await.unwrap(), expected, "{later}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn while_one_replaces_them_others_use_them_as_long_as_they_are_good() {
    for (later, others) in [(2700, "key 1"), (3000, "key 2")] {
        let (identity, asked, now) = identity(&[Some(3600), Some(7200)], true);
        key(&identity, now).await.unwrap();
        let now = now + Duration::from_secs(later);
        let (a, b, c) = tokio::join!(key(&identity, now), key(&identity, now), key(&identity, now));
        assert_eq!([a.unwrap(), b.unwrap(), c.unwrap()], ["key 2", others, others], "{later}");
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test]
async fn keys_that_come_expired_are_refused() {
    let (identity, _, now) = identity(&[Some(0), Some(60)], true);
    let error = key(&identity, now).await.unwrap_err();
    assert_eq!(error.to_string(), "Credentials were refreshed, but the refreshed credentials are still expired.");
    assert_eq!(key(&identity, now).await.unwrap(), "key 2");
}

#[tokio::test]
async fn another_process_begins_with_what_its_parent_has() {
    let (parent, _, now) = identity(&[Some(3600)], true);
    key(&parent, now).await.unwrap();
    let (child, asked, _) = identity(&[], true);
    let child = CachedCredentials { holder: parent.holder.clone(), ..child };
    assert_eq!(key(&child, now).await.unwrap(), "key 1");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
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
    assert_eq!(key(&identity, at(3_100_000)).await.unwrap(), "key 1");
    // The source has a moment to recover.
    assert_eq!(key(&identity, at(3_100_900)).await.unwrap(), "key 1");
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
async fn an_owners_keys_are_those_of_the_moment() {
    let handed = ExternalCredentials::default();
    let owner = FromOwner::new(handed.clone());
    assert!(matches!(owner.credentials(), Err(Error::NoCredentials)));
    let set = |access_key: &str, token: Option<&str>| {
        let (access_key, token) = (access_key.to_owned(), token.map(str::to_owned));
        let (secret_key, account_id) = ("s".into(), None);
        handed.set(StaticCredentials { access_key, secret_key, token, account_id, method: "explicit" });
    };
    set("first", None);
    let first = owner.credentials().unwrap();
    assert_eq!(first.access_key_id(), "first");
    // The signer derives a key for each allocation.
    assert!(Arc::ptr_eq(&first, &owner.credentials().unwrap()));
    set("second", Some("token"));
    let second = owner.credentials().unwrap();
    assert_eq!((second.access_key_id(), second.session_token()), ("second", Some("token")));
    set("line\nbreak", None);
    assert!(matches!(owner.credentials(), Err(Error::Credentials { .. })));
}

#[test]
fn our_errors_are_found_again_behind_the_sdks() {
    let error = CredentialsError::provider_error(Failed(Error::NoCredentials));
    assert!(matches!(failure(&error), Some(Error::NoCredentials)));
    assert!(failure(&fmt::Error).is_none());
}
