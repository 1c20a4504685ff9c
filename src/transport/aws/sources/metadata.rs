//! The credentials of an EC2 instance's role, from its metadata service: by version 2, which wants a token, and where no
//! token can be had by version 1.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Keys;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use serde_json::{Map, Value};

use super::services::uri;
use super::{Finding, Source, made, named, retrieval, text, time};
use crate::config::{self, Services, Verify};
use crate::protocol::error::{Error, Failure, Lost};
use crate::transport::http::failure::HttpFailure;
use crate::transport::http::pool::Pool;

const METHOD: &str = "iam-role";
const TOKEN_PATH: &str = "latest/api/token";
const ROLES_PATH: &str = "latest/meta-data/iam/security-credentials/";
const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
const TOKEN_LIFE: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");

/// The keys of an instance's role.
#[derive(Debug)]
pub(super) struct MetadataSource {
    settings: config::Metadata,
    pool: Pool,
}

/// What there is to a request: `None` is nothing of use.
type MetadataResult<T> = Result<Option<T>, Error>;

impl MetadataSource {
    pub(super) fn new(settings: &config::Metadata, services: &Services) -> MetadataSource {
        MetadataSource { settings: settings.clone(), pool: Pool::to_source(Verify::Yes, services.proxies.clone()) }
    }

    async fn ask(&self) -> Result<Keys, Error> {
        let token = match self.token().await? {
            SessionToken::Some(token) => Some(token),
            SessionToken::None => None,
            // A machine without instance metadata is simply one without credentials.
            SessionToken::Misunderstood => return Err(Error::NoCredentials),
        };
        let Some(role) = self.get(ROLES_PATH, &token, |body| Some(String::from_utf8_lossy(body).into_owned())).await?
        else {
            return Err(Error::NoCredentials);
        };
        let path = format!("{ROLES_PATH}{role}");
        let found = self.get(&path, &token, |body| serde_json::from_slice::<Value>(body).ok()).await?;
        match found {
            Some(Value::Object(found)) => read(&found, SystemTime::now()),
            _ => Err(Error::NoCredentials),
        }
    }

    async fn token(&self) -> Result<SessionToken, Error> {
        for _ in 0..self.settings.attempts {
            let life = (TOKEN_LIFE, HeaderValue::from_static("21600"));
            match self.send(Method::PUT, TOKEN_PATH, Some(life)).await? {
                Ok(response) => match response.status() {
                    StatusCode::OK => {
                        return Ok(match HeaderValue::from_maybe_shared(response.into_body()) {
                            Ok(mut token) if !token.is_empty() => {
                                token.set_sensitive(true);
                                SessionToken::Some(token)
                            }
                            _ => SessionToken::None,
                        });
                    }
                    StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED => break,
                    StatusCode::BAD_REQUEST => return Ok(SessionToken::Misunderstood),
                    _ => {}
                },
                // The answer does not reach a container that is one hop too far away, and it is not going to.
                Err(failed) if failed.kind == Failure::ReadTimeout => break,
                Err(failed) => self.check(failed)?,
            }
        }
        Ok(SessionToken::None)
    }

    /// What `read` makes of the first good answer.
    async fn get<T>(&self, path: &str, token: &Option<HeaderValue>, read: fn(&[u8]) -> Option<T>) -> MetadataResult<T> {
        if token.is_none() && self.settings.is_v1_disabled {
            let message = "Unable to retrieve token for use in IMDSv2 call and IMDSv1 has been disabled";
            let text = format!("Error retrieving metadata: {message}");
            return Err(named("MetadataRetrievalError", Some(message), text));
        }
        for _ in 0..self.settings.attempts {
            match self.send(Method::GET, path, token.clone().map(|token| (TOKEN, token))).await? {
                Ok(response) if response.status() == StatusCode::OK && !response.body().is_empty() => {
                    if let Some(found) = read(response.body()) {
                        return Ok(Some(found));
                    }
                }
                Ok(_) => {}
                Err(failed) => self.check(failed)?,
            }
        }
        Ok(None)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        header: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Result<Response<Bytes>, HttpFailure>, Error> {
        let mut request = Request::new(SdkBody::empty());
        *request.method_mut() = method;
        *request.uri_mut() = uri(&format!("{}{path}", self.settings.endpoint))?;
        request.headers_mut().extend(header);
        let timeout = Some(self.settings.timeout);
        Ok(self.pool.send(request, timeout, timeout).await)
    }

    /// Whether the failure of an attempt allows for another.
    fn check(&self, failed: HttpFailure) -> Result<(), Error> {
        match failed.kind {
            Failure::ReadTimeout | Failure::Connect | Failure::Dns | Failure::Closed | Failure::ConnectTimeout => {
                Ok(())
            }
            Failure::Tls | Failure::Proxy | Failure::Other => {
                let url = failed.proxy_url.unwrap_or_else(|| self.settings.endpoint.clone());
                Err(Error::Lost(Box::new(Lost { failure: failed.kind, url, detail: failed.message })))
            }
        }
    }
}

/// What came of asking for the token that version 2 wants.
enum SessionToken {
    Some(HeaderValue),
    /// It cannot be had: version 1.
    None,
    /// This is no metadata service.
    Misunderstood,
}

fn read(found: &Map<String, Value>, now: SystemTime) -> Result<Keys, Error> {
    let member = |name: &str| text(found, name);
    let (Some(id), Some(secret), Some(token), Some(expiration)) =
        (member("AccessKeyId"), member("SecretAccessKey"), member("Token"), member("Expiration"))
    else {
        return Err(Error::NoCredentials);
    };
    let expiry = extended(time(METHOD, expiration)?, now, fastrand::u64(120..=600));
    made(METHOD, (id, secret), Some(token), Some(expiry), None)
}

/// While the service has nothing newer, the keys of an instance stay good beyond their time.
fn extended(expiry: SystemTime, now: SystemTime, jitter: u64) -> SystemTime {
    let window = Duration::from_secs(15 * 60 + jitter);
    if now + window >= expiry { now + window } else { expiry }
}

impl Source for MetadataSource {
    fn find(&self) -> Finding<'_> {
        Box::pin(self.ask())
    }
}

/// What botocore says when keys that it has cannot be replaced.
pub(in crate::transport::aws) fn not_refreshed() -> Error {
    let missing = "access_key, secret_key, token, expiry_time";
    retrieval(METHOD, format!("Credential refresh failed, response did not contain: {missing}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_about_to_expire_are_good_for_a_while() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let after = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(extended(after(3600), now, 120), after(3600));
        assert_eq!(extended(after(1020), now, 120), after(1020));
        assert_eq!(extended(after(60), now, 120), after(1020));
        assert_eq!(extended(now - Duration::from_secs(60), now, 600), after(1500));
    }
}
