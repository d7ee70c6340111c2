use proptest::prelude::*;

use super::*;
use crate::centrifuge::{ClientInfo, HistoryResult, Publication, Since};

fn answered(outcome: &Result<Answer<'_>, ApiError>) -> String {
    let mut out = Vec::new();
    match outcome {
        Ok(answer) => result(&mut out, answer),
        Err(fault) => failure(&mut out, *fault),
    }
    String::from_utf8(out).unwrap()
}

fn publish(body: &str) -> PublishRequest<'_> {
    decode(body.as_bytes()).unwrap()
}

#[test]
fn publish_and_broadcast_are_read() {
    let one = publish(
        r#"{"channel":"chat","data":{"a": 1},"skip_history":true,"tags":{"k":"v"},"idempotency_key":"i","delta":true,"version":3,"version_epoch":"x","other":[]}"#,
    );
    assert_eq!((&*one.channel, &*one.idempotency_key, &*one.version_epoch), ("chat", "i", "x"));
    assert_eq!((one.skip_history, one.delta, one.version, &*one.tags["k"]), (true, true, 3, "v"));
    assert_eq!(&*one.payload().unwrap(), br#"{"a":1}"#);
    assert_eq!(publish(r#"{"channels":["a","b"],"data":1}"#).channels, ["a", "b"]);
}

#[test]
fn a_payload_is_json_in_either_field() {
    assert_eq!(&*publish(r#"{"b64data":"eyJhIjogMX0="}"#).payload().unwrap(), br#"{"a":1}"#);
    assert_eq!(&*publish(r#"{"b64data":"MQ==","data":2}"#).payload().unwrap(), b"1");
    assert_eq!(&*publish(r#"{"data": null }"#).payload().unwrap(), b"null");
    for body in ["{}", r#"{"b64data":"%"}"#, r#"{"b64data":"/w=="}"#, r#"{"b64data":"eA=="}"#] {
        assert_eq!(publish(body).payload(), Err(ApiError::BadRequest), "{body}");
    }
}

#[test]
fn questions_are_read() {
    assert_eq!(decode::<ChannelRequest<'_>>(br#"{"channel":"c"}"#).unwrap().channel, "c");
    assert_eq!(decode::<ChannelsRequest<'_>>(br#"{"pattern":"a*"}"#).unwrap().pattern, "a*");
    let history: HistoryRequest<'_> =
        decode(br#"{"channel":"c","limit":-1,"since":{"offset":2,"epoch":"e"}}"#).unwrap();
    assert_eq!((history.limit, history.since), (-1, Some(Since { offset: 2, epoch: "e".into() })));
    assert_eq!(decode_optional::<InfoRequest>(b"").unwrap(), InfoRequest {});
    assert_eq!(decode_optional::<InfoRequest>(b"{\n\"x\": 1}").unwrap(), InfoRequest {});
}

#[test]
fn a_batch_names_the_method_of_each_command() {
    let body = br#"{"commands":[{"publish":{"channel":"a"}},null,{},{"info":null,"rpc":{}}],"parallel":true}"#;
    let batch: BatchRequest<'_> = decode(body).unwrap();
    assert!(batch.parallel);
    let of = |at: usize, method| {
        batch.commands[at].as_ref().and_then(|command| command.of(method)).map(serde_json::value::RawValue::get)
    };
    assert_eq!((batch.commands.len(), batch.commands[1].is_none()), (4, true));
    assert_eq!((of(0, "publish"), of(0, "rpc")), (Some(r#"{"channel":"a"}"#), None));
    assert_eq!((of(2, "rpc"), of(3, "info"), of(3, "rpc")), (None, None, Some("{}")));
    for body in [r#"{"commands":{}}"#, r#"{"commands":[1]}"#, r#"{"commands":[[]]}"#] {
        assert!(decode::<BatchRequest<'_>>(body.as_bytes()).is_err(), "{body}");
    }
    assert_eq!(decode::<BatchRequest<'_>>(b"{}").unwrap().commands.len(), 0);
}

#[test]
fn lines_of_commands_are_read() {
    let body = br#"{"id":2,"method":"publish","params":{"channel":"a"}} {"method":5}
{"method":null}"#;
    let lines = decode_lines(body).unwrap();
    let methods: Vec<_> = lines.iter().map(|line| (line.id, line.method.clone(), line.params.is_some())).collect();
    let (named, zero) = (LegacyMethod::Named("publish".into()), LegacyMethod::Numbered(0));
    assert_eq!(methods, [(2, named, true), (0, LegacyMethod::Numbered(5), false), (0, zero, false)]);
    for body in ["[]", "{", r#"{"method":{}}"#, "{}x"] {
        assert!(decode_lines(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn bodies_that_are_no_objects_are_refused() {
    for body in ["", "x", "[]", "null", "{", r#"{"channel":1}"#, r#"{"tags":[]}"#, r#"{"data":}"#, "{}{}"] {
        assert!(decode::<PublishRequest<'_>>(body.as_bytes()).is_err(), "{body}");
    }
    assert!(decode_optional::<InfoRequest>(b"[]").is_err());
    assert!(decode::<PublishRequest<'_>>(b"{\"channel\":\"\xff\"}").is_err());
}

#[test]
fn a_backend_may_choose_how_clients_are_closed() {
    let close = |body: &str| {
        let request: DisconnectRequest<'_> = decode(body.as_bytes()).unwrap();
        request.close().map(|(code, reason)| (code, reason.to_owned()))
    };
    assert_eq!(close(r#"{"user":"u","whitelist":["a"]}"#), Ok((3503, "force disconnect".into())));
    assert_eq!(close(r#"{"disconnect":{"code":4001,"reason":"bye"}}"#), Ok((4001, "bye".into())));
    assert_eq!(close(r#"{"disconnect":{"code":3000}}"#), Ok((3000, "force disconnect".into())));
    let long = format!(r#"{{"disconnect":{{"code":4000,"reason":"{}"}}}}"#, "x".repeat(124));
    for body in [
        r#"{"disconnect":{"code":2999,"reason":"x"}}"#,
        r#"{"disconnect":{"code":5000,"reason":"x"}}"#,
        r#"{"disconnect":{"code":70000,"reason":"x"}}"#,
        r#"{"disconnect":{"code":4000,"reason":"{}"}}"#,
        &long,
    ] {
        assert_eq!(close(body), Err(ApiError::BadRequest), "{body}");
    }
}

#[test]
fn answers() {
    let ann = ClientInfo { user: "42", client: "7a", conn_info: b"", chan_info: b"" };
    let at = PublishedAt { offset: 1, epoch: "aBcD" };
    let publications = [Publication { data: b"{}", offset: 1, tags: vec![("k", "v")], ..Publication::default() }];
    let history = HistoryResult { publications: &publications, epoch: "e", offset: 5 };
    let node =
        NodeInfo { uid: "u", name: "n", version: "v", clients: 1, users: 2, channels: 3, subscriptions: 4, uptime: 5 };
    for (outcome, expected) in [
        (Ok(Answer::Publish(at)), r#"{"offset":1,"epoch":"aBcD"}"#),
        (Ok(Answer::Publish(PublishedAt::default())), r#"{}"#),
        (
            Ok(Answer::Broadcast(&[Ok(at), Err(ApiError::UnknownChannel), Ok(PublishedAt::default())])),
            r#"{"responses":[{"result":{"offset":1,"epoch":"aBcD"}},{"error":{"code":102,"message":"unknown channel"}},{"result":{}}]}"#,
        ),
        (Ok(Answer::Presence(&[ann])), r#"{"presence":{"7a":{"user":"42","client":"7a"}}}"#),
        (Ok(Answer::PresenceStats { clients: 0, users: 0 }), r#"{"num_clients":0,"num_users":0}"#),
        (
            Ok(Answer::History(&history)),
            r#"{"publications":[{"data":{},"offset":1,"tags":{"k":"v"}}],"epoch":"e","offset":5}"#,
        ),
        (Ok(Answer::Done), r#"{}"#),
        (
            Ok(Answer::Info(&[node])),
            r#"{"nodes":[{"uid":"u","name":"n","version":"v","num_clients":1,"num_users":2,"num_channels":3,"uptime":5,"num_subs":4}]}"#,
        ),
        (Ok(Answer::Channels(&[])), r#"{"channels":{}}"#),
        (
            Ok(Answer::Channels(&[("a", 1), ("b\"", 2)])),
            r#"{"channels":{"a":{"num_clients":1},"b\"":{"num_clients":2}}}"#,
        ),
        (Err(ApiError::UnknownChannel), r#"{"error":{"code":102,"message":"unknown channel"}}"#),
        (Err(ApiError::NotAvailable), r#"{"error":{"code":108,"message":"not available"}}"#),
    ] {
        assert_eq!(answered(&outcome), expected);
    }
    let mut bare = Vec::new();
    bare_failure(&mut bare, ApiError::Conflict);
    assert_eq!(bare, br#"{"code":113,"message":"conflict"}"#);
}

#[test]
fn lists_in_parts_are_the_whole_answer() {
    let channels = [("{a", 1), ("b\"}", 2), ("c", 3)];
    let ann = ClientInfo { user: "42", client: "7a", conn_info: b"{}", chan_info: b"" };
    let (mut named, mut present) = (Vec::new(), Vec::new());
    channels_part(&mut named, &channels[..2], true, false);
    channels_part(&mut named, &[], false, false);
    channels_part(&mut named, &channels[2..], false, true);
    assert_eq!(String::from_utf8(named).unwrap(), answered(&Ok(Answer::Channels(&channels))));
    presence_part(&mut present, &[ann], true, false);
    presence_part(&mut present, &[ClientInfo { client: "7b", ..ann }], false, true);
    let both = [ann, ClientInfo { client: "7b", ..ann }];
    assert_eq!(String::from_utf8(present).unwrap(), answered(&Ok(Answer::Presence(&both))));
}

proptest! {
    #[test]
    fn random_bodies_never_panic(body: Vec<u8>) {
        let _ = decode::<PublishRequest<'_>>(&body);
        let _ = decode::<DisconnectRequest<'_>>(&body);
    }

    #[test]
    fn random_base64_never_panics(b64data in "[a-zA-Z0-9+/=]*") {
        let _ = PublishRequest { b64data: b64data.into(), ..PublishRequest::default() }.payload();
    }
}
