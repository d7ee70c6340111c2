//! What every adapter must do, for the tests of each.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::future::join_all;

use crate::store::{Found, Refused, Store};

const RIVALS: usize = 8;

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
