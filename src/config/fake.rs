//! A world of the tests' making.

use std::collections::BTreeMap;

use super::{ConfigError, SharedFiles, Sources};

/// An environment and shared files of a test.
#[derive(Debug, Default)]
pub(super) struct Fake {
    variables: BTreeMap<String, String>,
    files: Option<SharedFiles>,
    order: Vec<(String, String)>,
}

impl Fake {
    pub(super) fn environment(variables: &[(&str, &str)]) -> Fake {
        let order: Vec<_> = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Fake { variables: order.iter().cloned().collect(), files: Some(SharedFiles::default()), order }
    }

    pub(super) fn with_files(self, config: &str, credentials: &str) -> Fake {
        let file = |name: &str, text: &str| Some((name.to_owned(), text.to_owned()));
        Fake { files: SharedFiles::parse(file("config", config), file("credentials", credentials)).ok(), ..self }
    }
}

impl Sources for Fake {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn variables(&self) -> Vec<(String, String)> {
        self.order.clone()
    }

    fn files(&self) -> Result<&SharedFiles, ConfigError> {
        let broken = || ConfigError::ConfigParse { path: "config".into(), error: String::new() };
        self.files.as_ref().ok_or_else(broken)
    }
}
