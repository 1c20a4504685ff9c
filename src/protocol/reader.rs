//! JSON, read from its beginning to its end by one who knows what to make of it.
//!
//! Ours and not `serde_json`'s, which looks at a text byte by byte and is told what to make of it through five traits: half of what reading
//! a reply took. This one is strict, so that it can be short: it refuses what it does not know, numbers with a point above all, and whoever
//! uses it has another way for those.

use std::borrow::Cow;

use super::quote::plain_length;

/// The text is no JSON, or none that this reader takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// How many lists and objects may be in one another, where they are read one within the other: far more than SQS has.
pub(crate) const DEPTH: u32 = 64;

/// A place in a text.
#[derive(Debug)]
pub(crate) struct JsonReader<'a> {
    text: &'a str,
    place: usize,
}

impl<'a> JsonReader<'a> {
    pub(crate) fn new(text: &'a str) -> JsonReader<'a> {
        JsonReader { text, place: 0 }
    }

    /// The byte that comes next after white space: the first one of a value tells what it is.
    pub(crate) fn peek(&mut self) -> Result<u8, Refused> {
        loop {
            match self.text.as_bytes().get(self.place) {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.place += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(Refused),
            }
        }
    }

    /// This byte, and nothing else, comes next.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Refused> {
        if self.peek()? != byte {
            return Err(Refused);
        }
        self.place += 1;
        Ok(())
    }

    /// Whether there is another element of a list or an object, which ends with `close`; if there is, what comes next is that.
    pub(crate) fn has_another(&mut self, is_first: bool, close: u8) -> Result<bool, Refused> {
        let next = self.peek()?;
        if next == close {
            self.place += 1;
            return Ok(false);
        }
        if !is_first {
            self.expect(b',')?;
        }
        Ok(true)
    }

    /// The name of a member; what comes next is its value.
    pub(crate) fn name(&mut self) -> Result<Cow<'a, str>, Refused> {
        let name = self.string()?;
        self.expect(b':')?;
        Ok(name)
    }

    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Refused> {
        self.expect(b'"')?;
        let start = self.place;
        self.place += self.plain();
        if self.text.as_bytes().get(self.place) != Some(&b'"') {
            return self.escaped(start);
        }
        let text = self.text.get(start..self.place).ok_or(Refused)?;
        self.place += 1;
        Ok(Cow::Borrowed(text))
    }

    /// How much of a string comes that stands for itself.
    fn plain(&self) -> usize {
        plain_length(self.text.as_bytes().get(self.place..).unwrap_or_default())
    }

    /// A string of which something is escaped, from behind its first quote.
    #[cold]
    fn escaped(&mut self, start: usize) -> Result<Cow<'a, str>, Refused> {
        loop {
            match self.text.as_bytes().get(self.place) {
                Some(b'"') => break,
                // With whatever is escaped.
                Some(b'\\') => self.place += 2,
                _ => return Err(Refused),
            }
            self.place += self.plain();
        }
        self.place += 1;
        let quoted = self.text.get(start - 1..self.place).ok_or(Refused)?;
        serde_json::from_str(quoted).map(Cow::Owned).map_err(|_| Refused)
    }

    /// A number that is an integer of 64 bits, and is written as one.
    pub(crate) fn integer(&mut self) -> Result<i64, Refused> {
        self.peek()?;
        let rest = self.text.get(self.place..).ok_or(Refused)?;
        let length = rest.bytes().take_while(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte)).count();
        let number = rest.get(..length).ok_or(Refused)?;
        let digits = number.strip_prefix('-').unwrap_or(number);
        let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_integer || digits.len() > 1 && digits.starts_with('0') {
            return Err(Refused);
        }
        self.place += length;
        number.parse().map_err(|_| Refused)
    }

    /// One of the words that stand for themselves.
    pub(crate) fn word(&mut self, word: &str) -> Result<(), Refused> {
        self.peek()?;
        if !self.text.get(self.place..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(Refused);
        }
        self.place += word.len();
        Ok(())
    }

    /// Pass over a value of any kind.
    pub(crate) fn skip(&mut self) -> Result<(), Refused> {
        self.skip_within(DEPTH)
    }

    fn skip_within(&mut self, depth: u32) -> Result<(), Refused> {
        let within = depth.checked_sub(1).ok_or(Refused)?;
        match self.peek()? {
            // As a whole: what is escaped in it may be nothing.
            b'"' => self.string().map(drop),
            b'{' => {
                self.place += 1;
                let mut is_first = true;
                while self.has_another(is_first, b'}')? {
                    self.name()?;
                    self.skip_within(within)?;
                    is_first = false;
                }
                Ok(())
            }
            b'[' => {
                self.place += 1;
                let mut is_first = true;
                while self.has_another(is_first, b']')? {
                    self.skip_within(within)?;
                    is_first = false;
                }
                Ok(())
            }
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.integer().map(drop),
        }
    }

    /// Nothing comes but white space.
    pub(crate) fn end(&mut self) -> Result<(), Refused> {
        if self.peek().is_ok() { Err(Refused) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Number, Value};

    use super::*;

    /// A value, by the reader.
    fn value(reader: &mut JsonReader<'_>) -> Result<Value, Refused> {
        Ok(match reader.peek()? {
            b'"' => Value::String(reader.string()?.into_owned()),
            b'{' => {
                reader.expect(b'{')?;
                let mut members = Map::new();
                let mut is_first = true;
                while reader.has_another(is_first, b'}')? {
                    members.insert(reader.name()?.into_owned(), value(reader)?);
                    is_first = false;
                }
                Value::Object(members)
            }
            b'[' => {
                reader.expect(b'[')?;
                let mut items = Vec::new();
                while reader.has_another(items.is_empty(), b']')? {
                    items.push(value(reader)?);
                }
                Value::Array(items)
            }
            b't' => reader.word("true").map(|()| Value::Bool(true))?,
            b'f' => reader.word("false").map(|()| Value::Bool(false))?,
            b'n' => reader.word("null").map(|()| Value::Null)?,
            _ => Value::Number(Number::from(reader.integer()?)),
        })
    }

    fn read(text: &str) -> Result<Value, Refused> {
        let mut reader = JsonReader::new(text);
        let read = value(&mut reader)?;
        reader.end().map(|()| read)
    }

    fn skip(text: &str) -> Result<(), Refused> {
        let mut reader = JsonReader::new(text);
        reader.skip()?;
        reader.end()
    }

    fn json() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z ]{0,40}|\\PC{0,20}|[\\x00-\\x1f\"\\\\é]{0,6}".prop_map(Value::from),
        ];
        scalar.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map("[a-z\"\\\\é]{0,20}", inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in json(), is_pretty: bool) {
            let text = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            prop_assert_eq!(read(&text), Ok(value));
            prop_assert_eq!(skip(&text), Ok(()));
        }

        /// One character of a text is another, or is gone: what is read then is what `serde_json` reads, or nothing.
        #[test]
        fn nothing_is_taken_that_is_none(value in json(), place: prop::sample::Index, put in "[\\x00-\\x7fé]?") {
            let text = serde_json::to_string(&value).unwrap();
            let places: Vec<_> = text.char_indices().collect();
            let (start, character) = places[place.index(places.len())];
            let text = format!("{}{put}{}", &text[..start], &text[start + character.len_utf8()..]);
            match (read(&text), serde_json::from_str::<Value>(&text)) {
                (Ok(read), Ok(value)) => {
                    prop_assert_eq!(read, value);
                    prop_assert_eq!(skip(&text), Ok(()));
                }
                (Ok(read), Err(error)) => prop_assert!(false, "{text} was read as {read}: {error}"),
                // A number with a point, or of more than 64 bits.
                (Err(Refused), Ok(_)) => prop_assert!(text.contains(|character: char| character.is_ascii_digit())),
                (Err(Refused), Err(_)) => prop_assert_eq!(skip(&text), Err(Refused)),
            }
        }
    }

    #[test]
    fn what_is_refused() {
        let deep = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(skip(&deep(60)), Ok(()));
        let texts = [
            "",
            " ",
            "{",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{1:1}",
            "\"",
            "\"a",
            "\"\\",
            "\"\\\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\x\"",
            "\"\n\"",
            "01",
            "-",
            "-01",
            "+1",
            "1.0",
            "1e3",
            "1-2",
            "NaN",
            "Infinity",
            "-Infinity",
            "9223372036854775808",
            "tru",
            "nul",
            "truefalse",
            "1 1",
            "{} {}",
            "\u{a0}1",
        ];
        for text in texts.into_iter().map(str::to_owned).chain([deep(10_000)]) {
            assert_eq!(skip(&text), Err(Refused), "{text}");
        }
        for (text, number) in [("0", 0), ("-0", 0), ("-1", -1), (" 12\r\n", 12), ("-9223372036854775808", i64::MIN)] {
            assert_eq!(read(text), Ok(Value::from(number)));
        }
    }
}
