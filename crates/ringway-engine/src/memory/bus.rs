//! A bus in this process.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use crate::bus::{Away, Bus, Inbox, NotTaken, Order, Says};

/// The bus. Clones are the same one.
#[derive(Debug, Clone)]
pub struct MemoryBus {
    bound: Arc<Mutex<HashMap<u64, Bound>>>,
    away: Arc<Says>,
}

#[derive(Debug, Clone)]
struct Bound {
    orders: mpsc::Sender<Order>,
    /// Held for the inbox: it is bound for as long as this is.
    _says: Arc<Says>,
}

impl Default for MemoryBus {
    fn default() -> Self {
        Self { bound: Arc::default(), away: Arc::new(watch::channel(None).0) }
    }
}

impl MemoryBus {
    /// Takes nothing any more, for this reason, or takes orders again.
    pub fn be_away(&self, why: Option<&str>) {
        self.away.send_replace(why.map(Into::into));
    }
}

impl Bus for MemoryBus {
    async fn give(&self, to: u64, order: Bytes) -> Result<(), NotTaken> {
        if let Some(why) = &*self.away.borrow() {
            return Err(NotTaken(why.to_string()));
        }
        let bound = self.bound.lock().get(&to).cloned();
        let Some(bound) = bound else { return Err(NotTaken("no queue of this member is bound".to_owned())) };
        let (handed, is_taken) = Order::new(order.clone());
        bound.orders.try_send(handed).map_err(|_| NotTaken("the queue of this member takes nothing".to_owned()))?;
        tokio::spawn(again(bound, order, is_taken));
        Ok(())
    }

    fn listen(&self, member: u64) -> Inbox {
        let (inbox, orders, says) = Inbox::new();
        says.send_replace(None);
        self.bound.lock().insert(member, Bound { orders, _says: Arc::new(says) });
        inbox
    }

    fn away(&self) -> Away {
        self.away.subscribe()
    }
}

/// Hands an order out until it is taken, or nobody is there who could take it.
async fn again(bound: Bound, order: Bytes, mut is_taken: tokio::sync::oneshot::Receiver<()>) {
    while is_taken.await.is_err() {
        let (handed, next) = Order::new(order.clone());
        is_taken = next;
        if bound.orders.send(handed).await.is_err() {
            return;
        }
    }
}
