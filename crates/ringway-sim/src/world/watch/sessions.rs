//! Sessions: why they are closed, who is asked to connect anew, and who is said to be there.

use std::collections::BTreeSet;

use ringway_core::ChannelName;
use ringway_core::message::{ChannelOptions, Message, PresencePage, Query};
use ringway_protocol::centrifuge::Disconnect;

use crate::setup::Mode;
use crate::world::clients::{Connection, Order, Pace};
use crate::world::process::State;
use crate::world::{MS, Time, World};

/// Beside the window of an order: ticks, and reading what is left.
const SLACK: Time = 1000 * MS;

/// The same for plain clients, whose last words are waited for.
const LAST_WORDS: Time = 6500 * MS;

/// After the last cut, time until what was held back has come.
const HEARD: Time = 500 * MS;

impl World {
    /// A client sees why its connection was closed: there must be a reason for that.
    pub(crate) fn watch_closed(&mut self, at: usize, number: u64, connection: &Connection, code: u16) {
        let is = |why: Disconnect| why.code() == code;
        let is_sent_away = is(Disconnect::ForceReconnect) || is(Disconnect::Shutdown);
        let had_word = !connection.is_plain || !connection.is_in || connection.is_asked_to_go || connection.vanished;
        let is_wrong = match self.wrong_end(at, number, connection, code) {
            None if is_sent_away && !had_word => Some("farewell"),
            wrong => wrong,
        };
        if is(Disconnect::InsufficientState) {
            self.watch_lost_inbox(connection);
        }
        if let Some(rule) = is_wrong {
            let text = format!("connection {number} of client {} is closed with {code}", connection.who);
            self.violate(rule, text);
        }
    }

    /// What is violated if a connection is closed with this code.
    fn wrong_end(&self, at: usize, number: u64, connection: &Connection, code: u16) -> Option<&'static str> {
        let is = |why: Disconnect| why.code() == code;
        if is(Disconnect::Slow) || is(Disconnect::NoPong) {
            let is_quick = self.people.list[connection.who].pace == Pace::Quick;
            // Behind a reply in parts waits what is new, and that may be too much for somebody who reads all there is.
            let has_answered = is(Disconnect::Slow) || !connection.owes_pong();
            return (is_quick && has_answered && !connection.vanished && !connection.is_replied_to()).then_some("slow");
        }
        if is(Disconnect::ForceReconnect) {
            let is_meant = |order: &Order| order.meant.contains(&number);
            return (!self.processes[at].clients.orders.iter().any(is_meant)).then_some("reset");
        }
        if let Some(is_meant) = self.is_ordered_away(connection, code) {
            return (!is_meant).then_some("disconnect");
        }
        // An owner may be away for longer than a short deadline.
        let is_hasty = self.setup.timing.deadline.as_secs() < 5;
        let may_fail = is(Disconnect::InternalServerError) && (is_hasty || self.setup.mode != Mode::Planned);
        let is_shed = is(Disconnect::Shutdown) && self.processes[at].leaving;
        (!may_fail && !is_shed && !is(Disconnect::InsufficientState)).then_some("closed")
    }

    /// Somebody is sent away because it lost its place in its own channel. A reply that has begun cannot be taken back either. Who has
    /// vanished is told nothing, and has read neither.
    fn watch_lost_inbox(&mut self, connection: &Connection) {
        let sub = connection.user.and_then(|user| Some((user, connection.subs.get(&user)?)));
        let was_told = !connection.vanished && !connection.is_replied_to();
        if let Some((channel, sub)) = sub.filter(|(_, sub)| !sub.is_behind && was_told) {
            self.watch_lost(channel, sub.at);
        }
    }

    /// Orders to connect anew are carried out: whoever was in one of their channels is gone in time.
    pub(crate) fn watch_orders(&mut self, step: Time) {
        for at in 0..self.setup.gateways {
            let process = &mut self.processes[at];
            if !process.runs() {
                continue;
            }
            let mut missed = None;
            for order in &mut process.clients.orders {
                order.passed += step;
                let window = order.reset.window.as_micros() as Time;
                let late = |one: &Connection| {
                    order.passed > window + order.grace + if one.is_plain { LAST_WORDS } else { SLACK } && !one.vanished
                };
                let connections = &process.clients.connections;
                let left = order.due.iter().find(|number| connections.get(number).is_some_and(late));
                missed = missed.or(left.map(|number| (*number, order.reset.number)));
            }
            if let Some((number, order)) = missed {
                self.violate("reset", format!("connection {number} is still there long after order {order}"));
            }
        }
    }

    /// Owners are told one thing of how a channel is kept, whatever a gateway's own file says.
    pub(crate) fn watch_options(&mut self, from: usize, message: &Message) {
        let told: Vec<(&ChannelName, ChannelOptions)> = match message {
            Message::Publish(publish) => vec![(&publish.channel, publish.options)],
            Message::Attach(attaches) => attaches.iter().map(|attach| (&attach.channel, attach.options)).collect(),
            Message::Query(_, Query::History(query)) => vec![(&query.channel, query.options)],
            _ => return,
        };
        let other =
            told.into_iter().find(|(name, told)| self.setup.options_of(name).is_some_and(|options| options != *told));
        if let Some((name, told)) = other {
            let text = format!("{} keeps {name} in a way of its own: {told:?}", self.processes[from].id);
            self.violate("options", text);
        }
    }

    /// The owner of a channel says who is there, when nobody comes or goes any more.
    pub(crate) fn watch_presence(&mut self, channel: usize, page: &PresencePage) {
        if !self.presence.contains(&channel) {
            return;
        }
        if self.presence_moves != self.people.moves || self.unconverged().is_some() {
            return self.ask_presence_again();
        }
        let there = |connection: &&Connection| connection.subs.contains_key(&channel);
        let connections = self.processes.iter().flat_map(|process| process.clients.connections.values());
        let expected: BTreeSet<u128> = connections.filter(there).map(|connection| connection.id).collect();
        let said: BTreeSet<u128> = page.clients.iter().map(|one| one.client).collect();
        // A page may not have room for all of them.
        let is_right = if page.more { said.is_subset(&expected) } else { said == expected };
        if !is_right {
            let (missing, extra) = (expected.difference(&said).count(), said.difference(&expected).collect::<Vec<_>>());
            let text = format!("of channel {channel} {missing} are not said to be there, and {extra:x?} are not there");
            self.violate("presence", text);
        }
        self.presence.retain(|asked| *asked != channel);
    }

    /// It is being asked who is in channels, at rest.
    pub(crate) fn is_asking(&self) -> bool {
        !self.presence.is_empty()
    }

    /// What was answered says nothing.
    pub(crate) fn ask_presence_again(&mut self) {
        self.presence.clear();
        self.presence_asked = false;
    }

    /// Asks who is in each channel where that is kept, once everything is at rest. Whether all of that is answered.
    pub(crate) fn presence_is_right(&mut self) -> bool {
        if self.newest_view().nodes.is_empty() {
            // Nobody owns a channel, and clients ask to be let in again and again.
            return true;
        }
        let mut connections = self.processes.iter().flat_map(|process| process.clients.connections.values());
        let is_linked = self.network.is_up(|at| self.processes[at].state == State::Up);
        if !self.network.is_whole() || !is_linked || connections.any(|connection| connection.vanished) {
            // Who is cut off from an owner cannot tell it who has come and gone, also until it is linked again: an owner that has not heard
            // a gateway for `suspect` answers without it. And of whoever is gone nobody knows what it was told last.
            self.cut_at = self.now;
        }
        if self.people.moves != self.presence_moves {
            // Who came or went a moment ago may not have been heard of: that goes on another link than the question.
            (self.presence_moves, self.cut_at) = (self.people.moves, self.now);
            self.ask_presence_again();
        }
        if self.now < self.cut_at + HEARD {
            return false;
        }
        if self.presence_asked {
            return self.presence.is_empty();
        }
        self.presence_asked = true;
        let at = (0..self.setup.gateways).find(|at| self.is_open(*at));
        let Some(at) = at else { return true };
        let kept = |channel: &usize| self.setup.channels[*channel].options.presence;
        let channels: Vec<usize> = (0..self.setup.channels.len()).filter(kept).take(100).collect();
        for channel in channels {
            self.presence.push(channel);
            self.ask_who_is_there(at, channel);
        }
        self.hand_in(at);
        self.presence.is_empty()
    }
}
