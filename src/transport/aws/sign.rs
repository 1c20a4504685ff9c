//! Signature Version 4 for the one shape of request that we send: a POST of JSON to a fixed URL.
//!
//! aws-sigv4's signer takes any request apart and derives its key anew; here all that is constant is prepared once,
//! and a key serves for its day. The tests hold this against aws-sigv4.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use aws_credential_types::Credentials;
use aws_sigv4::sign::v4;
use aws_smithy_types::date_time::{DateTime, Format};
use http::header::InvalidHeaderValue;
use http::{HeaderValue, Uri};
use percent_encoding::{AsciiSet, percent_decode, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::presign::RESERVED;

/// Signs the requests of a client, which differ in body, time and credentials alone.
#[derive(Debug)]
pub(super) struct Signer {
    region: String,
    /// The canonical request as far as the date.
    beginning: String,
    key: ArcSwapOption<SigningKey>,
}

/// What signs the requests of one day with one pair of keys; to derive it takes four hashes.
struct SigningKey {
    /// Whose it is; the same allocation is the same credentials.
    credentials: Arc<Credentials>,
    day: u64,
    /// The day as `YYYYMMDD`.
    date: String,
    /// Day, region and service, as they stand in a signature.
    scope: String,
    /// HMAC, as far as the key goes: the hash of the text begins with the one, that of the result with the other.
    inner: Sha256,
    outer: Sha256,
    token: Option<HeaderValue>,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("day", &self.day).finish_non_exhaustive()
    }
}

/// The headers that a signature consists of.
#[derive(Debug)]
pub(super) struct Signature {
    /// `x-amz-date`
    pub date: String,
    /// `x-amz-security-token`
    pub token: Option<HeaderValue>,
    pub authorization: String,
}

impl Signer {
    /// `host` as in the header.
    pub(super) fn new(region: String, uri: &Uri, host: &str) -> Signer {
        let (path, query) = (canonical_path(uri.path()), canonical_query(uri.query().unwrap_or_default()));
        let beginning =
            format!("POST\n{path}\n{query}\ncontent-type:application/x-amz-json-1.0\nhost:{host}\nx-amz-date:");
        Signer { region, beginning, key: ArcSwapOption::empty() }
    }

    /// Sign a request with this `x-amz-target` and this body.
    pub(super) fn sign(
        &self,
        credentials: &Arc<Credentials>,
        now: SystemTime,
        target: &str,
        body: &[u8],
    ) -> Result<Signature, InvalidHeaderValue> {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let key = self.key(credentials, now, seconds / SECONDS_A_DAY)?;
        let date = timestamp(&key.date, seconds % SECONDS_A_DAY);
        let mut request = String::with_capacity(self.beginning.len() + 512);
        request.push_str(&self.beginning);
        request.push_str(&date);
        let signed_headers = match credentials.session_token() {
            Some(token) => {
                request.push_str("\nx-amz-security-token:");
                request.push_str(token);
                "content-type;host;x-amz-date;x-amz-security-token;x-amz-target;x-amzn-query-mode"
            }
            None => "content-type;host;x-amz-date;x-amz-target;x-amzn-query-mode",
        };
        request.push_str("\nx-amz-target:");
        request.push_str(target);
        request.push_str("\nx-amzn-query-mode:true\n\n");
        request.push_str(signed_headers);
        request.push('\n');
        push_hex(&mut request, Sha256::digest(body));
        let scope = &key.scope;
        let mut to_sign = String::with_capacity(160 + scope.len());
        for part in ["AWS4-HMAC-SHA256\n", &date, "\n", scope, "\n"] {
            to_sign.push_str(part);
        }
        push_hex(&mut to_sign, Sha256::digest(request.as_bytes()));
        let id = credentials.access_key_id();
        let mut authorization = String::with_capacity(256 + id.len() + scope.len());
        for part in ["AWS4-HMAC-SHA256 Credential=", id, "/", scope, ", SignedHeaders=", signed_headers, ", Signature="]
        {
            authorization.push_str(part);
        }
        push_hex(&mut authorization, key.hmac(to_sign.as_bytes()));
        Ok(Signature { date, token: key.token.clone(), authorization })
    }

    /// The key of these credentials for this day.
    fn key(
        &self,
        credentials: &Arc<Credentials>,
        now: SystemTime,
        day: u64,
    ) -> Result<Arc<SigningKey>, InvalidHeaderValue> {
        let known = self.key.load();
        if let Some(key) = known.as_ref().filter(|key| key.day == day && Arc::ptr_eq(&key.credentials, credentials)) {
            return Ok(Arc::clone(key));
        }
        let token = credentials.session_token().map(HeaderValue::from_str).transpose()?.map(|mut token| {
            token.set_sensitive(true);
            token
        });
        let date = day_of(day * SECONDS_A_DAY);
        let scope = format!("{date}/{}/sqs/aws4_request", self.region);
        // Both go into a header, and nothing else that is not known to fit.
        HeaderValue::try_from(format!("{}/{scope}", credentials.access_key_id()))?;
        let secret = v4::generate_signing_key(credentials.secret_access_key(), now, &self.region, "sqs");
        let begun_with = |pad: u8| {
            let mut block = [pad; 64];
            block.iter_mut().zip(secret.as_ref()).for_each(|(byte, key)| *byte ^= key);
            Sha256::new_with_prefix(block)
        };
        let (inner, outer) = (begun_with(0x36), begun_with(0x5c));
        let key = Arc::new(SigningKey { credentials: credentials.clone(), day, date, scope, inner, outer, token });
        self.key.store(Some(key.clone()));
        Ok(key)
    }
}

impl SigningKey {
    /// RFC 2104.
    fn hmac(&self, text: &[u8]) -> [u8; 32] {
        let hash = self.inner.clone().chain_update(text).finalize();
        self.outer.clone().chain_update(hash).finalize().into()
    }
}

fn push_hex(text: &mut String, hash: impl Into<[u8; 32]>) {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    let mut digits = [[0; 2]; 32];
    for (two, byte) in digits.iter_mut().zip(hash.into()) {
        *two = [digit(byte >> 4), digit(byte & 15)];
    }
    // They are ASCII.
    text.push_str(std::str::from_utf8(digits.as_flattened()).unwrap_or_default());
}

const SECONDS_A_DAY: u64 = 24 * 60 * 60;

/// `YYYYMMDD`
fn day_of(seconds: u64) -> String {
    // What is beyond its years is beyond anything that can be signed for.
    let time = DateTime::from_secs(seconds.try_into().unwrap_or(i64::MAX));
    let text = time.fmt(Format::DateTime).unwrap_or_default();
    text.split('T').next().unwrap_or_default().replace('-', "")
}

/// `YYYYMMDDThhmmssZ`; `second` of the day.
fn timestamp(day: &str, second: u64) -> String {
    let mut text = String::with_capacity(16);
    text.push_str(day);
    text.push('T');
    for number in [second / 3600, second / 60 % 60, second % 60] {
        // Below 60. Without `format!`, since each request has one.
        for digit in [number / 10, number % 10] {
            text.push(char::from_digit(digit.try_into().unwrap_or_default(), 10).unwrap_or_default());
        }
    }
    text.push('Z');
    text
}

/// A path is encoded as often as it is in the request, and once more.
const PATH: &AsciiSet = &RESERVED.remove(b'/');

fn canonical_path(path: &str) -> String {
    let normal = if path.contains('.') || path.contains("//") { without_dots(path) } else { path.to_owned() };
    utf8_percent_encode(if normal.is_empty() { "/" } else { &normal }, PATH).to_string()
}

/// Without empty segments, `.` and `..`.
fn without_dots(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let is_folder = ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    format!("/{}{}", segments.join("/"), if is_folder && !segments.is_empty() { "/" } else { "" })
}

fn canonical_query(query: &str) -> String {
    let recoded = |text: &str| {
        let text = text.replace('+', " ");
        let text = percent_decode(text.as_bytes()).decode_utf8_lossy();
        utf8_percent_encode(&text, RESERVED).to_string()
    };
    let mut pairs: Vec<_> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (recoded(name), recoded(value))
        })
        .collect();
    pairs.sort();
    pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
    use proptest::prelude::*;

    use super::*;

    /// The headers that aws-sigv4 adds: date, token, authorization.
    fn reference(
        credentials: &Credentials,
        region: &str,
        uri: &str,
        host: &str,
        now: SystemTime,
        target: &str,
        body: &[u8],
    ) -> Vec<(String, String)> {
        let identity = credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("sqs")
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("host", host),
            ("x-amz-target", target),
            ("x-amzn-query-mode", "true"),
            ("user-agent", "not signed"),
        ];
        let request = SignableRequest::new("POST", uri, headers.into_iter(), SignableBody::Bytes(body)).unwrap();
        let (instructions, _) = sign(request, &params).unwrap().into_parts();
        let mut headers: Vec<_> =
            instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        headers.sort();
        headers
    }

    fn ours(signature: &Signature) -> Vec<(String, String)> {
        let mut headers = vec![("authorization", &*signature.authorization), ("x-amz-date", &*signature.date)];
        headers.extend(signature.token.as_ref().map(|token| ("x-amz-security-token", token.to_str().unwrap())));
        headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    proptest! {
        #[test]
        fn signatures_are_those_of_aws_sigv4(
            id in "[A-Z0-9]{1,20}",
            secret in "[A-Za-z0-9+/]{0,80}",
            token in prop::option::of("[A-Za-z0-9+/=]{1,400}"),
            region in "[a-z0-9-]{1,20}",
            host in "[a-z0-9.-]{1,30}(:[0-9]{1,4})?",
            path in "(/[a-zA-Z0-9._~%:@!$&'()*+,;=-]{0,6}){0,5}",
            query in prop::option::of("([a-zA-Z0-9._~:@!$'()*,;/?-]|%[2-7][0-9A-F]|[&=+]){0,40}"),
            seconds in 0..7_000_000_000_u64,
            operation in "[A-Za-z]{1,30}",
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..4),
        ) {
            let uri = format!("https://{host}{path}{}", query.map(|query| format!("?{query}")).unwrap_or_default());
            let Ok(parsed) = uri.parse::<Uri>() else { return Ok(()) };
            let credentials = Arc::new(Credentials::new(id, secret, token, None, "test"));
            let target = format!("AmazonSQS.{operation}");
            let signer = Signer::new(region.clone(), &parsed, &host);
            for (step, body) in bodies.iter().enumerate() {
                // The next one is on the same day, or on another.
                let now = UNIX_EPOCH + Duration::from_secs(seconds + 40_000 * step as u64);
                let signature = signer.sign(&credentials, now, &target, body).unwrap();
                let expected = reference(&credentials, &region, &uri, &host, now, &target, body);
                prop_assert_eq!(ours(&signature), expected, "{}", uri);
            }
        }
    }

    #[test]
    fn other_credentials_have_another_key() {
        let uri = Uri::from_static("https://h/");
        let signer = Signer::new("r".into(), &uri, "h");
        for (id, secret, token) in [("a", "s", None), ("a", "t", None), ("a", "t", Some("u")), ("a", "s", None)] {
            let credentials = Arc::new(Credentials::new(id, secret, token.map(str::to_owned), None, "test"));
            let signature = signer.sign(&credentials, UNIX_EPOCH, "t", b"").unwrap();
            assert_eq!(ours(&signature), reference(&credentials, "r", "https://h/", "h", UNIX_EPOCH, "t", b""));
        }
    }

    #[test]
    fn keys_that_fit_no_header_are_refused() {
        let signer = Signer::new("r".into(), &Uri::from_static("https://h/"), "h");
        for (id, token) in [("a\nb", None), ("a", Some("t\n"))] {
            let credentials = Arc::new(Credentials::new(id, "s", token.map(str::to_owned), None, "test"));
            assert!(signer.sign(&credentials, UNIX_EPOCH, "t", b"").is_err());
        }
    }
}
