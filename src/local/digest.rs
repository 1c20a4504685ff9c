//! The MD5s and hashes that SQS replies carry.

mod lanes;

use md5::{Digest, Md5};

use super::message::{Attribute, TypedValue};

pub(super) fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

/// The digests of several texts, side by side where that is quicker: all lanes together take as long as the longest text,
/// and nearly three times as long as the crate takes for that.
pub(super) fn md5s(texts: &[&[u8]]) -> Vec<[u8; 16]> {
    let mut digests = Vec::with_capacity(texts.len());
    for some in texts.chunks(lanes::LANES) {
        let blocks = some.iter().map(|text| text.len() / 64 + 1);
        if blocks.clone().sum::<usize>() >= 3 * blocks.max().unwrap_or_default() {
            digests.extend_from_slice(lanes::md5s(some).get(..some.len()).unwrap_or_default());
        } else {
            digests.extend(some.iter().map(|text| md5(text)));
        }
    }
    digests
}

/// The digest of message attributes as the developer guide defines it ("Calculating the MD5 message digest for
/// message attributes"): by name in order, each of name, data type and value with its length before it as four
/// big-endian bytes, the value behind a byte that says text (1) or binary (2).
pub(super) fn attributes_md5<'a>(sorted: impl IntoIterator<Item = &'a Attribute>) -> [u8; 16] {
    let mut hasher = Md5::new();
    for attribute in sorted {
        let (transport, value): (u8, &[u8]) = match &attribute.value {
            TypedValue::Text(text) => (1, text.as_bytes()),
            TypedValue::Binary(bytes) => (2, bytes),
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

pub(super) fn hex(bytes: &[u8], out: &mut Vec<u8>) {
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
    use proptest::prelude::*;

    use super::*;

    fn text(name: &str, data_type: &str, value: &str) -> Attribute {
        Attribute { name: name.into(), data_type: data_type.into(), value: TypedValue::Text(value.into()) }
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

    fn one_by_one(texts: &[Vec<u8>]) -> Vec<[u8; 16]> {
        texts.iter().map(|text| md5(text)).collect()
    }

    /// Every length around the ends of blocks, where the padding takes one block or two.
    #[test]
    fn lanes_pad_as_the_crate_does() {
        let texts: Vec<Vec<u8>> = (0..200).map(|length| (0..length).map(|byte| byte as u8 ^ 0x5a).collect()).collect();
        let sliced: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        let digests: Vec<_> =
            sliced.chunks(lanes::LANES).flat_map(|some| lanes::md5s(some).into_iter().take(some.len())).collect();
        assert_eq!(digests, one_by_one(&texts));
    }

    proptest! {
        #[test]
        fn several_are_digested_as_each_alone(
            texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..30)
        ) {
            let sliced: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(md5s(&sliced), one_by_one(&texts));
            for some in sliced.chunks(lanes::LANES) {
                prop_assert_eq!(&lanes::md5s(some)[..some.len()], &some.iter().map(|text| md5(text)).collect::<Vec<_>>()[..]);
            }
        }
    }
}
