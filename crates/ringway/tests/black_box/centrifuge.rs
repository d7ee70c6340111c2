//! The Centrifuge protocol as its clients see it: recovery, history, presence, over kills too.

use ringway_testkit::raw::Frame;
use ringway_testkit::{CentrifugeClient, RawWs, process};
use serde_json::{Value, json};

use crate::support::{CHANGE, SOON, demo, dev, named, named_request};

#[tokio::test]
async fn a_client_that_comes_back_misses_nothing() {
    let server = dev("").await;
    let mut ann = CentrifugeClient::connect(server.addr()).await.unwrap();
    let subscribed = ann.subscribe("news").await.unwrap();
    assert_eq!((&subscribed["recoverable"], &subscribed["positioned"]), (&json!(true), &json!(true)), "{subscribed}");
    server.publish("news", json!(0)).await.unwrap();
    ann.recv(SOON).await.unwrap();
    let position = ann.position("news").unwrap();
    drop(ann);
    for number in 1..=5 {
        server.publish("news", json!(number)).await.unwrap();
    }
    let mut ann = CentrifugeClient::connect(server.addr()).await.unwrap();
    let result = ann.recover("news", &position).await.unwrap();
    assert_eq!((&result["recovered"], &result["was_recovering"]), (&json!(true), &json!(true)), "{result}");
    server.publish("news", json!(6)).await.unwrap();
    let got = ann.wait_publications("news", 6, SOON).await.unwrap();
    assert_eq!(
        got.iter().map(|one| (one.offset, one.data.clone())).collect::<Vec<_>>(),
        (1..=6).map(|number| (number + 1, json!(number))).collect::<Vec<_>>()
    );
    // A position in another life of the stream is not recovered, and the client is told.
    let mut other = CentrifugeClient::connect(server.addr()).await.unwrap();
    let elsewhere = ringway_testkit::centrifuge::Position { epoch: "elsewher".into(), ..position };
    let result = other.recover("news", &elsewhere).await.unwrap();
    assert_ne!(result["recovered"], true, "{result}");
}

#[tokio::test]
async fn the_inbox_is_recovered_on_connect() {
    let server = dev("").await;
    let request = |position: &Value| json!({"subs": {"#ann": position}});
    let mut ann = named(server.addr(), "ann", json!({})).await.unwrap();
    server.publish("#ann", json!(1)).await.unwrap();
    let first = ann.recv(SOON).await.unwrap();
    assert_eq!((first.offset, first.data), (1, json!(1)));
    let history = server.api("history", json!({"channel": "#ann", "limit": 0})).await.unwrap();
    drop(ann);
    for number in 2..=3 {
        server.publish("#ann", json!(number)).await.unwrap();
    }
    let position = json!({"recover": true, "offset": 1, "epoch": history["epoch"]});
    let mut raw = RawWs::connect(server.addr(), "/connection/websocket").await.unwrap();
    let connect = json!({"id": 1, "connect": named_request("ann", request(&position))});
    raw.send_text(&connect.to_string()).await.unwrap();
    // What was missed is in the reply, or follows it as pushes if nobody else of this user was there.
    let mut got = Vec::new();
    while got.len() < 2 {
        let Frame::Text(frame) = raw.recv(SOON).await.unwrap() else { panic!("a text frame, after {got:?}") };
        for line in frame.lines() {
            let message: Value = serde_json::from_str(line).unwrap();
            let inbox = &message["connect"]["subs"]["#ann"];
            assert!(message["id"] != 1 || inbox["recovered"] == true, "{message}");
            let pushed = message["push"].get("pub").into_iter();
            got.extend(inbox["publications"].as_array().into_iter().flatten().chain(pushed).cloned());
        }
    }
    assert_eq!(got, [json!({"offset": 2, "data": 2}), json!({"offset": 3, "data": 3})]);
}

#[tokio::test]
async fn history_and_presence_are_kept() {
    let server = dev("").await;
    let mut ann = named(server.addr(), "ann", json!({})).await.unwrap();
    let mut ben = CentrifugeClient::connect(server.addr()).await.unwrap();
    let outside = ben.publish("room", json!(0)).await.unwrap_err();
    assert!(outside.to_string().starts_with("error 103"), "who is not subscribed does not publish: {outside}");
    ann.subscribe("room").await.unwrap();
    ben.subscribe("room").await.unwrap();
    for number in 1..=3 {
        ann.publish("room", json!({"number": number})).await.unwrap();
    }
    let history = ben.history("room").await.unwrap();
    let offsets: Vec<Value> =
        history["publications"].as_array().unwrap().iter().map(|one| one["offset"].clone()).collect();
    assert_eq!((&offsets, &history["offset"]), (&vec![json!(1), json!(2), json!(3)], &json!(3)), "{history}");
    assert_eq!(history["publications"][0]["info"]["user"], "ann", "{history}");
    let here = ben.presence("room").await.unwrap();
    assert_eq!(here.as_object().unwrap().len(), 2, "{here}");
    assert_eq!(here[ann.id()]["user"], "ann");
    let told = server.api("presence", json!({"channel": "room"})).await.unwrap();
    assert_eq!(told["presence"], here);
    ben.unsubscribe("room").await.unwrap();
    assert_eq!(ann.presence("room").await.unwrap().as_object().unwrap().len(), 1);
    server.api("disconnect", json!({"user": "ann"})).await.unwrap();
    assert_eq!(ann.wait_closed(SOON).await.unwrap().code, Some(3503));
}

#[tokio::test]
async fn streams_survive_their_owner() {
    let server = demo(3).await;
    let mut ann = CentrifugeClient::connect(server.addr()).await.unwrap();
    let mut away = CentrifugeClient::connect(server.addr()).await.unwrap();
    ann.subscribe("news").await.unwrap();
    away.subscribe("news").await.unwrap();
    for number in 1..=3 {
        server.publish("news", json!(number)).await.unwrap();
    }
    away.wait_publications("news", 3, SOON).await.unwrap();
    let position = away.position("news").unwrap();
    drop(away);
    server.publish("news", json!(4)).await.unwrap();
    let names = ["key=news".to_owned()];
    let place = server.places(&names).await.unwrap().remove(&names[0]).unwrap();
    assert!(process::kill(server.member(&place.owner).await.unwrap().pid));
    // No wait: the publish is the gateway's to bring through.
    let published = server.publish("news", json!(5)).await.unwrap();
    assert_eq!((&published["offset"], &published["epoch"]), (&json!(5), &json!(position.epoch)), "the stream goes on");
    let mut back = CentrifugeClient::connect(server.addr()).await.unwrap();
    let result = back.recover("news", &position).await.unwrap();
    assert_eq!(result["recovered"], true, "{result}");
    let got = back.wait_publications("news", 2, SOON).await.unwrap();
    assert_eq!(got.iter().map(|one| one.offset).collect::<Vec<_>>(), [4, 5]);
    let got = ann.wait_publications("news", 5, SOON).await.unwrap();
    assert_eq!(got.iter().map(|one| one.offset).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(ann.closed().is_none() && ann.resubscribed().is_empty());
    server.wait_state(&place.owner, "down", CHANGE).await;
    let history = ann.history("news").await.unwrap();
    assert_eq!(history["publications"].as_array().unwrap().len(), 5, "{history}");
    let here = ann.presence("news").await.unwrap();
    assert_eq!(here.as_object().unwrap().len(), 2, "{here}");
}
