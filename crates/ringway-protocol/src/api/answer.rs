//! What backends are answered.

use super::ApiError;
use crate::centrifuge::json::{self, history, presence, presence_stats, publications_size};
use crate::centrifuge::{ClientInfo, HistoryResult};
use crate::json::{Object, list, whole};

/// The result of a call that went well.
#[derive(Debug, Clone)]
pub enum Answer<'a> {
    /// Where the publication stands.
    Publish(PublishedAt<'a>),
    /// The same for each channel, in the order of the request.
    Broadcast(&'a [Result<PublishedAt<'a>, ApiError>]),
    /// Who is subscribed, each under the id of its connection.
    Presence(&'a [ClientInfo<'a>]),
    /// How many are subscribed: connections, and different users with the anonymous one counted as one.
    PresenceStats {
        /// Connections.
        clients: u32,
        /// Users.
        users: u32,
    },
    /// A part of a stream.
    History(&'a HistoryResult<'a>),
    /// It is done and there is nothing to tell.
    Done,
    /// The members that hold client connections.
    Info(&'a [NodeInfo<'a>]),
    /// Channels with the number of their subscribers.
    Channels(&'a [(&'a str, u64)]),
}

/// Where a publication stands in its stream. The default says "nowhere", for channels without history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PublishedAt<'a> {
    /// Its offset.
    pub offset: u64,
    /// The stream's epoch.
    pub epoch: &'a str,
}

/// One member, as the API describes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeInfo<'a> {
    /// Names this life of the member's process.
    pub uid: &'a str,
    /// The member's id.
    pub name: &'a str,
    /// The version of its software.
    pub version: &'a str,
    /// Connections.
    pub clients: u64,
    /// Different users, the anonymous one counted as one.
    pub users: u64,
    /// Channels with a subscriber.
    pub channels: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Seconds since the process started.
    pub uptime: u64,
}

/// Appends a result. Whoever answers puts it under a name: `result`, or that of the method in a batch.
pub fn result(out: &mut Vec<u8>, answer: &Answer<'_>) {
    whole(out, |o| fields(o, answer));
}

/// Appends an error as it stands in an answer: `{"error":{"code":…,"message":…}}`.
pub fn failure(out: &mut Vec<u8>, fault: ApiError) {
    whole(out, |o| error(o, fault));
}

/// Appends an error alone, as it is told where the status says that it is one.
pub fn bare_failure(out: &mut Vec<u8>, fault: ApiError) {
    whole(out, |o| error_fields(o, fault));
}

/// Appends a part of the result of `history`, as [`crate::centrifuge::json::history_part`] does for clients.
pub fn history_part(out: &mut Vec<u8>, page: &HistoryResult<'_>, is_first: bool, is_last: bool) {
    let write = |out: &mut Vec<u8>, publications| {
        result(out, &Answer::History(&HistoryResult { publications, ..*page }));
    };
    out.reserve(publications_size(page.publications));
    json::part(out, json::in_first_list, |out| write(out, &[]), |out| write(out, page.publications), is_first, is_last);
}

/// The same for `presence`.
pub fn presence_part(out: &mut Vec<u8>, subscribers: &[ClientInfo<'_>], is_first: bool, is_last: bool) {
    object_part(out, &Answer::Presence(subscribers), &Answer::Presence(&[]), is_first, is_last);
}

/// The same for `channels`.
pub fn channels_part(out: &mut Vec<u8>, channels: &[(&str, u64)], is_first: bool, is_last: bool) {
    object_part(out, &Answer::Channels(channels), &Answer::Channels(&[]), is_first, is_last);
}

fn object_part(out: &mut Vec<u8>, part: &Answer<'_>, empty: &Answer<'_>, is_first: bool, is_last: bool) {
    json::part(out, json::in_last_object, |out| result(out, empty), |out| result(out, part), is_first, is_last);
}

fn error(o: &mut Object<'_>, error: ApiError) {
    o.object("error", |o| error_fields(o, error));
}

fn error_fields(o: &mut Object<'_>, error: ApiError) {
    o.always_number("code", error.code().into());
    o.always_text("message", error.message());
}

fn fields(o: &mut Object<'_>, answer: &Answer<'_>) {
    match answer {
        Answer::Publish(at) => published(o, *at),
        Answer::Broadcast(responses) => list(o.key("responses"), responses, |out, response| {
            whole(out, |o| match response {
                Ok(at) => o.object("result", |o| published(o, *at)),
                Err(fault) => error(o, *fault),
            });
        }),
        Answer::Presence(subscribers) => presence(o, subscribers),
        Answer::PresenceStats { clients, users } => presence_stats(o, *clients, *users),
        Answer::History(result) => history(o, result),
        Answer::Done => {}
        Answer::Info(nodes) => list(o.key("nodes"), nodes, |out, node| whole(out, |o| info(o, node))),
        Answer::Channels(channels) => o.object("channels", |o| {
            for (channel, clients) in *channels {
                whole(o.foreign_key(channel), |o| o.always_number("num_clients", *clients));
            }
        }),
    }
}

fn published(o: &mut Object<'_>, at: PublishedAt<'_>) {
    o.number("offset", at.offset);
    o.text("epoch", at.epoch);
}

fn info(o: &mut Object<'_>, node: &NodeInfo<'_>) {
    o.always_text("uid", node.uid);
    o.always_text("name", node.name);
    o.always_text("version", node.version);
    o.always_number("num_clients", node.clients);
    o.always_number("num_users", node.users);
    o.always_number("num_channels", node.channels);
    o.always_number("uptime", node.uptime);
    o.always_number("num_subs", node.subscriptions);
}
