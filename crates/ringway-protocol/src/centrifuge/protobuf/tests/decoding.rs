use std::collections::BTreeMap;

use proptest::prelude::*;
use prost::Message;

use super::hex;
use crate::centrifuge::json::COMMANDS_PER_FRAME;
use crate::centrifuge::protobuf::{BadFrame, decode_frame, schema};
use crate::centrifuge::*;

fn one(frame: &[u8]) -> Command<'static> {
    let mut commands = decode_frame(frame);
    let command = commands.next().unwrap().unwrap();
    assert!(commands.next().is_none());
    command
}

fn fault(frame: &[u8]) -> BadFrame {
    let mut commands = decode_frame(frame);
    let fault = commands.by_ref().find_map(Result::err).unwrap();
    assert!(commands.next().is_none(), "nothing follows a fault");
    fault
}

fn framed(commands: &[schema::Command]) -> Vec<u8> {
    commands.iter().flat_map(Message::encode_length_delimited_to_vec).collect()
}

#[test]
fn what_sdks_send() {
    let subscribe = SubscribeRequest { channel: "test".into(), flag: 1, ..SubscribeRequest::default() };
    for (frame, id, request) in [
        ("04 08 01 22 00", 1, Request::Connect(Box::default())),
        ("0c 08 02 2a 08 0a 04 74 65 73 74 70 01", 2, Request::Subscribe(Box::new(subscribe))),
        ("00", 0, Request::Pong),
        ("02 22 00", 0, Request::Pong),
        ("02 62 00", 0, Request::Send(None)),
        ("04 62 02 0a 00", 0, Request::Send(None)),
        ("05 62 03 0a 01 ff", 0, Request::Send(Some(vec![0xff].into()))),
        ("04 08 03 72 00", 3, Request::Refresh("".into())),
    ] {
        assert_eq!(one(&hex(frame)), Command { id, request }, "{frame}");
    }
}

#[test]
fn a_frame_holds_many() {
    let frame = hex("04 08 01 22 00 00 0c 08 02 2a 08 0a 04 74 65 73 74 70 01");
    let ids: Vec<u32> = decode_frame(&frame).map(|command| command.unwrap().id).collect();
    assert_eq!(ids, [1, 0, 2]);
    let most = vec![0; COMMANDS_PER_FRAME];
    assert_eq!(decode_frame(&most).filter(Result::is_ok).count(), COMMANDS_PER_FRAME);
    assert!(matches!(fault(&[most, vec![0]].concat()), BadFrame::TooMany));
}

#[test]
fn what_is_not_the_protocol_is_a_fault() {
    assert!(matches!(fault(b""), BadFrame::Empty));
    for frame in [
        "05 08 01 22 00",                   // ends behind the frame
        "80",                               // a length without its end
        "ff ff ff ff ff ff ff ff ff 01 00", // a length of all there can be
        "ff ff ff ff 0f 00",                // 4 GiB
        "06 08 01 22 02 0a 05",             // a field behind its message
        "06 08 01 22 02 0a ff",             // a length without its end, inside
        "07 08 01 22 03 0a 01 ff",          // a token that is no text
        "04 08 01 20 00",                   // a request that is a number
        "02 08 ff",                         // a number without its end
        "02 07 00",                         // a wire type that does not exist
        "04 08 01 00 00",                   // a field of number 0
    ] {
        assert!(matches!(fault(&hex(frame)), BadFrame::Malformed(_)), "{frame}");
    }
    for frame in ["02 08 01", "04 08 01 5a 00", "05 08 01 a2 06 00"] {
        assert!(matches!(fault(&hex(frame)), BadFrame::NoRequest), "{frame}");
    }
    assert!(matches!(fault(br#"{"id":1,"connect":{}}"#), BadFrame::Malformed(_)));
    let (good, bad) = (hex("04 08 01 22 00"), hex("02 08 01"));
    let mut commands = decode_frame(&good).chain(decode_frame(&bad));
    assert!(commands.next().unwrap().is_ok() && commands.next().unwrap().is_err());
}

#[test]
fn deep_messages_end_with_a_fault() {
    // Groups inside of groups, in a field that nobody knows.
    let deep = [0xa3, 0x06].repeat(500);
    assert!(matches!(fault(&[vec![0xe8, 0x07], deep].concat()), BadFrame::Malformed(_)));
}

#[test]
fn unknown_fields_are_skipped() {
    let mut frame = vec![0];
    for field in ["08 04", "a0 06 ff 01", "a1 06 00 00 00 00 00 00 00 00", "a2 06 01 00", "a5 06 00 00 00 00", "42 00"]
    {
        frame.extend(hex(field));
    }
    frame[0] = (frame.len() - 1) as u8;
    assert_eq!(one(&frame), Command { id: 4, request: Request::Presence("".into()) });
}

#[test]
fn the_first_of_several_requests_counts() {
    let channel = |name: &str| schema::ChannelRequest { channel: name.to_owned() };
    let both = schema::Command {
        id: 5,
        presence_stats: Some(channel("a")),
        presence: Some(channel("b")),
        send: Some(schema::SendRequest::default()),
        ..schema::Command::default()
    };
    assert_eq!(one(&framed(&[both])).request, Request::Presence("b".into()));
}

#[test]
fn what_is_published_is_compact_json_or_opaque() {
    for (data, is_opaque) in [
        (&b"{\"a\":1}"[..], false),
        (b"1", false),
        (b"{ \"a\": 1 }", true),
        (b"1\n", true),
        (b"\xff\x00", true),
        (b"text", true),
        (b"1 2", true),
    ] {
        let publish = schema::PublishRequest { channel: "c".to_owned(), data: data.to_vec(), r#type: 0 };
        let command = schema::Command { id: 1, publish: Some(publish), ..schema::Command::default() };
        let Request::Publish(request) = one(&framed(&[command])).request else { panic!() };
        assert_eq!((request.data.as_deref(), request.is_opaque), (Some(data), is_opaque));
    }
    let empty =
        schema::Command { id: 1, publish: Some(schema::PublishRequest::default()), ..schema::Command::default() };
    let Request::Publish(request) = one(&framed(&[empty])).request else { panic!() };
    assert_eq!(request.data, None);
}

#[test]
fn a_filter_is_told_as_json() {
    let leaf = |cmp: &str, val: &str| schema::FilterNode {
        key: "city".to_owned(),
        cmp: cmp.to_owned(),
        val: val.to_owned(),
        ..schema::FilterNode::default()
    };
    let vals = vec!["a\"".to_owned()];
    let either = schema::FilterNode { vals, ..leaf("in", "") };
    let nodes = vec![leaf("eq", "Rome"), either];
    let both = schema::FilterNode { op: "and".to_owned(), nodes, ..schema::FilterNode::default() };
    let large = leaf("eq", &"x".repeat(5_000));
    for (node, expected) in [
        (
            both,
            r#"{"op":"and","nodes":[{"key":"city","cmp":"eq","val":"Rome"},{"key":"city","cmp":"in","vals":["a\""]}]}"#,
        ),
        (schema::FilterNode::default(), "{}"),
        (large, "false"),
    ] {
        let subscribe =
            schema::SubscribeRequest { tf: Some(node.encode_to_vec()), ..schema::SubscribeRequest::default() };
        let command = schema::Command { id: 1, subscribe: Some(subscribe.into()), ..schema::Command::default() };
        let Request::Subscribe(request) = one(&framed(&[command])).request else { panic!() };
        let filter = request.filter.unwrap();
        assert_eq!(std::str::from_utf8(&filter).unwrap(), expected);
        assert_eq!(Filter::read(&filter).is_ok(), expected.contains("and"));
    }
    let subscribe = schema::SubscribeRequest { tf: Some(vec![0x0a, 5]), ..schema::SubscribeRequest::default() };
    let command = schema::Command { id: 1, subscribe: Some(subscribe.into()), ..schema::Command::default() };
    assert!(matches!(fault(&framed(&[command])), BadFrame::Malformed(_)));
}

fn some(data: &[u8]) -> Option<std::borrow::Cow<'static, [u8]>> {
    (!data.is_empty()).then(|| data.to_vec().into())
}

proptest! {
    #[test]
    fn random_bytes_never_panic(frame: Vec<u8>) {
        decode_frame(&frame).for_each(drop);
    }

    /// A valid frame with a few bytes changed reaches further into the decoder than noise does.
    #[test]
    fn damaged_commands_never_panic(at in 0usize..60, byte: u8, also in 0usize..60, another: u8) {
        let position = schema::StreamPosition { offset: 2, epoch: "e".to_owned() };
        let history = schema::HistoryRequest { channel: "c".to_owned(), limit: -1, since: Some(position), reverse: true };
        let wish = schema::SubscribeRequest { channel: "c".to_owned(), tf: Some(vec![1]), ..schema::SubscribeRequest::default() };
        let connect = schema::ConnectRequest { subs: BTreeMap::from([("c".to_owned(), wish)]), ..schema::ConnectRequest::default() };
        let commands = [
            schema::Command { id: 1, connect: Some(connect.into()), ..schema::Command::default() },
            schema::Command { id: 2, history: Some(history.into()), ..schema::Command::default() },
        ];
        let mut frame = framed(&commands);
        let length = frame.len();
        frame[at % length] = byte;
        frame[also % length] = another;
        decode_frame(&frame).for_each(drop);
    }

    #[test]
    fn what_a_client_subscribes_with_arrives(
        (channel, token, epoch, delta) in (any::<String>(), any::<String>(), any::<String>(), any::<String>()),
        (recover, positioned, recoverable, join_leave) in (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        (offset, flag, kind) in (any::<u64>(), any::<i64>(), any::<i32>()),
        data in any::<Vec<u8>>(),
        id in 1u32..,
    ) {
        let request = schema::SubscribeRequest {
            channel: channel.clone(), token: token.clone(), recover, epoch: epoch.clone(), offset, data: data.clone(), positioned,
            recoverable, join_leave, delta: delta.clone(), tf: None, flag, r#type: kind,
        };
        let expected = SubscribeRequest {
            channel: channel.clone().into(), token: token.into(), recover, epoch: epoch.into(), offset, data: some(&data), positioned,
            recoverable, join_leave, delta: delta.into(), filter: None, flag, kind,
        };
        let subs = BTreeMap::from([(channel.clone(), request.clone())]);
        let connect = schema::ConnectRequest { subs, ..schema::ConnectRequest::default() };
        let frame = framed(&[
            schema::Command { id, subscribe: Some(request.into()), ..schema::Command::default() },
            schema::Command { id, connect: Some(connect.into()), ..schema::Command::default() },
        ]);
        let commands: Vec<Command<'_>> = decode_frame(&frame).map(Result::unwrap).collect();
        let connect = ConnectRequest { subs: BTreeMap::from([(channel, expected.clone())]), ..ConnectRequest::default() };
        prop_assert_eq!(&commands[0], &Command { id, request: Request::Subscribe(Box::new(expected)) });
        prop_assert_eq!(&commands[1], &Command { id, request: Request::Connect(Box::new(connect)) });
    }

    #[test]
    fn whatever_else_a_client_asks_arrives(
        (channel, token, name, version) in (any::<String>(), any::<String>(), any::<String>(), any::<String>()),
        data in any::<Vec<u8>>(),
        headers in any::<BTreeMap<String, String>>(),
        (limit, kind, flag) in (any::<i32>(), any::<i32>(), any::<i64>()),
        since in any::<Option<(u64, String)>>(),
        reverse in any::<bool>(),
        id in 1u32..,
    ) {
        let blank = || schema::Command { id, ..schema::Command::default() };
        let of = || Some(schema::ChannelRequest { channel: channel.clone() });
        let connect = schema::ConnectRequest {
            token: token.clone(), data: data.clone(), name: name.clone(), version: version.clone(), headers: headers.clone(), flag,
            subs: BTreeMap::new(),
        };
        let position = since.clone().map(|(offset, epoch)| schema::StreamPosition { offset, epoch });
        let history = schema::HistoryRequest { channel: channel.clone(), limit, since: position, reverse };
        let rpc = schema::RpcRequest { data: data.clone(), method: name.clone() };
        let refresh = schema::RefreshRequest { token: token.clone() };
        let sub_refresh = schema::SubRefreshRequest { channel: channel.clone(), token: token.clone(), r#type: kind };
        let frame = framed(&[
            schema::Command { connect: Some(connect.into()), ..blank() },
            schema::Command { unsubscribe: of(), ..blank() },
            schema::Command { presence: of(), ..blank() },
            schema::Command { presence_stats: of(), ..blank() },
            schema::Command { history: Some(history.into()), ..blank() },
            schema::Command { rpc: Some(rpc), ..blank() },
            schema::Command { refresh: Some(refresh), ..blank() },
            schema::Command { sub_refresh: Some(sub_refresh.into()), ..blank() },
        ]);
        let since = since.map(|(offset, epoch)| Since { offset, epoch: epoch.into() });
        let expected = [
            Request::Connect(Box::new(ConnectRequest {
                token: token.clone().into(), data: some(&data), name: name.clone().into(), version: version.into(), headers, flag,
                ..ConnectRequest::default()
            })),
            Request::Unsubscribe(channel.clone().into()),
            Request::Presence(channel.clone().into()),
            Request::PresenceStats(channel.clone().into()),
            Request::History(HistoryRequest { channel: channel.clone().into(), limit, since, reverse }),
            Request::Rpc(RpcRequest { method: name.into(), data: some(&data) }),
            Request::Refresh(token.clone().into()),
            Request::SubRefresh(SubRefreshRequest { channel: channel.into(), token: token.into(), kind }),
        ];
        let requests: Vec<Request<'_>> = decode_frame(&frame).map(|command| command.unwrap().request).collect();
        prop_assert_eq!(requests, expected);
    }
}
