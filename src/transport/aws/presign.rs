//! URLs that carry their own signature.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::operations;
use crate::protocol::error::Error;
use crate::protocol::message::Presign;

/// All but RFC 3986's unreserved characters.
pub(crate) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Sign a request for somebody else to send. The arguments travel in the query and the body is empty, as botocore
/// has it; whoever sends it must add the three headers that are signed. `url` already has the arguments.
pub(super) fn sign_url(
    mut url: String,
    presign: &Presign,
    region: &str,
    credentials: Credentials,
    now: SystemTime,
) -> Result<String, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Runtime(format!("the URL could not be signed: {error}"));
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(presign.expires_in);
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sqs")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let target = operations::target(presign.action);
    let target = target.to_str().map_err(|error| failed(&error))?;
    let headers =
        [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target), ("x-amzn-query-mode", "true")];
    let request = SignableRequest::new(&presign.method, url.clone(), headers.into_iter(), SignableBody::Bytes(b""))
        .map_err(|error| failed(&error))?;
    let (instructions, _) = sign(request, &params).map_err(|error| failed(&error))?.into_parts();
    // botocore's order: the signature comes last.
    let (signature, others): (Vec<_>, Vec<_>) =
        instructions.params().iter().partition(|(name, _)| *name == "X-Amz-Signature");
    for (name, value) in others.into_iter().chain(signature) {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(name);
        url.push('=');
        url.extend(utf8_percent_encode(value, RESERVED));
    }
    Ok(url)
}
