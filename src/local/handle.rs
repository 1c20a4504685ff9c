//! Receipt handles: opaque to the client, self-contained for the server.

use std::hash::{BuildHasher, RandomState};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::message::Key;

/// What a receipt handle says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    pub queue: u32,
    pub key: Key,
    /// The receive that handed it out, which tells an old handle from the latest.
    pub receive: u32,
}

/// Seals and opens handles with a key of this server's, so that nothing but its own handles are taken for one.
#[derive(Debug)]
pub(super) struct Seal {
    secret: RandomState,
}

/// The service's handles begin so in base64: `AQEB`.
const PREFIX: [u8; 3] = [1, 1, 1];

const LENGTH: usize = 27;

impl Seal {
    pub(super) fn new() -> Seal {
        Seal { secret: RandomState::new() }
    }

    fn mask(&self, tag: u64, part: u8) -> u64 {
        self.secret.hash_one((tag, part))
    }

    fn tag(&self, first: u64, second: u64) -> u64 {
        self.secret.hash_one((first, second))
    }

    pub(super) fn seal(&self, receipt: Receipt) -> String {
        let first = u64::from(receipt.queue) << 32 | u64::from(receipt.key.index);
        let second = u64::from(receipt.key.generation) << 32 | u64::from(receipt.receive);
        let tag = self.tag(first, second);
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend_from_slice(&PREFIX);
        bytes.extend_from_slice(&tag.to_be_bytes());
        bytes.extend_from_slice(&(first ^ self.mask(tag, 1)).to_be_bytes());
        bytes.extend_from_slice(&(second ^ self.mask(tag, 2)).to_be_bytes());
        BASE64_STANDARD.encode(bytes)
    }

    /// `None` for what no server of this process' kind could have handed out.
    pub(super) fn open(&self, handle: &str) -> Option<Receipt> {
        let mut bytes = [0u8; LENGTH + 3];
        let length = BASE64_STANDARD.decode_slice(handle, &mut bytes).ok()?;
        let rest = bytes.get(..length)?.strip_prefix(&PREFIX)?;
        let (tag, rest) = rest.split_first_chunk::<8>()?;
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let second: &[u8; 8] = rest.try_into().ok()?;
        let tag = u64::from_be_bytes(*tag);
        let first = u64::from_be_bytes(*first) ^ self.mask(tag, 1);
        let second = u64::from_be_bytes(*second) ^ self.mask(tag, 2);
        if self.tag(first, second) != tag {
            return None;
        }
        let key = Key { index: first as u32, generation: (second >> 32) as u32 };
        Some(Receipt { queue: (first >> 32) as u32, key, receive: second as u32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_handles_open() {
        let seal = Seal::new();
        let receipt = Receipt { queue: 7, key: Key { index: u32::MAX, generation: 3 }, receive: 9 };
        let handle = seal.seal(receipt);
        assert!(handle.starts_with("AQEB"), "{handle}");
        assert_eq!(seal.open(&handle), Some(receipt));
        assert_eq!(Seal::new().open(&handle), None);
        for garbage in ["", "garbage", "AQEB", &handle[1..], &format!("{handle}AAAA"), &handle.replace('A', "B")] {
            assert_eq!(seal.open(garbage), None, "{garbage}");
        }
    }
}
