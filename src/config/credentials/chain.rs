//! Which source of credentials a client has, in botocore's order of asking.

use std::time::Duration;

use super::{
    Container, ContainerToken, Credentials, EnvironmentKeys, Login, Metadata, OneTimeCode, Process, Role, Sso,
    StaticCredentials, WebIdentity, legacy,
};
use crate::config::error::IMDS_MODES;
use crate::config::resolve::{integer, is_true};
use crate::config::sources::text;
use crate::config::url::is_valid_endpoint;
use crate::config::{Arguments, ConfigError, Section, SharedFiles, SignatureVersion, Sources, Url};

/// Settles the source. Half a pair of keys is an error where it is found.
pub(crate) fn choose(
    arguments: &Arguments,
    sources: &dyn Sources,
    files: &SharedFiles,
    profile: &str,
) -> Result<Credentials, ConfigError> {
    if arguments.config.signature_version == Some(SignatureVersion::Unsigned) {
        return Ok(Credentials::Anonymous);
    }
    if let Some(explicit) = explicit(arguments)? {
        return Ok(explicit);
    }
    if let Some(found) = &arguments.found {
        return Ok(found.credentials.clone());
    }
    let chain = Chain { sources, files };
    // A profile that was asked for by argument makes botocore pass over the keys in the environment.
    let by_argument = arguments.profile_name.is_some();
    if !by_argument && let Some(found) = chain.environment()? {
        return Ok(found);
    }
    if is_role(chain.profile(profile)) {
        return chain.role(profile, &mut vec![profile.to_owned()]);
    }
    if let Some(found) = chain.of_profile(profile, !by_argument)? {
        return Ok(found);
    }
    if let Some(found) = legacy::find(sources)? {
        return Ok(Credentials::Static(found));
    }
    if let Some(found) = chain.container()? {
        return Ok(found);
    }
    chain.metadata(profile)
}

fn explicit(arguments: &Arguments) -> Result<Option<Credentials>, ConfigError> {
    let missing = |cred_var| Err(ConfigError::PartialCredentials { provider: "explicit", cred_var });
    match (&arguments.aws_access_key_id, &arguments.aws_secret_access_key) {
        (Some(access_key), Some(secret_key)) => Ok(Some(Credentials::Static(StaticCredentials {
            access_key: access_key.clone(),
            secret_key: secret_key.clone(),
            token: arguments.aws_session_token.clone(),
            account_id: arguments.aws_account_id.clone(),
            method: "explicit",
        }))),
        (Some(_), None) => missing("aws_secret_access_key"),
        (None, Some(_)) => missing("aws_access_key_id"),
        (None, None) => Ok(None),
    }
}

/// A profile with a role that is assumed with other credentials.
fn is_role(section: &Section) -> bool {
    section.contains_key("role_arn") && !section.contains_key("web_identity_token_file")
}

fn has_keys(section: &Section) -> bool {
    section.contains_key("aws_access_key_id") || section.contains_key("aws_secret_access_key")
}

fn invalid<T>(error_msg: String) -> Result<T, ConfigError> {
    Err(ConfigError::InvalidConfig { error_msg })
}

/// botocore's chain of places to look for credentials in.
struct Chain<'a> {
    sources: &'a dyn Sources,
    files: &'a SharedFiles,
}

static NOTHING: Section = Section::new();

impl Chain<'_> {
    fn profile(&self, name: &str) -> &Section {
        self.files.profiles.get(name).unwrap_or(&NOTHING)
    }

    /// A variable that says something.
    fn variable(&self, name: &str) -> Option<String> {
        self.sources.variable(name).filter(|value| !value.is_empty())
    }

    fn environment(&self) -> Result<Option<Credentials>, ConfigError> {
        if self.variable(EnvironmentKeys::ACCESS_KEY).is_none() {
            return Ok(None);
        }
        let partial = |cred_var| ConfigError::PartialCredentials { provider: "env", cred_var };
        let found = EnvironmentKeys::find(self.sources).map_err(partial)?;
        Ok(Some(match found.expiration {
            Some(_) => Credentials::Environment,
            None => Credentials::Static(found.keys),
        }))
    }

    /// What a profile itself has, other than a role with a source.
    fn of_profile(&self, name: &str, with_environment: bool) -> Result<Option<Credentials>, ConfigError> {
        let section = self.profile(name);
        if let Some(found) = self.web_identity(section, with_environment)? {
            return Ok(Some(found));
        }
        if section.contains_key("sso_role_name") || section.contains_key("sso_account_id") {
            return self.sso(name, section).map(Some);
        }
        if let Some(found) = in_file(self.files.credentials_profiles.get(name), "shared-credentials-file")? {
            return Ok(Some(found));
        }
        if let Some(session) = text(section, "login_session") {
            let cache = match self.sources.variable("AWS_LOGIN_CACHE_DIRECTORY") {
                Some(folder) => self.sources.expanded(&folder),
                None => self.cache("login"),
            };
            return Ok(Some(Credentials::Login(Login { session: session.to_owned(), cache })));
        }
        if let Some(command) = text(section, "credential_process") {
            let account_id = text(section, "aws_account_id").map(str::to_owned);
            return Ok(Some(Credentials::Process(Process { command: command.to_owned(), account_id })));
        }
        in_file(self.files.config_profiles.get(name), "config-file")
    }

    fn cache(&self, kind: &str) -> String {
        self.sources.expanded(&format!("~/.aws/{kind}/cache"))
    }

    fn web_identity(&self, section: &Section, with_environment: bool) -> Result<Option<Credentials>, ConfigError> {
        let value = |variable: &str, name: &str| {
            let of_environment = if with_environment { self.sources.variable(variable) } else { None };
            of_environment.or_else(|| text(section, name).map(str::to_owned))
        };
        let said = |value: &String| !value.is_empty();
        let token_file = value("AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file").filter(said);
        let Some(token_file) = token_file else { return Ok(None) };
        let Some(role_arn) = value("AWS_ROLE_ARN", "role_arn").filter(said) else {
            return invalid(
                "The provided profile or the current environment is configured to assume role with web identity but \
                 has no role ARN configured. Ensure that the profile has the role_arnconfiguration set or the \
                 AWS_ROLE_ARN env var is set."
                    .to_owned(),
            );
        };
        let session_name = value("AWS_ROLE_SESSION_NAME", "role_session_name").filter(said);
        Ok(Some(Credentials::WebIdentity(WebIdentity { token_file, role_arn, session_name })))
    }

    fn role(&self, name: &str, visited: &mut Vec<String>) -> Result<Credentials, ConfigError> {
        let section = self.profile(name);
        let value = |setting: &str| text(section, setting).map(str::to_owned);
        let (source, named) = match (value("source_profile"), value("credential_source")) {
            (Some(_), Some(_)) => {
                return invalid(format!("The profile \"{name}\" contains both source_profile and credential_source."));
            }
            (None, None) => {
                let cred_var = "source_profile or credential_source";
                return Err(ConfigError::PartialCredentials { provider: "assume-role", cred_var });
            }
            (Some(source), None) => (self.source_profile(name, &source, visited)?, None),
            (None, Some(source)) => (self.credential_source(name, &source)?, Some((source, name.to_owned()))),
        };
        Ok(Credentials::Role(Box::new(Role {
            arn: value("role_arn").unwrap_or_default(),
            session_name: value("role_session_name"),
            external_id: value("external_id"),
            duration: value("duration_seconds").and_then(|text| integer(&text).ok()),
            code: value("mfa_serial").map(OneTimeCode::new),
            source,
            named,
        })))
    }

    fn source_profile(&self, name: &str, source: &str, visited: &mut Vec<String>) -> Result<Credentials, ConfigError> {
        let Some(section) = self.files.profiles.get(source) else {
            return invalid(format!(
                "The source_profile \"{source}\" referenced in the profile \"{name}\" does not exist."
            ));
        };
        // A profile may be its own source if it has keys as well.
        if visited.iter().any(|known| known == source) && (source != name || !has_keys(section)) {
            let visited_profiles = visited.clone();
            return Err(ConfigError::InfiniteLoop { source_profile: source.to_owned(), visited_profiles });
        }
        visited.push(source.to_owned());
        if is_role(section) && !has_keys(section) {
            return self.role(source, visited);
        }
        match self.of_profile(source, false)? {
            Some(found) => Ok(found),
            None => invalid(format!("The source profile \"{source}\" must have credentials.")),
        }
    }

    fn credential_source(&self, name: &str, source: &str) -> Result<Credentials, ConfigError> {
        let found = match source {
            "Environment" => self.environment()?,
            "EcsContainer" => self.container()?,
            "Ec2InstanceMetadata" => match self.metadata(name)? {
                Credentials::Missing => None,
                metadata => Some(metadata),
            },
            _ => {
                return invalid(format!(
                    "The credential source \"{source}\" referenced in profile \"{name}\" is not valid."
                ));
            }
        };
        let error_msg = format!("No credentials found in credential_source referenced in profile {name}");
        found.ok_or(ConfigError::CredentialRetrieval { provider: source.to_owned(), error_msg })
    }

    fn sso(&self, name: &str, section: &Section) -> Result<Credentials, ConfigError> {
        let session = text(section, "sso_session");
        let nothing = Section::new();
        let shared = match session {
            None => &nothing,
            Some(session) => match self.files.sso_sessions.get(session) {
                Some(shared) => shared,
                None => return invalid(format!("The specified sso-session does not exist: \"{session}\"")),
            },
        };
        for (setting, value) in shared {
            if let (Some(mine), Some(value)) =
                (text(section, setting), text(shared, setting).filter(|_| section.get(setting) != Some(value)))
            {
                return invalid(format!(
                    "The value for {setting} is inconsistent between profile ({mine}) and sso-session ({value})."
                ));
            }
        }
        let value = |setting: &str| text(section, setting).or_else(|| text(shared, setting)).map(str::to_owned);
        let wanted = ["sso_role_name", "sso_account_id", "sso_start_url", "sso_region"];
        match wanted.map(value) {
            [Some(role_name), Some(account_id), Some(start_url), Some(region)] => {
                // Renewing the token takes them from the session's section alone.
                let missing: Vec<_> = ["sso_start_url", "sso_region"]
                    .into_iter()
                    .filter(|setting| session.is_some() && text(shared, setting).is_none())
                    .map(|setting| format!("'{setting}'"))
                    .collect();
                if !missing.is_empty() {
                    return invalid(format!(
                        "The profile \"{name}\" is configured to use the SSO token provider but is missing the \
                         following configuration: [{}].",
                        missing.join(", ")
                    ));
                }
                let session = session.map(str::to_owned);
                let cache = self.cache("sso");
                Ok(Credentials::Sso(Sso { start_url, region, account_id, role_name, session, cache }))
            }
            found => {
                let missing: Vec<_> =
                    wanted.into_iter().zip(found).filter(|(_, found)| found.is_none()).map(|(name, _)| name).collect();
                invalid(format!(
                    "The profile \"{name}\" is configured to use SSO but is missing required configuration: {}",
                    missing.join(", ")
                ))
            }
        }
    }

    fn container(&self) -> Result<Option<Credentials>, ConfigError> {
        let url = match self.sources.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            Some(path) => format!("http://169.254.170.2{path}"),
            None => match self.sources.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
                Some(url) => url,
                None => return Ok(None),
            },
        };
        check_container_host(&url)?;
        let token = match self.sources.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Some(path) => Some(ContainerToken::File(path)),
            None => self.sources.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(ContainerToken::Text),
        };
        Ok(Some(Credentials::Container(Container { url, token })))
    }

    fn metadata(&self, profile: &str) -> Result<Credentials, ConfigError> {
        if self.variable("AWS_EC2_METADATA_DISABLED").is_some_and(|value| is_true(&value)) {
            return Ok(Credentials::Missing);
        }
        let section = self.profile(profile);
        let value = |variable: &str, name: &str| {
            let value = self.sources.variable(variable).or_else(|| text(section, name).map(str::to_owned));
            value.filter(|value| !value.is_empty())
        };
        let flag = |variable: &str, name: &str| value(variable, name).is_some_and(|value| is_true(&value));
        let number = |variable: &str, name: &str| match value(variable, name) {
            Some(text) => integer(&text).map(|number| u32::try_from(number).unwrap_or(1).max(1)),
            None => Ok(1),
        };
        let timeout = Duration::from_secs(number("AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout")?.into());
        let attempts = number("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "metadata_service_num_attempts")?;
        let over_ipv6 = match value("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode") {
            Some(mode) if !IMDS_MODES.contains(&mode.to_lowercase().as_str()) => {
                return Err(ConfigError::InvalidImdsMode { mode });
            }
            Some(mode) => mode.eq_ignore_ascii_case("ipv6"),
            None => flag("AWS_IMDS_USE_IPV6", "imds_use_ipv6"),
        };
        let named = value("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
        let mut endpoint = named.unwrap_or_else(|| {
            if over_ipv6 { "http://[fd00:ec2::254]/" } else { "http://169.254.169.254/" }.to_owned()
        });
        if !is_valid_endpoint(&endpoint) {
            return Err(ConfigError::InvalidImdsEndpoint { endpoint });
        }
        if !endpoint.ends_with('/') {
            endpoint.push('/');
        }
        let is_v1_disabled = flag("AWS_EC2_METADATA_V1_DISABLED", "ec2_metadata_v1_disabled");
        Ok(Credentials::InstanceMetadata(Metadata { endpoint, timeout, attempts, is_v1_disabled }))
    }
}

/// In clear the token of a container goes to the machine that it runs on, and nowhere else.
fn check_container_host(url: &str) -> Result<(), ConfigError> {
    const ALLOWED: [&str; 4] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23", "localhost"];
    let parts = Url::split(url);
    let host = parts.host().to_lowercase();
    let is_loopback = || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    if parts.scheme.eq_ignore_ascii_case("https") || is_loopback() || ALLOWED.contains(&host.as_str()) {
        return Ok(());
    }
    Err(ConfigError::Value(format!(
        "Unsupported host '{}'.  Can only retrieve metadata from a loopback address or one of these hosts: {}",
        if host.is_empty() { "None" } else { &host },
        ALLOWED.join(", ")
    )))
}

fn in_file(section: Option<&Section>, method: &'static str) -> Result<Option<Credentials>, ConfigError> {
    let Some(section) = section else { return Ok(None) };
    let value = |name: &str| text(section, name).map(str::to_owned);
    let Some(access_key) = value("aws_access_key_id") else { return Ok(None) };
    let Some(secret_key) = value("aws_secret_access_key") else {
        return Err(ConfigError::PartialCredentials { provider: method, cred_var: "aws_secret_access_key" });
    };
    Ok(Some(Credentials::Static(StaticCredentials {
        access_key,
        secret_key,
        token: value("aws_security_token").or_else(|| value("aws_session_token")),
        account_id: value("aws_account_id"),
        method,
    })))
}

#[cfg(test)]
mod tests;
