//! What a measuring client sends and reads, in both forms of the protocol. Of what it reads only what it needs is taken: the numbers stand
//! beside the names, and payloads are skipped.

use prost::Message;
use ringway_protocol::centrifuge::protobuf::schema;
use serde::Deserialize;
use serde_json::json;

use crate::client::Form;
use crate::socket::{SendError, Socket};

/// One command.
#[derive(Debug)]
pub(super) enum Sent<'a> {
    Connect(u32),
    /// From a position if there is one.
    Subscribe(u32, &'a str, Option<(&'a str, u64)>),
    Unsubscribe(u32, &'a str),
    Pong,
}

/// Sends commands in one message.
///
/// # Errors
/// The socket has ended or is too far behind.
pub(super) fn send(form: Form, socket: &Socket, commands: &[Sent<'_>]) -> Result<(), SendError> {
    match form {
        Form::Json => {
            let lines: Vec<String> = commands.iter().map(Sent::json).collect();
            socket.send_text(&lines.join("\n"))
        }
        Form::Protobuf => {
            let command = |command: &Sent<'_>| command.protobuf().encode_length_delimited_to_vec();
            socket.send_binary(&commands.iter().flat_map(command).collect::<Vec<u8>>())
        }
    }
}

impl Sent<'_> {
    fn json(&self) -> String {
        let command = match self {
            Self::Connect(id) => json!({"id": id, "connect": {}}),
            Self::Subscribe(id, channel, None) => json!({"id": id, "subscribe": {"channel": channel, "flag": 1}}),
            Self::Subscribe(id, channel, Some((epoch, offset))) => json!({
                "id": id,
                "subscribe": {"channel": channel, "flag": 1, "recover": true, "epoch": epoch, "offset": offset},
            }),
            Self::Unsubscribe(id, channel) => json!({"id": id, "unsubscribe": {"channel": channel}}),
            Self::Pong => json!({}),
        };
        command.to_string()
    }

    fn protobuf(&self) -> schema::Command {
        let blank = schema::Command::default();
        match *self {
            Self::Connect(id) => schema::Command { id, connect: Some(Box::default()), ..blank },
            Self::Subscribe(id, channel, from) => {
                let (epoch, offset) = from.unwrap_or_default();
                let subscribe = schema::SubscribeRequest {
                    channel: channel.to_owned(),
                    flag: 1,
                    recover: from.is_some(),
                    epoch: epoch.to_owned(),
                    offset,
                    ..schema::SubscribeRequest::default()
                };
                schema::Command { id, subscribe: Some(subscribe.into()), ..blank }
            }
            Self::Unsubscribe(id, channel) => {
                let unsubscribe = schema::ChannelRequest { channel: channel.to_owned() };
                schema::Command { id, unsubscribe: Some(unsubscribe), ..blank }
            }
            Self::Pong => blank,
        }
    }
}

/// The frame of a publish of this payload.
pub(super) fn publish(id: u32, channel: &str, data: &str) -> Vec<u8> {
    let publish = schema::PublishRequest { channel: channel.to_owned(), data: data.as_bytes().to_vec(), r#type: 0 };
    schema::Command { id, publish: Some(publish), ..schema::Command::default() }.encode_length_delimited_to_vec()
}

#[derive(Clone, PartialEq, Deserialize, Message)]
pub(super) struct Reply {
    #[serde(default)]
    #[prost(uint32, tag = "1")]
    pub(super) id: u32,
    #[prost(message, optional, tag = "2")]
    pub(super) error: Option<Failure>,
    #[prost(message, optional, tag = "6")]
    pub(super) subscribe: Option<Subscribed>,
    #[prost(message, optional, tag = "4")]
    pub(super) push: Option<Push>,
}

#[derive(Clone, PartialEq, Deserialize, Message)]
pub(super) struct Failure {
    #[prost(uint32, tag = "1")]
    pub(super) code: u32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

#[derive(Clone, PartialEq, Deserialize, Message)]
pub(super) struct Subscribed {
    #[serde(default)]
    #[prost(uint64, tag = "9")]
    pub(super) offset: u64,
    #[serde(default)]
    #[prost(string, tag = "6")]
    pub(super) epoch: String,
    #[serde(default)]
    #[prost(bool, tag = "8")]
    pub(super) recovered: bool,
    #[serde(default)]
    #[prost(message, repeated, tag = "7")]
    pub(super) publications: Vec<Publication>,
}

#[derive(Clone, PartialEq, Deserialize, Message)]
pub(super) struct Publication {
    #[serde(default)]
    #[prost(uint64, tag = "6")]
    pub(super) offset: u64,
}

#[derive(Clone, PartialEq, Deserialize, Message)]
pub(super) struct Push {
    #[prost(message, optional, tag = "4")]
    pub(super) r#pub: Option<Publication>,
    #[prost(message, optional, tag = "7")]
    pub(super) unsubscribe: Option<Unsubscribe>,
}

#[derive(Clone, PartialEq, Deserialize, Message)]
pub(super) struct Unsubscribe {
    #[prost(uint32, tag = "2")]
    pub(super) code: u32,
    #[serde(default)]
    #[prost(string, tag = "3")]
    pub(super) reason: String,
}

/// The messages of a binary frame, up to one that cannot be read.
pub(super) fn messages(mut frame: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = prost::decode_length_delimiter(&mut frame).ok()?;
        let (message, rest) = frame.split_at_checked(length)?;
        frame = rest;
        Some(message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_of_both_forms_is_the_same() {
        let publication = schema::Publication { offset: 7, data: b"1".to_vec(), ..schema::Publication::default() };
        let subscribe = schema::SubscribeResult {
            offset: 5,
            epoch: "e".to_owned(),
            recovered: true,
            publications: vec![publication.clone()],
            ..schema::SubscribeResult::default()
        };
        let push = schema::Push {
            channel: "c".to_owned(),
            r#pub: Some(publication.into()),
            unsubscribe: Some(schema::Unsubscribe { code: 2500, reason: "r".to_owned() }),
            ..schema::Push::default()
        };
        let error = schema::Error { code: 103, message: "no".to_owned(), temporary: false };
        let replies = [
            schema::Reply { id: 2, subscribe: Some(subscribe.into()), ..schema::Reply::default() },
            schema::Reply { push: Some(push.into()), ..schema::Reply::default() },
            schema::Reply { id: 3, error: Some(error), ..schema::Reply::default() },
        ];
        let frame: Vec<u8> = replies.iter().flat_map(Message::encode_length_delimited_to_vec).collect();
        let read: Vec<Reply> = messages(&frame).map(|message| Reply::decode(message).unwrap()).collect();
        let json = [
            r#"{"id":2,"subscribe":{"epoch":"e","publications":[{"data":1,"offset":7}],"recovered":true,"offset":5}}"#,
            r#"{"push":{"channel":"c","pub":{"data":1,"offset":7},"unsubscribe":{"code":2500,"reason":"r"}}}"#,
            r#"{"id":3,"error":{"code":103,"message":"no"}}"#,
        ];
        assert_eq!(read, json.map(|line| serde_json::from_str(line).unwrap()));
        assert_eq!(messages(&frame[..frame.len() - 1]).count(), 2);
        assert_eq!(messages(&[0]).collect::<Vec<_>>(), [b""]);
    }
}
