//! What the writer of one way of a link has told its reader once.

use ringway_core::message::ChannelOptions;

/// Options that have a number on one way of a link. Each namespace that keeps its channels in a way of its own takes one; what is beyond
/// is spelled out each time.
pub(super) const NUMBERED: usize = 64;

/// What one end has told, by number. The first is 1.
#[derive(Debug, Default)]
pub(super) struct Told(Vec<ChannelOptions>);

impl Told {
    /// The number of these, a new one if they have none. `None`: there is no room.
    pub(super) fn number(&mut self, options: &ChannelOptions) -> Option<u64> {
        let at = self.0.iter().position(|known| known == options).or_else(|| {
            (self.0.len() < NUMBERED).then(|| {
                self.0.push(*options);
                self.0.len() - 1
            })
        });
        at.map(|at| at as u64 + 1)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes back what is behind the first so many: the reader does not hear of it.
    pub(super) fn truncate(&mut self, known: usize) {
        self.0.truncate(known);
    }

    /// Those behind the first so many, with their numbers.
    pub(super) fn behind(&self, known: usize) -> impl Iterator<Item = (u64, &ChannelOptions)> {
        (1..).zip(&self.0).skip(known)
    }
}
