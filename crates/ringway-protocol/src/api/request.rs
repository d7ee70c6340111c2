//! What backends ask. Strings and payloads borrow from the body wherever it holds them as they are.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::ApiError;
use crate::centrifuge::{Disconnect, Since};
use crate::json::fields::{nullable, object, payload, text};

/// Publishes to one channel, or with `/api/broadcast` the same to several.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PublishRequest<'a> {
    /// The channel of `/api/publish`.
    #[serde(borrow, deserialize_with = "text")]
    pub channel: Cow<'a, str>,
    /// The channels of `/api/broadcast`.
    #[serde(deserialize_with = "nullable")]
    pub channels: Vec<String>,
    /// The payload as JSON; see [`PublishRequest::payload`].
    #[serde(borrow, deserialize_with = "payload")]
    pub data: Option<Cow<'a, [u8]>>,
    /// The payload in Base64, instead of `data`.
    #[serde(borrow, deserialize_with = "text")]
    pub b64data: Cow<'a, str>,
    /// Sends to subscribers without keeping the publication.
    #[serde(deserialize_with = "nullable")]
    pub skip_history: bool,
    /// Key-value pairs that go along with the payload.
    #[serde(deserialize_with = "nullable")]
    pub tags: BTreeMap<String, String>,
    /// A publish that repeats a channel's recent key is answered as the first one and not delivered; empty for none.
    #[serde(borrow, deserialize_with = "text")]
    pub idempotency_key: Cow<'a, str>,
    /// Asks for delta compression, where subscribers and channel have it.
    #[serde(deserialize_with = "nullable")]
    pub delta: bool,
    /// Version of the state that the payload describes; an older one than the last is not delivered. 0 for none.
    #[serde(deserialize_with = "nullable")]
    pub version: u64,
    /// What `version` counts in; empty for none.
    #[serde(borrow, deserialize_with = "text")]
    pub version_epoch: Cow<'a, str>,
}

impl PublishRequest<'_> {
    /// The payload, compact, from whichever field holds it (`b64data` first). It must be JSON, as all clients read JSON.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] if there is none, the Base64 is invalid, or its content is not one JSON document.
    pub fn payload(&self) -> Result<Cow<'_, [u8]>, ApiError> {
        document(self.data.as_deref(), &self.b64data)?.ok_or(ApiError::BadRequest)
    }
}

/// JSON from whichever field holds it, in Base64 first.
fn document<'a>(plain: Option<&'a [u8]>, encoded: &str) -> Result<Option<Cow<'a, [u8]>>, ApiError> {
    if encoded.is_empty() {
        return Ok(plain.map(Cow::Borrowed));
    }
    let decoded = STANDARD.decode(encoded.as_bytes()).map_err(|_| ApiError::BadRequest)?;
    let compact = crate::json::payload(&decoded).map_err(|_| ApiError::BadRequest)?;
    Ok(Some(Cow::Owned(compact.into_owned())))
}

/// Asks about one channel.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ChannelRequest<'a> {
    /// The channel's full name.
    #[serde(borrow, deserialize_with = "text")]
    pub channel: Cow<'a, str>,
}

/// Asks which channels have subscribers.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ChannelsRequest<'a> {
    /// Only channels that match this glob; empty for all.
    #[serde(borrow, deserialize_with = "text")]
    pub pattern: Cow<'a, str>,
}

/// Asks about the cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct InfoRequest {}

/// Calls what a server was extended by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RpcRequest<'a> {
    /// Its name.
    #[serde(borrow, deserialize_with = "text")]
    pub method: Cow<'a, str>,
}

/// Closes a user's connections.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct DisconnectRequest<'a> {
    /// Whose; empty for anonymous clients.
    #[serde(borrow, deserialize_with = "text")]
    pub user: Cow<'a, str>,
    /// Only the connection with this id; empty for all.
    #[serde(borrow, deserialize_with = "text")]
    pub client: Cow<'a, str>,
    /// Only the connection with this session; empty for all.
    #[serde(borrow, deserialize_with = "text")]
    pub session: Cow<'a, str>,
    /// Ids of connections that stay.
    #[serde(deserialize_with = "nullable")]
    pub whitelist: Vec<String>,
    /// Another code and reason than the usual; see [`DisconnectRequest::close`].
    #[serde(borrow, deserialize_with = "object")]
    pub disconnect: Option<CloseRequest<'a>>,
}

/// Subscribes a user's connections to a channel.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SubscribeRequest<'a> {
    /// Whose; empty for anonymous clients.
    #[serde(borrow, deserialize_with = "text")]
    pub user: Cow<'a, str>,
    /// To what.
    #[serde(borrow, deserialize_with = "text")]
    pub channel: Cow<'a, str>,
    /// Only the connection with this id; empty for all.
    #[serde(borrow, deserialize_with = "text")]
    pub client: Cow<'a, str>,
    /// Only the connection with this session; empty for all.
    #[serde(borrow, deserialize_with = "text")]
    pub session: Cow<'a, str>,
    /// JSON that others in the channel see beside the user.
    #[serde(borrow, deserialize_with = "payload")]
    pub info: Option<Cow<'a, [u8]>>,
    /// The same in Base64.
    #[serde(borrow, deserialize_with = "text")]
    pub b64info: Cow<'a, str>,
    /// JSON for the client.
    #[serde(borrow, deserialize_with = "payload")]
    pub data: Option<Cow<'a, [u8]>>,
    /// The same in Base64.
    #[serde(borrow, deserialize_with = "text")]
    pub b64data: Cow<'a, str>,
    /// The place behind which it begins.
    #[serde(borrow, deserialize_with = "object")]
    pub recover_since: Option<Since<'a>>,
    /// What is other for these connections than for the rest of the channel.
    #[serde(rename = "override", deserialize_with = "object")]
    pub overrides: Option<Overrides>,
    /// When it ends, in seconds of Unix time; 0 for never.
    #[serde(deserialize_with = "nullable")]
    pub expire_at: i64,
}

/// Settings of a channel; what is absent is as for others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Overrides {
    /// They are listed among those present.
    #[serde(deserialize_with = "object")]
    pub presence: Option<Switch>,
    /// Others are told that they come and go.
    #[serde(deserialize_with = "object")]
    pub join_leave: Option<Switch>,
    /// They are told who comes and goes.
    #[serde(deserialize_with = "object")]
    pub force_push_join_leave: Option<Switch>,
    /// They have a position.
    #[serde(deserialize_with = "object")]
    pub force_positioning: Option<Switch>,
    /// They get what they have missed.
    #[serde(deserialize_with = "object")]
    pub force_recovery: Option<Switch>,
}

/// On or off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Switch {
    /// On.
    #[serde(deserialize_with = "nullable")]
    pub value: bool,
}

impl SubscribeRequest<'_> {
    /// What others see, compact.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] if it is not JSON in Base64.
    pub fn info(&self) -> Result<Option<Cow<'_, [u8]>>, ApiError> {
        document(self.info.as_deref(), &self.b64info)
    }

    /// What the client gets, compact.
    ///
    /// # Errors
    /// The same.
    pub fn data(&self) -> Result<Option<Cow<'_, [u8]>>, ApiError> {
        document(self.data.as_deref(), &self.b64data)
    }
}

/// Ends subscriptions of a user's connections.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct UnsubscribeRequest<'a> {
    /// Whose; empty for anonymous clients.
    #[serde(borrow, deserialize_with = "text")]
    pub user: Cow<'a, str>,
    /// From what; empty for all channels.
    #[serde(borrow, deserialize_with = "text")]
    pub channel: Cow<'a, str>,
    /// Only the connection with this id; empty for all.
    #[serde(borrow, deserialize_with = "text")]
    pub client: Cow<'a, str>,
    /// Only the connection with this session; empty for all.
    #[serde(borrow, deserialize_with = "text")]
    pub session: Cow<'a, str>,
}

/// Says until when a user's connections may stay.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RefreshRequest<'a> {
    /// Whose; empty for anonymous clients.
    #[serde(borrow, deserialize_with = "text")]
    pub user: Cow<'a, str>,
    /// Only the connection with this id; empty for all.
    #[serde(borrow, deserialize_with = "text")]
    pub client: Cow<'a, str>,
    /// Only the connection with this session; empty for all.
    #[serde(borrow, deserialize_with = "text")]
    pub session: Cow<'a, str>,
    /// They may stay no longer.
    #[serde(deserialize_with = "nullable")]
    pub expired: bool,
    /// Until when, in seconds of Unix time; 0 for ever.
    #[serde(deserialize_with = "nullable")]
    pub expire_at: i64,
    /// JSON that others see beside the user from now on.
    #[serde(borrow, deserialize_with = "payload")]
    pub info: Option<Cow<'a, [u8]>>,
}

/// The close frame that a backend wishes for.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct CloseRequest<'a> {
    /// 3000 to 4999.
    #[serde(deserialize_with = "nullable")]
    pub code: u32,
    /// At most 123 bytes, not JSON.
    #[serde(borrow, deserialize_with = "text")]
    pub reason: Cow<'a, str>,
}

/// A close frame has room for 125 bytes, two of which are the code (RFC 6455, section 5.5). A longer reason is refused.
const REASON_BYTES: usize = 123;

impl DisconnectRequest<'_> {
    /// Code and reason of the close frames: what was asked for, else "force disconnect". The reason is never empty.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] if the code is not 3000 to 4999, or the reason is too long or JSON, which SDKs would
    /// take for orders.
    pub fn close(&self) -> Result<(u16, &str), ApiError> {
        let usual = Disconnect::ForceDisconnect;
        let Some(CloseRequest { code, reason }) = &self.disconnect else { return Ok((usual.code(), usual.reason())) };
        let code = u16::try_from(*code).ok().filter(|code| (3000..5000).contains(code)).ok_or(ApiError::BadRequest)?;
        let is_json = || crate::json::payload(reason.as_bytes()).is_ok();
        match reason.len() {
            0 => Ok((code, usual.reason())),
            1..=REASON_BYTES if !is_json() => Ok((code, reason)),
            _ => Err(ApiError::BadRequest),
        }
    }
}
