//! A way for orders from one member to another that is not their link.
//!
//! ```text
//! giver ──give──▶ [ queue of a member, in the server ] ──next──▶ member ──taken──▶ the queue forgets it
//! ```

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

/// An order without a word for so long counts as not taken. Whoever gave it has another way, and should not wait for this one.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Orders that a member has been handed and not answered for. Above it they stay in the queue.
pub const UNANSWERED: u16 = 256;

/// The pauses between tries to reach a server double from the first of these to the last.
pub(crate) const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));

/// Why nobody can say that an order was taken. It may come all the same, late, or a second time if it is given again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotTaken(pub String);

/// Hands orders to members and has those for this one. A member is named by a number that no two lives share.
pub trait Bus: Send + Sync + 'static {
    /// Hands an order to a member. `Ok`: a queue of that member has it. Takes [`PATIENCE`] at the most. Of the orders to one member, one that is given
    /// when the one before was answered stands behind it.
    fn give(&self, to: u64, order: Bytes) -> impl Future<Output = Result<(), NotTaken>> + Send;

    /// The orders to a member, from when its queue is there until the inbox is dropped. Needs a running Tokio runtime.
    fn listen(&self, member: u64) -> Inbox;

    /// Why no order can be given now, in words and with what to do; `None`: orders can be given.
    fn away(&self) -> Away;
}

/// Whether a half of the bus is away, and why, in whole sentences. It is while nothing was tried yet.
pub type Away = watch::Receiver<Option<Arc<str>>>;

/// Where that is said.
pub(crate) type Says = watch::Sender<Option<Arc<str>>>;

/// Says why it is away. Returns whether that is another reason than before, which is worth a line in the log.
pub(crate) fn say_away(says: &Says, why: &str) -> bool {
    says.send_replace(Some(why.into())).as_deref() != Some(why)
}

/// An order, as it came out of a member's queue.
#[derive(Debug)]
pub struct Order {
    /// What was given.
    pub payload: Bytes,
    taken: oneshot::Sender<()>,
}

impl Order {
    /// With what is told when it is taken over.
    pub(crate) fn new(payload: Bytes) -> (Self, oneshot::Receiver<()>) {
        let (taken, is_taken) = oneshot::channel();
        (Self { payload, taken }, is_taken)
    }

    /// It is carried out, or surely will be: the queue may forget it. One that is dropped without this comes again, or its giver is told that nobody took it.
    pub fn taken(self) -> Bytes {
        // The queue is gone with its connection, and the order was taken all the same.
        let _ = self.taken.send(());
        self.payload
    }
}

/// The receiving half of a member.
#[derive(Debug)]
pub struct Inbox {
    orders: mpsc::Receiver<Order>,
    away: Away,
}

impl Inbox {
    /// The two ends: of whoever listens, and of whoever fetches.
    pub(crate) fn new() -> (Self, mpsc::Sender<Order>, Says) {
        let (fetched, orders) = mpsc::channel(usize::from(UNANSWERED));
        let (says, away) = watch::channel(Some("no orders can come yet.".into()));
        (Self { orders, away }, fetched, says)
    }

    /// The next order. `None`: there is none any more. Nothing is lost if it is not waited for to the end.
    pub async fn next(&mut self) -> Option<Order> {
        self.orders.recv().await
    }

    /// Why no order can come now.
    pub fn away(&self) -> Away {
        self.away.clone()
    }
}

/// How long to wait before the next try: longer after each one in a row.
#[derive(Debug)]
pub(crate) struct Pauses(Duration);

impl Pauses {
    pub(crate) fn new() -> Self {
        Self(PAUSES.0)
    }

    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(PAUSES.1);
        pause
    }

    /// A try has succeeded.
    pub(crate) fn begin_anew(&mut self) {
        self.0 = PAUSES.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let mut pauses = Pauses::new();
        let first: Vec<u64> = (0..6).map(|_| pauses.next().as_millis() as u64).collect();
        assert_eq!(first, [250, 500, 1_000, 2_000, 4_000, 4_000]);
        pauses.begin_anew();
        assert_eq!(pauses.next().as_millis(), 250);
    }
}
