//! Names of channels, and what they have.

use serde_json::json;

use super::{Case, Names, command, denied, error, fresh, subscribe};

pub(super) fn cases(names: &Names) -> Vec<Case> {
    let mut cases = reads(names);
    cases.extend(the_names(names));
    cases.extend(orders(names));
    cases
}

/// Reads of who is not subscribed.
fn reads(names: &Names) -> Vec<Case> {
    let read = |name, channel: &str| {
        let ask = |id, method| command(id, method, json!({"channel": channel}));
        Case::new(name).send([ask(2, "presence"), ask(3, "presence_stats"), ask(4, "history")])
    };
    let unknown = |id| error(id, 102, "unknown channel");
    let unavailable = |id| error(id, 108, "not available");
    vec![
        read("reads of what a channel does not have", "bare:x").replies([
            unavailable(2),
            unavailable(3),
            unavailable(4),
        ]),
        read("reads without a subscription", &names.channel("x")).replies([denied(2), denied(3), denied(4)]),
        read("reads of an unknown channel", "other:x").replies([unknown(2), unknown(3), unknown(4)]),
    ]
}

fn the_names(names: &Names) -> Vec<Case> {
    let one = |name, channel: &str| Case::new(name).send([subscribe(2, channel)]);
    let bare = |id| command(id, "subscribe", json!({}));
    let letters = names.channel("bare:é");
    vec![
        one("a dollar in front of a namespace", "$bare:x").replies([denied(2)]),
        one("a dollar in front of a name", "$x").replies([denied(2)]),
        one("a dollar in front of an unknown namespace", "$other:x").replies([error(2, 102, "unknown channel")]),
        one("an empty namespace", &names.channel(":x")).replies([fresh(2)]),
        one("a namespace and an empty name", "bare:").replies([bare(2)]),
        one("another user's channel", "room#bob").replies([denied(2)]),
        one("letters beyond ASCII", &letters).replies([error(2, 107, "bad request")]).but_here([bare(2)]),
        Case::new("publishing behind a dollar")
            .send([command(2, "publish", json!({"channel": "$bare:x", "data": 1}))])
            .replies([command(2, "publish", json!({}))]),
        Case::new("a filter")
            .send([command(2, "subscribe", json!({"channel": "bare:x", "tf": {"key": "a", "cmp": "ex"}}))])
            .replies([error(2, 107, "bad request")]),
        Case::new("another kind of subscription")
            .send([command(2, "subscribe", json!({"channel": "bare:x", "type": 1}))])
            .replies([denied(2)]),
    ]
}

/// Subscribing and unsubscribing.
fn orders(names: &Names) -> Vec<Case> {
    let twice = names.channel("twice");
    let unsubscribe = |id, channel: &str| command(id, "unsubscribe", json!({"channel": channel}));
    let done = |id| command(id, "unsubscribe", json!({}));
    let ann = json!({"token": names.token(&json!({"sub": names.channel("ann")}))});
    let inbox = names.channel("#ann");
    vec![
        Case::new("subscribe, unsubscribe, subscribe in one frame")
            .send([subscribe(2, &twice), unsubscribe(3, &twice), subscribe(4, &twice)])
            .replies([fresh(2), done(3), fresh(4)]),
        Case::new("a second subscribe")
            .send([subscribe(2, &twice), subscribe(3, &twice)])
            .replies([fresh(2), error(3, 105, "already subscribed")]),
        Case::new("an unsubscribe of nothing")
            .send([unsubscribe(2, &names.channel("nothing")), unsubscribe(3, "other:x")])
            .replies([done(2), done(3)]),
        Case::new("an end to the personal channel")
            .connect(ann)
            .send([unsubscribe(2, &inbox)])
            .replies([done(2)])
            .but_here([denied(2)]),
    ]
}
