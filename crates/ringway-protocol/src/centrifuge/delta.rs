//! Differences between a publication and the one before it, in the format of Fossil: what clients that ask for `fossil` put together again.
//!
//! ```text
//!   difference   length of the whole \n, parts, checksum of the whole ;
//!   part         length @ offset ,        so many bytes of the one before, from there
//!                length : bytes           these bytes
//! ```
//!
//! Numbers are written with 64 digits. A difference is a text if both payloads are: bytes are never taken from the middle of a character.

use std::collections::HashMap;

/// Bytes of a payload of which no difference is made: it takes time, and the message is large anyway.
const MOST_BYTES: usize = 1 << 20;

/// Bytes that are looked for in the payload before, at every such step of it.
const BLOCK: usize = 16;

/// Fewer bytes than these are not worth a part of their own.
const WORTH: usize = 12;

const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";

/// The difference, if it is shorter than the whole.
pub fn difference(before: &[u8], whole: &[u8]) -> Option<Vec<u8>> {
    if before.len() > MOST_BYTES || whole.len() > MOST_BYTES {
        return None;
    }
    let mut out = Vec::with_capacity(64);
    number(&mut out, whole.len() as u64);
    out.push(b'\n');
    Writer { before, whole, is_text: std::str::from_utf8(whole).is_ok(), out: &mut out, done: 0 }.write();
    number(&mut out, checksum(whole).into());
    out.push(b';');
    (out.len() < whole.len()).then_some(out)
}

struct Writer<'a> {
    before: &'a [u8],
    whole: &'a [u8],
    is_text: bool,
    out: &'a mut Vec<u8>,
    /// Bytes of the whole that are written.
    done: usize,
}

impl Writer<'_> {
    fn write(&mut self) {
        let begin = same(self.before.iter(), self.whole.iter());
        self.copy(0, 0, begin);
        let most = self.before.len().min(self.whole.len()) - self.done;
        let end = same(self.before.iter().rev(), self.whole.iter().rev()).min(most);
        self.find_between(self.whole.len() - end);
        self.copy(self.before.len() - end, self.whole.len() - end, end);
        self.insert(self.whole.len());
    }

    /// Looks for what stands elsewhere in the payload before, up to this place.
    fn find_between(&mut self, end: usize) {
        if end - self.done < BLOCK {
            return;
        }
        let mut places = HashMap::new();
        for (index, block) in self.before.chunks_exact(BLOCK).enumerate() {
            places.entry(block).or_insert(index * BLOCK);
        }
        let mut at = self.done;
        while at + BLOCK <= end {
            match places.get(&self.whole[at..at + BLOCK]) {
                None => at += 1,
                Some(&from) => {
                    let back = same(self.before[..from].iter().rev(), self.whole[self.done..at].iter().rev());
                    let ahead = same(self.before[from..].iter(), self.whole[at..end].iter());
                    self.copy(from - back, at - back, back + ahead);
                    at = at.max(self.done) + usize::from(self.done <= at);
                }
            }
        }
    }

    /// Takes so many bytes from the payload before, if it is worth it, with what stands before them here.
    fn copy(&mut self, mut from: usize, mut at: usize, mut count: usize) {
        while count > 0 && !self.is_boundary(at) {
            (from, at, count) = (from + 1, at + 1, count - 1);
        }
        while count > 0 && !self.is_boundary(at + count) {
            count -= 1;
        }
        if count < WORTH {
            return;
        }
        self.insert(at);
        number(self.out, count as u64);
        self.out.push(b'@');
        number(self.out, from as u64);
        self.out.push(b',');
        self.done = at + count;
    }

    /// Writes the bytes up to this place as they are.
    fn insert(&mut self, end: usize) {
        if end > self.done {
            number(self.out, (end - self.done) as u64);
            self.out.push(b':');
            self.out.extend_from_slice(&self.whole[self.done..end]);
            self.done = end;
        }
    }

    /// No character is cut in two here.
    fn is_boundary(&self, at: usize) -> bool {
        !self.is_text || self.whole.get(at).is_none_or(|byte| byte & 0xc0 != 0x80)
    }
}

/// How many of them are the same.
fn same<'a>(a: impl Iterator<Item = &'a u8>, b: impl Iterator<Item = &'a u8>) -> usize {
    a.zip(b).take_while(|(a, b)| a == b).count()
}

fn number(out: &mut Vec<u8>, mut number: u64) {
    let start = out.len();
    loop {
        out.push(DIGITS[(number & 63) as usize]);
        number >>= 6;
        if number == 0 {
            break;
        }
    }
    out[start..].reverse();
}

/// The sum of all words of four bytes, the last one filled up with zeros.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.chunks(4).fold(0, |sum: u32, chunk| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        sum.wrapping_add(u32::from_be_bytes(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &mut &[u8]) -> u64 {
        let digits = bytes.iter().take_while(|byte| DIGITS.contains(byte)).count();
        let (number, rest) = bytes.split_at(digits);
        *bytes = rest;
        number.iter().fold(0, |all, digit| all * 64 + DIGITS.iter().position(|one| one == digit).unwrap() as u64)
    }

    fn sign(bytes: &mut &[u8]) -> u8 {
        let (sign, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        *sign
    }

    /// What a client does.
    fn put_together(before: &[u8], mut difference: &[u8]) -> Vec<u8> {
        let bytes = &mut difference;
        let length = read(bytes) as usize;
        assert_eq!(sign(bytes), b'\n');
        let mut whole = Vec::new();
        loop {
            let count = read(bytes);
            match sign(bytes) {
                b'@' => {
                    let from = read(bytes) as usize;
                    assert_eq!(sign(bytes), b',');
                    whole.extend_from_slice(&before[from..from + count as usize]);
                }
                b':' => {
                    let (literal, rest) = bytes.split_at(count as usize);
                    whole.extend_from_slice(literal);
                    *bytes = rest;
                }
                other => {
                    assert_eq!((other, bytes.len()), (b';', 0));
                    assert_eq!((whole.len(), u64::from(checksum(&whole))), (length, count));
                    return whole;
                }
            }
        }
    }

    #[test]
    fn a_small_change_of_a_large_document_is_small() {
        let document =
            |price: &str| format!(r#"{{"name":"{}","price":"{price}","more":"{}"}}"#, "n".repeat(300), "m".repeat(300));
        let (before, whole) = (document("10.5"), document("11"));
        let difference = difference(before.as_bytes(), whole.as_bytes()).unwrap();
        assert!(difference.len() < 40, "{}", String::from_utf8_lossy(&difference));
        assert_eq!(put_together(before.as_bytes(), &difference), whole.as_bytes());
    }

    #[test]
    fn what_has_moved_is_found() {
        let words = |from: u32| (from..from + 20).map(|n| format!("{:05}", n * 7919 % 99_991)).collect::<String>();
        let (first, second) = (words(1), words(500));
        let (before, whole) = (format!("[{first},{second}]"), format!("<{second};{first}>"));
        let difference = difference(before.as_bytes(), whole.as_bytes()).unwrap();
        assert!(difference.len() < 40, "{}", String::from_utf8_lossy(&difference));
        assert_eq!(put_together(before.as_bytes(), &difference), whole.as_bytes());
    }

    #[test]
    fn what_is_not_shorter_is_none() {
        for (before, whole) in [("", ""), ("", "a"), ("a", ""), ("a", "a"), ("{\"a\":1}", "{\"a\":2}")] {
            assert_eq!(difference(before.as_bytes(), whole.as_bytes()), None, "{before} {whole}");
        }
        assert_eq!(difference(&vec![0; MOST_BYTES + 1], &[0; 100]), None);
    }

    #[test]
    fn the_numbers_are_those_of_the_format() {
        let mut out = Vec::new();
        for (value, text) in [(0, "0"), (63, "~"), (64, "10"), (4096, "100")] {
            out.clear();
            number(&mut out, value);
            assert_eq!(out, text.as_bytes());
        }
        assert_eq!(checksum(&[0, 0, 0, 1, 2]), 0x0200_0001);
    }

    /// Texts that have much in common, some of it in characters of several bytes.
    fn text() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            "[a-c]{1,3}",
            Just("größenwahnsinnige Übertreibung".to_owned()),
            Just("日本語の長い文".to_owned())
        ];
        prop::collection::vec(word, 0..12).prop_map(|words| words.join(" "))
    }

    proptest! {
        #[test]
        fn a_client_gets_what_was_published(before in text(), whole in text()) {
            if let Some(difference) = difference(before.as_bytes(), whole.as_bytes()) {
                prop_assert!(std::str::from_utf8(&difference).is_ok());
                prop_assert_eq!(put_together(before.as_bytes(), &difference), whole.as_bytes());
            }
        }

        #[test]
        fn so_it_is_with_any_bytes(a in prop::collection::vec(0_u8..3, 0..200), b in prop::collection::vec(0_u8..3, 0..200)) {
            if let Some(difference) = difference(&a, &b) {
                prop_assert_eq!(put_together(&a, &difference), b);
            }
        }
    }
}
