//! How the services are reached that credentials come from.
//!
//! They are not SQS: what the caller of `client()` says about SQS's endpoint (`verify`, proxies, certificates,
//! timeouts) is not about them. They go by the environment, the profile and the system.

use super::endpoint::{host, sign_in_host};
use super::{Proxies, Verify};

/// A service that credentials come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AwsService {
    Sts,
    Sso,
    SsoOidc,
    SignIn,
}

impl AwsService {
    pub(crate) const ALL: [AwsService; 4] = [AwsService::Sts, AwsService::Sso, AwsService::SsoOidc, AwsService::SignIn];

    /// As in `AWS_ENDPOINT_URL_<ID>`, and in lower case in a services section.
    pub(crate) fn id(self) -> &'static str {
        match self {
            AwsService::Sts => "STS",
            AwsService::Sso => "SSO",
            AwsService::SsoOidc => "SSO_OIDC",
            AwsService::SignIn => "SIGNIN",
        }
    }
}

/// How the services that credentials come from are reached.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Services {
    /// Of the client that was made first: roles are assumed in its region.
    pub region: String,
    pub verify: Verify,
    /// The environment's.
    pub proxies: Proxies,
    /// The first attempt included.
    pub max_attempts: u32,
    pub use_fips: bool,
    pub use_dualstack: bool,
    /// `sts_regional_endpoints = legacy`: the older regions have their roles assumed at the global endpoint.
    pub is_sts_global: bool,
    /// Endpoints that the environment or the profile names.
    pub endpoints: Vec<(AwsService, String)>,
}

/// The regions that STS was asked for at its global endpoint before it had regional ones.
const STS_GLOBAL: [&str; 16] = [
    "ap-northeast-1",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "aws-global",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

impl Services {
    /// The URL of a service, without a slash at its end, and the region that its requests are signed for.
    pub(crate) fn endpoint(&self, service: AwsService, region: &str) -> (String, String) {
        if let Some((_, url)) = self.endpoints.iter().find(|(known, _)| *known == service) {
            return (url.trim_end_matches('/').to_owned(), region.to_owned());
        }
        let is_global = self.is_sts_global && STS_GLOBAL.contains(&region) && !self.use_fips && !self.use_dualstack;
        let (fips, dualstack) = (self.use_fips, self.use_dualstack);
        let host = match service {
            AwsService::Sts if is_global || region == "aws-global" => {
                return ("https://sts.amazonaws.com".to_owned(), "us-east-1".to_owned());
            }
            AwsService::Sts => host("sts", region, fips, dualstack),
            AwsService::Sso => host("portal.sso", region, fips, dualstack),
            AwsService::SsoOidc => host("oidc", region, fips, dualstack),
            AwsService::SignIn => sign_in_host(region, fips, dualstack),
        };
        (format!("https://{host}"), region.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services() -> Services {
        Services {
            region: "eu-west-1".into(),
            verify: Verify::Yes,
            proxies: Proxies::default(),
            max_attempts: 3,
            use_fips: false,
            use_dualstack: false,
            is_sts_global: false,
            endpoints: vec![],
        }
    }

    #[test]
    fn endpoints_are_those_of_the_region_unless_they_are_named() {
        let mut services = services();
        let url = |services: &Services, service| services.endpoint(service, "eu-west-1").0;
        assert_eq!(url(&services, AwsService::Sts), "https://sts.eu-west-1.amazonaws.com");
        assert_eq!(url(&services, AwsService::Sso), "https://portal.sso.eu-west-1.amazonaws.com");
        assert_eq!(url(&services, AwsService::SsoOidc), "https://oidc.eu-west-1.amazonaws.com");
        assert_eq!(url(&services, AwsService::SignIn), "https://eu-west-1.signin.aws.amazon.com");
        services.is_sts_global = true;
        let global = ("https://sts.amazonaws.com".to_owned(), "us-east-1".to_owned());
        assert_eq!(services.endpoint(AwsService::Sts, "eu-west-1"), global);
        assert_eq!(services.endpoint(AwsService::Sts, "eu-south-1").0, "https://sts.eu-south-1.amazonaws.com");
        services.endpoints = vec![(AwsService::Sts, "http://127.0.0.1:1/".into())];
        assert_eq!(services.endpoint(AwsService::Sts, "eu-west-1"), ("http://127.0.0.1:1".into(), "eu-west-1".into()));
    }
}
