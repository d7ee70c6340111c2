//! Histories, recovery and positions.

use serde_json::{Value, json};

use super::{Case, Names, command, error, fresh, publications, subscribe};

pub(super) fn cases(names: &Names) -> Vec<Case> {
    let mut cases = full(names);
    cases.extend(recovery(names));
    cases.extend(first(names));
    cases
}

/// A channel that keeps 100 of 105, and one that keeps one of three.
fn full(names: &Names) -> Vec<Case> {
    let history =
        |name: &'static str, namespace: &str, (published, offsets): (u64, _), limit: i32, is_reverse: bool| {
            let channel = names.channel(&format!("{namespace}{}", name.replace(' ', "-")));
            let subscribed = json!({"recoverable": true, "epoch": "*", "offset": published, "positioned": true});
            let page = json!({"publications": publications(offsets, is_reverse), "epoch": "*", "offset": published});
            let asked = json!({"channel": channel, "limit": limit, "reverse": is_reverse});
            Case::new(name)
                .published(&channel, published)
                .send([subscribe(2, &channel)])
                .send([command(3, "history", asked.clone())])
                .api("history", asked)
                .replies([
                    command(2, "subscribe", subscribed),
                    command(3, "history", page.clone()),
                    json!({"result": page}),
                ])
        };
    vec![
        history("full history forward", "", (105, 6..=105), -1, false),
        history("full history backward", "", (105, 6..=105), -1, true),
        history("full history with room to spare", "", (105, 6..=105), 200, false),
        history("first three of a full history", "", (105, 6..=8), 3, false),
        history("last three of a full history", "", (105, 103..=105), 3, true),
        history("history of one forward", "one:", (3, 3..=3), -1, false),
        history("history of one backward", "one:", (3, 3..=3), -1, true),
        history("history that is just full", "", (100, 2..=100), 99, true),
    ]
}

fn recovery(names: &Names) -> Vec<Case> {
    let from = |name: &'static str, offset: u64, result: Value| {
        let channel = names.channel(&name.replace(' ', "-"));
        let wish = json!({"channel": channel, "recover": true, "offset": offset, "epoch": ""});
        Case::new(name).published(&channel, 105).send([command(2, "subscribe", wish)]).replies([command(
            2,
            "subscribe",
            result,
        )])
    };
    let whole = json!({"recoverable": true, "epoch": "*", "publications": publications(6..=105, false), "recovered": true,
        "offset": 5, "positioned": true, "was_recovering": true});
    let lost = json!({"recoverable": true, "epoch": "*", "offset": 105, "positioned": true, "was_recovering": true});
    let bare = json!({"channel": "bare:x", "recover": true, "flag": 2, "offset": 3, "epoch": "abcdefgh"});
    let elsewhere =
        json!({"channel": names.channel("elsewhere"), "recover": true, "flag": 3, "offset": 3, "epoch": "x"});
    vec![
        from("recovery from the oldest kept", 5, whole),
        from("recovery from before the oldest kept", 4, lost),
        Case::new("recovery that must not fail, where nothing is recovered")
            .send([command(2, "subscribe", bare)])
            .replies([command(2, "subscribe", json!({"was_recovering": true}))]),
        Case::new("recovery that must not fail, of another stream")
            .send([command(2, "subscribe", elsewhere)])
            .replies([error(2, 112, "unrecoverable position")]),
    ]
}

/// The first publication of a stream.
fn first(names: &Names) -> Vec<Case> {
    let channel = names.channel("first");
    let info = json!({"user": "", "client": "*"});
    let told =
        [json!({"data": 1, "offset": 1, "epoch": "*", "info": info}), json!({"data": 2, "offset": 2, "info": info})];
    let push = |publication: &Value| json!({"push": {"channel": channel, "pub": publication}});
    let publish = |id, data: u64| command(id, "publish", json!({"channel": channel, "data": data}));
    let published = |id| command(id, "publish", json!({}));
    let again = json!({"channel": channel, "recover": true, "offset": 0, "epoch": ""});
    let recovered = json!({"recoverable": true, "epoch": "*", "publications": told, "recovered": true, "positioned": true,
        "was_recovering": true});
    vec![
        Case::new("the first publication carries the epoch")
            .send([subscribe(2, &channel)])
            .send([publish(3, 1)])
            .send([publish(4, 2)])
            .pushed(2)
            .send([command(5, "unsubscribe", json!({"channel": channel}))])
            .send([command(6, "subscribe", again)])
            .replies([
                fresh(2),
                published(3),
                published(4),
                command(5, "unsubscribe", json!({})),
                command(6, "subscribe", recovered),
            ])
            .pushes([push(&told[0]), push(&told[1])]),
    ]
}
