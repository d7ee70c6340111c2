//! What the server sends to plain clients.

use ringway_core::message::Entry;

use super::InboxMessage;
use crate::dialect::Saying;
use crate::json::{Object, whole};

/// The node that owns the user's inbox, as the client is shown it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner<'a> {
    /// The member's id.
    pub id: &'a str,
    /// The port where members reach it.
    pub port: u16,
}

/// The meanings of a server message; its number is the `type` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    /// Type 1, first on every connection: who owns the user, and how many users that node owns.
    Connected {
        /// The user's owner; `None` while the slot has none.
        owner: Option<Owner<'a>>,
        /// Connected users of the owner.
        users: u64,
    },
    /// Type 2: the server closes soon, the client connects again.
    Reconnect,
    /// Type 3: a message from the user's inbox.
    Message {
        /// The text.
        content: &'a str,
        /// Who wrote it, if that is known.
        from: Option<&'a str>,
    },
    /// Type 4, every few seconds: as type 1.
    Server {
        /// The user's owner; `None` while the slot has none.
        owner: Option<Owner<'a>>,
        /// Connected users of the owner.
        users: u64,
    },
    /// Type 5: something the client sent did not go well; the text says what and what to do.
    Problem(&'a str),
}

impl<'a> Body<'a> {
    fn number(&self) -> u64 {
        match self {
            Self::Connected { .. } => 1,
            Self::Reconnect => 2,
            Self::Message { .. } => 3,
            Self::Server { .. } => 4,
            Self::Problem(_) => 5,
        }
    }

    fn content(&self) -> Option<&'a str> {
        match self {
            Self::Connected { .. } => Some("connected"),
            Self::Reconnect => Some("please reconnect"),
            Self::Message { content: text, .. } | Self::Problem(text) => Some(text),
            Self::Server { .. } => None,
        }
    }

    fn from(&self) -> Option<&'a str> {
        match self {
            Self::Message { from, .. } => *from,
            _ => None,
        }
    }

    fn owner(&self) -> Option<Owner<'a>> {
        match self {
            Self::Connected { owner, .. } | Self::Server { owner, .. } => *owner,
            _ => None,
        }
    }

    fn users(&self) -> Option<u64> {
        match self {
            Self::Connected { users, .. } | Self::Server { users, .. } => Some(*users),
            _ => None,
        }
    }
}

/// Appends a saying; whether the protocol has words for it. A publication is a message of the user's inbox.
pub fn say<'c>(out: &mut Vec<u8>, saying: &Saying<'_>, date_time: impl FnOnce() -> &'c str) -> bool {
    match saying {
        Saying::Publication(told) => message(out, told.entry, date_time()),
        Saying::Plain(body) => encode(out, date_time(), body),
        Saying::Reply(..) | Saying::Push(_) | Saying::Ping => return false,
    }
    true
}

fn message(out: &mut Vec<u8>, entry: &Entry, date_time: &str) {
    let message = InboxMessage::decode(entry.data());
    // What a client publishes says who published it; its payload may claim anything.
    let publisher = entry.publisher().map(|publisher| publisher.user);
    let from = message.from.as_deref().filter(|from| publisher.is_none_or(|publisher| publisher == *from));
    encode(out, date_time, &Body::Message { content: &message.content, from });
}

/// Appends a server message. `date_time` is the present as `YYYY-MM-DD HH:MM:SS`.
pub fn encode(out: &mut Vec<u8>, date_time: &str, body: &Body<'_>) {
    whole(out, |o| {
        o.always_number("type", body.number());
        text_or_null(o, "content", body.content());
        owner_or_null(o, body.owner());
        match body.users() {
            Some(users) => o.always_number("userCount", users),
            None => o.null("userCount"),
        }
        o.always_text("dateTime", date_time);
        text_or_null(o, "from", body.from());
    });
}

fn text_or_null(o: &mut Object<'_>, name: &'static str, text: Option<&str>) {
    match text {
        Some(text) => o.always_text(name, text),
        None => o.null(name),
    }
}

/// The brackets are the seed's: its page looks for them and cuts at the colon. Member ids need no escape.
fn owner_or_null(o: &mut Object<'_>, owner: Option<Owner<'_>>) {
    match owner {
        Some(Owner { id, port }) => {
            let out = o.key("ip");
            out.extend_from_slice("\"『".as_bytes());
            out.extend_from_slice(id.as_bytes());
            out.push(b':');
            crate::json::number(out, port.into());
            out.extend_from_slice("』\"".as_bytes());
        }
        None => o.null("ip"),
    }
}
