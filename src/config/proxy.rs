//! Which proxy a request goes through: what `urllib.request` and botocore make of the environment and `Config`.

use super::url::Url;
use super::{ClientCert, ProxiesConfig, Sources};

/// Proxies by scheme, and the hosts that are reached without.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Proxies {
    by_scheme: Vec<(String, String)>,
    /// `NO_PROXY`, as it was written.
    bypass: Option<String>,
    config: ProxiesConfig,
}

/// The proxy of one request.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// With its scheme, and with its credentials if it has any.
    pub url: String,
    /// User name and password, decoded; both, or it is nothing.
    pub credentials: Option<(String, String)>,
    pub ca_bundle: Option<String>,
    pub client_cert: Option<ClientCert>,
    /// An https request is sent to the proxy in absolute form instead of through a tunnel. Only to an https proxy.
    pub use_forwarding_for_https: bool,
}

impl Proxies {
    /// `Config(proxies=...)`: what it lists is used, whatever `NO_PROXY` says.
    pub(crate) fn given(by_scheme: &[(String, String)], config: &ProxiesConfig) -> Proxies {
        Proxies { by_scheme: by_scheme.to_vec(), bypass: None, config: config.clone() }
    }

    pub(crate) fn from_environment(sources: &dyn Sources, config: &ProxiesConfig) -> Proxies {
        let mut proxies = Proxies { by_scheme: vec![], bypass: None, config: config.clone() };
        let variables: Vec<_> = sources.variables().into_iter().filter_map(proxy_variable).collect();
        for variable in &variables {
            if !variable.value.is_empty() {
                proxies.set(variable);
            }
        }
        // A CGI script gets any client's `Proxy:` header as HTTP_PROXY.
        if sources.variable("REQUEST_METHOD").is_some() {
            proxies.remove("http");
        }
        // The lowercase name wins, an empty one included.
        for variable in variables.iter().filter(|variable| variable.lowercase) {
            if variable.value.is_empty() {
                proxies.remove(&variable.scheme);
            } else {
                proxies.set(variable);
            }
        }
        proxies
    }

    fn set(&mut self, variable: &Variable) {
        self.remove(&variable.scheme);
        if variable.scheme == "no" {
            self.bypass = Some(variable.value.clone());
        } else {
            self.by_scheme.push((variable.scheme.clone(), variable.value.clone()));
        }
    }

    fn remove(&mut self, scheme: &str) {
        if scheme == "no" {
            self.bypass = None;
        }
        self.by_scheme.retain(|(known, _)| known != scheme);
    }

    /// The proxy for a URL of this scheme and authority (`host` or `host:port`).
    pub(crate) fn select(&self, scheme: &str, authority: &str) -> Option<Proxy> {
        let (_, url) = self.by_scheme.iter().find(|(known, url)| known == scheme && !url.is_empty())?;
        if self.bypass.as_deref().is_some_and(|list| bypasses(list, authority)) {
            return None;
        }
        let url = match url {
            url if url.starts_with("http:") || url.starts_with("https:") => url.clone(),
            url if url.starts_with("//") => format!("http:{url}"),
            url => format!("http://{url}"),
        };
        let parts = Url::split(&url);
        let credentials = parts
            .credentials()
            .filter(|(user, password)| !user.is_empty() && !password.is_empty())
            .map(|(user, password)| (unquote(user), unquote(password)));
        let use_forwarding_for_https = parts.scheme == "https" && self.config.use_forwarding_for_https.unwrap_or(false);
        Some(Proxy {
            credentials,
            ca_bundle: self.config.ca_bundle.clone(),
            client_cert: self.config.client_cert.clone(),
            use_forwarding_for_https,
            url,
        })
    }
}

impl Proxy {
    /// The URL for people to see: user name and password are starred out, as botocore does it.
    pub(crate) fn masked_url(&self) -> String {
        let start = self.url.find("//").map_or(0, |position| position + 2);
        // A password with a slash in it ends the host for every parser, but it is a password none the less.
        let Some(userinfo) = self.url.get(start..).and_then(|rest| rest.rsplit_once('@')).map(|(before, _)| before)
        else {
            return self.url.clone();
        };
        let masked = match userinfo.split_once(':') {
            Some((user, password)) => format!("{}:{}", stars(user), stars(password)),
            None => stars(userinfo).to_owned(),
        };
        let (before, after) = (self.url.get(..start), self.url.get(start + userinfo.len()..));
        format!("{}{masked}{}", before.unwrap_or_default(), after.unwrap_or_default())
    }
}

fn stars(secret: &str) -> &str {
    if secret.is_empty() { "" } else { "***" }
}

/// A variable of the environment that names a scheme's proxy.
struct Variable {
    scheme: String,
    value: String,
    lowercase: bool,
}

/// `<scheme>_proxy`, in any case.
fn proxy_variable((name, value): (String, String)) -> Option<Variable> {
    let (scheme, suffix) = name.rsplit_once('_')?;
    if !suffix.eq_ignore_ascii_case("proxy") {
        return None;
    }
    Some(Variable { scheme: scheme.to_lowercase(), value, lowercase: suffix == "proxy" })
}

/// Whether a `NO_PROXY` list names this host: by name or by the end of its name. Neither networks nor wildcards count.
fn bypasses(list: &str, authority: &str) -> bool {
    if list == "*" {
        return true;
    }
    let authority = authority.to_lowercase();
    let is_port = |port: &str| port.chars().all(|character| character.is_ascii_digit());
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        _ => &authority,
    };
    let ends_with = |whole: &str, name: &str| {
        whole.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).any(|name| {
        let name = name.trim_start_matches('.').to_lowercase();
        ends_with(host, &name) || ends_with(&authority, &name)
    })
}

/// Percent-decoding; what is not valid stays.
fn unquote(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let decoded = tail.get(..2).filter(|_| *first == b'%').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
            u8::from_str_radix(digits, 16).ok()
        });
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { tail.get(2..).unwrap_or(&[]) } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URLs may hold passwords.
        f.debug_list().entries(self.by_scheme.iter().map(|(scheme, _)| scheme)).finish()
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("url", &self.masked_url()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fake::Fake;

    fn environment(variables: &[(&str, &str)]) -> Proxies {
        Proxies::from_environment(&Fake::environment(variables), &ProxiesConfig::default())
    }

    fn url(proxies: &Proxies, scheme: &str, authority: &str) -> Option<String> {
        proxies.select(scheme, authority).map(|proxy| proxy.url)
    }

    #[test]
    fn the_scheme_chooses() {
        let proxies = environment(&[("HTTP_PROXY", "http://a:1"), ("https_proxy", "b:2"), ("ALL_PROXY", "c:3")]);
        assert_eq!(url(&proxies, "http", "h"), Some("http://a:1".into()));
        assert_eq!(url(&proxies, "https", "h"), Some("http://b:2".into()));
        let proxies = environment(&[("all_proxy", "c:3"), ("xproxy", "d:4"), ("HTTPS_PROXY", "//e:5")]);
        assert_eq!(url(&proxies, "http", "h"), None);
        assert_eq!(url(&proxies, "https", "h"), Some("http://e:5".into()));
    }

    #[test]
    fn lowercase_wins_even_empty() {
        for order in [[0, 1], [1, 0]] {
            let variables = [("HTTP_PROXY", "a:1"), ("http_proxy", "b:2")];
            let proxies = environment(&order.map(|at| variables[at]));
            assert_eq!(url(&proxies, "http", "h"), Some("http://b:2".into()));
            let variables = [("HTTP_PROXY", "a:1"), ("http_proxy", "")];
            let proxies = environment(&order.map(|at| variables[at]));
            assert_eq!(url(&proxies, "http", "h"), None);
        }
        assert_eq!(url(&environment(&[("HTTP_PROXY", "")]), "http", "h"), None);
    }

    #[test]
    fn a_cgi_script_trusts_only_the_lowercase_name() {
        let proxies = environment(&[("HTTP_PROXY", "a:1"), ("HTTPS_PROXY", "c:1"), ("REQUEST_METHOD", "GET")]);
        assert_eq!(url(&proxies, "http", "h"), None);
        assert_eq!(url(&proxies, "https", "h"), Some("http://c:1".into()));
        let proxies = environment(&[("http_proxy", "a:1"), ("REQUEST_METHOD", "GET")]);
        assert_eq!(url(&proxies, "http", "h"), Some("http://a:1".into()));
    }

    #[test]
    fn no_proxy_names_hosts_and_domains() {
        let list = "localhost, .Example.com,10.0.0.1,10.1.0.0/16,h:8080,,";
        for host in
            ["localhost", "localhost:9324", "example.com", "a.EXAMPLE.com:1", "x.localhost", "10.0.0.1:80", "h:8080"]
        {
            assert!(bypasses(list, host), "{host}");
        }
        for host in ["notlocalhost", "badexample.com", "10.1.2.3", "h", "h:80", "[::1]:80"] {
            assert!(!bypasses(list, host), "{host}");
        }
        assert!(bypasses("*", "anything"));
        assert!(!bypasses("*.example.com", "a.example.com"));
        let proxies = environment(&[("http_proxy", "p:1"), ("NO_PROXY", "h")]);
        assert_eq!(proxies.select("http", "h:80"), None);
        assert!(proxies.select("http", "i:80").is_some());
        let given = Proxies::given(&[("http".into(), "p:1".into())], &ProxiesConfig::default());
        assert!(given.select("http", "h:80").is_some());
    }

    #[test]
    fn credentials_are_decoded_and_masked() {
        let select = |url: &str| {
            let proxies = Proxies::given(&[("http".into(), url.to_owned())], &ProxiesConfig::default());
            proxies.select("http", "h").unwrap()
        };
        let proxy = select("http://us%40er:pa%3Ass%@p:1");
        assert_eq!(proxy.credentials, Some(("us@er".into(), "pa:ss%".into())));
        assert_eq!(proxy.masked_url(), "http://***:***@p:1");
        assert_eq!(select("user@p:1").credentials, None);
        assert_eq!(select("user:@p:1").credentials, None);
        assert!(!format!("{:?}", select("u:secret@p:1")).contains("secret"));
        for (url, masked) in [
            ("http://p:x@q:1", "http://***:***@q:1"),
            ("http://u:http@h", "http://***:***@h"),
            ("http://token@h:1/", "http://***@h:1/"),
            ("http://u:@h", "http://***:@h"),
            ("http://u:p/w@h:1", "http://***:***@h:1"),
            ("h:1", "http://h:1"),
        ] {
            assert_eq!(select(url).masked_url(), masked);
        }
    }

    #[test]
    fn forwarding_is_for_https_proxies_only() {
        let config = ProxiesConfig { use_forwarding_for_https: Some(true), ..Default::default() };
        let select =
            |url: &str| Proxies::given(&[("https".into(), url.to_owned())], &config).select("https", "h").unwrap();
        assert!(select("https://p:1").use_forwarding_for_https);
        assert!(!select("http://p:1").use_forwarding_for_https);
    }
}
