//! What other programs may read in Redis: members, the ring, and users online. Ringway itself reads none of it.
//!
//! | key | is a hash of |
//! |---|---|
//! | `{ringway:<name>}:members` | a member's id → what it is, as JSON |
//! | `{ringway:<name>}:ring` | a slot → its owner and its standby, as `node-1 node-2` |
//! | `{ringway:<name>}:user:<user>` | a session's id → its gateway, since when, and when it was last seen, as `gateway-0 1795984729123 1795984789123`. The key goes when nobody has seen any of them for a while |

use std::time::Duration;

use redis::{Pipeline, RedisError};

use super::connection::Way;
use super::script::SEEN;
use super::{Config, OpenError};
use crate::store::Away;

/// Commands of one pipeline.
const BATCH: usize = 512;

/// A session of a user: name, and id.
pub type Online = (String, String);

/// What other programs may read.
#[derive(Debug, Clone)]
pub struct Mirror {
    config: Config,
    way: Way,
    lifetime: Duration,
}

impl Mirror {
    /// Connects. A session that nobody has seen for `lifetime` goes.
    ///
    /// # Errors
    /// [`OpenError`]
    pub async fn open(config: &Config, lifetime: Duration) -> Result<Self, OpenError> {
        Ok(Self { way: Way::open(config).await?, config: config.clone(), lifetime })
    }

    /// These are all members.
    ///
    /// # Errors
    /// Some of it may not be written.
    pub async fn members(&self, members: &[(String, String)]) -> Result<(), Away> {
        let key = self.config.key("members");
        let mut pipeline = redis::pipe();
        pipeline.atomic().cmd("DEL").arg(&key).ignore();
        for (id, what) in members {
            pipeline.cmd("HSET").arg(&key).arg(id).arg(what).ignore();
        }
        self.send(&pipeline).await
    }

    /// These slots have these owners and standbys.
    ///
    /// # Errors
    /// Some of it may not be written.
    pub async fn ring(&self, slots: &[(u32, String)]) -> Result<(), Away> {
        let key = self.config.key("ring");
        for slots in slots.chunks(BATCH) {
            let mut pipeline = redis::pipe();
            let command = pipeline.cmd("HSET").arg(&key);
            for (slot, owner) in slots {
                command.arg(slot).arg(owner);
            }
            command.ignore();
            self.send(&pipeline).await?;
        }
        Ok(())
    }

    /// These sessions are at this gateway now.
    ///
    /// # Errors
    /// Some of it may not be written.
    pub async fn online(&self, gateway: &str, sessions: &[Online]) -> Result<(), Away> {
        for sessions in sessions.chunks(BATCH) {
            let mut pipeline = redis::pipe();
            for (user, session) in sessions {
                let mut command = SEEN.call(&[&self.user(user)]);
                command.arg(session).arg(gateway).arg(self.lifetime.as_millis() as u64);
                pipeline.add_command(command).ignore();
            }
            self.send(&pipeline).await?;
        }
        Ok(())
    }

    /// These sessions are over.
    ///
    /// # Errors
    /// Some of it may not be written; it goes by itself later.
    pub async fn offline(&self, sessions: &[Online]) -> Result<(), Away> {
        for sessions in sessions.chunks(BATCH) {
            let mut pipeline = redis::pipe();
            for (user, session) in sessions {
                pipeline.cmd("HDEL").arg(self.user(user)).arg(session).ignore();
            }
            self.send(&pipeline).await?;
        }
        Ok(())
    }

    fn user(&self, user: &str) -> String {
        self.config.key(&format!("user:{user}"))
    }

    async fn send(&self, pipeline: &Pipeline) -> Result<(), Away> {
        let connected = self.way.now()?;
        let sent: Result<(), RedisError> = pipeline.query_async(&mut connected.reads.clone()).await;
        sent.map_err(|error| self.way.fault(connected.number, &error).into())
    }
}
