//! How links end: by the one, by the other, by a limit.

use std::time::{Duration, Instant};

use super::member::{Member, frame, linked};
use crate::{Ended, Event, SendError};

#[tokio::test]
async fn what_was_queued_arrives_before_a_shutdown() {
    const COUNT: u64 = 20_000;
    let (mut a, mut b, to_b, to_a) = linked().await;
    for number in 0..COUNT {
        to_b.send(frame(number)).unwrap();
    }
    // Unread bytes at the closing end must not take back what it wrote.
    to_a.send(frame(1)).unwrap();
    let reading = tokio::spawn(async move {
        let numbers = b.numbers(COUNT as usize).await.0;
        (numbers, b.down().await.1)
    });
    a.links.shut_down().await;
    let (numbers, reason) = reading.await.unwrap();
    assert!(numbers.into_iter().eq(0..COUNT));
    assert!(matches!(reason, Ended::Closed), "{reason:?}");
    assert!(matches!(a.down().await.1, Ended::ShutDown));
    assert_eq!(to_b.send(frame(1)), Err(SendError::Closed));
}

#[tokio::test]
async fn a_dial_to_a_process_that_is_gone_is_told_as_refused_at_once() {
    let (mut a, b, ..) = linked().await;
    let target = b.target();
    let began = Instant::now();
    drop(b);
    a.down().await;
    match a.next().await {
        Event::Refused { target: refused } => assert_eq!(refused, target),
        other => panic!("{other:?}"),
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(matches!(a.next().await, Event::Refused { .. }), "and again with each dial");
    a.links.forget(target.incarnation().unwrap());
    while let Ok(event) = a.events.try_recv() {
        assert!(matches!(event, Event::Refused { .. }), "{event:?}");
    }
}

#[tokio::test]
async fn a_full_queue_closes_the_link_and_both_ends_see_it() {
    let mut a = Member::with("a", 1, |settings| settings.limits.queue_bytes = 100_000).await;
    // The other one's task takes no events after the first: its reader stops, and TCP fills up.
    let mut b = Member::with("b", 2, |settings| settings.limits.events = 1).await;
    a.links.dial(b.target());
    let to_b = a.up().await.2;
    b.up().await;
    let mut sent = 0_u64;
    let full = loop {
        match to_b.send(frame(sent)) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        if sent.is_multiple_of(100) {
            tokio::task::yield_now().await;
        }
    };
    assert!(matches!(full, SendError::Full { queued } if (100_000..100_100).contains(&queued)), "{full:?}");
    a.links.stop_dialing(&b.target());
    match a.next().await {
        Event::Down { reason: Ended::QueueFull { queued }, .. } => assert!(queued >= 100_000),
        other => panic!("{other:?}"),
    }
    assert!(matches!(b.down().await.1, Ended::Closed | Ended::Broken(_)));
}

/// A member that takes no events holds back those who send to it, and loses nothing.
#[tokio::test]
async fn a_full_event_queue_holds_the_sender_back() {
    const COUNT: u64 = 500_000;
    let mut a = Member::start("a", 1).await;
    let mut b = Member::with("b", 2, |settings| settings.limits.events = 1).await;
    a.links.dial(b.target());
    let to_b = a.up().await.2;
    b.up().await;
    for number in 0..COUNT {
        to_b.send(frame(number)).unwrap();
    }
    assert!(to_b.queued_bytes() > 0, "more was sent than sockets hold");
    let (numbers, _) = b.numbers(COUNT as usize).await;
    assert!(numbers.into_iter().eq(0..COUNT));
}

#[tokio::test]
async fn a_forgotten_peer_is_not_dialed_again() {
    let (mut a, mut b, to_b, _) = linked().await;
    to_b.send(frame(3)).unwrap();
    a.links.forget(b.identity().incarnation);
    assert!(matches!(a.down().await.1, Ended::Forgotten));
    assert_eq!(b.numbers(1).await.0, [3], "what was queued arrives");
    assert!(matches!(b.down().await.1, Ended::Closed));
    a.nothing_for(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn a_process_that_comes_back_is_found() {
    let (mut a, b, ..) = linked().await;
    a.links.dial(crate::Target::anyone(b.identity().address));
    let address = b.identity().address;
    b.links.shut_down().await;
    drop(b);
    let listener = loop {
        // The port is free once the last task that held it has ended.
        match crate::Listener::bind(&address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let identity = super::member::identity("b", 70, &address);
    let secret = crate::Secret::new("open sesame");
    let limits = crate::Limits::default();
    let (_links, _events) = crate::Links::start(
        listener,
        crate::Settings {
            identity: identity.clone(),
            cluster: "".into(),
            secret,
            limits,
            on_wrong_secret: crate::OnWrongSecret::default(),
        },
    );
    assert_eq!(a.up_at_last().await.1, identity);
}
