//! Calls that need several answers: what they have so far.

use ringway_core::Position;
use ringway_protocol::api::ApiError;
use slab::Slab;

use super::call::{ApiAnswer, MemberInfo, ReplyTo};

/// A call that waits for parts.
#[derive(Debug)]
pub(super) struct Gathering {
    reply: ReplyTo,
    /// Parts that are missing, and one more while they are still being asked for.
    missing: usize,
    found: Found,
}

/// What the parts have brought so far.
#[derive(Debug)]
pub(super) enum Found {
    Broadcast(Vec<Result<Option<Position>, ApiError>>),
    Info(Vec<MemberInfo>),
}

/// Those that are under way.
#[derive(Debug, Default)]
pub(super) struct Gatherings(Slab<Gathering>);

impl Gatherings {
    pub(super) fn begin(&mut self, reply: ReplyTo, found: Found) -> usize {
        self.0.insert(Gathering { reply, missing: 1, found })
    }

    pub(super) fn expect_part(&mut self, gathering: usize) {
        if let Some(gathering) = self.0.get_mut(gathering) {
            gathering.missing += 1;
        }
    }

    /// Takes a part in; the last one brings the answer to the call.
    pub(super) fn on_part(&mut self, key: usize, take: impl FnOnce(&mut Found)) -> Option<(ReplyTo, ApiAnswer)> {
        let gathering = self.0.get_mut(key)?;
        take(&mut gathering.found);
        gathering.missing -= 1;
        if gathering.missing > 0 {
            return None;
        }
        let Gathering { reply, found, .. } = self.0.remove(key);
        Some((reply, found.into_answer()))
    }
}

impl Found {
    pub(super) fn set_published(&mut self, part: usize, result: Result<Option<Position>, ApiError>) {
        if let Self::Broadcast(results) = self {
            results[part] = result;
        }
    }

    fn into_answer(self) -> ApiAnswer {
        match self {
            Self::Broadcast(results) => ApiAnswer::Broadcast(results),
            Self::Info(members) => ApiAnswer::Info(members),
        }
    }
}
