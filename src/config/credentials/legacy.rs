//! The files of programs older than boto3, in which it looks after the shared files: the first EC2 command line tools' and boto
//! 2's.

use super::StaticCredentials;
use crate::config::sources::{sections, text};
use crate::config::{ConfigError, Sources};

const EC2: &str = "ec2-credentials-file";
const BOTO: &str = "boto-config";

/// The keys in such a file, if there are any.
pub(super) fn find(sources: &dyn Sources) -> Result<Option<StaticCredentials>, ConfigError> {
    match ec2(sources)? {
        Some(found) => Ok(Some(found)),
        None => boto(sources),
    }
}

/// `name=value` lines in the file that `AWS_CREDENTIAL_FILE` names.
fn ec2(sources: &dyn Sources) -> Result<Option<StaticCredentials>, ConfigError> {
    let Some(path) = sources.variable("AWS_CREDENTIAL_FILE") else { return Ok(None) };
    let path = sources.expanded_home(&path);
    let Some((_, contents)) = sources.file(&path)? else { return Err(ConfigError::ConfigNotFound { path }) };
    let pairs = || contents.lines().filter_map(|line| line.split_once('='));
    // The last of several lines counts.
    let value = |wanted: &str| pairs().rfind(|(name, _)| name.trim() == wanted).map(|(_, value)| value.trim());
    let Some(access_key) = value("AWSAccessKeyId") else { return Ok(None) };
    let missing = ConfigError::PartialCredentials { provider: EC2, cred_var: "AWSSecretKey" };
    Ok(Some(keys(access_key, value("AWSSecretKey").ok_or(missing)?, EC2)))
}

/// The section `Credentials` of the first file that has keys there.
fn boto(sources: &dyn Sources) -> Result<Option<StaticCredentials>, ConfigError> {
    let paths = match sources.variable("BOTO_CONFIG") {
        Some(path) => vec![path],
        None => vec!["/etc/boto.cfg".to_owned(), "~/.boto".to_owned()],
    };
    for path in paths {
        let file = sources.file(&sources.expanded(&path))?;
        let sections = sections(&file)?;
        let Some((_, section)) = sections.iter().find(|(name, _)| name == "Credentials") else { continue };
        if let Some(access_key) = text(section, "aws_access_key_id") {
            let missing = ConfigError::PartialCredentials { provider: BOTO, cred_var: "aws_secret_access_key" };
            return Ok(Some(keys(access_key, text(section, "aws_secret_access_key").ok_or(missing)?, BOTO)));
        }
    }
    Ok(None)
}

fn keys(access_key: &str, secret_key: &str, method: &'static str) -> StaticCredentials {
    let (access_key, secret_key) = (access_key.to_owned(), secret_key.to_owned());
    StaticCredentials { access_key, secret_key, token: None, account_id: None, method }
}
