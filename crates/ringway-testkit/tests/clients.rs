//! The test clients against a server made with another WebSocket library.

use std::time::Duration;

use ringway_protocol::ws::Opcode;
use ringway_testkit::faulty::{Faults, FaultyServer};
use ringway_testkit::raw::Frame;
use ringway_testkit::{CentrifugeClient, PlainClient, RawWs, eventually, eventually_ok, http};
use serde_json::json;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn plain_users_talk() {
    let server = FaultyServer::start(Faults::default()).await;
    let mut bob = PlainClient::connect(server.addr(), "bob").await.unwrap();
    let mut eve = PlainClient::connect(server.addr(), "eve").await.unwrap();
    assert_eq!(bob.recv(SOON).await.unwrap()["type"], 1);
    eve.recv_type(1, SOON).await.unwrap();
    eve.send_to("bob", "hello").unwrap();
    eve.send_to("bob", "grüße: \"x\"").unwrap();
    let from_eve = Some("eve".to_owned());
    assert_eq!(bob.recv_content(SOON).await.unwrap(), ("hello".to_owned(), from_eve.clone()));
    assert_eq!(bob.recv_content(SOON).await.unwrap(), ("grüße: \"x\"".to_owned(), from_eve));
    assert_eq!(bob.contents(), ["hello", "grüße: \"x\""]);
    eve.send_text("nonsense").unwrap();
    eve.recv_type(5, SOON).await.unwrap();
    assert!(bob.recv(Duration::from_millis(1)).await.is_err());
}

#[tokio::test]
async fn a_close_is_told_with_code_and_reason() {
    let server = FaultyServer::start(Faults::default()).await;
    let mut bob = PlainClient::connect(server.addr(), "bob").await.unwrap();
    bob.recv_type(1, SOON).await.unwrap();
    assert_eq!(bob.closed(), None);
    server.close_all("bob", 3008, "slow").await;
    let closed = bob.wait_closed(SOON).await.unwrap();
    assert_eq!((closed.code, closed.reason.as_str(), closed.asked), (Some(3008), "slow", false));
    assert!(bob.recv(SOON).await.is_err(), "nothing comes after the end");
}

#[tokio::test]
async fn a_close_of_ones_own_is_answered() {
    let server = FaultyServer::start(Faults::default()).await;
    let mut bob = PlainClient::connect(server.addr(), "bob").await.unwrap();
    bob.close();
    let closed = bob.wait_closed(SOON).await.unwrap();
    assert_eq!((closed.code, closed.asked), (Some(1000), true));
    assert!(bob.send_text("late").is_err());
}

#[tokio::test]
async fn centrifuge_clients_publish_and_keep_their_position() {
    let server = FaultyServer::start(Faults::default()).await;
    let mut one = CentrifugeClient::connect(server.addr()).await.unwrap();
    let mut two = CentrifugeClient::connect(server.addr()).await.unwrap();
    one.subscribe("news").await.unwrap();
    two.subscribe("news").await.unwrap();
    one.publish("news", json!({"n": 1})).await.unwrap();
    one.publish("news", json!({"n": 2})).await.unwrap();
    assert_eq!(two.recv(SOON).await.unwrap().data, json!({"n": 1}));
    let both = two.wait_publications("news", 2, SOON).await.unwrap();
    assert_eq!((both[1].offset, &both[1].data), (2, &json!({"n": 2})));
    assert_eq!(two.position("news").unwrap().offset, 2);
    let error = one.publish("news", json!(null)).await.unwrap_err();
    assert!(error.to_string().contains("107"), "{error}");
}

#[tokio::test]
async fn pings_are_answered_and_lost_subscriptions_taken_anew() {
    let server = FaultyServer::start(Faults::default()).await;
    let mut client = CentrifugeClient::connect(server.addr()).await.unwrap();
    client.subscribe("news").await.unwrap();
    server.push_all("news", "{}").await;
    let unsubscribe =
        json!({"push": {"channel": "news", "unsubscribe": {"code": 2500, "reason": "insufficient state"}}});
    server.push_all("news", unsubscribe.to_string()).await;
    assert_eq!(client.recv_push(SOON).await.unwrap()["unsubscribe"]["code"], 2500);
    eventually(SOON, || async { client.resubscribed().first().cloned() }).await;
    assert_eq!(client.pings(), 1);
    server.close_all("news", 3012, "no pong").await;
    assert_eq!(client.wait_closed(SOON).await.unwrap().code, Some(3012));
}

#[tokio::test]
async fn bad_manners_are_sent_as_they_are() {
    let server = FaultyServer::start(Faults::default()).await;
    let mut raw = RawWs::connect(server.addr(), "/socket/bob").await.unwrap();
    assert!(matches!(raw.recv(SOON).await.unwrap(), Frame::Text(text) if text.starts_with(r#"{"type":1"#)));
    raw.send(Opcode::Ping, b"hi").await.unwrap();
    assert_eq!(raw.recv(SOON).await.unwrap(), Frame::Pong(b"hi".to_vec()));
    raw.send_unmasked(Opcode::Text, b"oops").await.unwrap();
    // This library drops the connection without a close frame; what matters is that it took offence.
    raw.closed(SOON).await.unwrap();
    let mut narrow = RawWs::connect_narrow(server.addr(), "/socket/eve").await.unwrap();
    narrow.send_text("x").await.unwrap();
    let mut lone = RawWs::tcp(server.addr()).await.unwrap();
    lone.send_bytes(b"GET / HTTP/9\r\n\r\n").await.unwrap();
    assert_eq!(lone.closed(SOON).await.unwrap(), None);
}

#[tokio::test]
async fn requests_give_status_and_body() {
    let server = FaultyServer::start(Faults::default()).await;
    let body = json!({"channel": "news", "data": 1});
    let answer = http::post(server.addr(), "/api/publish", &[("x-api-key", "key")], &body).await.unwrap();
    assert_eq!((answer.status, answer.json().unwrap()), (200, json!({"result": {}})));
    assert_eq!(http::post(server.addr(), "/api/publish", &[], &body).await.unwrap().status, 401);
    let malformed = http::post_raw(server.addr(), "/api/publish", &[("x-api-key", "key")], "{").await.unwrap();
    assert_eq!(malformed.status, 400);
}

#[tokio::test]
#[should_panic(expected = "the last time: \"no\"")]
async fn waiting_in_vain_says_what_was_seen_last() {
    eventually_ok(Duration::from_millis(1), || async { Err::<(), _>("no") }).await;
}
