//! Who asks, as the headers of a request show it.

use http::header::{AUTHORIZATION, HOST};
use http::uri::Authority;
use http::{HeaderMap, HeaderName};

use super::service::{Caller, is_account, is_region};

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const TRACE: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// Who signed the request, from `Credential=KEY/DATE/REGION/sqs/aws4_request`. The signature itself is not checked.
pub(super) fn signer(headers: &HeaderMap) -> Option<(&str, &str)> {
    let authorization = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (_, credential) = authorization.split_once("Credential=")?;
    let mut parts = credential.split('/');
    let (key, _date, region) = (parts.next()?, parts.next()?, parts.next()?);
    Some((key, region)).filter(|(_, region)| is_region(region))
}

/// What the first of the proxies between the client and the server says of the client's request.
fn forwarded<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()?.split(',').next().map(str::trim)
}

/// A caller as its headers show it, with these defaults. An access key of twelve digits is taken for the number of the
/// account, so that one server can keep several apart.
pub(super) fn of<'a>(
    headers: &'a HeaderMap,
    account: &'a str,
    region: &'a str,
    scheme: &'static str,
    host: &'a str,
) -> Caller<'a> {
    let signer = signer(headers);
    Caller {
        account: signer.map(|(key, _)| key).filter(|key| is_account(key)).unwrap_or(account),
        region: signer.map_or(region, |(_, region)| region),
        scheme: forwarded(headers, &FORWARDED_PROTO)
            .filter(|scheme| matches!(*scheme, "http" | "https"))
            .unwrap_or(scheme),
        host: forwarded(headers, &FORWARDED_HOST)
            .filter(|host| !host.contains('@') && host.parse::<Authority>().is_ok())
            .or_else(|| headers.get(HOST)?.to_str().ok())
            .filter(|host| !host.is_empty())
            .unwrap_or(host),
        trace: headers.get(TRACE).and_then(|trace| trace.to_str().ok()).filter(|trace| !trace.is_empty()),
    }
}
