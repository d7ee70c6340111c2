//! From replies and pushes to bytes, appended to the caller's buffer. What is empty is left out, except where the
//! protocol says otherwise; fields stand in the order of its schema.

use std::borrow::Cow;

use crate::centrifuge::{
    ClientInfo, ConnectResult, ErrorReply, Expiry, HistoryResult, Publication, Push, Reply, Shape, Stored,
    SubscribePush, SubscribeResult,
};
use crate::dialect::Saying;
use crate::framing::Part;
use crate::json::{Object, list, whole};

/// Appends a saying; whether the protocol has words for it.
pub fn say(out: &mut Vec<u8>, saying: &Saying<'_>) -> bool {
    match saying {
        Saying::Publication(told) => {
            let stored = Stored::of(told.offset, told.entry);
            let publication = &Publication { shape: told.shape, ..stored.told(told.epoch.as_ref()) };
            push(out, &Push::Publication { channel: told.channel, publication });
        }
        Saying::Reply(id, said, part) => return reply_part(out, *id, said, *part),
        Saying::Push(said) => push(out, said),
        Saying::Ping => ping(out),
        Saying::Plain(_) => return false,
    }
    true
}

/// The same for a client that only listens: pushes without their wrapping, and the reply to its connect as one of them. Other replies are not
/// for it.
pub fn say_one_way(out: &mut Vec<u8>, saying: &Saying<'_>) -> bool {
    match saying {
        Saying::Publication(told) => {
            let stored = Stored::of(told.offset, told.entry);
            let publication = &Publication { shape: told.shape, ..stored.told(told.epoch.as_ref()) };
            whole(out, |o| push_body(o, &Push::Publication { channel: told.channel, publication }));
        }
        Saying::Reply(_, Reply::Connect(result), Part::WHOLE) => {
            whole(out, |o| o.object("connect", |o| connect(o, result)));
        }
        Saying::Push(said) => whole(out, |o| push_body(o, said)),
        Saying::Ping => ping(out),
        Saying::Reply(..) | Saying::Plain(_) => return false,
    }
    true
}

/// Appends a part of a reply; whether replies of this kind come in parts, if it is not the whole one.
fn reply_part(out: &mut Vec<u8>, id: u32, said: &Reply<'_>, part: Part) -> bool {
    let Part { is_first, is_last } = part;
    match said {
        said if part == Part::WHOLE => reply(out, id, said),
        Reply::History(result) => history_part(out, id, result, is_first, is_last),
        Reply::Presence(infos) => presence_part(out, id, infos, is_first, is_last),
        _ => return false,
    }
    true
}

/// Appends the server's ping.
pub fn ping(out: &mut Vec<u8>) {
    out.extend_from_slice(b"{}");
}

/// Appends the reply to command `id`. Between the messages of a frame the caller puts a newline: payloads are compact, so none stands inside of one.
pub fn reply(out: &mut Vec<u8>, id: u32, reply: &Reply<'_>) {
    whole(out, |o| {
        o.number("id", id.into());
        match reply {
            Reply::Error(fault) => o.object("error", |o| error(o, fault)),
            Reply::Connect(result) => o.object("connect", |o| connect(o, result)),
            Reply::Subscribe(result) => o.object("subscribe", |o| subscribe(o, result)),
            Reply::Unsubscribe => o.object("unsubscribe", |_| {}),
            Reply::Publish => o.object("publish", |_| {}),
            Reply::Presence(subscribers) => o.object("presence", |o| presence(o, subscribers)),
            Reply::PresenceStats { clients, users } => {
                o.object("presence_stats", |o| presence_stats(o, *clients, *users));
            }
            Reply::History(result) => o.object("history", |o| history(o, result)),
            Reply::Rpc(data) => o.object("rpc", |o| o.raw("data", data)),
            Reply::Refresh(end) => o.object("refresh", |o| expiry(o, *end)),
            Reply::SubRefresh(end) => o.object("sub_refresh", |o| expiry(o, *end)),
        }
    });
}

/// Appends a part of the reply to a history command, for an answer that is too long to be made at once: the parts of one
/// reply, one after the other, are what [`reply`] writes for all of their publications.
pub fn history_part(out: &mut Vec<u8>, id: u32, result: &HistoryResult<'_>, is_first: bool, is_last: bool) {
    let write = |out: &mut Vec<u8>, publications| {
        reply(out, id, &Reply::History(&HistoryResult { publications, ..*result }));
    };
    out.reserve(publications_size(result.publications));
    part(out, in_first_list, |out| write(out, &[]), |out| write(out, result.publications), is_first, is_last);
}

/// Appends a part of the reply to a presence command, in the same way.
pub fn presence_part(out: &mut Vec<u8>, id: u32, subscribers: &[ClientInfo<'_>], is_first: bool, is_last: bool) {
    let write = |out: &mut Vec<u8>, subscribers| reply(out, id, &Reply::Presence(subscribers));
    part(out, in_last_object, |out| write(out, &[]), |out| write(out, subscribers), is_first, is_last);
}

/// About how many bytes publications take, so that a buffer for them need not grow.
pub(crate) fn publications_size(publications: &[Publication<'_>]) -> usize {
    const FIELDS: usize = 128;
    publications.iter().map(|one| FIELDS + one.data.len() + one.tags.len()).sum::<usize>() + FIELDS
}

/// Where the elements of a text's first list begin. No bracket stands before the list.
pub(crate) fn in_first_list(text: &[u8]) -> Option<usize> {
    text.iter().position(|byte| *byte == b'[').map(|at| at + 1)
}

/// Where the members of the object begin that a text ends with. Nothing stands behind it but brackets.
pub(crate) fn in_last_object(text: &[u8]) -> Option<usize> {
    text.iter().rposition(|byte| *byte == b'{').map(|at| at + 1)
}

/// Appends a part of a text whose elements or members are told in parts: `whole` writes it with those of this part, `frame` without any, and
/// `begin` finds where in that they go. The text is written where it stays, and what other parts say of it is cut off: parts are large.
pub(crate) fn part(
    out: &mut Vec<u8>,
    begin: fn(&[u8]) -> Option<usize>,
    frame: impl FnOnce(&mut Vec<u8>),
    whole: impl FnOnce(&mut Vec<u8>),
    is_first: bool,
    is_last: bool,
) {
    let mut empty = Vec::new();
    frame(&mut empty);
    let head = begin(&empty).unwrap_or(0);
    let start = out.len();
    whole(out);
    let is_empty = out.len() - start == empty.len();
    if !is_last {
        out.truncate(out.len() - (empty.len() - head));
    }
    if !is_first {
        let comma = (!is_empty).then_some(b',');
        out.splice(start..start + head, comma);
    }
}

/// Appends a push. One encoding of a publication serves all subscribers of its channel.
pub fn push(out: &mut Vec<u8>, push: &Push<'_>) {
    whole(out, |o| o.object("push", |o| push_body(o, push)));
}

fn push_body(o: &mut Object<'_>, push: &Push<'_>) {
    match push {
        Push::Publication { channel, publication: published } => {
            o.text("channel", channel);
            publication(o.key("pub"), published);
        }
        Push::Join { channel, info } => {
            o.text("channel", channel);
            o.object("join", |o| client_info(o.key("info"), info));
        }
        Push::Leave { channel, info } => {
            o.text("channel", channel);
            o.object("leave", |o| client_info(o.key("info"), info));
        }
        Push::Unsubscribe { channel, code, reason } => {
            o.text("channel", channel);
            o.object("unsubscribe", |o| code_and_reason(o, *code, reason));
        }
        Push::Subscribe { channel, subscription } => {
            o.text("channel", channel);
            o.object("subscribe", |o| subscribe_push(o, subscription));
        }
        Push::Message(data) => o.object("message", |o| o.raw("data", data)),
        Push::Refresh(end) => o.object("refresh", |o| expiry(o, *end)),
        Push::Disconnect { code, reason } => o.object("disconnect", |o| code_and_reason(o, *code, reason)),
    }
}

/// Appends a publication as an object.
fn publication(out: &mut Vec<u8>, publication: &Publication<'_>) {
    whole(out, |o| {
        let data = match publication.is_opaque {
            true => crate::json::told(publication.data),
            false => Cow::Borrowed(publication.data),
        };
        match publication.shape {
            Shape::Plain => o.raw("data", &data),
            Shape::Whole => o.always_text("data", std::str::from_utf8(&data).unwrap_or_default()),
            Shape::Difference(told) => o.always_text("data", std::str::from_utf8(told).unwrap_or_default()),
        }
        if let Some(info) = &publication.info {
            client_info(o.key("info"), info);
        }
        o.number("offset", publication.offset);
        if !publication.tags.is_empty() {
            o.object("tags", |o| {
                for (key, value) in &publication.tags {
                    crate::json::string(o.foreign_key(key), value);
                }
            });
        }
        o.flag("delta", matches!(publication.shape, Shape::Difference(_)));
        o.text("epoch", publication.epoch);
    });
}

/// Appends a client's description as an object; user and client are there even if empty.
fn client_info(out: &mut Vec<u8>, info: &ClientInfo<'_>) {
    whole(out, |o| {
        o.always_text("user", info.user);
        o.always_text("client", info.client);
        o.raw("conn_info", info.conn_info);
        o.raw("chan_info", info.chan_info);
    });
}

/// The body of a presence result, here and in the server API.
pub(crate) fn presence(o: &mut Object<'_>, subscribers: &[ClientInfo<'_>]) {
    o.object("presence", |o| {
        for info in subscribers {
            client_info(o.foreign_key(info.client), info);
        }
    });
}

/// The body of a presence_stats result, here and in the server API.
pub(crate) fn presence_stats(o: &mut Object<'_>, clients: u32, users: u32) {
    o.always_number("num_clients", clients.into());
    o.always_number("num_users", users.into());
}

/// The body of a history result, here and in the server API.
pub(crate) fn history(o: &mut Object<'_>, result: &HistoryResult<'_>) {
    list(o.key("publications"), result.publications, publication);
    o.always_text("epoch", result.epoch);
    o.always_number("offset", result.offset);
}

fn error(o: &mut Object<'_>, error: &ErrorReply<'_>) {
    o.always_number("code", error.code.into());
    o.text("message", error.message);
    o.flag("temporary", error.temporary);
}

fn expiry(o: &mut Object<'_>, expiry: Expiry) {
    if let Expiry::InSeconds(ttl) = expiry {
        o.flag("expires", true);
        o.number("ttl", ttl.into());
    }
}

fn connect(o: &mut Object<'_>, result: &ConnectResult<'_>) {
    o.text("client", result.client);
    o.text("version", result.version);
    expiry(o, result.expiry);
    o.raw("data", result.data);
    if !result.subs.is_empty() {
        o.object("subs", |o| {
            for (channel, subscription) in &result.subs {
                whole(o.foreign_key(channel), |o| subscribe(o, subscription));
            }
        });
    }
    o.number("ping", result.ping.into());
    o.flag("pong", result.pong);
    o.text("session", result.session);
    o.text("node", result.node);
}

fn subscribe(o: &mut Object<'_>, result: &SubscribeResult<'_>) {
    expiry(o, result.expiry);
    o.flag("recoverable", result.recoverable);
    o.text("epoch", result.epoch);
    if !result.publications.is_empty() {
        list(o.key("publications"), result.publications, publication);
    }
    o.flag("recovered", result.recovered);
    o.number("offset", result.offset);
    o.flag("positioned", result.positioned);
    o.raw("data", result.data);
    o.flag("was_recovering", result.was_recovering);
    o.flag("delta", result.delta);
}

fn subscribe_push(o: &mut Object<'_>, subscription: &SubscribePush<'_>) {
    o.flag("recoverable", subscription.recoverable);
    o.text("epoch", subscription.epoch);
    o.number("offset", subscription.offset);
    o.flag("positioned", subscription.positioned);
    o.raw("data", subscription.data);
}

fn code_and_reason(o: &mut Object<'_>, code: u16, reason: &str) {
    o.number("code", code.into());
    o.text("reason", reason);
}
