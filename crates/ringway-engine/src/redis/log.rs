//! A log in Redis: a stream for each slot. A place is the id of an entry: the log's life, and a number that grows over all streams.
//!
//! | what | is |
//! |---|---|
//! | append | a script: the end of the chain, which a hash has for each slot, must be the place that is named |
//! | last | `XREVRANGE`, one entry |
//! | read | `XRANGE`, some entries at a time |
//! | trim | `XTRIM MINID` |
//! | full | nine tenths of the server's `maxmemory` are used: the rest is for everything else |

use bytes::Bytes;
use redis::{Cmd, FromRedisValue as _, Value};
use tracing::{info, warn};

use super::connection::{Fault, Way};
use super::script::APPEND;
use super::writer::Writer;
use super::{Config, OpenError};
use crate::log::{Appended, BELOW_LIFE, Log, Page, Place};
use crate::store::Away;

/// Entries that are asked for at a time.
const BATCH: usize = 16;

/// The log.
#[derive(Debug, Clone)]
pub struct RedisLog {
    config: Config,
    way: Way,
    writer: Writer,
}

/// An entry of a stream: its id, and its one field with the record.
type Entry = (String, (String, Vec<u8>));

impl RedisLog {
    /// Connects, and looks at how the server is set up.
    ///
    /// # Errors
    /// [`OpenError`]
    pub async fn open(config: &Config) -> Result<Self, OpenError> {
        let way = Way::open(config).await?;
        let writer = Writer::start(way.clone(), config);
        if let Ok(connected) = way.now() {
            let server = &connected.server;
            info!(persistence = %server.persistence(), replicas = server.replicas, "the log is in Redis");
            if server.max_memory == 0 {
                warn!(
                    "this Redis has no limit of memory: a log that grows takes all that the machine has. Set maxmemory there"
                );
            }
        }
        Ok(Self { config: config.clone(), way, writer })
    }

    /// Deletes all chains: for a log that was made to be measured.
    ///
    /// # Errors
    /// They may still be there.
    pub async fn delete(&self) -> Result<(), Away> {
        let chains = self.slots().await?.into_iter().map(|slot| self.chain(slot));
        let keys: Vec<String> = chains.chain(["log", "log:ends"].map(|what| self.config.key(what))).collect();
        self.way.ask(redis::cmd("UNLINK").arg(keys)).await
    }

    /// When what is written is on the server's disk, in words.
    pub fn persistence(&self) -> String {
        self.way.now().map_or_else(|_| "away".to_owned(), |connected| connected.server.persistence().to_string())
    }

    fn chain(&self, slot: u32) -> String {
        self.config.key(&format!("log:{slot}"))
    }

    async fn end(&self, slot: u32) -> Result<Option<Place>, Away> {
        let id: Option<String> = self.way.ask(redis::cmd("HGET").arg(self.config.key("log:ends")).arg(slot)).await?;
        id.map(|id| place(&id)).transpose()
    }

    /// Entries of a chain behind this place.
    async fn entries(&self, slot: u32, after: Option<Place>, count: usize) -> Result<Vec<(Place, Bytes)>, Away> {
        let from = after.map_or_else(|| "-".to_owned(), |after| format!("({}", id(after)));
        let mut command = redis::cmd("XRANGE");
        entries(self.way.ask(command.arg(self.chain(slot)).arg(from).arg("+").arg("COUNT").arg(count)).await?)
    }

    fn appending(&self, slot: u32, after: Option<Place>, life: u64, record: &[u8]) -> Cmd {
        let (chain, log, ends) = (self.chain(slot), self.config.key("log"), self.config.key("log:ends"));
        let mut command = APPEND.call(&[&chain, &log, &ends]);
        command.arg(slot).arg(after.map(id).unwrap_or_default()).arg(life).arg(record);
        command
    }
}

impl Log for RedisLog {
    async fn append(&self, slot: u32, after: Option<Place>, record: Bytes) -> Result<Appended, Away> {
        if self.way.is_full() {
            return Ok(Appended::Full);
        }
        let life = self.way.now()?.log_life;
        match self.writer.write(self.appending(slot, after, life, &record)).await {
            Ok(Value::Nil) => Ok(Appended::Conflict),
            Ok(value) => {
                let id = String::from_redis_value(value).map_err(|error| Away(error.to_string()))?;
                place(&id).map(Appended::At)
            }
            Err(Fault::Full(_)) => Ok(Appended::Full),
            Err(fault) => Err(fault.into()),
        }
    }

    async fn last(&self, slot: u32) -> Result<Option<(Place, Bytes)>, Away> {
        let mut command = redis::cmd("XREVRANGE");
        let last = self.way.ask(command.arg(self.chain(slot)).arg("+").arg("-").arg("COUNT").arg(1)).await?;
        Ok(entries(last)?.pop())
    }

    async fn read(&self, slot: u32, after: Option<Place>, room: usize) -> Result<Page, Away> {
        let (mut page, mut bytes, mut after) = (Page::default(), 0, after);
        loop {
            let entries = self.entries(slot, after, BATCH).await?;
            let is_end = entries.len() < BATCH;
            for (place, record) in entries {
                bytes += record.len();
                if bytes > room && !page.records.is_empty() {
                    return Ok(Page { more: true, ..page });
                }
                page.records.push((place, record));
                after = Some(place);
            }
            if is_end {
                return Ok(page);
            }
        }
    }

    async fn trim(&self, slot: u32, before: Place) -> Result<(), Away> {
        // The last one stays: whoever appends names it.
        let Some(end) = self.end(slot).await? else { return Ok(()) };
        let mut command = redis::cmd("XTRIM");
        command.arg(self.chain(slot)).arg("MINID").arg(id(before.min(end)));
        self.writer.write(command).await?;
        Ok(())
    }

    async fn slots(&self) -> Result<Vec<u32>, Away> {
        self.way.ask(redis::cmd("HKEYS").arg(self.config.key("log:ends"))).await
    }
}

fn entries(found: Vec<Entry>) -> Result<Vec<(Place, Bytes)>, Away> {
    found.into_iter().map(|(id, (_, record))| Ok((place(&id)?, record.into()))).collect()
}

/// `life-number`.
fn id(place: Place) -> String {
    format!("{}-{}", place.life(), place.0 & ((1 << BELOW_LIFE) - 1))
}

fn place(id: &str) -> Result<Place, Away> {
    let number = |part: &str| part.parse::<u64>().ok();
    match id.split_once('-').and_then(|(life, place)| Some((number(life)?, number(place)?))) {
        Some((life, number)) if life < 1_u64 << (64 - BELOW_LIFE) && number < 1_u64 << BELOW_LIFE => {
            Ok(Place(life << BELOW_LIFE | number))
        }
        _ => Err(Away(format!("the log in Redis has an entry {id}, which Ringway has not written"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_id_of_an_entry() {
        for of in [Place(1 << BELOW_LIFE | 1), Place(u64::MAX), Place(7 << BELOW_LIFE | 0xffff_ffff_ffff)] {
            assert_eq!(place(&id(of)).unwrap(), of);
        }
        for broken in ["", "1", "a-1", "1-b", "65536-1", "1700000000000-0"] {
            assert!(place(broken).is_err(), "{broken}");
        }
    }
}
