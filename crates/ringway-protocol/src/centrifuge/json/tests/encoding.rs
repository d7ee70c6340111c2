use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::*;
use crate::centrifuge::*;

fn replied(id: u32, answer: &Reply<'_>) -> String {
    let mut out = Vec::new();
    reply(&mut out, id, answer);
    String::from_utf8(out).unwrap()
}

fn pushed(event: &Push<'_>) -> String {
    let mut out = Vec::new();
    push(&mut out, event);
    String::from_utf8(out).unwrap()
}

const ANN: ClientInfo<'static> = ClientInfo { user: "42", client: "7a37", conn_info: b"", chan_info: b"" };

#[test]
fn a_ping_is_an_empty_object() {
    let mut out = Vec::new();
    ping(&mut out);
    assert_eq!(out, b"{}");
}

#[test]
fn connect_results() {
    let mut result =
        ConnectResult { client: "7a37e561", version: "6.9.1 OSS", ping: 25, pong: true, ..ConnectResult::default() };
    assert_eq!(
        replied(1, &Reply::Connect(&result)),
        r#"{"id":1,"connect":{"client":"7a37e561","version":"6.9.1 OSS","ping":25,"pong":true}}"#
    );
    let inbox = SubscribeResult { recoverable: true, epoch: "xxyz", positioned: true, ..SubscribeResult::default() };
    result.subs.push(("#42", inbox));
    result.expiry = Expiry::InSeconds(270);
    result.data = b"[1]";
    assert_eq!(
        replied(1, &Reply::Connect(&result)),
        r##"{"id":1,"connect":{"client":"7a37e561","version":"6.9.1 OSS","expires":true,"ttl":270,"data":[1],"subs":{"#42":{"recoverable":true,"epoch":"xxyz","positioned":true}},"ping":25,"pong":true}}"##
    );
}

#[test]
fn subscribe_results() {
    let base = SubscribeResult { recoverable: true, epoch: "aBcDeFgH", positioned: true, ..SubscribeResult::default() };
    let missed = [
        Publication { data: br#"{"seq":2}"#, offset: 2, ..Publication::default() },
        Publication { data: br#"{"seq":3}"#, offset: 3, ..Publication::default() },
    ];
    let recovered =
        SubscribeResult { publications: &missed, recovered: true, offset: 1, was_recovering: true, ..base.clone() };
    for (id, result, expected) in [
        (2, SubscribeResult::default(), r#"{"id":2,"subscribe":{}}"#),
        (
            2,
            SubscribeResult { offset: 3, ..base.clone() },
            r#"{"id":2,"subscribe":{"recoverable":true,"epoch":"aBcDeFgH","offset":3,"positioned":true}}"#,
        ),
        (
            9,
            recovered,
            r#"{"id":9,"subscribe":{"recoverable":true,"epoch":"aBcDeFgH","publications":[{"data":{"seq":2},"offset":2},{"data":{"seq":3},"offset":3}],"recovered":true,"offset":1,"positioned":true,"was_recovering":true}}"#,
        ),
        (
            9,
            SubscribeResult { epoch: "ZZZZ", offset: 5, was_recovering: true, ..base },
            r#"{"id":9,"subscribe":{"recoverable":true,"epoch":"ZZZZ","offset":5,"positioned":true,"was_recovering":true}}"#,
        ),
    ] {
        assert_eq!(replied(id, &Reply::Subscribe(&result)), expected);
    }
}

#[test]
fn small_replies() {
    let rich = ClientInfo { user: "", conn_info: br#"{"a":1}"#, chan_info: b"[]", ..ANN };
    let publications =
        [Publication { data: b"{}", info: Some(ANN), offset: 1, epoch: "aBcDeFgH", ..Publication::default() }];
    let full = HistoryResult { publications: &publications, epoch: "e", offset: 5 };
    for (id, answer, expected) in [
        (5, Reply::Unsubscribe, r#"{"id":5,"unsubscribe":{}}"#),
        (3, Reply::Publish, r#"{"id":3,"publish":{}}"#),
        (4, Reply::Presence(&[]), r#"{"id":4,"presence":{"presence":{}}}"#),
        (
            4,
            Reply::Presence(&[rich]),
            r#"{"id":4,"presence":{"presence":{"7a37":{"user":"","client":"7a37","conn_info":{"a":1},"chan_info":[]}}}}"#,
        ),
        (
            5,
            Reply::PresenceStats { clients: 1, users: 0 },
            r#"{"id":5,"presence_stats":{"num_clients":1,"num_users":0}}"#,
        ),
        (
            6,
            Reply::History(&HistoryResult::default()),
            r#"{"id":6,"history":{"publications":[],"epoch":"","offset":0}}"#,
        ),
        (
            6,
            Reply::History(&full),
            r#"{"id":6,"history":{"publications":[{"data":{},"info":{"user":"42","client":"7a37"},"offset":1,"epoch":"aBcDeFgH"}],"epoch":"e","offset":5}}"#,
        ),
        (7, Reply::Rpc(b"{}"), r#"{"id":7,"rpc":{"data":{}}}"#),
        (7, Reply::Rpc(b""), r#"{"id":7,"rpc":{}}"#),
        (8, Reply::Refresh(Expiry::InSeconds(270)), r#"{"id":8,"refresh":{"expires":true,"ttl":270}}"#),
        (9, Reply::SubRefresh(Expiry::Never), r#"{"id":9,"sub_refresh":{}}"#),
    ] {
        assert_eq!(replied(id, &answer), expected);
    }
}

#[test]
fn error_replies() {
    for (code, expected) in [
        (ErrorCode::TokenExpired, r#"{"id":1,"error":{"code":109,"message":"token expired"}}"#),
        (ErrorCode::UnrecoverablePosition, r#"{"id":1,"error":{"code":112,"message":"unrecoverable position"}}"#),
        (ErrorCode::Internal, r#"{"id":1,"error":{"code":100,"message":"internal server error","temporary":true}}"#),
        (ErrorCode::TooManyRequests, r#"{"id":1,"error":{"code":111,"message":"too many requests","temporary":true}}"#),
    ] {
        assert_eq!(replied(1, &Reply::Error(code.into())), expected);
    }
    let own = ErrorReply { code: 400, message: "no", temporary: false };
    assert_eq!(replied(2, &Reply::Error(own)), r#"{"id":2,"error":{"code":400,"message":"no"}}"#);
}

#[test]
fn pushes() {
    let by_client = Publication { data: br#"{"my":"data"}"#, info: Some(ANN), offset: 1, ..Publication::default() };
    let by_api =
        Publication { data: br#"{"a":1}"#, offset: 2, tags: vec![("k", "v"), ("q\"", "")], ..Publication::default() };
    let subscription = SubscribePush { recoverable: true, epoch: "e", offset: 3, positioned: true, data: b"{}" };
    let opaque = Publication { data: b"\xff\n", is_opaque: true, offset: 3, ..Publication::default() };
    let roomy = Publication { data: b"{ \"a\":\n1 }", is_opaque: true, ..Publication::default() };
    let code = Unsubscribed::Server;
    for (event, expected) in [
        (
            Push::Publication { channel: "test", publication: &by_client },
            r#"{"push":{"channel":"test","pub":{"data":{"my":"data"},"info":{"user":"42","client":"7a37"},"offset":1}}}"#,
        ),
        (
            Push::Publication { channel: "test", publication: &by_api },
            r#"{"push":{"channel":"test","pub":{"data":{"a":1},"offset":2,"tags":{"k":"v","q\"":""}}}}"#,
        ),
        (
            Push::Publication { channel: "test", publication: &opaque },
            r#"{"push":{"channel":"test","pub":{"data":"/wo=","offset":3}}}"#,
        ),
        (
            Push::Publication { channel: "test", publication: &roomy },
            r#"{"push":{"channel":"test","pub":{"data":{"a":1}}}}"#,
        ),
        (
            Push::Join { channel: "c", info: ANN },
            r#"{"push":{"channel":"c","join":{"info":{"user":"42","client":"7a37"}}}}"#,
        ),
        (
            Push::Leave { channel: "c", info: ClientInfo::default() },
            r#"{"push":{"channel":"c","leave":{"info":{"user":"","client":""}}}}"#,
        ),
        (
            Push::Unsubscribe { channel: "c", code: code.code(), reason: code.reason() },
            r#"{"push":{"channel":"c","unsubscribe":{"code":2000,"reason":"server unsubscribe"}}}"#,
        ),
        (
            Push::Subscribe { channel: "c", subscription },
            r#"{"push":{"channel":"c","subscribe":{"recoverable":true,"epoch":"e","offset":3,"positioned":true,"data":{}}}}"#,
        ),
        (Push::Message(b"{}"), r#"{"push":{"message":{"data":{}}}}"#),
        (Push::Refresh(Expiry::InSeconds(60)), r#"{"push":{"refresh":{"expires":true,"ttl":60}}}"#),
        (
            Push::Disconnect { code: 3001, reason: "shutdown" },
            r#"{"push":{"disconnect":{"code":3001,"reason":"shutdown"}}}"#,
        ),
    ] {
        assert_eq!(pushed(&event), expected);
    }
}

#[test]
fn reasons_fit_a_close_frame_and_are_never_json() {
    for disconnect in [Disconnect::Shutdown, Disconnect::Slow, Disconnect::InvalidToken, Disconnect::BadRequest] {
        let reason = disconnect.reason();
        assert!(!reason.is_empty() && reason.len() < 124 && serde_json::from_str::<Value>(reason).is_err());
    }
    assert!(Disconnect::BadRequest.is_terminal() && !Disconnect::Shutdown.is_terminal());
    assert_eq!((Disconnect::Slow.code(), Disconnect::NotAvailable.code()), (3008, 3508));
}

proptest! {
    /// Names and texts of any kind, quotes and newlines too, come out as one line that reads back the same.
    #[test]
    fn foreign_text_is_escaped(channel: String, user: String, key: String, value: String, offset: u64) {
        prop_assume!(!channel.is_empty());
        let info = ClientInfo { user: &user, ..ANN };
        let tags = vec![(&*key, &*value)];
        let publication = Publication { offset, data: b"1", info: Some(info), tags, ..Publication::default() };
        let text = pushed(&Push::Publication { channel: &channel, publication: &publication });
        prop_assert!(!text.contains('\n'));
        let mut expected = json!({ "data": 1, "info": { "user": user, "client": "7a37" }, "tags": { key: value } });
        if offset != 0 {
            expected["offset"] = offset.into();
        }
        let read: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read, json!({ "push": { "channel": channel, "pub": expected } }));
    }
}

#[test]
fn a_history_reply_in_parts_is_the_whole_reply() {
    let publications: Vec<Publication<'_>> =
        (1..=5).map(|offset| Publication { offset, data: b"[\"]\"]", ..Publication::default() }).collect();
    let result = |publications| HistoryResult { publications, epoch: "abcdefgh", offset: 9 };
    let mut whole = Vec::new();
    reply(&mut whole, 7, &Reply::History(&result(&publications)));
    for cuts in [vec![0, 5], vec![0, 2, 5], vec![0, 1, 4, 5], vec![0, 5, 5]] {
        let (mut parts, last) = (Vec::new(), cuts.len() - 2);
        for (index, ends) in cuts.windows(2).enumerate() {
            let result = result(&publications[ends[0]..ends[1]]);
            history_part(&mut parts, 7, &result, index == 0, index == last);
        }
        assert_eq!(String::from_utf8(parts).unwrap(), String::from_utf8(whole.clone()).unwrap(), "{cuts:?}");
    }
}

#[test]
fn a_presence_reply_in_parts_is_the_whole_reply() {
    let clients: Vec<String> = (1..=5).map(|number| format!("{{client}}-{number}")).collect();
    let infos: Vec<ClientInfo<'_>> =
        clients.iter().map(|client| ClientInfo { client, conn_info: b"{\"a\":{}}", ..ANN }).collect();
    let mut whole = Vec::new();
    reply(&mut whole, 7, &Reply::Presence(&infos));
    for cuts in [vec![0, 5], vec![0, 2, 5], vec![0, 1, 4, 5], vec![0, 5, 5]] {
        let (mut parts, last) = (Vec::new(), cuts.len() - 2);
        for (index, ends) in cuts.windows(2).enumerate() {
            presence_part(&mut parts, 7, &infos[ends[0]..ends[1]], index == 0, index == last);
        }
        assert_eq!(String::from_utf8(parts).unwrap(), String::from_utf8(whole.clone()).unwrap(), "{cuts:?}");
    }
}
