//! Commands and messages in Protobuf, as what they are in JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use ringway_protocol::centrifuge::protobuf::schema::{
    ChannelRequest, ClientInfo, Command, ConnectRequest, HistoryRequest, Publication, PublishRequest, Push, Reply,
    RpcRequest, SendRequest, StreamPosition, SubscribeRequest, SubscribeResult,
};
use serde_json::{Map, Value, json};

/// How payloads are written that are no JSON.
const ANY_BYTES: &str = "base64:";

/// A command as a frame. What its kind does not know is left out.
pub(super) fn frame(command: &Value) -> Vec<u8> {
    let of = |method: &str| command.get(method);
    let channel = |params: &Value| ChannelRequest { channel: text(params, "channel") };
    let command = Command {
        id: number(command, "id") as u32,
        connect: of("connect").map(|params| Box::new(connect(params))),
        subscribe: of("subscribe").map(|params| Box::new(subscribe(params))),
        unsubscribe: of("unsubscribe").map(channel),
        publish: of("publish").map(|params| PublishRequest {
            channel: text(params, "channel"),
            data: payload(params),
            r#type: number(params, "type") as i32,
        }),
        presence: of("presence").map(channel),
        presence_stats: of("presence_stats").map(channel),
        history: of("history").map(|params| Box::new(history(params))),
        send: of("send").map(|params| SendRequest { data: payload(params) }),
        rpc: of("rpc").map(|params| RpcRequest { data: payload(params), method: text(params, "method") }),
        ..Command::default()
    };
    command.encode_length_delimited_to_vec()
}

fn connect(params: &Value) -> ConnectRequest {
    let subs = params["subs"].as_object().into_iter().flatten();
    ConnectRequest {
        token: text(params, "token"),
        data: payload(params),
        subs: subs.map(|(channel, params)| (channel.clone(), subscribe(params))).collect(),
        ..ConnectRequest::default()
    }
}

fn subscribe(params: &Value) -> SubscribeRequest {
    SubscribeRequest {
        channel: text(params, "channel"),
        token: text(params, "token"),
        recover: params["recover"] == true,
        epoch: text(params, "epoch"),
        offset: number(params, "offset") as u64,
        data: payload(params),
        positioned: params["positioned"] == true,
        recoverable: params["recoverable"] == true,
        join_leave: params["join_leave"] == true,
        flag: number(params, "flag"),
        ..SubscribeRequest::default()
    }
}

fn history(params: &Value) -> HistoryRequest {
    let since = |since: &Value| StreamPosition { offset: number(since, "offset") as u64, epoch: text(since, "epoch") };
    HistoryRequest {
        channel: text(params, "channel"),
        limit: number(params, "limit") as i32,
        since: params.get("since").map(since),
        reverse: params["reverse"] == true,
    }
}

fn text(params: &Value, key: &str) -> String {
    params[key].as_str().unwrap_or_default().to_owned()
}

fn number(params: &Value, key: &str) -> i64 {
    params[key].as_i64().unwrap_or_default()
}

fn payload(params: &Value) -> Vec<u8> {
    match params.get("data") {
        None => Vec::new(),
        Some(Value::String(text)) if text.starts_with(ANY_BYTES) => {
            STANDARD.decode(&text[ANY_BYTES.len()..]).expect("a test writes good Base64")
        }
        Some(data) => data.to_string().into_bytes(),
    }
}

/// The messages of a frame; a text where one cannot be read.
pub(super) fn messages(mut frame: &[u8]) -> Vec<Value> {
    let mut messages = Vec::new();
    while !frame.is_empty() {
        match Reply::decode_length_delimited(&mut frame) {
            Ok(reply) => messages.push(message(&reply)),
            Err(fault) => {
                messages.push(Value::String(format!("no message of the protocol: {fault}: {frame:?}")));
                break;
            }
        }
    }
    messages
}

fn message(reply: &Reply) -> Value {
    let mut told = Told::default();
    told.number("id", reply.id.into());
    told.some(
        "error",
        reply.error.as_ref(),
        |error| json!({"code": error.code, "message": error.message, "temporary": error.temporary}),
    );
    told.some("push", reply.push.as_deref(), push);
    told.some("connect", reply.connect.as_deref(), |result| {
        let subs = result.subs.iter().map(|(channel, result)| (channel.clone(), subscribed(result)));
        let subs: Map<String, Value> = subs.collect();
        json!({
            "client": result.client, "version": result.version, "expires": result.expires, "ttl": result.ttl, "subs": subs,
            "ping": result.ping, "pong": result.pong, "session": result.session, "node": result.node,
        })
    });
    told.some("subscribe", reply.subscribe.as_deref(), subscribed);
    told.some("unsubscribe", reply.unsubscribe.as_ref(), |_| json!({}));
    told.some("publish", reply.publish.as_ref(), |_| json!({}));
    told.some("presence", reply.presence.as_ref(), |result| {
        let present: Map<String, Value> =
            result.presence.iter().map(|(client, one)| (client.clone(), info(one))).collect();
        json!({ "presence": present })
    });
    told.some(
        "presence_stats",
        reply.presence_stats.as_ref(),
        |result| json!({"num_clients": result.num_clients, "num_users": result.num_users}),
    );
    told.some("history", reply.history.as_ref(), |result| {
        let publications: Vec<Value> = result.publications.iter().map(publication).collect();
        json!({"publications": publications, "epoch": result.epoch, "offset": result.offset})
    });
    told.some("rpc", reply.rpc.as_ref(), |result| json!({"data": shown(&result.data)}));
    told.some("refresh", reply.refresh.as_ref(), |end| json!({"expires": end.expires, "ttl": end.ttl}));
    told.some("sub_refresh", reply.sub_refresh.as_ref(), |end| json!({"expires": end.expires, "ttl": end.ttl}));
    Value::Object(told.0)
}

/// An object in which what is empty is left out.
#[derive(Default)]
struct Told(Map<String, Value>);

impl Told {
    fn some<T>(&mut self, key: &str, value: Option<&T>, tell: impl FnOnce(&T) -> Value) {
        if let Some(value) = value {
            self.0.insert(key.to_owned(), tell(value));
        }
    }

    fn number(&mut self, key: &str, number: u64) {
        self.some(key, Some(&number).filter(|number| **number != 0), |number| json!(number));
    }

    fn flag(&mut self, key: &str, flag: bool) {
        self.some(key, flag.then_some(&()), |()| json!(true));
    }

    fn text(&mut self, key: &str, text: &str) {
        self.some(key, Some(&text).filter(|text| !text.is_empty()), |text| json!(text));
    }

    fn data(&mut self, key: &str, data: &[u8]) {
        self.some(key, Some(&data).filter(|data| !data.is_empty()), |data| shown(data));
    }
}

fn push(push: &Push) -> Value {
    let mut told = Told::default();
    told.text("channel", &push.channel);
    told.some("pub", push.r#pub.as_deref(), publication);
    for (key, member) in [("join", &push.join), ("leave", &push.leave)] {
        told.some(key, member.as_ref(), |member| json!({"info": member.info.as_ref().map(info)}));
    }
    told.some("unsubscribe", push.unsubscribe.as_ref(), |why| json!({"code": why.code, "reason": why.reason}));
    told.some("message", push.message.as_ref(), |message| json!({"data": shown(&message.data)}));
    told.some("subscribe", push.subscribe.as_ref(), |one| {
        json!({"recoverable": one.recoverable, "epoch": one.epoch, "offset": one.offset, "positioned": one.positioned})
    });
    told.some("refresh", push.refresh.as_ref(), |end| json!({"expires": end.expires, "ttl": end.ttl}));
    Value::Object(told.0)
}

fn subscribed(result: &SubscribeResult) -> Value {
    let mut told = Told::default();
    told.flag("expires", result.expires);
    told.number("ttl", result.ttl.into());
    told.flag("recoverable", result.recoverable);
    told.text("epoch", &result.epoch);
    if !result.publications.is_empty() {
        told.some("publications", Some(&result.publications), |all| all.iter().map(publication).collect());
    }
    told.flag("recovered", result.recovered);
    told.number("offset", result.offset);
    told.flag("positioned", result.positioned);
    told.data("data", &result.data);
    told.flag("was_recovering", result.was_recovering);
    Value::Object(told.0)
}

fn publication(one: &Publication) -> Value {
    let mut told = Told::default();
    told.data("data", &one.data);
    told.some("info", one.info.as_ref(), info);
    told.number("offset", one.offset);
    if !one.tags.is_empty() {
        told.some("tags", Some(&one.tags), |tags| json!(tags));
    }
    told.text("epoch", &one.epoch);
    Value::Object(told.0)
}

fn info(info: &ClientInfo) -> Value {
    let mut told = Told::default();
    told.0.insert("user".to_owned(), json!(info.user));
    told.0.insert("client".to_owned(), json!(info.client));
    told.data("conn_info", &info.conn_info);
    told.data("chan_info", &info.chan_info);
    Value::Object(told.0)
}

fn shown(data: &[u8]) -> Value {
    serde_json::from_slice(data).unwrap_or_else(|_| Value::String(format!("{ANY_BYTES}{}", STANDARD.encode(data))))
}
