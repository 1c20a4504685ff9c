//! JSON as Python reads it, which is more than JSON is: NaN and the infinities, nesting of any depth, halves of surrogate
//! pairs.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde_json::value::RawValue;

/// A value of no known shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Json {
    Text(String),
    /// Anything else, as it came.
    Other(Box<str>),
}

impl Json {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Json::Other(text) if &**text == "null")
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::Text(text.to_owned())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Text(text) => f.write_str(text),
            Json::Other(text) => f.write_str(text),
        }
    }
}

/// A text that is no JSON, even to Python.
#[derive(Debug)]
pub(crate) struct Unreadable;

/// The members of an object; of what is no object there are none. The last of one name counts.
pub(crate) fn members(text: &str) -> Result<HashMap<String, Json>, Unreadable> {
    let plain = with_numbers(text);
    let parse = |text: &str| serde_json::from_str::<&RawValue>(text).map(drop).map_err(|_| Unreadable);
    if !plain.trim_ascii_start().starts_with('{') {
        return parse(&plain).map(|()| HashMap::new());
    }
    let read = |plain: &str| -> Result<HashMap<String, Json>, Unreadable> {
        let members: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(plain).map_err(|_| Unreadable)?;
        let value = |value: &RawValue| {
            let start = value.get().as_ptr().addr() - plain.as_ptr().addr();
            // The replacements are as long as what they replace: what stands here stands there.
            let same = if plain.len() == text.len() { text } else { plain };
            json(same.get(start..start + value.get().len()).unwrap_or(value.get()))
        };
        Ok(members.into_iter().map(|(name, found)| (name.into_owned(), value(found))).collect())
    };
    // Only a name can still hold what no Rust string can.
    read(&plain).or_else(|_| read(&without_lone_surrogates(&plain)))
}

fn json(text: &str) -> Json {
    if !text.starts_with('"') {
        return Json::Other(text.into());
    }
    let text = serde_json::from_str(text).or_else(|_| serde_json::from_str(&without_lone_surrogates(text)));
    Json::Text(text.unwrap_or_default())
}

/// With numbers, of as many characters, in the place of NaN, Infinity and -Infinity.
pub(crate) fn with_numbers(text: &str) -> Cow<'_, str> {
    let is_there = |word: &str| text.contains(word);
    if !is_there("NaN") && !is_there("Infinity") {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_quoted = false;
    while let Some(character) = rest.chars().next() {
        let (taken, put) = match character {
            '"' => {
                is_quoted = !is_quoted;
                (1, "\"")
            }
            '\\' if is_quoted => {
                // Whatever is escaped, a quote above all.
                let length = 1 + rest.chars().nth(1).map_or(0, char::len_utf8);
                (length, rest.get(..length).unwrap_or(rest))
            }
            // It has no sign.
            'N' if !is_quoted && rest.starts_with("NaN") && !plain.ends_with('-') => (3, "0.0"),
            'I' if !is_quoted && rest.starts_with("Infinity") => (8, "0.000000"),
            other => (other.len_utf8(), rest.get(..other.len_utf8()).unwrap_or_default()),
        };
        plain.push_str(put);
        rest = rest.get(taken..).unwrap_or_default();
    }
    Cow::Owned(plain)
}

/// JSON may spell half a surrogate pair, which no Rust string can hold; it becomes the replacement character.
pub(crate) fn without_lone_surrogates(json: &str) -> String {
    let unit = |at: usize| {
        let digits = json.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut mended = String::with_capacity(json.len());
    let mut rest = json.char_indices().peekable();
    let mut skip_to = 0;
    while let Some((at, character)) = rest.next() {
        if at < skip_to {
            continue;
        }
        match (character, unit(at)) {
            ('\\', Some(0xD800..=0xDBFF)) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => {
                mended.push_str(json.get(at..at + 12).unwrap_or_default());
                skip_to = at + 12;
            }
            ('\\', Some(0xD800..=0xDFFF)) => {
                mended.push_str("\\ufffd");
                skip_to = at + 6;
            }
            // An escaped backslash is not the start of an escape.
            ('\\', _) => {
                mended.push(character);
                mended.extend(rest.next().map(|(_, escaped)| escaped));
            }
            _ => mended.push(character),
        }
    }
    mended
}
