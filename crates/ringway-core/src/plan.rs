//! What a change of the nodes would come to: which slots would move, to whom, and what everybody would have afterwards.
//! Nothing is changed. The same rules that make the real change make this one, so what it foretells is what happens.

use crate::id::{Incarnation, MemberId, Slot};
use crate::ring::{self, MAX_NODES, Move, Table, Weight};
use crate::view::{NodeEntry, Placement, Removal, View};

/// A change to look at beforehand.
#[derive(Debug, Clone, PartialEq)]
pub enum Planned {
    /// A node of this name joins, with this weight.
    Add(MemberId, Weight),
    /// A node hands over and leaves.
    Stop(Incarnation),
    /// A node is gone at once.
    Kill(Incarnation),
    /// A node has another weight.
    Weight(Incarnation, Weight),
}

/// Why there is nothing to foretell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No such node.
    #[error("the node is not in the view")]
    NotInView,
    /// A stop of the only node never comes to an end.
    #[error("it is the only node: nobody could take its slots over")]
    NobodyLeft,
    /// A table takes no more nodes.
    #[error("a cluster has at most {MAX_NODES} nodes")]
    Full,
}

/// What a change comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The node that is changed.
    pub subject: MemberId,
    /// Slots that get another owner, in order of slots.
    pub moves: Vec<Move>,
    /// Moves between two nodes of which neither is the subject.
    pub bystander_moves: u32,
    /// Copies of slots that somebody must receive who has none yet, as owner or standby.
    pub copies: u32,
    /// Every node of before and after, in order of ids.
    pub shares: Vec<Share>,
    /// Who receives most; `None` if nothing moves to anybody.
    pub busiest_heir: Option<Heir>,
}

/// What a node has before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Which.
    pub id: MemberId,
    /// Weight afterwards; zero if it is gone.
    pub weight: Weight,
    /// Slots it owns before.
    pub before: u32,
    /// Slots it owns afterwards.
    pub after: u32,
}

/// A node that receives slots.
#[derive(Debug, Clone, PartialEq)]
pub struct Heir {
    /// Which.
    pub id: MemberId,
    /// How many.
    pub slots: u32,
    /// In relation to what it would receive if everybody who may receive did so by weight: 1 is fair.
    pub of_fair: f64,
}

impl Plan {
    /// Looks at a change. A kill is measured against the owners of now; every other change against the owners there
    /// will be once all that is under way is done, for it comes after that.
    ///
    /// # Errors
    /// [`PlanError`]; there is no plan.
    pub fn of(view: &View, placement: &Placement, change: &Planned) -> Result<Self, PlanError> {
        let known = |node: &Incarnation| view.node(*node).map(|node| node.id.clone()).ok_or(PlanError::NotInView);
        let later = |view: &View| Placement::of(view, Some(placement)).next_table().clone();
        let (subject, before, after) = match change {
            Planned::Add(..) if view.nodes.len() >= MAX_NODES => return Err(PlanError::Full),
            Planned::Add(id, weight) => {
                (id.clone(), placement.next_table(), later(&view.with_node(newcomer(id, *weight)).activated()))
            }
            Planned::Stop(_) if view.nodes.len() == 1 => return Err(PlanError::NobodyLeft),
            Planned::Stop(node) => {
                (known(node)?, placement.next_table(), later(&view.without(*node, Removal::Planned)))
            }
            Planned::Kill(node) => {
                let left = Placement::of(&view.without(*node, Removal::Proven), Some(placement));
                (known(node)?, placement.table(), left.table().clone())
            }
            Planned::Weight(node, weight) => {
                (known(node)?, placement.next_table(), later(&view.with_next_weight(*node, *weight)))
            }
        };
        Ok(Self::between(subject, before, &after, view.copies))
    }

    /// What happens between two tables of one cluster, seen as a change of one node.
    pub fn between(subject: MemberId, before: &Table, after: &Table, copies: u8) -> Self {
        let moves = ring::moves(before, after);
        let is_subject = |id: &Option<MemberId>| id.as_ref() == Some(&subject);
        let bystander_moves = moves.iter().filter(|m| !is_subject(&m.from) && !is_subject(&m.to)).count() as u32;
        let copies = new_copies(before, after, copies);
        let (shares, busiest_heir) = (shares(before, after), busiest_heir(&subject, &moves, after));
        Self { subject, moves, bystander_moves, copies, shares, busiest_heir }
    }

    /// The fullest node in relation to the mean, each measured by its weight; 1 is even, 0 without nodes.
    pub fn max_over_mean(&self) -> f64 {
        let takers = || self.shares.iter().filter(|share| !share.weight.is_zero());
        let slots: f64 = takers().map(|share| f64::from(share.after)).sum();
        let weights: f64 = takers().map(|share| share.weight.as_number()).sum();
        let fullest = takers().map(|share| f64::from(share.after) / share.weight.as_number()).fold(0.0, f64::max);
        if slots > 0.0 { fullest * weights / slots } else { 0.0 }
    }
}

/// A node as the view would list it. Where it is and which life of it this is have no part in placement.
fn newcomer(id: &MemberId, weight: Weight) -> NodeEntry {
    NodeEntry { id: id.clone(), incarnation: Incarnation(0), address: "".into(), now: Weight::ZERO, next: weight }
}

fn shares(before: &Table, after: &Table) -> Vec<Share> {
    let owned = |table: &Table, id: &MemberId| table.index_of(id).map_or(0, |index| table.slots_owned(index));
    let gone = before.nodes().iter().filter(|(id, _)| after.index_of(id).is_none());
    let gone = gone.map(|(id, _)| (id, Weight::ZERO));
    let all = after.nodes().iter().map(|(id, weight)| (id, *weight)).chain(gone);
    let share = |(id, weight): (&MemberId, Weight)| Share {
        id: id.clone(),
        weight,
        before: owned(before, id),
        after: owned(after, id),
    };
    let mut shares: Vec<Share> = all.map(share).collect();
    shares.sort_by(|a, b| a.id.cmp(&b.id));
    shares
}

fn busiest_heir(subject: &MemberId, moves: &[Move], after: &Table) -> Option<Heir> {
    let received = |id: &MemberId| moves.iter().filter(|m| m.to.as_ref() == Some(id)).count() as u32;
    let (id, weight, slots) = after
        .nodes()
        .iter()
        .map(|(id, weight)| (id, *weight, received(id)))
        .max_by_key(|(_, _, slots)| *slots)
        .filter(|(_, _, slots)| *slots > 0)?;
    // Either the subject receives, and then it alone, or all the others do.
    let may_receive = after.nodes().iter().filter(|(other, _)| (other == subject) == (id == subject));
    let weights: f64 = may_receive.map(|(_, weight)| weight.as_number()).sum();
    let fair = moves.len() as f64 * weight.as_number() / weights;
    Some(Heir { id: id.clone(), slots, of_fair: f64::from(slots) / fair })
}

/// Counts holders of slots that held nothing of them before.
fn new_copies(before: &Table, after: &Table, copies: u8) -> u32 {
    let renumbered: Vec<_> = after.nodes().iter().map(|(id, _)| before.index_of(id)).collect();
    let new_in = |slot: Slot| {
        let had = [before.owner(slot), before.standby(slot).filter(|_| copies > 1)];
        let has = [after.owner(slot), after.standby(slot).filter(|_| copies > 1)];
        let is_new =
            |index: &ring::NodeIndex| renumbered[index.index()].is_none_or(|index| !had.contains(&Some(index)));
        has.into_iter().flatten().filter(is_new).count() as u32
    };
    after.count().slots().map(new_in).sum()
}

#[cfg(test)]
mod tests;
