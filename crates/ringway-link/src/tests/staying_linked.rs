//! One link for each pair, in order, whoever dials.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use ringway_core::id::Incarnation;
use ringway_core::message::Message;
use ringway_protocol::link::{Purpose, Versions, encode};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::member::{Member, eventually, frame, identity, linked};
use crate::handshake::{Keys, receive};
use crate::{Ended, Event, Secret};

#[tokio::test]
async fn frames_come_in_order_and_in_batches() {
    const COUNT: u64 = 10_000;
    let (_a, mut b, to_b, _) = linked().await;
    for number in 0..COUNT {
        to_b.send(frame(number)).unwrap();
    }
    let (numbers, events) = b.numbers(COUNT as usize).await;
    assert!(numbers.into_iter().eq(0..COUNT));
    assert!(events < 100, "{COUNT} frames came in {events} events");
}

#[tokio::test]
async fn traffic_is_counted() {
    let (a, mut b, to_b, _) = linked().await;
    for number in 0..100 {
        to_b.send(frame(number)).unwrap();
    }
    b.numbers(100).await;
    eventually("what is written waits no more", || to_b.queued_bytes() == 0).await;
    let (sent, got) = (a.links.stats().remove(0), b.links.stats().remove(0));
    let length = { encode(&frame(1), &mut BytesMut::new()).unwrap() as u64 };
    assert_eq!((sent.frames_out, sent.bytes_out), (100, 100 * length));
    assert_eq!((got.frames_in, got.bytes_in), (100, 100 * length));
    assert!(sent.writes < 100, "{} writes for 100 frames that waited together", sent.writes);
    assert_eq!((sent.peer, sent.reconnects), (b.identity().id, 0));
}

/// A peer that speaks is not silent, however long its events wait for whoever takes them.
#[tokio::test]
async fn what_was_read_was_heard_before_it_is_taken() {
    const SILENCE: Duration = Duration::from_millis(300);
    let (_a, _b, to_b, to_a) = linked().await;
    eventually("nobody spoke", || to_a.silence() > SILENCE).await;
    let sent = Instant::now();
    to_b.send(frame(1)).unwrap();
    eventually("b has read it", || to_a.silence() < sent.elapsed()).await;
    assert!(to_b.silence() > SILENCE, "a heard nothing");
}

/// Whoever dials first, and whoever is the judge, the two end up with the same connection, and it stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_may_dial() {
    for round in 0..40_u64 {
        let (one, two) = if round % 2 == 0 { (1, 2) } else { (2, 1) };
        let (mut a, mut b) = (Member::start("a", one).await, Member::start("b", two).await);
        a.links.dial(b.target());
        b.links.dial(a.target());
        let (to_b, to_a) = (a.up_at_last().await.2, b.up_at_last().await.2);
        // A link may have been replaced at once; the last one carries.
        let _ = (to_b.send(frame(round)), to_a.send(frame(round)));
        converse(&mut a, &mut b, round).await;
    }
}

/// Reads at both ends until the number came to each; sends it again on each new link.
async fn converse(a: &mut Member, b: &mut Member, number: u64) {
    let (mut at_a, mut at_b) = (false, false);
    while !(at_a && at_b) {
        let (event, arrived) = tokio::select! {
            event = a.next() => (event, &mut at_a),
            event = b.next() => (event, &mut at_b),
        };
        match event {
            Event::Frames { frames, .. } => {
                assert_eq!(frames, [frame(number)]);
                *arrived = true;
            }
            Event::Up { sender, .. } => drop(sender.send(frame(number)).ok()),
            Event::Down { .. } | Event::Refused { .. } | Event::Failed { .. } => {}
        }
    }
}

/// The receiver sees Up, frames without a gap from the first one, Down, Up, …, each link newer than the last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_an_old_link_follows_a_new_one() {
    const LINKS: usize = 60;
    const FRAMES: u64 = 200;
    let (mut a, mut b, first, to_a) = linked().await;
    b.links.dial(a.target());
    let sending = tokio::spawn(async move {
        let mut sender = first;
        let mut turn = 0_u64;
        loop {
            for number in 0..FRAMES {
                let _ = sender.send(frame(number));
            }
            // Ended in three ways: in good order, abruptly, and by the other end (below).
            turn += 1;
            match turn % 3 {
                0 => sender.close(),
                1 => sender.0.end(Ended::Cut),
                _ => {}
            }
            sender = a.up_at_last().await.2;
        }
    });
    let (mut current, mut expected, mut ups) = (Some(to_a.link()), 0, 1);
    let mut last = current;
    while ups < LINKS {
        match b.next().await {
            Event::Up { link, sender, .. } => {
                assert_eq!(current, None, "an Up before the Down of the one before");
                assert!(last < Some(link));
                (current, last, expected, ups) = (Some(link), Some(link), 0, ups + 1);
                if ups % 3 == 0 {
                    sender.0.end(Ended::Cut);
                }
            }
            Event::Frames { link, frames, .. } => {
                assert_eq!(current, Some(link));
                for got in frames {
                    assert_eq!(got, frame(expected));
                    expected += 1;
                }
            }
            Event::Down { link, .. } => {
                assert_eq!(current.take(), Some(link));
            }
            Event::Refused { .. } | Event::Failed { .. } => {}
        }
        // The third way of ending, where the sender did nothing: this end closes once it has everything.
        if expected == FRAMES
            && let Some(link) = b.links.link(peer_of(&b))
        {
            link.close();
        }
    }
    sending.abort();
}

/// The other one of the two members that `linked` makes.
fn peer_of(member: &Member) -> Incarnation {
    Incarnation(3 - member.identity().incarnation.0)
}

/// A member that lost the connection dials again; the other end, which had not noticed, takes the new one.
#[tokio::test]
async fn a_newer_connection_replaces_the_old_one() {
    let mut a = Member::start("a", 9).await;
    let mut first = Member::start("b", 1).await;
    first.links.dial(a.target());
    let (old, ..) = a.up().await;
    first.up().await;
    first.links.stop_dialing(&a.target());
    // The same incarnation once more, as if it had forgotten its first connection.
    let mut again = Member::start("b", 1).await;
    again.links.dial(a.target());
    let (ended, reason) = a.down().await;
    assert_eq!(ended, old);
    assert!(matches!(reason, Ended::Replaced), "{reason:?}");
    let (new, ..) = a.up().await;
    assert!(new > old);
    assert!(matches!(first.down().await.1, Ended::Closed | Ended::Broken(_)));
    again.up().await;
    assert_eq!(a.links.stats()[0].reconnects, 1);
}

/// Whether the new incarnation is the judge of the pair or not, and whatever the old one was.
#[tokio::test]
async fn a_new_incarnation_is_a_new_peer() {
    for (before, after) in [(10, 60), (90, 60), (10, 5), (90, 5)] {
        let (mut a, mut b) = (Member::start("a", 50).await, Member::start("b", before).await);
        a.links.dial(b.target());
        a.up().await;
        b.up().await;
        let mut identity = b.identity();
        identity.incarnation = Incarnation(after);
        b.links.set_identity(identity.clone());
        assert!(matches!(b.down().await.1, Ended::Reborn));
        a.down().await;
        match a.next().await {
            Event::Failed { why: crate::DialError::Other(who), .. } => assert_eq!(*who, identity),
            other => panic!("{other:?}"),
        }
        a.links.dial(b.target());
        assert_eq!(a.up_at_last().await.1, identity);
        assert_eq!(b.up_at_last().await.1, a.identity());
    }
}

#[tokio::test]
async fn bytes_that_are_no_frame_end_the_link() {
    let mut a = Member::start("a", 9).await;
    let mut stream = TcpStream::connect(&*a.identity().address).await.unwrap();
    let keys = Keys { secret: Secret::new("open sesame"), cluster: "".into(), versions: Versions::OURS };
    keys.dial(&mut stream, &identity("b", 1, "b:1"), Purpose::Link, |_| false).await.unwrap();
    receive(&mut stream).await.unwrap();
    let mut bytes = BytesMut::new();
    encode(&frame(1), &mut bytes).unwrap();
    bytes.extend_from_slice(b"\x02\0\0\0\x01\x27");
    stream.write_all(&bytes).await.unwrap();
    a.up().await;
    assert_eq!(a.numbers(1).await.0, [1], "what came before the fault counts");
    assert!(matches!(a.down().await.1, Ended::Malformed(_)));
}

#[tokio::test]
async fn a_frame_that_is_too_long_harms_nothing() {
    let (_a, mut b, to_b, _) = linked().await;
    let slots = vec![(ringway_core::id::Slot(u32::MAX), ringway_core::id::Epoch(u64::MAX)); 5_000_000];
    let mut long = frame(0);
    long.message = Message::Released(slots);
    assert!(matches!(to_b.send(long), Err(crate::SendError::TooLong(_))));
    to_b.send(frame(7)).unwrap();
    assert_eq!(b.numbers(1).await.0, [7]);
}

#[tokio::test]
async fn dialing_twice_is_dialing_once() {
    let (mut a, mut b, ..) = linked().await;
    a.links.dial(b.target());
    a.links.dial(crate::Target::anyone(b.identity().address));
    a.nothing_for(Duration::from_millis(100)).await;
    b.nothing_for(Duration::from_millis(1)).await;
}
