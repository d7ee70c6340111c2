//! What every adapter must do, for the tests of each.

mod bus;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::census::{Census, Entry, Reason, Standing};
use crate::log::{Appended, Log, Page, Place};
use crate::store::{Away, Found, Refused, Store};

pub use bus::{bus, given, next};

const RIVALS: usize = 8;

/// A server that was started again serves within this.
const BACK: Duration = Duration::from_secs(30);

/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// Records that are appended while the server ends again and again.
const RECORDS: u32 = 1_000;

/// Holds a store to its trait. Its keys that begin with `under` and a dot must not exist before.
///
/// # Panics
/// At what goes otherwise.
pub async fn store(store: &impl Store, under: &str) {
    create_once_of_many(store, &format!("{under}.create")).await;
    write_against_a_rival(store, &format!("{under}.rival")).await;
    remove_against_a_renewal(store, &format!("{under}.remove")).await;
    begin_anew_after_a_removal(store, &format!("{under}.anew")).await;
    list_what_there_is(store, &format!("{under}.list")).await;
    assert_eq!(store.life(), store.life(), "a life has one name");
}

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

async fn read(store: &impl Store, key: &str) -> Option<Found> {
    store.read(key).await.expect("the store is there")
}

fn is_conflict<T>(result: &Result<T, Refused>) -> bool {
    matches!(result, Err(Refused::Conflict))
}

async fn create_once_of_many(store: &impl Store, key: &str) {
    assert_eq!(read(store, key).await, None);
    assert!(is_conflict(&store.write(key, Some(1), text("x")).await), "nothing is at that revision");
    let values: Vec<String> = (0..RIVALS).map(|rival| format!("of {rival}")).collect();
    let results = join_all(values.iter().map(|value| store.write(key, None, text(value)))).await;
    let done: Vec<usize> = (0..RIVALS).filter(|at| results[*at].is_ok()).collect();
    let [winner] = done[..] else { panic!("so many have created one key: {results:?}") };
    assert!(results.iter().enumerate().all(|(at, result)| at == winner || is_conflict(result)), "{results:?}");
    let found = read(store, key).await.expect("it was created");
    assert_eq!((found.value, Some(found.revision)), (text(&values[winner]), results[winner].as_ref().ok().copied()));
}

async fn write_against_a_rival(store: &impl Store, key: &str) {
    let mut revision = store.write(key, None, text("first")).await.expect("it is created");
    for round in 0..20 {
        let values: Vec<String> = (0..RIVALS).map(|rival| format!("{round} of {rival}")).collect();
        let results = join_all(values.iter().map(|value| store.write(key, Some(revision), text(value)))).await;
        let won: Vec<u64> = results.iter().filter_map(|result| result.as_ref().ok().copied()).collect();
        let [next] = won[..] else { panic!("so many have written after one revision: {results:?}") };
        assert!(next > revision, "revisions grow");
        assert_eq!(read(store, key).await.map(|found| found.revision), Some(next), "a read after a write");
        assert!(is_conflict(&store.write(key, Some(revision), text("late")).await));
        revision = next;
    }
}

async fn remove_against_a_renewal(store: &impl Store, key: &str) {
    let seen = store.write(key, None, text("1")).await.expect("it is created");
    let renewed = store.write(key, Some(seen), text("2")).await.expect("it is renewed");
    assert!(is_conflict(&store.remove(key, Some(seen)).await), "it has moved since");
    store.remove(key, Some(renewed)).await.expect("it is removed");
    assert_eq!(read(store, key).await, None);
    store.remove(key, Some(renewed)).await.expect("what is not there is removed");
    store.remove(key, None).await.expect("whatever it is");
    assert!(is_conflict(&store.write(key, Some(renewed), text("3")).await), "whoever held it finds it gone");
}

async fn begin_anew_after_a_removal(store: &impl Store, key: &str) {
    let first = store.write(key, None, text("1")).await.expect("it is created");
    store.remove(key, None).await.expect("it is removed");
    let second = store.write(key, None, text("2")).await.expect("it is created again");
    assert!(second > first);
    assert!(is_conflict(&store.write(key, None, text("3")).await), "it is there");
    assert!(is_conflict(&store.write(key, Some(first), text("3")).await), "that was the one before");
    store.remove(key, None).await.expect("it is removed");
}

async fn list_what_there_is(store: &impl Store, prefix: &str) {
    assert!(store.list(prefix).await.expect("the store is there").is_empty());
    let mut expected = BTreeSet::new();
    for name in ["a", "b", "c"] {
        let revision = store.write(&format!("{prefix}.{name}"), None, text(name)).await.expect("it is created");
        expected.insert((name.to_owned(), revision));
    }
    store.remove(&format!("{prefix}.b"), None).await.expect("it is removed");
    expected.retain(|(name, _)| name != "b");
    // A list may be old for a while.
    let mut listed = BTreeSet::new();
    for _ in 0..100 {
        listed = store.list(prefix).await.expect("the store is there").into_iter().collect();
        if listed == expected {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(listed, expected);
}

/// Holds a log to its trait. Four slots from `first` on must have no record before.
///
/// # Panics
/// At what goes otherwise.
pub async fn log(log: &impl Log, first: u32) {
    begin_a_chain_once(log, first).await;
    append_against_a_rival(log, first + 1).await;
    read_page_by_page(log, first + 2).await;
    trim_and_go_on(log, first + 3).await;
    let slots: BTreeSet<u32> = log.slots().await.expect("the log is there").into_iter().collect();
    assert!((first..first + 4).all(|slot| slots.contains(&slot)), "{slots:?}");
    assert!(!slots.contains(&(first + 4)), "nothing was appended there: {slots:?}");
}

async fn append(log: &impl Log, slot: u32, after: Option<Place>, record: impl Into<Bytes>) -> Place {
    match log.append(slot, after, record.into()).await.expect("the log is there") {
        Appended::At(place) => place,
        other => panic!("not appended after {after:?}: {other:?}"),
    }
}

async fn last(log: &impl Log, slot: u32) -> Option<(Place, Bytes)> {
    log.last(slot).await.expect("the log is there")
}

async fn conflicts(log: &impl Log, slot: u32, after: Option<Place>) {
    let before = last(log, slot).await;
    assert_eq!(log.append(slot, after, text("late")).await.expect("the log is there"), Appended::Conflict);
    assert_eq!(last(log, slot).await, before, "nothing was changed");
}

async fn begin_a_chain_once(log: &impl Log, slot: u32) {
    assert_eq!(last(log, slot).await, None);
    assert_eq!(log.read(slot, None, 1).await.expect("the log is there"), Page::default());
    conflicts(log, slot, Some(Place(1))).await;
    let records: Vec<String> = (0..RIVALS).map(|rival| format!("of {rival}")).collect();
    let results = join_all(records.iter().map(|record| log.append(slot, None, text(record)))).await;
    let won = |at: &usize| matches!(results[*at], Ok(Appended::At(_)));
    let done: Vec<usize> = (0..RIVALS).filter(won).collect();
    let [winner] = done[..] else { panic!("so many have begun one chain: {results:?}") };
    let (place, record) = last(log, slot).await.expect("it was begun");
    assert_eq!(record, text(&records[winner]));
    assert!(matches!(results[winner], Ok(Appended::At(at)) if at == place), "{results:?}");
    conflicts(log, slot, None).await;
    conflicts(log, slot, Some(Place(place.0 + 1))).await;
}

async fn append_against_a_rival(log: &impl Log, slot: u32) {
    let mut at = append(log, slot, None, text("first")).await;
    for round in 0..20 {
        let records: Vec<String> = (0..RIVALS).map(|rival| format!("{round} of {rival}")).collect();
        let results = join_all(records.iter().map(|record| log.append(slot, Some(at), text(record)))).await;
        let won = results.iter().filter_map(|result| match result {
            Ok(Appended::At(place)) => Some(*place),
            _ => None,
        });
        let won: Vec<Place> = won.collect();
        let [next] = won[..] else { panic!("so many have appended at one place: {results:?}") };
        assert!(next > at, "places grow");
        assert_eq!(last(log, slot).await.map(|(place, _)| place), Some(next), "a read after an append");
        conflicts(log, slot, Some(at)).await;
        at = next;
    }
}

/// Every record with its number first, and the rest of no meaning.
fn numbered(number: u32) -> Bytes {
    let length = if number == 40 { 100_000 } else { 100 };
    let mut record = vec![0; length];
    record[..4].copy_from_slice(&number.to_be_bytes());
    record.into()
}

async fn chain_of(log: &impl Log, slot: u32, room: usize) -> Vec<(Place, Bytes)> {
    let mut all: Vec<(Place, Bytes)> = Vec::new();
    loop {
        let page = log.read(slot, all.last().map(|(place, _)| *place), room).await.expect("the log is there");
        assert!(!page.more || !page.records.is_empty(), "what goes on has at least one record a page");
        let most = if page.records.len() == 1 { usize::MAX } else { room };
        assert!(page.records.iter().map(|(_, record)| record.len()).sum::<usize>() <= most, "a page has its room");
        all.extend(page.records);
        if !page.more {
            return all;
        }
    }
}

async fn read_page_by_page(log: &impl Log, slot: u32) {
    let (mut at, mut places) = (None, Vec::new());
    for number in 0..100 {
        let place = append(log, slot, at, numbered(number)).await;
        (at, places) = (Some(place), [places, vec![place]].concat());
    }
    for room in [1, 1_000, 1 << 20] {
        let chain = chain_of(log, slot, room).await;
        let expected: Vec<_> = places.iter().copied().zip((0..100).map(numbered)).collect();
        assert!(chain == expected, "the chain as it was written, in pages of {room} bytes");
    }
}

async fn trim_and_go_on(log: &impl Log, slot: u32) {
    let mut places = vec![append(log, slot, None, numbered(0)).await];
    for number in 1..10 {
        places.push(append(log, slot, places.last().copied(), numbered(number)).await);
    }
    let numbers = async || {
        let number = |(_, record): &(Place, Bytes)| u32::from_be_bytes(record[..4].try_into().expect("four bytes"));
        chain_of(log, slot, 250).await.iter().map(number).collect::<Vec<u32>>()
    };
    log.trim(slot, places[4]).await.expect("it is trimmed");
    assert_eq!(numbers().await, [4, 5, 6, 7, 8, 9]);
    log.trim(slot, places[2]).await.expect("what is gone is trimmed");
    assert_eq!(numbers().await, [4, 5, 6, 7, 8, 9]);
    log.trim(slot, Place(places[9].0 + 1)).await.expect("it is trimmed");
    assert_eq!(numbers().await, [9], "the last one stays");
    conflicts(log, slot, None).await;
    append(log, slot, Some(places[9]), numbered(10)).await;
    assert_eq!(numbers().await, [9, 10]);
}

/// Appends while the server ends again and again: `end_and_start` does that to it. What became of each record is found out at the end of its chain,
/// in a slot that has none before. Returns where all of them are.
///
/// # Panics
/// If one is lost, doubled or out of its turn.
pub async fn log_through_ends(log: &impl Log, slot: u32, mut end_and_start: impl FnMut()) -> Vec<Place> {
    let (mut chain, mut unknown) = (Vec::<Place>::new(), 0);
    for number in 0..RECORDS {
        if number % 250 == 100 {
            end_and_start();
        }
        let after = chain.last().copied();
        let place = match log.append(slot, after, numbered(number)).await {
            Ok(Appended::At(place)) => place,
            Ok(other) => panic!("record {number} after {after:?}: {other:?}"),
            Err(_) => {
                unknown += 1;
                until_ok(BACK, async || settled(log, slot, after, number).await).await
            }
        };
        chain.push(place);
    }
    assert!(unknown > 0, "no append was interrupted");
    let expected: Vec<_> = chain.iter().copied().zip((0..RECORDS).map(numbered)).collect();
    assert!(chain_of(log, slot, 1 << 20).await == expected, "every record once, in order");
    chain
}

/// Where the record is, if it is appended now.
async fn settled(log: &impl Log, slot: u32, after: Option<Place>, number: u32) -> Result<Place, Away> {
    match log.last(slot).await? {
        Some((place, last)) if last == numbered(number) => return Ok(place),
        last => assert_eq!(last.map(|(place, _)| place), after, "nobody else appends"),
    }
    match log.append(slot, after, numbered(number)).await? {
        Appended::At(place) => Ok(place),
        // The first one has just come true.
        _ => Err(Away("look again".to_owned())),
    }
}

/// Tries until it succeeds.
async fn until_ok<T, E: Debug>(limit: Duration, mut attempt: impl AsyncFnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + limit;
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(why) => assert!(Instant::now() < end, "not within {limit:?}: {why:?}"),
        }
        sleep(PAUSE).await;
    }
}

/// Holds a census to its trait. `open` gives another member's way to the same, empty one; `set_offline` does in it what people do.
///
/// # Panics
/// At what goes otherwise.
pub async fn census<C: Census>(open: impl Fn() -> C, set_offline: impl AsyncFn(&str, bool)) {
    let (mut first, mut second) = (open(), open());
    first.enter(entry("member-1", 2.5)).await.expect("the census is there");
    second.enter(entry("member-2", 1.0)).await.expect("the census is there");
    let well = |weight| Some(Standing::Well { weight });
    for census in [&mut first, &mut second] {
        becomes(census, "member-1", well(2.5)).await;
        becomes(census, "member-2", well(1.0)).await;
    }
    set_offline("member-1", true).await;
    for census in [&mut first, &mut second] {
        becomes(census, "member-1", Some(Standing::Off(Reason::Disabled))).await;
    }
    set_offline("member-1", false).await;
    becomes(&mut first, "member-1", well(2.5)).await;
    second.leave().await;
    becomes(&mut first, "member-2", None).await;
    becomes(&mut first, "member-1", well(2.5)).await;
    // Whoever leaves twice, or looks on, does no harm.
    second.leave().await;
    becomes(&mut second, "member-1", well(2.5)).await;
    first.leave().await;
}

fn entry(id: &str, weight: f64) -> Entry {
    let number: u16 = id.bytes().map(u16::from).sum();
    let (roles, version) = ("node".to_owned(), "1".to_owned());
    Entry { id: id.to_owned(), incarnation: 7, roles, address: format!("127.0.0.1:{number}"), weight, version }
}

async fn becomes(census: &mut impl Census, id: &str, expected: Option<Standing>) {
    let mut last = None;
    for _ in 0..15 {
        last = Some(census.next().await.map(|list| list.standing(id)));
        if last == Some(Ok(expected)) {
            return;
        }
    }
    panic!("{id} should be {expected:?}, and is {last:?}");
}
