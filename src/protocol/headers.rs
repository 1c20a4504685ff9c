//! The headers of a reply, as botocore shows them.

use std::sync::Arc;

/// The headers of a reply: names in lower case, in the order of arrival; values of a repeated name are separate. Cheap to clone.
///
/// All of it is one text, since each reply has half a dozen of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReplyHeaders(Arc<HeaderText>);

/// Names and values, one behind the other.
#[derive(Debug, PartialEq, Eq)]
struct HeaderText {
    text: String,
    /// Where each name ends, and the value behind it.
    ends: Vec<[usize; 2]>,
}

impl ReplyHeaders {
    /// Headers as they came. A value is read as Python's `http.client` reads it: a character for each byte.
    pub(crate) fn of<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> ReplyHeaders {
        let (mut bytes, mut ends) = (Vec::with_capacity(256), Vec::with_capacity(headers.size_hint().0));
        for (name, value) in headers {
            let start = bytes.len();
            bytes.extend_from_slice(name.as_bytes());
            if let Some(name) = bytes.get_mut(start..) {
                name.make_ascii_lowercase();
            }
            let name_end = bytes.len();
            bytes.extend_from_slice(value);
            ends.push([name_end, bytes.len()]);
        }
        // In ASCII a character is a byte, and each end is where it was.
        let text = match String::from_utf8(bytes) {
            Ok(text) if text.is_ascii() => text,
            Ok(text) => of_latin_1(text.as_bytes(), &mut ends),
            Err(error) => of_latin_1(error.as_bytes(), &mut ends),
        };
        ReplyHeaders(Arc::new(HeaderText { text, ends }))
    }

    #[cfg(test)]
    pub(crate) fn none() -> ReplyHeaders {
        ReplyHeaders::of([].into_iter())
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let HeaderText { text, ends } = &*self.0;
        let mut start = 0;
        ends.iter().map(move |&[name_end, end]| {
            let header = (text.get(start..name_end).unwrap_or_default(), text.get(name_end..end).unwrap_or_default());
            start = end;
            header
        })
    }

    /// Whether these are the headers of the very same reply.
    pub(crate) fn is_of_same_reply(&self, other: &ReplyHeaders) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Bytes as characters; the ends are moved to where they are in the text.
#[cold]
fn of_latin_1(bytes: &[u8], ends: &mut [[usize; 2]]) -> String {
    for end in ends.iter_mut().flatten() {
        // In UTF-8 such a character has two bytes.
        *end += bytes.iter().take(*end).filter(|byte| !byte.is_ascii()).count();
    }
    bytes.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lowered_and_values_kept_byte_by_byte() {
        let came: [(&str, &[u8]); 4] =
            [("X-Amzn-RequestId", b"Id"), ("date", b""), ("X-Odd", b"\xe9\xc3\xa9"), ("date", b"Mon")];
        let headers = ReplyHeaders::of(came.into_iter());
        let shown = [("x-amzn-requestid", "Id"), ("date", ""), ("x-odd", "\u{e9}\u{c3}\u{a9}"), ("date", "Mon")];
        assert_eq!(headers.iter().collect::<Vec<_>>(), shown);
        assert_eq!(ReplyHeaders::none().iter().len(), 0);
    }
}
