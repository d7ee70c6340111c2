//! Makes bytes of what is said, each time in the dialect of whom it is said to, and once for all who share that.

use bytes::Bytes;
use ringway_protocol::dialect::{Dialect, Saying};
use smallvec::SmallVec;

use super::WallClock;

#[derive(Debug)]
pub(super) struct Speaker {
    clock: Box<dyn WallClock>,
    /// For encoding; always left empty.
    scratch: Vec<u8>,
    /// Pings are always the same.
    pings: Shared,
}

/// What is said to many, as it was encoded: at most once for each dialect, when the first one of that is to hear it.
#[derive(Debug, Default)]
pub(super) struct Shared {
    frames: SmallVec<[(Dialect, Option<Bytes>); 2]>,
}

impl Shared {
    /// The frame for this dialect; `None` where that has no words for it.
    fn of(&mut self, dialect: Dialect, encode: impl FnOnce() -> Option<Bytes>) -> Option<Bytes> {
        if let Some((_, frame)) = self.frames.iter().find(|(known, _)| *known == dialect) {
            return frame.clone();
        }
        let frame = encode();
        self.frames.push((dialect, frame.clone()));
        frame
    }
}

impl Speaker {
    pub(super) fn new(clock: Box<dyn WallClock>) -> Self {
        Self { clock, scratch: Vec::new(), pings: Shared::default() }
    }

    /// The frame with a saying; `None` where the dialect has no words for it.
    pub(super) fn say(&mut self, dialect: Dialect, saying: &Saying<'_>) -> Option<Bytes> {
        let clock = &mut self.clock;
        dialect.encode(&mut self.scratch, saying, || clock.text())
    }

    /// The same for one of many who are told it.
    pub(super) fn say_to_many(&mut self, shared: &mut Shared, dialect: Dialect, saying: &Saying<'_>) -> Option<Bytes> {
        shared.of(dialect, || self.say(dialect, saying))
    }

    /// A ping of the client protocol, if it has one.
    pub(super) fn ping(&mut self, dialect: Dialect) -> Option<Bytes> {
        let mut pings = std::mem::take(&mut self.pings);
        let ping = self.say_to_many(&mut pings, dialect, &Saying::Ping);
        self.pings = pings;
        ping
    }
}
