//! What can be wrong with a configuration, named and worded as botocore does.

use std::fmt;

use super::url::masked;

/// A value that an exception is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KwargValue {
    Text(String),
    Integer(i64),
    Tuple(&'static [&'static str]),
    List(Vec<String>),
}

impl fmt::Display for KwargValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KwargValue::Text(text) => f.write_str(text),
            KwargValue::Integer(number) => number.fmt(f),
            KwargValue::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}'{item}'", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            KwargValue::Tuple(items) => {
                f.write_str("(")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}'{item}'", if index == 0 { "" } else { ", " })?;
                }
                f.write_str(if items.len() == 1 { ",)" } else { ")" })
            }
        }
    }
}

/// Why no client can be made of its settings. Raised as `botocore.exceptions.<class>(**kwargs)`, or for [`ConfigError::Value`]
/// as a plain `ValueError(text)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConfigError {
    NoRegion,
    InvalidRegion {
        region_name: String,
    },
    ProfileNotFound {
        profile: String,
    },
    ConfigParse {
        path: String,
        error: String,
    },
    ConfigNotFound {
        path: String,
    },
    PartialCredentials {
        provider: &'static str,
        cred_var: &'static str,
    },
    InvalidRetryMode {
        mode: String,
    },
    InvalidMaxRetryAttempts {
        value: i64,
        min_value: i64,
    },
    InvalidDefaultsMode {
        mode: String,
    },
    InvalidConfig {
        error_msg: String,
    },
    /// Roles that are each other's source.
    InfiniteLoop {
        source_profile: String,
        visited_profiles: Vec<String>,
    },
    /// A source that a profile names has nothing.
    CredentialRetrieval {
        provider: String,
        error_msg: String,
    },
    InvalidImdsEndpoint {
        endpoint: String,
    },
    InvalidImdsMode {
        mode: String,
    },
    UnknownSignatureVersion {
        signature_version: String,
    },
    /// An `api_version` that there is no model for.
    DataNotFound {
        data_path: String,
    },
    Value(String),
}

pub(super) const RETRY_MODES: &[&str] = &["legacy", "standard", "adaptive"];
pub(super) const IMDS_MODES: &[&str] = &["ipv4", "ipv6"];
pub(super) const DEFAULTS_MODES: &str = "legacy, auto, standard, in-region, cross-region, mobile";

impl ConfigError {
    /// The name of the class in `botocore.exceptions`, or `ValueError`.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            ConfigError::NoRegion => "NoRegionError",
            ConfigError::InvalidRegion { .. } => "InvalidRegionError",
            ConfigError::ProfileNotFound { .. } => "ProfileNotFound",
            ConfigError::ConfigParse { .. } => "ConfigParseError",
            ConfigError::ConfigNotFound { .. } => "ConfigNotFound",
            ConfigError::PartialCredentials { .. } => "PartialCredentialsError",
            ConfigError::InvalidRetryMode { .. } => "InvalidRetryModeError",
            ConfigError::InvalidMaxRetryAttempts { .. } => "InvalidMaxRetryAttemptsError",
            ConfigError::InvalidDefaultsMode { .. } => "InvalidDefaultsMode",
            ConfigError::InvalidConfig { .. } => "InvalidConfigError",
            ConfigError::InfiniteLoop { .. } => "InfiniteLoopConfigError",
            ConfigError::CredentialRetrieval { .. } => "CredentialRetrievalError",
            ConfigError::InvalidImdsEndpoint { .. } => "InvalidIMDSEndpointError",
            ConfigError::InvalidImdsMode { .. } => "InvalidIMDSEndpointModeError",
            ConfigError::UnknownSignatureVersion { .. } => "UnknownSignatureVersionError",
            ConfigError::DataNotFound { .. } => "DataNotFoundError",
            ConfigError::Value(_) => "ValueError",
        }
    }

    /// The keyword arguments of the class; none for `ValueError`, whose one argument is the text.
    pub(crate) fn kwargs(&self) -> Vec<(&'static str, KwargValue)> {
        let text = |text: &str| KwargValue::Text(text.to_owned());
        match self {
            ConfigError::NoRegion | ConfigError::Value(_) => vec![],
            ConfigError::InvalidRegion { region_name } => vec![("region_name", text(region_name))],
            ConfigError::ProfileNotFound { profile } => vec![("profile", text(profile))],
            ConfigError::ConfigParse { path, error } => vec![("path", text(path)), ("error", text(error))],
            ConfigError::ConfigNotFound { path } => vec![("path", text(path))],
            ConfigError::PartialCredentials { provider, cred_var } => {
                vec![("provider", text(provider)), ("cred_var", text(cred_var))]
            }
            ConfigError::InvalidRetryMode { mode } => {
                vec![("provided_retry_mode", text(mode)), ("valid_modes", KwargValue::Tuple(RETRY_MODES))]
            }
            ConfigError::InvalidMaxRetryAttempts { value, min_value } => {
                vec![
                    ("provided_max_attempts", KwargValue::Integer(*value)),
                    ("min_value", KwargValue::Integer(*min_value)),
                ]
            }
            ConfigError::InvalidDefaultsMode { mode } => {
                vec![("mode", text(mode)), ("valid_modes", text(DEFAULTS_MODES))]
            }
            ConfigError::InvalidConfig { error_msg } => vec![("error_msg", text(error_msg))],
            ConfigError::InfiniteLoop { source_profile, visited_profiles } => vec![
                ("source_profile", text(source_profile)),
                ("visited_profiles", KwargValue::List(visited_profiles.clone())),
            ],
            ConfigError::CredentialRetrieval { provider, error_msg } => {
                vec![("provider", text(provider)), ("error_msg", text(error_msg))]
            }
            ConfigError::InvalidImdsEndpoint { endpoint } => vec![("endpoint", text(&masked(endpoint)))],
            ConfigError::InvalidImdsMode { mode } => {
                vec![("mode", text(mode)), ("valid_modes", KwargValue::Tuple(IMDS_MODES))]
            }
            ConfigError::UnknownSignatureVersion { signature_version } => {
                vec![("signature_version", text(signature_version))]
            }
            ConfigError::DataNotFound { data_path } => vec![("data_path", text(data_path))],
        }
    }
}

/// botocore's own texts.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::NoRegion => f.write_str("You must specify a region."),
            ConfigError::InvalidRegion { region_name } => {
                write!(f, "Provided region_name '{region_name}' doesn't match a supported format.")
            }
            ConfigError::ProfileNotFound { profile } => {
                write!(f, "The config profile ({profile}) could not be found")
            }
            ConfigError::ConfigParse { path, .. } => write!(f, "Unable to parse config file: {path}"),
            ConfigError::ConfigNotFound { path } => write!(f, "The specified config file ({path}) could not be found."),
            ConfigError::PartialCredentials { provider, cred_var } => {
                write!(f, "Partial credentials found in {provider}, missing: {cred_var}")
            }
            ConfigError::InvalidRetryMode { mode } => write!(
                f,
                "Invalid value provided to \"mode\": \"{mode}\" must be one of: {}",
                KwargValue::Tuple(RETRY_MODES)
            ),
            ConfigError::InvalidMaxRetryAttempts { value, min_value } => write!(
                f,
                "Value provided to \"max_attempts\": {value} must be an integer greater than or equal to {min_value}."
            ),
            ConfigError::InvalidDefaultsMode { mode } => write!(
                f,
                "Client configured with invalid defaults mode: {mode}. Valid defaults modes include: {DEFAULTS_MODES}."
            ),
            ConfigError::InvalidConfig { error_msg } => f.write_str(error_msg),
            ConfigError::InfiniteLoop { source_profile, visited_profiles } => write!(
                f,
                "Infinite loop in credential configuration detected. Attempting to load from profile {source_profile} \
                 which has already been visited. Visited profiles: {}",
                KwargValue::List(visited_profiles.clone())
            ),
            ConfigError::CredentialRetrieval { provider, error_msg } => {
                write!(f, "Error when retrieving credentials from {provider}: {error_msg}")
            }
            ConfigError::InvalidImdsEndpoint { endpoint } => {
                write!(f, "Invalid endpoint EC2 Instance Metadata endpoint: {}", masked(endpoint))
            }
            ConfigError::InvalidImdsMode { mode } => {
                write!(
                    f,
                    "Invalid EC2 Instance Metadata endpoint mode: {mode} Valid endpoint modes (case-insensitive): {}.",
                    KwargValue::Tuple(IMDS_MODES)
                )
            }
            ConfigError::UnknownSignatureVersion { signature_version } => {
                write!(f, "Unknown Signature Version: {signature_version}.")
            }
            ConfigError::DataNotFound { data_path } => write!(f, "Unable to load data for: {data_path}"),
            ConfigError::Value(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for ConfigError {}
