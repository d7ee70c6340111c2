//! What a client received, for a test to read at its own speed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringway_bench::socket::Closed;
use tokio::sync::Notify;

/// A test that gets more than this without looking wants a swarm and its checker.
const MOST: usize = 100_000;

/// Shared by the handler, which fills it, and the client, which reads it.
#[derive(Debug)]
pub(crate) struct Mailbox<T>(Arc<(Mutex<T>, Notify)>);

/// What every client's mailbox holds beside its own.
#[derive(Debug, Default)]
pub(crate) struct Letters<T> {
    pub(crate) got: Vec<T>,
    pub(crate) read: usize,
    /// So many had come when the last ping was answered.
    pub(crate) confirmed: usize,
    pub(crate) closed: Option<Closed>,
}

impl<T> Letters<T> {
    pub(crate) fn push(&mut self, letter: T) {
        assert!(self.got.len() < MOST, "a test client got more than {MOST} messages");
        self.got.push(letter);
    }
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Default> Mailbox<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new((Mutex::default(), Notify::new())))
    }

    /// Looks inside.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is inside and wakes the reader.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        // There is one reader; if it is not waiting now, it will look before it waits.
        self.0.1.notify_one();
        result
    }

    /// Looks until there is what `find` wants, or `limit` is over.
    pub(crate) async fn wait<R>(&self, limit: Duration, mut find: impl FnMut(&mut T) -> Option<R>) -> Option<R> {
        let looking = async {
            loop {
                if let Some(found) = find(&mut self.lock()) {
                    return found;
                }
                self.0.1.notified().await;
            }
        };
        tokio::time::timeout(limit, looking).await.ok()
    }
}
