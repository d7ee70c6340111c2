//! The log over a folder that crashes, is full, damaged, or fails.

mod crash;
mod damage;
mod limits;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot};

use super::double::Double;
use super::fsync::Fsync;
use super::open::{OpenError, open};
use super::writer::{Ended, Op, Writer};
use super::{Limits, Options, read};
use crate::log::{Appended, Place};
use crate::store::Away;

const BIRTH: u64 = 7;

const SMALL: Limits = Limits { segment: 2_000, appends: 40_000, clean: 300 };

fn options(fsync: Fsync) -> Options {
    Options { birth: BIRTH, fsync, max_bytes: 0, accept_loss: false }
}

fn open_with(double: &Double, options: &Options) -> Result<Writer, OpenError> {
    open(Arc::new(double.clone()), Path::new("folder"), options, SMALL)
}

fn opened(double: &Double) -> Writer {
    open_with(double, &options(Fsync::Always)).expect("the log is sound")
}

type Answered<T> = oneshot::Receiver<Result<T, Away>>;

fn ask_append(writer: &mut Writer, slot: u32, after: Option<u64>, record: &Bytes) -> Answered<Appended> {
    let (answer, answered) = oneshot::channel();
    let room = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("it is free");
    writer.waiting.push_back(Op::Append { slot, after, record: record.clone(), answer, _room: room });
    answered
}

fn ask_trim(writer: &mut Writer, slot: u32, before: u64) -> Answered<()> {
    let (answer, answered) = oneshot::channel();
    writer.waiting.push_back(Op::Trim { slot, before, answer });
    answered
}

/// Rounds until all that waits was answered.
fn work(writer: &mut Writer) -> Result<(), Ended> {
    while !writer.waiting.is_empty() {
        writer.round()?;
    }
    Ok(())
}

/// Appends behind the last record.
fn append(writer: &mut Writer, slot: u32, record: impl Into<Bytes>) -> Appended {
    let last = writer.shared.index.lock().last(slot).map(|spot| spot.place);
    let mut answered = ask_append(writer, slot, last, &record.into());
    work(writer).expect("the disk is sound");
    answered.try_recv().expect("it is answered").expect("the log is there")
}

fn place(appended: Appended) -> u64 {
    match appended {
        Appended::At(Place(place)) => place,
        other => panic!("not appended: {other:?}"),
    }
}

fn trim(writer: &mut Writer, slot: u32, before: u64) {
    let mut answered = ask_trim(writer, slot, before);
    work(writer).expect("the disk is sound");
    answered.try_recv().expect("it is answered").expect("the log is there");
}

/// The records of a slot that count.
fn chain(writer: &Writer, slot: u32) -> Vec<(u64, Bytes)> {
    let (wanted, more) = read::page(&writer.shared.index.lock(), slot, None, usize::MAX);
    assert!(!more);
    let record = |wanted: &read::Wanted| wanted.record(BIRTH).expect("the record is sound");
    wanted.iter().map(record).map(|(Place(place), record)| (place, record)).collect()
}

fn records(writer: &Writer, slot: u32) -> Vec<Bytes> {
    chain(writer, slot).into_iter().map(|(_, record)| record).collect()
}
