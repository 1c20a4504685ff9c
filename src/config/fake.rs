//! A world of the tests' making.

use std::collections::BTreeMap;

use super::sources::File;
use super::{ConfigError, SharedFiles, Sources};

/// An environment and shared files of a test.
#[derive(Debug, Default)]
pub(super) struct Fake {
    variables: BTreeMap<String, String>,
    files: Option<SharedFiles>,
    others: BTreeMap<String, String>,
    order: Vec<(String, String)>,
}

impl Fake {
    pub(super) fn environment(variables: &[(&str, &str)]) -> Fake {
        let order: Vec<_> = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (variables, files) = (order.iter().cloned().collect(), Some(SharedFiles::default()));
        Fake { variables, files, order, ..Fake::default() }
    }

    /// With a file that is none of the shared ones.
    pub(super) fn with_file(mut self, path: &str, text: &str) -> Fake {
        self.others.insert(path.to_owned(), text.to_owned());
        self
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

    fn file(&self, path: &str) -> Result<File, ConfigError> {
        Ok(self.others.get(path).map(|text| (path.to_owned(), text.clone())))
    }
}
