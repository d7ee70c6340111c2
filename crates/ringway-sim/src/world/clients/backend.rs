//! Backends: they call the API of a gateway, and every call is answered once.

use ringway_core::Position;
use ringway_core::message::{Entry, HistoryPage};
use ringway_hub::{ApiAnswer, ApiRequest, ClientInput, History, ReplyTo};

use super::connect::seen;
use crate::world::{World, note};

/// What a call is about.
#[derive(Debug)]
pub(crate) enum Call {
    Publish(u32),
    History(Reading),
    /// Who is in a channel, by what its owner says.
    Presence(usize),
    /// This order to close sessions.
    Disconnect(u16),
    /// To remove the history of a channel, of which this was acknowledged.
    Remove(usize, Option<Position>),
}

/// A history that is being read.
#[derive(Debug)]
pub(crate) struct Reading {
    channel: usize,
    /// What was acknowledged when the reading began.
    known: Option<Position>,
    /// Everything up to there was removed before.
    gone: Option<Position>,
    /// Pages so far.
    found: Vec<(u64, Entry)>,
}

impl World {
    pub(crate) fn call(&mut self, at: usize, call: Call, request: ApiRequest) {
        self.people.calls += 1;
        let token = self.people.calls;
        let clients = &mut self.processes[at].clients;
        clients.calls.insert(token, call);
        let answers = clients.answers.clone();
        let reply = ReplyTo::new(move |answer| answers.lock().push((token, answer)));
        self.bring(at, ClientInput::Call(ringway_hub::Call { request, reply }));
    }

    pub(crate) fn read_some(&mut self, at: usize) {
        let channel = self.some_channel();
        let known = self.checker.acknowledged_top(channel);
        let gone = self.people.removals.removed(channel);
        self.ask_page(at, None, Reading { channel, known, gone, found: Vec::new() });
    }

    fn ask_page(&mut self, at: usize, since: Option<Position>, reading: Reading) {
        let channel = Ok(self.setup.channels[reading.channel].name.clone());
        let history = History { channel, limit: -1, since: since.map(seen), reverse: false };
        self.call(at, Call::History(reading), ApiRequest::History(Box::new(history)));
    }

    pub(crate) fn ask_who_is_there(&mut self, at: usize, channel: usize) {
        let name = self.setup.channels[channel].name.clone();
        self.call(at, Call::Presence(channel), ApiRequest::Presence(Ok(name)));
    }

    /// What backends are answered.
    pub(crate) fn take_answers(&mut self, at: usize) {
        let answers = std::mem::take(&mut *self.processes[at].clients.answers.lock());
        for (token, answer) in answers {
            if self.drops_answer() {
                continue;
            }
            let Some(call) = self.processes[at].clients.calls.remove(&token) else {
                self.violate("answers", format!("call {token} is answered again: {answer:?}"));
                continue;
            };
            note!(self, "{}: call {token} ends: {call:?} {answer:?}", self.processes[at].id);
            match (call, answer) {
                (Call::Publish(publication), ApiAnswer::Published(position)) => {
                    self.watch_published(publication, Some(position));
                }
                (Call::Publish(publication), _) => self.watch_unanswered(publication),
                (Call::History(reading), ApiAnswer::History(page)) => self.read_page(at, reading, page),
                (Call::Remove(channel, known), ApiAnswer::Done) => self.watch_history_gone(channel, known),
                (Call::Disconnect(number), ApiAnswer::Done) => self.watch_disconnected(number),
                (Call::Presence(channel), ApiAnswer::Presence(page)) => self.watch_presence(channel, &page),
                // Nobody knew just then: somebody asks again.
                (Call::Presence(_), _) => self.ask_presence_again(),
                _ => {}
            }
        }
    }

    fn read_page(&mut self, at: usize, mut reading: Reading, page: HistoryPage) {
        let ends = |found: &[(u64, Entry)]| found.last().map(|(offset, _)| *offset);
        let follows = |last: u64| page.publications.first().is_none_or(|(offset, _)| *offset == last + 1);
        if !ends(&reading.found).is_none_or(follows) {
            // What was read has been trimmed meanwhile.
            reading.found.clear();
        }
        let (top, more) = (page.top, page.more);
        reading.found.extend(page.publications);
        if more && self.has_long_been_quiet() {
            // A page may be one publication and take a trip of its own: whoever began late would read on for minutes.
            return;
        }
        match ends(&reading.found).filter(|_| more) {
            Some(offset) => {
                self.ask_page(at, Some(Position { offset, ..top }), reading);
                self.hand_in(at);
            }
            None => {
                let Reading { channel, known, gone, found: publications } = reading;
                if let Some((offset, _)) = publications.first() {
                    self.watch_gone(channel, gone, Position { offset: *offset, ..top });
                }
                self.watch_history(channel, known, &HistoryPage { top, publications, more });
            }
        }
    }
}
