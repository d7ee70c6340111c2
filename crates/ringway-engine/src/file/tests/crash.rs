//! Crashes: random appends and trims on some slots, in small segments, on a machine whose power fails, whose process is killed, whose disk
//! is full or fails.

use std::collections::BTreeMap;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::super::double::Double;
use super::super::fsync::Fsync;
use super::super::writer::Writer;
use super::{Answered, ask_append, ask_trim, chain, open_with, options};
use crate::log::{Appended, Place};

const SLOTS: u32 = 5;

/// What may and must be in a slot.
#[derive(Debug, Default)]
struct Chain {
    /// What was answered or seen.
    records: BTreeMap<u64, Bytes>,
    /// What was asked for without an answer.
    unknown: Vec<Bytes>,
    /// Nothing before this is there any more.
    floor: u64,
    /// Up to this one all was synced.
    synced: u64,
    /// Nothing from this on was trimmed.
    highest_trim: u64,
}

impl Chain {
    fn last(&self) -> Option<u64> {
        self.records.last_key_value().map(|(place, _)| *place)
    }
}

/// Tells what to run again when a test fails.
struct Seed(u64, u32);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with seed {} after crash {}", self.0, self.1);
        }
    }
}

struct Bed {
    rng: SmallRng,
    double: Double,
    fsync: Fsync,
    chains: BTreeMap<u32, Chain>,
    newest: u64,
    asked: u64,
    /// The power failed since the last start that succeeded.
    power_failed: bool,
    /// The log was closed in order.
    sealed: bool,
    /// The life of the log.
    life: u64,
    seen: Seen,
}

/// What happened, so that a test can tell that it tests something.
#[derive(Debug, Default)]
struct Seen {
    /// Segments that were deleted.
    deleted: u64,
    appended: u64,
    full: u64,
    trimmed: u64,
    /// Starts that found records nobody had an answer for.
    unanswered: u64,
    /// Starts after which records were missing.
    shorter: u64,
    /// Starts that began another life of the log.
    lives: u64,
    /// Starts that failed, for the power failed again.
    interrupted: u64,
}

enum Asked {
    Append(u32, Bytes, Answered<Appended>),
    Trim(u32, u64, Answered<()>),
}

impl Bed {
    fn record(&mut self) -> Bytes {
        self.asked += 1;
        let len = match self.rng.random_range(0..50) {
            0 => self.rng.random_range(1_900..3_000),
            1..10 => 0,
            _ => self.rng.random_range(0..300),
        };
        let mut record = self.asked.to_le_bytes().to_vec();
        record.resize(8 + len, self.asked as u8);
        record.into()
    }

    fn ask(&mut self, writer: &mut Writer) -> Asked {
        let slot = self.rng.random_range(0..SLOTS);
        let record = self.record();
        let chain = self.chains.entry(slot).or_default();
        if self.rng.random_range(0..6) == 0 && !chain.records.is_empty() {
            let before = match self.rng.random_range(0..4) {
                0 => u64::MAX,
                _ => chain.records.keys().copied().nth(self.rng.random_range(0..chain.records.len())).unwrap_or(0),
            };
            chain.highest_trim = chain.highest_trim.max(before);
            return Asked::Trim(slot, before, ask_trim(writer, slot, before));
        }
        let after = if self.rng.random_range(0..20) == 0 { Some(0) } else { chain.last() };
        chain.unknown.push(record.clone());
        Asked::Append(slot, record.clone(), ask_append(writer, slot, after, &record))
    }

    fn hear(&mut self, asked: Asked) {
        match asked {
            Asked::Append(slot, record, mut answered) => {
                let Ok(answer) = answered.try_recv() else { return };
                let chain = self.chains.entry(slot).or_default();
                chain.unknown.retain(|unknown| *unknown != record);
                let answer = answer.expect("the log is there");
                self.seen.full += u64::from(answer == Appended::Full);
                if let Appended::At(Place(place)) = answer {
                    self.seen.appended += 1;
                    assert!(place > self.newest, "places are never given twice");
                    self.newest = place;
                    chain.records.insert(place, record);
                }
            }
            Asked::Trim(slot, before, mut answered) => {
                let Ok(Ok(())) = answered.try_recv() else { return };
                self.seen.trimmed += 1;
                let chain = self.chains.entry(slot).or_default();
                // An append of the same batch may have come before the trim.
                let last = chain.last().unwrap_or(0);
                let floor = before.min(last);
                if before != u64::MAX {
                    chain.floor = chain.floor.max(floor);
                    chain.records = chain.records.split_off(&chain.floor);
                }
            }
        }
    }

    /// Works until the power fails, or for some batches.
    fn work(&mut self, writer: &mut Writer) {
        for _ in 0..self.rng.random_range(1..60) {
            let asked: Vec<Asked> = (0..self.rng.random_range(0..6)).map(|_| self.ask(writer)).collect();
            match self.rng.random_range(0..200) {
                0 => self.double.fail_next_sync(),
                1..4 => self.double.room(self.rng.random_range(0..3_000)),
                4..10 => self.double.room(usize::MAX),
                _ => {}
            }
            let before = self.double.names().into_iter().next();
            writer.no_cleaning_before = None;
            let mut alive = writer.round().is_ok();
            while alive && !writer.waiting.is_empty() {
                alive = writer.round().is_ok();
            }
            self.seen.deleted += u64::from(self.double.names().into_iter().next() != before);
            assert!(!writer.never_clean, "what counts is copied");
            asked.into_iter().for_each(|asked| self.hear(asked));
            if !alive {
                return;
            }
            if self.rng.random_range(0..10) == 0 {
                let Ok(()) = writer.sync() else { return };
                self.chains.values_mut().for_each(|chain| chain.synced = chain.last().unwrap_or(0));
            }
            if self.rng.random_range(0..10) == 0 {
                self.check(writer, true);
            }
        }
        if self.rng.random() && writer.seal().is_ok() {
            self.sealed = true;
            self.chains.values_mut().for_each(|chain| chain.synced = chain.last().unwrap_or(0));
        }
    }

    /// What is there is what must be there, and perhaps what may. Without `sure`, what was not synced may be missing.
    fn check(&mut self, writer: &Writer, sure: bool) {
        for (slot, model) in &mut self.chains {
            let is = chain(writer, *slot);
            assert!(is.is_sorted_by_key(|(place, _)| *place));
            for (place, record) in &is {
                match model.records.get(place) {
                    Some(known) => assert_eq!(known, record, "slot {slot} at {place}"),
                    None if sure => {
                        assert!(model.unknown.contains(record), "slot {slot} at {place}: nobody asked for this");
                        assert!(Some(*place) > model.last(), "slot {slot} at {place}: it was trimmed");
                    }
                    None => {}
                }
            }
            let first = is.first().map_or(0, |(place, _)| *place);
            assert!(!sure || is.is_empty() || first >= model.floor, "slot {slot}: a trim was undone");
            for place in model.records.keys().filter(|place| sure || **place <= model.synced) {
                let there = is.binary_search_by_key(place, |(place, _)| *place).is_ok();
                let trimmed = *place < first && *place < model.highest_trim;
                assert!(there || trimmed, "slot {slot} at {place}: lost; {first} is the first");
            }
        }
    }

    /// What was seen after a start stays.
    fn learn(&mut self, writer: &Writer) {
        let shorter = self.seen.shorter;
        for (slot, model) in &mut self.chains {
            model.unknown.clear();
            let before = model.last();
            model.records = chain(writer, *slot).into_iter().collect();
            self.seen.unanswered += u64::from(model.last() > before);
            self.seen.shorter += u64::from(model.last() < before);
            model.floor = model.records.first_key_value().map_or(0, |(place, _)| *place);
            model.highest_trim = model.floor;
            model.synced = model.last().unwrap_or(0);
            self.newest = self.newest.max(model.last().unwrap_or(0));
        }
        let before = std::mem::replace(&mut self.life, Place(writer.place).life());
        assert!(self.seen.shorter == shorter || self.life > before, "it has lost its end, and does not say so");
        let is_safe = !self.power_failed || self.sealed || self.fsync == Fsync::Always;
        assert!(!is_safe || self.life == before, "it says that it has lost its end, and cannot have");
        self.seen.lives += self.life - before;
    }

    fn crash(&mut self, rounds: u32, seed: &mut Seed) {
        for round in 0..rounds {
            seed.1 = round;
            let Ok(mut writer) = open_with(&self.double, &options(self.fsync)).map_err(|why| {
                assert!(why.to_string().contains("the power failed"), "{why}");
            }) else {
                self.seen.interrupted += 1;
                self.fail();
                continue;
            };
            self.check(&writer, self.fsync == Fsync::Always || !self.power_failed);
            self.learn(&writer);
            (self.power_failed, self.sealed) = (false, false);
            self.double.fuse(self.rng.random_range(1..250));
            self.work(&mut writer);
            drop(writer);
            self.fail();
            // Sometimes the next start fails as well.
            if self.rng.random_range(0..4) == 0 {
                self.double.fuse(self.rng.random_range(1..8));
            }
        }
    }

    /// The power of the machine, or only the process.
    fn fail(&mut self) {
        if self.rng.random_range(0..3) == 0 {
            self.double.restart();
        } else {
            self.double.crash();
            self.power_failed = true;
        }
    }
}

fn run(fsync: Fsync, seeds: std::ops::Range<u64>) -> Seen {
    let mut seen = Seen::default();
    for seed in seeds {
        let mut guard = Seed(seed, 0);
        let (rng, double) = (SmallRng::seed_from_u64(seed), Double::new(seed));
        let chains = BTreeMap::new();
        let mut bed =
            Bed { rng, double, fsync, chains, newest: 0, asked: 0, power_failed: false, sealed: false, life: 0, seen };
        bed.crash(20, &mut guard);
        seen = bed.seen;
    }
    println!("{seen:?}");
    for (what, count) in [
        ("deleted", seen.deleted),
        ("full", seen.full),
        ("trimmed", seen.trimmed),
        ("unanswered", seen.unanswered),
        ("interrupted", seen.interrupted),
    ] {
        assert!(count > 20, "{what}: {seen:?}");
    }
    seen
}

#[test]
fn what_was_answered_survives_every_crash() {
    assert_eq!(run(Fsync::Always, 0..200).shorter, 0);
}

#[test]
fn what_was_not_synced_is_lost_in_order_and_without_damage() {
    let seen = run(Fsync::Never, 1_000..1_200);
    assert!(seen.shorter > 20 && seen.lives > 20, "{seen:?}");
}
