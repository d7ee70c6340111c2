//! Why a session joins a channel.

use super::auth::Grant;
use super::command::Seen;

/// What it was that wanted it: how it is told.
#[derive(Debug)]
pub(super) enum Wish {
    /// A subscribe command.
    Subscribe { id: u32, recover: Option<Seen>, rejects_unrecovered: bool, grant: Option<Box<Grant>> },
    /// The personal channel of a Centrifuge session; told with the reply to its connect.
    Personal { recover: Option<Seen> },
    /// The inbox of a plain session; told with its greeting.
    Greeting,
}

impl Wish {
    pub(super) fn recover(&self) -> Option<&Seen> {
        match self {
            Self::Subscribe { recover, .. } | Self::Personal { recover } => recover.as_ref(),
            Self::Greeting => None,
        }
    }

    pub(super) fn grant(&self) -> Option<&Grant> {
        if let Self::Subscribe { grant, .. } = self { grant.as_deref() } else { None }
    }
}
