//! How fast NATS JetStream itself takes a message and hands it to who listens: what a cluster with its log there is to be seen beside.
//!
//! ```text
//! cargo run --release -p ringway-engine --example nats_stream -- nats://127.0.0.1:4222 [CLIENTS [WINDOW [SECONDS]]]
//! ```
//!
//! Each client (64) has a connection, a subject, and a consumer of its own, and so many messages of 128 bytes under way (1): the next one
//! leaves when one has been acknowledged and has come back through the consumer. The stream is on disk, on three servers where they form a
//! cluster, and is deleted at the end. One line is printed: clients, window, messages a second, p50 and p99 in ms of publish → acknowledged,
//! and of publish → delivered.

use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::push::OrderedConfig;
use async_nats::jetstream::{self, stream};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

const PAYLOAD: usize = 128;
const WARM_UP: Duration = Duration::from_secs(1);
const STREAM: &str = "RINGWAY_EXAMPLE";

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Of one message: after what time it was acknowledged, and delivered.
struct Times {
    acknowledged: Vec<Duration>,
    delivered: Vec<Duration>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("which server? See the head of this file")?;
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let (clients, window, seconds) = (number(64)?, number(1)? as usize, number(5)?);
    let context = jetstream::new(async_nats::connect(&url).await?);
    let is_cluster = context.client().server_info().cluster.is_some();
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["ringway-example.>".to_owned()],
        num_replicas: if is_cluster { 3 } else { 1 },
        ..stream::Config::default()
    };
    context.get_or_create_stream(config).await?;
    let begin = Instant::now() + WARM_UP + Duration::from_millis(10) * clients as u32;
    let end = begin + Duration::from_secs(seconds);
    let tasks: Vec<_> = (0..clients).map(|client| tokio::spawn(run(url.clone(), client, window, begin, end))).collect();
    let (mut acknowledged, mut delivered) = (Vec::new(), Vec::new());
    for task in tasks {
        let times = task.await??;
        acknowledged.extend(times.acknowledged);
        delivered.extend(times.delivered);
    }
    context.delete_stream(STREAM).await?;
    let rate = delivered.len() as f64 / seconds as f64;
    let [a50, a99] = percentiles(&mut acknowledged);
    let [d50, d99] = percentiles(&mut delivered);
    println!("{clients} {window} {rate:.0} {a50:.2} {a99:.2} {d50:.2} {d99:.2}");
    Ok(())
}

/// Publishes to one subject and hears it, until that time.
async fn run(url: String, client: u64, window: usize, begin: Instant, end: Instant) -> Result<Times, Failure> {
    let context = jetstream::new(async_nats::connect(&url).await?);
    let subject = format!("ringway-example.{client}");
    let config = OrderedConfig {
        deliver_subject: context.client().new_inbox(),
        filter_subject: subject.clone(),
        deliver_policy: DeliverPolicy::New,
        ..OrderedConfig::default()
    };
    let consumer = context.get_stream(STREAM).await?.create_consumer(config).await?;
    let mut messages = consumer.messages().await?;
    let (answers, mut answered) = mpsc::channel(window);
    let mut times = Times { acknowledged: Vec::new(), delivered: Vec::new() };
    let (mut under_way, zero) = (0, Instant::now());
    while Instant::now() < end {
        while under_way < window {
            let sent = Instant::now();
            let mut payload = (sent - zero).as_nanos().to_le_bytes().to_vec();
            payload.resize(PAYLOAD, b'x');
            let answer = context.publish(subject.clone(), payload.into()).await?;
            let answers = answers.clone();
            tokio::spawn(async move {
                let answer = answer.await.map(|_| sent.elapsed());
                // Nobody waits for it at the end.
                let _ = answers.send(answer).await;
            });
            under_way += 1;
        }
        // One is over when it was delivered and acknowledged, and both come in order.
        let message = messages.next().await.ok_or("the consumer has ended")??;
        let (sent, _) = message.payload.split_first_chunk().ok_or("a message of somebody else")?;
        let took = zero.elapsed().saturating_sub(Duration::from_nanos(u128::from_le_bytes(*sent) as u64));
        let answer = answered.recv().await.ok_or("no answer")??;
        under_way -= 1;
        let now = Instant::now();
        if now >= begin && now < end {
            times.acknowledged.push(answer);
            times.delivered.push(took);
        }
    }
    Ok(times)
}

/// p50 and p99 in milliseconds.
fn percentiles(times: &mut [Duration]) -> [f64; 2] {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    [0.5, 0.99].map(|share| times.get((last as f64 * share) as usize).map_or(0.0, |time| time.as_secs_f64() * 1e3))
}
