//! The keys in the environment's variables.

use super::StaticCredentials;
use crate::config::Sources;

/// A pair of keys in the environment, and the time at which they expire if a variable says so.
#[derive(Debug)]
pub(crate) struct EnvironmentKeys {
    pub keys: StaticCredentials,
    pub expiration: Option<String>,
}

impl EnvironmentKeys {
    pub(crate) const ACCESS_KEY: &str = "AWS_ACCESS_KEY_ID";
    const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";
    pub(crate) const EXPIRATION: &str = "AWS_CREDENTIAL_EXPIRATION";

    /// What the variables say.
    ///
    /// # Errors
    /// The name of one that has to say something and does not.
    pub(crate) fn find(sources: &dyn Sources) -> Result<EnvironmentKeys, &'static str> {
        let variable = |name: &str| sources.variable(name).filter(|value| !value.is_empty());
        Ok(EnvironmentKeys {
            keys: StaticCredentials {
                access_key: variable(Self::ACCESS_KEY).ok_or(Self::ACCESS_KEY)?,
                secret_key: variable(Self::SECRET_KEY).ok_or(Self::SECRET_KEY)?,
                token: variable("AWS_SECURITY_TOKEN").or_else(|| variable("AWS_SESSION_TOKEN")),
                account_id: variable("AWS_ACCOUNT_ID"),
                method: "env",
            },
            expiration: variable(Self::EXPIRATION),
        })
    }
}
