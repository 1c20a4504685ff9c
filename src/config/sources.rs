//! Where unstated settings are looked up.

use std::collections::{BTreeMap, HashSet};

use super::{ConfigError, ini};

/// The world outside the arguments: environment variables and the shared configuration files.
pub(crate) trait Sources {
    /// An environment variable; `Some` and empty when it is set to nothing.
    fn variable(&self, name: &str) -> Option<String>;

    /// Every environment variable, for the proxies, whose names are matched without regard to case.
    fn variables(&self) -> Vec<(String, String)>;

    /// The files, read and parsed at most once. Files that do not exist are empty.
    fn files(&self) -> Result<&SharedFiles, ConfigError>;

    /// A file of another kind, if there is such a file.
    fn file(&self, _path: &str) -> Result<File, ConfigError> {
        Ok(None)
    }

    /// A path with its variables and its `~` put in.
    fn expanded(&self, path: &str) -> String {
        path.to_owned()
    }

    /// A path with its `~` put in.
    fn expanded_home(&self, path: &str) -> String {
        path.to_owned()
    }
}

/// A value in a configuration file: text, or an indented block of `name = value` lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SectionEntry {
    Text(String),
    Block(BTreeMap<String, String>),
}

/// A section of a configuration file: entries by name.
pub(crate) type Section = BTreeMap<String, SectionEntry>;

/// The text under a name; a block is not a text.
pub(super) fn text<'a>(section: &'a Section, name: &str) -> Option<&'a str> {
    match section.get(name)? {
        SectionEntry::Text(text) => Some(text),
        SectionEntry::Block(_) => None,
    }
}

/// The two shared files as botocore sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SharedFiles {
    /// Profiles of the configuration file, with those of the credentials file laid over them, name by name.
    pub profiles: BTreeMap<String, Section>,
    /// The names of all profiles, in the order in which the files have them, those of the configuration file first.
    pub profile_names: Vec<String>,
    pub services: BTreeMap<String, Section>,
    pub sso_sessions: BTreeMap<String, Section>,
    /// The profiles of each file by itself, for what looks at one file only.
    pub config_profiles: BTreeMap<String, Section>,
    pub credentials_profiles: BTreeMap<String, Section>,
    /// The files that exist, for what reads them again.
    pub config_path: Option<String>,
    pub credentials_path: Option<String>,
}

/// A file that exists: its path and its contents.
pub(crate) type File = Option<(String, String)>;

impl SharedFiles {
    pub(crate) fn parse(config: File, credentials: File) -> Result<SharedFiles, ConfigError> {
        let mut files = SharedFiles::default();
        let mut names = Vec::new();
        for (name, section) in sections(&config)? {
            if name == "default" {
                names.push(name.clone());
                files.config_profiles.insert(name, section);
            } else if name.starts_with("profile") {
                // A section name with more or fewer than two words names no profile.
                if let Some(profile) = second_word(&name) {
                    names.push(profile.clone());
                    files.config_profiles.insert(profile, section);
                }
            } else if name.starts_with("sso-session") {
                if let Some(session) = second_word(&name) {
                    files.sso_sessions.insert(session, section);
                }
            } else if name.starts_with("services")
                && let Some(service) = second_word(&name)
            {
                files.services.insert(service, section);
            }
        }
        files.profiles = files.config_profiles.clone();
        for (name, section) in sections(&credentials)? {
            names.push(name.clone());
            files.profiles.entry(name.clone()).or_default().extend(section.clone());
            files.credentials_profiles.insert(name, section);
        }
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        files.profile_names = names;
        files.config_path = config.map(|(path, _)| path);
        files.credentials_path = credentials.map(|(path, _)| path);
        Ok(files)
    }
}

pub(super) fn sections(file: &File) -> Result<ini::Sections, ConfigError> {
    let Some((path, contents)) = file else { return Ok(vec![]) };
    ini::parse(contents).map_err(|error| ConfigError::ConfigParse { path: path.clone(), error })
}

/// The second of exactly two words.
fn second_word(name: &str) -> Option<String> {
    match <[String; 2]>::try_from(words(name)?) {
        Ok([_, second]) => Some(second),
        Err(_) => None,
    }
}

/// A text split as a POSIX shell would, without anything expanded: Python's `shlex.split`. `None`: a quotation is not
/// closed, or nothing follows an escape.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = vec![];
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = text.chars();
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
            (None, ' ' | '\t' | '\r' | '\n') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    if quote.is_some() { None } else { Some(words) }
}

/// A command line's words, as botocore has them: as a POSIX shell would, and on Windows as its programs do.
pub(crate) fn command_words(line: &str) -> Option<Vec<String>> {
    if cfg!(windows) { windows_words(line) } else { words(line) }
}

/// A text split as Windows' C runtime does: only blanks and tabs separate, only double quotes quote, and backslashes mean
/// themselves unless a quote follows them. `None`: a quotation is not closed.
fn windows_words(text: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = vec![];
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut backslashes = 0;
    for character in text.chars() {
        match character {
            '\\' => {
                backslashes += 1;
                continue;
            }
            '"' => {
                let word = word.get_or_insert_default();
                word.push_str(&"\\".repeat(backslashes / 2));
                if backslashes % 2 == 1 {
                    word.push('"');
                } else {
                    quoted = !quoted;
                }
            }
            _ => {
                if backslashes > 0 {
                    word.get_or_insert_default().push_str(&"\\".repeat(backslashes));
                }
                if matches!(character, ' ' | '\t') && !quoted {
                    words.extend(word.take());
                } else {
                    word.get_or_insert_default().push(character);
                }
            }
        }
        backslashes = 0;
    }
    if backslashes > 0 {
        word.get_or_insert_default().push_str(&"\\".repeat(backslashes));
    }
    words.extend(word);
    if quoted { None } else { Some(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `botocore.compat._windows_shell_split` makes of these.
    #[test]
    fn command_lines_split_as_windows_does() {
        for (line, expected) in [
            ("", &[][..]),
            ("spam \t eggs", &["spam", "eggs"]),
            (r#""C:\Program Files\spam.exe" --a=b"#, &[r"C:\Program Files\spam.exe", "--a=b"]),
            (r"C:\spam.exe 'a b'", &[r"C:\spam.exe", "'a", "b'"]),
            (r#"a "" b"#, &["a", "", "b"]),
            (r#"a\"b c"d" e"#, &[r#"a"b"#, "cd", "e"]),
            (r#"a\\"b c" d"#, &[r"a\b c", "d"]),
            (r#"a\\\"b c"#, &[r#"a\"b"#, "c"]),
            (r"a\\ b\", &[r"a\\", r"b\"]),
        ] {
            let expected: Vec<String> = expected.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(windows_words(line), Some(expected), "{line}");
        }
        assert_eq!(windows_words(r#"a "b"#), None);
    }

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
    fn nothing_is_expanded() {
        let split = |text: &str| words(text).unwrap();
        assert_eq!(split("prog 'pa$$word' ; touch x"), ["prog", "pa$$word", ";", "touch", "x"]);
        assert_eq!(split("a $HOME `b` *.c ~ >d|e&f #g"), ["a", "$HOME", "`b`", "*.c", "~", ">d|e&f", "#g"]);
        assert_eq!(split("  a\u{a0}b '' \"c\"'d'e "), ["a\u{a0}b", "", "cde"]);
        assert_eq!((words("a 'b"), words("a\\")), (None, None));
    }

    #[test]
    fn the_credentials_file_is_laid_over_the_configuration_file() {
        let config =
            "[default]\nregion = a\nx = 1\n[profile p]\nx = 2\n[q]\nx = 3\n[services s]\n[profile default]\ny=1";
        let credentials = "[default]\nx = 4\n[r]\nx = 5\n";
        let file = |text: &str| Some((String::from("path"), text.to_owned()));
        let files = SharedFiles::parse(file(config), file(credentials)).unwrap();
        assert_eq!(files.profiles.keys().collect::<Vec<_>>(), ["default", "p", "r"]);
        assert_eq!(files.profile_names, ["default", "p", "r"]);
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
