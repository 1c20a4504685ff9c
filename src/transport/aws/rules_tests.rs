//! Our endpoints against the SDK's own rules.

use aws_sdk_sqs::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};

use crate::config::host;

#[tokio::test]
async fn hosts_are_those_of_the_sdk() {
    let regions = "us-east-1 eu-west-3 ap-southeast-7 mx-central-1 il-central-1 eu-west-99 mars aws-global cn-north-1 \
                   cn-northwest-1 aws-cn-global us-gov-east-1 us-gov-west-1 aws-us-gov-global us-iso-east-1 \
                   us-isob-east-1 eu-isoe-west-1 us-isof-south-1 aws-iso-f-global eusc-de-east-1 us-iso-x eusc-fr-east-1";
    for region in regions.split_whitespace() {
        for (fips, dualstack) in [(false, false), (true, false), (false, true), (true, true)] {
            let params = Params::builder().region(region).use_fips(fips).use_dual_stack(dualstack).build().unwrap();
            let endpoint = DefaultResolver::new().resolve_endpoint(&params).await.unwrap();
            let expected = format!("https://{}", host("sqs", region, fips, dualstack));
            assert_eq!(endpoint.url(), expected, "{region} fips={fips} dualstack={dualstack}");
        }
    }
}
