//! How frames and payloads are read.

use serde_json::json;

use super::{Case, Names, command, error, fresh, subscribe};

pub(super) fn cases(names: &Names) -> Vec<Case> {
    let mut cases = payloads(names);
    cases.extend(shapes(names));
    cases
}

fn payloads(names: &Names) -> Vec<Case> {
    let published = |name: &'static str, data: &str| {
        let channel = names.channel(&format!("bare:{}", name.replace(' ', "-")));
        let push = json!({"push": {"channel": channel, "pub": {"data": "*", "info": {"user": "", "client": "*"}}}});
        Case::new(name)
            .send([subscribe(2, &channel)])
            .text(&format!(r#"{{"id":3,"publish":{{"channel":"{channel}","data":{data}}}}}"#))
            .replies([command(2, "subscribe", json!({})), command(3, "publish", json!({}))])
            .pushes([push])
    };
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let deep = format!(r#"{{"id":2,"publish":{{"channel":"bare:x","data":{}}}}}"#, nested(101));
    vec![
        published("null", "null"),
        published("an empty text", "\"\""),
        published("a hundred levels", &nested(100)),
        published("keys that repeat inside", r#"{"a":1,"a":2}"#),
        published("keys that repeat outside", r#"1,"data":{"a":2}"#),
        Case::new("no data").send([command(2, "publish", json!({"channel": "bare:x"}))]).replies([error(
            2,
            107,
            "bad request",
        )]),
        Case::new("more levels than clients can read")
            .text(&deep)
            .replies([command(2, "publish", json!({}))])
            .but_here([error(2, 107, "bad request")]),
    ]
}

fn shapes(names: &Names) -> Vec<Case> {
    let [before, binary, lines, mounted] = ["before", "binary", "lines", "mounted"].map(|name| names.channel(name));
    let unsubscribe = command(3, "unsubscribe", json!({"channel": mounted}));
    let publish = command(3, "publish", json!({"channel": before, "data": 1}));
    let stats = command(4, "presence_stats", json!({"channel": before}));
    let info = json!({"user": "", "client": "*"});
    let first = json!({"data": 1, "offset": 1, "epoch": "*", "info": info});
    let repeated =
        r#"{"id":2,"id":3,"subscribe":{"channel":"a","channel":"b"},"subscribe":{"channel":"c","channel":"bare:x"}}"#;
    vec![
        Case::new("good commands before a bad one")
            .text(&format!("{}\n{publish}\n{stats}\nnonsense\n{}", subscribe(2, &before), subscribe(5, &lines)))
            .replies([
                fresh(2),
                command(3, "publish", json!({})),
                command(4, "presence_stats", json!({"num_clients": 1, "num_users": 1})),
            ])
            .pushes([json!({"push": {"channel": before, "pub": first}})])
            .closed(3501),
        Case::new("a command without a request behind a good one")
            .text("{\"id\":2,\"rpc\":{\"method\":\"m\"}}\n{\"id\":3}")
            .replies([error(2, 108, "not available")])
            .closed(3501),
        Case::new("subscribe, unsubscribe, subscribe before a bad command")
            .text(&format!("{}\n{unsubscribe}\n{}\nnonsense", subscribe(2, &mounted), subscribe(4, &mounted)))
            .replies([fresh(2), command(3, "unsubscribe", json!({})), fresh(4)])
            .closed(3501),
        Case::new("JSON in a binary frame").binary(&subscribe(2, &binary).to_string()).replies([fresh(2)]),
        Case::new("a newline at the end").text(&format!("{}\n", subscribe(2, &lines))).replies([fresh(2)]),
        Case::new("an empty line").text(&format!("{}\n\n", subscribe(2, &lines))).replies([fresh(2)]).closed(3501),
        Case::new("keys that repeat").text(repeated).replies([command(3, "subscribe", json!({}))]),
        Case::new("a pong that nobody asked for").text("{}").closed(3501),
        Case::new("a payload for an application").text(r#"{"send":{"data":{}}}"#).closed(3508),
    ]
}
