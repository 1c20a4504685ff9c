//! URLs as Python's `urllib.parse` takes them apart, as far as endpoints and proxies need.

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// The parts of a URL that are looked at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Url<'a> {
    /// Without the colon; empty when there is none.
    pub scheme: &'a str,
    /// Everything between `//` and the path.
    pub netloc: &'a str,
}

impl<'a> Url<'a> {
    /// As `urlsplit`, which takes no notice of what stands before a URL unseen.
    pub(crate) fn split(url: &'a str) -> Url<'a> {
        let url = trimmed(url);
        let (scheme, rest) = match url.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
            _ => ("", url),
        };
        let netloc = rest.strip_prefix("//").map_or("", |rest| rest.split(['/', '?', '#']).next().unwrap_or(""));
        Url { scheme, netloc }
    }

    /// The part before the last `@`: user name and password as they are written.
    pub(crate) fn credentials(&self) -> Option<(&'a str, &'a str)> {
        let (userinfo, _) = self.netloc.rsplit_once('@')?;
        userinfo.split_once(':')
    }

    /// Host and port, without credentials.
    pub(crate) fn authority(&self) -> &'a str {
        self.netloc.rsplit_once('@').map_or(self.netloc, |(_, authority)| authority)
    }

    /// The host, without the brackets of an IPv6 address.
    pub(crate) fn host(&self) -> &'a str {
        let authority = self.authority();
        match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => authority.split(':').next().unwrap_or(""),
        }
    }

    /// `None`: a port that is no port. `Some(None)`: none given.
    pub(crate) fn port(&self) -> Option<Option<u16>> {
        match self.port_text() {
            None | Some("") => Some(None),
            Some(port) => port.parse().ok().map(Some),
        }
    }

    fn port_text(&self) -> Option<&'a str> {
        let authority = self.authority();
        let after_host = authority.rsplit_once(']').map_or(authority, |(_, after)| after);
        after_host.split_once(':').map(|(_, port)| port)
    }
}

/// A URL as an exception may show it: a user and a password before the host, and a query, are masked.
pub(crate) fn masked(url: &str) -> Cow<'_, str> {
    let (scheme, rest) = match url.split_once("//") {
        Some((scheme, rest)) => (format!("{scheme}//"), rest),
        None => (String::new(), url),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let after = rest.strip_prefix(authority).unwrap_or_default();
    let (path, query) = after.split_once('?').map_or((after, ""), |(path, query)| (path, query));
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
    if user.is_empty() && query.is_empty() {
        return Cow::Borrowed(url);
    }
    let user = if user.is_empty() { "" } else { "***@" };
    let query = if query.is_empty() { "" } else { "?***" };
    Cow::Owned(format!("{scheme}{user}{host}{path}{query}"))
}

/// Without the blanks and control characters before it.
pub(crate) fn trimmed(url: &str) -> &str {
    url.trim_start_matches(|character: char| character <= ' ')
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|character| character.is_ascii_alphanumeric() || "+-.".contains(character))
}

/// Refuses what botocore, or `urllib.parse` under it, does not take for an endpoint, in their words.
pub(super) fn check_endpoint(url: &str) -> Result<(), String> {
    let parts = Url::split(url);
    if parts.netloc.contains('[') != parts.netloc.contains(']') {
        return Err("Invalid IPv6 URL".to_owned());
    }
    if !is_valid_endpoint(url) {
        return Err(format!("Invalid endpoint: {}", masked(url)));
    }
    match parts.port_text() {
        Some(port) if !port.chars().all(|character| character.is_ascii_digit()) => {
            Err(format!("Port could not be cast to integer value as '{port}'"))
        }
        Some(port) if !port.is_empty() && port.parse::<u16>().is_err() => Err("Port out of range 0-65535".to_owned()),
        _ => Ok(()),
    }
}

/// A host name or an IP address, and no control characters.
pub(super) fn is_valid_endpoint(url: &str) -> bool {
    if url.contains(['\t', '\r', '\n']) {
        return false;
    }
    let host = Url::split(url).host();
    if host.contains(':') {
        return host.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    host.len() <= 255 && is_hostname(host.strip_suffix('.').unwrap_or(host))
}

fn is_hostname(host: &str) -> bool {
    host.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|character| character.is_ascii_alphanumeric() || character == '-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_comes_apart() {
        let url = Url::split("http://u:p@w@host:80/path?query");
        assert_eq!((url.scheme, url.netloc), ("http", "u:p@w@host:80"));
        assert_eq!(url.credentials(), Some(("u", "p@w")));
        assert_eq!((url.host(), url.port()), ("host", Some(Some(80))));
        let url = Url::split("https://[::1]:4566?x");
        assert_eq!((url.host(), url.port(), url.credentials()), ("::1", Some(Some(4566)), None));
        assert_eq!(Url::split("http://host").port(), Some(None));
        assert_eq!(Url::split("http://host:x").port(), None);
    }

    #[test]
    fn a_url_is_shown_without_what_is_secret() {
        for (url, shown) in [
            ("https://sqs.eu-west-1.amazonaws.com/", "https://sqs.eu-west-1.amazonaws.com/"),
            ("http://[::1]:80/a@b", "http://[::1]:80/a@b"),
            ("http://u:p@w@h:1/a?b=c#d", "http://***@h:1/a?***"),
            ("http://u@h", "http://***@h"),
            ("//u:p@h/?", "//***@h/"),
            ("u:p@nowhere", "***@nowhere"),
            ("http://h?token=t", "http://h?***"),
        ] {
            assert_eq!(masked(url), shown);
        }
    }

    #[test]
    fn endpoints_are_valid_where_botocore_says_so() {
        for url in [
            "http://localhost:9324",
            "https://sqs.eu-west-1.amazonaws.com",
            "http://10.0.0.1/path",
            "ftp://h",
            "http://[::1]:80",
            "http://h.",
            " http://h",
            "\0http://h",
        ] {
            assert!(is_valid_endpoint(url), "{url}");
        }
        for url in [
            "localhost:1",
            "",
            "http://",
            "http://ho st",
            "http://a_b",
            "https://sqs..amazonaws.com",
            "h",
            "http://-a",
            "http://h\n",
            "http://[::g]",
        ] {
            assert!(!is_valid_endpoint(url), "{url}");
        }
        for (url, complaint) in [
            ("http://h:port", "Port could not be cast to integer value as 'port'"),
            ("http://h:-1", "Port could not be cast to integer value as '-1'"),
            ("http://h:99999", "Port out of range 0-65535"),
            ("http://[::1", "Invalid IPv6 URL"),
            ("h", "Invalid endpoint: h"),
        ] {
            assert_eq!(check_endpoint(url), Err(complaint.to_owned()));
        }
        assert_eq!(check_endpoint("http://h:/"), Ok(()));
    }
}
