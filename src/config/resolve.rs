//! From what was asked for to what is built: botocore's rules, in botocore's order, so that of several mistakes the
//! same one is reported.

use std::time::Duration;

use super::error::{DEFAULTS_MODES, RETRY_MODES};
use super::general::general;
use super::sources::text;
use super::url::check_endpoint;
use super::{
    Arguments, AwsService, Batching, ConfigError, Credentials, Options, Proxies, Retries, RetryMode, RetryOptions,
    Section, SectionEntry, Services, Settings, SharedFiles, SignatureVersion, Sources, Timeout, Tls, UserAgent, Verify,
    credentials, endpoint,
};

const API_VERSION: &str = crate::model::API_VERSION;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const DEFAULT_POOL: usize = 10;

/// The settings for these arguments in this world.
pub(crate) fn resolve(arguments: &Arguments, sources: &dyn Sources) -> Result<Settings, ConfigError> {
    let files = sources.files()?;
    let profile_name = chosen_profile(arguments.profile_name.as_deref(), sources);
    let nothing = Section::new();
    let profile = match &profile_name {
        None => files.profiles.get("default").unwrap_or(&nothing),
        // One that was asked for has to exist, even if it is called "default".
        Some(name) => files.profiles.get(name).ok_or_else(|| ConfigError::ProfileNotFound { profile: name.clone() })?,
    };
    let lookup = Lookup { options: &arguments.config, sources, files, profile };

    let region = lookup.region(arguments)?;
    let credentials = credentials::choose(arguments, sources, files, profile_name.as_deref().unwrap_or("default"))?;
    let default_connect_timeout = lookup.default_connect_timeout(&region)?;
    check_versions(arguments)?;

    let endpoint_url = match &arguments.endpoint_url {
        Some(url) => Some(url.clone()),
        None => lookup.endpoint_url(arguments.config.ignore_configured_endpoint_urls, "SQS")?,
    };
    let region = region.ok_or(ConfigError::NoRegion)?;
    let plain_region = region.replace("fips-", "").replace("-fips", "");
    let use_fips = plain_region != region
        || lookup.flag(arguments.config.use_fips_endpoint, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint");
    let use_dualstack =
        lookup.flag(arguments.config.use_dualstack_endpoint, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint");
    let endpoint = endpoint_url.clone().unwrap_or_else(|| {
        let scheme = if arguments.use_ssl.unwrap_or(true) { "https" } else { "http" };
        format!("{scheme}://{}", endpoint::host("sqs", &plain_region, use_fips, use_dualstack))
    });
    let retries = lookup.retries(&arguments.config.retries)?;
    check_endpoint(&endpoint).map_err(ConfigError::Value)?;
    let default_verify = lookup.verify();
    let verify = arguments.verify.clone().unwrap_or_else(|| default_verify.clone());
    if matches!(&verify, Verify::Bundle(path) if path.trim().is_empty()) {
        return Err(ConfigError::InvalidConfig { error_msg: EMPTY_BUNDLE.to_owned() });
    }

    let options = &arguments.config;
    let services = match &arguments.found {
        Some(found) if found.credentials == credentials => found.services.clone(),
        _ => lookup.services(&credentials, default_verify, &plain_region)?,
    };
    Ok(Settings {
        partition: endpoint::partition_id(&plain_region),
        region: plain_region,
        endpoint_url,
        endpoint,
        use_fips,
        use_dualstack,
        credentials,
        retries,
        connect_timeout: timeout(options.connect_timeout, default_connect_timeout),
        read_timeout: timeout(options.read_timeout, DEFAULT_TIMEOUT),
        tls: Tls { verify, client_cert: options.client_cert.clone() },
        proxies: match &options.proxies {
            Some(given) => Proxies::given(given, &options.proxies_config),
            None => Proxies::from_environment(sources, &options.proxies_config),
        },
        services,
        user_agent: UserAgent {
            replacement: options.user_agent.clone(),
            extra: options.user_agent_extra.clone(),
            app_id: options
                .user_agent_appid
                .clone()
                .or_else(|| lookup.text("AWS_SDK_UA_APP_ID", "sdk_ua_app_id"))
                .map(|id| sanitized(&id)),
        },
        // botocore's queue takes zero and less for "no limit".
        max_pool_connections: match options.max_pool_connections {
            None => DEFAULT_POOL,
            Some(number) => usize::try_from(number).ok().filter(|number| *number > 0).unwrap_or(usize::MAX),
        },
        tcp_keepalive: lookup.flag(options.tcp_keepalive, "BOTOCORE_TCP_KEEPALIVE", "tcp_keepalive"),
        parameter_validation: options.parameter_validation.unwrap_or(true)
            && text(profile, "parameter_validation").is_none_or(is_true),
        general: general(sources, profile),
        batching: arguments.batching.unwrap_or_else(|| Some(Batching::default())),
    })
}

const EMPTY_BUNDLE: &str = "Invalid CA bundle: the configured value (ca_bundle, AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE, or \
                            verify) resolved to an empty or whitespace-only string. Provide a valid path to a CA \
                            bundle file.";

/// The profile that is in use: the one given, else the environment's; `None` where nobody chose one.
pub(crate) fn chosen_profile(given: Option<&str>, sources: &dyn Sources) -> Option<String> {
    let given = given.map(str::to_owned);
    given.or_else(|| sources.variable("AWS_DEFAULT_PROFILE")).or_else(|| sources.variable("AWS_PROFILE"))
}

/// The region of clients that name none, with this profile.
pub(crate) fn session_region(profile: Option<&str>, sources: &dyn Sources) -> Result<Option<String>, ConfigError> {
    let (files, options, nothing) = (sources.files()?, Options::default(), Section::new());
    let name = chosen_profile(profile, sources);
    let profile = files.profiles.get(name.as_deref().unwrap_or("default")).unwrap_or(&nothing);
    Ok(Lookup { options: &options, sources, files, profile }.default_region())
}

/// Options, environment and profile, asked in that order.
struct Lookup<'a> {
    options: &'a Options,
    sources: &'a dyn Sources,
    files: &'a SharedFiles,
    profile: &'a Section,
}

impl Lookup<'_> {
    fn text(&self, variable: &str, name: &str) -> Option<String> {
        self.sources.variable(variable).or_else(|| text(self.profile, name).map(str::to_owned))
    }

    fn flag(&self, option: Option<bool>, variable: &str, name: &str) -> bool {
        option.unwrap_or_else(|| self.text(variable, name).is_some_and(|value| is_true(&value)))
    }

    fn default_region(&self) -> Option<String> {
        self.text("AWS_DEFAULT_REGION", "region")
            // What the other SDKs read; botocore does not, so it must never win over anything that botocore reads.
            .or_else(|| self.sources.variable("AWS_REGION").filter(|region| !region.is_empty()))
    }

    fn region(&self, arguments: &Arguments) -> Result<Option<String>, ConfigError> {
        let given = arguments.region_name.clone().or_else(|| self.options.region_name.clone());
        let region = given.or_else(|| self.default_region());
        match region {
            Some(region_name) if !is_region(&region_name) => Err(ConfigError::InvalidRegion { region_name }),
            region => Ok(region),
        }
    }

    /// What a server's certificate is held against where the caller has not said so.
    fn verify(&self) -> Verify {
        let bundle = self.text("AWS_CA_BUNDLE", "ca_bundle").or_else(|| self.sources.variable("REQUESTS_CA_BUNDLE"));
        bundle.map_or(Verify::Yes, Verify::Bundle)
    }

    /// How the services are reached that these credentials come from: nothing that was said for SQS counts.
    fn services(&self, credentials: &Credentials, verify: Verify, region: &str) -> Result<Services, ConfigError> {
        let mut endpoints = vec![];
        let asks = !matches!(credentials, Credentials::Static(_) | Credentials::Anonymous | Credentials::Missing);
        for service in AwsService::ALL.into_iter().filter(|_| asks) {
            endpoints.extend(self.endpoint_url(None, service.id())?.map(|url| (service, url)));
        }
        Ok(Services {
            region: region.to_owned(),
            verify,
            proxies: Proxies::from_environment(self.sources, &Default::default()),
            max_attempts: if asks { self.retries(&Default::default())?.total_max_attempts } else { 1 },
            use_fips: self.flag(None, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"),
            use_dualstack: self.flag(None, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"),
            is_sts_global: self.text("AWS_STS_REGIONAL_ENDPOINTS", "sts_regional_endpoints").as_deref()
                == Some("legacy"),
            endpoints,
        })
    }

    /// The endpoint that the environment or the profile names for a service; `ignore` is the caller's wish to pass over it.
    fn endpoint_url(&self, ignore: Option<bool>, service: &str) -> Result<Option<String>, ConfigError> {
        if self.flag(ignore, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls") {
            return Ok(None);
        }
        for variable in [format!("AWS_ENDPOINT_URL_{service}"), "AWS_ENDPOINT_URL".to_owned()] {
            if let Some(url) = self.sources.variable(&variable).filter(|url| !url.is_empty()) {
                return Ok(Some(url));
            }
        }
        if let Some(url) = self.service_endpoint_url(&service.to_lowercase())?.filter(|url| !url.is_empty()) {
            return Ok(Some(url));
        }
        Ok(text(self.profile, "endpoint_url").filter(|url| !url.is_empty()).map(str::to_owned))
    }

    fn service_endpoint_url(&self, service: &str) -> Result<Option<String>, ConfigError> {
        let Some(name) = text(self.profile, "services") else { return Ok(None) };
        let invalid = |error_msg| ConfigError::InvalidConfig { error_msg };
        let services = self.files.services.get(name).filter(|services| !services.is_empty()).ok_or_else(|| {
            invalid(format!(
                "The profile is configured to use the services section but the \"{name}\" services configuration does \
                 not exist."
            ))
        })?;
        match services.get(service) {
            None => Ok(None),
            Some(SectionEntry::Block(block)) => Ok(block.get("endpoint_url").cloned()),
            Some(SectionEntry::Text(_)) => {
                Err(invalid(format!("{service} in the services section \"{name}\" is not a section.")))
            }
        }
    }

    fn retries(&self, given: &RetryOptions) -> Result<Retries, ConfigError> {
        let counted = |value: i64, min_value: i64| {
            if value < min_value { Err(ConfigError::InvalidMaxRetryAttempts { value, min_value }) } else { Ok(value) }
        };
        let total = match (given.total_max_attempts, given.max_attempts) {
            (Some(total), _) => Some(counted(total, 1)?),
            (None, Some(retries)) => Some(counted(retries, 0)?.saturating_add(1)),
            (None, None) => match self.text("AWS_MAX_ATTEMPTS", "max_attempts") {
                Some(text) => Some(counted(integer(&text)?, 1)?),
                None => None,
            },
        };
        let mode = given.mode.clone().or_else(|| self.text("AWS_RETRY_MODE", "retry_mode"));
        let mode = match mode.as_deref() {
            None | Some("standard") => RetryMode::Standard,
            Some("adaptive") => RetryMode::Adaptive,
            Some("legacy") => RetryMode::Legacy,
            Some(mode) => return Err(ConfigError::InvalidRetryMode { mode: mode.to_owned() }),
        };
        debug_assert!(RETRY_MODES.contains(&mode.name()));
        let default = if mode == RetryMode::Legacy { 5 } else { 3 };
        let total_max_attempts = total.map_or(default, |total| u32::try_from(total).unwrap_or(u32::MAX));
        Ok(Retries { mode, total_max_attempts })
    }

    /// The connect timeout that the defaults mode gives.
    fn default_connect_timeout(&self, region: &Option<String>) -> Result<Duration, ConfigError> {
        let given = self.options.defaults_mode.clone().filter(|mode| !mode.is_empty());
        let Some(mode) = given.or_else(|| self.text("AWS_DEFAULTS_MODE", "defaults_mode")) else {
            return Ok(DEFAULT_TIMEOUT);
        };
        let lower = mode.to_lowercase();
        if !DEFAULTS_MODES.split(", ").any(|known| known == lower) {
            return Err(ConfigError::InvalidDefaultsMode { mode });
        }
        let milliseconds = match lower.as_str() {
            "legacy" => return Ok(DEFAULT_TIMEOUT),
            "in-region" => 1_100,
            "mobile" => 30_000,
            "auto" if self.is_in_region(region) => 1_100,
            _ => 3_100,
        };
        Ok(Duration::from_millis(milliseconds))
    }

    /// As far as the environment tells; botocore goes on to ask the instance metadata, which a constructor must not.
    fn is_in_region(&self, region: &Option<String>) -> bool {
        let here = self.sources.variable("AWS_REGION").or_else(|| self.sources.variable("AWS_DEFAULT_REGION"));
        self.sources.variable("AWS_EXECUTION_ENV").is_some_and(|name| !name.is_empty())
            && here.is_some()
            && here == *region
    }
}

fn check_versions(arguments: &Arguments) -> Result<(), ConfigError> {
    if let Some(version) = arguments.api_version.as_deref().filter(|version| *version != API_VERSION) {
        return Err(ConfigError::DataNotFound { data_path: format!("sqs/{version}/service-2") });
    }
    match &arguments.config.signature_version {
        None | Some(SignatureVersion::Unsigned) => Ok(()),
        // s3v4 signs SQS requests exactly as v4 does.
        Some(SignatureVersion::Named(name)) if name == "v4" || name == "s3v4" => Ok(()),
        Some(SignatureVersion::Named(name)) => {
            Err(ConfigError::UnknownSignatureVersion { signature_version: name.clone() })
        }
    }
}

fn timeout(given: Option<Timeout>, default: Duration) -> Option<Duration> {
    match given {
        None => Some(default),
        Some(Timeout::Never) => None,
        // Too long for a Duration is as good as for ever.
        Some(Timeout::Seconds(seconds)) => Duration::try_from_secs_f64(seconds).ok(),
    }
}

/// A host label that is not only digits; nothing at all passes too, and fails later as part of a host name.
fn is_region(name: &str) -> bool {
    name.is_empty()
        || (name.len() <= 63
            && !name.starts_with('-')
            && !name.ends_with('-')
            && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '-')
            && !name.chars().all(|character| character.is_ascii_digit()))
}

pub(super) fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}

/// Python's `int(text)`, as far as it matters. Python's numbers have no limit: what is beyond ours is as good as the limit.
pub(super) fn integer(text: &str) -> Result<i64, ConfigError> {
    let number = text.trim();
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    let is_number = digits.split('_').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if !is_number {
        return Err(ConfigError::Value(format!("invalid literal for int() with base 10: '{text}'")));
    }
    let limit = if number.starts_with('-') { i64::MIN } else { i64::MAX };
    Ok(number.replace('_', "").parse().unwrap_or(limit))
}

/// What a user agent's token cannot hold becomes a dash.
fn sanitized(id: &str) -> String {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character);
    id.chars().map(|character| if allowed(character) { character } else { '-' }).collect()
}

#[cfg(test)]
mod tests;
