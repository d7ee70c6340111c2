//! The hub's facts as the bodies of the server API.

use axum::body::Bytes;
use ringway_core::message::{HistoryPage, Presence};
use ringway_core::{ChannelName, Position};
use ringway_hub::{ApiAnswer, MemberInfo};
use ringway_protocol::api::{self, Answer, ApiError, NodeInfo, PublishedAt};
use ringway_protocol::centrifuge::{HistoryResult, Publication, Stored, with_infos};

use super::reply::Reply;

/// The version that members of one build say they have.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a call was answered.
pub(super) fn answer(answer: &ApiAnswer) -> Reply {
    match answer {
        ApiAnswer::Published(at) => whole(&Answer::Publish(published(at.as_ref()))),
        ApiAnswer::Broadcast(results) => {
            let responses: Vec<_> = results.iter().map(broadcast_part).collect();
            whole(&Answer::Broadcast(&responses))
        }
        ApiAnswer::PresenceStats(clients, users) => whole(&Answer::PresenceStats { clients: *clients, users: *users }),
        ApiAnswer::Done => whole(&Answer::Done),
        ApiAnswer::Info(members) => info(members),
        ApiAnswer::Failed(error) => Reply::Failed(*error),
        // The server API asks for no sessions, and pages are told in parts.
        ApiAnswer::Overloaded
        | ApiAnswer::Users(..)
        | ApiAnswer::Posted(_)
        | ApiAnswer::Sightings(..)
        | ApiAnswer::Online(..)
        | ApiAnswer::History(_)
        | ApiAnswer::Presence(_)
        | ApiAnswer::Channels(..) => Reply::Failed(ApiError::Internal),
    }
}

/// A part of a history that is told in parts.
pub(super) fn history_part(page: &HistoryPage, top: Position, is_first: bool, is_last: bool) -> Bytes {
    let kept: Vec<Stored<'_>> = page.publications.iter().map(|(offset, entry)| Stored::of(*offset, entry)).collect();
    let publications: Vec<Publication<'_>> = kept.iter().map(Stored::publication).collect();
    let result = HistoryResult { publications: &publications, epoch: top.epoch.as_str(), offset: top.offset };
    let mut part = Vec::new();
    api::history_part(&mut part, &result, is_first, is_last);
    part.into()
}

/// The same of who is present.
pub(super) fn presence_part(found: &[Presence], is_first: bool, is_last: bool) -> Bytes {
    let mut part = Vec::new();
    with_infos(found, |infos| api::presence_part(&mut part, infos, is_first, is_last));
    part.into()
}

/// The same of channels.
pub(super) fn channels_part(channels: &[(ChannelName, u32)], is_first: bool, is_last: bool) -> Bytes {
    let channels: Vec<(&str, u64)> = channels.iter().map(|(name, count)| (name.as_str(), u64::from(*count))).collect();
    let mut part = Vec::new();
    api::channels_part(&mut part, &channels, is_first, is_last);
    part.into()
}

fn info(members: &[MemberInfo]) -> Reply {
    let uids: Vec<String> = members.iter().map(|member| member.incarnation.to_string()).collect();
    let nodes: Vec<NodeInfo<'_>> = members
        .iter()
        .zip(&uids)
        .map(|(member, uid)| NodeInfo {
            uid,
            name: member.id.as_str(),
            version: VERSION,
            clients: member.sockets,
            users: member.node.users,
            channels: member.node.channels,
            subscriptions: member.node.subscriptions,
            uptime: member.node.uptime.as_secs(),
        })
        .collect();
    whole(&Answer::Info(&nodes))
}

fn broadcast_part(result: &Result<Option<Position>, ApiError>) -> Result<PublishedAt<'_>, ApiError> {
    result.as_ref().map(|at| published(at.as_ref())).map_err(|error| *error)
}

fn published(at: Option<&Position>) -> PublishedAt<'_> {
    at.map_or_else(PublishedAt::default, |at| PublishedAt { offset: at.offset, epoch: at.epoch.as_str() })
}

fn whole(answer: &Answer<'_>) -> Reply {
    let mut result = Vec::new();
    api::result(&mut result, answer);
    Reply::Whole(result.into())
}
