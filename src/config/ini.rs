//! The dialect of the shared files: Python's `configparser.RawConfigParser`, which is what botocore reads them with.
//!
//! It is stricter than the SDKs' own dialect in places (repeated names are errors) and laxer in others (`:` separates
//! too), and a file must mean the same here as there.

use super::{Section, SectionEntry};

/// A file's sections, in order. Later callers depend on the order: of two sections for one profile the later wins.
pub(super) type Sections = Vec<(String, Section)>;

/// Parses a file; the error is a text for people.
pub(super) fn parse(text: &str) -> Result<Sections, String> {
    let mut parser = Parser::default();
    // As Python reads text: three ways to end a line.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    for (index, line) in text.split('\n').enumerate() {
        parser.line(line, index + 1)?;
    }
    parser.finish()
}

/// What is white space to Python, in a text.
fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

/// Where `str.splitlines` of Python ends a line.
fn ends_line(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

const DEFAULT_SECTION: &str = "DEFAULT";

/// A section as its lines say, before values are put together.
struct Raw {
    name: String,
    /// The lines of each value, in the order of the options.
    options: Vec<(String, Vec<String>)>,
}

/// The state of parsing: sections so far, and what the next line may continue.
#[derive(Default)]
struct Parser {
    sections: Vec<Raw>,
    /// Whether an option was seen in the current section, so that deeper lines continue it.
    in_option: bool,
    indent: usize,
    first_error: Option<String>,
}

impl Parser {
    fn line(&mut self, line: &str, number: usize) -> Result<(), String> {
        let value = strip(line);
        let comment = value.starts_with(['#', ';']);
        if value.is_empty() || comment {
            // An empty line belongs to the value around it, a comment does not.
            if !comment && let Some(lines) = self.current_value() {
                lines.push(String::new());
            }
            return Ok(());
        }
        let indent = line.chars().take_while(|&character| is_space(character)).count();
        if indent > self.indent
            && let Some(lines) = self.current_value()
        {
            lines.push(value.to_owned());
            return Ok(());
        }
        self.indent = indent;
        if let Some(name) = header(value) {
            return self.open(name, number);
        }
        let Some(section) = self.sections.last_mut() else {
            return Err(format!("line {number}: File contains no section headers."));
        };
        let Some((name, value)) = value.split_once(['=', ':']).filter(|(name, _)| !strip(name).is_empty()) else {
            self.first_error.get_or_insert_with(|| format!("line {number}: neither a section nor name = value"));
            return Ok(());
        };
        let name = name.trim_end_matches(is_space).to_lowercase();
        if section.options.iter().any(|(known, _)| *known == name) {
            return Err(format!("line {number}: option '{name}' in section '{}' already exists", section.name));
        }
        section.options.push((name, vec![strip(value).to_owned()]));
        self.in_option = true;
        Ok(())
    }

    fn current_value(&mut self) -> Option<&mut Vec<String>> {
        let section = self.sections.last_mut().filter(|_| self.in_option)?;
        section.options.last_mut().map(|(_, lines)| lines)
    }

    fn open(&mut self, name: &str, number: usize) -> Result<(), String> {
        self.in_option = false;
        match self.sections.iter().position(|section| section.name == name) {
            None => self.sections.push(Raw { name: name.to_owned(), options: vec![] }),
            Some(at) if name == DEFAULT_SECTION => {
                let section = self.sections.remove(at);
                self.sections.push(section);
            }
            Some(_) => return Err(format!("line {number}: section '{name}' already exists")),
        }
        Ok(())
    }

    fn finish(self) -> Result<Sections, String> {
        if let Some(error) = self.first_error {
            return Err(error);
        }
        let mut defaults = Section::new();
        let mut sections = vec![];
        for raw in self.sections {
            let mut section = Section::new();
            for (name, lines) in raw.options {
                section.insert(name, entry(lines.join("\n").trim_end_matches(is_space))?);
            }
            if raw.name == DEFAULT_SECTION {
                defaults = section;
            } else {
                sections.push((raw.name, section));
            }
        }
        for (_, section) in &mut sections {
            for (name, value) in &defaults {
                section.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        Ok(sections)
    }
}

/// `[name]`, up to the last bracket of the line; what follows it is ignored.
fn header(line: &str) -> Option<&str> {
    let inner = line.strip_prefix('[')?;
    inner.rfind(']').and_then(|end| inner.get(..end)).filter(|name| !name.is_empty())
}

/// A value that begins on the line after its name is a block of `name = value` lines.
fn entry(value: &str) -> Result<SectionEntry, String> {
    if !value.starts_with('\n') {
        return Ok(SectionEntry::Text(value.to_owned()));
    }
    let pairs = value.split(ends_line).map(strip).filter(|line| !line.is_empty()).map(|line| {
        let (name, value) = line.split_once('=').ok_or("a line of a block is not name = value")?;
        Ok((strip(name).to_owned(), strip(value).to_owned()))
    });
    pairs.collect::<Result<_, String>>().map(SectionEntry::Block)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(String, Vec<(String, String)>)> {
        let plain = |entry: SectionEntry| match entry {
            SectionEntry::Text(text) => text,
            SectionEntry::Block(block) => format!("{block:?}"),
        };
        let sections = parse(text).unwrap().into_iter();
        sections.map(|(name, section)| (name, section.into_iter().map(|(k, v)| (k, plain(v))).collect())).collect()
    }

    fn one(text: &str) -> Vec<(String, String)> {
        texts(text).remove(0).1
    }

    fn pairs(items: &[(&str, &str)]) -> Vec<(String, String)> {
        items.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn names_are_lowercase_and_either_delimiter_separates() {
        assert_eq!(
            one("[a]\nRegion : eu\nkey=x=y\nurl = http://h:1\n"),
            pairs(&[("key", "x=y"), ("region", "eu"), ("url", "http://h:1"),])
        );
    }

    #[test]
    fn comments_stand_alone_on_their_line() {
        assert_eq!(one("# c\n[a]\n ; c\nx = 1 # kept\ny = 2\n"), pairs(&[("x", "1 # kept"), ("y", "2")]));
    }

    #[test]
    fn deeper_lines_continue_a_value() {
        assert_eq!(one("[a]\nx = 1\n  2\n\n  3\n# c\n  4\ny = 5\r\n\n"), pairs(&[("x", "1\n2\n\n3\n4"), ("y", "5")]));
    }

    #[test]
    fn an_indented_block_is_nested() {
        let sections = parse("[services s]\nsqs =\n  endpoint_url = http://h:1\n  x = a=b\n").unwrap();
        let block = [("endpoint_url", "http://h:1"), ("x", "a=b")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(sections[0].1["sqs"], SectionEntry::Block(block.into()));
    }

    #[test]
    fn lines_end_where_they_do_in_python() {
        assert_eq!(one("# c\r[a]\rx = 1\r\ny = 2\u{85}z = 3\u{1f}\r"), pairs(&[("x", "1"), ("y", "2\u{85}z = 3")]));
        let sections = parse("[s]\nsqs =\n  a = 1\u{2028}b = 2\u{b}c = 3\u{1f}\n").unwrap();
        let block = [("a", "1"), ("b", "2"), ("c", "3")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(sections[0].1["sqs"], SectionEntry::Block(block.into()));
    }

    #[test]
    fn an_indented_section_is_still_a_section() {
        assert_eq!(texts("  [a]\n  x = 1\n  y = 2\n  [b] trailing\n").len(), 2);
    }

    #[test]
    fn default_is_inherited_by_every_section() {
        assert_eq!(
            one("[DEFAULT]\nx = 1\ny = 1\n[a]\nx = 2\n[DEFAULT]\nz = 3\n"),
            pairs(&[("x", "2"), ("y", "1"), ("z", "3"),])
        );
    }

    #[test]
    fn what_python_refuses_is_refused() {
        for (text, complaint) in [
            ("x = 1\n", "line 1: File contains no section headers."),
            ("[a]\nx = 1\nX = 2\n", "line 3: option 'x' in section 'a' already exists"),
            ("[a]\n[b]\n[a]\n", "line 3: section 'a' already exists"),
            ("[a]\nword\n", "line 2: neither a section nor name = value"),
            ("[a]\n= 1\n", "line 2: neither a section nor name = value"),
            ("[]\n", "line 1: File contains no section headers."),
            ("[a]\ns3 =\n  word\n", "a line of a block is not name = value"),
        ] {
            assert_eq!(parse(text), Err(complaint.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(parse("").unwrap(), vec![]);
        assert_eq!(parse("\n# c\n\n").unwrap(), vec![]);
    }
}
