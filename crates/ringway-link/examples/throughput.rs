//! How many small frames a second does one link carry, and how fast does one come back?
//!
//! `cargo run --release -p ringway-link --example throughput`: two members in one process, on the loopback.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ringway_core::id::{Epoch, Incarnation, MemberId};
use ringway_core::message::{AttachId, Deliver, Entry, Frame, Message};
use ringway_link::{Event, Identity, Limits, LinkSender, LinkStats, Links, Listener, Roles, Secret, Settings, Target};
use tokio::sync::mpsc::Receiver;

/// Frames sent in one direction.
const FRAMES: u64 = 3_000_000;
/// Frames sent one after the other, each when the last one came back.
const ROUNDS: u64 = 20_000;
/// The sender pauses while this much waits, as a gateway does by its window.
const WINDOW: usize = 4 * 1024 * 1024;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (a, mut a_events) = start("a", 1).await?;
    let (b, mut b_events) = start("b", 2).await?;
    let answerer = b.identity();
    a.dial(Target::member(answerer.address.clone(), answerer.id.clone(), answerer.incarnation));
    let (to_b, to_a) = (up(&mut a_events).await, up(&mut b_events).await);

    let began = Instant::now();
    let sending = tokio::spawn(send_all(to_b.clone()));
    let events = receive(&mut b_events, FRAMES).await;
    let took = began.elapsed();
    sending.await??;
    report(took, events, &a.stats()[0], &b.stats()[0]);

    let echo = tokio::spawn(async move {
        while let Some(event) = b_events.recv().await {
            if let Event::Frames { frames, .. } = event {
                for frame in &frames {
                    let _ = to_a.send(frame.clone());
                }
            }
        }
    });
    let began = Instant::now();
    for offset in 0..ROUNDS {
        to_b.send(deliver(offset))?;
        receive(&mut a_events, 1).await;
    }
    println!("round trip: {:?}", began.elapsed() / u32::try_from(ROUNDS)?);
    echo.abort();
    Ok(())
}

async fn start(id: &str, incarnation: u64) -> anyhow::Result<(Links, Receiver<Event>)> {
    let listener = Listener::bind("127.0.0.1:0").await?;
    let identity = Identity {
        id: MemberId::new(id)?,
        incarnation: Incarnation(incarnation),
        roles: Roles { gateway: true, node: true },
        address: listener.address().to_string().into(),
        client_address: None,
        keeps_registry: false,
        birth: None,
    };
    let secret = Secret::new("bench");
    Ok(Links::start(
        listener,
        Settings {
            identity,
            cluster: "".into(),
            secret,
            limits: Limits::default(),
            on_wrong_secret: ringway_link::OnWrongSecret::default(),
        },
    ))
}

async fn up(events: &mut Receiver<Event>) -> LinkSender {
    loop {
        if let Some(Event::Up { sender, .. }) = events.recv().await {
            return sender;
        }
    }
}

/// A delivery of 100 bytes of JSON, the commonest frame there is.
fn deliver(offset: u64) -> Frame {
    let data = Bytes::from_static(&[b'1'; 100]);
    let entry = Entry::of(&data);
    Frame { epoch: Epoch(7), message: Message::Deliver(Deliver { attach: AttachId(1), offset, entry }) }
}

async fn send_all(sender: LinkSender) -> anyhow::Result<()> {
    for offset in 0..FRAMES {
        sender.send(deliver(offset))?;
        while offset % 64 == 0 && sender.queued_bytes() > WINDOW {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// Takes this many frames; how many events they came in.
async fn receive(events: &mut Receiver<Event>, count: u64) -> u64 {
    let (mut received, mut batches) = (0, 0);
    while received < count {
        if let Some(Event::Frames { frames, .. }) = events.recv().await {
            received += frames.len() as u64;
            batches += 1;
        }
    }
    batches
}

fn report(took: Duration, events: u64, sent: &LinkStats, got: &LinkStats) {
    let seconds = took.as_secs_f64();
    println!("{FRAMES} frames of {} bytes in {took:?}", sent.bytes_out / FRAMES);
    println!("{:.0} frames/s, {:.0} MB/s", FRAMES as f64 / seconds, sent.bytes_out as f64 / seconds / 1e6);
    println!("{} writes, {} reads, {events} events", sent.writes, got.reads);
}
