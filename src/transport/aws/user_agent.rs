//! The `User-Agent` header: the SDK's, with our name and the user's additions.

use aws_runtime::user_agent::{ApiMetadata, AwsUserAgent, BusinessMetric};
use aws_types::os_shim_internal::Env;
use http::HeaderValue;

use crate::config::{RetryMode, Settings, UserAgent};
use crate::protocol::error::Error;

/// The header of every request of a client.
pub(super) fn header(settings: &Settings) -> Result<HeaderValue, Error> {
    let text = complete(&settings.user_agent, &sdk(settings));
    HeaderValue::try_from(text)
        .map_err(|error| Error::Runtime(format!("the user agent does not fit into a header: {error}")))
}

/// What the SDK would say of a client with these settings.
fn sdk(settings: &Settings) -> String {
    let api = ApiMetadata::new("sqs", aws_sdk_sqs::meta::PKG_VERSION);
    let mut agent = AwsUserAgent::new_from_environment(Env::real(), api);
    agent.add_business_metric(match settings.retries.mode {
        RetryMode::Legacy => BusinessMetric::RetryModeLegacy,
        RetryMode::Standard => BusinessMetric::RetryModeStandard,
        RetryMode::Adaptive => BusinessMetric::RetryModeAdaptive,
    });
    if settings.endpoint_url.is_some() {
        agent.add_business_metric(BusinessMetric::EndpointOverride);
    }
    agent.ua_header()
}

/// What the SDK says of itself, made ours.
pub(super) fn complete(agent: &UserAgent, sdk: &str) -> String {
    let mut value = match &agent.replacement {
        Some(replacement) => replacement.clone(),
        None => format!("{sdk} md/turbosqs#{}", env!("CARGO_PKG_VERSION")),
    };
    if let (Some(id), None) = (&agent.app_id, &agent.replacement) {
        value.push_str(" app/");
        value.push_str(id);
    }
    if let Some(extra) = &agent.extra {
        value.push(' ');
        value.push_str(extra);
    }
    value
}
