use super::*;
use crate::config::fake::Fake;

fn chosen(arguments: &Arguments, fake: &Fake) -> Result<Credentials, ConfigError> {
    let profile = arguments.profile_name.as_deref().unwrap_or("default");
    choose(arguments, fake, fake.files().unwrap(), profile)
}

fn keys(access_key: &str, method: &'static str) -> Result<Credentials, ConfigError> {
    let (secret_key, token, account_id) = ("s".into(), None, None);
    Ok(Credentials::Static(StaticCredentials { access_key: access_key.into(), secret_key, token, account_id, method }))
}

fn partial(provider: &'static str, cred_var: &'static str) -> Result<Credentials, ConfigError> {
    Err(ConfigError::PartialCredentials { provider, cred_var })
}

fn metadata(endpoint: Option<&str>, seconds: u64, attempts: u32) -> Result<Credentials, ConfigError> {
    let (endpoint, timeout) = (endpoint.unwrap_or("http://169.254.169.254/").to_owned(), Duration::from_secs(seconds));
    Ok(Credentials::InstanceMetadata(Metadata { endpoint, timeout, attempts, is_v1_disabled: false }))
}

fn invalid(error_msg: &str) -> Result<Credentials, ConfigError> {
    Err(ConfigError::InvalidConfig { error_msg: error_msg.to_owned() })
}

/// A role with this name and this source, and nothing else.
fn role(arn: &str, source: Result<Credentials, ConfigError>) -> Result<Credentials, ConfigError> {
    Ok(Credentials::Role(Box::new(Role {
        arn: arn.into(),
        session_name: None,
        external_id: None,
        duration: None,
        code: None,
        source: source?,
        named: None,
    })))
}

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "env"), ("AWS_SECRET_ACCESS_KEY", "s")];

#[test]
fn arguments_come_first() {
    let mut arguments = Arguments {
        aws_access_key_id: Some("arg".into()),
        aws_secret_access_key: Some("s".into()),
        ..Default::default()
    };
    let world = Fake::environment(&KEYS);
    assert_eq!(chosen(&arguments, &world), keys("arg", "explicit"));
    arguments.aws_secret_access_key = None;
    assert_eq!(chosen(&arguments, &world), partial("explicit", "aws_secret_access_key"));
    (arguments.aws_access_key_id, arguments.aws_secret_access_key) = (None, Some("s".into()));
    assert_eq!(chosen(&arguments, &world), partial("explicit", "aws_access_key_id"));
    arguments.config.signature_version = Some(SignatureVersion::Unsigned);
    assert_eq!(chosen(&arguments, &world), Ok(Credentials::Anonymous));
}

#[test]
fn the_environment_comes_second_unless_a_profile_was_asked_for() {
    let world = || Fake::environment(&KEYS).with_files("", "[p]\naws_access_key_id=file\naws_secret_access_key=s\n");
    assert_eq!(chosen(&Arguments::default(), &world()), keys("env", "env"));
    let named = Arguments { profile_name: Some("p".into()), ..Default::default() };
    assert_eq!(chosen(&named, &world()), keys("file", "shared-credentials-file"));
    let half = Fake::environment(&KEYS[..1]);
    assert_eq!(chosen(&Arguments::default(), &half), partial("env", "AWS_SECRET_ACCESS_KEY"));
    // The secret alone is nobody's half.
    let world = Fake::environment(&[KEYS[1], ("AWS_EC2_METADATA_DISABLED", "True")]);
    assert_eq!(chosen(&Arguments::default(), &world), Ok(Credentials::Missing));
}

#[test]
fn tokens_have_two_names() {
    let token =
        |extra: &[(&str, &str)]| match chosen(&Arguments::default(), &Fake::environment(&[&KEYS, extra].concat())) {
            Ok(Credentials::Static(found)) => (found.token, found.account_id),
            other => panic!("{other:?}"),
        };
    assert_eq!(token(&[("AWS_SESSION_TOKEN", "a"), ("AWS_ACCOUNT_ID", "1")]), (Some("a".into()), Some("1".into())));
    assert_eq!(token(&[("AWS_SESSION_TOKEN", "a"), ("AWS_SECURITY_TOKEN", "b")]).0, Some("b".into()));
}

#[test]
fn files_are_asked_in_botocores_order() {
    let pair = "aws_access_key_id = k\naws_secret_access_key = s\n";
    let sso = || {
        let [start_url, region, account_id, role_name] = ["u", "e", "a", "r"].map(String::from);
        Ok(Credentials::Sso(Sso {
            start_url,
            region,
            account_id,
            role_name,
            session: None,
            cache: "~/.aws/sso/cache".into(),
        }))
    };
    let login = || Ok(Credentials::Login(Login { session: "l".into(), cache: "~/.aws/login/cache".into() }));
    let process = || Ok(Credentials::Process(Process { command: "c".into(), account_id: None }));
    for (config, credentials, expected) in [
        ("role_arn = r\nsource_profile = default\n", pair, role("r", keys("k", "shared-credentials-file"))),
        ("sso_role_name = r\nsso_account_id = a\nsso_region = e\nsso_start_url = u\n", pair, sso()),
        ("credential_process = c\n", pair, keys("k", "shared-credentials-file")),
        ("login_session = l\ncredential_process = c\n", "", login()),
        (&format!("credential_process = c\n{pair}"), "", process()),
        (pair, "", keys("k", "config-file")),
        ("", "aws_access_key_id = k\n", partial("shared-credentials-file", "aws_secret_access_key")),
        ("aws_access_key_id = k\n", "", partial("config-file", "aws_secret_access_key")),
        ("aws_secret_access_key = s\n", "", metadata(None, 1, 1)),
    ] {
        let files = [config, credentials].map(|section| format!("[default]\n{section}"));
        let world = Fake::environment(&[]).with_files(&files[0], &files[1]);
        assert_eq!(chosen(&Arguments::default(), &world), expected, "{config:?} {credentials:?}");
    }
}

#[test]
fn a_web_identity_is_described_by_either() {
    let identity = |session: Option<&str>| {
        let session_name = session.map(str::to_owned);
        Ok(Credentials::WebIdentity(WebIdentity { token_file: "t".into(), role_arn: "r".into(), session_name }))
    };
    let token = ("AWS_WEB_IDENTITY_TOKEN_FILE", "t");
    let world = Fake::environment(&[token, ("AWS_ROLE_ARN", "r"), ("AWS_ROLE_SESSION_NAME", "n")]);
    assert_eq!(chosen(&Arguments::default(), &world), identity(Some("n")));
    let world = Fake::environment(&[]).with_files("[default]\nrole_arn=r\nweb_identity_token_file=t\n", "");
    assert_eq!(chosen(&Arguments::default(), &world), identity(None));
    let error = chosen(&Arguments::default(), &Fake::environment(&[token])).unwrap_err();
    assert_eq!(error.class(), "InvalidConfigError");
}

#[test]
fn containers_come_before_instance_metadata() {
    let world = |variables: &[(&str, &str)]| {
        chosen(
            &Arguments::default(),
            &Fake::environment(&[variables, &[("AWS_EC2_METADATA_DISABLED", "true")]].concat()),
        )
    };
    let container = |url: &str, token| Ok(Credentials::Container(Container { url: url.into(), token }));
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost:1/x");
    let token = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "t");
    assert_eq!(world(&[full]), container("http://localhost:1/x", None));
    assert_eq!(
        world(&[full, ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/r"), token]),
        container("http://169.254.170.2/r", Some(ContainerToken::Text("t".into())))
    );
    assert_eq!(
        world(&[full, token, ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "f")]),
        container("http://localhost:1/x", Some(ContainerToken::File("f".into())))
    );
    let variables = [("AWS_METADATA_SERVICE_TIMEOUT", "5"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://e")];
    let world = Fake::environment(&variables).with_files("[default]\nmetadata_service_num_attempts = 3\n", "");
    assert_eq!(chosen(&Arguments::default(), &world), metadata(Some("http://e/"), 5, 3));
    let error = chosen(&Arguments::default(), &Fake::environment(&[(variables[0].0, "x")])).unwrap_err();
    assert_eq!(error.to_string(), "invalid literal for int() with base 10: 'x'");
}

#[test]
fn the_token_of_a_container_stays_on_the_machine() {
    let asked = |url: &str| {
        let world = Fake::environment(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)]);
        chosen(&Arguments::default(), &world)
    };
    for url in [
        "http://127.0.0.1/",
        "http://127.9.9.9:1/x",
        "http://[::1]/",
        "http://LOCALHOST/",
        "http://169.254.170.23/v1",
        "http://[fd00:ec2::23]/",
        "https://anywhere.example/",
    ] {
        assert!(asked(url).is_ok(), "{url}");
    }
    for (url, host) in [
        ("http://127.1/", "127.1"),
        ("http://2130706433/", "2130706433"),
        ("http://0177.0.0.1/", "0177.0.0.1"),
        ("http://evil.example/", "evil.example"),
        ("http://localhost@evil.example/", "evil.example"),
        ("http://localhost.evil.example/", "localhost.evil.example"),
        ("http://10.0.0.1/", "10.0.0.1"),
        ("", "None"),
    ] {
        let text = asked(url).unwrap_err().to_string();
        assert!(text.starts_with(&format!("Unsupported host '{host}'.  Can only retrieve")), "{url}: {text}");
    }
    let world = Fake::environment(&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@evil.example/")]);
    assert!(chosen(&Arguments::default(), &world).is_err());
}

#[test]
fn a_role_has_a_source() {
    let pair = "aws_access_key_id = k\naws_secret_access_key = s\n";
    let world = |config: &str| Fake::environment(&[]).with_files(config, "");
    let asked = |config: &str| chosen(&Arguments::default(), &world(config));
    let base = format!("[profile base]\n{pair}");
    let source = |name: &str| format!("role_arn = {name}\nsource_profile = {name}\n");
    assert_eq!(asked(&format!("[default]\n{}{base}", source("base"))), role("base", keys("k", "config-file")));
    let middle = format!("[default]\n{}[profile middle]\n{}{base}", source("middle"), source("base"));
    assert_eq!(asked(&middle), role("middle", role("base", keys("k", "config-file"))));
    // A profile may be its own source, if it has keys.
    assert_eq!(asked(&format!("[default]\n{}{pair}", source("default"))), role("default", keys("k", "config-file")));
    let loops = |source: &str, visited: &[&str]| {
        let visited_profiles = visited.iter().map(|name| (*name).to_owned()).collect();
        Err(ConfigError::InfiniteLoop { source_profile: source.into(), visited_profiles })
    };
    assert_eq!(asked(&format!("[default]\n{}", source("default"))), loops("default", &["default"]));
    let round = format!("[default]\n{}[profile a]\n{}", source("a"), source("default"));
    assert_eq!(asked(&round), loops("default", &["default", "a"]));
    assert_eq!(
        asked(&format!("[default]\n{}", source("none"))),
        invalid("The source_profile \"none\" referenced in the profile \"default\" does not exist.")
    );
    assert_eq!(
        asked(&format!("[default]\n{}[profile bare]\nregion = r\n", source("bare"))),
        invalid("The source profile \"bare\" must have credentials.")
    );
    assert_eq!(
        asked(&format!("[default]\n{}credential_source = Environment\n", source("x"))),
        invalid("The profile \"default\" contains both source_profile and credential_source.")
    );
    assert_eq!(asked("[default]\nrole_arn = r\n"), partial("assume-role", "source_profile or credential_source"));
    assert_eq!(
        asked("[default]\nrole_arn = r\ncredential_source = Moon\n"),
        invalid("The credential source \"Moon\" referenced in profile \"default\" is not valid.")
    );
    let error = asked("[default]\nrole_arn = r\ncredential_source = EcsContainer\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "Error when retrieving credentials from EcsContainer: No credentials found in credential_source referenced in \
         profile default"
    );
}

#[test]
fn codes_are_asked_for_from_the_outside_in() {
    let config = "[default]\nrole_arn = r\nsource_profile = b\nmfa_serial = outer\n[profile b]\nrole_arn = s\n\
                  source_profile = c\nmfa_serial = inner\n[profile c]\naws_access_key_id = k\n\
                  aws_secret_access_key = s\n";
    let found = chosen(&Arguments::default(), &Fake::environment(&[]).with_files(config, "")).unwrap();
    let codes = found.codes();
    assert_eq!(codes.iter().map(|code| code.serial.as_str()).collect::<Vec<_>>(), ["outer", "inner"]);
    assert!(codes[0].is_unknown());
    codes[0].give("123".into());
    // Copies share it, and it is good for one request.
    assert_eq!((found.codes()[0].take(), codes[0].take(), codes[0].is_unknown()), (Some("123".into()), None, false));
}

#[test]
fn single_sign_on_is_described_by_profile_and_session() {
    let asked = |config: &str| chosen(&Arguments::default(), &Fake::environment(&[]).with_files(config, ""));
    let profile = "[default]\nsso_role_name = r\nsso_account_id = a\n";
    let session = "[sso-session s]\nsso_region = e\nsso_start_url = u\n";
    match asked(&format!("{profile}sso_session = s\n{session}")) {
        Ok(Credentials::Sso(sso)) => assert_eq!((sso.session.as_deref(), sso.region.as_str()), (Some("s"), "e")),
        other => panic!("{other:?}"),
    }
    for (config, text) in [
        (
            profile.to_owned(),
            "The profile \"default\" is configured to use SSO but is missing required configuration: sso_start_url, \
             sso_region",
        ),
        (format!("{profile}sso_session = t\n{session}"), "The specified sso-session does not exist: \"t\""),
        (
            format!("{profile}sso_session = s\nsso_region = f\n{session}"),
            "The value for sso_region is inconsistent between profile (f) and sso-session (e).",
        ),
    ] {
        assert_eq!(asked(&config), invalid(text));
    }
}

#[test]
fn what_a_session_has_found_is_not_looked_for_again() {
    let world = Fake::environment(&KEYS);
    let credentials = Credentials::Process(Process { command: "c".into(), account_id: None });
    let services = crate::config::resolve(&Arguments { region_name: Some("r".into()), ..Default::default() }, &world)
        .unwrap()
        .services;
    let found = Some(std::sync::Arc::new(crate::config::Found { credentials: credentials.clone(), services }));
    assert_eq!(chosen(&Arguments { found: found.clone(), ..Default::default() }, &world), Ok(credentials));
    let arguments = Arguments {
        aws_access_key_id: Some("arg".into()),
        aws_secret_access_key: Some("s".into()),
        found,
        ..Default::default()
    };
    assert_eq!(chosen(&arguments, &world), keys("arg", "explicit"));
}

/// The machine's file comes first, as far as it has keys; a file that is named stands for both.
#[test]
fn boto_2_has_a_file_for_the_machine_and_one_for_the_user() {
    let boto = |key: &str| format!("[Credentials]\naws_access_key_id = {key}\naws_secret_access_key = s\n");
    let world = |variables: &[(&str, &str)], machine: &str| {
        let fake = Fake::environment(variables).with_file("~/.boto", &boto("user")).with_file("named", &boto("named"));
        chosen(&Arguments::default(), &fake.with_file("/etc/boto.cfg", machine))
    };
    assert_eq!(world(&[], &boto("machine")), keys("machine", "boto-config"));
    for without_keys in ["", "[Boto]\ndebug = 0\n", "[Credentials]\naws_secret_access_key = s\n"] {
        assert_eq!(world(&[], without_keys), keys("user", "boto-config"));
    }
    assert_eq!(world(&[("BOTO_CONFIG", "named")], &boto("machine")), keys("named", "boto-config"));
    let half = "[Credentials]\naws_access_key_id = machine\n";
    assert_eq!(world(&[], half), partial("boto-config", "aws_secret_access_key"));
    assert!(matches!(world(&[], "nonsense"), Err(ConfigError::ConfigParse { path, .. }) if path == "/etc/boto.cfg"));
}
