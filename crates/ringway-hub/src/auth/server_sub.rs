//! Subscriptions that the server makes for a connection, and what one subscriber gets other than the rest, as tokens say it.

use std::collections::BTreeMap;

use bytes::Bytes;
use ringway_core::ChannelName;
use ringway_core::limits::CHANNEL_INFO_BYTES;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::document;
use super::fault::TokenFault;

/// Channels that one token may name: as many as a session may listen to. A token with more is unfit.
const SERVER_SUBS: usize = 128;

/// A subscription that the server makes for a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSub {
    /// To what.
    pub channel: ChannelName,
    /// JSON that others in the channel see beside the user.
    pub info: Option<Bytes>,
    /// JSON for the subscriber.
    pub data: Option<Bytes>,
    /// What is other than the channel's rules.
    pub overrides: Overrides,
}

impl ServerSub {
    pub(super) fn size(&self) -> usize {
        let documents = [&self.info, &self.data].into_iter().flatten().map(Bytes::len).sum::<usize>();
        size_of::<Self>() + self.channel.as_str().len() + documents
    }
}

/// Settings of a channel for one subscriber alone; `None` is as the channel has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Overrides {
    /// The subscriber is listed among those present.
    #[serde(deserialize_with = "switch")]
    pub presence: Option<bool>,
    /// Others are told that the subscriber comes and goes.
    #[serde(deserialize_with = "switch")]
    pub join_leave: Option<bool>,
    /// The subscriber is told who comes and goes, without asking for it.
    #[serde(deserialize_with = "switch")]
    pub force_push_join_leave: Option<bool>,
    /// The subscriber has a position, without asking for one.
    #[serde(deserialize_with = "switch")]
    pub force_positioning: Option<bool>,
    /// The subscriber gets what it has missed, without asking for it.
    #[serde(deserialize_with = "switch")]
    pub force_recovery: Option<bool>,
}

impl Overrides {
    /// As members tell one another: two bits each, in the order of the fields from the lowest. The first says that there is a setting, the
    /// second which.
    pub fn to_bits(self) -> u64 {
        let Self { presence, join_leave, force_push_join_leave, force_positioning, force_recovery } = self;
        let all = [presence, join_leave, force_push_join_leave, force_positioning, force_recovery];
        let bits = |setting: Option<bool>| setting.map_or(0, |is_on| 1 | u64::from(is_on) << 1);
        all.into_iter().rev().fold(0, |sum, setting| sum << 2 | bits(setting))
    }

    /// Reads what [`Self::to_bits`] wrote, here or in a later release.
    pub fn from_bits(bits: u64) -> Self {
        let setting = |at: u32| (bits >> (2 * at) & 1 == 1).then_some(bits >> (2 * at + 1) & 1 == 1);
        Self {
            presence: setting(0),
            join_leave: setting(1),
            force_push_join_leave: setting(2),
            force_positioning: setting(3),
            force_recovery: setting(4),
        }
    }
}

/// Reads `{"value":true}`; without a value it is off.
fn switch<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    struct Switch {
        #[serde(default)]
        value: bool,
    }
    Ok(Option::<Switch>::deserialize(from)?.map(|switch| switch.value))
}

/// The claim `subs`.
pub(super) type Asked = BTreeMap<String, Option<SubClaims>>;

#[derive(Default, Deserialize)]
pub(super) struct SubClaims {
    info: Option<Box<RawValue>>,
    b64info: Option<String>,
    data: Option<Box<RawValue>>,
    b64data: Option<String>,
    #[serde(rename = "override")]
    overrides: Option<Overrides>,
}

/// What the claims ask for, each channel once, in the order of their names. As in the reference server, `channels` counts only where there
/// are no `subs`.
///
/// # Errors
/// There are too many, one is no channel, or has a document that is no JSON or too long.
pub(super) fn read(channels: Option<Vec<String>>, subs: Option<Asked>) -> Result<Vec<ServerSub>, TokenFault> {
    let plain = || channels.into_iter().flatten().map(|channel| (channel, None)).collect();
    let subs = subs.filter(|subs| !subs.is_empty()).unwrap_or_else(plain);
    if subs.len() > SERVER_SUBS {
        return Err(TokenFault::ServerSubs);
    }
    subs.into_iter().map(|(channel, claims)| claims.unwrap_or_default().read(&channel)).collect()
}

impl SubClaims {
    fn read(self, channel: &str) -> Result<ServerSub, TokenFault> {
        Ok(ServerSub {
            channel: ChannelName::new(channel).map_err(|_| TokenFault::ServerSubs)?,
            info: document(self.info.as_deref(), self.b64info.as_deref(), CHANNEL_INFO_BYTES)?,
            data: document(self.data.as_deref(), self.b64data.as_deref(), CHANNEL_INFO_BYTES)?,
            overrides: self.overrides.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(claims: &Value) -> Result<Vec<ServerSub>, TokenFault> {
        #[derive(Deserialize)]
        struct Claims {
            channels: Option<Vec<String>>,
            subs: Option<Asked>,
        }
        let claims: Claims = serde_json::from_str(&claims.to_string()).map_err(|_| TokenFault::Claims)?;
        super::read(claims.channels, claims.subs)
    }

    fn names(claims: &Value) -> Vec<String> {
        read(claims).unwrap().iter().map(|sub| sub.channel.to_string()).collect()
    }

    #[test]
    fn channels_are_named_once_and_subs_go_before_them() {
        assert_eq!(names(&json!({"channels": ["b", "a", "b"]})), ["a", "b"]);
        assert_eq!(names(&json!({"channels": ["b"], "subs": {"$x": {}, "a:1": null}})), ["$x", "a:1"]);
        assert_eq!(names(&json!({"channels": ["b"], "subs": {}})), ["b"]);
        assert!(names(&json!({"channels": null, "subs": null})).is_empty() && names(&json!({})).is_empty());
    }

    #[test]
    fn a_sub_says_what_is_seen_told_and_other() {
        let claims = json!({"subs": {"a": {
            "info": {"n": 1}, "b64data": "WzFd",
            "override": {"presence": {"value": true}, "join_leave": {}, "force_recovery": null, "other": 7},
        }}});
        let sub = ServerSub {
            channel: ChannelName::new("a").unwrap(),
            info: Some(Bytes::from_static(br#"{"n":1}"#)),
            data: Some(Bytes::from_static(b"[1]")),
            overrides: Overrides { presence: Some(true), join_leave: Some(false), ..Overrides::default() },
        };
        assert_eq!(read(&claims).unwrap(), [sub]);
    }

    #[test]
    fn what_is_no_subscription_is_a_fault() {
        let many: Vec<String> = (0..=SERVER_SUBS).map(|n| n.to_string()).collect();
        assert_eq!(read(&json!({"channels": many[1..]})).unwrap().len(), SERVER_SUBS);
        for (claims, fault) in [
            (json!({"channels": many}), TokenFault::ServerSubs),
            (json!({"channels": [""]}), TokenFault::ServerSubs),
            (json!({"channels": ["a\n"]}), TokenFault::ServerSubs),
            (json!({"subs": {"a".repeat(256): {}}}), TokenFault::ServerSubs),
            (json!({"subs": {"a": {"info": "x".repeat(CHANNEL_INFO_BYTES)}}}), TokenFault::Document),
            (json!({"subs": {"a": {"data": "x".repeat(CHANNEL_INFO_BYTES)}}}), TokenFault::Document),
            (json!({"subs": {"a": {"b64info": "%"}}}), TokenFault::Document),
            (json!({"subs": {"a": {"override": {"presence": true}}}}), TokenFault::Claims),
            (json!({"subs": ["a"]}), TokenFault::Claims),
            (json!({"channels": "a"}), TokenFault::Claims),
        ] {
            assert_eq!(read(&claims), Err(fault), "{claims}");
        }
    }

    #[test]
    fn overrides_are_told_in_bits() {
        for bits in 0..1 << 10 {
            // A setting that is not there is neither on nor off.
            let is_whole = (0..5).all(|at| bits >> (2 * at) & 3 != 2);
            assert_eq!(Overrides::from_bits(bits).to_bits() == bits, is_whole, "{bits:b}");
        }
        let one = Overrides { presence: Some(false), force_recovery: Some(true), ..Overrides::default() };
        assert_eq!(one.to_bits(), 0b11_00_00_00_01);
        assert_eq!(Overrides::from_bits(one.to_bits() | 1 << 40), one);
    }
}
