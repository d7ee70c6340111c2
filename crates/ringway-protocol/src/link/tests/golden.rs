//! The bytes of this version, one line for each kind of everything that has kinds. They are what other releases read and
//! write: a difference here is found before it is found between two members.

pub(super) mod values;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::{Debug, Write};
use std::path::Path;

use bytes::BytesMut;

use super::super::testing::{Choices, Sample};
use super::super::*;
use super::{KINDS, frame_of_kind};

/// Says what a difference means.
const MEANING: &str = "\nThe spelling of the link protocol has changed. If no release has this version yet, write the file anew: \
     RINGWAY_WRITE_GOLDEN=1 cargo test -p ringway-protocol golden\nIf one has, its bytes are fixed for ever: give the change a \
     version of its own (the rules stand in src/link.rs), keep this file as it is, and begin one for the new version.";

/// Lines are written, not compared, if this is set.
const WRITE: &str = "RINGWAY_WRITE_GOLDEN";

fn file() -> std::path::PathBuf {
    let name = format!("src/link/tests/golden/v{}.txt", Versions::OURS.highest);
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn spelled(handshake: &Handshake) -> BytesMut {
    let mut out = BytesMut::new();
    encode_handshake(handshake, &mut out).unwrap();
    out
}

/// Every line as it should be.
fn lines() -> String {
    let versions = Versions::OURS;
    let mut lines = format!("# What {versions} of the link protocol looks like, in hexadecimal: see ../golden.rs.\n");
    let mut line = |name: &str, bytes: &[u8]| writeln!(lines, "{name:<28} {}", hex(bytes)).unwrap();
    line("preamble", &preamble(versions));
    values::handshakes().iter().for_each(|(name, message)| line(name, &spelled(message)));
    values::frames().iter().for_each(|(name, frame)| line(name, &super::bytes_of(frame)));
    lines
}

#[test]
fn golden_bytes_are_written_as_ever() {
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(file(), lines()).unwrap();
    }
    let (kept, now) = (std::fs::read_to_string(file()).unwrap_or_default(), lines());
    for (kept, now) in kept.lines().zip(now.lines()) {
        assert_eq!(kept, now, "{MEANING}");
    }
    assert_eq!(kept.lines().count(), now.lines().count(), "{MEANING}");
}

#[test]
fn golden_bytes_are_read_as_ever() {
    if std::env::var_os(WRITE).is_some() {
        return;
    }
    let kept = std::fs::read_to_string(file()).unwrap();
    let bytes = |name: &str| {
        let line = kept.lines().find(|line| line.split(' ').next() == Some(name));
        unhex(
            line.and_then(|line| line.split(' ').next_back()).unwrap_or_else(|| panic!("no line for {name}{MEANING}")),
        )
    };
    for (name, message) in values::handshakes() {
        is_read(name, &decode_handshake(&bytes(name)[LENGTH_BYTES..]), &Ok(message));
    }
    for (name, frame) in values::frames() {
        is_read(name, &decode(&mut BytesMut::from(&bytes(name)[..])), &Ok(Some(Taken::Frame(frame))));
    }
}

fn is_read<T: PartialEq + Debug>(name: &str, read: &T, meant: &T) {
    assert!(read == meant, "{name} is read as {read:?}, and means {meant:?}{MEANING}");
}

thread_local! {
    static WRITTEN: RefCell<BTreeSet<(&'static str, u8)>> = const { RefCell::new(BTreeSet::new()) };
}

/// A variant was written.
pub(in crate::link) fn note(what: &'static str, kind: u8) {
    WRITTEN.with_borrow_mut(|written| written.insert((what, kind)));
}

/// The kinds that are written meanwhile.
fn written(write: impl FnOnce()) -> BTreeSet<(&'static str, u8)> {
    WRITTEN.take();
    write();
    WRITTEN.take()
}

#[test]
fn every_kind_of_everything_has_golden_bytes() {
    let golden = written(|| drop(lines()));
    let drawn = written(|| {
        for seed in 0..300 {
            (0..KINDS).for_each(|kind| drop(super::bytes_of(&frame_of_kind(kind, seed))));
            drop(spelled(&Handshake::sample(&mut Choices::scattered(seed))));
        }
    });
    assert!(drawn.len() > KINDS + 20, "{drawn:?}");
    let missing: Vec<_> = drawn.difference(&golden).collect();
    assert!(missing.is_empty(), "add values of these kinds to golden/values.rs: {missing:?}");
}

#[test]
fn golden_preambles() {
    assert_eq!(&preamble(Versions { lowest: 3, highest: 0x0104 }), b"ringway\0\x03\0\x04\x01");
    assert_eq!(read_preamble_head(b"ringway\0\x03\x01"), Ok(PreambleHead::Lowest(0x0103)));
    // The first two versions had this preamble and no more of it.
    assert_eq!(read_preamble_head(b"ringway\0\x01\0"), Ok(PreambleHead::Only(1)));
    assert_eq!(read_preamble_head(b"ringway\0\x02\0"), Ok(PreambleHead::Only(2)));
    assert_eq!(read_preamble_head(b"GET / HTTP"), Err(NotALink));
}

#[test]
fn both_ends_use_the_highest_version_in_common() {
    let versions = |lowest, highest| Versions { lowest, highest };
    for (ours, theirs, common) in [
        (versions(3, 3), versions(3, 3), Some(3)),
        (versions(3, 5), versions(4, 9), Some(5)),
        (versions(3, 5), versions(5, 5), Some(5)),
        (versions(3, 3), versions(4, 5), None),
        (versions(3, 5), versions(9, 4), None),
    ] {
        assert_eq!((ours.common(theirs), theirs.common(ours)), (common, common), "{ours}, {theirs}");
    }
    assert_eq!(
        (versions(3, 3).to_string(), versions(3, 4).to_string()),
        ("version 3".into(), "versions 3 to 4".into())
    );
}
