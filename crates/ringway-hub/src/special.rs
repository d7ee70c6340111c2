//! What few subscribers have: to be told who comes and goes, to be told some publications alone, or something that a token says. It stands
//! beside the channel, so that others cost nothing for it.

use std::collections::HashMap;

use ringway_protocol::centrifuge::Filter;

use super::auth::Overrides;
use super::config::ChannelConfig;
use super::keys::SessionKey;
use super::wish::Extras;

/// What is special about one subscriber. The default is nothing.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Special {
    /// It is told who comes and goes.
    pub(super) hears_joins: bool,
    /// It is not among those present.
    pub(super) is_hidden: bool,
    /// Others are told that it comes and goes, or not, whatever the channel has.
    pub(super) is_announced: Option<bool>,
    /// It is told what has these tags.
    pub(super) filter: Option<Box<Filter>>,
}

impl Special {
    /// Of somebody who asks for these extras, and may read the presence or not.
    pub(super) fn of(config: &ChannelConfig, asked: Extras, may_read: bool, overrides: Overrides) -> Self {
        let is_forced = overrides.force_push_join_leave.unwrap_or(config.force_push_join_leave);
        let hears = config.join_leave && (is_forced || asked.join_leave && may_read);
        Self {
            hears_joins: hears || overrides.force_push_join_leave == Some(true),
            is_hidden: overrides.presence == Some(false),
            is_announced: overrides.join_leave,
            filter: None,
        }
    }

    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// The special ones among the subscribers of a channel; mostly there are none.
#[derive(Debug, Default)]
pub(super) struct Specials {
    by_session: Option<Box<HashMap<SessionKey, Special>>>,
}

impl Specials {
    pub(super) fn set(&mut self, session: SessionKey, special: Special) {
        if !special.is_nothing() {
            self.by_session.get_or_insert_default().insert(session, special);
        }
    }

    pub(super) fn remove(&mut self, session: SessionKey) {
        if let Some(all) = &mut self.by_session {
            all.remove(&session);
            if all.is_empty() {
                self.by_session = None;
            }
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.by_session.is_none()
    }

    pub(super) fn get(&self, session: SessionKey) -> Option<&Special> {
        self.by_session.as_ref()?.get(&session)
    }

    /// The session is to be told of a publication with these tags.
    pub(super) fn lets<'a>(&self, session: SessionKey, tags: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> bool {
        let filter = self.get(session).and_then(|special| special.filter.as_ref());
        filter.is_none_or(|filter| filter.lets(&tags))
    }
}
