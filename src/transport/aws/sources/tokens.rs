//! The files in which the AWS CLI keeps tokens of users who have logged in, and where renewed ones go.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::{Map, Value};

/// A token's file, with all of its members: what we do not know is written back.
pub(super) type Token = Map<String, Value>;

/// A token, if the file is there and has one.
pub(super) fn load(folder: &str, key: &str) -> Option<Token> {
    match serde_json::from_slice(&fs::read(path(folder, key)).ok()?) {
        Ok(Value::Object(token)) => Some(token),
        _ => None,
    }
}

/// Whether there is a file, whatever is in it.
pub(super) fn exists(folder: &str, key: &str) -> bool {
    Path::new(&path(folder, key)).is_file()
}

/// Replaces a token, in one step and for its owner's eyes only (elsewhere than on Unix: for whom the folder permits).
pub(super) fn save(folder: &str, key: &str, token: &Token) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let temporary = format!("{folder}/{key}-{}.tmp", fastrand::u64(..));
    let written = (|| {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        options.mode(0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(&serde_json::to_vec(token)?)?;
        file.sync_all()?;
        fs::rename(&temporary, path(folder, key))
    })();
    if written.is_err() {
        // Nothing else can be done for it.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn path(folder: &str, key: &str) -> String {
    format!("{folder}/{key}.json")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
