//! What is told in lists, page by page: who is on a channel, which channels there are. A page goes on behind the last entry of
//! the one before it, in an order that does not depend on who comes and goes, so whoever is there all the time is told once.

use super::Presence;
use crate::id::{ChannelName, Epoch, Incarnation};

/// Of what a listing is. Pages of one listing are of one census; where the owner has another one by now, it refuses the next
/// page, for those who are missing in it may be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// Who has it.
    pub node: Incarnation,
    /// Of the members of a channel: when the reign over its slot began. Of channels: the view.
    pub epoch: Epoch,
    /// How often this node has let all go that it knew from a gateway, because that one is gone, or its link.
    pub losses: u64,
}

/// A page of who is on a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct PresenceQuery {
    /// Which channel.
    pub channel: ChannelName,
    /// Behind this client, in that census; `None`: from the first.
    pub after: Option<(u128, Census)>,
}

impl PresenceQuery {
    /// The first page.
    pub fn of(channel: ChannelName) -> Box<Self> {
        Box::new(Self { channel, after: None })
    }

    /// Goes on behind a page. `false`: there is no more.
    #[must_use]
    pub fn advance(&mut self, page: &PresencePage) -> bool {
        let Some(last) = page.clients.last().filter(|_| page.more) else { return false };
        self.after = Some((last.client, page.census));
        true
    }
}

/// Who is on a channel, by client id.
#[derive(Debug, Clone, PartialEq)]
pub struct PresencePage {
    /// What they are of.
    pub census: Census,
    /// As many as one part holds, or one.
    pub clients: Vec<Presence>,
    /// There are more.
    pub more: bool,
}

/// A page of the channels that a node owns.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelsQuery {
    /// The view that all nodes are asked in: in another one a channel may be at two of them, or at none.
    pub epoch: Epoch,
    /// Behind this channel, in that census; `None`: from the first.
    pub after: Option<(ChannelName, Census)>,
}

/// Channels that somebody is subscribed to, with their sessions, by slot and name.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelsPage {
    /// What they are of.
    pub census: Census,
    /// As many as one part holds, or one.
    pub channels: Vec<(ChannelName, u32)>,
    /// There are more.
    pub more: bool,
}
