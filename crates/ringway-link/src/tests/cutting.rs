//! Cuts: nothing arrives, nobody is told, and no death is pretended.

use std::time::{Duration, Instant};

use ringway_core::id::MemberId;

use super::member::{Member, frame, linked};
use crate::{Direction, Ended, Event, Evidence};

const CUT: Duration = Duration::from_millis(300);

fn id(member: &Member) -> MemberId {
    member.identity().id
}

#[tokio::test]
async fn one_direction_is_cut_and_the_other_carries_on() {
    let (mut a, mut b, to_b, to_a) = linked().await;
    let began = Instant::now();
    a.links.cut(&id(&b), Direction::Outgoing, CUT);
    to_b.send(frame(1)).unwrap();
    to_a.send(frame(2)).unwrap();
    assert_eq!(a.numbers(1).await.0, [2]);
    // Nothing until the end of the cut, when the link breaks and takes with it what was held back.
    assert!(matches!(b.next().await, Event::Down { .. }));
    assert!(began.elapsed() >= CUT);
    assert!(matches!(a.down().await.1, Ended::Cut));
    let to_b = a.up_at_last().await.2;
    b.up_at_last().await;
    to_b.send(frame(3)).unwrap();
    assert_eq!(b.numbers(1).await.0, [3]);
}

#[tokio::test]
async fn what_comes_in_is_held_back_too() {
    let (mut a, mut b, to_b, to_a) = linked().await;
    a.links.cut(&id(&b), Direction::Incoming, CUT);
    to_b.send(frame(1)).unwrap();
    to_a.send(frame(2)).unwrap();
    assert_eq!(b.numbers(1).await.0, [1]);
    match a.next().await {
        Event::Down { reason, .. } => assert!(matches!(reason, Ended::Cut)),
        other => panic!("{other:?}"),
    }
}

/// The end of a process is not seen across a cut: neither by the link's end nor by a refused dial.
#[tokio::test]
async fn a_death_behind_a_cut_is_not_seen() {
    let (mut a, b, ..) = linked().await;
    let began = Instant::now();
    let target = b.target();
    a.links.cut(&id(&b), Direction::Both, CUT);
    drop(b);
    assert!(matches!(a.links.probe(&target, CUT / 3).await, Evidence::Unknown(_)));
    assert!(matches!(a.down().await.1, Ended::Cut));
    assert!(began.elapsed() >= CUT);
    assert!(matches!(a.next().await, Event::Refused { .. }));
}

/// Whichever of the two dials during the cut, it hangs.
#[tokio::test]
async fn nobody_connects_across_a_cut() {
    const LONG: Duration = Duration::from_secs(1);
    const SHORT: Duration = Duration::from_millis(50);
    let hurried = |settings: &mut crate::Settings| settings.limits.handshake = 4 * SHORT;
    let (a, mut b) = (Member::with("a", 1, hurried).await, Member::with("b", 2, hurried).await);
    let began = Instant::now();
    a.links.cut(&id(&b), Direction::Both, LONG);
    assert!(matches!(a.links.probe(&b.target(), SHORT).await, Evidence::Unknown(_)));
    assert!(matches!(b.links.probe(&a.target(), SHORT).await, Evidence::Unknown(_)));
    b.links.dial(a.target());
    loop {
        match b.next().await {
            Event::Up { .. } => break,
            Event::Failed { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(began.elapsed() >= LONG);
}
