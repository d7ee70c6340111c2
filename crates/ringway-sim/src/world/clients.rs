//! Clients of a gateway: they publish in order, subscribe, leave, read, and tell the checker what they see.

use std::collections::BTreeMap;

use bytes::Bytes;
use ringway_core::gateway::{ChannelKey, Event as GatewayEvent, NewPublish};
use ringway_core::member::Member;
use ringway_core::message::{Answer, AttachId, Entry, HistoryPage, HistoryQuery, Query};
use ringway_core::timing::Now;
use ringway_core::{Incarnation, Position};

use super::{Event, Input, World, note};
use crate::Sabotage;
use crate::checker::Publication;
use crate::setup::Setup;

/// Queries' tokens start here; below are those of publishes.
const QUERIES: u64 = 1 << 40;

/// Bytes of a publication's number, which is all that most have.
const NUMBER: usize = 4;

/// The publication's number, and as much behind it as it takes.
fn payload(publication: u32, size: usize) -> Bytes {
    let mut data = vec![b'x'; size.max(NUMBER)];
    data[..NUMBER].copy_from_slice(&publication.to_le_bytes());
    data.into()
}

/// A channel that clients of a gateway listen to.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) key: ChannelKey,
    /// Its number among the checker's sessions.
    pub(crate) session: usize,
    pub(crate) position: Option<Position>,
    pub(crate) attached: bool,
    /// Of an inbox: up to where the ping went that the client has not answered yet.
    pinged: Option<Position>,
    /// The client is gone without a word: what is written to it reaches nobody.
    vanished: bool,
}

/// All clients of one gateway process.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    sender: u32,
    /// Last number published, per channel.
    numbers: Vec<u64>,
    pub(crate) open: BTreeMap<u64, u32>,
    pub(crate) subscriptions: BTreeMap<usize, Subscription>,
    by_key: BTreeMap<ChannelKey, usize>,
    /// Channels whose user left, until the owner's word for it is kept.
    parting: BTreeMap<AttachId, usize>,
    /// Histories that are being read, page by page, by the token of the query.
    queries: BTreeMap<u64, Reading>,
    next_query: u64,
}

/// A history that is being read.
#[derive(Debug)]
struct Reading {
    channel: usize,
    /// What was acknowledged when the reading began.
    known: Option<Position>,
    /// Pages so far.
    found: Vec<(u64, Entry)>,
}

impl Clients {
    pub(crate) fn new(sender: u32, channels: usize) -> Self {
        Self { sender, numbers: vec![0; channels], ..Self::default() }
    }
}

/// Where the user of an inbox is.
#[derive(Debug, Clone, Default)]
pub(crate) struct User {
    /// The process whose gateway has the session, and its boot.
    pub(crate) at: Option<(usize, u32)>,
    /// The gateway that the user left and that may still have something to tell: process, boot, incarnation, and of which attach.
    leaving: Option<(usize, u32, Incarnation, AttachId)>,
    /// Confirmed up to here when the last session ended.
    pub(crate) last: Option<Position>,
    /// The user truly has everything up to here: every session began at or before what it had.
    pub(crate) top: Option<Position>,
    /// The last session ended in order, and the user waited until that was kept.
    pub(crate) clean: bool,
}

impl User {
    /// A session got as far as this.
    pub(crate) fn reached(&mut self, at: Option<Position>) {
        let further = |at: &Position| self.top.is_none_or(|top| top.epoch != at.epoch || top.offset < at.offset);
        self.top = at.filter(further).or(self.top);
    }
}

/// Users of inboxes, by channel.
#[derive(Debug)]
pub(crate) struct Users {
    pub(crate) list: Vec<User>,
    keys: Vec<(usize, u32)>,
}

impl Users {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self { list: vec![User::default(); setup.channels.len()], keys: Vec::new() }
    }
}

impl World {
    /// The clients of a gateway do something, and will again after a pause.
    pub(crate) fn client_step(&mut self, at: usize, now: Now) {
        if !self.processes[at].has_gateway() {
            return;
        }
        let boot = self.processes[at].boot;
        if !self.processes[at].leaving {
            let publishing = !self.is_quiet();
            self.fill_some(at, now);
            match self.rng.below(100) {
                0..=69 if publishing => self.publish_some(at, now),
                70..=84 => self.toggle_some(at, now),
                85..=90 => self.read_some(at, now),
                _ => {}
            }
            self.answer_pings(at, now);
        }
        let pause = self.rng.range(self.setup.pace / 4, self.setup.pace * 2);
        self.schedule(self.now + pause, Event::To(at, boot, Input::Client));
    }

    fn publish_some(&mut self, at: usize, now: Now) {
        let burst = self.rng.range(1, 5);
        let same = self.rng.below(self.setup.channels.len() as u64) as usize;
        for _ in 0..burst {
            let channel =
                if self.rng.chance(700) { same } else { self.rng.below(self.setup.channels.len() as u64) as usize };
            let key = self.some_key(channel);
            self.publish(at, now, channel, key);
        }
    }

    /// Now and then a publish has a key, and now and then one that was used before, perhaps through another gateway.
    fn some_key(&mut self, channel: usize) -> Option<u32> {
        if !self.setup.channels[channel].options.has_history() || !self.rng.chance(150) {
            return None;
        }
        let used: Vec<u32> =
            self.users.keys.iter().rev().take(8).filter(|(on, _)| *on == channel).map(|(_, key)| *key).collect();
        if !used.is_empty() && self.rng.chance(600) {
            return Some(self.rng.pick(&used));
        }
        let key = self.users.keys.len() as u32;
        self.users.keys.push((channel, key));
        Some(key)
    }

    fn publish(&mut self, at: usize, now: Now, channel: usize, key: Option<u32>) {
        let size = if self.setup.large.is_some() { self.some_size() } else { NUMBER };
        self.publish_sized(at, now, channel, key, size);
    }

    pub(super) fn publish_sized(&mut self, at: usize, now: Now, channel: usize, key: Option<u32>, size: usize) {
        let (setup, time) = (self.setup.clone(), self.now);
        let process = &mut self.processes[at];
        let Some(gateway) = process.member.as_mut().and_then(Member::front_mut) else { return };
        if gateway.publishes_waiting() > if setup.large.is_some() { 20_000 } else { 200 } {
            return;
        }
        process.clients.numbers[channel] += 1;
        let (sender, number) = (process.clients.sender, process.clients.numbers[channel]);
        let publication = self.checker.published(Publication::new(channel, sender, number, key, time));
        let data = payload(publication, size);
        let entry = Entry::of(&data);
        let new = NewPublish {
            channel: setup.channels[channel].name.clone(),
            entry,
            options: setup.channels[channel].options,
            idempotency_key: key.map(|key| format!("key-{key}").into()),
            version: None,
        };
        process.clients.open.insert(u64::from(publication), publication);
        let taken = gateway.publish(now, u64::from(publication), new);
        note!(
            self,
            "{} publishes {publication} to channel {channel} (number {number}, key {key:?}): {taken:?}",
            self.processes[at].id
        );
        if taken.is_err() {
            self.processes[at].clients.open.remove(&u64::from(publication));
        }
    }

    /// Subscribes to a channel, or lets one go.
    fn toggle_some(&mut self, at: usize, now: Now) {
        let channel = self.rng.below(self.setup.channels.len() as u64) as usize;
        let subscribed = self.processes[at].clients.subscriptions.contains_key(&channel);
        let quiet = self.is_quiet();
        if quiet && self.setup.large.is_some() {
            // Where an answer takes so long there would be no moment in which nobody waits for one.
            return;
        }
        match subscribed {
            true if !quiet && self.rng.chance(300) => self.unsubscribe(at, now, channel),
            false if !self.setup.channels[channel].is_inbox() => self.subscribe(at, now, channel),
            // Some wait for nothing, and come while their last gateway still has something to tell.
            false if self.user_may_come(channel) => self.subscribe(at, now, channel),
            false if self.users.list[channel].at.is_none() && self.rng.chance(300) => {
                let user = &mut self.users.list[channel];
                (user.clean, user.leaving) = (false, None);
                self.subscribe(at, now, channel);
            }
            _ => {}
        }
    }

    pub(super) fn subscribe(&mut self, at: usize, now: Now, channel: usize) {
        let (setup, time) = (self.setup.clone(), self.now);
        let process = &mut self.processes[at];
        let Some(gateway) = process.member.as_mut().and_then(Member::front_mut) else { return };
        let key = gateway.attach(now, setup.channels[channel].name.clone(), setup.channels[channel].options);
        let session = self.checker.subscribed(channel, time);
        let (pinged, vanished) = (None, false);
        let subscription = Subscription { key, session, position: None, attached: false, pinged, vanished };
        process.clients.subscriptions.insert(channel, subscription);
        process.clients.by_key.insert(key, channel);
        if setup.channels[channel].is_inbox() {
            self.users.list[channel].at = Some((at, process.boot));
        }
        note!(self, "{} subscribes to channel {channel}", self.processes[at].id);
    }

    fn unsubscribe(&mut self, at: usize, now: Now, channel: usize) {
        let time = self.now;
        let process = &mut self.processes[at];
        let Some(subscription) = process.clients.subscriptions.remove(&channel) else { return };
        process.clients.by_key.remove(&subscription.key);
        self.checker.unsubscribed(subscription.session, time);
        let Some(gateway) = process.member.as_mut().and_then(Member::front_mut) else { return };
        let confirmed = gateway.confirmed(subscription.key);
        let parting = gateway.detach(now, subscription.key);
        let user = &mut self.users.list[channel];
        // Where the client was gone already, the user may be elsewhere by now.
        if self.setup.channels[channel].is_inbox() && !subscription.vanished {
            user.at = None;
            (user.clean, user.last) = (subscription.attached, confirmed);
            user.leaving = parting.map(|attach| (at, process.boot, process.incarnation, attach));
            process.clients.parting.extend(parting.map(|attach| (attach, channel)));
        }
        note!(self, "{} leaves channel {channel} at {:?}", self.processes[at].id, subscription.position);
    }

    /// A user comes back when it was let go, or when nobody can take the old session for a living one any more.
    pub(super) fn user_may_come(&mut self, channel: usize) -> bool {
        let user = &self.users.list[channel];
        if user.at.is_some() {
            return false;
        }
        let Some((at, boot, incarnation, _)) = user.leaving else { return true };
        let lists = |node: &ringway_core::node::Node| node.view().gateway(incarnation).is_some();
        let listed = self.processes.iter().any(|process| process.node().is_some_and(lists));
        let gone = self.processes[at].boot != boot && !listed;
        if gone {
            self.users.list[channel].leaving = None;
        }
        gone
    }

    /// The log has it how far an inbox was confirmed: its user may go elsewhere.
    fn let_go(&mut self, at: usize, attach: AttachId) {
        if let Some(channel) = self.processes[at].clients.parting.remove(&attach) {
            note!(self, "{}: the user of channel {channel} is let go", self.processes[at].id);
            let user = &mut self.users.list[channel];
            let its = |leaving: &(usize, u32, Incarnation, AttachId)| (leaving.0, leaving.3) == (at, attach);
            user.leaving = user.leaving.filter(|leaving| !its(leaving));
        }
    }

    /// Users of inboxes answer pings, late; some are gone without a word, and their sessions end when nobody has answered for a while.
    fn answer_pings(&mut self, at: usize, now: Now) {
        let quiet = self.is_quiet();
        let subscriptions = &self.processes[at].clients.subscriptions;
        let subscribed: Vec<usize> = match self.setup.large {
            // Of very many, some have their turn.
            Some(_) => {
                let first = self.rng.below(self.setup.channels.len() as u64) as usize;
                subscriptions.range(first..).take(20).map(|(channel, _)| *channel).collect()
            }
            None => subscriptions.keys().copied().collect(),
        };
        for channel in subscribed {
            if !self.setup.channels[channel].is_inbox() {
                continue;
            }
            let answers = self.rng.chance(400);
            let vanishes = !quiet && self.rng.chance(40);
            let ends = self.rng.chance(100);
            let process = &mut self.processes[at];
            let Some(subscription) = process.clients.subscriptions.get_mut(&channel) else { continue };
            if subscription.vanished {
                if ends {
                    self.unsubscribe(at, now, channel);
                }
            } else if vanishes && subscription.attached {
                subscription.vanished = true;
                let user = &mut self.users.list[channel];
                (user.at, user.clean, user.leaving) = (None, false, None);
                note!(self, "{}: the user of channel {channel} vanishes", self.processes[at].id);
            } else if answers {
                let (key, written) = (subscription.key, subscription.position);
                let answered = std::mem::replace(&mut subscription.pinged, written);
                if let (Some(gateway), Some(answered)) = (process.member.as_mut().and_then(Member::front_mut), answered)
                {
                    gateway.confirm(key, answered);
                }
            }
        }
    }

    /// A gateway sheds its clients before it leaves.
    pub(crate) fn shed_clients(&mut self, at: usize, now: Now) {
        let channels: Vec<usize> = self.processes[at].clients.subscriptions.keys().copied().collect();
        for channel in channels {
            self.unsubscribe(at, now, channel);
        }
    }

    /// The process of these clients ended: nothing is known of what was open.
    pub(crate) fn client_ended(&mut self, at: usize) {
        let (time, boot) = (self.now, self.processes[at].boot);
        let incarnation = self.processes[at].incarnation;
        let clients = std::mem::take(&mut self.processes[at].clients);
        for (channel, subscription) in clients.subscriptions {
            self.checker.unsubscribed(subscription.session, time);
            if self.setup.channels[channel].is_inbox() && !subscription.vanished {
                let user = &mut self.users.list[channel];
                (user.at, user.clean) = (None, false);
                user.leaving = Some((at, boot - 1, incarnation, AttachId(0)));
            }
        }
        for user in &mut self.users.list {
            if user.leaving.is_some_and(|(process, ..)| process == at) {
                user.clean = false;
            }
        }
    }

    fn read_some(&mut self, at: usize, now: Now) {
        let channel = self.rng.below(self.setup.channels.len() as u64) as usize;
        let known = self.checker.acknowledged_top(channel);
        self.ask_page(at, now, None, Reading { channel, known, found: Vec::new() });
    }

    fn ask_page(&mut self, at: usize, now: Now, since: Option<Position>, reading: Reading) {
        let setup = &self.setup.channels[reading.channel];
        let (channel, options) = (setup.name.clone(), setup.options);
        let process = &mut self.processes[at];
        let Some(gateway) = process.member.as_mut().and_then(Member::front_mut) else { return };
        process.clients.next_query += 1;
        let token = QUERIES + process.clients.next_query;
        let since = since.map(|position| (position.offset, Some(position.epoch)));
        let query = HistoryQuery { channel, options, since, limit: 10_000, reverse: false };
        if gateway.query(now, token, Query::History(Box::new(query))).is_ok() {
            process.clients.queries.insert(token, reading);
        }
    }

    fn read_page(&mut self, at: usize, token: u64, page: HistoryPage) {
        let Some(mut reading) = self.processes[at].clients.queries.remove(&token) else { return };
        let ends = |found: &[(u64, Entry)]| found.last().map(|(offset, _)| *offset);
        let follows = |last: u64| page.publications.first().is_none_or(|(offset, _)| *offset == last + 1);
        if !ends(&reading.found).is_none_or(follows) {
            // What was read has been trimmed meanwhile.
            reading.found.clear();
        }
        let (top, more) = (page.top, page.more);
        reading.found.extend(page.publications);
        match ends(&reading.found).filter(|_| more) {
            Some(offset) => {
                let now = self.processes[at].clock(self.now);
                self.ask_page(at, now, Some(Position { offset, ..top }), reading);
            }
            None => {
                let Reading { channel, known, found: publications } = reading;
                self.watch_history(channel, known, &HistoryPage { top, publications, more });
            }
        }
    }

    fn next_event(&mut self, at: usize) -> Option<GatewayEvent> {
        self.processes[at].member.as_mut()?.front_mut()?.next_event()
    }

    /// What the gateway's rules tell its clients.
    pub(crate) fn client_events(&mut self, at: usize) {
        while let Some(event) = self.next_event(at) {
            match event {
                GatewayEvent::Published { token, result } => {
                    note!(self, "{}: publish {token} ends: {result:?}", self.processes[at].id);
                    if let Some(publication) = self.processes[at].clients.open.remove(&token) {
                        self.watch_published(publication, result);
                    }
                }
                GatewayEvent::Attached { channel, stream, from, .. } => self.attached(at, channel, stream, from),
                GatewayEvent::Deliver { channel, offset, entry } => self.delivered(at, channel, offset, &entry),
                // No limit is reached in this world.
                GatewayEvent::Refused { .. } => {}
                GatewayEvent::Lost { channel, at: position } => self.lost(at, channel, position),
                GatewayEvent::Answered { token, result: Ok(Answer::History(page)) } => {
                    self.read_page(at, token, page);
                }
                GatewayEvent::Answered { token, .. } => {
                    self.processes[at].clients.queries.remove(&token);
                }
                GatewayEvent::Detached(attach) => self.let_go(at, attach),
                GatewayEvent::Disconnect { .. } => {}
            }
        }
    }

    fn attached(&mut self, at: usize, key: ChannelKey, stream: Option<Position>, from: u64) {
        let process = &mut self.processes[at];
        let Some(channel) = process.clients.by_key.get(&key).copied() else { return };
        let Some(subscription) = process.clients.subscriptions.get_mut(&channel) else { return };
        subscription.attached = true;
        subscription.position = stream.map(|stream| Position { epoch: stream.epoch, offset: from });
        let (session, vanished) = (subscription.session, subscription.vanished);
        note!(self, "{}: channel {channel} attached at {stream:?} from {from}", self.processes[at].id);
        self.watch_attached(channel, session, stream, from, vanished);
    }

    fn delivered(&mut self, at: usize, key: ChannelKey, offset: u64, entry: &Entry) {
        let process = &mut self.processes[at];
        let Some(channel) = process.clients.by_key.get(&key).copied() else { return };
        let Some(subscription) = process.clients.subscriptions.get_mut(&channel) else { return };
        let (session, before) = (subscription.session, subscription.position);
        if let Some(position) = &mut subscription.position {
            position.offset = offset;
        }
        if self.sabotage == Some(Sabotage::ConfirmWrites)
            && let (Some(gateway), Some(written)) =
                (process.member.as_mut().and_then(Member::front_mut), subscription.position)
        {
            gateway.confirm(key, written);
        }
        if self.setup.channels[channel].is_inbox() && !subscription.vanished {
            self.users.list[channel].reached(subscription.position);
        }
        self.watch_delivered(at, channel, session, before, offset, entry);
    }

    fn lost(&mut self, at: usize, key: ChannelKey, position: Position) {
        let process = &mut self.processes[at];
        let Some(channel) = process.clients.by_key.get(&key).copied() else { return };
        let Some(subscription) = process.clients.subscriptions.get_mut(&channel) else { return };
        let before = subscription.position.replace(position);
        let of_user = self.setup.channels[channel].is_inbox() && !subscription.vanished;
        note!(self, "{}: channel {channel} lost from {before:?} to {position:?}", self.processes[at].id);
        self.watch_lost(channel, before, position);
        if of_user {
            self.watch_user(channel, position);
        }
    }
}
