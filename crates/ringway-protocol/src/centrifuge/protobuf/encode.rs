//! From replies and pushes to bytes, appended to the caller's buffer. A message stands there without its length: the framing puts that
//! before it. The numbers are those of [`super::schema`].

use super::fields::Fields;
use crate::centrifuge::{
    ClientInfo, ConnectResult, ErrorReply, Expiry, HistoryResult, Publication, Push, Reply, Shape, Stored,
    SubscribePush, SubscribeResult,
};
use crate::dialect::Saying;
use crate::framing::Part;

/// Appends a saying; whether the protocol has words for it. A reply is written whole: its length stands before it, so it has no parts.
pub fn say(out: &mut Vec<u8>, saying: &Saying<'_>) -> bool {
    match saying {
        Saying::Publication(told) => {
            let stored = Stored::of(told.offset, told.entry);
            let publication = &Publication { shape: told.shape, ..stored.told(told.epoch.as_ref()) };
            out.reserve(told.entry.size() + told.channel.len() + FIELDS);
            push(out, &Push::Publication { channel: told.channel, publication });
        }
        Saying::Reply(id, said, Part::WHOLE) => reply(out, *id, said),
        Saying::Push(said) => push(out, said),
        // A ping is the empty message.
        Saying::Ping => {}
        Saying::Reply(..) | Saying::Plain(_) => return false,
    }
    true
}

/// About what the fields of a publication take beside its payload.
const FIELDS: usize = 128;

/// Appends the reply to command `id`.
pub fn reply(out: &mut Vec<u8>, id: u32, reply: &Reply<'_>) {
    let mut m = Fields::new(out);
    m.number(1, id.into());
    match reply {
        Reply::Error(fault) => m.message(2, |m| error(m, fault)),
        Reply::Connect(result) => m.message(5, |m| connect(m, result)),
        Reply::Subscribe(result) => m.message(6, |m| subscribe(m, result)),
        Reply::Unsubscribe => m.message(7, |_| {}),
        Reply::Publish => m.message(8, |_| {}),
        Reply::Presence(subscribers) => m.message(9, |m| presence(m, subscribers)),
        Reply::PresenceStats { clients, users } => m.message(10, |m| {
            m.number(1, (*clients).into());
            m.number(2, (*users).into());
        }),
        Reply::History(result) => m.message(11, |m| history(m, result)),
        Reply::Rpc(data) => m.message(13, |m| m.raw(1, data)),
        // Before its expiry stand the client's id and the server's version, which the client has.
        Reply::Refresh(end) => m.message(14, |m| expiry(m, 3, *end)),
        Reply::SubRefresh(end) => m.message(15, |m| expiry(m, 1, *end)),
    }
}

/// Appends a push. One encoding of a publication serves all subscribers of its channel.
pub fn push(out: &mut Vec<u8>, push: &Push<'_>) {
    Fields::new(out).message(4, |m| push_body(m, push));
}

fn push_body(m: &mut Fields<'_>, push: &Push<'_>) {
    match push {
        Push::Publication { channel, publication: published } => {
            m.text(2, channel);
            m.message(4, |m| publication(m, published));
        }
        Push::Join { channel, info } => {
            m.text(2, channel);
            m.message(5, |m| m.message(1, |m| client_info(m, info)));
        }
        Push::Leave { channel, info } => {
            m.text(2, channel);
            m.message(6, |m| m.message(1, |m| client_info(m, info)));
        }
        Push::Unsubscribe { channel, code, reason } => {
            m.text(2, channel);
            m.message(7, |m| {
                m.number(2, (*code).into());
                m.text(3, reason);
            });
        }
        Push::Message(data) => m.message(8, |m| m.raw(1, data)),
        Push::Subscribe { channel, subscription } => {
            m.text(2, channel);
            m.message(9, |m| subscribe_push(m, subscription));
        }
        Push::Disconnect { code, reason } => m.message(11, |m| {
            m.number(1, (*code).into());
            m.text(2, reason);
        }),
        Push::Refresh(end) => m.message(12, |m| expiry(m, 1, *end)),
    }
}

fn publication(m: &mut Fields<'_>, publication: &Publication<'_>) {
    let difference = if let Shape::Difference(told) = publication.shape { Some(told) } else { None };
    m.raw(4, difference.unwrap_or(publication.data));
    if let Some(info) = &publication.info {
        m.message(5, |m| client_info(m, info));
    }
    m.number(6, publication.offset);
    for (key, value) in &publication.tags {
        m.message(7, |m| {
            m.text(1, key);
            m.text(2, value);
        });
    }
    m.flag(8, difference.is_some());
    m.text(14, publication.epoch);
}

fn client_info(m: &mut Fields<'_>, info: &ClientInfo<'_>) {
    m.text(1, info.user);
    m.text(2, info.client);
    m.raw(3, info.conn_info);
    m.raw(4, info.chan_info);
}

fn presence(m: &mut Fields<'_>, subscribers: &[ClientInfo<'_>]) {
    for info in subscribers {
        m.message(1, |m| {
            m.text(1, info.client);
            m.message(2, |m| client_info(m, info));
        });
    }
}

fn history(m: &mut Fields<'_>, result: &HistoryResult<'_>) {
    for one in result.publications {
        m.message(1, |m| publication(m, one));
    }
    m.text(2, result.epoch);
    m.number(3, result.offset);
}

fn error(m: &mut Fields<'_>, error: &ErrorReply<'_>) {
    m.number(1, error.code.into());
    m.text(2, error.message);
    m.flag(3, error.temporary);
}

/// Whether something ends, in a field of this number, and in the next one after how many seconds.
fn expiry(m: &mut Fields<'_>, field: u32, expiry: Expiry) {
    if let Expiry::InSeconds(ttl) = expiry {
        m.flag(field, true);
        m.number(field + 1, ttl.into());
    }
}

fn connect(m: &mut Fields<'_>, result: &ConnectResult<'_>) {
    m.text(1, result.client);
    m.text(2, result.version);
    expiry(m, 3, result.expiry);
    m.raw(5, result.data);
    for (channel, subscription) in &result.subs {
        m.message(6, |m| {
            m.text(1, channel);
            m.message(2, |m| subscribe(m, subscription));
        });
    }
    m.number(7, result.ping.into());
    m.flag(8, result.pong);
    m.text(9, result.session);
    m.text(10, result.node);
}

fn subscribe(m: &mut Fields<'_>, result: &SubscribeResult<'_>) {
    expiry(m, 1, result.expiry);
    m.flag(3, result.recoverable);
    m.text(6, result.epoch);
    for one in result.publications {
        m.message(7, |m| publication(m, one));
    }
    m.flag(8, result.recovered);
    m.number(9, result.offset);
    m.flag(10, result.positioned);
    m.raw(11, result.data);
    m.flag(12, result.was_recovering);
    m.flag(13, result.delta);
}

fn subscribe_push(m: &mut Fields<'_>, subscription: &SubscribePush<'_>) {
    m.flag(1, subscription.recoverable);
    m.text(4, subscription.epoch);
    m.number(5, subscription.offset);
    m.flag(6, subscription.positioned);
    m.raw(7, subscription.data);
}
