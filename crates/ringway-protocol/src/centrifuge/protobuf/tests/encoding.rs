use std::collections::BTreeMap;

use proptest::prelude::*;
use prost::Message;
use ringway_core::id::StreamEpoch;
use ringway_core::message::Entry;

use super::hex;
use crate::centrifuge::protobuf::{push, reply, say, schema};
use crate::centrifuge::*;
use crate::dialect::{Dialect, Placed, Saying};
use crate::framing::Part;
use crate::ws;

/// The payload of the frame with a saying.
fn said(saying: &Saying<'_>) -> Vec<u8> {
    let frame = Dialect::CENTRIFUGE_PROTOBUF.encode(&mut Vec::new(), saying, || "").unwrap();
    let (opcode, is_last, payload) = ws::server_frame(&frame).unwrap();
    assert_eq!((opcode, is_last), (ws::Opcode::Binary, true));
    payload.to_vec()
}

fn replied(id: u32, answer: &Reply<'_>) -> Vec<u8> {
    said(&Saying::Reply(id, answer, Part::WHOLE))
}

#[test]
fn what_sdks_read() {
    let connected = ConnectResult { client: "abc", version: "1.0", ping: 25, pong: true, ..ConnectResult::default() };
    let entry = Entry::of(b"{}");
    let published = Placed { channel: "test", epoch: None, offset: 1, entry: &entry, shape: Shape::Plain };
    for (bytes, expected) in [
        (replied(1, &Reply::Connect(&connected)), "12 08 01 2a 0e 0a 03 61 62 63 12 03 31 2e 30 38 19 40 01"),
        (replied(2, &Reply::Subscribe(&SubscribeResult::default())), "04 08 02 32 00"),
        (replied(3, &Reply::Publish), "04 08 03 42 00"),
        (
            replied(2, &Reply::Error(ErrorCode::PermissionDenied.into())),
            "19 08 02 12 15 08 67 12 11 70 65 72 6d 69 73 73 69 6f 6e 20 64 65 6e 69 65 64",
        ),
        (said(&Saying::Publication(published)), "10 22 0e 12 04 74 65 73 74 22 06 22 02 7b 7d 30 01"),
        (said(&Saying::Ping), "00"),
    ] {
        assert_eq!(bytes, hex(expected));
    }
}

#[test]
fn a_reply_has_no_parts() {
    let part = Part { is_first: true, is_last: false };
    let saying = Saying::Reply(1, &Reply::Presence(&[]), part);
    assert!(!say(&mut Vec::new(), &saying));
}

#[test]
fn the_first_of_a_stream_says_which_one() {
    let (entry, epoch) = (Entry::of(b"1"), StreamEpoch::parse("aBcDeFgH"));
    for (offset, told) in [(1, "aBcDeFgH"), (2, "")] {
        let bytes =
            said(&Saying::Publication(Placed { channel: "c", epoch, offset, entry: &entry, shape: Shape::Plain }));
        let told_of = schema::Reply::decode_length_delimited(&bytes[..]).unwrap().push.unwrap();
        assert_eq!(told_of.r#pub.unwrap().epoch, told);
    }
}

fn reply_bytes(id: u32, answer: &Reply<'_>) -> Vec<u8> {
    let mut out = vec![1, 2, 3];
    reply(&mut out, id, answer);
    out.split_off(3)
}

fn push_bytes(event: &Push<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    push(&mut out, event);
    out
}

/// A client, in the words of the schema; its long fields make every size of a length.
fn client() -> impl Strategy<Value = schema::ClientInfo> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..200);
    (".{0,20}", "[a-f0-9-]{0,36}", bytes(), bytes())
        .prop_map(|(user, client, conn_info, chan_info)| schema::ClientInfo { user, client, conn_info, chan_info })
}

fn publication() -> impl Strategy<Value = schema::Publication> {
    let data = prop_oneof![prop::collection::vec(any::<u8>(), 0..200), Just(vec![7; 16_384]), Just(vec![7; 127])];
    let tags = prop::collection::btree_map(".{0,9}", ".{0,9}", 0..3);
    (data, prop::option::of(client()), any::<u64>(), tags, "[a-z]{0,8}").prop_map(
        |(data, info, offset, tags, epoch)| schema::Publication { data, info, offset, tags, delta: false, epoch },
    )
}

fn info(client: &schema::ClientInfo) -> ClientInfo<'_> {
    let schema::ClientInfo { user, client, conn_info, chan_info } = client;
    ClientInfo { user, client, conn_info, chan_info }
}

fn told(one: &schema::Publication) -> Publication<'_> {
    let tags = one.tags.iter().map(|(key, value)| (&**key, &**value)).collect();
    let info = one.info.as_ref().map(info);
    Publication { offset: one.offset, data: &one.data, info, tags, epoch: &one.epoch, ..Publication::default() }
}

fn expiry(ttl: u32) -> Expiry {
    if ttl == 0 { Expiry::Never } else { Expiry::InSeconds(ttl) }
}

proptest! {
    /// The library writes the schema's messages as we do, byte for byte.
    #[test]
    fn results_are_those_of_the_schema(
        id in any::<u32>(),
        publications in prop::collection::vec(publication(), 0..3),
        clients in prop::collection::btree_map("[a-f0-9]{1,36}", client(), 0..3),
        (offset, ttl) in (any::<u64>(), any::<u32>()),
        (recoverable, recovered, positioned, was_recovering) in (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        (epoch, text) in (any::<String>(), any::<String>()),
        data in any::<Vec<u8>>(),
    ) {
        let blank = || schema::Reply { id, ..schema::Reply::default() };
        let kept: Vec<Publication<'_>> = publications.iter().map(told).collect();
        let presence: BTreeMap<_, _> =
            clients.into_iter().map(|(id, one)| (id.clone(), schema::ClientInfo { client: id, ..one })).collect();
        let infos: Vec<ClientInfo<'_>> = presence.values().map(info).collect();
        let subscribed = SubscribeResult {
            expiry: expiry(ttl), recoverable, epoch: &epoch, offset, publications: &kept, recovered, was_recovering, positioned,
            data: &data, delta: recovered,
        };
        let as_subscribed = schema::SubscribeResult {
            expires: ttl > 0, ttl, recoverable, epoch: epoch.clone(), publications: publications.clone(), recovered, offset, positioned,
            data: data.clone(), was_recovering, delta: recovered,
        };
        let connected = ConnectResult {
            client: &text, version: &epoch, expiry: expiry(ttl), data: &data, subs: vec![(&text, subscribed.clone())], ping: ttl,
            pong: recovered, session: &text, node: &epoch,
        };
        let as_connected = schema::ConnectResult {
            client: text.clone(), version: epoch.clone(), expires: ttl > 0, ttl, data: data.clone(),
            subs: BTreeMap::from([(text.clone(), as_subscribed.clone())]), ping: ttl, pong: recovered, session: text.clone(),
            node: epoch.clone(),
        };
        let history = HistoryResult { publications: &kept, epoch: &epoch, offset };
        let as_history = schema::HistoryResult { publications: publications.clone(), epoch: epoch.clone(), offset };
        let code = offset as u16;
        let fault = ErrorReply { code, message: &text, temporary: recovered };
        let as_fault = schema::Error { code: code.into(), message: text.clone(), temporary: recovered };
        let table = [
            (Reply::Error(fault), schema::Reply { error: Some(as_fault), ..blank() }),
            (Reply::Connect(&connected), schema::Reply { connect: Some(as_connected.into()), ..blank() }),
            (Reply::Subscribe(&subscribed), schema::Reply { subscribe: Some(as_subscribed.into()), ..blank() }),
            (Reply::Unsubscribe, schema::Reply { unsubscribe: Some(schema::Empty {}), ..blank() }),
            (Reply::Publish, schema::Reply { publish: Some(schema::Empty {}), ..blank() }),
            (
                Reply::Presence(&infos),
                schema::Reply { presence: Some(schema::PresenceResult { presence: presence.clone() }), ..blank() },
            ),
            (
                Reply::PresenceStats { clients: ttl, users: id },
                schema::Reply {
                    presence_stats: Some(schema::PresenceStatsResult { num_clients: ttl, num_users: id }),
                    ..blank()
                },
            ),
            (Reply::History(&history), schema::Reply { history: Some(as_history), ..blank() }),
            (Reply::Rpc(&data), schema::Reply { rpc: Some(schema::RpcResult { data: data.clone() }), ..blank() }),
            (
                Reply::Refresh(expiry(ttl)),
                schema::Reply {
                    refresh: Some(schema::RefreshResult { expires: ttl > 0, ttl, ..schema::RefreshResult::default() }),
                    ..blank()
                },
            ),
            (
                Reply::SubRefresh(expiry(ttl)),
                schema::Reply { sub_refresh: Some(schema::SubRefreshResult { expires: ttl > 0, ttl }), ..blank() },
            ),
        ];
        for (answer, expected) in table {
            prop_assert_eq!(reply_bytes(id, &answer), expected.encode_to_vec(), "{:?}", answer);
        }
    }

    #[test]
    fn pushes_are_those_of_the_schema(
        published in publication(),
        who in client(),
        (channel, text) in (any::<String>(), any::<String>()),
        data in any::<Vec<u8>>(),
        (offset, ttl, code) in (any::<u64>(), any::<u32>(), any::<u16>()),
        (recoverable, positioned) in (any::<bool>(), any::<bool>()),
    ) {
        let blank = || schema::Push::default();
        let of = || schema::Push { channel: channel.clone(), ..blank() };
        let publication = told(&published);
        let subscription = SubscribePush { recoverable, epoch: &text, offset, positioned, data: &data };
        let as_subscription =
            schema::Subscribe { recoverable, epoch: text.clone(), offset, positioned, data: data.clone() };
        let member = || Some(schema::Membership { info: Some(who.clone()) });
        let unsubscribe = schema::Unsubscribe { code: code.into(), reason: text.clone() };
        let disconnect = schema::Disconnect { code: code.into(), reason: text.clone() };
        let table = [
            (
                Push::Publication { channel: &channel, publication: &publication },
                schema::Push { r#pub: Some(published.clone().into()), ..of() },
            ),
            (Push::Join { channel: &channel, info: info(&who) }, schema::Push { join: member(), ..of() }),
            (Push::Leave { channel: &channel, info: info(&who) }, schema::Push { leave: member(), ..of() }),
            (
                Push::Unsubscribe { channel: &channel, code, reason: &text },
                schema::Push { unsubscribe: Some(unsubscribe), ..of() },
            ),
            (
                Push::Subscribe { channel: &channel, subscription },
                schema::Push { subscribe: Some(as_subscription), ..of() },
            ),
            (Push::Message(&data), schema::Push { message: Some(schema::Data { data: data.clone() }), ..blank() }),
            (
                Push::Refresh(expiry(ttl)),
                schema::Push { refresh: Some(schema::Refresh { expires: ttl > 0, ttl }), ..blank() },
            ),
            (Push::Disconnect { code, reason: &text }, schema::Push { disconnect: Some(disconnect), ..blank() }),
        ];
        for (event, expected) in table {
            let expected = schema::Reply { push: Some(expected.into()), ..schema::Reply::default() };
            prop_assert_eq!(push_bytes(&event), expected.encode_to_vec(), "{:?}", event);
        }
    }

    /// Where a length needs one byte more, nothing of the message is lost.
    #[test]
    fn lengths_of_every_size(length in prop_oneof![100usize..300, 16_300usize..16_500, 2_097_100usize..2_097_200]) {
        let data = vec![b'x'; length];
        let expected = schema::Reply {
            id: 1, rpc: Some(schema::RpcResult { data: data.clone() }), ..schema::Reply::default()
        };
        prop_assert!(reply_bytes(1, &Reply::Rpc(&data)) == expected.encode_to_vec());
    }
}
