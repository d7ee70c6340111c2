//! A store of keys with revisions, as a registry outside needs it: reads, writes and removals that name the revision they are meant
//! for. Whoever has such a store has a registry: [`Clerk`](super::clerk::Clerk) does the rest.
//!
//! A store keeps one view and a lease of each life. Writes take effect one after the other, and a read that is not said to be of a list
//! sees all that were answered before it was sent. Requests may be lost, come late or twice, and so may answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::Incarnation;
use crate::view::View;

/// When a key was written. Grows with every write, over all keys and for as long as the store lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// A request to the store.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreRequest {
    /// Names it in its answer.
    pub id: u64,
    /// What is asked.
    pub op: StoreOp,
}

/// What can be asked of the store.
#[derive(Debug, Clone, PartialEq)]
pub enum StoreOp {
    /// The view. Answered by [`Said::View`].
    ReadView,
    /// The lease of a life. Answered by [`Said::Lease`].
    ReadLease(Incarnation),
    /// The revisions of all leases, perhaps as they were some time ago. Answered by [`Said::Leases`].
    Leases,
    /// Write the view if its key is at this revision, or does not exist (`None`). [`Said::Written`] or [`Said::Conflict`].
    WriteView {
        /// The revision of the view before.
        at: Option<Revision>,
        /// The view.
        view: Arc<View>,
        /// The life of the store that it is written in, as far as its writer knows.
        life: u64,
    },
    /// Write a lease if its key is at this revision, or does not exist (`None`). [`Said::Written`] or [`Said::Conflict`].
    WriteLease {
        /// Whose.
        of: Incarnation,
        /// The revision of the write before.
        at: Option<Revision>,
        /// How often this life has written its lease, this time included.
        count: u64,
    },
    /// Remove a lease, if its key is at this revision, or whatever it is (`None`). [`Said::Ended`], also if there is none, or
    /// [`Said::Conflict`].
    EndLease {
        /// Whose.
        of: Incarnation,
        /// The revision that was seen.
        at: Option<Revision>,
    },
}

impl StoreOp {
    /// It changes something where it is carried out.
    pub fn writes(&self) -> bool {
        matches!(self, Self::WriteView { .. } | Self::WriteLease { .. } | Self::EndLease { .. })
    }
}

/// A view as the store has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// When it was written.
    pub revision: Revision,
    /// The life of the store that its writer meant.
    pub life: u64,
    /// The view.
    pub view: Arc<View>,
}

/// An answer of the store.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreAnswer {
    /// Of the request.
    pub id: u64,
    /// Which life of the store this is. Another one may have lost what was written last.
    pub life: u64,
    /// What the store says.
    pub said: Said,
}

/// What the store says.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// The view, if there is one.
    View(Option<Stored>),
    /// A lease with its count, if there is one.
    Lease(Option<(Revision, u64)>),
    /// All leases.
    Leases(Vec<(Incarnation, Revision)>),
    /// It was written, and is at this revision.
    Written(Revision),
    /// The key is not there any more.
    Ended,
    /// The key is at another revision. Nothing was changed.
    Conflict,
}

/// A store in memory: what every other one must do.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    view: Option<Stored>,
    leases: BTreeMap<Incarnation, (Revision, u64)>,
    newest: u64,
    life: u64,
}

impl Keys {
    /// A store that keeps this view already.
    pub fn with(view: Arc<View>) -> Self {
        Self { view: Some(Stored { revision: Revision(1), life: 0, view }), newest: 1, ..Self::default() }
    }

    /// The view.
    pub fn view(&self) -> Option<&Arc<View>> {
        self.view.as_ref().map(|stored| &stored.view)
    }

    /// The view, if it was written in the life that the store is in: no other is obeyed.
    pub fn standing(&self) -> Option<&Arc<View>> {
        self.view.as_ref().filter(|stored| stored.life == self.life).map(|stored| &stored.view)
    }

    /// Begins another life with what the store has.
    pub fn restart(&mut self) {
        self.life += 1;
    }

    /// Begins another life with what an earlier state had. Revisions go on from there, so some are given out twice.
    pub fn go_back(&mut self, to: Self) {
        let life = self.life + 1;
        *self = Self { life, ..to };
    }

    /// Carries out a request.
    pub fn handle(&mut self, request: StoreRequest) -> StoreAnswer {
        let said = match request.op {
            StoreOp::ReadView => Said::View(self.view.clone()),
            StoreOp::ReadLease(of) => Said::Lease(self.leases.get(&of).copied()),
            StoreOp::Leases => Said::Leases(self.leases.iter().map(|(of, (revision, _))| (*of, *revision)).collect()),
            StoreOp::WriteView { at, view, life } if at == self.view.as_ref().map(|stored| stored.revision) => {
                let revision = self.next();
                self.view = Some(Stored { revision, life, view });
                Said::Written(revision)
            }
            StoreOp::WriteLease { of, at, count } if at == self.revision_of(of) => {
                let revision = self.next();
                self.leases.insert(of, (revision, count));
                Said::Written(revision)
            }
            StoreOp::EndLease { of, at } if at.is_none() || self.revision_of(of).is_none_or(|is| at == Some(is)) => {
                self.leases.remove(&of);
                Said::Ended
            }
            StoreOp::WriteView { .. } | StoreOp::WriteLease { .. } | StoreOp::EndLease { .. } => Said::Conflict,
        };
        StoreAnswer { id: request.id, life: self.life, said }
    }

    /// The revision of a lease, if there is one.
    pub fn revision_of(&self, of: Incarnation) -> Option<Revision> {
        self.leases.get(&of).map(|(revision, _)| *revision)
    }

    fn next(&mut self) -> Revision {
        self.newest += 1;
        Revision(self.newest)
    }
}
