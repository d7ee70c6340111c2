//! How a link begins, in bytes.
//!
//! ```text
//! dialer                                            acceptor
//!   preamble, Hello(nonce, identity, purpose)  ──▶
//!                                              ◀──  preamble, Hello(nonce, identity)      or Refused
//!   Proof(over both hellos)                    ──▶
//!                                              ◀──  Proof(over both hellos)               or Refused
//!   the judge of the pair, either end: Go(number), and the link carries frames
//! ```
//!
//! The preamble is the same in every version from 3 on, so that ends of different versions can tell each other which they
//! speak; both use the highest that they have in common. Before version 3 it named a single version, in its first ten bytes.
//! Computing and checking proofs is the link's work; here they are 32 bytes.

use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use ringway_core::id::{Birth, Incarnation, MemberId};

use super::input::Input;
use super::wire::{Out, Wire, wire_enum, wire_struct};
use super::{FrameError, FrameTooLong, append, parse};

/// Versions of the link protocol that an end speaks, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The oldest.
    pub lowest: u16,
    /// The newest.
    pub highest: u16,
}

impl Versions {
    /// Those of this release. The highest is raised by every change of a message, the lowest when an old version is given up. The
    /// stand-in for a later release has one more.
    pub const OURS: Self = Self { lowest: FIRST_RANGED, highest: 3 + cfg!(feature = "next") as u16 };

    /// The highest version that both speak; `None`: they cannot talk.
    pub fn common(self, other: Self) -> Option<u16> {
        let (lowest, highest) = (self.lowest.max(other.lowest), self.highest.min(other.highest));
        (lowest <= highest).then_some(highest)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.lowest, self.highest) {
            (lowest, highest) if lowest == highest => write!(f, "version {lowest}"),
            (lowest, highest) => write!(f, "versions {lowest} to {highest}"),
        }
    }
}

/// First bytes of each direction: they tell a link from anything else that may knock on the port.
const MAGIC: &[u8; 8] = b"ringway\0";

/// The first version whose preamble names a range. What names an older one ends with that.
const FIRST_RANGED: u16 = 3;

/// Bytes of the preamble: the magic word, the lowest and the highest version.
pub const PREAMBLE_BYTES: usize = PREAMBLE_HEAD_BYTES + 2;

/// Bytes of the preamble that are there whatever the version: to be read first.
pub const PREAMBLE_HEAD_BYTES: usize = MAGIC.len() + 2;

/// Longest message of the handshake in bytes: two addresses of a host name's length (253), an id and a cluster name
/// fit many times. A longer one ends the handshake; this is all that a stranger can make us buffer.
pub const MAX_HANDSHAKE_BYTES: usize = 4 * 1024;

/// The first bytes were not a preamble: whatever is at the other end, it is no Ringway member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other end does not speak the link protocol")]
pub struct NotALink;

/// The preamble of an end that speaks these versions.
pub fn preamble(versions: Versions) -> [u8; PREAMBLE_BYTES] {
    let mut preamble = [0; PREAMBLE_BYTES];
    let (magic, numbers) = preamble.split_at_mut(MAGIC.len());
    magic.copy_from_slice(MAGIC);
    let (lowest, highest) = numbers.split_at_mut(2);
    lowest.copy_from_slice(&versions.lowest.to_le_bytes());
    highest.copy_from_slice(&versions.highest.to_le_bytes());
    preamble
}

/// What the first bytes of a preamble say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreambleHead {
    /// The lowest version of a range, whose highest follows in two bytes, little-endian.
    Lowest(u16),
    /// The only version of an end from before there were ranges. Nothing of the preamble follows.
    Only(u16),
}

/// The version in the head of the other end's preamble.
///
/// # Errors
/// [`NotALink`] if it does not begin with the magic word.
pub fn read_preamble_head(head: &[u8; PREAMBLE_HEAD_BYTES]) -> Result<PreambleHead, NotALink> {
    match head.strip_prefix(MAGIC) {
        Some(&[low, high]) => Ok(match u16::from_le_bytes([low, high]) {
            version if version < FIRST_RANGED => PreambleHead::Only(version),
            lowest => PreambleHead::Lowest(lowest),
        }),
        _ => Err(NotALink),
    }
}

/// What a member does in the cluster. It may do both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Roles {
    /// Holds client sockets.
    pub gateway: bool,
    /// Owns slots.
    pub node: bool,
}

/// Who a member is. Each end tells it in its hello, and the proofs cover it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Stable name.
    pub id: MemberId,
    /// This life of the process.
    pub incarnation: Incarnation,
    /// What it does.
    pub roles: Roles,
    /// Where members reach it, `host:port`.
    pub address: Arc<str>,
    /// Where clients reach it, `host:port`, if it is a gateway.
    pub client_address: Option<Arc<str>>,
    /// The registry is in its process: who wants to join asks it for the view.
    pub keeps_registry: bool,
    /// The cluster it belongs to; `None`: it has not been told of any yet.
    pub birth: Option<Birth>,
}

impl Identity {
    /// Both know which cluster they belong to, and it is not the same one: there is nothing that they could say to each other.
    pub fn is_of_another_cluster_than(&self, other: &Self) -> bool {
        matches!((self.birth, other.birth), (Some(mine), Some(theirs)) if mine != theirs)
    }
}

/// What the dialer wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A link with whoever answers.
    Link,
    /// A link with this incarnation. Another one proves who it is and closes.
    LinkWith(Incarnation),
    /// To know who is there. The acceptor proves who it is and closes.
    Probe,
}

/// First message of each end.
#[derive(Clone, PartialEq, Eq)]
pub struct Hello {
    /// Drawn for this handshake alone, so that no proof can be used again.
    pub nonce: [u8; 32],
    /// Name of the cluster; both ends must have the same.
    pub cluster: Box<str>,
    /// Who says hello.
    pub identity: Identity,
    /// What the dialer wants; the acceptor repeats it.
    pub purpose: Purpose,
}

impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hello {{ {}/{}, {:?} }}", self.identity.id, self.identity.incarnation, self.purpose)
    }
}

/// Messages of the handshake, after the preambles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handshake {
    /// Each end, first.
    Hello(Box<Hello>),
    /// Each end, the dialer first: HMAC-SHA-256 over both hellos with the join secret.
    Proof([u8; 32]),
    /// The judge of the pair → the other end: this connection is the link now. Numbers grow; a link with a greater
    /// one takes the place of one with a smaller one.
    Go(u64),
    /// Either end, last.
    Refused(Rejection),
}

/// Why an end refuses the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// The proof is not one that the join secret makes.
    WrongSecret,
    /// The hello names another cluster.
    OtherCluster,
    /// The dialer has dialed itself.
    Myself,
    /// The pair has a link already.
    Linked,
    /// A reason that only later versions know.
    Unknown,
}

wire_struct!(closed Roles { gateway, node });
wire_struct!(open Identity { id, incarnation, roles, address, client_address, keeps_registry, birth });
wire_enum!(closed Purpose { 0 => Link, 1 => LinkWith(incarnation), 2 => Probe });
wire_struct!(last Hello { nonce, cluster, identity, purpose });
wire_enum!(closed Rejection { 0 => WrongSecret, 1 => OtherCluster, 2 => Myself, 3 => Linked, else Unknown });
wire_enum!(last Handshake {
    0 => Hello([hello]),
    1 => Proof(proof),
    2 => Go(number),
    3 => Refused(why),
});

/// Appends a message of the handshake to `out`, after its length.
///
/// # Errors
/// [`FrameTooLong`] if an address or the cluster's name is longer than any real one; `out` is then as it was.
pub fn encode_handshake(message: &Handshake, out: &mut BytesMut) -> Result<usize, FrameTooLong> {
    append(message, MAX_HANDSHAKE_BYTES, &mut Out::plain(out))
}

/// Reads a message of the handshake from its bytes, the length not included.
///
/// # Errors
/// [`FrameError`]; the connection is of no further use.
pub fn decode_handshake(body: &[u8]) -> Result<Handshake, FrameError> {
    parse(body)
}
