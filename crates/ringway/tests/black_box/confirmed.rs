//! Plain users whose sockets end in every way: nothing that was acknowledged is lost to them, and what comes again goes on in order.

use std::time::{Duration, Instant};

use ringway_testkit::raw::RawWs;
use ringway_testkit::{PlainClient, Server, process};

use crate::support::{CHANGE, SOON, confirmed, dev, plain, tell, two_gateways};

/// Sends so many messages, acknowledged, from this number on. Returns them.
async fn tell_all(server: &Server, user: &str, numbers: std::ops::Range<usize>) -> Vec<String> {
    let texts: Vec<String> = numbers.map(|number| format!("message-{number}")).collect();
    for text in &texts {
        tell(server, user, text).await;
    }
    texts
}

/// Waits until the client has got the last of these.
async fn wait_last(client: &mut PlainClient, all: &[String]) {
    while Some(&client.recv_content(SOON).await.expect("what was acknowledged").0) != all.last() {}
}

/// What a later connection got goes on where the earlier one ended, or from before that, and in order to the end.
#[track_caller]
fn goes_on(all: &[String], earlier: &[String], later: &[String]) {
    assert!(all.starts_with(earlier), "{earlier:?}");
    assert!(all.ends_with(later), "{later:?}");
    assert!(earlier.len() + later.len() >= all.len(), "lost: {earlier:?}, then {later:?}");
}

#[tokio::test]
async fn a_client_that_vanished_loses_nothing_and_is_closed() {
    let server = dev("pong_timeout = \"2s\"\n").await;
    // It reads nothing and answers nothing.
    let mut gone = RawWs::connect(server.addr(), "/socket/ben").await.unwrap();
    let begin = Instant::now();
    let all = tell_all(&server, "ben", 0..100).await;
    // It comes back while the server still takes the old socket for a living one.
    let mut ben = plain(server.addr(), "ben").await;
    wait_last(&mut ben, &all).await;
    assert_eq!(ben.contents(), all);
    // As long as it is open it is one of the user's devices.
    let (code, _) = gone.closed(SOON).await.unwrap().expect("a close frame");
    assert_eq!(code, 3012);
    let slack = begin.elapsed().saturating_sub(Duration::from_secs(4));
    assert!(slack < Duration::from_secs(2), "closed {slack:?} after 2 s more than the timeout");
    assert!(ben.closed().is_none());
    confirmed(&mut ben).await;
    ben.close();
    server.nobody_connected(SOON).await;
    let more = tell_all(&server, "ben", 100..101).await;
    let mut ben = plain(server.addr(), "ben").await;
    wait_last(&mut ben, &more).await;
    assert_eq!(ben.contents(), more, "what was confirmed does not come again");
}

#[tokio::test]
async fn a_client_that_vanished_finds_everything_when_it_was_closed_meanwhile() {
    let server = dev("pong_timeout = \"500ms\"\n").await;
    let mut gone = RawWs::connect(server.addr(), "/socket/ben").await.unwrap();
    let mut all = tell_all(&server, "ben", 0..20).await;
    gone.closed(SOON).await.unwrap();
    all.extend(tell_all(&server, "ben", 20..40).await);
    let mut ben = plain(server.addr(), "ben").await;
    wait_last(&mut ben, &all).await;
    assert_eq!(ben.contents(), all);
}

#[tokio::test]
async fn devices_on_two_gateways_share_what_is_confirmed() {
    let (server, second) = two_gateways(2, "").await;
    let mut here = plain(server.addr(), "ben").await;
    let _gone = RawWs::connect(second, "/socket/ben").await.unwrap();
    let mut all = tell_all(&server, "ben", 0..20).await;
    wait_last(&mut here, &all).await;
    confirmed(&mut here).await;
    all.extend(tell_all(&server, "ben", 20..40).await);
    wait_last(&mut here, &all).await;
    assert_eq!(here.contents(), all, "whoever is there all the time gets each message once");
    confirmed(&mut here).await;
    here.close();
    here.wait_closed(SOON).await.unwrap();
    all.extend(tell_all(&server, "ben", 40..60).await);
    // What went to the silent device alone is there for the next one, on any gateway.
    let mut next = plain(server.addr(), "ben").await;
    wait_last(&mut next, &all).await;
    goes_on(&all, &here.contents(), &next.contents());
}

#[tokio::test]
async fn the_users_of_a_killed_gateway_miss_nothing() {
    let (server, second) = two_gateways(2, "").await;
    let mut ben = plain(second, "ben").await;
    let mut all = tell_all(&server, "ben", 0..20).await;
    wait_last(&mut ben, &all).await;
    // No wait for anything: some of it may not be confirmed, or not be known to be.
    server.act("gateway-1", "kill").await.unwrap();
    ben.wait_closed(SOON).await.unwrap();
    all.extend(tell_all(&server, "ben", 20..40).await);
    let mut again = plain(server.addr(), "ben").await;
    wait_last(&mut again, &all).await;
    goes_on(&all, &ben.contents(), &again.contents());
}

#[tokio::test]
async fn who_leaves_a_gateway_while_the_owner_is_frozen_misses_nothing_at_another() {
    let (server, second) = two_gateways(3, "").await;
    let mut ben = plain(second, "ben").await;
    let mut all = tell_all(&server, "ben", 0..20).await;
    wait_last(&mut ben, &all).await;
    let names = ["user=ben".to_owned()];
    let owner = server.places(&names).await.unwrap().remove(&names[0]).unwrap().owner;
    let pid = server.member(&owner).await.unwrap().pid;
    assert!(process::freeze(pid));
    ben.close();
    ben.wait_closed(SOON).await.unwrap();
    let mut again = PlainClient::connect(server.addr(), "ben").await.unwrap();
    again.recv_type(1, CHANGE).await.unwrap();
    all.extend(tell_all(&server, "ben", 20..40).await);
    wait_last(&mut again, &all).await;
    goes_on(&all, &ben.contents(), &again.contents());
    assert!(process::thaw(pid));
    server.wait_state(&owner, "active", CHANGE).await;
    // It is another life of the owner, and knows what was confirmed to the one between.
    confirmed(&mut again).await;
    again.close();
    again.wait_closed(SOON).await.unwrap();
    all.extend(tell_all(&server, "ben", 40..60).await);
    let mut last = plain(second, "ben").await;
    wait_last(&mut last, &all).await;
    goes_on(&all, &all[..40], &last.contents());
}

#[tokio::test]
async fn whoever_is_sent_away_has_confirmed_and_gets_nothing_twice() {
    let (server, second) = two_gateways(2, "").await;
    let mut ben = plain(second, "ben").await;
    let mut all = tell_all(&server, "ben", 0..20).await;
    wait_last(&mut ben, &all).await;
    server.act("gateway-1", "stop").await.unwrap();
    ben.wait_closed(SOON).await.unwrap();
    all.extend(tell_all(&server, "ben", 20..30).await);
    let mut again = plain(server.addr(), "ben").await;
    wait_last(&mut again, &all).await;
    assert_eq!(again.contents(), all[20..]);
}
