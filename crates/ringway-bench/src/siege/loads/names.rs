//! Clients that ask for much with little: names and publishes.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::time::sleep;

use super::super::party::Party;
use super::AGAIN;
use super::client::Client;

const CLIENTS: usize = 8;
/// Pairs of a subscribe and an unsubscribe in one frame.
const PAIRS: u64 = 32;
/// Commands that a client has under way.
const UNDER_WAY: u64 = 256;
/// Publishes that it has under way: what the server reads from one client ahead.
const PUBLISHES: u64 = 32;

pub(in super::super) async fn fresh(party: Party) {
    let next = Arc::new(AtomicU64::new(0));
    churn(&party, move || format!("fresh-{}", next.fetch_add(1, Relaxed))).await;
}

pub(in super::super) async fn one(party: Party) {
    churn(&party, || "one".to_owned()).await;
}

async fn churn(party: &Party, name: impl Fn() -> String + Clone + Send + Sync + 'static) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let (party, name) = (party.clone(), name.clone());
        tasks.spawn(async move {
            loop {
                // It ends when the server closes it, and comes again.
                let _ = subscribe_and_unsubscribe(&party, &name).await;
                sleep(AGAIN).await;
            }
        });
    }
    while tasks.join_next().await.is_some() {}
}

async fn subscribe_and_unsubscribe(party: &Party, name: impl Fn() -> String) -> anyhow::Result<()> {
    let mut client = Client::connect(party, "").await?;
    let (mut id, mut frame) = (1, String::new());
    loop {
        frame.clear();
        for _ in 0..PAIRS {
            let name = name();
            // Writing to a String cannot fail.
            let _ = writeln!(frame, r#"{{"id":{},"subscribe":{{"channel":"{name}"}}}}"#, id + 1);
            let _ = writeln!(frame, r#"{{"id":{},"unsubscribe":{{"channel":"{name}"}}}}"#, id + 2);
            id = if id > 1 << 30 { 1 } else { id + 2 };
        }
        client.send(frame.trim_end(), 2 * PAIRS)?;
        client.answered(UNDER_WAY).await?;
        (0..2 * PAIRS).for_each(|_| party.tally.did());
    }
}

pub(in super::super) async fn publisher(party: Party) {
    loop {
        let _ = publish(&party).await;
        sleep(AGAIN).await;
    }
}

async fn publish(party: &Party) -> anyhow::Result<()> {
    let mut client = Client::connect(party, "").await?;
    client.send(r#"{"id":2,"subscribe":{"channel":"flood"}}"#, 1)?;
    client.answered(0).await?;
    loop {
        client.send(r#"{"id":3,"publish":{"channel":"flood","data":"as fast as it goes"}}"#, 1)?;
        party.tally.did();
        client.answered(PUBLISHES - 1).await?;
    }
}
