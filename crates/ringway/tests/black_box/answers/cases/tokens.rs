//! Tokens for channels.

use serde_json::{Value, json};

use super::{Case, Names, command, denied, error, fresh, subscribe};
use crate::answers::unix;

pub(super) fn cases(names: &Names) -> Vec<Case> {
    let mut cases = good(names);
    cases.extend(shown(names));
    cases.extend(bad(names));
    cases.extend(renewals(names));
    cases
}

fn with_token(channel: &str, token: &str) -> Value {
    command(2, "subscribe", json!({"channel": channel, "token": token}))
}

fn good(names: &Names) -> Vec<Case> {
    let granted = |name: &'static str, channel: &str, mut claims: Value, more: Value| {
        let channel = names.channel(channel);
        let mut result = json!({"recoverable": true, "epoch": "*", "positioned": true});
        for (key, value) in more.as_object().into_iter().flatten() {
            result[key] = value.clone();
        }
        claims["channel"] = channel.clone().into();
        let token = names.token(&claims);
        Case::new(name).send([with_token(&channel, &token)]).replies([command(2, "subscribe", result)])
    };
    let soon = unix() + 500;
    let ends = json!({"expires": true, "ttl": "*"});
    vec![
        granted("a closed channel", "closed:a", json!({}), json!({})),
        granted("a token that ends", "closed:b", json!({"sub": "", "exp": soon}), ends.clone()),
        granted("a token with data", "closed:c", json!({"data": {"a": 1}}), json!({"data": {"a": 1}})),
        granted("a token with data in Base64", "d", json!({"b64data": "WzFd"}), json!({"data": [1]})),
        granted("a private channel", "$e", json!({}), json!({})),
        granted("a private channel of a namespace", "$closed:f", json!({}), json!({})),
        granted("an end that is none", "g", json!({"exp": soon, "expire_at": 0}), json!({})),
        granted("an end apart from the token's", "h", json!({"expire_at": soon}), ends),
        granted("somebody else's channel", "room#bob", json!({}), json!({})),
    ]
}

/// What a token says is shown to others; without one, nothing is opened.
fn shown(names: &Names) -> Vec<Case> {
    let closed = names.channel("closed:known");
    let info = json!({"user": "", "client": "*", "chan_info": {"role": "guest"}});
    let push = json!({"push": {"channel": closed, "pub": {"data": 1, "offset": 1, "epoch": "*", "info": info}}});
    let token = names.token(&json!({"channel": closed, "info": {"role": "guest"}}));
    let past = names.token(&json!({"channel": "bare:x", "expire_at": unix() - 500}));
    vec![
        Case::new("what a token says")
            .send([with_token(&closed, &token)])
            .send([command(3, "publish", json!({"channel": closed, "data": 1}))])
            .send([command(4, "presence", json!({"channel": closed}))])
            .replies([fresh(2), command(3, "publish", json!({})), json!({"id": 4, "presence": {"presence": "*"}})])
            .pushes([push]),
        Case::new("an end that has been").send([with_token("bare:x", &past)]).replies([error(2, 110, "expired")]),
        Case::new("a private channel without a token").send([subscribe(2, "$closed:x")]).replies([denied(2)]),
        Case::new("a closed channel without a token").send([subscribe(2, "closed:x")]).replies([denied(2)]),
    ]
}

fn bad(names: &Names) -> Vec<Case> {
    let channel = names.channel("shown");
    let shown = |name, token: &str| Case::new(name).send([with_token(&channel, token)]);
    let claims = |name, claims: Value| shown(name, &names.token(&claims));
    let (soon, past) = (unix() + 500, unix() - 500);
    let expired = error(2, 109, "token expired");
    vec![
        shown("garbage for a token", "garbage").replies([denied(2)]),
        claims("a token without a channel", json!({"sub": ""})).replies([denied(2)]),
        claims("an expired token", json!({"channel": channel, "exp": past})).replies([expired.clone()]),
        claims("a token of later", json!({"channel": channel, "nbf": soon})).replies([expired.clone()]),
        claims("an expired token of another channel", json!({"channel": "x", "exp": past})).replies([expired]),
        claims("a token of another channel", json!({"channel": "x"})).closed(3500),
        claims("a token of another user", json!({"channel": channel, "sub": "bob"})).closed(3500),
        claims("a token of another connection", json!({"channel": channel, "client": "x"})).closed(3500),
    ]
}

fn renewals(names: &Names) -> Vec<Case> {
    let channel = names.channel("renewed");
    let refresh = |id, request| command(id, "sub_refresh", request);
    let with = |name, token: &str| {
        Case::new(name).send([subscribe(2, &channel), refresh(3, json!({"channel": channel, "token": token}))])
    };
    let renewal = |name, claims: Value| with(name, &names.token(&claims));
    let (soon, past) = (unix() + 500, unix() - 500);
    let done = |result| [fresh(2), refresh(3, result)];
    let ann = json!({"token": names.token(&json!({"sub": names.channel("ann")}))});
    let (inbox, ends) = (names.channel("#ann"), json!({"expires": true, "ttl": "*"}));
    let garbage = |id, channel: &str| refresh(id, json!({"channel": channel, "token": "garbage"}));
    vec![
        Case::new("a renewal without a subscription")
            .send([garbage(2, &channel), refresh(3, json!({"channel": channel}))])
            .replies([denied(2), denied(3)]),
        Case::new("a renewal of nothing").send([refresh(2, json!({"token": "garbage"}))]).closed(3501),
        Case::new("a renewal without a token")
            .send([subscribe(2, &channel), refresh(3, json!({"channel": channel}))])
            .replies([fresh(2), error(3, 107, "bad request")]),
        with("garbage for a renewal", "garbage").replies([fresh(2)]).closed(3500),
        renewal("a renewal", json!({"channel": channel, "exp": soon})).replies(done(ends)),
        renewal("a renewal for ever", json!({"channel": channel})).replies(done(json!({}))),
        renewal("a renewal that is over", json!({"channel": channel, "expire_at": past}))
            .replies([fresh(2), error(3, 110, "expired")]),
        renewal("an expired renewal", json!({"channel": channel, "exp": past})).replies(done(json!({}))).but_here([
            fresh(2),
            command(3, "error", json!({"code": 109, "message": "token expired", "temporary": true})),
        ]),
        renewal("a renewal for another channel", json!({"channel": "x"})).replies([fresh(2)]).closed(3500),
        renewal("a renewal for another user", json!({"channel": channel, "sub": "bob"}))
            .replies([fresh(2)])
            .closed(3500),
        Case::new("a renewal of the personal channel").connect(ann).send([garbage(2, &inbox)]).closed(3501),
    ]
}
