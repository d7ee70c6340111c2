//! Clients that speak Protobuf, beside others that speak JSON: the same channels, over a kill too.

use ringway_testkit::process;
use ringway_testkit::raw::Frame;
use ringway_testkit::{CentrifugeClient, Form, RawWs, Server, Target};
use serde_json::{Value, json};

use ringway_protocol::ws::Opcode;

use crate::support::{SOON, demo, dev};

/// Three bytes that are no text, one of them a line end, as the testkit writes them.
const ANY_BYTES: &str = "base64:/woA";
/// What readers of JSON are told in their place.
const AS_JSON: &str = "/woA";

async fn client(server: &Server, form: Form) -> CentrifugeClient {
    CentrifugeClient::connect_in(form, &Target::from(server.addr()), json!({})).await.expect("a client")
}

/// Offsets and payloads.
fn told(publications: &[ringway_testkit::centrifuge::Publication]) -> Vec<(u64, Value)> {
    publications.iter().map(|one| (one.offset, one.data.clone())).collect()
}

#[tokio::test]
async fn both_forms_share_channels_and_payloads_of_any_bytes() {
    let server = dev("").await;
    let (mut ann, mut ben) = (client(&server, Form::Protobuf).await, client(&server, Form::Json).await);
    for one in [&mut ann, &mut ben] {
        let subscribed = one.subscribe("news").await.unwrap();
        assert_eq!(subscribed["recoverable"], true, "{subscribed}");
    }
    ann.publish("news", json!({"from": "ann"})).await.unwrap();
    ben.publish("news", json!({"from": "ben"})).await.unwrap();
    ann.publish("news", json!(ANY_BYTES)).await.unwrap();
    let expected = |last: &str| vec![(1, json!({"from": "ann"})), (2, json!({"from": "ben"})), (3, json!(last))];
    assert_eq!(told(&ann.wait_publications("news", 3, SOON).await.unwrap()), expected(ANY_BYTES));
    assert_eq!(told(&ben.wait_publications("news", 3, SOON).await.unwrap()), expected(AS_JSON));
    let first = &ann.publications("news")[0];
    assert_eq!(first.info.as_ref().unwrap()["client"], ann.id());
    // So it is in history, and for who comes back.
    let history = ann.history("news").await.unwrap();
    assert_eq!((&history["offset"], &history["publications"][2]["data"]), (&json!(3), &json!(ANY_BYTES)));
    let read = server.api("history", json!({"channel": "news", "limit": 10})).await.unwrap();
    assert_eq!(
        (&read["publications"][2]["data"], &read["publications"][1]["data"]["from"]),
        (&json!(AS_JSON), &json!("ben"))
    );
    let position = ringway_testkit::centrifuge::Position { offset: 1, ..ann.position("news").unwrap() };
    for (form, last) in [(Form::Protobuf, ANY_BYTES), (Form::Json, AS_JSON)] {
        let mut late = client(&server, form).await;
        let result = late.recover("news", &position).await.unwrap();
        assert_eq!(result["recovered"], true, "{result}");
        assert_eq!(told(&late.wait_publications("news", 2, SOON).await.unwrap()), expected(last)[1..]);
    }
    let present = ann.presence("news").await.unwrap();
    assert!(present.get(ann.id()).is_some() && present.get(ben.id()).is_some(), "{present}");
    let refused = ann.subscribe("#somebody").await.unwrap_err();
    assert!(refused.to_string().starts_with("error 103"), "{refused}");
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_in_either_form_when_the_owner_is_killed() {
    const BEFORE: u64 = 50;
    const ALL: u64 = 150;
    let server = demo(3).await;
    let channels: Vec<String> = (0..8).map(|number| format!("news-{number}")).collect();
    let mut listeners = Vec::new();
    for form in [Form::Protobuf, Form::Json, Form::Protobuf, Form::Json] {
        let mut one = client(&server, form).await;
        for channel in &channels {
            one.subscribe(channel).await.unwrap();
        }
        listeners.push(one);
    }
    let publisher = listeners.remove(0);
    let mut publisher = publisher;
    for number in 1..=ALL {
        for channel in &channels {
            publisher.publish(channel, json!({ "number": number })).await.unwrap();
        }
        if number == BEFORE {
            let place = server.places(&["key=news-0".to_owned()]).await.unwrap().remove("key=news-0").unwrap();
            assert!(process::kill(server.member(&place.owner).await.unwrap().pid));
        }
    }
    listeners.push(publisher);
    let expected: Vec<(u64, Value)> = (1..=ALL).map(|number| (number, json!({ "number": number }))).collect();
    for one in &mut listeners {
        for channel in &channels {
            let got = one.wait_publications(channel, expected.len(), SOON).await.unwrap();
            assert_eq!(told(&got), expected, "{channel}");
        }
        assert!(one.closed().is_none() && one.resubscribed().is_empty());
    }
}

#[tokio::test]
async fn who_speaks_the_wrong_form_is_told_so() {
    let server = dev("").await;
    let mut bystander = client(&server, Form::Protobuf).await;
    let (json, protobuf) = ("/connection/websocket", "/connection/websocket?format=protobuf");
    let connect = [4, 8, 1, 0x22, 0];
    for (path, opcode, payload, expected) in [
        (json, Opcode::Binary, &connect[..], (3506, "inappropriate protocol")),
        (protobuf, Opcode::Text, br#"{"id":1,"connect":{}}"#, (3506, "inappropriate protocol")),
        (protobuf, Opcode::Binary, br#"{"id":1,"connect":{}}"#, (3501, "bad request")),
        (protobuf, Opcode::Binary, b"", (3501, "bad request")),
        (protobuf, Opcode::Binary, &[0xff, 0xff, 0xff, 0xff, 0x0f], (3501, "bad request")),
        ("/connection/websocket?cf_protocol=protobuf", Opcode::Binary, &[0], (3501, "bad request")),
    ] {
        let mut raw = RawWs::connect(server.addr(), path).await.unwrap();
        raw.send(opcode, payload).await.unwrap();
        let (code, reason) = expected;
        assert_eq!(raw.closed(SOON).await.unwrap(), Some((code, reason.to_owned())), "{path} {payload:?}");
    }
    // JSON is JSON in binary messages, too.
    let mut raw = RawWs::connect(server.addr(), json).await.unwrap();
    raw.send(Opcode::Binary, br#"{"id":1,"connect":{}}"#).await.unwrap();
    assert!(matches!(raw.recv(SOON).await.unwrap(), Frame::Text(text) if text.contains("\"connect\"")));
    bystander.subscribe("news").await.unwrap();
}
