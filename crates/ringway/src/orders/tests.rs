use std::time::Duration;

use ringway_core::Epoch;
use ringway_core::message::{Message, Reset};
use ringway_engine::memory::MemoryBus;
use tokio::time::timeout;

use super::sealed::NoOrder;
use super::*;

const BIRTH: Birth = Birth(77);

fn reset(number: u64) -> Frame {
    let order = Reset { number, slots: None, window: Duration::from_secs(5) };
    Frame { epoch: Epoch(9), message: Message::Reset(Box::new(order)) }
}

fn key(to: u64, number: u64) -> Key {
    Key { to: Incarnation(to), kind: Kind::Reset, number }
}

fn member(bus: &MemoryBus, me: u64) -> Handle {
    Handle::through(bus.clone(), Secret::new("known between members"), Incarnation(me))
}

async fn next(handle: &mut Handle) -> Told {
    timeout(Duration::from_secs(10), handle.next()).await.expect("something comes")
}

#[test]
fn an_order_is_read_as_it_was_written_and_by_members_alone() {
    let sealing = Sealing::new(Secret::new("known between members"));
    let sealed = sealing.seal(Incarnation(1), Incarnation(2), BIRTH, &reset(3)).unwrap();
    let come = Come { birth: BIRTH, from: Incarnation(1), to: Incarnation(2), frame: reset(3) };
    assert_eq!(sealing.open(&sealed).unwrap(), come);
    let stranger = Sealing::new(Secret::new("something else"));
    assert!(matches!(stranger.open(&sealed), Err(NoOrder::Forged)));
    for at in 0..sealed.len() {
        let mut changed = sealed.to_vec();
        changed[at] ^= 1;
        assert!(matches!(sealing.open(&changed), Err(NoOrder::Forged)), "byte {at}");
        assert!(sealing.open(&sealed[..at]).is_err());
    }
}

#[test]
fn what_a_member_seals_that_is_no_order_is_none() {
    let secret = Secret::new("known between members");
    let sealing = Sealing::new(secret.clone());
    let sealed = |bytes: &[u8]| [&secret.seal(b"ringway order", bytes)[..], bytes].concat();
    let whole = sealing.seal(Incarnation(1), Incarnation(2), BIRTH, &reset(3)).unwrap();
    let (head, frame) = whole[ringway_link::SEAL_BYTES..].split_at(25);
    assert!(sealing.open(&sealed(&[head, frame].concat())).is_ok());
    assert!(matches!(sealing.open(&sealed(b"")), Err(NoOrder::NotOne)));
    assert!(matches!(sealing.open(&sealed(head)), Err(NoOrder::NotOne)));
    assert!(matches!(sealing.open(&sealed(&[head, frame, frame].concat())), Err(NoOrder::NotOne)));
    assert!(matches!(sealing.open(&sealed(&[&[2], &head[1..], frame].concat())), Err(NoOrder::Version)));
    assert!(matches!(sealing.open(&sealed(&[head, &[0xff; 8]].concat())), Err(NoOrder::Frame(_))));
}

#[tokio::test]
async fn orders_go_through_the_bus_and_to_each_life_of_a_member() {
    let bus = MemoryBus::default();
    let (mut giver, mut taker) = (member(&bus, 1), member(&bus, 2));
    for (life, number) in [(2, 1), (3, 2)] {
        taker.begin_life(Incarnation(life));
        loop {
            // Its queue may need a while to be there.
            assert!(giver.give(Incarnation(1), BIRTH, key(life, number), &reset(number)));
            match next(&mut giver).await {
                Told::Taken(taken) => break assert_eq!(taken, key(life, number)),
                Told::NotTaken(_) => tokio::task::yield_now().await,
                Told::Order(..) => panic!("nobody gives any to it"),
            }
        }
        let Told::Order(come, order) = next(&mut taker).await else { panic!("an order comes") };
        assert_eq!((come.from, come.to, come.frame), (Incarnation(1), Incarnation(life), reset(number)));
        order.taken();
    }
    assert!(giver.give(Incarnation(1), BIRTH, key(2, 3), &reset(3)));
    assert!(matches!(next(&mut giver).await, Told::NotTaken(_)), "that life is over");
}

#[tokio::test]
async fn a_bus_that_is_away_says_so_and_takes_nothing() {
    let bus = MemoryBus::default();
    let mut giver = member(&bus, 1);
    bus.be_away(Some("for a test"));
    while giver.away().as_deref() != Some("for a test") {
        tokio::task::yield_now().await;
    }
    assert!(giver.give(Incarnation(1), BIRTH, key(2, 1), &reset(1)));
    assert!(matches!(next(&mut giver).await, Told::NotTaken(taken) if taken == key(2, 1)));
    assert!(!Handle::Links.give(Incarnation(1), BIRTH, key(2, 1), &reset(1)), "there is none");
    assert_eq!(Handle::Links.away(), None);
}
