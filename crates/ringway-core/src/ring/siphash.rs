//! SipHash-1-3 over one piece of text (Aumasson and Bernstein 2012, with one round per word and three at the end).
//!
//! Owned although libraries have it: a look-up is little more than this hash, and the usual crate's is built for pieces
//! that come one by one and is not inlined. Here the last word of a name is read whole instead of byte by byte. The
//! tests hold it to that crate, for every length.

/// The 64-bit hash of the bytes under a key in two halves.
#[inline]
pub(super) fn siphash13(key: (u64, u64), bytes: &[u8]) -> u64 {
    let mut state = State::new(key);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state.absorb(u64::from_le_bytes(*word));
    }
    state.absorb(last_word(bytes, rest));
    state.finish()
}

/// The bytes that filled no word, below the length of everything in the top byte.
#[inline]
fn last_word(bytes: &[u8], rest: &[u8]) -> u64 {
    let length = (bytes.len() as u64) << 56;
    match bytes.last_chunk::<8>() {
        _ if rest.is_empty() => length,
        Some(end) => length | u64::from_le_bytes(*end) >> (64 - 8 * rest.len()),
        None => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)) | length,
    }
}

struct State([u64; 4]);

impl State {
    #[inline]
    fn new((low, high): (u64, u64)) -> Self {
        // The authors' constants: "somepseudorandomlygeneratedbytes".
        Self([
            low ^ 0x736f_6d65_7073_6575,
            high ^ 0x646f_7261_6e64_6f6d,
            low ^ 0x6c79_6765_6e65_7261,
            high ^ 0x7465_6462_7974_6573,
        ])
    }

    #[inline]
    fn absorb(&mut self, word: u64) {
        self.0[3] ^= word;
        self.round();
        self.0[0] ^= word;
    }

    #[inline]
    fn finish(mut self) -> u64 {
        self.0[2] ^= 0xff;
        self.round();
        self.round();
        self.round();
        self.0.iter().fold(0, |hash, part| hash ^ part)
    }

    #[inline]
    fn round(&mut self) {
        let [a, b, c, d] = &mut self.0;
        *a = a.wrapping_add(*b);
        *b = b.rotate_left(13) ^ *a;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*d);
        *d = d.rotate_left(16) ^ *c;
        *a = a.wrapping_add(*d);
        *d = d.rotate_left(21) ^ *a;
        *c = c.wrapping_add(*b);
        *b = b.rotate_left(17) ^ *c;
        *c = c.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use siphasher::sip::SipHasher13;

    use super::siphash13;

    #[test]
    fn agrees_with_the_library_for_every_length() {
        let bytes: Vec<u8> = (0..=255).map(|i: u8| i.wrapping_mul(151)).collect();
        for length in 0..=bytes.len() {
            let expected = SipHasher13::new_with_keys(7, u64::MAX).hash(&bytes[..length]);
            assert_eq!(siphash13((7, u64::MAX), &bytes[..length]), expected, "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_library(low: u64, high: u64, bytes: Vec<u8>) {
            prop_assert_eq!(siphash13((low, high), &bytes), SipHasher13::new_with_keys(low, high).hash(&bytes));
        }
    }
}
