//! The MD5s and hashes that SQS replies carry.

use md5::{Digest, Md5};

use super::message::{Attribute, Value};

pub fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

/// The digest of message attributes as the developer guide defines it ("Calculating the MD5 message digest for
/// message attributes"): by name in order, each of name, data type and value with its length before it as four
/// big-endian bytes, the value behind a byte that says text (1) or binary (2).
pub fn attributes_md5<'a>(sorted: impl IntoIterator<Item = &'a Attribute>) -> [u8; 16] {
    let mut hasher = Md5::new();
    for attribute in sorted {
        let (transport, value): (u8, &[u8]) = match &attribute.value {
            Value::Text(text) => (1, text.as_bytes()),
            Value::Binary(bytes) => (2, bytes),
        };
        for part in [attribute.name.as_bytes(), attribute.data_type.as_bytes()] {
            hasher.update((part.len() as u32).to_be_bytes());
            hasher.update(part);
        }
        hasher.update([transport]);
        hasher.update((value.len() as u32).to_be_bytes());
        hasher.update(value);
    }
    hasher.finalize().into()
}

pub fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        // Both indexes are below 16.
        #[allow(clippy::indexing_slicing)]
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, data_type: &str, value: &str) -> Attribute {
        Attribute { name: name.into(), data_type: data_type.into(), value: Value::Text(value.into()) }
    }

    fn hexed(digest: [u8; 16]) -> String {
        let mut out = Vec::new();
        hex(&digest, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// Digests that the real service returned for these attributes.
    #[test]
    fn attribute_digests_are_the_services() {
        let all =
            [text("General", "String", "Kenobi"), text("Hello", "String", "There"), text("Help.Me", "String", "Me")];
        assert_eq!(hexed(attributes_md5(&all)), "4c360f3fdafd970e05fae2f149d997f5");
        assert_eq!(hexed(attributes_md5(&all[..2])), "fca026605781cb4126a1e9044df24232");
        assert_eq!(hexed(attributes_md5(&[text("Foo", "String", "Bar")])), "ae7155c6026991b6d54b11589678bf9c");
    }
}
