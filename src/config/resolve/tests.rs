use super::*;
use crate::config::fake::Fake;
use crate::config::{Credentials, RetryOptions};

fn with(change: impl FnOnce(&mut Arguments)) -> Arguments {
    let mut arguments = Arguments {
        region_name: Some("us-east-1".into()),
        aws_access_key_id: Some("k".into()),
        aws_secret_access_key: Some("s".into()),
        ..Default::default()
    };
    change(&mut arguments);
    arguments
}

fn plain() -> Arguments {
    with(|_| {})
}

fn nowhere() -> Fake {
    Fake::environment(&[])
}

fn ok(arguments: &Arguments, world: &Fake) -> Settings {
    resolve(arguments, world).unwrap()
}

/// The class and the text of what is raised.
fn error(arguments: &Arguments, world: &Fake) -> (String, String) {
    let error = resolve(arguments, world).unwrap_err();
    (error.class().to_owned(), error.to_string())
}

fn pair(class: &str, text: &str) -> (String, String) {
    (class.to_owned(), text.to_owned())
}

#[test]
fn defaults_are_botocores() {
    let settings = ok(&plain(), &nowhere());
    assert_eq!(settings.endpoint, "https://sqs.us-east-1.amazonaws.com");
    assert_eq!((settings.region.as_str(), settings.partition), ("us-east-1", "aws"));
    assert_eq!(settings.endpoint_url, None);
    assert_eq!(settings.retries, Retries { mode: RetryMode::Standard, total_max_attempts: 3 });
    assert_eq!(settings.connect_timeout, Some(Duration::from_secs(60)));
    assert_eq!(settings.read_timeout, Some(Duration::from_secs(60)));
    assert_eq!(settings.tls, Tls { verify: Verify::Yes, client_cert: None });
    assert_eq!(settings.max_pool_connections, 10);
    assert!(settings.parameter_validation && !settings.tcp_keepalive);
    assert_eq!(settings.user_agent, UserAgent::default());
}

#[test]
fn the_region_is_looked_for_in_order() {
    let profile = "[default]\nregion = profile\n";
    let mut arguments = with(|arguments| arguments.config.region_name = Some("config".into()));
    let all = [("AWS_DEFAULT_REGION", "default"), ("AWS_REGION", "aws")];
    let region = |arguments: &Arguments, variables: &[(&str, &str)], files: &str| {
        ok(arguments, &Fake::environment(variables).with_files(files, "")).region
    };
    assert_eq!(region(&arguments, &all, profile), "us-east-1");
    arguments.region_name = None;
    assert_eq!(region(&arguments, &all, profile), "config");
    arguments.config.region_name = None;
    assert_eq!(region(&arguments, &all, profile), "default");
    assert_eq!(region(&arguments, &all[1..], profile), "profile");
    assert_eq!(region(&arguments, &all[1..], ""), "aws");
    assert_eq!(error(&arguments, &nowhere()), pair("NoRegionError", "You must specify a region."));
    // An endpoint does not stand in for a region: requests are signed for one.
    arguments.endpoint_url = Some("http://localhost:9324".into());
    assert_eq!(error(&arguments, &nowhere()).0, "NoRegionError");
}

#[test]
fn a_region_has_a_shape() {
    for name in ["us_east_1", "-a", "a-", "123", "a b", &"a".repeat(64)] {
        let text = format!("Provided region_name '{name}' doesn't match a supported format.");
        let arguments = with(|arguments| arguments.region_name = Some(name.to_owned()));
        assert_eq!(error(&arguments, &nowhere()), pair("InvalidRegionError", &text));
    }
    let arguments = with(|arguments| arguments.region_name = Some(String::new()));
    assert_eq!(error(&arguments, &nowhere()), pair("ValueError", "Invalid endpoint: https://sqs..amazonaws.com"));
}

#[test]
fn a_fips_region_is_a_region_with_fips() {
    for name in ["fips-us-east-1", "us-east-1-fips"] {
        let settings = ok(&with(|arguments| arguments.region_name = Some(name.into())), &nowhere());
        assert_eq!((settings.region.as_str(), settings.use_fips), ("us-east-1", true));
        assert_eq!(settings.endpoint, "https://sqs-fips.us-east-1.amazonaws.com");
    }
}

#[test]
fn variants_come_from_options_environment_and_profile() {
    let fips = |option, variables: &[(&str, &str)], file: &str| {
        let arguments = with(|arguments| arguments.config.use_fips_endpoint = option);
        ok(&arguments, &Fake::environment(variables).with_files(file, "")).use_fips
    };
    let (variable, file) = (("AWS_USE_FIPS_ENDPOINT", "TRUE"), "[default]\nuse_fips_endpoint = true\n");
    assert!(fips(None, &[variable], "") && fips(None, &[], file) && fips(Some(true), &[], ""));
    assert!(!fips(Some(false), &[variable], file));
    assert!(!fips(None, &[("AWS_USE_FIPS_ENDPOINT", "1")], file));
    let world = Fake::environment(&[("AWS_USE_DUALSTACK_ENDPOINT", "true")]);
    assert_eq!(ok(&plain(), &world).endpoint, "https://sqs.us-east-1.api.aws");
    // An endpoint of one's own has no variants.
    let arguments = with(|arguments| arguments.endpoint_url = Some("http://h".into()));
    assert_eq!(ok(&arguments, &world).endpoint, "http://h");
}

#[test]
fn the_endpoint_is_looked_for_in_order() {
    let all = [("AWS_ENDPOINT_URL_SQS", "http://sqs"), ("AWS_ENDPOINT_URL", "http://all")];
    let file = "[default]\nservices = s\nendpoint_url = http://profile\n[services s]\nsqs =\n  endpoint_url = http://service\n";
    let endpoint = |arguments: &Arguments, variables: &[(&str, &str)], file: &str| {
        ok(arguments, &Fake::environment(variables).with_files(file, "")).endpoint
    };
    let given = with(|arguments| arguments.endpoint_url = Some("http://given".into()));
    assert_eq!(endpoint(&given, &all, file), "http://given");
    assert_eq!(endpoint(&plain(), &all, file), "http://sqs");
    assert_eq!(endpoint(&plain(), &[("AWS_ENDPOINT_URL_SQS", ""), all[1]], file), "http://all");
    assert_eq!(endpoint(&plain(), &[], file), "http://service");
    assert_eq!(endpoint(&plain(), &[], &file.replace("sqs =", "sns =")), "http://profile");
    let default = "https://sqs.us-east-1.amazonaws.com";
    for (option, variable, line, expected) in [
        (Some(true), "", "", default),
        (None, "true", "", default),
        (None, "", "ignore_configured_endpoint_urls = true\n", default),
        (Some(false), "true", "", "http://sqs"),
    ] {
        let variables =
            [&all[..], &[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", variable)][usize::from(variable.is_empty())..]];
        let arguments = with(|arguments| arguments.config.ignore_configured_endpoint_urls = option);
        let file = file.replace("services = s\n", &format!("services = s\n{line}"));
        assert_eq!(endpoint(&arguments, &variables.concat(), &file), expected, "{option:?} {variable} {line}");
    }
}

#[test]
fn a_bad_endpoint_is_refused() {
    let world = nowhere().with_files("[default]\nservices = s\n", "");
    let text =
        "The profile is configured to use the services section but the \"s\" services configuration does not exist.";
    assert_eq!(error(&plain(), &world), pair("InvalidConfigError", text));
    for url in ["", "localhost:9324", "http://ho st"] {
        let arguments = with(|arguments| arguments.endpoint_url = Some(url.into()));
        assert_eq!(error(&arguments, &nowhere()), pair("ValueError", &format!("Invalid endpoint: {url}")));
    }
    let plaintext = with(|arguments| arguments.use_ssl = Some(false));
    assert_eq!(ok(&plaintext, &nowhere()).endpoint, "http://sqs.us-east-1.amazonaws.com");
}

#[test]
fn retries_count_differently_by_name() {
    let retries = |given: RetryOptions, variables: &[(&str, &str)], file: &str| {
        let arguments = with(|arguments| arguments.config.retries = given);
        let settings = ok(&arguments, &Fake::environment(variables).with_files(file, ""));
        (settings.retries.mode.name(), settings.retries.total_max_attempts)
    };
    let file = "[default]\nmax_attempts = 6\nretry_mode = legacy\n";
    let variables = [("AWS_MAX_ATTEMPTS", " 5 "), ("AWS_RETRY_MODE", "adaptive")];
    let none = RetryOptions::default;
    assert_eq!(retries(none(), &[], ""), ("standard", 3));
    assert_eq!(retries(none(), &[], file), ("legacy", 6));
    assert_eq!(retries(none(), &variables, file), ("adaptive", 5));
    assert_eq!(retries(none(), &[("AWS_RETRY_MODE", "legacy")], ""), ("legacy", 5));
    let given = RetryOptions { max_attempts: Some(1), mode: Some("standard".into()), ..none() };
    assert_eq!(retries(given.clone(), &variables, file), ("standard", 2));
    assert_eq!(retries(RetryOptions { total_max_attempts: Some(7), ..given }, &[], ""), ("standard", 7));
    assert_eq!(retries(RetryOptions { max_attempts: Some(0), ..none() }, &[], ""), ("standard", 1));
}

#[test]
fn bad_retries_are_refused() {
    for (name, value, class, text) in [
        ("AWS_MAX_ATTEMPTS", "x", "ValueError", "invalid literal for int() with base 10: 'x'"),
        (
            "AWS_MAX_ATTEMPTS",
            "0",
            "InvalidMaxRetryAttemptsError",
            "Value provided to \"max_attempts\": 0 must be an integer greater than or equal to 1.",
        ),
        (
            "AWS_RETRY_MODE",
            "Standard",
            "InvalidRetryModeError",
            "Invalid value provided to \"mode\": \"Standard\" must be one of: ('legacy', 'standard', 'adaptive')",
        ),
    ] {
        assert_eq!(error(&plain(), &Fake::environment(&[(name, value)])), pair(class, text));
    }
    let arguments = with(|arguments| arguments.config.retries.max_attempts = Some(-1));
    assert_eq!(error(&arguments, &nowhere()).0, "InvalidMaxRetryAttemptsError");
}

#[test]
fn timeouts_may_be_endless() {
    let arguments = with(|arguments| {
        arguments.config.connect_timeout = Some(Timeout::Seconds(0.25));
        arguments.config.read_timeout = Some(Timeout::Never);
    });
    let settings = ok(&arguments, &nowhere());
    assert_eq!(settings.connect_timeout, Some(Duration::from_millis(250)));
    assert_eq!(settings.read_timeout, None);
    let endless = with(|arguments| arguments.config.connect_timeout = Some(Timeout::Seconds(f64::INFINITY)));
    assert_eq!(ok(&endless, &nowhere()).connect_timeout, None);
}

#[test]
fn defaults_modes_shorten_the_connect_timeout() {
    let milliseconds = |variables: &[(&str, &str)]| {
        ok(&plain(), &Fake::environment(variables)).connect_timeout.map(|timeout| timeout.as_millis())
    };
    let mode = |name: &'static str| ("AWS_DEFAULTS_MODE", name);
    assert_eq!(milliseconds(&[mode("legacy")]), Some(60_000));
    assert_eq!(milliseconds(&[mode("Standard")]), Some(3_100));
    assert_eq!(milliseconds(&[mode("in-region")]), Some(1_100));
    assert_eq!(milliseconds(&[mode("mobile")]), Some(30_000));
    assert_eq!(milliseconds(&[mode("auto")]), Some(3_100));
    let lambda = ("AWS_EXECUTION_ENV", "AWS_Lambda_python3.13");
    assert_eq!(milliseconds(&[mode("auto"), lambda, ("AWS_REGION", "us-east-1")]), Some(1_100));
    assert_eq!(milliseconds(&[mode("auto"), lambda, ("AWS_REGION", "eu-west-1")]), Some(3_100));
    let text = "Client configured with invalid defaults mode: odd. Valid defaults modes include: legacy, auto, standard, \
                in-region, cross-region, mobile.";
    assert_eq!(error(&plain(), &Fake::environment(&[mode("odd")])), pair("InvalidDefaultsMode", text));
    let mut arguments = with(|arguments| arguments.config.defaults_mode = Some("mobile".into()));
    assert_eq!(ok(&arguments, &nowhere()).connect_timeout, Some(Duration::from_secs(30)));
    arguments.config.connect_timeout = Some(Timeout::Seconds(2.0));
    assert_eq!(ok(&arguments, &nowhere()).connect_timeout, Some(Duration::from_secs(2)));
}

#[test]
fn authorities_come_from_four_places() {
    let all = [("AWS_CA_BUNDLE", "aws"), ("REQUESTS_CA_BUNDLE", "requests"), ("CURL_CA_BUNDLE", "curl")];
    let verify = |given: Option<Verify>, variables: &[(&str, &str)], file: &str| {
        let arguments = with(|arguments| arguments.verify = given);
        ok(&arguments, &Fake::environment(variables).with_files(file, "")).tls.verify
    };
    let bundle = |path: &str| Verify::Bundle(path.to_owned());
    let file = "[default]\nca_bundle = profile\n";
    assert_eq!(verify(Some(Verify::No), &all, file), Verify::No);
    assert_eq!(verify(Some(Verify::Yes), &all, file), Verify::Yes);
    assert_eq!(verify(None, &all, file), bundle("aws"));
    assert_eq!(verify(None, &all[1..], file), bundle("profile"));
    assert_eq!(verify(None, &all[1..], ""), bundle("requests"));
    assert_eq!(verify(None, &all[2..], ""), Verify::Yes);
    // What is said of SQS is not said of the services that credentials come from.
    for given in [Verify::No, bundle("given")] {
        let arguments = with(|arguments| arguments.verify = Some(given.clone()));
        assert_eq!(ok(&arguments, &Fake::environment(&all)).services.verify, bundle("aws"));
        assert_eq!(ok(&arguments, &Fake::environment(&[])).services.verify, Verify::Yes);
    }
    for variable in ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"] {
        assert_eq!(error(&plain(), &Fake::environment(&[(variable, " ")])).0, "InvalidConfigError");
    }
}

#[test]
fn a_profile_that_was_asked_for_must_exist() {
    let files =
        |variables: &[(&str, &str)]| Fake::environment(variables).with_files("[profile a]\nregion = b\n", "[c]\n");
    let named = |name: &str| with(|arguments| arguments.profile_name = Some(name.into()));
    let text = "The config profile (nope) could not be found";
    assert_eq!(error(&named("nope"), &files(&[])), pair("ProfileNotFound", text));
    assert_eq!(error(&plain(), &files(&[("AWS_PROFILE", "nope")])), pair("ProfileNotFound", text));
    let both = [("AWS_PROFILE", "nope"), ("AWS_DEFAULT_PROFILE", "a")];
    assert!(resolve(&plain(), &files(&both)).is_ok());
    assert!(resolve(&named("c"), &files(&both[..1])).is_ok());
    assert_eq!(error(&named("default"), &files(&[])).0, "ProfileNotFound");
    let mut arguments = named("a");
    arguments.region_name = None;
    assert_eq!(ok(&arguments, &files(&[])).region, "b");
}

#[test]
fn an_unreadable_file_is_told_before_anything_else() {
    let broken = nowhere().with_files("region = a\n", "");
    let arguments = with(|arguments| arguments.region_name = None);
    assert_eq!(error(&arguments, &broken), pair("ConfigParseError", "Unable to parse config file: config"));
}

#[test]
fn half_a_credential_is_told_before_a_missing_region() {
    let mut arguments = with(|arguments| arguments.region_name = None);
    arguments.aws_secret_access_key = None;
    let text = "Partial credentials found in explicit, missing: aws_secret_access_key";
    assert_eq!(error(&arguments, &nowhere()), pair("PartialCredentialsError", text));
}

#[test]
fn versions_are_checked() {
    let api = |version: &str| with(|arguments| arguments.api_version = Some(version.into()));
    assert!(resolve(&api("2012-11-05"), &nowhere()).is_ok());
    let text = "Unable to load data for: sqs/2012-11-06/service-2";
    assert_eq!(error(&api("2012-11-06"), &nowhere()), pair("DataNotFoundError", text));
    let signed = |version| with(|arguments| arguments.config.signature_version = Some(version));
    assert!(resolve(&signed(SignatureVersion::Named("s3v4".into())), &nowhere()).is_ok());
    let unsigned = ok(&signed(SignatureVersion::Unsigned), &nowhere());
    assert_eq!(unsigned.credentials, Credentials::Anonymous);
    let text = "Unknown Signature Version: v2.";
    let version = SignatureVersion::Named("v2".into());
    assert_eq!(error(&signed(version), &nowhere()), pair("UnknownSignatureVersionError", text));
}

#[test]
fn the_rest_is_passed_on() {
    let arguments = with(|arguments| {
        arguments.config.user_agent_extra = Some("extra".into());
        arguments.config.max_pool_connections = Some(0);
        arguments.config.parameter_validation = Some(false);
    });
    let world = Fake::environment(&[("AWS_SDK_UA_APP_ID", "my app/1"), ("BOTOCORE_TCP_KEEPALIVE", "true")]);
    let settings = ok(&arguments, &world);
    assert_eq!(settings.user_agent.extra.as_deref(), Some("extra"));
    assert_eq!(settings.user_agent.app_id.as_deref(), Some("my-app-1"));
    assert_eq!(settings.max_pool_connections, usize::MAX);
    assert!(settings.tcp_keepalive && !settings.parameter_validation);
    let world = nowhere().with_files("[default]\nparameter_validation = no\n", "");
    assert!(!ok(&plain(), &world).parameter_validation);
}

#[test]
fn proxies_that_were_given_replace_those_of_the_environment() {
    let world = Fake::environment(&[("https_proxy", "env:1"), ("no_proxy", "h")]);
    let url = |proxies: &Proxies| proxies.select("https", "i").map(|proxy| proxy.url);
    let settings = ok(&plain(), &world);
    assert_eq!(url(&settings.proxies), Some("http://env:1".into()));
    let settings = ok(&with(|arguments| arguments.config.proxies = Some(vec![])), &world);
    assert_eq!(url(&settings.proxies), None);
    assert_eq!(url(&settings.services.proxies), Some("http://env:1".into()));
}

#[test]
fn secrets_are_not_printed() {
    let arguments = with(|arguments| arguments.aws_secret_access_key = Some("hush".into()));
    assert!(!format!("{:?}", ok(&arguments, &nowhere())).contains("hush"));
}

#[test]
fn integers_are_pythons() {
    for (text, expected) in [
        ("7", 7),
        (" +7\n", 7),
        ("1_0", 10),
        ("-3", -3),
        ("9223372036854775808", i64::MAX),
        ("-99999999999999999999", i64::MIN),
    ] {
        assert_eq!(integer(text), Ok(expected), "{text}");
    }
    for text in ["", "x", "1__0", "_1", "1_", "+", "--1", "1.0", "0x1"] {
        let message = format!("invalid literal for int() with base 10: '{text}'");
        assert_eq!(integer(text), Err(ConfigError::Value(message)));
    }
}

#[test]
fn settings_of_other_services_are_found_as_they_are_written() {
    let world = Fake::environment(&[("AWS_ACCOUNT_ID_ENDPOINT_MODE", "Nonsense")])
        .with_files("[default]\naccount_id_endpoint_mode = preferred\nsts_regional_endpoints = legacy\n", "");
    let found = ok(&plain(), &world).general;
    assert_eq!(
        found,
        [("account_id_endpoint_mode", "Nonsense".to_owned()), ("sts_regional_endpoints", "legacy".to_owned())]
    );
    assert_eq!(ok(&plain(), &nowhere()).general, []);
}
