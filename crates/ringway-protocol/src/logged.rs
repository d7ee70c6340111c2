//! A record of the log as it is kept outside.
//!
//! ```text
//! version u8 | when it was written, in milliseconds since 1970, u64 big-endian | the record, spelled as on links
//! ```
//!
//! The version is that of this layout. A later version of the record itself is read as it is on links: what is not known is skipped. Whoever
//! keeps the bytes looks after them: there is no checksum here.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use ringway_core::logbook::{Logged, Place, Record};

use crate::link::{self, FrameError};

/// Version of the layout.
const VERSION: u8 = 1;

/// Why bytes are no record. Nothing of them is used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It was written by a release that keeps records another way.
    #[error(
        "it is of version {0} of the format, and this release reads version {VERSION}: run the release that wrote it"
    )]
    Version(u8),
    /// It ends too early.
    #[error("it is cut off")]
    CutOff,
    /// It holds something else.
    #[error("it holds no record: {0}")]
    NoRecord(#[from] FrameError),
}

/// The bytes of a record that is written at this time, counted from 1970.
pub fn encode(record: &Record, at: Duration) -> Bytes {
    let mut bytes = BytesMut::with_capacity(record.size());
    bytes.put_u8(VERSION);
    bytes.put_u64(u64::try_from(at.as_millis()).unwrap_or(u64::MAX));
    link::spell_record(record, &mut bytes);
    bytes.freeze()
}

/// The record that stands at this place, as old as it is now. Clocks that say it comes from the future make it new.
///
/// # Errors
/// [`RecordError`].
pub fn decode(place: Place, bytes: &[u8], now: Duration) -> Result<Logged, RecordError> {
    let (version, rest) = bytes.split_first().ok_or(RecordError::CutOff)?;
    if *version != VERSION {
        return Err(RecordError::Version(*version));
    }
    let (at, body) = rest.split_first_chunk().ok_or(RecordError::CutOff)?;
    let age = now.saturating_sub(Duration::from_millis(u64::from_be_bytes(*at)));
    Ok(Logged { place, age, record: link::read_record(body)?.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::testing::{Choices, Sample};

    #[test]
    fn what_was_written_is_read_as_old_as_it_is() {
        for seed in 0..200 {
            let record = Record::sample(&mut Choices::scattered(seed));
            let bytes = encode(&record, Duration::from_millis(5_000));
            let read = |now| decode(Place(7), &bytes, Duration::from_millis(now)).unwrap();
            assert_eq!(*read(6_500).record, record, "seed {seed}");
            assert_eq!((read(6_500).age, read(6_500).place), (Duration::from_millis(1_500), Place(7)));
            assert_eq!(read(4_000).age, Duration::ZERO, "a clock that went back");
        }
    }

    #[test]
    fn what_is_no_record_is_told() {
        let bytes = encode(&Record::sample(&mut Choices::scattered(1)), Duration::ZERO);
        let read = |bytes: &[u8]| decode(Place(1), bytes, Duration::ZERO).map(|_| ());
        assert_eq!(read(&[]), Err(RecordError::CutOff));
        assert_eq!(read(&bytes[..5]), Err(RecordError::CutOff));
        assert_eq!(read(&[[9].as_slice(), &bytes[1..]].concat()), Err(RecordError::Version(9)));
        assert!(matches!(read(&bytes[..10]), Err(RecordError::NoRecord(_))));
    }
}
