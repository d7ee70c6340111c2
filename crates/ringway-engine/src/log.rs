//! A log outside: one chain of records for each slot.

use std::future::Future;

use bytes::Bytes;

use crate::store::Away;

/// Where a record stands. Grows along a chain; two records of one log never have the same.
///
/// Its upper 16 bits are the log's life. A log begins another one when it knows that it may have lost the last records of its chains, though
/// it had answered for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u64);

/// Bits of a place below those of the log's life.
pub(crate) const BELOW_LIFE: u32 = 48;

impl Place {
    /// The life of the log in which the record was appended.
    pub fn life(self) -> u64 {
        self.0 >> BELOW_LIFE
    }
}

/// What became of a record that was to be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is the last one of its chain, and survives what the log survives.
    At(Place),
    /// The chain ends elsewhere. Nothing was changed.
    Conflict,
    /// A limit of the log is reached. Nothing was changed.
    Full,
}

/// Some records of a chain, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// They and their places.
    pub records: Vec<(Place, Bytes)>,
    /// The chain goes on behind them.
    pub more: bool,
}

/// One chain of records for each slot. Appends to one chain take effect one after the other, and a read sees all that were answered
/// before it. An adapter never repeats an append by itself: one without an answer may have been carried out, or may be still.
pub trait Log: Send + Sync + 'static {
    /// Appends a record to a slot's chain, if that ends at this place; `None`: if it has no record.
    fn append(
        &self,
        slot: u32,
        after: Option<Place>,
        record: Bytes,
    ) -> impl Future<Output = Result<Appended, Away>> + Send;

    /// The last record of a chain.
    fn last(&self, slot: u32) -> impl Future<Output = Result<Option<(Place, Bytes)>, Away>> + Send;

    /// The records of a chain behind this place (`None`: from its first one on), of about `room` bytes, one at least.
    fn read(&self, slot: u32, after: Option<Place>, room: usize) -> impl Future<Output = Result<Page, Away>> + Send;

    /// Drops the records of a chain before this place. The last one stays in any case.
    fn trim(&self, slot: u32, before: Place) -> impl Future<Output = Result<(), Away>> + Send;

    /// The slots that have records.
    fn slots(&self) -> impl Future<Output = Result<Vec<u32>, Away>> + Send;
}
