//! Roles of users who have logged in with IAM Identity Center (`aws sso login`).

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Keys;
use aws_lc_rs::digest;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::utf8_percent_encode;
use serde_json::json;

use super::services::{ServiceClient, ServiceOperation};
use super::tokens::{self, Token};
use super::{Finding, Source, made, missing, named, object, required, text, time, written};
use crate::config::{self, AwsService, Services};
use crate::protocol::error::{Error, SourceError};
use crate::transport::aws::RESERVED;

const METHOD: &str = "sso";
/// How long before it expires a token is renewed.
const AHEAD: Duration = Duration::from_secs(15 * 60);

/// The keys of a role of a user who has logged in; first, if it is due, a new token for it.
#[derive(Debug)]
pub(super) struct SsoSource {
    settings: config::Sso,
    client: ServiceClient,
    portal: String,
    oidc: String,
}

impl SsoSource {
    pub(super) fn new(settings: &config::Sso, services: &Services) -> SsoSource {
        SsoSource {
            client: ServiceClient::new(services),
            portal: services.endpoint(AwsService::Sso, &settings.region).0,
            oidc: services.endpoint(AwsService::SsoOidc, &settings.region).0,
            settings: settings.clone(),
        }
    }

    async fn ask(&self) -> Result<Keys, Error> {
        let settings = &self.settings;
        let token = self.token().await?;
        let encoded = |text| utf8_percent_encode(text, RESERVED);
        let (role, account) = (encoded(&settings.role_name), encoded(&settings.account_id));
        let mut operation = ServiceOperation::post(
            "GetRoleCredentials",
            format!("{}/federation/credentials?role_name={role}&account_id={account}", self.portal),
            "",
            Bytes::new(),
        );
        let mut token = HeaderValue::from_str(&token).map_err(|_| self.invalid())?;
        token.set_sensitive(true);
        operation.method = Method::GET;
        operation.headers = HeaderMap::from_iter([(HeaderName::from_static("x-amz-sso_bearer_token"), token)]);
        let reply = self.client.ask(operation).await.map_err(|error| match &error {
            Error::Source(source) => match &**source {
                SourceError::Refused { error, .. } if error.code == "UnauthorizedException" => unauthorized(),
                _ => Error::Source(source.clone()),
            },
            _ => error,
        })?;
        let reply = object(METHOD, &reply)?;
        let found = reply.get("roleCredentials").and_then(|found| found.as_object());
        let found = found.ok_or_else(|| missing(METHOD, "roleCredentials"))?;
        let required = |name: &str| required(METHOD, found, name);
        let expiry = found.get("expiration").and_then(serde_json::Value::as_u64).map(Duration::from_millis);
        let expiry = expiry.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
        let expiry = expiry.ok_or_else(|| missing(METHOD, "expiration"))?;
        let pair = (required("accessKeyId")?, required("secretAccessKey")?);
        made(METHOD, pair, Some(required("sessionToken")?), Some(expiry), Some(&settings.account_id))
    }

    fn key(&self) -> String {
        let name = self.settings.session.as_ref().unwrap_or(&self.settings.start_url);
        // A file's name, as the AWS CLI makes it.
        tokens::hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, name.as_bytes()).as_ref())
    }

    fn invalid(&self) -> Error {
        not_loaded(&format!("Token for {} is invalid", self.settings.start_url))
    }

    /// The token of the login; one that is about to expire is renewed if it can be.
    async fn token(&self) -> Result<String, Error> {
        let settings = &self.settings;
        let key = self.key();
        if !tokens::exists(&settings.cache, &key) {
            let name = settings.session.as_ref().unwrap_or(&settings.start_url);
            return Err(not_loaded(&format!("Token for {name} does not exist")));
        }
        let token = tokens::load(&settings.cache, &key).ok_or_else(|| self.invalid())?;
        let (Some(access), Some(expiry)) = (text(&token, "accessToken"), text(&token, "expiresAt")) else {
            return Err(self.invalid());
        };
        let expiry = time(METHOD, expiry)?;
        let now = SystemTime::now();
        if settings.session.is_none() {
            return if now < expiry { Ok(access.to_owned()) } else { Err(unauthorized()) };
        }
        if now + AHEAD < expiry {
            return Ok(access.to_owned());
        }
        match self.renewed(&token, now).await? {
            Some(access) => Ok(access),
            None if now < expiry => Ok(access.to_owned()),
            None => {
                let message = "Token has expired and refresh failed";
                let kwargs = vec![("provider", METHOD.to_owned()), ("error_msg", message.to_owned())];
                let text = format!("Error when retrieving token from {METHOD}: {message}");
                Err(SourceError::Named { class: "TokenRetrievalError", kwargs, text }.into())
            }
        }
    }

    /// `None`: it cannot be renewed, or the service will not.
    async fn renewed(&self, token: &Token, now: SystemTime) -> Result<Option<String>, Error> {
        let settings = &self.settings;
        let member = |name: &str| text(token, name);
        let (Some(refresh), Some(id), Some(secret), Some(registered)) =
            (member("refreshToken"), member("clientId"), member("clientSecret"), member("registrationExpiresAt"))
        else {
            return Ok(None);
        };
        if time(METHOD, registered)? <= now {
            return Ok(None);
        }
        let body = json!({
            "grantType": "refresh_token", "clientId": id, "clientSecret": secret, "refreshToken": refresh,
        });
        let operation =
            ServiceOperation::post("CreateToken", format!("{}/token", self.oidc), "application/json", body.to_string());
        let reply = match self.client.ask(operation).await {
            Ok(reply) => object(METHOD, &reply)?,
            Err(Error::Source(error)) if matches!(*error, SourceError::Refused { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let access = required(METHOD, &reply, "accessToken")?;
        let life = reply.get("expiresIn").and_then(serde_json::Value::as_u64);
        let life = life.ok_or_else(|| missing(METHOD, "expiresIn"))?;
        let mut fresh = json!({
            "startUrl": settings.start_url, "region": settings.region, "accessToken": access,
            "expiresAt": written(now + Duration::from_secs(life)),
            "clientId": id, "clientSecret": secret, "registrationExpiresAt": registered,
        });
        if let (Some(refresh), Some(fresh)) = (text(&reply, "refreshToken"), fresh.as_object_mut()) {
            fresh.insert("refreshToken".into(), refresh.into());
        }
        if let Some(fresh) = fresh.as_object() {
            tokens::save(&settings.cache, &self.key(), fresh)
                .map_err(|error| SourceError::of_system(&error, &settings.cache))?;
        }
        Ok(Some(access.to_owned()))
    }
}

fn not_loaded(message: &str) -> Error {
    named("SSOTokenLoadError", Some(message), format!("Error loading SSO Token: {message}"))
}

fn unauthorized() -> Error {
    let text = "The SSO session associated with this profile has expired or is otherwise invalid. To refresh this SSO \
                session run aws sso login with the corresponding profile.";
    named("UnauthorizedSSOTokenError", None, text.to_owned())
}

impl Source for SsoSource {
    fn find(&self) -> Finding<'_> {
        Box::pin(self.ask())
    }
}
