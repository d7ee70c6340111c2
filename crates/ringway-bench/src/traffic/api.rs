//! Publishing through the server API: connections that each have one request under way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use hyper::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::args::Traffic;
use crate::swarm::{Outside, Swarm};
use ringway_http::Connection;
use ringway_http::Target;

/// Until subscribers have caught up with a publisher, it looks again this often.
const CATCH_UP: Duration = Duration::from_millis(1);
/// What has not arrived after this time is lost, and must not stop the publishers for good.
const STALLED: Duration = Duration::from_secs(2);

/// Starts `publishers` tasks that publish to the swarm's channels in turn until the returned set is dropped, or the API says no.
///
/// # Errors
/// The API is not there, or refuses the key: a fault that is better told before than after the run.
pub(super) async fn start(
    swarm: &Swarm,
    targets: &[Target],
    publishers: usize,
    api_key: Option<&str>,
    traffic: &Traffic,
) -> anyhow::Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    for index in 0..publishers {
        let target = &targets[index % targets.len()];
        let mut publisher = Publisher {
            connection: Connection::open(target.addr).await?,
            path: format!("{}/api/publish", target.prefix),
            api_key: api_key.unwrap_or_default().into(),
            outside: swarm.outside(index % swarm.channels().len().max(1)).context("the swarm has no channel")?,
        };
        publisher.publish().await?;
        let every = traffic.rate.map(|rate| Duration::from_secs_f64(publishers as f64 / rate));
        tasks.spawn(publisher.run(every, traffic.window));
    }
    Ok(tasks)
}

struct Publisher {
    connection: Connection,
    path: String,
    api_key: Arc<str>,
    outside: Outside,
}

impl Publisher {
    async fn run(mut self, every: Option<Duration>, window: u64) {
        let mut tick = every.map(tokio::time::interval);
        if let Some(tick) = &mut tick {
            tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        }
        loop {
            match &mut tick {
                Some(tick) => drop(tick.tick().await),
                None => self.catch_up(window).await,
            }
            if self.publish().await.is_err() {
                // It is told among the refusals; a connection that fails will not be better the next time.
                return;
            }
        }
    }

    /// Waits while more than a window of this publisher's messages has not arrived everywhere.
    async fn catch_up(&self, window: u64) {
        let caught_up = async {
            while self.outside.under_way() >= window.max(1) {
                tokio::time::sleep(CATCH_UP).await;
            }
        };
        if tokio::time::timeout(STALLED, caught_up).await.is_err() {
            self.outside.write_off();
        }
    }

    /// Publishes one message and tells the swarm what became of it.
    async fn publish(&mut self) -> anyhow::Result<()> {
        let (seq, data) = self.outside.next_message();
        let began = Instant::now();
        let published = self.request(&data).await;
        match &published {
            Ok(()) => self.outside.acknowledge(seq, began.elapsed()),
            Err(error) => self.outside.refuse(seq, &format!("{error:#}")),
        }
        published
    }

    async fn request(&mut self, data: &str) -> anyhow::Result<()> {
        let body = json!({"channel": self.outside.channel(), "data": data}).to_string();
        let headers = [("content-type", "application/json"), ("x-api-key", &*self.api_key)];
        let answer = self.connection.request(Method::POST, &self.path, &headers, Bytes::from(body)).await?;
        ensure!(answer.status != 401, "the server API refuses the key: give it with --api-key");
        ensure!(answer.status == 200, "the server API answers with status {}: {}", answer.status, answer.text());
        match answer.json()?.get("error") {
            None => Ok(()),
            Some(error) => bail!("the server API answers with error {error}"),
        }
    }
}
