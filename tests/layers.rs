//! The rooms of `src/lib.rs` use what stands below them, and nothing above.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, outermost first, as the doc comment of `lib.rs` lists them.
fn map(lib: &str) -> Vec<String> {
    let lines = lib.lines().filter_map(|line| line.strip_prefix("//! - `"));
    lines.map(|line| line.split('`').next().unwrap().to_owned()).collect()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code without comments: what they name is no import.
fn code(text: &str) -> String {
    let line = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn name(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    &text[..end]
}

/// The items of a `{...}` that begins here, at its own level.
fn group(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 1, Vec::new());
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 1 => {
                items.push(name(text[start..at].trim_start()));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 1 => {
                items.push(name(text[start..at].trim_start()));
                start = at + 1;
            }
            _ => {}
        }
    }
    items
}

/// What a module at this depth names in the crate's root: by `crate::`, or by as many `super::` as lead there.
fn named(code: &str, depth: usize) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let supers = "super::".repeat(depth);
    for prefix in ["crate::", supers.as_str()] {
        for (at, _) in code.match_indices(prefix) {
            let after = &code[at + prefix.len()..];
            // Of a longer row of them this is not the end.
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
                || after.starts_with("super::")
            {
                continue;
            }
            match after.strip_prefix('{') {
                Some(_) => found.extend(group(after).into_iter().map(str::to_owned)),
                None => drop(found.insert(name(after).to_owned())),
            }
        }
    }
    found
}

/// `room: file names other, which stands above` for each upward import.
fn violations(rooms: &[String], sources: &[(String, usize, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (file, depth, text) in sources {
        let room = file.split(['/', '.']).next().unwrap();
        let Some(place) = rooms.iter().position(|other| other == room) else {
            found.push(format!("{file}: the room {room} is not in the map"));
            continue;
        };
        let above: BTreeSet<&String> = rooms[..place].iter().collect();
        let of_local = room == "local";
        for other in named(&code(text), *depth) {
            let foreign = of_local && rooms.contains(&other) && other != "local" && other != "model";
            if above.contains(&other) || foreign {
                found.push(format!("{file}: {room} uses {other}, which it must not"));
            }
        }
    }
    found
}

#[test]
fn no_room_uses_one_above_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = fs::read_to_string(src.join("lib.rs")).unwrap();
    let rooms = map(&lib);
    let declared: BTreeSet<&str> = lib
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    assert_eq!(
        rooms.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        declared,
        "the map of lib.rs and its modules"
    );
    let mut paths = Vec::new();
    files(&src, &mut paths);
    let sources: Vec<_> = paths
        .iter()
        .map(|path| {
            let file = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
            (file.clone(), file.matches('/').count() + 1, fs::read_to_string(path).unwrap())
        })
        .filter(|(file, ..)| file != "lib.rs")
        .collect();
    assert!(sources.len() > 50, "{} files", sources.len());
    let violations = violations(&rooms, &sources);
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn an_upward_import_is_seen_however_it_is_written() {
    let rooms = ["py", "client", "send", "local", "model"].map(str::to_owned);
    let seen = |file: &str, text: &str| {
        violations(&rooms, &[(file.to_owned(), file.matches('/').count() + 1, text.to_owned())]).len()
    };
    for text in [
        "use crate::client::Client;",
        "use crate::{\n    model::Action,\n    client::{self, Call},\n};",
        "use super::super::client;",
        "fn f() { crate::py::g() }",
    ] {
        assert_eq!(seen("send/batcher.rs", text), 1, "{text}");
    }
    assert_eq!(seen("send.rs", "use super::client::Client;"), 1);
    assert_eq!(seen("local/queue.rs", "use crate::send::Window;"), 1);
    assert_eq!(seen("another.rs", ""), 1, "no part of the map");
    for text in
        ["// crate::client", "use crate::model::Action;", "use super::window::client;", "use crate::send::Window;"]
    {
        assert_eq!(seen("send/batcher.rs", text), 0, "{text}");
    }
    assert_eq!(seen("local/queue.rs", "use crate::model::Action;"), 0);
}
