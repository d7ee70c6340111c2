//! Gives orders: one connection, and some channels with confirms.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::connect::{Servers, routing_key};
use crate::bus::{NotTaken, PATIENCE, Pauses, Says, say_away};

/// An order on its way to a lane.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) to: u64,
    pub(super) order: Bytes,
    pub(super) answer: oneshot::Sender<Result<(), NotTaken>>,
}

/// Why the lanes ended.
enum End {
    /// Nobody gives orders any more.
    Over,
    /// The connection is of no more use.
    Broken(String),
}

/// Connects again and again, until nobody gives orders any more.
pub(super) async fn run(servers: Arc<Servers>, mut lanes: Vec<mpsc::Receiver<Given>>, says: Says) {
    let mut pauses = Pauses::new();
    loop {
        let why = match Box::pin(serve(&servers, &mut lanes, &says, &mut pauses)).await {
            End::Over => return,
            End::Broken(why) => why,
        };
        if say_away(&says, &why) {
            warn!("{why} No orders are given through it until it is back");
        }
        let over = join_all(lanes.iter_mut().map(|lane| refuse(lane, &why)));
        tokio::select! {
            () = sleep(pauses.next()) => {}
            _ = over => return,
        }
    }
}

/// Answers whoever had given an order when the connection broke. Ends when nobody gives orders any more.
async fn refuse(lane: &mut mpsc::Receiver<Given>, why: &str) {
    while let Some(given) = lane.recv().await {
        let _asker_left = given.answer.send(Err(NotTaken(why.to_owned())));
    }
}

async fn serve(servers: &Servers, lanes: &mut [mpsc::Receiver<Given>], says: &Says, pauses: &mut Pauses) -> End {
    let connected = async {
        let connection = servers.connect().await?;
        let mut channels = Vec::new();
        for _ in 0..lanes.len() {
            let channel = servers.channel(&connection).await?;
            servers.within(channel.confirm_select(ConfirmSelectOptions::default())).await?;
            channels.push(channel);
        }
        Ok((connection, channels))
    };
    let (connection, channels) = match connected.await {
        Ok(connected) => connected,
        Err(why) => return End::Broken(why),
    };
    pauses.begin_anew();
    says.send_replace(None);
    info!("orders are given through RabbitMQ");
    let exchange = servers.exchange();
    let all = lanes.iter_mut().zip(channels).map(|(given, channel)| lane(&exchange, given, channel));
    tokio::select! {
        ended = try_join_all(all) => match ended {
            Ok(_) => End::Over,
            Err(why) => End::Broken(why),
        },
        why = servers.ended(&connection) => End::Broken(why),
    }
}

/// One order after the other. Only one whose confirm never comes is the end of the connection: a late one would count as the next one's.
async fn lane(exchange: &str, given: &mut mpsc::Receiver<Given>, channel: Channel) -> Result<(), String> {
    loop {
        let Some(Given { to, order, answer }) = given.recv().await else { return Ok(()) };
        if answer.is_closed() {
            // Whoever gave it has lost patience, and gives it another way.
            continue;
        }
        match timeout(PATIENCE, published(exchange, &channel, to, &order)).await {
            Ok(Ok(taken)) => {
                let _asker_left = answer.send(taken);
            }
            Ok(Err(error)) => {
                let _asker_left = answer.send(Err(NotTaken(error.to_string())));
                return Err(format!("RabbitMQ took an order no more: {error}."));
            }
            Err(_) => return Err("RabbitMQ did not confirm an order in time.".to_owned()),
        }
    }
}

async fn published(
    exchange: &str,
    channel: &Channel,
    to: u64,
    order: &[u8],
) -> Result<Result<(), NotTaken>, lapin::Error> {
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let (exchange, key) = (exchange.into(), routing_key(to).into());
    // Whoever gave it has then given it another way, and perhaps given it up: it must not come much later.
    let properties = BasicProperties::default().with_expiration(PATIENCE.as_millis().to_string().into());
    let confirm = channel.basic_publish(exchange, key, options, order, properties).await?;
    Ok(match confirm.await? {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)) => {
            Err(NotTaken("no queue of this member is bound in RabbitMQ".to_owned()))
        }
        Confirmation::Nack(None) => Err(NotTaken("RabbitMQ refused to take it".to_owned())),
        Confirmation::NotRequested => Err(NotTaken("RabbitMQ confirms nothing".to_owned())),
    })
}
