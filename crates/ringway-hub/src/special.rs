//! What few subscribers have: to be told who comes and goes, to be told some publications alone, or something that a token says. It stands
//! beside the channel, so that others cost nothing for it.

use std::collections::HashMap;

use ringway_core::message::Entry;
use ringway_protocol::centrifuge::{Filter, Shape, delta};

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
    /// It takes differences.
    pub(super) deltas: Option<Base>,
}

/// What a subscriber that takes differences was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    /// Something that is not known here: it is told the next publication whole.
    Other,
    /// The channel's last publication.
    Last,
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
            deltas: (asked.deltas && config.allows_deltas).then_some(Base::Other),
        }
    }

    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// The special ones among the subscribers of a channel; mostly there are none.
#[derive(Debug, Default)]
pub(super) struct Specials(Option<Box<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    by_session: HashMap<SessionKey, Special>,
    /// What was delivered last, while somebody takes differences from it.
    last: Option<Entry>,
}

impl Specials {
    pub(super) fn set(&mut self, session: SessionKey, special: Special) {
        if !special.is_nothing() {
            self.0.get_or_insert_default().by_session.insert(session, special);
        }
    }

    pub(super) fn remove(&mut self, session: SessionKey) {
        if let Some(inner) = &mut self.0 {
            inner.by_session.remove(&session);
            if inner.by_session.is_empty() {
                self.0 = None;
            }
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn get(&self, session: SessionKey) -> Option<&Special> {
        self.0.as_ref()?.by_session.get(&session)
    }

    /// The session is to be told of this publication.
    pub(super) fn lets(&self, session: SessionKey, entry: &Entry) -> bool {
        let filter = self.get(session).and_then(|special| special.filter.as_ref());
        filter.is_none_or(|filter| filter.lets(&entry.tags()))
    }

    /// How a session is told what is not its channel's next publication.
    pub(super) fn shape_of(&self, session: SessionKey) -> Shape<'static> {
        let takes = self.get(session).is_some_and(|special| special.deltas.is_some());
        if takes { Shape::Whole } else { Shape::Plain }
    }

    /// What is other in this publication, for those who were told the last one. It is the last one from now on.
    pub(super) fn next_difference(&mut self, entry: &Entry, has_deltas: bool) -> Option<Vec<u8>> {
        let inner = self.0.as_mut().filter(|inner| inner.by_session.values().any(|one| one.deltas.is_some()))?;
        let last =
            inner.last.replace(entry.clone()).filter(|last| has_deltas && !last.is_opaque() && !entry.is_opaque());
        delta::difference(last?.data(), entry.data())
    }

    /// How a session is told the channel's next publication, if it is to be told it.
    pub(super) fn next_shape<'a>(
        &mut self,
        session: SessionKey,
        entry: &Entry,
        difference: Option<&'a [u8]>,
    ) -> Option<Shape<'a>> {
        let Some(special) = self.0.as_mut().and_then(|inner| inner.by_session.get_mut(&session)) else {
            return Some(Shape::Plain);
        };
        let is_told = special.filter.as_ref().is_none_or(|filter| filter.lets(&entry.tags()));
        let Some(base) = &mut special.deltas else { return is_told.then_some(Shape::Plain) };
        let before = std::mem::replace(base, if is_told { Base::Last } else { Base::Other });
        is_told.then_some(match (before, difference) {
            (Base::Last, Some(difference)) => Shape::Difference(difference),
            _ => Shape::Whole,
        })
    }
}
