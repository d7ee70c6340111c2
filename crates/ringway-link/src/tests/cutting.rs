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
    to_b.send(&frame(1)).unwrap();
    to_a.send(&frame(2)).unwrap();
    assert_eq!(a.numbers(1).await.0, [2]);
    assert!(began.elapsed() < CUT, "the machine is too slow for this test to mean anything");
    // Nothing until the end of the cut, when the link breaks and takes with it what was held back.
    assert!(matches!(b.next().await, Event::Down { .. }));
    assert!(began.elapsed() >= CUT);
    assert!(matches!(a.down().await.1, Ended::Cut));
    let to_b = a.up_at_last().await.2;
    b.up_at_last().await;
    to_b.send(&frame(3)).unwrap();
    assert_eq!(b.numbers(1).await.0, [3]);
}

#[tokio::test]
async fn what_comes_in_is_held_back_too() {
    let (mut a, mut b, to_b, to_a) = linked().await;
    a.links.cut(&id(&b), Direction::Incoming, CUT);
    to_b.send(&frame(1)).unwrap();
    to_a.send(&frame(2)).unwrap();
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
    let (a, mut b) = (Member::start("a", 1).await, Member::start("b", 2).await);
    a.links.cut(&id(&b), Direction::Both, CUT);
    let deadline = CUT / 3;
    assert!(matches!(a.links.probe(&b.target(), deadline).await, Evidence::Unknown(_)));
    assert!(matches!(b.links.probe(&a.target(), deadline).await, Evidence::Unknown(_)));
    let began = Instant::now();
    b.links.dial(a.target());
    b.up_at_last().await;
    assert!(began.elapsed() >= CUT / 4, "linked only after the cut");
}
