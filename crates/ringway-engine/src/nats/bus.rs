//! A bus in core NATS: an order is a request to the subject of a member, and its acknowledgement is the reply. Nothing is kept in the server, so what
//! nobody takes is known not to be taken.

use std::sync::Arc;

use async_nats::{Client, RequestErrorKind, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::{Config, OpenError, is_connected, reached, subject};
use crate::bus::{Away, Bus, Inbox, NotTaken, Order, PATIENCE, Pauses, Says, say_away};

/// How often it is looked whether the connection is there.
const LOOK: std::time::Duration = std::time::Duration::from_millis(250);

/// The bus. Clones are the same one.
#[derive(Debug, Clone)]
pub struct NatsBus {
    config: Arc<Config>,
    client: watch::Receiver<Option<Client>>,
    away: Away,
}

impl NatsBus {
    /// Begins to reach the servers, and tries for as long as there is a clone of this. Needs a running Tokio runtime.
    pub fn open(config: &Config) -> Self {
        let config = Arc::new(config.clone());
        let (connected, client) = watch::channel(None);
        let (says, away) = watch::channel(Some("it was not tried yet.".into()));
        tokio::spawn(keep(config.clone(), connected, says));
        Self { config, client, away }
    }
}

/// Connects, and says from then on whether the connection is there: the client connects again by itself.
async fn keep(config: Arc<Config>, connected: watch::Sender<Option<Client>>, says: Says) {
    let mut pauses = Pauses::new();
    let client = loop {
        let why = match Box::pin(reached(&config)).await {
            Ok(client) => break client,
            Err(why) => why.to_string(),
        };
        if say_away(&says, &why) {
            warn!("{why} No orders go through it until it is back");
        }
        tokio::select! {
            () = sleep(pauses.next()) => {}
            () = connected.closed() => return,
        }
    };
    connected.send_replace(Some(client.clone()));
    info!("orders go through NATS");
    loop {
        let away: Option<Arc<str>> = is_connected(&client).err().map(|_| {
            let error = OpenError::Connect { urls: config.urls.join(", "), why: "the connection has ended".to_owned() };
            error.to_string().into()
        });
        says.send_if_modified(|said| {
            let is_news = *said != away;
            *said = away.clone();
            is_news
        });
        tokio::select! {
            () = sleep(LOOK) => {}
            () = connected.closed() => return,
        }
    }
}

fn subject_of(config: &Config, member: u64) -> String {
    subject(config, &format!("to.{member:016x}"))
}

impl Bus for NatsBus {
    async fn give(&self, to: u64, order: Bytes) -> Result<(), NotTaken> {
        let client = self.client.borrow().clone();
        let Some(client) = client else {
            let why = self.away.borrow().as_deref().unwrap_or("there is no connection to NATS").to_owned();
            return Err(NotTaken(why));
        };
        is_connected(&client).map_err(|away| NotTaken(away.to_string()))?;
        let asked = client.request(subject_of(&self.config, to), order);
        match timeout(PATIENCE, asked).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
                Err(NotTaken("this member listens to no orders in NATS".to_owned()))
            }
            Ok(Err(error)) => Err(NotTaken(error.to_string())),
            Err(_) => Err(NotTaken("the member did not answer through NATS in time".to_owned())),
        }
    }

    fn listen(&self, member: u64) -> Inbox {
        let (inbox, orders, says) = Inbox::new();
        tokio::spawn(fetch(self.clone(), member, orders, says));
        inbox
    }

    fn away(&self) -> Away {
        self.away.clone()
    }
}

/// Hands orders on until nobody takes them any more. The client subscribes again by itself where it connects again.
async fn fetch(bus: NatsBus, member: u64, orders: mpsc::Sender<Order>, says: Says) {
    let mut client = bus.client.clone();
    let connected = tokio::select! {
        connected = client.wait_for(Option::is_some) => connected.ok().and_then(|client| client.clone()),
        () = orders.closed() => None,
    };
    let Some(client) = connected else { return };
    match client.subscribe(subject_of(&bus.config, member)).await {
        Ok(subscriber) => {
            // The server has it before it answers this.
            if let Err(why) = client.flush().await {
                warn!(%why, "NATS has not said that orders can come");
            }
            says.send_replace(None);
            hand_on(&client, subscriber, &orders).await;
        }
        Err(why) => {
            warn!(%why, "no orders come through NATS");
            says.send_replace(Some(format!("NATS gives no orders: {why}.").into()));
        }
    }
    orders.closed().await;
}

async fn hand_on(client: &Client, mut subscriber: Subscriber, orders: &mpsc::Sender<Order>) {
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            message = subscriber.next() => {
                let Some(message) = message else { return };
                let (order, is_taken) = Order::new(message.payload);
                // One that finds no room gets no answer, and its giver has another way.
                if orders.try_send(order).is_ok() {
                    under_way.push(answered(client, message.reply, is_taken));
                }
            }
            Some(()) = under_way.next() => {}
            () = orders.closed() => return,
        }
    }
}

/// Who is never told that an order is taken gives it another way.
async fn answered(client: &Client, reply: Option<async_nats::Subject>, is_taken: oneshot::Receiver<()>) {
    if let (Some(reply), Ok(())) = (reply, is_taken.await) {
        let _lost = client.publish(reply, Bytes::new()).await;
    }
}
