//! Which source of credentials a client has.

use std::time::Duration;

use super::resolve::integer;
use super::sources::text;
use super::{Arguments, ConfigError, Credentials, Section, SharedFiles, SignatureVersion, Sources, StaticCredentials};

/// Settles the source, in botocore's order. Half a pair of keys is an error where it is found.
pub fn choose(
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
    // A profile that was asked for by argument makes botocore pass over the keys in the environment.
    let lookup = |name: &str| sources.variable(name).filter(|value| !value.is_empty());
    let environment = |name: &str| if arguments.profile_name.is_some() { None } else { lookup(name) };
    if let Some(access_key) = environment("AWS_ACCESS_KEY_ID") {
        let Some(secret_key) = environment("AWS_SECRET_ACCESS_KEY") else {
            return Err(ConfigError::PartialCredentials { provider: "env", cred_var: "AWS_SECRET_ACCESS_KEY" });
        };
        return Ok(Credentials::Static(StaticCredentials {
            access_key,
            secret_key,
            token: environment("AWS_SECURITY_TOKEN").or_else(|| environment("AWS_SESSION_TOKEN")),
            account_id: environment("AWS_ACCOUNT_ID"),
            method: "env",
        }));
    }
    let nothing = Section::new();
    let section = files.profiles.get(profile).unwrap_or(&nothing);
    let from_profile = |method| Credentials::Profile {
        name: profile.to_owned(),
        config_path: files.config_path.clone(),
        credentials_path: files.credentials_path.clone(),
        method,
    };
    if section.contains_key("role_arn") && !section.contains_key("web_identity_token_file") {
        return Ok(from_profile("assume-role"));
    }
    let value = |variable: &str, name: &str| {
        environment(variable).or_else(|| text(section, name).map(str::to_owned)).filter(|value| !value.is_empty())
    };
    if let Some(token_file) = value("AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file") {
        let Some(role_arn) = value("AWS_ROLE_ARN", "role_arn") else {
            return Err(ConfigError::InvalidConfig {
                error_msg: "The provided profile or the current environment is configured to assume role with web \
                            identity but has no role ARN configured. Ensure that the profile has the role_arn\
                            configuration set or the AWS_ROLE_ARN env var is set."
                    .to_owned(),
            });
        };
        let session_name = value("AWS_ROLE_SESSION_NAME", "role_session_name");
        return Ok(Credentials::WebIdentity { token_file, role_arn, session_name });
    }
    if section.contains_key("sso_role_name") || section.contains_key("sso_account_id") {
        return Ok(from_profile("sso"));
    }
    if let Some(found) = in_file(files.credentials_profiles.get(profile), "shared-credentials-file")? {
        return Ok(found);
    }
    if section.contains_key("login_session") {
        return Ok(from_profile("login"));
    }
    if let Some(command) = text(section, "credential_process") {
        return Ok(Credentials::Process { command: command.to_owned() });
    }
    if let Some(found) = in_file(files.config_profiles.get(profile), "config-file")? {
        return Ok(found);
    }
    if ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"]
        .iter()
        .any(|name| lookup(name).is_some())
    {
        return Ok(Credentials::Container);
    }
    if lookup("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(Credentials::Missing);
    }
    let value = |variable: &str, name: &str| {
        sources.variable(variable).or_else(|| text(section, name).map(str::to_owned)).filter(|value| !value.is_empty())
    };
    let number = |variable: &str, name: &str| match value(variable, name) {
        Some(text) => integer(&text).map(|number| u32::try_from(number).unwrap_or(1).max(1)),
        None => Ok(1),
    };
    Ok(Credentials::InstanceMetadata {
        endpoint: value("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint"),
        timeout: Duration::from_secs(number("AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout")?.into()),
        attempts: number("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "metadata_service_num_attempts")?,
    })
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
mod tests {
    use super::*;
    use crate::config::fake::Fake;

    fn chosen(arguments: &Arguments, fake: &Fake) -> Result<Credentials, ConfigError> {
        let profile = arguments.profile_name.as_deref().unwrap_or("default");
        choose(arguments, fake, fake.files().unwrap(), profile)
    }

    fn keys(access_key: &str, method: &'static str) -> Result<Credentials, ConfigError> {
        let (secret_key, token, account_id) = ("s".into(), None, None);
        Ok(Credentials::Static(StaticCredentials {
            access_key: access_key.into(),
            secret_key,
            token,
            account_id,
            method,
        }))
    }

    fn partial(provider: &'static str, cred_var: &'static str) -> Result<Credentials, ConfigError> {
        Err(ConfigError::PartialCredentials { provider, cred_var })
    }

    fn metadata(endpoint: Option<&str>, seconds: u64, attempts: u32) -> Result<Credentials, ConfigError> {
        let (endpoint, timeout) = (endpoint.map(str::to_owned), Duration::from_secs(seconds));
        Ok(Credentials::InstanceMetadata { endpoint, timeout, attempts })
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
        let world =
            || Fake::environment(&KEYS).with_files("", "[p]\naws_access_key_id=file\naws_secret_access_key=s\n");
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
        let token = |extra: &[(&str, &str)]| match chosen(
            &Arguments::default(),
            &Fake::environment(&[&KEYS, extra].concat()),
        ) {
            Ok(Credentials::Static(found)) => (found.token, found.account_id),
            other => panic!("{other:?}"),
        };
        assert_eq!(token(&[("AWS_SESSION_TOKEN", "a"), ("AWS_ACCOUNT_ID", "1")]), (Some("a".into()), Some("1".into())));
        assert_eq!(token(&[("AWS_SESSION_TOKEN", "a"), ("AWS_SECURITY_TOKEN", "b")]).0, Some("b".into()));
    }

    #[test]
    fn files_are_asked_in_botocores_order() {
        let pair = "aws_access_key_id = k\naws_secret_access_key = s\n";
        let profile = |method| {
            let (config_path, credentials_path) = (Some("config".into()), Some("credentials".into()));
            Ok(Credentials::Profile { name: "default".into(), config_path, credentials_path, method })
        };
        let process = || Ok(Credentials::Process { command: "c".into() });
        for (config, credentials, expected) in [
            ("role_arn = r\nsource_profile = x\n", pair, profile("assume-role")),
            ("sso_role_name = r\n", pair, profile("sso")),
            ("credential_process = c\n", pair, keys("k", "shared-credentials-file")),
            ("login_session = l\ncredential_process = c\n", "", profile("login")),
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
            Ok(Credentials::WebIdentity { token_file: "t".into(), role_arn: "r".into(), session_name })
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
        let world = Fake::environment(&[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://h"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]);
        assert_eq!(chosen(&Arguments::default(), &world), Ok(Credentials::Container));
        assert_eq!(chosen(&Arguments::default(), &Fake::environment(&[])), metadata(None, 1, 1));
        let variables = [("AWS_METADATA_SERVICE_TIMEOUT", "5"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://e")];
        let world = Fake::environment(&variables).with_files("[default]\nmetadata_service_num_attempts = 3\n", "");
        assert_eq!(chosen(&Arguments::default(), &world), metadata(Some("http://e"), 5, 3));
        let error = chosen(&Arguments::default(), &Fake::environment(&[(variables[0].0, "x")])).unwrap_err();
        assert_eq!(error.to_string(), "invalid literal for int() with base 10: 'x'");
    }
}
