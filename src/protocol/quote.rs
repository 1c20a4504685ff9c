//! A text as JSON.

use wide::u8x16;

/// Writes a text as JSON, as `serde_json` would: most of what is sent goes through here, and `serde_json` looks at one byte after
/// another.
pub(crate) fn push_quoted(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, behind) = rest.split_at_checked(plain_length(rest)).unwrap_or_default();
        out.extend_from_slice(plain);
        let Some((byte, behind)) = behind.split_first() else { break };
        push_escaped(out, *byte);
        rest = behind;
    }
    out.push(b'"');
}

/// How many bytes stand there in JSON as they are, before the first one that has to be escaped: a quote, a backslash, a control character.
pub(crate) fn plain_length(bytes: &[u8]) -> usize {
    let (pieces, rest) = bytes.as_chunks::<16>();
    for (number, piece) in pieces.iter().enumerate() {
        if let Some(place) = first_to_escape(piece) {
            return number * 16 + place;
        }
    }
    match bytes.last_chunk::<16>() {
        // What it has in common with the piece before is known to be plain.
        Some(last) => first_to_escape(last).map_or(bytes.len(), |place| bytes.len() - 16 + place),
        None => rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len()),
    }
}

fn first_to_escape(piece: &[u8; 16]) -> Option<usize> {
    let piece = u8x16::new(*piece);
    let is_control = piece.min(u8x16::splat(0x1f)).simd_eq(piece);
    let found = is_control | piece.simd_eq(u8x16::splat(b'"')) | piece.simd_eq(u8x16::splat(b'\\'));
    match found.to_bitmask() {
        0 => None,
        places => Some(places.trailing_zeros() as usize),
    }
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
