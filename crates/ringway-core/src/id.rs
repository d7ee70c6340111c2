//! Names and numbers that everything else refers to. Each is validated once, where it enters, and trusted after.

use std::fmt;
use std::sync::Arc;

use crate::limits::{ANY_USER_NAME_BYTES, CHANNEL_NAME_BYTES, MEMBER_ID_BYTES, USER_NAME_BYTES};

/// Why a name was refused. Nothing was stored under it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name has no characters.
    #[error("the name is empty")]
    Empty,
    /// The name is longer than `limit` bytes.
    #[error("the name has {length} bytes, the limit is {limit}")]
    TooLong {
        /// Bytes in the refused name.
        length: usize,
        /// Bytes that are allowed.
        limit: usize,
    },
    /// The name holds a character that has a meaning of its own.
    #[error("the name holds {0:?}, which is not allowed here")]
    Forbidden(char),
}

fn check_length(name: &str, limit: usize) -> Result<(), NameError> {
    match name.len() {
        0 => Err(NameError::Empty),
        length if length > limit => Err(NameError::TooLong { length, limit }),
        _ => Ok(()),
    }
}

/// The stable name of a member: it survives restarts, unlike its [`Incarnation`]. 1 to 64 bytes of `a-z A-Z 0-9 - _ .`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(Arc<str>);

impl MemberId {
    /// Checks and takes the name.
    ///
    /// # Errors
    /// [`NameError`] if it is empty, too long, or holds anything but letters, digits, `-`, `_` and `.`.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check_length(name, MEMBER_ID_BYTES)?;
        match name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))) {
            Some(c) => Err(NameError::Forbidden(c)),
            None => Ok(Self(name.into())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which cluster: a hash of the key that was drawn when it was born. Members say it to one another before they trust each
/// other, so it tells nothing of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Birth(pub u64);

impl fmt::Display for Birth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One life of a member's process. Drawn at random at each start and after each removal; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Number of a view. Grows by one with each write of the registry, from 1; 0 means "no view yet".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch of the next write.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One of the equal arcs of the ring, the unit of ownership. Below the number of slots that the cluster was born with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

impl Slot {
    /// The slot as an index into a table with one entry per slot.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The full name of a channel, 1 to 255 bytes of text without control characters. Cloning shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName(Arc<str>);

impl ChannelName {
    /// Checks and takes the name.
    ///
    /// # Errors
    /// [`NameError`] if it is empty, too long, or holds a control character.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check_length(name, CHANNEL_NAME_BYTES)?;
        match name.chars().find(|c| c.is_control()) {
            Some(c) => Err(NameError::Forbidden(c)),
            None => Ok(Self(name.into())),
        }
    }

    /// The personal channel of a user: `#<user>`, the user's inbox.
    pub fn personal(user: &UserName) -> Self {
        Self(format!("#{}", user.as_str()).into())
    }

    /// The user whose inbox this is, if it is a personal channel. `#1,2` is a channel limited to some users, not an inbox.
    pub fn personal_user(&self) -> Option<UserName> {
        UserName::new(self.0.strip_prefix('#')?).ok()
    }

    /// Which channels it is kept like: `#` for personal ones, the namespace (the part before the first `:`, without a `$` in front, which
    /// asks for a token), or nothing where there is none.
    pub fn kind(&self) -> &str {
        let name = self.as_str();
        if name.starts_with('#') {
            return "#";
        }
        name.strip_prefix('$').unwrap_or(name).split_once(':').map_or("", |(namespace, _)| namespace)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a user, 1 to 255 bytes. One that is made of 1 to 128 bytes and has no white space, control character, `:`, `#`, `,` or `/`
/// has an inbox. Cloning shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(Arc<str>);

impl UserName {
    /// Checks and takes the name of a user with an inbox.
    ///
    /// # Errors
    /// [`NameError`] if it is empty, too long, or holds white space, a control character, `:`, `#`, `,` or `/`.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check_length(name, USER_NAME_BYTES)?;
        let forbidden = |c: &char| c.is_whitespace() || c.is_control() || matches!(c, ':' | '#' | ',' | '/');
        match name.chars().find(forbidden) {
            Some(c) => Err(NameError::Forbidden(c)),
            None => Ok(Self(name.into())),
        }
    }

    /// Takes any name, as others give them to their users (`tenant:42`, `urn:uuid:…`, `Ann Lee`).
    ///
    /// # Errors
    /// [`NameError`] if it is empty, or too long.
    pub fn any(name: &str) -> Result<Self, NameError> {
        check_length(name, ANY_USER_NAME_BYTES)?;
        Ok(Self(name.into()))
    }

    /// The user's personal channel, if it has one.
    pub fn inbox(&self) -> Option<ChannelName> {
        Self::new(&self.0).ok().map(|user| ChannelName::personal(&user))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one life of a stream: eight random letters. Offsets compare only within one stream epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamEpoch([u8; 8]);

impl StreamEpoch {
    /// Eight letters spelled from a random number.
    pub fn from_random(mut random: u64) -> Self {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnopqrstuvwxyzABCDEFG";
        Self(std::array::from_fn(|_| {
            let letter = LETTERS[(random % 32) as usize];
            random /= 32;
            letter
        }))
    }

    /// Reads the eight letters back. `None` if the text is not one of ours; such an epoch matches no stream.
    pub fn parse(text: &str) -> Option<Self> {
        let letters: [u8; 8] = text.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_alphabetic).then_some(Self(letters))
    }

    /// The eight letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("made of ASCII letters alone")
    }
}

impl fmt::Display for StreamEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for StreamEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in a stream: everything up to and including `offset` has been seen. Offset 0 is before the first publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// The life of the stream that the offset counts in.
    pub epoch: StreamEpoch,
    /// Offset of the last publication seen.
    pub offset: u64,
}

#[cfg(test)]
mod tests;
