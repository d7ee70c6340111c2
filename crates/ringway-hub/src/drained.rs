//! The order that deliveries depend on, kept by the compiler: what the rules have delivered is handed on to those who were there, before
//! anybody comes, goes, or is told something new.

use ringway_core::gateway::{ChannelKey, Event};
use ringway_core::timing::Now;

use super::input::ClientInput;
use super::posts::Posted;
use super::{Hub, Socket};

/// A hub whose rules have nothing more to tell. Only so can it be changed from outside: whatever begins such a change is a method of this,
/// there is no other way to one than [`Hub::drain`], and one serves for one change.
#[derive(Debug)]
pub(super) struct Drained<'a, S> {
    hub: &'a mut Hub<S>,
}

impl<'a, S: Socket> Drained<'a, S> {
    /// The hub, for the one change that this is for.
    pub(super) fn into_hub(self) -> &'a mut Hub<S> {
        self.hub
    }

    /// Works off one input.
    pub(super) fn take(self, now: Now, input: ClientInput<S>) {
        match input {
            ClientInput::Opened { ticket, socket, protocol, client } => {
                self.open(now, &ticket, socket, protocol, client);
            }
            ClientInput::Commands(ticket, commands) => self.on_commands(now, ticket.session(), commands),
            ClientInput::Said(ticket, user, data) => self.on_said(now, ticket.session(), &user, &data),
            ClientInput::Puzzled(ticket) => self.on_puzzled(ticket.session()),
            ClientInput::Room(ticket) => self.on_room(&ticket),
            ClientInput::Ponged(ticket, number) => self.on_ponged(ticket.session(), number),
            ClientInput::Closed(ticket) => self.on_closed(&ticket),
            ClientInput::Call(call) => self.on_call(now, call),
        }
    }

    /// Ends a turn for the channels whose sessions changed. A detach frees a key that an event might still name, so none may be left.
    pub(super) fn settle(self, now: Now) -> &'a mut Hub<S> {
        let hub = self.hub;
        for key in hub.audience.take_listed() {
            let Some(channel) = hub.audience.get_mut(key) else { continue };
            let sessions = channel.sessions();
            let changes = channel.changes.take();
            let is_fresh = std::mem::take(&mut channel.is_fresh);
            if sessions == 0 {
                hub.detach(now, key);
            } else if let Some(changes) = changes.filter(|_| !is_fresh) {
                hub.tell_changes(key, *changes);
            }
        }
        hub.tell_comings(now);
        hub.part_from_others();
        hub.end_broken();
        hub
    }
}

impl<S: Socket> Hub<S> {
    /// Hands on what the rules have to tell.
    pub(super) fn drain(&mut self, now: Now) -> Drained<'_, S> {
        while let Some(event) = self.rules.next_event() {
            match event {
                Event::Attached { channel, stream, from, users } => self.on_attached(now, channel, stream, from, users),
                Event::Refused { channel } => self.on_refused(now, channel),
                Event::Deliver { channel, offset, entry } => self.on_deliver(channel, offset, &entry),
                Event::Lost { channel, at } => self.on_lost(channel, at),
                Event::Detached(attach) => self.on_detached(attach),
                Event::Published { token, result } => self.on_published(token, result),
                Event::Answered { token, result } => self.on_answered(now, token, result),
                Event::Order { from, order } => {
                    self.on_order(now, &order);
                    self.rules.obeyed(from);
                }
                Event::Posted { from, post } => self.posts.push(Posted { from, post }),
            }
        }
        Drained { hub: self }
    }

    fn detach(&mut self, now: Now, key: ChannelKey) {
        self.audience.remove(self.rules.channel_name(key), key);
        let word = self.rules.detach(now, key);
        self.await_word(key, word);
    }
}
