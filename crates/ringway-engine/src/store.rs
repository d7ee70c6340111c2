//! A store of keys with revisions.

use std::future::Future;

use bytes::Bytes;

/// A key's value, and when it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Of the write. Grows with every write to the store, over all keys.
    pub revision: u64,
    /// What was written.
    pub value: Bytes,
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Away(pub String);

/// Why a write has no revision.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The key is at another revision. Nothing was written.
    #[error("the key is at another revision")]
    Conflict,
    /// No answer came in time. It may have been written, and may still be.
    #[error("no answer came in time")]
    Unknown,
    /// It was surely not sent, or surely not taken.
    #[error("{0}")]
    Away(String),
}

/// Keys with revisions. A write takes effect at one moment, and a read sees every write that was answered before it began.
///
/// Keys are made of letters, digits and dots. An adapter repeats no write whose outcome it does not know, and gives up by itself after a time
/// that its configuration names.
pub trait Store: Send + Sync + 'static {
    /// The value of a key. `None`: it does not exist.
    fn read(&self, key: &str) -> impl Future<Output = Result<Option<Found>, Away>> + Send;

    /// The keys that begin with this and a dot, without it, with their revisions; perhaps as they were some time ago.
    fn list(&self, prefix: &str) -> impl Future<Output = Result<Vec<(String, u64)>, Away>> + Send;

    /// Writes if the key is at this revision, or does not exist (`None`). Answers the new revision.
    fn write(&self, key: &str, at: Option<u64>, value: Bytes) -> impl Future<Output = Result<u64, Refused>> + Send;

    /// Removes the key if it is at this revision, or whatever it is (`None`). A key that does not exist is removed.
    fn remove(&self, key: &str, at: Option<u64>) -> impl Future<Output = Result<(), Refused>> + Send;

    /// Names the life of the store: another one may have lost what was written last. The same for all who ask.
    fn life(&self) -> u64;

    /// Tells all who listen to this store; it may get lost.
    fn announce(&self, notice: Bytes) -> impl Future<Output = ()> + Send;
}
