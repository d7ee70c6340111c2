//! From one table to the next at the price of what moves.
//!
//! A node that joins or gains weight can only win slots, so one bid per slot against the two best settles it. A node
//! that leaves or loses weight can only lose the slots where it is among the two best; only there does everybody bid
//! again.

use super::election::{Election, Lead};
use super::pair::{NONE, Pair};
use super::roster::Roster;
use super::score::step;
use super::table::Table;
use super::weight::Weight;
use crate::id::{MemberId, Slot};

impl Table {
    /// The table with the node added, or with its weight changed.
    ///
    /// # Panics
    /// If the table already has [`MAX_NODES`](super::MAX_NODES) nodes and this one is new.
    #[must_use]
    pub fn with(&self, id: &MemberId, weight: Weight) -> Self {
        match self.roster.find(id) {
            Ok(rank) if weight < self.roster.weight(rank) => {
                self.elect_again(rank, self.roster.reweighed(rank, weight), |node| node)
            }
            Ok(rank) => self.challenge(rank, self.roster.reweighed(rank, weight), |node| node),
            Err(rank) => {
                let roster = self.roster.inserted(&self.key, rank, id, weight);
                self.challenge(rank, roster, |node| if usize::from(node) >= rank { node + 1 } else { node })
            }
        }
    }

    /// The table without the node; the same table if it is not there.
    #[must_use]
    pub fn without(&self, id: &MemberId) -> Self {
        let Ok(rank) = self.roster.find(id) else { return self.clone() };
        let roster = self.roster.removed(rank);
        self.elect_again(rank, roster, |node| if usize::from(node) > rank { node - 1 } else { node })
    }

    /// Lets the node at `rank` of the new roster bid for every slot. `renumber` turns an index of this table into one
    /// of the new roster.
    fn challenge(&self, rank: usize, roster: Roster, renumber: impl Fn(u16) -> u16) -> Self {
        let challenger = rank as u16;
        let takes_part = !roster.weight(rank).is_zero();
        let settle = |slot: Slot, Pair { owner, standby }: Pair| {
            let step = step(slot);
            let mut lead = Lead::default();
            for node in [owner, standby] {
                if node != NONE && node != challenger {
                    lead.admit(roster.bid(node, step));
                }
            }
            lead.admit(roster.bid(challenger, step));
            lead.pair()
        };
        let pairs = self.renumbered(renumber);
        let pairs = pairs.map(|(slot, pair)| if takes_part { settle(slot, pair) } else { pair }).collect();
        Self::from_parts(self.key, self.count, roster, pairs)
    }

    /// Lets everybody in the new roster bid for the slots where the node at `rank` of this table is among the best two.
    fn elect_again(&self, rank: usize, roster: Roster, renumber: impl Fn(u16) -> u16) -> Self {
        let election = Election::among(&roster);
        let affected = self.pairs.iter().map(|pair| pair.owner == rank as u16 || pair.standby == rank as u16);
        let pairs = self.renumbered(renumber).zip(affected);
        let pairs =
            pairs.map(|((slot, pair), affected)| if affected { election.best_two(slot) } else { pair }).collect();
        Self::from_parts(self.key, self.count, roster, pairs)
    }

    /// Every slot with its pair in the indexes of another roster.
    fn renumbered(&self, renumber: impl Fn(u16) -> u16) -> impl Iterator<Item = (Slot, Pair)> {
        let renumber = move |node| if node == NONE { NONE } else { renumber(node) };
        let pairs =
            self.pairs.iter().map(move |pair| Pair { owner: renumber(pair.owner), standby: renumber(pair.standby) });
        self.count.slots().zip(pairs)
    }
}
