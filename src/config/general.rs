//! Settings that botocore looks up and checks for every client, though SQS has no use for most of them.
//!
//! Only the lookup is done here. What is allowed, and what `client.meta.config` shows, is Python's affair
//! (`turbosqs._general`), because `Config` takes values of any type for them.

use super::Sources;
use super::sources::{Section, text};

/// Names, the variable and the entry of a profile that say them. The names are those of `Config`'s options, but for
/// the three that are no options.
const GENERAL: &[(&str, &str, &str)] = &[
    ("max_attempts", "AWS_MAX_ATTEMPTS", "max_attempts"),
    ("defaults_mode", "AWS_DEFAULTS_MODE", "defaults_mode"),
    ("user_agent_appid", "AWS_SDK_UA_APP_ID", "sdk_ua_app_id"),
    (
        "request_min_compression_size_bytes",
        "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES",
        "request_min_compression_size_bytes",
    ),
    ("disable_request_compression", "AWS_DISABLE_REQUEST_COMPRESSION", "disable_request_compression"),
    ("sigv4a_signing_region_set", "AWS_SIGV4A_SIGNING_REGION_SET", "sigv4a_signing_region_set"),
    ("request_checksum_calculation", "AWS_REQUEST_CHECKSUM_CALCULATION", "request_checksum_calculation"),
    ("response_checksum_validation", "AWS_RESPONSE_CHECKSUM_VALIDATION", "response_checksum_validation"),
    ("account_id_endpoint_mode", "AWS_ACCOUNT_ID_ENDPOINT_MODE", "account_id_endpoint_mode"),
    ("disable_host_prefix_injection", "AWS_DISABLE_HOST_PREFIX_INJECTION", "disable_host_prefix_injection"),
    ("auth_scheme_preference", "AWS_AUTH_SCHEME_PREFERENCE", "auth_scheme_preference"),
    ("s3_disable_express_session_auth", "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "s3_disable_express_session_auth"),
    ("s3_us_east_1_regional_endpoint", "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT", "s3_us_east_1_regional_endpoint"),
    ("sts_regional_endpoints", "AWS_STS_REGIONAL_ENDPOINTS", "sts_regional_endpoints"),
];

/// The settings for which environment or profile have a value, as it is written there.
pub(super) fn general(sources: &dyn Sources, profile: &Section) -> Vec<(&'static str, String)> {
    let found =
        |variable: &str, entry: &str| sources.variable(variable).or_else(|| text(profile, entry).map(str::to_owned));
    GENERAL.iter().filter_map(|(name, variable, entry)| Some((*name, found(variable, entry)?))).collect()
}
