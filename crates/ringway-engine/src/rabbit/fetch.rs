//! Fetches the orders to one member: a connection, a queue that ends with it, and acknowledgements by hand.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lapin::Acker;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Connection, Consumer, Error};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tracing::{debug, warn};

use super::connect::{Servers, routing_key};
use crate::bus::{Order, Pauses, Says, UNANSWERED, say_away};

/// Connects again and again, until nobody takes orders any more.
pub(super) async fn run(servers: Arc<Servers>, member: u64, orders: mpsc::Sender<Order>, says: Says) {
    let mut pauses = Pauses::new();
    while !orders.is_closed() {
        let why = tokio::select! {
            why = Box::pin(serve(&servers, member, &orders, &says, &mut pauses)) => why,
            () = orders.closed() => return,
        };
        if say_away(&says, &why) {
            warn!("{why} No orders come through it until it is back");
        }
        tokio::select! {
            () = sleep(pauses.next()) => {}
            () = orders.closed() => return,
        }
    }
}

/// Fetches over one connection. Says why that has ended.
async fn serve(
    servers: &Servers,
    member: u64,
    orders: &mpsc::Sender<Order>,
    says: &Says,
    pauses: &mut Pauses,
) -> String {
    let (connection, consumer) = match bound(servers, member).await {
        Ok(bound) => bound,
        Err(why) => return why,
    };
    pauses.begin_anew();
    says.send_replace(None);
    debug!(member, "a queue for orders is bound in RabbitMQ");
    tokio::select! {
        error = fetch(consumer, orders) => match error {
            Some(error) => format!("RabbitMQ gives no more orders: {error}."),
            None => "RabbitMQ gives no more orders: the queue is gone.".to_owned(),
        },
        why = servers.ended(&connection) => why,
    }
}

/// A queue that is bound, and from which orders come.
async fn bound(servers: &Servers, member: u64) -> Result<(Connection, Consumer), String> {
    let connection = servers.connect().await?;
    let channel = servers.channel(&connection).await?;
    let queue = servers.new_queue(member);
    let made = async {
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await?;
        channel.basic_qos(UNANSWERED, BasicQosOptions::default()).await?;
        // Who listens before the queue is bound misses nothing, and whoever is told that it is bound is right.
        let (tag, options) = ("".into(), BasicConsumeOptions::default());
        let consumer = channel.basic_consume(queue.as_str().into(), tag, options, FieldTable::default()).await?;
        let (exchange, key) = (servers.exchange().into(), routing_key(member).into());
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        channel.queue_bind(queue.as_str().into(), exchange, key, options, arguments).await?;
        Ok(consumer)
    };
    let consumer = servers.within(made).await?;
    Ok((connection, consumer))
}

/// Hands orders on, and answers for those that were taken. Ends with the channel.
async fn fetch(mut consumer: Consumer, orders: &mpsc::Sender<Order>) -> Option<Error> {
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            delivery = consumer.next() => match delivery {
                Some(Ok(delivery)) => {
                    let (order, is_taken) = Order::new(delivery.data.into());
                    under_way.push(answered(delivery.acker, is_taken));
                    // There is room: the server hands out no more than fit.
                    orders.send(order).await.ok()?;
                }
                Some(Err(error)) => return Some(error),
                None => return None,
            },
            Some(Err(error)) = under_way.next() => return Some(error),
        }
    }
}

/// What was not taken goes back to where it stood in the queue.
async fn answered(acker: Acker, is_taken: oneshot::Receiver<()>) -> Result<bool, Error> {
    match is_taken.await {
        Ok(()) => acker.ack(BasicAckOptions::default()).await,
        Err(_) => acker.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() }).await,
    }
}
