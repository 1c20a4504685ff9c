//! Users who have logged in to the console with `aws login`. Renewing their keys takes a proof (DPoP, RFC 9449) that
//! whoever asks has the private key that the login was made with.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Keys;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::services::{ServiceClient, ServiceOperation};
use super::tokens::{self, Token};
use super::{Finding, Preparing, Source, made, missing, named, object, required, text, time, written};
use crate::config::{self, AwsService, Services};
use crate::protocol::error::{Error, SourceError};

const METHOD: &str = "login";
/// How long before they expire the keys are renewed.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// The keys of a user who has logged in to the console.
#[derive(Debug)]
pub(super) struct LoginSource {
    login: config::Login,
    client: ServiceClient,
    services: Services,
}

impl LoginSource {
    pub(super) fn new(login: &config::Login, services: &Services) -> LoginSource {
        LoginSource { login: login.clone(), client: ServiceClient::new(services), services: services.clone() }
    }

    /// The name of the token's file.
    fn key(&self) -> String {
        tokens::hex(&Sha256::digest(self.login.session.as_bytes()))
    }

    /// The token of the login, with all that makes it one.
    fn token(&self) -> Result<Token, Error> {
        let config::Login { session, cache } = &self.login;
        let token = tokens::load(cache, &self.key()).ok_or_else(|| {
            let message = "Unable to load a existing login session for session";
            not_loaded(&format!("{message} {session}. Please reauthenticate with 'aws login'."))
        })?;
        let missing: Vec<_> = ["accessToken", "refreshToken", "dpopKey", "clientId"]
            .into_iter()
            .filter(|name| !token.contains_key(*name))
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return Err(not_loaded(&format!(
                "Failed to load access token from token cache, missing required fields: {missing}."
            )));
        }
        Ok(token)
    }

    async fn ask(&self) -> Result<Keys, Error> {
        let mut token = self.token()?;
        let now = SystemTime::now();
        if expiry(&token)? <= now + AHEAD {
            self.renew(&mut token, now).await?;
            let cache = &self.login.cache;
            tokens::save(cache, &self.key(), &token).map_err(|error| SourceError::of_system(&error, cache))?;
        }
        keys(&token)
    }

    async fn renew(&self, token: &mut Token, now: SystemTime) -> Result<(), Error> {
        let region = text(token, "signInRegion").filter(|region| !region.is_empty()).unwrap_or(&self.services.region);
        let url = format!("{}/v1/token", self.services.endpoint(AwsService::SignIn, region).0);
        let proof = proof(required(METHOD, token, "dpopKey")?, &url, now)?;
        let body = json!({
            "clientId": token.get("clientId"), "refreshToken": token.get("refreshToken"), "grantType": "refresh_token",
        });
        let mut operation = ServiceOperation::post("CreateOAuth2Token", url, "application/json", body.to_string());
        let mut proof = HeaderValue::try_from(proof).map_err(|_| unloadable_key())?;
        proof.set_sensitive(true);
        operation.headers.insert(HeaderName::from_static("dpop"), proof);
        let reply = self.client.ask(operation).await.map_err(refused)?;
        let reply = object(METHOD, &reply)?;
        let fresh = reply.get("accessToken").and_then(Value::as_object);
        let life = reply.get("expiresIn").and_then(Value::as_u64);
        let (Some(fresh), Some(life)) = (fresh, life) else {
            return Err(not_loaded(
                "Unable to refresh access token due to an invalid service response. Please try running 'aws login' \
                 again. If the issue persists, there may be a temporary signin service problem.",
            ));
        };
        let member = |name: &str| required(METHOD, fresh, name);
        let account = token.get("accessToken").and_then(|token| token.get("accountId")).cloned();
        let access = json!({
            "accessKeyId": member("accessKeyId")?, "secretAccessKey": member("secretAccessKey")?,
            "sessionToken": member("sessionToken")?, "accountId": account,
            "expiresAt": written(now + Duration::from_secs(life)),
        });
        token.insert("accessToken".into(), access);
        token.insert("refreshToken".into(), required(METHOD, &reply, "refreshToken")?.into());
        Ok(())
    }
}

fn access(token: &Token) -> Result<&Token, Error> {
    token.get("accessToken").and_then(Value::as_object).ok_or_else(|| missing(METHOD, "accessToken"))
}

fn expiry(token: &Token) -> Result<SystemTime, Error> {
    time(METHOD, required(METHOD, access(token)?, "expiresAt")?)
}

fn keys(token: &Token) -> Result<Keys, Error> {
    let member = |name: &str| required(METHOD, access(token)?, name);
    let pair = (member("accessKeyId")?, member("secretAccessKey")?);
    made(METHOD, pair, Some(member("sessionToken")?), Some(expiry(token)?), text(access(token)?, "accountId"))
}

/// A token that proves, for one request to one address, that its sender has the key.
fn proof(key: &str, url: &str, now: SystemTime) -> Result<String, Error> {
    let der: String = key.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let der = BASE64_STANDARD.decode(der).map_err(|_| unloadable_key())?;
    let key = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der);
    let key = key.map_err(|_| unloadable_key())?;
    // 4, and the two coordinates.
    let point = key.public_key().as_ref();
    let (Some(x), Some(y)) = (point.get(1..33), point.get(33..65)) else { return Err(unloadable_key()) };
    let encoded = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let random = SystemRandom::new();
    let mut id = [0; 16];
    random.fill(&mut id).map_err(|_| unloadable_key())?;
    let id = uuid::Builder::from_random_bytes(id).into_uuid();
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let header = json!({
        "typ": "dpop+jwt", "alg": "ES256", "jwk": {"kty": "EC", "x": encoded(x), "y": encoded(y), "crv": "P-256"},
    });
    let payload = json!({"htm": "POST", "htu": url, "iat": seconds, "jti": id.to_string()});
    let signed = format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(payload.to_string().as_bytes()));
    let signature = key.sign(&random, signed.as_bytes()).map_err(|_| unloadable_key())?;
    Ok(format!("{signed}.{}", encoded(signature.as_ref())))
}

fn not_loaded(message: &str) -> Error {
    named("LoginTokenLoadError", Some(message), format!("Error loading login session token: {message}"))
}

fn unloadable_key() -> Error {
    not_loaded("Unable to load private key from cached token.")
}

/// What a refusal to renew means to a person.
fn refused(error: Error) -> Error {
    let Error::Source(source) = &error else { return error };
    let SourceError::Refused { error: refusal, .. } = &**source else { return error };
    if refusal.code != "AccessDeniedException" {
        return error;
    }
    let body: Value = serde_json::from_slice(&refusal.reply.body).unwrap_or_default();
    let (class, text) = match body.get("error").and_then(Value::as_str) {
        Some("TOKEN_EXPIRED" | "USER_CREDENTIALS_CHANGED") => (
            "LoginRefreshRequired",
            "Your session has expired or credentials have changed. Please reauthenticate using 'aws login'.",
        ),
        Some("INSUFFICIENT_PERMISSIONS") => (
            "LoginInsufficientPermissions",
            "Unable to create or refresh login credentials due to insufficient permissions. You may be missing \
             permission for the 'signin:CreateOAuth2Token' action.",
        ),
        _ => (
            "LoginError",
            "An unspecified error happened when resolving AWS credentials or refreshing a login session profile.",
        ),
    };
    named(class, None, text.to_owned())
}

impl Source for LoginSource {
    fn find(&self) -> Finding<'_> {
        Box::pin(self.ask())
    }

    /// The keys are there, whether or not they are still good.
    fn prepare(&self) -> Preparing<'_> {
        Box::pin(async { keys(&self.token()?).map(drop) })
    }
}
