//! The endpoint of a service in a region, by the rules that AWS publishes.

/// A partition of AWS: how its regions are named, and its endpoints.
struct Partition {
    id: &'static str,
    /// What a region's name starts with, before `<direction>-<number>`.
    prefixes: &'static [&'static str],
    dns_suffix: &'static str,
    dualstack_dns_suffix: &'static str,
}

/// Regions that no pattern knows belong here too, so its own patterns need not be listed.
const AWS: Partition = partition("aws", &[], "amazonaws.com", "api.aws");

const OTHERS: [Partition; 7] = [
    partition("aws-cn", &["cn-"], "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    partition("aws-eusc", &["eusc-de-"], "amazonaws.eu", "api.amazonwebservices.eu"),
    partition("aws-iso", &["us-iso-"], "c2s.ic.gov", "api.aws.ic.gov"),
    partition("aws-iso-b", &["us-isob-"], "sc2s.sgov.gov", "api.aws.scloud"),
    partition("aws-iso-e", &["eu-isoe-"], "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    partition("aws-iso-f", &["us-isof-"], "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    partition("aws-us-gov", &["us-gov-"], "amazonaws.com", "api.aws"),
];

const fn partition(
    id: &'static str,
    prefixes: &'static [&'static str],
    dns_suffix: &'static str,
    dualstack_dns_suffix: &'static str,
) -> Partition {
    Partition { id, prefixes, dns_suffix, dualstack_dns_suffix }
}

impl Partition {
    fn has(&self, region: &str) -> bool {
        let global = || region.strip_suffix("-global") == Some(self.id);
        global() || self.prefixes.iter().any(|prefix| region.strip_prefix(prefix).is_some_and(is_place))
    }
}

/// `<word>-<number>`
fn is_place(text: &str) -> bool {
    let word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    text.split_once('-').is_some_and(|(left, right)| word(left) && number(right))
}

fn partition_of(region: &str) -> &'static Partition {
    OTHERS.iter().find(|partition| partition.has(region)).unwrap_or(&AWS)
}

/// `aws`, `aws-cn`, ...
pub(super) fn partition_id(region: &str) -> &'static str {
    partition_of(region).id
}

/// The host of a service in a region; `prefix` is `sqs`, `portal.sso` and so on.
pub(crate) fn host(prefix: &str, region: &str, fips: bool, dualstack: bool) -> String {
    let partition = partition_of(region);
    let suffix = if dualstack { partition.dualstack_dns_suffix } else { partition.dns_suffix };
    // The plain endpoints of GovCloud are FIPS endpoints.
    let fips = fips && (dualstack || partition.id != "aws-us-gov");
    format!("{prefix}{}.{region}.{suffix}", if fips { "-fips" } else { "" })
}

/// The host that signs users of the console in, which has names of its own.
pub(super) fn sign_in_host(region: &str, fips: bool, dualstack: bool) -> String {
    let suffix = match partition_of(region).id {
        _ if fips || dualstack => return host("signin", region, fips, dualstack),
        "aws" => "aws.amazon.com",
        "aws-cn" => "amazonaws.cn",
        "aws-us-gov" => "amazonaws-us-gov.com",
        _ => return host("signin", region, false, false),
    };
    format!("{region}.signin.{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_in_its_partition() {
        for (region, id) in [
            ("us-east-1", "aws"),
            ("ap-southeast-12", "aws"),
            ("mars", "aws"),
            ("aws-global", "aws"),
            ("cn-north-1", "aws-cn"),
            ("aws-cn-global", "aws-cn"),
            ("cn-north", "aws"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-south-1", "aws-iso-f"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            assert_eq!(partition_id(region), id, "{region}");
        }
    }

    #[test]
    fn variants_shape_the_host() {
        assert_eq!(host("sqs", "us-east-1", false, false), "sqs.us-east-1.amazonaws.com");
        assert_eq!(host("sqs", "us-east-1", true, false), "sqs-fips.us-east-1.amazonaws.com");
        assert_eq!(host("sqs", "cn-north-1", false, true), "sqs.cn-north-1.api.amazonwebservices.com.cn");
        assert_eq!(host("sqs", "us-gov-west-1", true, false), "sqs.us-gov-west-1.amazonaws.com");
        assert_eq!(host("portal.sso", "eu-west-1", true, false), "portal.sso-fips.eu-west-1.amazonaws.com");
        assert_eq!(sign_in_host("eu-west-1", false, false), "eu-west-1.signin.aws.amazon.com");
        assert_eq!(sign_in_host("cn-north-1", false, false), "cn-north-1.signin.amazonaws.cn");
        assert_eq!(sign_in_host("us-east-1", true, false), "signin-fips.us-east-1.amazonaws.com");
        assert_eq!(host("sqs", "us-gov-west-1", true, true), "sqs-fips.us-gov-west-1.api.aws");
    }
}
