//! What time does to sessions: pings, deadlines, and the plain protocol's news. One wheel for all of them.

use std::collections::HashMap;
use std::time::Duration;

use ringway_core::timing::Now;
use ringway_protocol::centrifuge::Disconnect;
use ringway_protocol::dialect::Proof;

use super::keys::SessionKey;
use super::session::{Heartbeat, Session, State};
use super::{Hub, Socket};

/// Reading is taken to have caught up with a client this long after a pause.
pub(super) const UNREAD_GRACE: Duration = Duration::from_secs(2);

/// Longest delay of the end of a session's credentials: what holds up its refresh is answered by then.
pub(super) const LATE_LIMIT: Duration = Duration::from_secs(10);

impl<S: Socket> Session<S> {
    /// How long the client is to be waited for, because what it has sent may not have been read within the last `limit`.
    pub(super) fn unread_excuse(&self, limit: Duration) -> Option<Duration> {
        self.socket.unread_for().and_then(|ago| limit.checked_sub(ago)).filter(|wait| !wait.is_zero())
    }

    /// The same for an answer to something that may not have reached it: it still works off what was queued before.
    fn excuse(&self, limit: Duration) -> Option<Duration> {
        if self.is_replying() {
            return Some(limit);
        }
        let progress = self.socket.progressed_for().and_then(|ago| limit.checked_sub(ago));
        progress.filter(|wait| !wait.is_zero()).max(self.unread_excuse(limit))
    }
}

impl<S: Socket> Hub<S> {
    /// Lets time pass for the sessions. Call several times a second; the frames it queues wait for [`Hub::flush`].
    pub(crate) fn tick(&mut self, now: Now) {
        // Nobody is told to go before having what came earlier.
        let hub = self.drain(now).into_hub();
        hub.feed_backlogs();
        hub.outgoing.feed_again();
        hub.feed_resets(now);
        hub.look_at_probes(now);
        let mut news = HashMap::new();
        for (key, tick) in hub.roster.due(now) {
            let Some(session) = hub.roster.get(key) else { continue };
            if session.expires == tick {
                hub.on_expired(now, key);
            } else if session.due == tick {
                hub.on_due(now, key, &mut news);
            }
        }
        hub.end_granted(now);
    }

    /// What the client has sent for it may not have been read, once.
    fn on_expired(&mut self, now: Now, key: SessionKey) {
        let Some(session) = self.roster.get_mut(key) else { return };
        if session.is_late || session.unread_excuse(UNREAD_GRACE).is_none() {
            return self.close(key, Disconnect::ConnectionExpired);
        }
        session.is_late = true;
        self.roster.expire_at(key, Some(now.saturating_add(LATE_LIMIT)));
    }

    fn on_due(&mut self, now: Now, key: SessionKey, news: &mut super::plain::News) {
        let Some(session) = self.roster.get_mut(key) else { return };
        let excuse = match session.state {
            State::Refused | State::Silent(_) => session.unread_excuse(self.config.stale_timeout),
            State::Centrifuge(Heartbeat::Pinged) => session.excuse(self.config.pong_timeout),
            _ => None,
        };
        if let Some(wait) = excuse {
            return self.roster.wake_after(now, key, wait);
        }
        match &mut session.state {
            State::Refused => self.close(key, Disconnect::Stale),
            State::Silent(_) => {
                self.counts.refused.silent += 1;
                self.close(key, Disconnect::Stale);
            }
            // The owner of the personal channel did not answer. Another gateway may reach it.
            State::Connecting(_) => {
                self.counts.refused.unanswered += 1;
                self.close(key, Disconnect::InternalServerError);
            }
            State::Centrifuge(Heartbeat::Pinged) => self.close(key, Disconnect::NoPong),
            State::Broken(why) => {
                let why = *why;
                self.close(key, why);
            }
            State::Centrifuge(Heartbeat::Quiet) => self.ask_for_pong(now, key),
            State::Centrifuge(heartbeat @ Heartbeat::Ponged) => {
                *heartbeat = Heartbeat::Quiet;
                self.roster.wake_after(now, key, self.config.ping_interval.saturating_sub(self.config.pong_timeout));
            }
            State::Plain => {
                self.send_news(key, news);
                self.roster.wake_after(now, key, self.config.info_interval);
            }
            State::Parting(why) => {
                let why = *why;
                self.dismiss(key, why.code(), why.reason());
            }
            State::Ungreeted { .. } => self.roster.wake_after(now, key, self.config.info_interval),
            State::Gone => {}
        }
    }

    /// Sends a ping of the client protocol, which is answered unless the client only listens.
    pub(super) fn ask_for_pong(&mut self, now: Now, key: SessionKey) {
        let Some(session) = self.roster.get_mut(key) else { return };
        if let Some(ping) = self.outgoing.speaker.ping(session.dialect) {
            self.outgoing.put(key, session, ping);
        }
        if session.dialect.is_one_way() {
            return self.roster.wake_after(now, key, self.config.ping_interval);
        }
        if let State::Centrifuge(heartbeat) = &mut session.state {
            *heartbeat = Heartbeat::Pinged;
        }
        self.roster.wake_after(now, key, self.config.pong_timeout);
    }

    /// A pong that answers no ping breaks the protocol.
    pub(super) fn on_pong(&mut self, key: SessionKey) {
        let Some(session) = self.roster.get_mut(key) else { return };
        match &mut session.state {
            State::Centrifuge(heartbeat @ Heartbeat::Pinged) => *heartbeat = Heartbeat::Ponged,
            _ => return self.close(key, Disconnect::BadRequest),
        }
        if session.dialect.proof() == Proof::Pong {
            self.confirm_written(key);
        }
    }
}
