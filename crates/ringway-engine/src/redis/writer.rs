//! Writes, many at a time. All that came while others were under way goes in one pipeline, and waits for the replicas once.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, RedisError, RedisResult, Value};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::Config;
use super::connection::{Connected, Fault, Way};

/// Writes that wait. Whoever has one more waits to hand it in.
const QUEUE: usize = 1_024;

/// Most writes of one pipeline. A record has 256 KiB at the most.
const BATCH: usize = 64;

/// Pipelines under way at once.
const UNDER_WAY: usize = 4;

/// A write, and where its answer goes.
type Write = (Cmd, oneshot::Sender<Result<Value, Fault>>);

/// Where writes are handed in. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Writer(mpsc::Sender<Write>);

impl Writer {
    /// Its task ends with the last of these.
    pub(super) fn start(way: Way, config: &Config) -> Self {
        let (sender, writes) = mpsc::channel(QUEUE);
        // An answer that the replicas are missing comes before the one that there is none.
        let replicas = (config.replicas > 0).then_some((config.replicas, config.patience * 3 / 4));
        tokio::spawn(write_all(way, replicas, writes));
        Self(sender)
    }

    /// Carries a write out once, or not at all, or nobody knows.
    pub(super) async fn write(&self, command: Cmd) -> Result<Value, Fault> {
        let ended = || Fault::NotTaken("the way to Redis has ended".to_owned());
        let (answer, answered) = oneshot::channel();
        self.0.send((command, answer)).await.map_err(|_| ended())?;
        answered.await.unwrap_or_else(|_| Err(Fault::Unknown("the way to Redis has ended".to_owned())))
    }
}

async fn write_all(way: Way, replicas: Option<(usize, Duration)>, mut writes: mpsc::Receiver<Write>) {
    let room = Arc::new(Semaphore::new(UNDER_WAY));
    let mut batch = Vec::new();
    while writes.recv_many(&mut batch, BATCH).await > 0 {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        // While this one waited for its turn, more may have come.
        while batch.len() < BATCH
            && let Ok(next) = writes.try_recv()
        {
            batch.push(next);
        }
        let (way, batch) = (way.clone(), std::mem::take(&mut batch));
        tokio::spawn(async move {
            write_batch(&way, replicas, batch).await;
            drop(permit);
        });
    }
}

async fn write_batch(way: &Way, replicas: Option<(usize, Duration)>, batch: Vec<Write>) {
    let (commands, askers): (Vec<Cmd>, Vec<_>) = batch.into_iter().unzip();
    let results = match way.now() {
        Ok(connected) => carried_out(way, &connected, replicas, commands).await,
        Err(fault) => Err(fault),
    };
    match results {
        Ok(results) => askers.into_iter().zip(results).for_each(|(asker, result)| drop(asker.send(result))),
        Err(fault) => askers.into_iter().for_each(|asker| drop(asker.send(Err(fault.clone())))),
    }
}

/// What became of each, or of all.
async fn carried_out(
    way: &Way,
    connected: &Connected,
    replicas: Option<(usize, Duration)>,
    commands: Vec<Cmd>,
) -> Result<Vec<Result<Value, Fault>>, Fault> {
    let mut pipeline = redis::pipe();
    pipeline.ignore_errors();
    for command in commands {
        pipeline.add_command(command);
    }
    if let Some((count, patience)) = replicas {
        pipeline.cmd("WAIT").arg(count).arg(patience.as_millis() as u64);
    }
    let answers: RedisResult<Vec<RedisResult<Value>>> = pipeline.query_async(&mut connected.writes.clone()).await;
    let fault = |error: &RedisError| way.fault(connected.number, error);
    let mut answers = answers.map_err(|error| fault(&error))?;
    let has_replicas = match replicas {
        Some((count, _)) => matches!(answers.pop(), Some(Ok(Value::Int(have))) if have >= count as i64),
        None => true,
    };
    let result = |answer: RedisResult<Value>| match answer {
        Ok(value) if has_replicas => Ok(value),
        Ok(_) => Err(Fault::Unknown("too few replicas of Redis have it".to_owned())),
        Err(error) => Err(fault(&error)),
    };
    Ok(answers.into_iter().map(result).collect())
}
