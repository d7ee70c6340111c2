//! How a plain message is kept in the inbox `#<user>`, which both client protocols share.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::json::fields::{Strict, optional_text};
use crate::json::whole;

/// A message as it is kept in an inbox, and as a plain client is shown what it finds there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxMessage<'a> {
    /// The text.
    pub content: Cow<'a, str>,
    /// Who wrote it, if that is known.
    pub from: Option<Cow<'a, str>>,
}

/// Exactly the two fields: an object with more is another application's and is shown whole.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<'a> {
    #[serde(borrow, deserialize_with = "optional_text")]
    content: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "optional_text")]
    from: Option<Cow<'a, str>>,
}

impl<'a> InboxMessage<'a> {
    /// Appends the payload of the publication: `{"content":"hello","from":"ann"}`, `from` perhaps `null`.
    pub fn encode(out: &mut Vec<u8>, content: &str, from: Option<&str>) {
        whole(out, |o| {
            o.always_text("content", content);
            match from {
                Some(user) => o.always_text("from", user),
                None => o.null("from"),
            }
        });
    }

    /// Reads a publication of an inbox. One that [`InboxMessage::encode`] could have written is that message; any other
    /// payload, which a Centrifuge client or the server API published, is shown as its text; what is no text, as its Base64.
    pub fn decode(data: &'a [u8]) -> Self {
        match serde_json::from_slice(data) {
            Ok(Strict(Stored { content: Some(content), from })) => Self { content, from },
            _ => Self { content: shown(data), from: None },
        }
    }
}

fn shown(data: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(data).map_or_else(|_| STANDARD.encode(data).into(), Cow::Borrowed)
}
