//! Who comes to a channel and who leaves it, told to those who want to know: the gateway publishes that to the channel, where it is
//! delivered in its order and kept nowhere.

use ringway_core::gateway::{ChannelKey, NewPublish};
use ringway_core::message::{ChannelOptions, Entry, Happening};
use ringway_core::timing::Now;
use ringway_protocol::centrifuge::{Push, Stored};
use ringway_protocol::dialect::Saying;

use super::asked::Waiting;
use super::keys::SessionKey;
use super::speaker::Shared;
use super::{Hub, Socket};

impl<S: Socket> Hub<S> {
    /// A session has come to a channel, or is about to leave it. Others are told when the turn ends.
    pub(super) fn announce(&mut self, session: SessionKey, key: ChannelKey, what: Happening) {
        let Some(name) = self.rules.channel_name(key) else { return };
        let has = self.config.channel(name).is_ok_and(|config| config.join_leave);
        let special = self.audience.get(key).and_then(|channel| channel.specials.get(session));
        if !special.and_then(|special| special.is_announced).unwrap_or(has) {
            return;
        }
        let name = name.clone();
        let entry = self.entry_of(session, Some(&name), &[]).happening(what);
        self.audience.comings.push((name, entry));
    }

    /// Tells owners who came and went in this turn. What an owner does not take is not told: nothing of it is promised.
    pub(super) fn tell_comings(&mut self, now: Now) {
        for (channel, entry) in std::mem::take(&mut self.audience.comings) {
            let kept = self.config.options(&channel);
            let options = ChannelOptions { history_size: 0, ..kept };
            let token = self.asked.wait(Waiting::Coming);
            let new = NewPublish { channel, entry, options, idempotency_key: None, version: None };
            if self.rules.publish(now, token, new).is_err() {
                self.asked.take(token);
            }
        }
    }

    /// Somebody came or went: those are told who want to know.
    pub(super) fn on_happening(&mut self, key: ChannelKey, entry: &Entry, what: Happening) {
        let (Some(channel), Some(name)) = (self.audience.get(key), self.rules.channel_name(key)) else { return };
        let stored = Stored::of(0, entry);
        let Some(info) = stored.publication().info else { return };
        let channel_name = name.as_str();
        let saying = Saying::Push(match what {
            Happening::Join => Push::Join { channel: channel_name, info },
            Happening::Leave => Push::Leave { channel: channel_name, info },
        });
        let mut shared = Shared::default();
        for &listener in &channel.listeners {
            if !channel.specials.get(listener).is_some_and(|special| special.hears_joins) {
                continue;
            }
            if let Some(session) = self.roster.get_mut(listener) {
                self.outgoing.say_too(listener, session, &saying, &mut shared);
            }
        }
    }
}
