//! Orders of backends about the sessions of a user, done here as at every gateway. What is done twice is the same as done once.

use ringway_core::message::{Deed, NewExpiry, NewSub, Order};
use ringway_core::timing::Now;
use ringway_core::{ChannelName, UserName};
use ringway_protocol::centrifuge::{Disconnect, Push, Unsubscribed};
use ringway_protocol::dialect::Saying;

use super::auth::{Grant, Overrides};
use super::channel::Channel;
use super::command::Seen;
use super::connect::expiry;
use super::keys::SessionKey;
use super::session::{Session, State};
use super::{Hub, Socket};

impl<S: Socket> Hub<S> {
    /// Does what an order says with the sessions that it names.
    pub(super) fn on_order(&mut self, now: Now, order: &Order) {
        for key in self.meant_by(order) {
            match &order.deed {
                Deed::Close { code, reason } => self.close_with(key, *code, reason),
                Deed::Refresh(refresh) => self.renew(now, key, refresh),
                Deed::Subscribe(sub) => self.add_ordered(now, key, sub),
                Deed::Unsubscribe(channel) => self.end_subs(key, channel.as_ref(), Unsubscribed::Server),
            }
        }
    }

    /// The sessions that an order names.
    fn meant_by(&self, order: &Order) -> Vec<SessionKey> {
        let is_meant = |session: &Session<S>| {
            let client = session.client.as_u128();
            // Who has not said who it is has no name, and is not anonymous either.
            let is_known = !matches!(session.state, State::Silent(_) | State::Refused);
            is_known
                && session.user_name() == &*order.user
                && order.client.is_none_or(|only| only == client)
                && !order.whitelist.contains(&client)
        };
        let inbox = UserName::new(&order.user).ok().map(|user| ChannelName::personal(&user));
        match inbox.filter(|_| self.config.personal_channels) {
            Some(inbox) => {
                let keys = self.audience.named(&inbox).into_iter().flat_map(Channel::keys);
                // Who waits to be let go is in its inbox no more.
                let parting = self.audience.partings.sessions().into_iter().filter(|id| self.roster.is_open(*id));
                let keys = keys.chain(parting.map(|id| id.key));
                keys.filter(|key| self.roster.get(*key).is_some_and(is_meant)).collect()
            }
            // Who has no inbox is looked for among all: a million sessions take some 10 ms.
            None => self.roster.open().filter(|(_, session)| is_meant(session)).map(|(key, _)| key).collect(),
        }
    }

    /// Whoever has asked was told where there is no such channel. One who has too many subscriptions goes on without this one.
    fn add_ordered(&mut self, now: Now, key: SessionKey, sub: &NewSub) {
        let since = sub.since.as_ref().map(|(offset, epoch)| Seen { offset: *offset, epoch: epoch.clone() });
        let (info, data, lifetime) = (sub.info.clone(), sub.data.clone(), sub.lifetime);
        let grant = Grant { info, data, lifetime, overrides: Overrides::from_bits(sub.overrides), ..Grant::default() };
        let _ = self.add_sub(now, key, sub.channel.clone(), since, grant);
    }

    /// The session's credentials end at another time, of which its client is told. Those of the plain protocol have none.
    fn renew(&mut self, now: Now, key: SessionKey, to: &NewExpiry) {
        if to.is_over || to.lifetime.is_some_and(|lifetime| lifetime.is_zero()) {
            return self.close(key, Disconnect::ConnectionExpired);
        }
        let Some(session) = self.roster.get_mut(key).filter(|session| matches!(session.state, State::Centrifuge(_)))
        else {
            return;
        };
        if let Some(info) = &to.info {
            session.info = Some(Box::new(info.clone()));
        }
        self.expire_after(now, key, to.lifetime);
        self.say(key, &Saying::Push(Push::Refresh(expiry(to.lifetime))));
    }
}
