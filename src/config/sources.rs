//! Where unstated settings are looked up.

use std::collections::BTreeMap;

use super::{ConfigError, ini};

/// The world outside the arguments: environment variables and the shared configuration files.
pub trait Sources {
    /// An environment variable; `Some` and empty when it is set to nothing.
    fn variable(&self, name: &str) -> Option<String>;

    /// Every environment variable, for the proxies, whose names are matched without regard to case.
    fn variables(&self) -> Vec<(String, String)>;

    /// The files, read and parsed at most once. Files that do not exist are empty.
    fn files(&self) -> Result<&SharedFiles, ConfigError>;
}

/// A value in a configuration file: text, or an indented block of `name = value` lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Text(String),
    Block(BTreeMap<String, String>),
}

pub type Section = BTreeMap<String, Entry>;

/// The text under a name; a block is not a text.
pub fn text<'a>(section: &'a Section, name: &str) -> Option<&'a str> {
    match section.get(name)? {
        Entry::Text(text) => Some(text),
        Entry::Block(_) => None,
    }
}

/// The two shared files as botocore sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SharedFiles {
    /// Profiles of the configuration file, with those of the credentials file laid over them, name by name.
    pub profiles: BTreeMap<String, Section>,
    pub services: BTreeMap<String, Section>,
    /// The profiles of each file by itself, for what looks at one file only.
    pub config_profiles: BTreeMap<String, Section>,
    pub credentials_profiles: BTreeMap<String, Section>,
    /// The files that exist, for what reads them again.
    pub config_path: Option<String>,
    pub credentials_path: Option<String>,
}

/// A file that exists: its path and its contents.
pub type File = Option<(String, String)>;

impl SharedFiles {
    pub fn parse(config: File, credentials: File) -> Result<SharedFiles, ConfigError> {
        let mut files = SharedFiles::default();
        for (name, section) in sections(&config)? {
            if name == "default" {
                files.config_profiles.insert(name, section);
            } else if name.starts_with("profile") {
                // A section name with more or fewer than two words names no profile.
                if let Some(profile) = second_word(&name) {
                    files.config_profiles.insert(profile, section);
                }
            } else if name.starts_with("services")
                && let Some(service) = second_word(&name)
            {
                files.services.insert(service, section);
            }
        }
        files.profiles = files.config_profiles.clone();
        for (name, section) in sections(&credentials)? {
            files.profiles.entry(name.clone()).or_default().extend(section.clone());
            files.credentials_profiles.insert(name, section);
        }
        files.config_path = config.map(|(path, _)| path);
        files.credentials_path = credentials.map(|(path, _)| path);
        Ok(files)
    }
}

fn sections(file: &File) -> Result<ini::Sections, ConfigError> {
    let Some((path, contents)) = file else { return Ok(vec![]) };
    ini::parse(contents).map_err(|error| ConfigError::ConfigParse { path: path.clone(), error })
}

/// The second of exactly two words, split as a shell would.
fn second_word(name: &str) -> Option<String> {
    let mut words: Vec<String> = vec![];
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = name.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let escaped = characters.next()?;
                let word = word.get_or_insert_default();
                if quote.is_some() && escaped != '"' && escaped != '\\' {
                    word.push('\\');
                }
                word.push(escaped);
            }
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    if quote.is_some() || words.len() != 2 { None } else { words.pop() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_names_split_as_in_a_shell() {
        for (name, expected) in [
            ("profile a", Some("a")),
            ("profile  'a b'", Some("a b")),
            (r#"profile "a \"b\" \c""#, Some(r#"a "b" \c"#)),
            (r"profile a\ b", Some("a b")),
            ("profile ''", Some("")),
            ("profile", None),
            ("profile a b", None),
            ("profile 'a", None),
            ("profile a\\", None),
        ] {
            assert_eq!(second_word(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn the_credentials_file_is_laid_over_the_configuration_file() {
        let config =
            "[default]\nregion = a\nx = 1\n[profile p]\nx = 2\n[q]\nx = 3\n[services s]\n[profile default]\ny=1";
        let credentials = "[default]\nx = 4\n[r]\nx = 5\n";
        let file = |text: &str| Some((String::from("path"), text.to_owned()));
        let files = SharedFiles::parse(file(config), file(credentials)).unwrap();
        assert_eq!(files.profiles.keys().collect::<Vec<_>>(), ["default", "p", "r"]);
        assert_eq!(text(&files.profiles["default"], "x"), Some("4"));
        assert_eq!(text(&files.profiles["default"], "y"), Some("1"));
        // The later of two sections for one profile replaces the earlier.
        assert_eq!(text(&files.profiles["default"], "region"), None);
        assert_eq!(text(&files.config_profiles["p"], "x"), Some("2"));
        assert!(files.services.contains_key("s"));
        assert!(!files.config_profiles.contains_key("r"));
    }

    #[test]
    fn an_unreadable_file_is_named() {
        let error = SharedFiles::parse(Some(("p".into(), "x".into())), None).unwrap_err();
        assert_eq!(error.to_string(), "Unable to parse config file: p");
    }
}
