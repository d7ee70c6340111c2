//! In which order a client is answered, where that is not by itself the order in which it asked.

use std::time::Duration;

use ringway_core::timing::Now;
use ringway_protocol::centrifuge::Disconnect;

use super::channel::HELD_FOR_NEWCOMER;
use super::command::{Ask, Command};
use super::keys::SessionKey;
use super::session::{Session, Sub};
use super::{Hub, Socket};

/// Longest wait of a client that is to be closed for what it asked before. By then every publish and query is given up.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

impl<S: Socket> Hub<S> {
    /// Keeps a command back whose channel's subscribe is not answered: an unsubscribe and whatever follows that, for a page that mounts
    /// twice, and what reads the channel, for it is to find the subscriber there. So each is answered as if the one before it was done.
    pub(super) fn hold_back(&mut self, key: SessionKey, command: Command) -> Option<Command> {
        let is_on_the_way = |session: &Session<S>| session.subs.iter().any(|sub| sub.place == Sub::ON_THE_WAY);
        if !self.roster.get(key).is_some_and(is_on_the_way) {
            return Some(command);
        }
        let Some(newcomer) = command.ask.channel().and_then(|name| self.audience.key_of(name)) else {
            return Some(command);
        };
        let Some(newcomer) = self.audience.subscribing(key, newcomer) else { return Some(command) };
        let waits = !matches!(command.ask, Ask::Subscribe(_) | Ask::Publish(..)) || !newcomer.held.is_empty();
        match newcomer.held.len() {
            _ if !waits => return Some(command),
            HELD_FOR_NEWCOMER.. => self.close(key, Disconnect::TooManyRequests),
            _ => newcomer.held.push(command),
        }
        None
    }

    /// Carries out what was kept back, in its order, also for a client that is to be closed for what came behind it.
    pub(super) fn go_on(&mut self, now: Now, key: SessionKey, held: Vec<Command>) {
        for command in held {
            if self.roster.get(key).is_none_or(Session::is_gone) {
                return;
            }
            if let Some(command) = self.hold_back(key, command) {
                self.carry_out(now, key, command);
            }
        }
    }

    /// The client sent what cannot be read. It is closed, but what it asked before that is answered first.
    pub(super) fn on_broken(&mut self, now: Now, key: SessionKey, why: Disconnect) {
        let Some(id) = self.roster.id_of(key) else { return };
        self.roster.break_off(id, why);
        self.roster.wake_after(now, key, LAST_ANSWERS);
    }

    /// Closes those who have nothing more to expect.
    pub(super) fn end_broken(&mut self) {
        for (id, why) in self.roster.take_broken() {
            match self.roster.find(id).is_some_and(|session| self.awaits_something(id.key, session)) {
                true => self.roster.break_off(id, why),
                false => self.close(id.key, why),
            }
        }
    }

    fn awaits_something(&self, key: SessionKey, session: &Session<S>) -> bool {
        session.ticket.awaits_answers() || session.subs.iter().any(|sub| self.audience.is_awaited(key, sub.channel))
    }
}
