//! What every bus must do.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::until_ok;
use crate::bus::{Bus, Inbox, NotTaken};

/// Longest time for what must come.
const SOON: Duration = Duration::from_secs(10);

/// Orders in a row, and how many are given at once.
const IN_A_ROW: u32 = 200;
const AT_ONCE: u32 = 100;

/// Holds a bus to its trait. Four members from `first` on must not listen before.
///
/// # Panics
/// At what goes otherwise.
pub async fn bus(bus: &impl Bus, first: u64) {
    give_to_nobody(bus, first).await;
    give_one_after_the_other(bus, first).await;
    give_many_at_once(bus, first + 1).await;
    drop_without_a_word(bus, first + 2).await;
    listen_anew(bus, first + 3).await;
}

/// Gives an order until it is taken: a queue may need a while to be there.
///
/// # Panics
/// If it is not taken for ten seconds.
pub async fn given(bus: &impl Bus, to: u64, order: impl Into<Bytes>) {
    let order = order.into();
    until_ok(SOON, async || bus.give(to, order.clone()).await).await;
}

/// The next order, which is taken.
///
/// # Panics
/// If none comes for ten seconds.
pub async fn next(inbox: &mut Inbox) -> Bytes {
    timeout(SOON, inbox.next()).await.expect("an order comes").expect("the inbox is open").taken()
}

/// An inbox that is bound: something has come through it.
async fn bound(bus: &impl Bus, member: u64) -> Inbox {
    let mut inbox = bus.listen(member);
    let (first, ()) = tokio::join!(next(&mut inbox), given(bus, member, "first"));
    assert_eq!(first, "first");
    inbox
}

fn numbered(number: u32) -> Bytes {
    // One is longer than a frame of any of the servers.
    let length = if number == 40 { 300_000 } else { 100 };
    let mut order = vec![7; length];
    order[..4].copy_from_slice(&number.to_be_bytes());
    order.into()
}

fn number_of(order: &Bytes) -> u32 {
    u32::from_be_bytes(order[..4].try_into().expect("four bytes"))
}

async fn give_to_nobody(bus: &impl Bus, somebody: u64) {
    let began = Instant::now();
    let given: Result<(), NotTaken> = bus.give(somebody, "x".into()).await;
    assert!(given.is_err(), "nobody listens there");
    assert!(began.elapsed() < SOON, "it is known soon");
}

async fn give_one_after_the_other(bus: &impl Bus, member: u64) {
    let mut inbox = bound(bus, member).await;
    let give = async {
        for number in 0..IN_A_ROW {
            bus.give(member, numbered(number)).await.unwrap_or_else(|why| panic!("order {number}: {why}"));
        }
    };
    let take = async {
        for number in 0..IN_A_ROW {
            assert!(next(&mut inbox).await == numbered(number), "order {number}, whole, once and in its turn");
        }
    };
    tokio::join!(give, take);
    assert!(timeout(Duration::from_millis(100), inbox.next()).await.is_err(), "and nothing else");
}

async fn give_many_at_once(bus: &impl Bus, member: u64) {
    let mut inbox = bound(bus, member).await;
    let others = member + 1_000_000;
    // Those to nobody go between: no answer is another order's.
    let give = join_all((0..AT_ONCE).map(|number| async move {
        let given = bus.give(member, numbered(number)).await;
        assert!(bus.give(others, numbered(number)).await.is_err(), "nobody listens there");
        given.unwrap_or_else(|why| panic!("order {number}: {why}"));
    }));
    let take = async {
        let mut come = Vec::new();
        while come.len() < AT_ONCE as usize {
            come.push(number_of(&next(&mut inbox).await));
        }
        come.sort_unstable();
        assert_eq!(come, (0..AT_ONCE).collect::<Vec<_>>());
    };
    tokio::join!(give, take);
}

/// An order that is dropped comes again, or its giver knows that it was not taken and gives it again.
async fn drop_without_a_word(bus: &impl Bus, member: u64) {
    let mut inbox = bound(bus, member).await;
    let give = given(bus, member, "dropped");
    let take = async {
        let order = timeout(SOON, inbox.next()).await.expect("it comes").expect("the inbox is open");
        drop(order);
        assert_eq!(next(&mut inbox).await, "dropped", "again");
    };
    tokio::join!(give, take);
}

/// Who listens no more gets nothing, and who listens again gets what is given then.
async fn listen_anew(bus: &impl Bus, member: u64) {
    drop(bound(bus, member).await);
    until_ok(SOON, async || match bus.give(member, "to nobody".into()).await {
        Ok(()) => Err("the queue of whoever listened is still there"),
        Err(_) => Ok(()),
    })
    .await;
    let mut inbox = bus.listen(member);
    let take = async {
        assert_eq!(next(&mut inbox).await, "again");
    };
    tokio::join!(given(bus, member, "again"), take);
}
