//! The text of a test message: who sent it, where to, which number, when.
//!
//! It travels as `rw.RUN.SENDER.DEST.SEQ.NANOS.` followed by padding. Digits, letters and dots only, so that it needs no escaping in JSON and
//! cannot be mistaken for an address by the plain protocol. The receiver finds it inside whatever frame carries it, without parsing the frame.

use std::fmt::Write;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use memchr::memmem::{FindIter, Finder};

/// What every stamp begins with.
const MARK: &[u8] = b"rw.";

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MARK));
static BIRTH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds since this process first asked; both ends of every measured message are in this process.
pub fn now_nanos() -> u64 {
    // 2^64 ns are 584 years.
    u64::try_from(BIRTH.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// One numbered message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Tells this run's messages from what an earlier run left in an inbox or a history.
    pub run: u32,
    /// The number of the sending client.
    pub sender: u32,
    /// The number of the user or channel it goes to.
    pub dest: u32,
    /// 1 for a sender's first message to this destination, then one more each.
    pub seq: u64,
    /// When it was sent, by [`now_nanos`].
    pub nanos: u64,
}

impl Stamp {
    /// Appends the stamp to `text`, padded with `x` so that it takes at least `size` bytes.
    pub fn write(&self, text: &mut String, size: usize) {
        let start = text.len();
        let Stamp { run, sender, dest, seq, nanos } = self;
        // Writing to a String cannot fail.
        let _ = write!(text, "rw.{run}.{sender}.{dest}.{seq}.{nanos}.");
        let padding = size.saturating_sub(text.len() - start);
        text.extend(std::iter::repeat_n('x', padding));
    }

    /// How long ago it was sent.
    pub fn age(&self) -> Duration {
        Duration::from_nanos(now_nanos().saturating_sub(self.nanos))
    }

    /// Reads the fields that follow a mark.
    fn parse(bytes: &[u8]) -> Option<Stamp> {
        let mut rest = bytes;
        let run = u32::try_from(number(&mut rest)?).ok()?;
        let sender = u32::try_from(number(&mut rest)?).ok()?;
        let dest = u32::try_from(number(&mut rest)?).ok()?;
        Some(Stamp { run, sender, dest, seq: number(&mut rest)?, nanos: number(&mut rest)? })
    }
}

/// Every stamp inside one frame; a batch, a history or a recovery carries several.
pub fn stamps(frame: &[u8]) -> Stamps<'_> {
    Stamps { frame, marks: FINDER.find_iter(frame) }
}

/// The iterator that [`stamps`] returns.
#[derive(Debug)]
pub struct Stamps<'a> {
    frame: &'a [u8],
    marks: FindIter<'a, 'static>,
}

impl Iterator for Stamps<'_> {
    type Item = Stamp;

    fn next(&mut self) -> Option<Stamp> {
        let Stamps { frame, marks } = self;
        marks.find_map(|at| Stamp::parse(frame.get(at + MARK.len()..)?))
    }
}

/// Takes one decimal number and the dot behind it.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let dot = rest.iter().take(21).position(|&byte| byte == b'.')?;
    let (digits, tail) = rest.split_at(dot);
    *rest = tail.get(1..)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { run: 7, sender: 1, dest: 2, seq: 3, nanos: 4 };

    #[test]
    fn a_stamp_comes_back_from_inside_a_frame() {
        let mut text = String::from(r#"{"type":3,"content":""#);
        STAMP.write(&mut text, 64);
        text.push_str(r#"","from":"u1"}"#);
        assert_eq!(stamps(text.as_bytes()).collect::<Vec<_>>(), [STAMP]);
    }

    #[test]
    fn padding_fills_up_to_the_size_and_no_further() {
        let mut text = String::from("@bob:");
        STAMP.write(&mut text, 100);
        assert_eq!(text.len(), 105);
        let mut short = String::new();
        STAMP.write(&mut short, 1);
        assert_eq!(short, "rw.7.1.2.3.4.");
    }

    #[test]
    fn a_batch_gives_all_and_torn_marks_give_none() {
        let mut text = String::new();
        for seq in 1..=3 {
            Stamp { seq, ..STAMP }.write(&mut text, 0);
            text.push('\n');
        }
        text.push_str("rw.1.2. rw.x.1.2.3.4. rw.99999999999.1.2.3.4. rw.1.2.3.4.5");
        assert_eq!(stamps(text.as_bytes()).map(|stamp| stamp.seq).collect::<Vec<_>>(), [1, 2, 3]);
    }
}
