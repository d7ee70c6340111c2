//! A plain client is asked to connect elsewhere: not before it has confirmed what it was written, and the log of its inbox says so. It
//! has no position of its own to show there, and whoever owns the inbox by then must not hand on the last messages again.
//!
//! ```text
//!   plain ──let_go()──▶ parting, pinged: handed nothing more, may still write ──pong──▶ parting: in no channel ──Detached──▶ type 2, closed
//!                                               └──────────────────────PARTING_LIMIT──────────────────────────────────────────────▲
//! ```

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use ringway_core::gateway::ChannelKey;
use ringway_core::message::AttachId;
use ringway_core::timing::Now;
use ringway_protocol::centrifuge::Disconnect;
use smallvec::SmallVec;

use super::keys::{SessionId, SessionKey};
use super::session::{Session, State};
use super::{Hub, Socket};

/// Longest wait for the client's pong and the owner's word, as long as a publish waits for one. After that the last messages may
/// come again.
const PARTING_LIMIT: Duration = Duration::from_secs(5);

/// Sessions of one user, mostly one.
type Sessions = SmallVec<[SessionId; 1]>;

/// Who parts. As many as there are sessions at most.
#[derive(Debug, Default)]
pub(super) struct Partings {
    /// In this turn, by their inbox, which is not detached before the turn ends; in an order that is the same in every run.
    leaving: BTreeMap<ChannelKey, Sessions>,
    /// Until the owner's word comes.
    awaited: HashMap<AttachId, Sessions>,
}

impl Partings {
    /// Sessions that are in no channel any more and may be open; in an order that is the same in every run.
    pub(super) fn sessions(&self) -> Vec<SessionId> {
        let mut sessions: Vec<SessionId> =
            self.leaving.values().chain(self.awaited.values()).flatten().copied().collect();
        sessions.sort_unstable_by_key(|id| id.key);
        sessions
    }
}

impl<S: Socket> Hub<S> {
    /// Asks a client to connect elsewhere, or closes it if it cannot be asked.
    pub(super) fn let_go(&mut self, now: Now, key: SessionKey, why: Disconnect) {
        let Some(session) = self.roster.get(key) else { return };
        let Some(inbox) = session.inbox().filter(|_| matches!(session.state, State::Plain)) else {
            return self.close(key, why);
        };
        self.counts.closed += 1;
        let is_asked = self.ask_last_word(now, key, inbox);
        if let Some(session) = self.roster.get_mut(key) {
            session.state = State::Parting(why);
            session.backlog = None;
        }
        match is_asked {
            true => self.stop_listening(key, inbox),
            false => self.leave_to_part(key, inbox),
        }
        self.roster.wake_after(now, key, PARTING_LIMIT);
    }

    /// A session that is to go has confirmed what it was written.
    pub(super) fn go_on_parting(&mut self, key: SessionKey, inbox: ChannelKey) {
        if self.roster.get(key).is_some_and(Session::is_parting) {
            self.leave_to_part(key, inbox);
        }
    }

    fn leave_to_part(&mut self, key: SessionKey, inbox: ChannelKey) {
        let Some(id) = self.roster.get(key).map(|session| session.id(key)) else { return };
        self.leave_all(key);
        self.audience.partings.leaving.entry(inbox).or_default().push(id);
    }

    /// An inbox was detached, and this is what its owner will confirm; if it is not asked to, there is nothing to wait for.
    pub(super) fn await_word(&mut self, inbox: ChannelKey, word: Option<AttachId>) {
        let Some(sessions) = self.audience.partings.leaving.remove(&inbox) else { return };
        match word {
            Some(attach) => drop(self.audience.partings.awaited.insert(attach, sessions)),
            None => self.part(sessions),
        }
    }

    /// The owner's word has come.
    pub(super) fn on_detached(&mut self, attach: AttachId) {
        if let Some(sessions) = self.audience.partings.awaited.remove(&attach) {
            self.part(sessions);
        }
    }

    /// Who is not the last of its user here waits for nothing: that one's inbox stays attached.
    pub(super) fn part_from_others(&mut self) {
        if self.audience.partings.leaving.is_empty() {
            return;
        }
        self.rules.report_soon();
        for (_, sessions) in std::mem::take(&mut self.audience.partings.leaving) {
            self.part(sessions);
        }
    }

    fn part(&mut self, sessions: Sessions) {
        for id in sessions {
            let session = self.roster.find(id);
            if let Some(State::Parting(why)) = session.map(|session| &session.state) {
                let why = *why;
                self.dismiss(id.key, why.code(), why.reason());
            }
        }
    }
}
