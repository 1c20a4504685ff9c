//! Roles that STS gives: with the keys of another source, or with a token in a file.

use std::collections::BTreeMap;
use std::time::SystemTime;

use aws_credential_types::Credentials as Keys;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_xml::decode::{Document, ScopedDecoder, try_data};
use http::header::HOST;
use http::{HeaderName, HeaderValue};
use percent_encoding::utf8_percent_encode;

use super::services::{ServiceClient, ServiceOperation, uri};
use super::{Finding, Preparing, Source, made, missing, named, retrieval, source, time};
use crate::config::{self, AwsService, Credentials, Services};
use crate::protocol::error::{Error, SourceError};
use crate::protocol::message::Reply;
use crate::transport::aws::RESERVED;
use crate::transport::aws::identity::CachedCredentials;
use crate::transport::http::pool::host_header;

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// A role that is assumed with other credentials.
#[derive(Debug)]
pub(super) struct RoleSource {
    role: config::Role,
    /// `None`: the source has none to give.
    source: Option<CachedCredentials>,
    session_name: String,
    sts: Sts,
}

impl RoleSource {
    pub(super) fn new(role: &config::Role, services: &Services) -> RoleSource {
        RoleSource {
            session_name: session_name(&role.session_name),
            source: source(&role.source, services).map(|source| CachedCredentials::new(source, role.source.method())),
            role: role.clone(),
            sts: Sts::new(services),
        }
    }

    async fn ask(&self) -> Result<Keys, Error> {
        let role = &self.role;
        let duration = role.duration.map(|seconds| seconds.to_string());
        let mut arguments = vec![("RoleArn", role.arn.as_str()), ("RoleSessionName", &self.session_name)];
        arguments.extend(role.external_id.as_deref().map(|id| ("ExternalId", id)));
        arguments.extend(duration.as_deref().map(|seconds| ("DurationSeconds", seconds)));
        let code = match &role.code {
            None => None,
            Some(code) => Some((&code.serial, code.take().ok_or_else(used_up)?)),
        };
        if let Some((serial, code)) = &code {
            arguments.extend([("SerialNumber", serial.as_str()), ("TokenCode", code)]);
        }
        let source = match &self.source {
            Some(source) => source.credentials(SystemTime::now()).await,
            None => Err(Error::NoCredentials),
        };
        let source = source.map_err(|error| self.without_source(error))?;
        self.sts.ask("AssumeRole", "assume-role", &arguments, Some(&source)).await
    }

    /// Why there is nothing to ask STS with.
    fn without_source(&self, error: Error) -> Error {
        match (error, &self.role.named) {
            (Error::NoCredentials, Some((_, profile))) => retrieval(
                "Ec2InstanceMetadata",
                format!("No credentials found in credential_source referenced in profile {profile}"),
            ),
            (error, _) => error,
        }
    }
}

/// The code of a person is good for one request, and nobody is asked again.
fn used_up() -> Error {
    let text = "Cannot refresh credentials: MFA token required.";
    named("RefreshWithMFAUnsupportedError", None, text.to_owned())
}

impl Source for RoleSource {
    fn find(&self) -> Finding<'_> {
        Box::pin(self.ask())
    }

    fn prepare(&self) -> Preparing<'_> {
        Box::pin(async {
            let Some(source) = &self.source else { return Ok(()) };
            let now = SystemTime::now();
            let prepared = match self.role.source {
                Credentials::InstanceMetadata(_) => source.credentials(now).await.map(drop),
                _ => source.prepare(now).await,
            };
            prepared.map_err(|error| self.without_source(error))
        })
    }
}

/// A role that is assumed with a token in a file.
#[derive(Debug)]
pub(super) struct WebIdentitySource {
    identity: config::WebIdentity,
    session_name: String,
    sts: Sts,
}

impl WebIdentitySource {
    pub(super) fn new(identity: &config::WebIdentity, services: &Services) -> WebIdentitySource {
        WebIdentitySource {
            session_name: session_name(&identity.session_name),
            identity: identity.clone(),
            sts: Sts::new(services),
        }
    }

    async fn ask(&self) -> Result<Keys, Error> {
        let identity = &self.identity;
        // Read anew each time: whoever wrote it replaces it before it expires.
        let token = std::fs::read_to_string(&identity.token_file)
            .map_err(|error| SourceError::of_system(&error, &identity.token_file))?;
        let arguments = [
            ("RoleArn", identity.role_arn.as_str()),
            ("RoleSessionName", &self.session_name),
            ("WebIdentityToken", &token),
        ];
        self.sts.ask("AssumeRoleWithWebIdentity", "assume-role-with-web-identity", &arguments, None).await
    }
}

impl Source for WebIdentitySource {
    fn find(&self) -> Finding<'_> {
        Box::pin(self.ask())
    }
}

fn session_name(given: &Option<String>) -> String {
    given.clone().unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        format!("botocore-session-{}", now.as_secs())
    })
}

/// The service that gives roles, and where it is.
#[derive(Debug)]
struct Sts {
    client: ServiceClient,
    url: String,
    region: String,
}

impl Sts {
    fn new(services: &Services) -> Sts {
        let (url, region) = services.endpoint(AwsService::Sts, &services.region);
        Sts { client: ServiceClient::new(services), url: format!("{url}/"), region }
    }

    /// One of the operations that give a role; signed, if it is, with these keys.
    async fn ask(
        &self,
        operation: &'static str,
        method: &'static str,
        arguments: &[(&str, &str)],
        signer: Option<&Keys>,
    ) -> Result<Keys, Error> {
        let mut body = format!("Action={operation}&Version=2011-06-15");
        for (name, value) in arguments {
            body.push_str(&format!("&{name}={}", utf8_percent_encode(value, RESERVED)));
        }
        let mut request = ServiceOperation::post(operation, self.url.clone(), FORM, body);
        request.refusal = refusal;
        if let Some(keys) = signer {
            self.sign(&mut request, keys)?;
        }
        let reply = self.client.ask(request).await?;
        let reply = String::from_utf8_lossy(&reply);
        let result = format!("{operation}Result");
        let found = members(&reply, &[&result, "Credentials"]).unwrap_or_default();
        let user = members(&reply, &[&result, "AssumedRoleUser"]).unwrap_or_default();
        let member = |name: &str| found.get(name).map(String::as_str).ok_or_else(|| missing(method, name));
        let expiry = time(method, member("Expiration")?)?;
        let pair = (member("AccessKeyId")?, member("SecretAccessKey")?);
        let account = user.get("Arn").and_then(|arn| account_of(arn));
        made(method, pair, Some(member("SessionToken")?), Some(expiry), account)
    }

    fn sign(&self, request: &mut ServiceOperation, keys: &Keys) -> Result<(), Error> {
        let failed = |error: &dyn std::fmt::Display| Error::Runtime(format!("AssumeRole could not be signed: {error}"));
        let address = uri(&request.url)?;
        let default_port = if address.scheme_str() == Some("https") { 443 } else { 80 };
        let host = host_header(&address, default_port);
        let identity = keys.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("sts")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| failed(&error))?
            .into();
        let headers = [("content-type", FORM), ("host", host)];
        let signable =
            SignableRequest::new("POST", &request.url, headers.into_iter(), SignableBody::Bytes(&request.body))
                .map_err(|error| failed(&error))?;
        let (instructions, _) = sign(signable, &params).map_err(|error| failed(&error))?.into_parts();
        request.headers.insert(HOST, HeaderValue::from_str(host).map_err(|error| failed(&error))?);
        for (name, value) in instructions.headers() {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| failed(&error))?;
            let mut value = HeaderValue::from_str(value).map_err(|error| failed(&error))?;
            value.set_sensitive(true);
            request.headers.insert(name, value);
        }
        Ok(())
    }
}

/// The account in an ARN: `arn:aws:sts::123456789012:assumed-role/r/s`.
fn account_of(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let account = parts.nth(4);
    // One with less than six parts is none.
    if arn.starts_with("arn:") && parts.next().is_some() { account } else { None }
}

fn refusal(reply: &Reply) -> (String, String, Option<String>) {
    let text = String::from_utf8_lossy(&reply.body);
    let mut found = members(&text, &["Error"]).unwrap_or_default();
    let code = found.remove("Code").unwrap_or_else(|| reply.status.to_string());
    (code, found.remove("Message").unwrap_or_default(), found.remove("Type"))
}

/// The texts of the elements below this path, which begins below the root.
fn members(xml: &str, path: &[&str]) -> Option<BTreeMap<String, String>> {
    fn below(decoder: &mut ScopedDecoder<'_, '_>, path: &[&str]) -> Option<BTreeMap<String, String>> {
        let Some((first, rest)) = path.split_first() else {
            let mut found = BTreeMap::new();
            while let Some(mut element) = decoder.next_tag() {
                let name = element.start_el().local().to_owned();
                if let Ok(text) = try_data(&mut element) {
                    found.insert(name, text.into_owned());
                }
            }
            return Some(found);
        };
        while let Some(mut element) = decoder.next_tag() {
            if element.start_el().local() == *first {
                return below(&mut element, rest);
            }
        }
        None
    }
    below(&mut Document::new(xml).root_element().ok()?, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_a_role_is_in_its_arn() {
        for (arn, expected) in [
            ("arn:aws:sts::123456789012:assumed-role/r/s:t", Some("123456789012")),
            ("arn:aws-cn:iam::1:role", Some("1")),
            ("arn:aws:sts::123456789012", None),
            ("urn:aws:sts::123456789012:assumed-role/r", None),
            ("", None),
        ] {
            assert_eq!(account_of(arn), expected, "{arn}");
        }
    }

    #[test]
    fn replies_are_taken_apart() {
        let xml = "<?xml version='1.0'?><R xmlns='x'><A>1</A><B><A>2&lt;&#65;</A><C/><D> d </D></B></R>";
        let found = members(xml, &["B"]).unwrap();
        assert_eq!((found["A"].as_str(), found["C"].as_str(), found["D"].trim()), ("2<A", "", "d"));
        for (xml, path) in [(xml, "C"), ("", "B"), ("no xml", "B"), ("<R><B>", "C")] {
            assert_eq!(members(xml, &[path]), None, "{xml}");
        }
    }
}
