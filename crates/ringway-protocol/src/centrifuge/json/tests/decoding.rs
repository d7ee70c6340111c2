use std::borrow::Cow;

use proptest::prelude::*;

use super::super::*;
use crate::centrifuge::*;

fn all(frame: &str) -> Vec<Command<'_>> {
    decode_frame(frame.as_bytes()).unwrap().map(Result::unwrap).collect()
}

fn one(frame: &str) -> Request<'_> {
    let mut commands = all(frame);
    assert_eq!(commands.len(), 1, "{frame}");
    commands.remove(0).request
}

/// The fault of a frame; the commands before it do not matter.
fn fault(frame: &[u8]) -> BadFrame {
    match decode_frame(frame) {
        Err(fault) => fault,
        Ok(commands) => commands.last().expect("a frame yields at least one item").expect_err("the frame is faulty"),
    }
}

fn data(json: &str) -> Option<Cow<'_, [u8]>> {
    Some(Cow::Borrowed(json.as_bytes()))
}

#[test]
fn every_request_is_read() {
    for (frame, expected) in [
        (r#"{"id":5,"unsubscribe":{"channel":"test"}}"#, Request::Unsubscribe("test".into())),
        (r#"{"id":4,"presence":{"channel":"test"}}"#, Request::Presence("test".into())),
        (r#"{"id":5,"presence_stats":{"channel":"test"}}"#, Request::PresenceStats("test".into())),
        (r#"{"id":8,"refresh":{"token":"t"}}"#, Request::Refresh("t".into())),
        (r#"{"send":{"data":{}}}"#, Request::Send(data("{}"))),
        (r#"{"id":1,"send":{}}"#, Request::Send(None)),
        (
            r#"{"id":3,"publish":{"channel":"test","data":{"my":"data"}}}"#,
            Request::Publish(PublishRequest {
                channel: "test".into(),
                data: data(r#"{"my":"data"}"#),
                ..PublishRequest::default()
            }),
        ),
        (
            r#"{"id":6,"history":{"channel":"test","limit":-1}}"#,
            Request::History(HistoryRequest { channel: "test".into(), limit: -1, ..HistoryRequest::default() }),
        ),
        (
            r#"{"id":6,"history":{"channel":"test","limit":2,"since":{"offset":2,"epoch":"e"},"reverse":true}}"#,
            Request::History(HistoryRequest {
                channel: "test".into(),
                limit: 2,
                since: Some(Since { offset: 2, epoch: "e".into() }),
                reverse: true,
            }),
        ),
        (
            r#"{"id":7,"rpc":{"method":"m","data":[]}}"#,
            Request::Rpc(RpcRequest { method: "m".into(), data: data("[]") }),
        ),
        (
            r#"{"id":9,"sub_refresh":{"channel":"c","token":"t"}}"#,
            Request::SubRefresh(SubRefreshRequest { channel: "c".into(), token: "t".into(), kind: 0 }),
        ),
    ] {
        assert_eq!(one(frame), expected);
    }
}

#[test]
fn connect_is_read_with_all_its_fields() {
    assert_eq!(one(r#"{"id":1,"connect":{}}"#), Request::Connect(Box::default()));
    let frame = r##"{"id":1,"connect":{"token":"eyJ","data":{"a": 1},"name":"js","version":"5.3","headers":{"x":"y"},
        "subs":{"#42":{"recover":true,"offset":7,"epoch":"xxyz"}},"flag":1,"later":[1]}}"##
        .replace('\n', " ");
    let Request::Connect(request) = one(&frame) else { panic!("a connect") };
    assert_eq!((&*request.token, &*request.name, &*request.version, request.flag), ("eyJ", "js", "5.3", 1));
    assert_eq!(request.data.as_deref(), Some(&br#"{"a":1}"#[..]));
    assert_eq!(request.headers["x"], "y");
    let position = SubscribeRequest { recover: true, offset: 7, epoch: "xxyz".into(), ..SubscribeRequest::default() };
    assert_eq!(request.subs["#42"], position);
}

#[test]
fn subscribe_is_read_with_all_its_fields() {
    let frame = r#"{"id":9,"subscribe":{"channel":"test","token":"t","recover":true,"epoch":"aBcDeFgH","offset":1,"data":7,"positioned":true,"recoverable":true,"join_leave":true,"delta":"fossil","tf":{"op":"and"},"flag":3,"type":4}}"#;
    let expected = SubscribeRequest {
        channel: "test".into(),
        token: "t".into(),
        recover: true,
        epoch: "aBcDeFgH".into(),
        offset: 1,
        data: data("7"),
        positioned: true,
        recoverable: true,
        join_leave: true,
        delta: "fossil".into(),
        filter: data(r#"{"op":"and"}"#),
        flag: 3,
        kind: 4,
    };
    assert!(expected.rejects_unrecovered());
    assert_eq!(one(frame), Request::Subscribe(Box::new(expected)));
    let Request::Subscribe(plain) = one(r#"{"id":2,"subscribe":{"channel":"test","flag":1}}"#) else { panic!() };
    assert!(!plain.rejects_unrecovered());
}

#[test]
fn a_frame_holds_several_commands_and_perhaps_a_last_newline() {
    for last in ["", "\n"] {
        let frame =
            format!("{{\"id\":1,\"connect\":{{}}}}\n{{\"id\":2,\"subscribe\":{{\"channel\":\"a\"}}}}\n{{}}{last}");
        let commands = all(&frame);
        assert_eq!(commands.iter().map(|command| command.id).collect::<Vec<_>>(), [1, 2, 0]);
        assert_eq!(commands[2].request, Request::Pong);
    }
}

#[test]
fn the_first_request_present_wins() {
    let frame = r#"{"id":1,"presence":{"channel":"p"},"connect":null,"publish":null,"unsubscribe":{"channel":"u"}}"#;
    assert_eq!(one(frame), Request::Unsubscribe("u".into()));
}

#[test]
fn without_id_only_send_is_more_than_a_pong() {
    for frame in ["{}", r#"{"id":0}"#, r#"{"connect":{}}"#, r#"{"ping":{}}"#, r#"{"send":null}"#, " { } "] {
        assert_eq!(one(frame), Request::Pong, "{frame}");
    }
}

#[test]
fn null_is_the_same_as_absent() {
    let frame = r#"{"id":1,"subscribe":{"channel":null,"recover":null,"offset":null,"tf":null}}"#;
    assert_eq!(one(frame), Request::Subscribe(Box::default()));
    assert_eq!(one(r#"{"id":1,"connect":{"subs":null,"headers":null}}"#), Request::Connect(Box::default()));
}

#[test]
fn null_is_a_payload() {
    let Request::Publish(request) = one(r#"{"id":3,"publish":{"channel":"a","data":null}}"#) else { panic!() };
    assert_eq!(request.data, data("null"));
    let Request::Publish(request) = one(r#"{"id":3,"publish":{"channel":"a"}}"#) else { panic!() };
    assert_eq!(request.data, None);
}

#[test]
fn a_payload_that_is_nested_too_deep_is_none() {
    for (levels, is_there) in [(100, true), (101, false), (30_000, false)] {
        let nested = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let frame = format!(r#"{{"id":3,"publish":{{"channel":"a","data":{nested}}}}}"#);
        let Request::Publish(request) = one(&frame) else { panic!() };
        assert_eq!((&*request.channel, request.data.is_some()), ("a", is_there), "{levels}");
    }
}

#[test]
fn of_a_key_that_is_there_twice_the_last_one_counts() {
    let frame = r#"{"id":2,"subscribe":{"channel":"a","channel":"b"},"id":3,"subscribe":{"offset":1,"channel":"c","offset":2,"channel":"d","tf":1,"tf":null}}"#;
    let commands = all(frame);
    let expected = SubscribeRequest { channel: "d".into(), offset: 2, ..SubscribeRequest::default() };
    assert_eq!(commands, [Command { id: 3, request: Request::Subscribe(Box::new(expected)) }]);
    let Request::Publish(request) = one(r#"{"id":3,"publish":{"channel":"a","data":1,"data":{"x":1,"x":2}}}"#) else {
        panic!()
    };
    assert_eq!(request.data, data(r#"{"x":1,"x":2}"#), "what is inside of a payload is nobody's business");
}

#[test]
fn text_and_payloads_are_borrowed_unless_they_must_change() {
    let Request::Publish(same) = one(r#"{"id":3,"publish":{"channel":"é","data":{"a":" "}}}"#) else { panic!() };
    assert!(matches!((same.channel, same.data), (Cow::Borrowed("é"), Some(Cow::Borrowed(_)))));
    let Request::Publish(changed) = one(r#"{"id":3,"publish":{"channel":"\u00e9","data": { "a" : 1 } }}"#) else {
        panic!()
    };
    assert_eq!((&*changed.channel, changed.data.as_deref()), ("é", Some(&br#"{"a":1}"#[..])));
}

#[test]
fn empty_lines_are_bad_frames() {
    for frame in ["", "\n", "\n{}", "{}\n\n", "{}\n\n{}"] {
        assert!(matches!(fault(frame.as_bytes()), BadFrame::Empty), "{frame:?}");
    }
}

#[test]
fn what_is_not_a_command_is_a_bad_frame() {
    for frame in [
        "x",
        "{",
        "[]",
        "null",
        "7",
        "{}{}",
        r#"{"id":-1}"#,
        r#"{"id":1.5}"#,
        r#"{"id":"1"}"#,
        r#"{"id":4294967296}"#,
        r#"{"id":1,"connect":[]}"#,
        r#"{"id":1,"connect":"x"}"#,
        r#"{"id":1,"connect":{"subs":{"a":[]}}}"#,
        r#"{"id":1,"subscribe":{"channel":5}}"#,
        r#"{"id":1,"subscribe":{"recover":1}}"#,
        r#"{"id":1,"publish":{"channel":"a","data":{]}}"#,
    ] {
        assert!(matches!(fault(frame.as_bytes()), BadFrame::Malformed(_)), "{frame}");
    }
    assert!(matches!(fault(b"{\"id\":1,\"rpc\":{\"method\":\"\xff\"}}"), BadFrame::NotUtf8(_)));
    for frame in [r#"{"id":1}"#, r#"{"id":1,"ping":{}}"#, r#"{"id":1,"connect":null}"#] {
        assert!(matches!(fault(frame.as_bytes()), BadFrame::NoRequest), "{frame}");
    }
}

#[test]
fn commands_before_a_fault_count_and_none_after_it() {
    let mut commands = decode_frame(b"{}\nx\n{}").unwrap();
    assert!(commands.next().unwrap().is_ok());
    assert!(commands.next().unwrap().is_err());
    assert!(commands.next().is_none());
}

#[test]
fn a_frame_holds_a_limited_number_of_commands() {
    let frame = |commands: usize| vec!["{}"; commands].join("\n");
    assert_eq!(all(&frame(COMMANDS_PER_FRAME)).len(), COMMANDS_PER_FRAME);
    assert!(matches!(fault(frame(COMMANDS_PER_FRAME + 1).as_bytes()), BadFrame::TooMany));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(frame: Vec<u8>) {
        if let Ok(commands) = decode_frame(&frame) {
            commands.for_each(drop);
        }
    }

    /// Valid text with a few bytes changed reaches further into the decoder than noise does.
    #[test]
    fn damaged_commands_never_panic(at in 0usize..150, byte: u8) {
        let mut frame = br#"{"id":9,"connect":{"token":"t","subs":{"a":{"offset":1}},"data":[{"a":"\n"},null,1e5]}}
{"id":6,"history":{"channel":"test","limit":2,"since":{"offset":2,"epoch":"e"},"reverse":true}}"#.to_vec();
        frame[at] = byte;
        if let Ok(commands) = decode_frame(&frame) {
            commands.for_each(drop);
        }
    }

    #[test]
    fn any_payload_arrives_compact(text: String, number: f64) {
        let document = serde_json::json!({ "text": text, "list": [number, null] });
        let pretty = serde_json::to_string_pretty(&document).unwrap().replace('\n', " ");
        let frame = format!(r#"{{"id":3,"publish":{{"channel":"c","data":{pretty}}}}}"#);
        let Request::Publish(request) = one(&frame) else { panic!() };
        let compact = document.to_string();
        prop_assert_eq!(request.data.as_deref(), Some(compact.as_bytes()));
    }
}
