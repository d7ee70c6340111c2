//! Slow directions: everything arrives, in order and later, and no link is closed for it.

use std::time::{Duration, Instant};

use ringway_core::id::{Epoch, MemberId};
use ringway_core::message::{Frame, Message};

use super::member::{Member, frame, linked};
use crate::Slow;
use crate::limits::{READ_CHUNK, SLOW_BYTES};

const DELAY: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(60);

fn id(member: &Member) -> MemberId {
    member.identity().id
}

fn late() -> Slow {
    Slow { delay: DELAY, bytes_per_second: None }
}

fn paced(bytes_per_second: u64) -> Slow {
    Slow { delay: Duration::ZERO, bytes_per_second: Some(bytes_per_second) }
}

#[tokio::test]
async fn a_late_direction_is_late_and_the_other_is_not() {
    let (mut a, mut b, to_b, to_a) = linked().await;
    b.links.slow(&id(&a), late(), LONG);
    let began = Instant::now();
    for number in 1..=3 {
        to_b.send(frame(number)).unwrap();
    }
    to_a.send(frame(9)).unwrap();
    assert_eq!(a.numbers(1).await.0, [9]);
    assert!(began.elapsed() < DELAY, "{:?}", began.elapsed());
    assert_eq!(b.numbers(3).await.0, [1, 2, 3]);
    assert!(began.elapsed() >= DELAY);
}

/// What is under way when the slowness ends comes at once, before what is sent afterwards; the link is the same.
#[tokio::test]
async fn a_stall_loses_nothing_and_goes_on() {
    let (a, mut b, to_b, _) = linked().await;
    b.links.slow(&id(&a), paced(0), DELAY);
    let began = Instant::now();
    (1..=100).for_each(|number| to_b.send(frame(number)).unwrap());
    assert_eq!(b.numbers(100).await.0, (1..=100).collect::<Vec<_>>());
    assert!(began.elapsed() >= DELAY);
    to_b.send(frame(101)).unwrap();
    assert_eq!(b.numbers(1).await.0, [101]);
    assert_eq!(b.links.stats()[0].reconnects, 0);
}

#[tokio::test]
async fn a_pace_is_kept() {
    let (a, mut b, to_b, _) = linked().await;
    b.links.slow(&id(&a), paced(100_000), LONG);
    let began = Instant::now();
    let mut sent = 0;
    while a.links.stats()[0].bytes_out + to_b.queued_bytes() as u64 <= 50_000 {
        sent += 1;
        to_b.send(frame(sent)).unwrap();
        tokio::task::yield_now().await;
    }
    b.numbers(sent as usize).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(5), "{took:?}");
}

/// The link that is made next is slow as well.
#[tokio::test]
async fn slowness_outlives_a_link() {
    let (mut a, mut b, _, _) = linked().await;
    b.links.slow(&id(&a), late(), LONG);
    b.links.forget(a.identity().incarnation);
    a.down().await;
    let to_b = a.up_at_last().await.2;
    b.up_at_last().await;
    let began = Instant::now();
    to_b.send(frame(1)).unwrap();
    assert_eq!(b.numbers(1).await.0, [1]);
    assert!(began.elapsed() >= DELAY);
}

/// What a stalled end holds is bounded: the rest waits at the sender, up to the sender's own limit.
#[tokio::test]
async fn a_stalled_end_holds_no_more_than_its_bound() {
    /// More than the kernel keeps for a connection.
    const KERNEL: usize = 16 * 1024 * 1024;
    let (a, b, to_b, _) = linked().await;
    b.links.slow(&id(&a), paced(0), LONG);
    let large = Frame { epoch: Epoch(1), message: Message::KeptOut("x".repeat(READ_CHUNK).into()) };
    let queue = crate::Limits::default().queue_bytes;
    let mut sent = 0;
    while to_b.queued_bytes() < queue / 2 && sent < 2 * (SLOW_BYTES + KERNEL + queue) {
        to_b.send(large.clone()).unwrap();
        sent += READ_CHUNK;
        tokio::task::yield_now().await;
    }
    assert!(sent <= SLOW_BYTES + KERNEL + queue, "{sent} bytes were taken");
    assert_eq!(b.links.stats()[0].frames_in, 0);
}
