//! Replies, written as JSON straight into a buffer.

use super::digest;

/// A JSON text in the making. Commas are put where the text so far calls for one.
#[derive(Debug)]
pub(super) struct ReplyWriter {
    out: Vec<u8>,
}

impl ReplyWriter {
    /// An open object.
    pub(super) fn object(capacity: usize) -> ReplyWriter {
        let mut out = Vec::with_capacity(capacity);
        out.push(b'{');
        ReplyWriter { out }
    }

    pub(super) fn open(&mut self, bracket: u8) -> &mut ReplyWriter {
        self.comma();
        self.out.push(bracket);
        self
    }

    pub(super) fn close(&mut self, bracket: u8) -> &mut ReplyWriter {
        self.out.push(bracket);
        self
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }

    fn comma(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(b',');
        }
    }

    /// A key of the model's, which never needs escaping.
    pub(super) fn key(&mut self, key: &'static str) -> &mut ReplyWriter {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self
    }

    /// A key of the user's.
    pub(super) fn text_key(&mut self, key: &str) -> &mut ReplyWriter {
        self.text(key);
        self.out.push(b':');
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut ReplyWriter {
        self.comma();
        self.out.push(b'"');
        let needs_escape = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
        for piece in text.as_bytes().chunks(256) {
            // Without an early end, so that it looks at many bytes at once: most pieces need no escape.
            if piece.iter().fold(false, |found, &byte| found | needs_escape(byte)) {
                self.escaped(piece);
            } else {
                self.out.extend_from_slice(piece);
            }
        }
        self.out.push(b'"');
        self
    }

    fn escaped(&mut self, bytes: &[u8]) {
        let mut clean_from = 0;
        for (position, &byte) in bytes.iter().enumerate() {
            let escaped: &[u8] = match byte {
                b'"' => b"\\\"",
                b'\\' => b"\\\\",
                b'\n' => b"\\n",
                b'\r' => b"\\r",
                b'\t' => b"\\t",
                0..0x20 => b"",
                _ => continue,
            };
            self.out.extend_from_slice(bytes.get(clean_from..position).unwrap_or_default());
            clean_from = position + 1;
            if escaped.is_empty() {
                self.out.extend_from_slice(b"\\u00");
                digest::hex(&[byte], &mut self.out);
            } else {
                self.out.extend_from_slice(escaped);
            }
        }
        self.out.extend_from_slice(bytes.get(clean_from..).unwrap_or_default());
    }

    pub(super) fn number(&mut self, number: u64) -> &mut ReplyWriter {
        self.comma();
        push_number(number, &mut self.out);
        self
    }

    /// A number as a string: SQS writes the values of attributes so.
    pub(super) fn text_number(&mut self, number: u64) -> &mut ReplyWriter {
        self.comma();
        self.out.push(b'"');
        push_number(number, &mut self.out);
        self.out.push(b'"');
        self
    }

    pub(super) fn boolean(&mut self, value: bool) -> &mut ReplyWriter {
        self.comma();
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
        self
    }

    pub(super) fn md5(&mut self, digest: &[u8; 16]) -> &mut ReplyWriter {
        self.comma();
        self.out.push(b'"');
        digest::hex(digest, &mut self.out);
        self.out.push(b'"');
        self
    }

    pub(super) fn uuid(&mut self, id: u128) -> &mut ReplyWriter {
        self.comma();
        self.out.push(b'"');
        push_uuid(id, &mut self.out);
        self.out.push(b'"');
        self
    }
}

fn push_number(number: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut rest = number;
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

/// `01234567-89ab-cdef-0123-456789abcdef`.
pub(super) fn push_uuid(id: u128, out: &mut Vec<u8>) {
    let mut text = uuid::Uuid::encode_buffer();
    out.extend_from_slice(uuid::Uuid::from_u128(id).hyphenated().encode_lower(&mut text).as_bytes());
}

/// A fresh random UUID (version 4).
pub(super) fn fresh_uuid() -> u128 {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid().as_u128()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_json_that_reads_back() {
        let mut reply = ReplyWriter::object(0);
        reply.key("a").number(0).key("b").open(b'[').number(10).number(u64::MAX).close(b']');
        reply.key("c").open(b'{').text_key("k\"").text("line\nä\u{1}\\").key("t").boolean(true).close(b'}');
        reply.key("n").text_number(120);
        let value: serde_json::Value = serde_json::from_slice(&reply.finish()).unwrap();
        let expected = serde_json::json!({
            "a": 0, "b": [10, u64::MAX], "c": {"k\"": "line\nä\u{1}\\", "t": true}, "n": "120"
        });
        assert_eq!(value, expected);
    }

    /// Escapes and characters of several bytes on both sides of where one piece ends.
    #[test]
    fn long_texts_read_back() {
        for character in ["\"", "\\", "\n", "\u{1}", "\u{7f}", "ä", "\u{10000}"] {
            for before in (0..4).chain(250..260).chain(508..516) {
                let text = ["x".repeat(before).as_str(), character, &"y".repeat(300)].concat();
                let mut reply = ReplyWriter::object(0);
                reply.key("text").text(&text);
                let value: serde_json::Value = serde_json::from_slice(&reply.finish()).unwrap();
                assert_eq!(value, serde_json::json!({"text": text}), "{character:?} after {before}");
            }
        }
    }

    #[test]
    fn ids_are_version_4_uuids() {
        let mut out = Vec::new();
        push_uuid(fresh_uuid(), &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.len(), 36);
        assert_eq!(&text[14..15], "4");
        assert!("89ab".contains(&text[19..20]), "{text}");
    }
}
