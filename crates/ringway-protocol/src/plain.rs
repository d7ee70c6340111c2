//! The plain protocol: what a person can type into `websocat`, and what the page of the seed system reads.
//!
//! A client sends `@bob:hello` or `@bob hello`. The server sends JSON objects that all have the same six fields; which
//! of them mean something depends on `type`, the others are `null`.

use ringway_core::UserName;

mod inbox;
mod message;

pub use inbox::InboxMessage;
pub use message::{Body, Owner, encode, say};

/// What a client is told when it wrote something that is not a message.
pub const HELP: &str = "not sent: write @user:text or @user text, as in @bob:hello. A user name has 1 to 128 bytes \
    and no space, control character, ':', '#', ',' or '/'; the text is not empty.";

/// What a client is told when its message was not acknowledged in time.
pub const NOT_ACKNOWLEDGED: &str =
    "perhaps not sent: the cluster did not acknowledge the message in time. Wait a moment and send it again.";

/// What a client wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbound<'a> {
    /// A message to a user.
    To {
        /// Whose inbox it goes to.
        user: UserName,
        /// The text, exactly as written after the separator; never empty.
        content: &'a str,
    },
    /// Anything else; answered with [`HELP`].
    Help,
}

/// Reads a text frame of a client. The first colon or space ends the user's name and is no part of the content, which
/// may hold anything. A message without content is not a message.
pub fn parse(text: &str) -> Inbound<'_> {
    let split = text.strip_prefix('@').and_then(|rest| rest.split_once([':', ' ']));
    match split.map(|(user, content)| (UserName::new(user), content)) {
        Some((Ok(user), content)) if !content.is_empty() => Inbound::To { user, content },
        _ => Inbound::Help,
    }
}

#[cfg(test)]
mod tests;
