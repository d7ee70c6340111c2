//! The registry, as the member task has it: one handle, through which its requests go out and answers and views come in, whoever
//! answers.
//!
//! ```text
//!                      ┌─ here ─────▶ Registrar (in memory, or with a folder)      answers at once, or when a view is kept
//! member ──▶ Handle ──┼─ linked ───▶ a frame to the host's process                answers and views come as frames
//!                      └─ outside ──▶ a bounded channel to whoever speaks to the   answers and views come in a second one
//!                                     server
//! ```
//!
//! No request ever waits here. One that cannot go is one without an answer, which the rules know.

mod registrar;

use std::sync::Arc;

use ringway_core::message::{RegistryAnswer, RegistryRequest};
use ringway_core::registry::{FromStore, Registry, Seat, ToStore};
use ringway_core::timing::Now;
use ringway_core::view::View;
use ringway_core::{Epoch, Incarnation};
use tokio::sync::mpsc;
use tracing::debug;

use crate::data_dir::DataDir;
use registrar::{Kept, Registrar};

pub use registrar::Answered;

/// Where a member's requests to the registry go, and where answers and views come from.
#[derive(Debug)]
pub enum Handle {
    /// The registry is in this process, with the ends of its writes.
    Here(Box<Registrar>, mpsc::Receiver<Kept>),
    /// It is in the process of another member.
    Linked(Linked),
    /// It is in a server outside the cluster.
    Outside(Outside),
}

/// The way over a link.
#[derive(Debug, Default)]
pub struct Linked {
    /// The first gateway belongs to another cluster now, and has not told its view yet.
    is_arriving: bool,
}

/// The way to a server outside: whoever speaks to it has the other ends. Channels have the length that their maker gives them; a member
/// has a handful of requests under way, and takes all that has come in a turn.
#[derive(Debug)]
pub struct Outside {
    /// Requests on their way out. What finds it full is not sent, and counts as unanswered.
    pub requests: mpsc::Sender<ToStore>,
    /// What came back. While it is full its sender waits, or drops: answers may be lost, and a view is told with the next answer.
    pub told: mpsc::Receiver<FromStore>,
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
    /// A server outside says something.
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
                if outside.requests.try_send(ToStore { from: me, request }).is_err() {
                    debug!("a request to the registry was not sent: too many wait, or nobody takes them any more");
                }
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

    /// What comes next by itself. For ever, where nothing does. Nothing is lost if it is not waited for to the end.
    pub async fn next(&mut self) -> News {
        let news = match self {
            Self::Here(_, ends) => ends.recv().await.map(News::Kept),
            Self::Linked(_) => None,
            Self::Outside(outside) => outside.told.recv().await.map(News::Told),
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

impl Outside {
    /// The view to begin with, asked for until it comes. `None`: nobody speaks to the server any more.
    pub async fn first_view(&mut self, me: Incarnation, again: std::time::Duration) -> Option<Arc<View>> {
        use ringway_core::message::RegistryOp;
        loop {
            let request = RegistryRequest { id: 0, op: RegistryOp::Read };
            self.requests.send(ToStore { from: me, request }).await.ok()?;
            match tokio::time::timeout(again, self.told.recv()).await {
                Ok(Some(FromStore::View(view) | FromStore::Answer(_, RegistryAnswer { view, .. }))) => {
                    return Some(view);
                }
                Ok(None) => return None,
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
