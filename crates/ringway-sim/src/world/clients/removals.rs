//! Backends have the history of a channel removed. Nothing that was acknowledged before that comes back.

use std::collections::HashMap;

use ringway_core::Position;
use ringway_hub::ApiRequest;

use super::Call;
use crate::world::{World, note};

/// Channels that were ever to lose what was kept of them, each with what is gone: everything up to there.
#[derive(Debug, Default)]
pub(crate) struct Removals(HashMap<usize, Option<Position>>);

impl Removals {
    /// Something may be gone that is neither old nor pushed out.
    pub(crate) fn concern(&self, channel: usize) -> bool {
        self.0.contains_key(&channel)
    }

    /// Everything up to there is gone.
    pub(crate) fn removed(&self, channel: usize) -> Option<Position> {
        self.0.get(&channel).copied().flatten()
    }
}

impl World {
    /// In some worlds, now and then. An inbox is left alone: whose messages were removed would wait for them.
    pub(crate) fn remove_some(&mut self, at: usize) {
        let channel = self.some_channel();
        let setup = self.setup.channels[channel].clone();
        if setup.user.is_some() || !setup.options.has_history() {
            return;
        }
        let known = self.checker.acknowledged_top(channel);
        self.people.removals.0.entry(channel).or_default();
        note!(self, "{}: a backend removes the history of channel {channel} at {known:?}", self.processes[at].id);
        self.call(at, Call::Remove(channel, known), ApiRequest::RemoveHistory(Ok(setup.name)));
    }

    /// A removal is answered: what was acknowledged when it was asked for is gone.
    pub(crate) fn watch_history_gone(&mut self, channel: usize, known: Option<Position>) {
        let Some(known) = known else { return };
        let gone = self.people.removals.0.entry(channel).or_default();
        // Of two streams the one that was asked about last is the newer one.
        if gone.is_none_or(|gone| gone.epoch != known.epoch || gone.offset < known.offset) {
            *gone = Some(known);
        }
    }

    /// This is shown of a channel to somebody who asked when everything up to `gone` was removed.
    pub(crate) fn watch_gone(&mut self, channel: usize, gone: Option<Position>, shown: Position) {
        let is_gone = gone.is_some_and(|gone| gone.epoch == shown.epoch && shown.offset <= gone.offset);
        if is_gone && !self.has_removed_owner(channel) {
            self.violate("removed", format!("channel {channel} shows {shown:?}, which was removed: {gone:?}"));
        }
    }
}
