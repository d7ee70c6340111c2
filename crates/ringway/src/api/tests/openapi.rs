//! The document that programs read is held to what the code reads.

use ringway_protocol::api as shapes;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};

use super::super::methods::Method;
use super::super::openapi::Kind;
use super::*;

/// Fails with the names of the fields that a type reads.
struct FieldsOf;

impl<'de> Deserializer<'de> for FieldsOf {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom(fields.join(" ")))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn fields_of<T: Deserialize<'static>>() -> Vec<String> {
    let Err(names) = T::deserialize(FieldsOf) else { panic!("it reads nothing") };
    names.to_string().split_whitespace().map(str::to_owned).collect()
}

fn read_by(method: Method) -> Vec<String> {
    match method {
        Method::Publish | Method::Broadcast => fields_of::<shapes::PublishRequest<'_>>(),
        Method::Subscribe => fields_of::<shapes::SubscribeRequest<'_>>(),
        Method::Unsubscribe => fields_of::<shapes::UnsubscribeRequest<'_>>(),
        Method::Disconnect => fields_of::<shapes::DisconnectRequest<'_>>(),
        // It is read without the derived code.
        Method::History => ["channel", "limit", "since", "reverse"].map(str::to_owned).to_vec(),
        Method::HistoryRemove | Method::Presence | Method::PresenceStats => fields_of::<shapes::ChannelRequest<'_>>(),
        Method::Info => fields_of::<shapes::InfoRequest>(),
        Method::Rpc => fields_of::<shapes::RpcRequest<'_>>(),
        Method::Refresh => fields_of::<shapes::RefreshRequest<'_>>(),
        Method::Channels => fields_of::<shapes::ChannelsRequest<'_>>(),
    }
}

#[test]
fn what_is_documented_is_what_is_read() {
    for method in Method::ALL.iter().copied() {
        let mut documented: Vec<String> = method.request().iter().map(|(name, ..)| (*name).to_owned()).collect();
        let mut read = read_by(method);
        // One shape serves two methods: each documents its own way to name channels.
        let other = match method {
            Method::Publish => "channels",
            Method::Broadcast => "channel",
            _ => "",
        };
        read.retain(|name| name != other);
        documented.sort();
        read.sort();
        assert_eq!(documented, read, "{}", method.name());
    }
}

#[test]
fn fields_hold_what_is_documented() {
    for method in Method::ALL.iter().copied() {
        for (name, kind, _) in method.request() {
            let wrong = if kind == Kind::Text { json!(1) } else { json!("text") };
            let body = json!({name: wrong}).to_string();
            let is_refused = method.read(body.as_bytes()).is_err();
            assert_eq!(is_refused, kind != Kind::Json, "{} {body}", method.name());
        }
    }
}

#[tokio::test]
async fn every_route_is_documented() {
    let request = Request::get("/openapi.json").body(Body::empty()).unwrap();
    let (status, text) = exchange(config(), request, never).await;
    let document: Value = serde_json::from_str(&text).unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!((status, paths.len()), (StatusCode::OK, Method::ALL.len() + 1));
    for path in paths.keys() {
        let (status, _) = exchange(config(), post(path, "["), never).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path} is there, and reads its body");
    }
}
