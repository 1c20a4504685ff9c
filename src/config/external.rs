//! Settings of a client whose owner has looked everything up, and goes on doing so for its credentials.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;

use super::{Arguments, ConfigError, Credentials, Settings, SharedFiles, Sources, StaticCredentials, resolve};

/// Credentials that the client's owner hands over, and replaces as it likes. Copies share what is in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExternalCredentials(Arc<ArcSwapOption<StaticCredentials>>);

impl ExternalCredentials {
    /// From now on requests are signed with these.
    pub(crate) fn set(&self, credentials: StaticCredentials) {
        self.0.store(Some(Arc::new(credentials)));
    }

    /// `None`: nothing was handed over yet. The same allocation is the same credentials.
    pub(crate) fn get(&self) -> Option<Arc<StaticCredentials>> {
        self.0.load_full()
    }
}

impl PartialEq for ExternalCredentials {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ExternalCredentials {}

/// The settings that these arguments say, and nothing else: neither environment nor files are asked.
pub(crate) fn resolved(arguments: &Arguments) -> Result<Settings, ConfigError> {
    let settings = resolve(arguments, &NoSources)?;
    let credentials = match settings.credentials {
        Credentials::Anonymous => Credentials::Anonymous,
        _ => Credentials::External(ExternalCredentials::default()),
    };
    Ok(Settings { credentials, ..settings })
}

/// A world with nothing in it.
struct NoSources;

static NO_FILES: OnceLock<SharedFiles> = OnceLock::new();

impl Sources for NoSources {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn variables(&self) -> Vec<(String, String)> {
        vec![]
    }

    fn files(&self) -> Result<&SharedFiles, ConfigError> {
        Ok(NO_FILES.get_or_init(SharedFiles::default))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Options, SignatureVersion};

    fn arguments() -> Arguments {
        Arguments {
            region_name: Some("eu-west-1".into()),
            endpoint_url: Some("http://127.0.0.1:1/".into()),
            ..Arguments::default()
        }
    }

    #[test]
    fn credentials_are_handed_over_and_replaced() {
        let settings = resolved(&arguments()).unwrap();
        let Credentials::External(external) = &settings.clone().credentials else {
            panic!("{:?}", settings.credentials)
        };
        assert_eq!(external.get(), None);
        for key in ["first", "second"] {
            let (secret_key, token, account_id) = ("s".into(), None, None);
            let access_key = key.into();
            external.set(StaticCredentials { access_key, secret_key, token, account_id, method: "explicit" });
            let Credentials::External(copy) = &settings.credentials else { unreachable!() };
            assert_eq!(copy.get().unwrap().access_key, key);
        }
    }

    #[test]
    fn unsigned_stays_unsigned() {
        let config = Options { signature_version: Some(SignatureVersion::Unsigned), ..Options::default() };
        assert_eq!(resolved(&Arguments { config, ..arguments() }).unwrap().credentials, Credentials::Anonymous);
    }

    #[test]
    fn what_is_not_said_is_not_looked_up() {
        let unsaid = Arguments { region_name: None, ..arguments() };
        assert_eq!(resolved(&unsaid).unwrap_err(), ConfigError::NoRegion);
    }
}
