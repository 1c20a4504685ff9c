//! A text as JSON.

/// Writes a text as JSON, as `serde_json` would: most of what is sent goes through here, and `serde_json` looks at one byte after
/// another.
pub(crate) fn push_quoted(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some((clean, [byte, behind @ ..])) =
        first_to_escape(rest).and_then(|position| rest.split_at_checked(position))
    {
        out.extend_from_slice(clean);
        push_escaped(out, *byte);
        rest = behind;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Where the first byte stands that JSON does not take as it is.
fn first_to_escape(bytes: &[u8]) -> Option<usize> {
    let needs_escape = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    let (pieces, _) = bytes.as_chunks::<32>();
    // Without an early end within a piece, so that it is looked at as a whole.
    let clean = pieces.iter().take_while(|piece| !piece.iter().fold(false, |found, &byte| found | needs_escape(byte)));
    let from = clean.count() * 32;
    bytes.get(from..)?.iter().position(|&byte| needs_escape(byte)).map(|position| from + position)
}

#[cold]
fn push_escaped(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0C => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quoted(text: &str) -> String {
        let mut out = Vec::new();
        push_quoted(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_character_at_each_place() {
        for character in (0..0x80).map(char::from).chain(['\u{80}', '\u{2028}', '\u{FFFF}', '\u{1F600}']) {
            for place in 0..100 {
                let text = format!("{}{character}{}", "x".repeat(place), "y".repeat(99 - place));
                assert_eq!(quoted(&text), serde_json::to_string(&text).unwrap());
            }
        }
    }

    proptest! {
        #[test]
        fn as_serde_json_has_it(text in "([a-z{}:]{0,40}|[\\x00-\\x1f\"\\\\]{0,3}|\\PC{0,5}){0,8}") {
            prop_assert_eq!(quoted(&text), serde_json::to_string(&text).unwrap());
        }
    }
}
