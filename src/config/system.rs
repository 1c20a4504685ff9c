//! The real environment and the real files.

use std::cell::OnceCell;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::sources::File;
use super::{ConfigError, SharedFiles, Sources};

/// The process's environment, read whenever it is asked, and the shared files, read once, when they are first asked for.
#[derive(Debug, Default)]
pub(crate) struct System {
    files: OnceCell<Result<SharedFiles, ConfigError>>,
}

impl Sources for System {
    fn variable(&self, name: &str) -> Option<String> {
        env::var_os(name).map(lossy)
    }

    fn variables(&self) -> Vec<(String, String)> {
        env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect()
    }

    fn files(&self) -> Result<&SharedFiles, ConfigError> {
        let load = || {
            let config = read("AWS_CONFIG_FILE", "~/.aws/config")?;
            let credentials = read("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")?;
            SharedFiles::parse(config, credentials)
        };
        self.files.get_or_init(load).as_ref().map_err(Clone::clone)
    }

    fn file(&self, path: &str) -> Result<File, ConfigError> {
        read_if_there(path)
    }

    fn expanded(&self, path: &str) -> String {
        expand_home(&expand_variables(path))
    }

    fn expanded_home(&self, path: &str) -> String {
        expand_home(path)
    }
}

fn lossy(text: OsString) -> String {
    text.into_string().unwrap_or_else(|text| text.to_string_lossy().into_owned())
}

/// The file that `variable` or else `default` names, if there is such a file.
fn read(variable: &str, default: &str) -> Result<File, ConfigError> {
    let path = env::var_os(variable).map_or_else(|| default.to_owned(), lossy);
    read_if_there(&expand_home(&expand_variables(&path)))
}

fn read_if_there(path: &str) -> Result<File, ConfigError> {
    if !Path::new(path).is_file() {
        return Ok(None);
    }
    let unusable = |error: String| ConfigError::ConfigParse { path: path.to_owned(), error };
    let bytes = fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let contents = String::from_utf8(bytes).map_err(|error| unusable(error.to_string()))?;
    Ok(Some((path.to_owned(), contents)))
}

/// `$NAME` and `${NAME}`; what is not set stays as it is.
fn expand_variables(path: &str) -> String {
    let mut expanded = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let (name, tail) = match after.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
            Some(found) => found,
            None => {
                let word = |character: char| character == '_' || character.is_ascii_alphanumeric();
                after.split_at(after.find(|character| !word(character)).unwrap_or(after.len()))
            }
        };
        match env::var_os(name).filter(|_| !name.is_empty()) {
            Some(value) => {
                expanded.push_str(&lossy(value));
                rest = tail;
            }
            None => {
                expanded.push('$');
                rest = after;
            }
        }
    }
    expanded + rest
}

fn expand_home(path: &str) -> String {
    match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with(std::path::is_separator) => match env::home_dir() {
            Some(home) => format!("{}{rest}", lossy(home.into_os_string()).trim_end_matches(std::path::is_separator)),
            None => path.to_owned(),
        },
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_in_paths_are_expanded() {
        let home = env::var("HOME").unwrap();
        assert_eq!(expand_variables("a/$HOME/b"), format!("a/{home}/b"));
        assert_eq!(expand_variables("a${HOME}b"), format!("a{home}b"));
        assert_eq!(
            expand_variables("$NOT_SET_AT_ALL/${NOT_SET_EITHER}/$/x$"),
            "$NOT_SET_AT_ALL/${NOT_SET_EITHER}/$/x$"
        );
    }

    #[test]
    fn the_tilde_is_home() {
        let home = env::var("HOME").unwrap();
        assert_eq!(expand_home("~/.aws/config"), format!("{}/.aws/config", home.trim_end_matches('/')));
        assert_eq!(expand_home("~other/x"), "~other/x");
        assert_eq!(expand_home("/a/~"), "/a/~");
    }
}
