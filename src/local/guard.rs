//! Which requests may be a web page's, which must not reach a server that asks nobody who he is.
//!
//! A page of any site can make the browser on this machine send requests here. What gives it away is the name by which it
//! reaches the server (its own domain, pointed at this machine: DNS rebinding) and what browsers say about the page.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::header::{HOST, ORIGIN};
use http::uri::{Authority, Uri};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::error::SqsError;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The longest piece of a header that is repeated in an answer.
const SHOWN: usize = 100;

/// The host names that the server answers to, besides IP addresses, names without a dot and those of the loopback.
#[derive(Debug, Default)]
pub(super) struct Guard {
    /// In lower case.
    allowed: Vec<String>,
    /// Origins whose pages may read and act, as they write themselves.
    origins: Vec<String>,
}

impl Guard {
    /// Of names as the user gave them; otherwise what is wrong with one.
    pub(super) fn new(names: &[String], origins: &[String]) -> Result<Guard, String> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        match names.iter().find(|name| name.is_empty() || !name.bytes().all(good)) {
            Some(name) => Err(format!("an allowed host is a name alone, without scheme or port, unlike {name:?}")),
            None => match origins.iter().find(|origin| !is_origin(origin)) {
                Some(origin) => {
                    Err(format!("an origin is a scheme and a host, http://localhost:3000, unlike {origin:?}"))
                }
                None => {
                    Ok(Guard { allowed: names.iter().map(|name| plain(name)).collect(), origins: origins.to_vec() })
                }
            },
        }
    }

    /// Why a request is refused, if it is.
    pub(super) fn refuse(&self, headers: &HeaderMap, uri: &Uri) -> Option<SqsError> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = match hosts.next().map(|host| host.to_str()) {
            // Only what is no browser leaves it out.
            None | Some(Ok("")) => None,
            Some(Ok(host)) => Some(host),
            Some(Err(_)) => return Some(unreadable("Host")),
        };
        if hosts.next().is_some() {
            return Some(SqsError::access_denied("The request has more than one Host header."));
        }
        let named = [host, uri.authority().map(Authority::as_str)];
        if let Some(stranger) = named.into_iter().flatten().find(|host| !self.answers_to(host)) {
            return Some(self.strange_host(stranger));
        }
        for origin in headers.get_all(ORIGIN) {
            let Ok(origin) = origin.to_str() else { return Some(unreadable("Origin")) };
            if !self.trusts(origin, host) {
                let origin = shown(origin);
                return Some(SqsError::access_denied(format!(
                    "The request comes from a web page of another origin ({origin:?}), which could be anybody's. If the page is \
                     yours, start the server with --cors {origin}, or Server(cors=[{origin:?}])."
                )));
            }
        }
        if self.shares_with(headers).is_some() {
            return None;
        }
        let cross_site = |site: &http::HeaderValue| site.as_bytes().eq_ignore_ascii_case(b"cross-site");
        headers.get_all(SEC_FETCH_SITE).iter().any(cross_site).then(|| {
            SqsError::access_denied("The request comes from a web page of another site, which could be anybody's.")
        })
    }

    fn strange_host(&self, host: &str) -> SqsError {
        let name = host.parse::<Authority>().map_or_else(|_| host.to_owned(), |host| host.host().to_owned());
        let name = shown(&name);
        SqsError::access_denied(format!(
            "This server does not answer to the host name {name:?}, which a web page could have pointed at it. If the \
             name is yours, start it with --allow-host {name}, or Server(allow_hosts=[{name:?}])."
        ))
    }

    /// Whether a Host header is one that no foreign page could have made a browser send.
    fn answers_to(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        if host.contains('@') {
            return false;
        }
        match address(authority.host()) {
            // A page that is reached by an address has that in its origin.
            Some(_) => true,
            None => {
                let name = plain(authority.host());
                !name.is_empty() && (!name.contains('.') || self.is_ours(&name))
            }
        }
    }

    /// The origin of the page that sent the request, if the user lets its pages read replies.
    pub(super) fn shares_with<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        self.origins.iter().any(|shared| shared.as_bytes() == origin.as_bytes()).then_some(origin)
    }

    /// Whether a page of this origin is the server's own, or of a host or an origin that the user named.
    fn trusts(&self, origin: &str, host: Option<&str>) -> bool {
        let Some((_, authority)) = origin.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))
        else {
            return false;
        };
        if host.is_some_and(|host| host.eq_ignore_ascii_case(authority)) || self.origins.iter().any(|own| own == origin)
        {
            return true;
        }
        let Ok(authority) = authority.parse::<Authority>() else { return false };
        let name = plain(authority.host());
        address(authority.host()).is_none() && self.allowed.contains(&name)
    }

    fn is_ours(&self, name: &str) -> bool {
        name == "localhost" || name.ends_with(".localhost") || self.allowed.iter().any(|allowed| allowed == name)
    }
}

/// In lower case and without the dot that stands for the root.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn address(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) => host.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// Whether a text is an origin as browsers write it.
fn is_origin(text: &str) -> bool {
    let authority = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    authority.and_then(|authority| authority.parse::<Authority>().ok()).is_some() && HeaderValue::from_str(text).is_ok()
}

fn unreadable(header: &str) -> SqsError {
    SqsError::access_denied(format!("The header {header} is not readable."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(guard: &Guard, headers: &[(&'static str, &str)], uri: &str) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        guard.refuse(&map, &uri.parse().unwrap()).is_none()
    }

    #[test]
    fn host_names() {
        let guard = Guard::new(&["sqs.Test".to_owned()], &[]).unwrap();
        let good = "localhost localhost:9324 LOCALHOST. queue.localhost 127.0.0.1:1 10.1.2.3 [::1]:9324 [fe80::1] sqs \
                    sqs:9324 sqs.test SQS.TEST.:80 my_service";
        for host in good.split_whitespace() {
            assert!(served(&guard, &[("host", host)], "/"), "{host}");
        }
        let bad = "evil.example evil.example:9324 127.0.0.1.evil.example localhost.evil.example evil.sqs.test 127.1 \
                   localhost@evil.example evil.example@localhost [evil.example] . sqs.test.. 1.2.3.4.5 :9324";
        for host in bad.split_whitespace() {
            assert!(!served(&guard, &[("host", host)], "/"), "{host}");
        }
        assert!(served(&guard, &[], "/"));
        assert!(!served(&guard, &[("host", "localhost"), ("host", "localhost")], "/"));
        assert!(!served(&guard, &[("host", "localhost")], "http://evil.example/"));
        assert!(served(&guard, &[("host", "localhost")], "http://localhost:9324/"));
    }

    #[test]
    fn origins() {
        let guard = Guard::new(&["app.test".to_owned()], &["http://localhost:3000".to_owned()]).unwrap();
        let from = |origin| served(&guard, &[("host", "sqs:9324"), ("origin", origin)], "/");
        for origin in ["http://sqs:9324", "http://localhost:3000", "https://app.test", "http://app.test:1"] {
            assert!(from(origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            "http://evil.example",
            "http://sqs:1",
            "http://10.0.0.1",
            "http://localhost:3001",
            "https://localhost:3000",
            "https://127.0.0.1",
            "http://[::1]:1",
            "http://intranet",
            "file://",
            "chrome-extension://abc",
            "http://localhost.evil.example",
            "http://evil.example#://localhost",
        ] {
            assert!(!from(origin), "{origin}");
        }
        for (site, expected) in [("cross-site", false), ("Cross-Site", false), ("same-site", true), ("none", true)] {
            assert_eq!(served(&guard, &[("host", "localhost"), ("sec-fetch-site", site)], "/"), expected, "{site}");
        }
    }

    #[test]
    fn names_that_can_be_allowed() {
        for name in ["", "http://sqs.test", "sqs.test:9324", "*.test", "a b", "sqs.test/"] {
            assert!(Guard::new(&[name.to_owned()], &[]).unwrap_err().contains("without scheme or port"), "{name}");
        }
    }

    #[test]
    fn origins_that_can_share() {
        for origin in ["", "*", "localhost", "http://", "ftp://a", "http://a b", "null"] {
            assert!(Guard::new(&[], &[origin.to_owned()]).unwrap_err().contains("a scheme and a host"), "{origin}");
        }
        let guard = Guard::new(&[], &["https://app.test".to_owned()]).unwrap();
        assert!(served(&guard, &[("origin", "https://app.test"), ("sec-fetch-site", "cross-site")], "/"));
    }

    #[test]
    fn what_is_repeated_is_short() {
        let host = format!("{}.example", "a".repeat(10_000));
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        let refusal = Guard::default().refuse(&headers, &Uri::from_static("/")).unwrap();
        assert!(refusal.message.len() < 1_000, "{}", refusal.message.len());
    }
}
