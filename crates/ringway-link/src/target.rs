//! Where a dial goes, and why it made no link.

use std::fmt;
use std::io;
use std::sync::Arc;

use ringway_core::id::{Incarnation, MemberId};
use ringway_protocol::link::{Identity, Purpose};

use crate::handshake::HandshakeError;

/// Where to dial, and whom that should reach.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// `host:port`.
    pub address: Arc<str>,
    /// Who should answer. `None`: whoever does.
    pub member: Option<(MemberId, Incarnation)>,
}

impl Target {
    /// Whoever answers there.
    pub fn anyone(address: impl Into<Arc<str>>) -> Self {
        Self { address: address.into(), member: None }
    }

    /// This incarnation and no other.
    pub fn member(address: impl Into<Arc<str>>, id: MemberId, incarnation: Incarnation) -> Self {
        Self { address: address.into(), member: Some((id, incarnation)) }
    }

    /// The incarnation that should answer.
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.member.as_ref().map(|(_, incarnation)| *incarnation)
    }

    pub(crate) fn purpose(&self) -> Purpose {
        self.incarnation().map_or(Purpose::Link, Purpose::LinkWith)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.member {
            None => f.write_str(&self.address),
            Some((id, _)) => write!(f, "{id} at {}", self.address),
        }
    }
}

/// Why a dial made no link.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The host answered that nothing listens there. Evidence that the process is gone, if the address is right.
    #[error("connection refused: nothing listens there")]
    Refused,
    /// The host could not be reached. Says nothing of the process.
    #[error("cannot be reached: {0}")]
    Unreachable(io::Error),
    /// Nobody knows the host's name. Says nothing of the process.
    #[error("its name is not known here ({0})")]
    UnknownName(io::Error),
    /// Connected, but the two did not come together.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// A member of another cluster has proved that it lives there now.
    #[error("{} answered, which belongs to another cluster", .0.id)]
    OtherCluster(Box<Identity>),
    /// Another member, or another incarnation, has proved that it lives there now.
    #[error("{} answered there, and not the life that was dialed", .0.id)]
    Other(Box<Identity>),
}
