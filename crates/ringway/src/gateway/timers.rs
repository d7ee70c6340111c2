//! What time does to sessions: pings, deadlines, and the plain protocol's news. One wheel for all of them.

use std::collections::HashMap;
use std::time::Duration;

use ringway_core::timing::Now;
use ringway_protocol::centrifuge::Disconnect;

use super::session::{Heartbeat, SessionKey, State};
use super::{Hub, Socket};

impl<S: Socket> Hub<S> {
    /// Lets time pass for the sessions. Call several times a second; the frames it queues wait for [`Hub::flush`].
    pub fn tick(&mut self, now: Now) {
        // Nobody is told to go before having what came earlier.
        self.drain_events(now);
        self.feed_backlogs();
        self.feed_resets(now);
        self.look_at_probes(now);
        let mut due = Vec::new();
        self.wheel.due(now, &mut due);
        let mut news = HashMap::new();
        for (key, tick) in due {
            let Some(session) = self.sessions.get(key as usize) else { continue };
            if session.expires == tick {
                self.close(key, Disconnect::ConnectionExpired);
            } else if session.due == tick {
                self.on_due(now, key, &mut news);
            }
        }
    }

    /// Has the session looked at after this time, instead of any earlier wish.
    pub(super) fn wake_after(&mut self, now: Now, key: SessionKey, wait: Duration) {
        if let Some(session) = self.sessions.get_mut(key as usize) {
            session.due = self.wheel.insert(key, now + wait);
        }
    }

    fn on_due(&mut self, now: Now, key: SessionKey, news: &mut super::plain::News) {
        let Some(session) = self.sessions.get_mut(key as usize) else { return };
        match &mut session.state {
            State::Refused => self.close(key, Disconnect::Stale),
            State::Silent => {
                self.counts.refused.silent += 1;
                self.close(key, Disconnect::Stale);
            }
            // The owner of the personal channel did not answer. Another gateway may reach it.
            State::Connecting(_) => {
                self.counts.refused.unanswered += 1;
                self.close(key, Disconnect::InternalServerError);
            }
            State::Centrifuge(Heartbeat::Pinged) => self.close(key, Disconnect::NoPong),
            State::Centrifuge(heartbeat @ Heartbeat::Quiet) => {
                *heartbeat = Heartbeat::Pinged;
                let ping = self.ping.clone();
                self.send(key, ping);
                self.wake_after(now, key, self.config.pong_timeout);
            }
            State::Centrifuge(heartbeat @ Heartbeat::Ponged) => {
                *heartbeat = Heartbeat::Quiet;
                self.wake_after(now, key, self.config.ping_interval.saturating_sub(self.config.pong_timeout));
            }
            State::Plain => {
                self.send_news(key, news);
                self.wake_after(now, key, self.info_interval());
            }
            State::Parting(why) => {
                let why = *why;
                self.dismiss(key, why.code(), why.reason());
            }
            State::Ungreeted { .. } => self.wake_after(now, key, self.info_interval()),
            State::Gone => {}
        }
    }

    /// A pong that answers no ping breaks the protocol.
    pub(super) fn on_pong(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key as usize) else { return };
        match &mut session.state {
            State::Centrifuge(heartbeat @ Heartbeat::Pinged) => *heartbeat = Heartbeat::Ponged,
            _ => self.close(key, Disconnect::BadRequest),
        }
    }
}
