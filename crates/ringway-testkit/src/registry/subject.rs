//! What is held to the table.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ringway_core::Incarnation;
use ringway_core::message::{RegistryAnswer, RegistryRequest};

/// A request, and who asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The life that asks.
    pub from: Incarnation,
    /// What it asks.
    pub request: RegistryRequest,
}

/// A registry on trial. It begins with a view that lists nobody of [`MEMBERS`], and none of them has a lease.
pub trait Subject: Send {
    /// Carries out requests that are made at once. Their answers, in the order of the requests; `None`: none came in time.
    fn ask(&mut self, asked: Vec<Asked>) -> impl Future<Output = Vec<Option<RegistryAnswer>>> + Send;

    /// Lets time pass.
    fn pass(&mut self, time: Duration) -> impl Future<Output = ()> + Send;

    /// Length of a lease.
    fn ttl(&self) -> Duration;

    /// Ends the registry as a crash would, and starts it again with what it has kept. False: it keeps nothing, and such
    /// rows are not for it. Asked before a row begins, too.
    fn restart(&mut self) -> impl Future<Output = bool> + Send {
        std::future::ready(false)
    }

    /// This life of a member.
    fn life(&self, member: u8) -> Incarnation {
        Incarnation(1_000 + u64::from(member))
    }

    /// Where a member is listed to listen. A registry that looks after its members must be able to dial it.
    fn address(&self, _member: u8) -> Arc<str> {
        "127.0.0.1:1".into()
    }
}

/// Who asks in the table.
pub const MEMBERS: [u8; 3] = [1, 2, 3];
