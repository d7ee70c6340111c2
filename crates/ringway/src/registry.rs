//! The registry, as the member task has it: one handle, through which its requests go out and answers and views come in, whoever
//! answers.
//!
//! ```text
//!                      ┌─ here ─────▶ Registrar (in memory, or with a folder)      answers at once, or when a view is kept
//! member ──▶ Handle ──┼─ linked ───▶ a frame to the host's process                answers and views come as frames
//!                      └─ outside ──▶ Clerk, and a bounded channel to whoever      what comes in a second one goes to the clerk,
//!                                     speaks to the store                         which answers
//! ```
//!
//! No request ever waits here. One that cannot go is one without an answer, which the rules know.

mod outside;
mod registrar;

use std::sync::Arc;

use ringway_core::message::RegistryRequest;
use ringway_core::registry::store::{StoreAnswer, StoreRequest};
use ringway_core::registry::{FromStore, Registry, Seat};
use ringway_core::timing::{Now, Timing};
use ringway_core::view::View;
use ringway_core::{Epoch, Incarnation};
use tokio::sync::mpsc;

use crate::data_dir::DataDir;
use outside::Outside;
use registrar::{Kept, Registrar};

pub use outside::{Heard, Way};
pub use registrar::Answered;

/// Where a member's requests to the registry go, and where answers and views come from.
#[derive(Debug)]
pub enum Handle {
    /// The registry is in this process, with the ends of its writes.
    Here(Box<Registrar>, mpsc::Receiver<Kept>),
    /// It is in the process of another member.
    Linked(Linked),
    /// It is in a store outside the cluster.
    Outside(Box<Outside>),
}

/// The way over a link.
#[derive(Debug, Default)]
pub struct Linked {
    /// The first gateway belongs to another cluster now, and has not told its view yet.
    is_arriving: bool,
}

/// What became of a request.
#[derive(Debug)]
pub enum Sent {
    /// It is answered.
    Answered(Answered),
    /// It is to go to the host as a frame.
    ToHost(RegistryRequest),
    /// It is under way, or lost.
    Away,
}

/// What comes by itself.
#[derive(Debug)]
pub enum News {
    /// The registry here has written a view to its folder, or could not.
    Kept(Kept),
    /// A store outside says something.
    Told(FromStore),
}

impl Handle {
    /// The registry is in this process: in memory, or kept in this folder too.
    pub fn here(registry: Registry, folder: Option<DataDir>) -> Self {
        let (registrar, ends) = Registrar::new(registry, folder);
        Self::Here(Box::new(registrar), ends)
    }

    /// The registry is in the process of the member that is dialed to join.
    pub fn linked() -> Self {
        Self::Linked(Linked::default())
    }

    /// The registry is in a store outside.
    pub fn outside(way: Way) -> Self {
        Self::Outside(Box::new(Outside::new(way)))
    }

    /// A life of this member begins, with this view.
    pub fn begin_life(&mut self, now: Now, me: Incarnation, view: &Arc<View>, timing: Timing) {
        if let Self::Outside(outside) = self {
            outside.begin_life(now, me, view, timing);
        }
    }

    /// Where the registry is, before a link has said anything.
    pub fn seat(&self) -> Seat {
        match self {
            Self::Here(..) => Seat::Here,
            Self::Linked(_) => Seat::Host(None),
            Self::Outside(_) => Seat::Outside,
        }
    }

    /// A member with this handle is the keeper, or a gateway that can become it.
    pub fn may_keep(&self, is_gateway: bool) -> bool {
        match self {
            Self::Here(..) => true,
            Self::Linked(_) => false,
            Self::Outside(_) => is_gateway,
        }
    }

    /// A request of this member, in this life.
    pub fn ask(&mut self, now: Now, me: Incarnation, request: RegistryRequest) -> Sent {
        match self {
            Self::Here(registrar, _) => registrar.ask(now, me, request).map_or(Sent::Away, Sent::Answered),
            Self::Linked(_) => Sent::ToHost(request),
            Self::Outside(outside) => {
                outside.ask(now, request);
                Sent::Away
            }
        }
    }

    /// A request of another member. Only the host answers; elsewhere nobody does.
    pub fn serve(&mut self, now: Now, from: Incarnation, request: RegistryRequest) -> Option<Answered> {
        match self {
            Self::Here(registrar, _) => registrar.ask(now, from, request),
            Self::Linked(_) | Self::Outside(_) => None,
        }
    }

    /// Lets time pass. `hears` says of a member whether it was heard just now.
    pub fn tick(&mut self, now: Now, hears: impl Fn(Incarnation) -> bool) {
        if let Self::Outside(outside) = self {
            outside.tick(now, hears);
        }
    }

    /// This member has applied a view.
    pub fn on_view(&mut self, view: &Arc<View>) {
        if let Self::Outside(outside) = self {
            outside.on_view(view);
        }
    }

    /// A member that does not reach the store asks through this one.
    pub fn pass_on(&mut self, from: Incarnation, request: StoreRequest) {
        if let Self::Outside(outside) = self {
            outside.pass_on(from, request);
        }
    }

    /// A member through which this one has asked passes the answer on.
    pub fn on_relayed(&mut self, now: Now, by: Incarnation, answer: StoreAnswer) {
        if let Self::Outside(outside) = self {
            outside.on_relayed(now, by, answer);
        }
    }

    /// A store outside has said something: what is to go back to a member that asked through this one.
    pub fn on_told(&mut self, now: Now, told: FromStore) -> Option<(Incarnation, StoreAnswer)> {
        match self {
            Self::Outside(outside) => outside.on_told(now, told),
            Self::Here(..) | Self::Linked(_) => None,
        }
    }

    /// What the member task has to do next, of what a registry outside wants.
    pub fn next_heard(&mut self) -> Option<Heard> {
        match self {
            Self::Outside(outside) => outside.next_heard(),
            Self::Here(..) | Self::Linked(_) => None,
        }
    }

    /// What comes next by itself. For ever, where nothing does. Nothing is lost if it is not waited for to the end.
    pub async fn next(&mut self) -> News {
        let news = match self {
            Self::Here(_, ends) => ends.recv().await.map(News::Kept),
            Self::Linked(_) => None,
            Self::Outside(outside) => outside.told().await.map(News::Told),
        };
        match news {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }

    /// A write to the folder has ended: what can be answered now.
    pub fn on_kept(&mut self, now: Now, kept: &Kept) -> Vec<Answered> {
        match self {
            Self::Here(registrar, _) => registrar.on_kept(now, kept),
            Self::Linked(_) | Self::Outside(_) => Vec::new(),
        }
    }

    /// A member's view that the registry here has not written: it was brought back from an older copy. With the epoch that it has.
    pub fn disowns(&self, view: &View) -> Option<Epoch> {
        match self {
            Self::Here(registrar, _) => (!registrar.knows(view)).then(|| registrar.view().epoch),
            Self::Linked(_) | Self::Outside(_) => None,
        }
    }

    /// This member does not reach the store, and asks it through another one.
    pub fn is_relayed(&self) -> bool {
        matches!(self, Self::Outside(outside) if outside.is_relayed())
    }

    /// The old cluster is given up for the one that the first gateway belongs to now, whose view is not known yet.
    pub fn is_arriving(&self) -> bool {
        matches!(self, Self::Linked(Linked { is_arriving: true }))
    }

    /// Begins to arrive. False where that cannot be, or has begun.
    pub fn begin_to_arrive(&mut self) -> bool {
        match self {
            Self::Linked(linked) => !std::mem::replace(&mut linked.is_arriving, true),
            Self::Here(..) | Self::Outside(_) => false,
        }
    }

    /// The new cluster's view is here.
    pub fn arrived(&mut self) {
        if let Self::Linked(linked) = self {
            linked.is_arriving = false;
        }
    }
}

#[cfg(test)]
mod tests;
