//! A session joins a channel: at which offset it begins to listen, and what it is told before.
//!
//! Clients neither drop what they have seen nor notice a gap, so every session must be told exactly what follows the
//! position it was answered. A channel has one position here, that of the last delivery; whoever joins begins there, or
//! later if it was told more than has been delivered.

use std::borrow::Cow;

use ringway_core::gateway::{ChannelKey, QueryError};
use ringway_core::id::StreamEpoch;
use ringway_core::message::{Answer, Entry, Happening, HistoryPage, Presence};
use ringway_core::timing::Now;
use ringway_core::{ChannelName, Position};
use ringway_protocol::centrifuge::{
    Disconnect, ErrorCode, Publication, Push, Reply, Shape, Stored, SubscribePush, SubscribeResult,
};
use ringway_protocol::dialect::{Placed, Saying};

use super::asked::query_fault;
use super::channel::{Ahead, Channel, Newcomer, PAGES};
use super::command::Seen;
use super::connect::expiry;
use super::keys::SessionKey;
use super::session::{Session, Sub};
use super::wish::{Terms, Wish};
use super::{Hub, Socket};

/// Publications with their places.
pub(super) type Told<'a> = Cow<'a, [(u64, Entry)]>;

/// How a session begins.
#[derive(Debug, Default)]
pub(super) struct Start<'a> {
    /// The stream's epoch and the offset after which the session listens; `None` without history.
    pub(super) at: Option<Position>,
    /// All that was missed up to there; `None` if nothing was to be recovered, or could be.
    pub(super) recovered: Option<Told<'a>>,
    /// Of an inbox: what nobody has confirmed up to there, and after which offset that begins.
    pub(super) unread: Option<(u64, Told<'a>)>,
    /// What follows is not live yet: the session is told further pages first.
    pub(super) is_behind: bool,
}

impl<S: Socket> Hub<S> {
    /// Takes a session into a channel. It is told as its wish says, perhaps only when the owner has answered.
    pub(super) fn join(&mut self, now: Now, key: SessionKey, name: ChannelName, mut wish: Wish) {
        let (maker, is_positioned) = (wish.maker(), wish.terms().positioned);
        let special = wish.take_special();
        let channel = self.channel_of(now, name);
        self.audience.list(channel);
        let Some(session) = self.roster.get_mut(key) else { return };
        session.subs.push(Sub { channel, place: Sub::ON_THE_WAY, maker, is_granted: false, is_positioned });
        self.counts.subscriptions += 1;
        if let Some(grant) = wish.grant() {
            self.keep_grant(now, key, channel, grant);
        }
        let has_presence = self.rules.channel_options(channel).is_some_and(|options| options.presence);
        let Some(entry) = self.audience.get_mut(channel) else { return };
        entry.specials.set(key, special);
        if !entry.is_fresh {
            entry.changes.get_or_insert_default().joined.extend(has_presence.then_some(key));
        }
        let newcomer = Newcomer { session: key, wish, page: None, pages: 0, unread: None, held: Vec::new() };
        match entry.is_attached {
            true => self.admit(now, channel, newcomer, None),
            false => entry.transit_mut().newcomers.push(newcomer),
        }
    }

    /// The channel's key, attached if it was not.
    fn channel_of(&mut self, now: Now, name: ChannelName) -> ChannelKey {
        if let Some(key) = self.audience.key_of(&name) {
            return key;
        }
        let options = self.config.options(&name);
        let key = self.rules.attach(now, name.clone(), options);
        self.audience.insert(name, key, Channel { is_fresh: true, ..Channel::default() });
        key
    }

    /// The owner's first answer: those who came meanwhile are let in. What waits in an inbox is for all of them.
    pub(super) fn on_attached(&mut self, now: Now, key: ChannelKey, stream: Option<Position>, from: u64, users: u64) {
        let Some(channel) = self.audience.get_mut(key) else { return };
        channel.is_attached = true;
        channel.position = stream.map(|stream| Position { epoch: stream.epoch, offset: from });
        let mut newcomers = std::mem::take(&mut channel.transit_mut().newcomers).into_iter();
        if let Some(first) = newcomers.next() {
            self.admit(now, key, first, Some(users));
        }
        if let Some(channel) = self.audience.get_mut(key) {
            channel.attach_top = stream.map_or(0, |stream| stream.offset);
            channel.tidy();
        }
        for newcomer in newcomers {
            self.admit(now, key, newcomer, Some(users));
        }
    }

    /// The owner has no room for the channel: whoever waits for it is told to try again later.
    pub(super) fn on_refused(&mut self, now: Now, key: ChannelKey) {
        let Some(channel) = self.audience.get_mut(key) else { return };
        for newcomer in std::mem::take(&mut channel.transit_mut().newcomers) {
            self.counts.refused.full += 1;
            self.turn_away(now, key, newcomer, ErrorCode::TooManyRequests);
        }
    }

    /// Lets a newcomer in, or asks for what it has missed.
    fn admit(&mut self, now: Now, key: ChannelKey, newcomer: Newcomer, users: Option<u64>) {
        let Some(channel) = self.audience.get(key) else { return };
        let Some(position) = channel.position else {
            return self.welcome(now, key, newcomer, Start::default(), users);
        };
        let terms = newcomer.wish.terms();
        let seen = newcomer.wish.recover().filter(|_| terms.recoverable);
        match seen.filter(|seen| terms.is_cache || seen.is_in(position.epoch)) {
            Some(seen) if seen.offset == position.offset && seen.is_in(position.epoch) => {
                let recovered = Some(Cow::Borrowed(&[][..]));
                let start = Start { at: Some(position), recovered, ..Start::default() };
                self.welcome(now, key, newcomer, start, users);
            }
            Some(_) => self.await_page(key, newcomer),
            None => self.start_anew(now, key, newcomer, users),
        }
    }

    /// Lets a newcomer in that recovers nothing: at the position, or, in an inbox, after what its user has confirmed. What
    /// lies between was written to another session, which may be of a device that is not there any more.
    pub(super) fn start_anew(&mut self, now: Now, key: ChannelKey, newcomer: Newcomer, users: Option<u64>) {
        let Some(position) = self.audience.get(key).and_then(|channel| channel.position) else { return };
        let confirmed = self.rules.confirmed(key);
        let after = confirmed.filter(|after| after.epoch == position.epoch && after.offset < position.offset);
        let Some(after) = after else {
            let start = Start { at: Some(position), ..Start::default() };
            return self.welcome(now, key, newcomer, start, users);
        };
        self.await_page(key, Newcomer { unread: Some(after), ..newcomer });
    }

    /// The first page of what nobody has confirmed came, or none. The rest follows as the socket takes it.
    pub(super) fn on_unread(
        &mut self,
        now: Now,
        key: ChannelKey,
        newcomer: Newcomer,
        result: Result<Answer, QueryError>,
    ) {
        let Some(position) = self.audience.get(key).and_then(|channel| channel.position) else { return };
        let page = match result {
            Ok(Answer::History(page)) => page,
            // The owner is away, and the newcomer waits for it, as the first one would. Meanwhile the channel may have come to stand in
            // another stream, of which the newcomer has seen something.
            Err(QueryError::TimedOut) => return self.admit(now, key, Newcomer { unread: None, ..newcomer }, None),
            Ok(_) => return self.turn_away(now, key, newcomer, ErrorCode::Internal),
            Err(error) => return self.turn_away(now, key, newcomer, query_fault(error)),
        };
        let Some(after) = newcomer.unread else { return };
        let newcomer = Newcomer { unread: None, ..newcomer };
        if page.top.epoch != after.epoch || page.top.epoch != position.epoch {
            // The stream was lost while the page was asked for, or is yet to be. The newcomer may have seen something of the new one.
            return match newcomer.pages < PAGES {
                true => self.admit(now, key, newcomer, None),
                false => self.turn_away(now, key, newcomer, ErrorCode::Internal),
            };
        }
        let (unread, told) = (unread_of(&page, after.offset), told_by(&page, after.offset));
        // Above the page's top, a later owner has what this one lacked.
        let is_behind = told < position.offset.max(page.top.offset);
        let at = Some(Position { offset: told, ..page.top });
        let unread = Some((after.offset, Cow::Borrowed(unread)));
        self.welcome(now, key, newcomer, Start { at, unread, is_behind, recovered: None }, None);
    }

    /// Tells a newcomer where it begins, and lets it listen from there.
    pub(super) fn welcome(
        &mut self,
        now: Now,
        key: ChannelKey,
        mut newcomer: Newcomer,
        start: Start<'_>,
        users: Option<u64>,
    ) {
        let session = newcomer.session;
        if let Some(channel) = self.audience.get_mut(key) {
            channel.tidy();
        }
        let start = self.filtered(key, session, start);
        let was_recovering = newcomer.wish.recover().is_some();
        match (was_recovering, start.recovered.is_some()) {
            (true, true) => self.counts.recovered += 1,
            (true, false) => self.counts.not_recovered += 1,
            (false, _) => {}
        }
        // Where nothing is promised, nothing can fail to be recovered: the client gets its subscription, or it would ask for ever.
        let is_lost = newcomer.wish.terms().recoverable && was_recovering && start.recovered.is_none();
        match &newcomer.wish {
            Wish::Subscribe { rejects_unrecovered: true, .. } if is_lost => {
                return self.turn_away(now, key, newcomer, ErrorCode::UnrecoverablePosition);
            }
            Wish::Subscribe { id, .. } => self.answer_subscribe(key, *id, &newcomer, &start),
            Wish::Connect { .. } => return self.make_ready(now, key, newcomer, start),
            Wish::Order { .. } => self.tell_subscribed(key, &newcomer, &start),
            Wish::Greeting => self.greet(session, key, users),
        }
        let held = std::mem::take(&mut newcomer.held);
        self.enter(key, session, &start);
        self.go_on(now, session, held);
    }

    /// The same, without what the session does not want to be told.
    fn filtered<'a>(&self, key: ChannelKey, session: SessionKey, mut start: Start<'a>) -> Start<'a> {
        let Some(channel) = self.audience.get(key).filter(|channel| !channel.specials.is_empty()) else { return start };
        let wants = |(_, entry): &&(u64, Entry)| channel.specials.lets(session, entry);
        let recovered = start.recovered.take();
        start.recovered = recovered.map(|recovered| Cow::Owned(recovered.iter().filter(wants).cloned().collect()));
        start
    }

    fn answer_subscribe(&mut self, key: ChannelKey, id: u32, newcomer: &Newcomer, start: &Start<'_>) {
        let wish = &newcomer.wish;
        let shape =
            self.audience.get(key).map(|channel| channel.specials.shape_of(newcomer.session)).unwrap_or_default();
        let kept = start.kept();
        let mut publications = start.told(&kept);
        publications.iter_mut().for_each(|publication| publication.shape = shape);
        let result = SubscribeResult {
            delta: shape == Shape::Whole,
            expiry: expiry(wish.grant().and_then(|grant| grant.lifetime)),
            data: wish.data().map(|data| &data[..]).unwrap_or_default(),
            ..start.result(wish.terms(), wish.recover(), &publications)
        };
        self.reply(newcomer.session, id, &Reply::Subscribe(&result));
    }

    /// Tells a client what the server has subscribed it to; what it has missed of that follows as publications.
    fn tell_subscribed(&mut self, key: ChannelKey, newcomer: &Newcomer, start: &Start<'_>) {
        let Some(name) = self.rules.channel_name(key).cloned() else { return };
        let wish = &newcomer.wish;
        let data = wish.data().map(|data| &data[..]).unwrap_or_default();
        let result = start.result(wish.terms(), wish.recover(), &[]);
        let SubscribeResult { recoverable, positioned, epoch, offset, .. } = result;
        let subscription = SubscribePush { recoverable, epoch, offset, positioned, data };
        self.say(newcomer.session, &Saying::Push(Push::Subscribe { channel: name.as_str(), subscription }));
        let epoch = start.at.map(|at| at.epoch);
        let recovered = start.recovered.as_deref().unwrap_or_default();
        for (offset, entry) in recovered {
            let placed = Placed { channel: name.as_str(), epoch, offset: *offset, entry, shape: Shape::Plain };
            self.say(newcomer.session, &Saying::Publication(placed));
        }
        self.counts.deliveries += recovered.len() as u64;
    }

    /// A session that was told where it begins begins.
    pub(super) fn enter(&mut self, key: ChannelKey, session: SessionKey, start: &Start<'_>) {
        if let Some((_, unread)) = &start.unread {
            self.hand_on(key, session, unread);
        }
        match start.at {
            Some(at) if start.is_behind => self.let_follow(key, session, at.offset, start.unread.is_some()),
            at => self.let_listen(key, session, at),
        }
        self.announce(session, key, Happening::Join);
        let was_told = start.recovered.as_ref().is_some_and(|recovered| !recovered.is_empty());
        if was_told && self.rules.confirmed(key).is_some() {
            self.must_prove(session);
        }
    }

    pub(super) fn let_listen(&mut self, key: ChannelKey, session: SessionKey, at: Option<Position>) {
        let Some(channel) = self.audience.get_mut(key) else { return };
        let (after, position) = (at.map_or(0, |at| at.offset), channel.position.map_or(0, |position| position.offset));
        if after > position {
            return channel.transit_mut().ahead.push(Ahead { session, after });
        }
        let place = channel.listeners.len() as u32;
        channel.listeners.push(session);
        self.roster.set_place(session, key, place);
    }

    /// A newcomer cannot be let in.
    pub(super) fn turn_away(&mut self, now: Now, key: ChannelKey, newcomer: Newcomer, error: ErrorCode) {
        let session = newcomer.session;
        self.forget_sub(session, key);
        match newcomer.wish {
            Wish::Subscribe { id, .. } => self.refuse(session, id, error),
            Wish::Connect { .. } | Wish::Greeting => self.close(session, Disconnect::InternalServerError),
            // Nobody waits for it but the backend, which was told that the order is carried out.
            Wish::Order { .. } => self.close(session, Disconnect::InsufficientState),
        }
        self.go_on(now, session, newcomer.held);
    }
}

impl Start<'_> {
    pub(super) fn kept(&self) -> Vec<Stored<'_>> {
        let recovered = self.recovered.as_deref().unwrap_or_default();
        recovered.iter().map(|(offset, entry)| Stored::of(*offset, entry)).collect()
    }

    pub(super) fn told<'b>(&'b self, kept: &'b [Stored<'_>]) -> Vec<Publication<'b>> {
        let epoch = self.at.as_ref().map(|at| &at.epoch);
        kept.iter().map(|stored| stored.told(epoch)).collect()
    }

    /// What a subscriber is answered. With everything recovered, the offset is the one it came with: the publications
    /// carry it forward.
    pub(super) fn result<'b>(
        &'b self,
        terms: Terms,
        recover: Option<&Seen>,
        publications: &'b [Publication<'b>],
    ) -> SubscribeResult<'b> {
        let was_recovering = recover.is_some();
        let Some(at) = self.at.as_ref().filter(|_| terms.positioned) else {
            return SubscribeResult { was_recovering, ..SubscribeResult::default() };
        };
        let recovered = self.recovered.is_some();
        let start = self.unread.as_ref().map_or(at.offset, |(after, _)| *after);
        let offset = recover.filter(|_| recovered).map_or(start, |seen| seen.offset);
        SubscribeResult {
            recoverable: terms.recoverable,
            positioned: true,
            epoch: at.epoch.as_str(),
            offset,
            publications,
            recovered,
            was_recovering,
            ..SubscribeResult::default()
        }
    }
}

/// What a page has of an inbox that comes after an offset.
pub(super) fn unread_of(page: &HistoryPage, after: u64) -> &[(u64, Entry)] {
    let begin = page.publications.partition_point(|(offset, _)| *offset <= after);
    let end = page.publications.partition_point(|(offset, _)| *offset <= page.top.offset);
    page.publications.get(begin..end).unwrap_or_default()
}

/// Up to where somebody was told by that. Without anything in it, the rest up to the page's top is gone.
pub(super) fn told_by(page: &HistoryPage, after: u64) -> u64 {
    unread_of(page, after).last().map_or(page.top.offset.max(after), |(offset, _)| *offset)
}

impl Seen {
    /// The position may be one of this stream.
    pub(super) fn is_in(&self, epoch: StreamEpoch) -> bool {
        self.epoch.is_empty() || *self.epoch == *epoch.as_str()
    }
}

/// How others see a session in a channel.
pub(super) fn presence_of<S>(session: &Session<S>) -> Presence {
    Presence {
        client: session.client.as_u128(),
        user: session.user_name().into(),
        conn_info: session.info.as_deref().cloned(),
        chan_info: None,
    }
}
