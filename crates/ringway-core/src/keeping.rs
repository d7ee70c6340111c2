//! How the channels of a cluster are kept: one answer for all gateways.
//!
//! Each gateway has a config of its own. If two of them kept a channel in two ways, its owner would be told now this and now that, and its
//! history would grow and be cut in turns. So the keeper tells every gateway how channels are kept, first of all on a new link, and
//! they go by that instead of what their own config says.

use std::fmt;
use std::time::Duration;

use crate::id::ChannelName;

/// Kinds of channels in one cluster.
pub const MAX_KINDS: usize = 1024;

/// Bytes of a kind's name: it stands at the front of a channel's.
pub const MAX_KIND_BYTES: usize = 255;

/// How a channel is kept. Gateways read it from their config and send it along; a node keeps what it was told last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChannelOptions {
    /// Most publications kept; 0: no history, at most once.
    pub history_size: u32,
    /// How long a publication is kept.
    pub history_ttl: Duration,
    /// The owner keeps who is subscribed.
    pub presence: bool,
    /// Most bytes of the publications kept, the newest one aside; 0: no limit but the node's.
    pub history_bytes: u64,
    /// Where a publication is before it is acknowledged. Without history it is nowhere.
    pub durability: Durability,
}

/// Where a publication is before it is acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// In the memory of all nodes that have a copy of its slot.
    #[default]
    Memory,
    /// There, and in the log, which survives all processes.
    Log,
}

/// What most tests keep.
#[cfg(test)]
pub(crate) const KEPT: ChannelOptions = ChannelOptions {
    history_size: 100,
    history_ttl: Duration::from_secs(60),
    presence: false,
    history_bytes: 0,
    durability: Durability::Memory,
};

impl ChannelOptions {
    /// Publications are kept, replicated and numbered.
    pub fn has_history(&self) -> bool {
        self.history_size > 0 && !self.history_ttl.is_zero()
    }

    /// Where a publication is before it is acknowledged, if it is kept at all.
    pub fn level(&self) -> Durability {
        if self.has_history() { self.durability } else { Durability::Memory }
    }

    /// Publications are kept in the log.
    pub fn is_logged(&self) -> bool {
        self.level() == Durability::Log
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Log => "log",
        })
    }
}

/// How each kind of channel is kept. Kinds that are not here are not configured: there are no such channels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keeping {
    /// By [`ChannelName::kind`], in the order of their names.
    pub kinds: Vec<(Box<str>, ChannelOptions)>,
}

/// Why it cannot be how channels are kept. Whoever said it is not obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeepingFault {
    /// There are too many kinds.
    #[error("it has more than {MAX_KINDS} kinds of channels")]
    TooMany,
    /// A name is too long.
    #[error("the name of a kind has more than {MAX_KIND_BYTES} bytes")]
    TooLong,
    /// A kind comes twice, or before one with a smaller name.
    #[error("its kinds are not in the order of their names")]
    Disorder,
}

impl Keeping {
    /// How channels of this kind are kept.
    pub fn of_kind(&self, kind: &str) -> Option<ChannelOptions> {
        let at = self.kinds.binary_search_by(|(known, _)| (**known).cmp(kind)).ok()?;
        Some(self.kinds[at].1)
    }

    /// How this channel is kept.
    pub fn of(&self, channel: &ChannelName) -> Option<ChannelOptions> {
        self.of_kind(channel.kind())
    }

    /// What came over a link is looked at first.
    ///
    /// # Errors
    /// [`KeepingFault`].
    pub fn check(&self) -> Result<(), KeepingFault> {
        if self.kinds.len() > MAX_KINDS {
            return Err(KeepingFault::TooMany);
        }
        if self.kinds.iter().any(|(kind, _)| kind.len() > MAX_KIND_BYTES) {
            return Err(KeepingFault::TooLong);
        }
        if self.kinds.is_sorted_by(|(before, _), (after, _)| before < after) {
            Ok(())
        } else {
            Err(KeepingFault::Disorder)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(history_size: u32) -> ChannelOptions {
        ChannelOptions { history_size, ..ChannelOptions::default() }
    }

    #[test]
    fn a_channel_is_kept_as_its_kind_is() {
        let kinds = vec![("".into(), kept(1)), ("#".into(), kept(2)), ("chat".into(), kept(3))];
        let keeping = Keeping { kinds };
        assert_eq!(keeping.check(), Ok(()));
        let table = [
            ("news", Some(1)),
            (":news", Some(1)),
            ("$news", Some(1)),
            ("#ann", Some(2)),
            ("chat:1", Some(3)),
            ("$chat:1:2", Some(3)),
            ("other:1", None),
        ];
        for (name, size) in table {
            let options = keeping.of(&ChannelName::new(name).unwrap());
            assert_eq!(options.map(|options| options.history_size), size, "{name}");
        }
    }

    #[test]
    fn what_is_too_much_or_in_disorder_is_refused() {
        let named = |names: &[&str]| Keeping { kinds: names.iter().map(|name| ((*name).into(), kept(1))).collect() };
        let many: Vec<String> = (0..=MAX_KINDS).map(|at| format!("{at:05}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(named(&many[1..]).check(), Ok(()));
        assert_eq!(named(&many).check(), Err(KeepingFault::TooMany));
        assert_eq!(named(&[&"x".repeat(MAX_KIND_BYTES + 1)]).check(), Err(KeepingFault::TooLong));
        assert_eq!(named(&["b", "a"]).check(), Err(KeepingFault::Disorder));
        assert_eq!(named(&["a", "a"]).check(), Err(KeepingFault::Disorder));
    }
}
