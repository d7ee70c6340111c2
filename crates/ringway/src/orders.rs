//! Orders to other members, as the member task gives and takes them where a bus is configured: one handle, whoever carries them.
//!
//! ```text
//!              ┌─ links ─▶ nothing here: an order is a frame like any other
//! member ──▶ Handle ─┤
//!              └─ a way ─▶ bounded channel ─▶ sealed, given to the bus         what became of it comes back
//!                         ◀─ bounded channel ◀── opened, from the member's queue
//! ```
//!
//! No order ever waits here. One that finds no room goes over the link, and so does one that the bus does not take.

mod sealed;

use std::sync::Arc;

use ringway_core::Incarnation;
use ringway_core::id::Birth;
use ringway_core::message::Frame;
use ringway_engine::Bus;
use ringway_engine::bus::Order;
use ringway_link::Secret;
use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};

use crate::carry::carry;

pub use sealed::{Come, Sealing};

/// Orders that wait to be given, and what waits to be taken.
const QUEUE: usize = 1_024;

/// Orders under way at once.
const UNDER_WAY: usize = 256;

/// Names an order of this member: to whom, of which kind, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// To whom.
    pub to: Incarnation,
    /// What it is about.
    pub kind: Kind,
    /// Counts those of one kind.
    pub number: u64,
}

/// What an order is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// To ask clients to connect anew.
    Reset,
    /// To do something with the sessions of a user, such as to close them.
    Close,
}

/// Which way an order went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Through the bus.
    Bus,
    /// Over the link.
    Link,
}

/// Orders between this member and others, by the way they went and by what they are about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Given by this member, and taken by a queue or a link.
    pub given: [[u64; 2]; 2],
    /// Given by others, and taken by this member: each once, for the way on which it came first.
    pub taken: [[u64; 2]; 2],
}

impl Counts {
    /// One more was given.
    pub fn gave(&mut self, by: By, kind: Kind) {
        self.given[by as usize][kind as usize] += 1;
    }

    /// One more was taken.
    pub fn took(&mut self, by: By, kind: Kind) {
        self.taken[by as usize][kind as usize] += 1;
    }

    /// These, with what another member counts.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        let more = [other.given, other.taken].into_iter().flatten().flatten();
        let mine = [&mut self.given, &mut self.taken].into_iter().flatten().flatten();
        mine.zip(more).for_each(|(count, more)| *count += more);
        self
    }
}

/// An order on its way to the bus.
#[derive(Debug)]
struct ToBus {
    key: Key,
    from: Incarnation,
    birth: Birth,
    frame: Frame,
}

/// What comes from the bus.
#[derive(Debug)]
pub enum Told {
    /// A queue of the member has this order.
    Taken(Key),
    /// Nobody can say that it was taken.
    NotTaken(Key),
    /// An order of another member to this one.
    Order(Come, Order),
}

/// The way to a bus.
#[derive(Debug)]
pub struct Way {
    requests: mpsc::Sender<ToBus>,
    told: mpsc::Receiver<Told>,
    lives: watch::Sender<Incarnation>,
    away: watch::Receiver<Option<Arc<str>>>,
}

/// How a member gives orders.
#[derive(Debug)]
pub enum Handle {
    /// Over its links.
    Links,
    /// Through a bus, and over its links where that does not take them.
    Way(Way),
}

impl Handle {
    /// Through this bus, for a member whose life this is. Needs a running Tokio runtime.
    pub fn through<B: Bus + Clone>(bus: B, secret: Secret, me: Incarnation) -> Self {
        let (requests, asked) = mpsc::channel(QUEUE);
        let (answers, told) = mpsc::channel(QUEUE);
        let (lives, life) = watch::channel(me);
        let (says, away) = watch::channel(None);
        let sealing = Arc::new(Sealing::new(secret));
        let (giver, seals) = (Arc::new(bus.clone()), sealing.clone());
        tokio::spawn(carry(UNDER_WAY, asked, answers.clone(), move |order| give(giver.clone(), seals.clone(), order)));
        tokio::spawn(fetch(bus, sealing, life, answers, says));
        Self::Way(Way { requests, told, lives, away })
    }

    /// There is another way than the links.
    pub fn is_through_a_bus(&self) -> bool {
        matches!(self, Self::Way(_))
    }

    /// Gives an order of this life to the bus, if there is one, and room. What becomes of it comes back.
    pub fn give(&self, from: Incarnation, birth: Birth, key: Key, frame: &Frame) -> bool {
        match self {
            Self::Way(way) => way.requests.try_send(ToBus { key, from, birth, frame: frame.clone() }).is_ok(),
            Self::Links => false,
        }
    }

    /// Another life of this member begins, and its orders come under another name.
    pub fn begin_life(&self, me: Incarnation) {
        if let Self::Way(way) = self {
            way.lives.send_replace(me);
        }
    }

    /// Why the bus does not take orders, or none come from it; `None`: all is well, or there is none.
    pub fn away(&self) -> Option<Arc<str>> {
        match self {
            Self::Way(way) => way.away.borrow().clone(),
            Self::Links => None,
        }
    }

    /// What comes next. For ever, where nothing does. Nothing is lost if it is not waited for to the end.
    pub async fn next(&mut self) -> Told {
        let next = match self {
            Self::Way(way) => way.told.recv().await,
            Self::Links => None,
        };
        match next {
            Some(next) => next,
            None => std::future::pending().await,
        }
    }
}

/// Gives one order. Returns what became of it.
async fn give<B: Bus>(bus: Arc<B>, sealing: Arc<Sealing>, order: ToBus) -> Option<Told> {
    let ToBus { key, from, birth, frame } = order;
    let sealed = match sealing.seal(from, key.to, birth, &frame) {
        Ok(sealed) => sealed,
        Err(why) => {
            warn!(%why, "an order cannot be written for the bus");
            return Some(Told::NotTaken(key));
        }
    };
    match bus.give(key.to.0, sealed).await {
        Ok(()) => Some(Told::Taken(key)),
        Err(why) => {
            debug!(to = %key.to, %why, "the bus did not take an order");
            Some(Told::NotTaken(key))
        }
    }
}

/// Hands on the orders to each life of a member, and says whether all is well with the bus.
async fn fetch<B: Bus>(
    bus: B,
    sealing: Arc<Sealing>,
    mut lives: watch::Receiver<Incarnation>,
    told: mpsc::Sender<Told>,
    says: watch::Sender<Option<Arc<str>>>,
) {
    let mut giving = bus.away();
    loop {
        let me = *lives.borrow_and_update();
        let mut inbox = bus.listen(me.0);
        let mut taking = inbox.away();
        loop {
            let away = giving.borrow_and_update().clone().or_else(|| taking.borrow_and_update().clone());
            says.send_if_modified(|said| std::mem::replace(said, away.clone()) != away);
            tokio::select! {
                Some(order) = inbox.next() => {
                    if let Some(come) = opened(&sealing, &order)
                        && told.send(Told::Order(come, order)).await.is_err()
                    {
                        return;
                    }
                }
                changed = lives.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                Ok(()) = giving.changed() => {}
                Ok(()) = taking.changed() => {}
                () = told.closed() => return,
            }
        }
    }
}

/// One that nobody who knows the secret has written for this cluster is of no use to anybody, and is not to come again.
fn opened(sealing: &Sealing, order: &Order) -> Option<Come> {
    match sealing.open(&order.payload) {
        Ok(come) => Some(come),
        Err(why) => {
            warn!(%why, "an order came through the bus that is none, and was dropped. Do two clusters share the name of a bus?");
            None
        }
    }
}

#[cfg(test)]
mod tests;
