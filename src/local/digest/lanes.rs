//! MD5 of several texts side by side. Each step of MD5 waits for the one before it, which leaves most of a processor idle;
//! with a text in each lane of a vector, the same steps do for all of them.

// Every index is a counter or a constant below the length of its array.
#![allow(clippy::indexing_slicing)]

use std::array::from_fn;

use wide::u32x4;

/// How many texts go side by side: more than a batch holds, and as many as stay in the registers.
pub(super) const LANES: usize = 12;

/// One word of each text.
type Words = [u32x4; LANES / 4];
/// A block of a text: MD5 reads 64 bytes at a time.
type Block = [u8; 64];

const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
/// The first 32 bits behind the point of |sin 1|, |sin 2| and so on.
#[rustfmt::skip]
const SINES: [[u32; 16]; 4] = [
    [
        0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
        0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    ],
    [
        0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
        0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    ],
    [
        0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
        0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    ],
    [
        0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
        0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
    ],
];

/// A text in blocks, with the padding that MD5 puts behind it.
struct Padded<'a> {
    whole: &'a [Block],
    tail: [Block; 2],
    blocks: usize,
}

impl<'a> Padded<'a> {
    fn new(text: &'a [u8]) -> Padded<'a> {
        let (whole, rest) = text.as_chunks();
        let mut tail = [[0; 64]; 2];
        tail[0][..rest.len()].copy_from_slice(rest);
        tail[0][rest.len()] = 0x80;
        // The length in bits takes the last eight bytes, of this block or of one more.
        let more = usize::from(rest.len() >= 56);
        tail[more][56..].copy_from_slice(&(text.len() as u64 * 8).to_le_bytes());
        Padded { whole, tail, blocks: whole.len() + 1 + more }
    }

    /// A block that is one of the text's, or a tail one's: of a text that has ended it does not matter which.
    fn block(&self, number: usize) -> &Block {
        self.whole.get(number).unwrap_or_else(|| &self.tail[usize::from(number > self.whole.len())])
    }
}

/// The digests of the texts, of which there may be fewer than lanes.
pub(super) fn md5s(texts: &[&[u8]]) -> [[u8; 16]; LANES] {
    let texts: [Padded<'_>; LANES] = from_fn(|lane| Padded::new(texts.get(lane).copied().unwrap_or_default()));
    let mut digests = [[0; 16]; LANES];
    let mut state = START.map(|word| [u32x4::splat(word); LANES / 4]);
    for number in 0..texts.iter().map(|text| text.blocks).max().unwrap_or_default() {
        compress(&mut state, &texts.each_ref().map(|text| text.block(number)));
        for lane in (0..LANES).filter(|lane| texts[*lane].blocks == number + 1) {
            for (digest, words) in digests[lane].as_chunks_mut().0.iter_mut().zip(&state) {
                *digest = words[lane / 4].to_array()[lane % 4].to_le_bytes();
            }
        }
    }
    digests
}

fn compress(state: &mut [Words; 4], blocks: &[&Block; LANES]) {
    let message = words(blocks);
    let before = *state;
    round(state, &message, 0, |x, y, z| z ^ (x & (y ^ z)), |step| step);
    round(state, &message, 1, |x, y, z| y ^ (z & (x ^ y)), |step| 5 * step + 1);
    round(state, &message, 2, |x, y, z| x ^ y ^ z, |step| 3 * step + 5);
    round(state, &message, 3, |x, y, z| y ^ (x | !z), |step| 7 * step);
    for (now, before) in state.iter_mut().flatten().zip(before.iter().flatten()) {
        *now += *before;
    }
}

/// Sixteen steps. Inlined, so that what depends on the number of a step alone is settled by the compiler.
#[inline(always)]
fn round(
    state: &mut [Words; 4],
    message: &[Words; 16],
    round: usize,
    mix: impl Fn(u32x4, u32x4, u32x4) -> u32x4,
    word: impl Fn(usize) -> usize,
) {
    let [mut a, mut b, mut c, mut d] = *state;
    for step in 0..16 {
        let shift = SHIFTS[round][step % 4];
        let sine = u32x4::splat(SINES[round][step]);
        let next = from_fn(|four| {
            let sum = a[four] + mix(b[four], c[four], d[four]) + (message[word(step) % 16][four] + sine);
            b[four] + (sum << shift | sum >> (32 - shift))
        });
        (a, b, c, d) = (d, next, b, c);
    }
    *state = [a, b, c, d];
}

/// The blocks' sixteen words, each with those of all texts together.
fn words(blocks: &[&Block; LANES]) -> [Words; 16] {
    let mut words = [[u32x4::splat(0); LANES / 4]; 16];
    for (four, blocks) in blocks.as_chunks::<4>().0.iter().enumerate() {
        for quarter in 0..4 {
            let rows = blocks.map(|block| {
                let words = &block.as_chunks::<4>().0[quarter * 4..][..4];
                u32x4::new(from_fn(|word| u32::from_le_bytes(words[word])))
            });
            for (word, column) in u32x4::transpose(rows).into_iter().enumerate() {
                words[quarter * 4 + word][four] = column;
            }
        }
    }
    words
}
