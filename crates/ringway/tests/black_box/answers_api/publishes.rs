//! Rows of the methods of the server API.

use ringway_testkit::CentrifugeClient;
use serde_json::{Value, json};

use super::Asked;
use crate::support::SOON;

pub(super) async fn rows(asked: &mut Asked) {
    versions(asked).await;
    unkept(asked).await;
    payloads(asked).await;
    histories(asked).await;
    channels(asked).await;
    disconnects(asked).await;
    removals(asked).await;
    orders(asked).await;
    batches(asked).await;
    errors(asked).await;
}

async fn removals(asked: &mut Asked) {
    for data in [1, 2] {
        asked.call("publish", &json!({"channel": "removed", "data": data})).await;
    }
    asked.row("history_remove", json!({"channel": "removed"}), json!({"result": {}})).await;
    asked.kept("removed", json!([])).await;
    let top = json!({"result": {"publications": [], "offset": 2}});
    asked.row("history", json!({"channel": "removed", "limit": 0}), top).await;
    asked.row("publish", json!({"channel": "removed", "data": 3}), at(3)).await;
    asked.kept("removed", json!([3])).await;
    asked.row("history_remove", json!({"channel": "live:x"}), error(108, "not available")).await;
    asked.row("history_remove", json!({"channel": "no such:x"}), error(102, "unknown channel")).await;
    asked.row("history_remove", json!({}), bad_request()).await;
}

async fn orders(asked: &mut Asked) {
    let unknown = || error(102, "unknown channel");
    let done = || json!({"result": {}});
    for (method, body, right) in [
        ("subscribe", json!({"user": "nobody", "channel": "news"}), done()),
        ("subscribe", json!({"user": "nobody"}), bad_request()),
        ("subscribe", json!({"user": "nobody", "channel": "no such:x"}), unknown()),
        ("subscribe", json!({"user": "nobody", "channel": "news", "b64data": "%"}), bad_request()),
        ("unsubscribe", json!({"user": "nobody"}), done()),
        ("unsubscribe", json!({"user": "nobody", "channel": "news"}), done()),
        ("unsubscribe", json!({"user": "nobody", "channel": "no such:x"}), unknown()),
        ("refresh", json!({"user": "nobody", "expired": true}), done()),
        ("refresh", json!({}), done()),
    ] {
        asked.row(method, body, right).await;
    }
}

async fn batches(asked: &mut Asked) {
    let batch = |parallel: bool| {
        let (publish, nowhere) = (json!({"channel": "live:batch", "data": 1}), json!({"channel": "no such:x"}));
        json!({"parallel": parallel, "commands": [{"publish": publish}, {"presence_stats": nowhere}, {}, {"rpc": {"method": "x"}}]})
    };
    for parallel in [false, true] {
        let not_found = || error(104, "not found");
        let replies = json!([{"publish": {}}, error(102, "unknown channel"), not_found(), not_found()]);
        asked.row("batch", batch(parallel), json!({"replies": replies})).await;
    }
    asked.row("batch", json!({"commands": [{"publish": 1}]}), json!("400")).await;
}

fn at(offset: u64) -> Value {
    json!({"result": {"offset": offset}})
}

fn error(code: u16, message: &str) -> Value {
    json!({"error": {"code": code, "message": message}})
}

fn bad_request() -> Value {
    error(107, "bad request")
}

async fn listener(asked: &Asked, channel: &str) -> CentrifugeClient {
    let mut client = CentrifugeClient::connect(asked.addr).await.expect("a client");
    client.subscribe(channel).await.expect("a subscription");
    client
}

async fn versions(asked: &mut Asked) {
    let mut client = listener(asked, "versions").await;
    let publish = |data: u64, version: u64, epoch: &str| json!({"channel": "versions", "data": data, "version": version, "version_epoch": epoch});
    asked.row("publish", publish(1, 5, "a"), at(1)).await;
    asked.row("publish", publish(2, 5, "a"), at(1)).await;
    asked.row("publish", publish(3, 4, ""), at(1)).await;
    asked.row("publish", publish(4, 6, "a"), at(2)).await;
    asked.row("publish", publish(5, 1, "b"), at(3)).await;
    asked.row("publish", publish(6, 1, "b"), at(3)).await;
    asked.kept("versions", json!([1, 4, 5])).await;
    asked.delivered(&mut client, "versions", json!([1, 4, 5])).await;
    // Without history nobody knows what was the last.
    let mut client = listener(asked, "live:versions").await;
    for data in [1, 2] {
        let again = json!({"channel": "live:versions", "data": data, "version": 5, "version_epoch": "a"});
        asked.row("publish", again, json!({"result": {}})).await;
    }
    asked.delivered(&mut client, "live:versions", json!([1, 2])).await;
}

async fn unkept(asked: &mut Asked) {
    let mut client = listener(asked, "skipping").await;
    let publish = |data: u64, skip: bool| json!({"channel": "skipping", "data": data, "skip_history": skip});
    asked.row("publish", publish(1, false), at(1)).await;
    asked.row("publish", publish(2, true), json!({"result": {}})).await;
    asked.row("publish", publish(3, false), at(2)).await;
    asked.kept("skipping", json!([1, 3])).await;
    asked.delivered(&mut client, "skipping", json!([1, 2, 3])).await;
    for channel in ["live:keys", "keys"] {
        let mut client = listener(asked, channel).await;
        for data in 1..=3 {
            let again = json!({"channel": channel, "data": data, "skip_history": true, "idempotency_key": "k"});
            asked.row("publish", again, json!({"result": {}})).await;
        }
        asked.delivered(&mut client, channel, json!([1])).await;
    }
    let mut client = listener(asked, "live:several").await;
    let several = json!({"channels": ["live:several", "live:several"], "data": 1, "idempotency_key": "k"});
    let both = json!({"result": {"responses": [{"result": {}}, {"result": {}}]}});
    asked.row("broadcast", several, both).await;
    asked.delivered(&mut client, "live:several", json!([1])).await;
}

async fn payloads(asked: &mut Asked) {
    let mut client = listener(asked, "payloads").await;
    asked.row("publish", json!({"channel": "payloads", "data": null}), at(1)).await;
    asked.row("publish", json!({"channel": "payloads"}), bad_request()).await;
    asked.row("publish", json!({"channel": "payloads", "b64data": "eyJhIjoxfQ=="}), at(2)).await;
    asked.row("publish", json!({"channel": "payloads", "b64data": "%"}), bad_request()).await;
    asked.kept("payloads", json!([null, {"a": 1}])).await;
    asked.delivered(&mut client, "payloads", json!([null, {"a": 1}])).await;
}

async fn histories(asked: &mut Asked) {
    for _ in 0..10 {
        let channels = vec!["long"; 100];
        let answered = asked.call("broadcast", &json!({"channels": channels, "data": "x".repeat(100)})).await;
        assert_eq!(answered["result"]["responses"].as_array().map_or(0, Vec::len), 100, "{answered}");
    }
    let count = |answered: &Value| answered["result"]["publications"].as_array().map(Vec::len);
    for (limit, right) in [(-1, 1000), (-5, 1000), (0, 0), (999, 999), (5000, 1000)] {
        let body = json!({"channel": "long", "limit": limit});
        let answered = asked.call("history", &body).await;
        asked.check(&format!("history {body}: how many"), &json!(right), &json!(count(&answered)));
    }
    asked.row("history", json!({"channel": "live:x", "limit": -1}), error(108, "not available")).await;
}

async fn channels(asked: &mut Asked) {
    let mut client = CentrifugeClient::connect(asked.addr).await.expect("a client");
    for name in ["pattern:a", "pattern-a", "pattern-b", "pattern-c", "other"] {
        // The first is in no namespace that exists.
        let _ = client.subscribe(name).await;
    }
    for (pattern, right) in [
        ("pattern-{a,b}", vec!["pattern-a", "pattern-b"]),
        ("pattern-[bc]*", vec!["pattern-b", "pattern-c"]),
        ("pattern-[!bc]", vec!["pattern-a"]),
        ("pattern-[a-b]", vec!["pattern-a", "pattern-b"]),
        ("pattern-[^bc]", vec!["pattern-b", "pattern-c"]),
        ("pattern-?", vec!["pattern-a", "pattern-b", "pattern-c"]),
        ("{other,pattern-c}", vec!["other", "pattern-c"]),
        ("nothing*", vec![]),
    ] {
        let answered = asked.call("channels", &json!({"pattern": pattern})).await;
        let found: Vec<&str> =
            answered["result"]["channels"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        asked.check(&format!("channels {pattern}"), &json!(right), &json!(found));
    }
    let answered = asked.call("channels", &json!({"pattern": "["})).await;
    asked.check("channels [: is it an error", &json!(true), &json!(answered["error"]["code"].is_u64()));
}

async fn disconnects(asked: &mut Asked) {
    let mut first = CentrifugeClient::connect(asked.addr).await.expect("a client");
    let mut second = CentrifugeClient::connect(asked.addr).await.expect("a client");
    let done = json!({"result": {}});
    asked.row("disconnect", json!({"user": "", "client": "no such id"}), done.clone()).await;
    asked.row("disconnect", json!({"user": "nobody"}), done.clone()).await;
    asked.row("disconnect", json!({"user": "tenant:42"}), done.clone()).await;
    asked.row("disconnect", json!({"user": "", "client": first.id()}), done.clone()).await;
    let code = first.wait_closed(SOON).await.ok().and_then(|closed| closed.code);
    asked.check("disconnect of an anonymous client by its id", &json!(3503), &json!(code));
    asked.check("the other one stays", &json!(true), &json!(second.closed().is_none()));
    let other = json!({"user": "", "client": second.id(), "disconnect": {"code": 4000, "reason": "enough"}});
    asked.row("disconnect", other, done).await;
    let code = second.wait_closed(SOON).await.ok().and_then(|closed| closed.code);
    asked.check("disconnect with another code", &json!(4000), &json!(code));
}

async fn errors(asked: &mut Asked) {
    let unknown = error(102, "unknown channel");
    asked.row("publish", json!({"channel": "", "data": 1}), bad_request()).await;
    asked.row("publish", json!({"channel": "no such:x", "data": 1}), unknown.clone()).await;
    asked.row("publish", json!({"channel": 5, "data": 1}), json!("400")).await;
    asked.row("publish", json!([]), json!("400")).await;
    asked.row("publish", json!({"channel": "errors", "data": 1, "tags": {"a": 5}}), json!("400")).await;
    asked.row("broadcast", json!({"channels": [], "data": 1}), bad_request()).await;
    let responses = json!([{"error": {"code": 107, "message": "bad request"}}, unknown.clone()]);
    let several = json!({"channels": ["", "no such:x"], "data": 1});
    asked.row("broadcast", several, json!({"result": {"responses": responses}})).await;
    asked.row("presence", json!({"channel": "live:x"}), error(108, "not available")).await;
    asked
        .row("presence_stats", json!({"channel": "errors"}), json!({"result": {"num_clients": 0, "num_users": 0}}))
        .await;
    asked.row("nonsense", json!({}), json!("404")).await;
}
