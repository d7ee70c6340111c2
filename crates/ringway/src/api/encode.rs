//! The hub's facts as the bodies of the server API.

use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use ringway_core::Position;
use ringway_core::message::HistoryPage;
use ringway_protocol::api::{self, Answer, ApiError, NodeInfo, PublishedAt};
use ringway_protocol::centrifuge::{ClientInfo, HistoryResult, Publication};

use crate::gateway::stored::Stored;
use crate::gateway::{ApiAnswer, MemberInfo, present};

/// The version that members of one build say they have.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The response to a call.
pub(super) fn answer(answer: &ApiAnswer) -> Response {
    match answer {
        ApiAnswer::Published(at) => respond(&Ok(Answer::Publish(published(at.as_ref())))),
        ApiAnswer::Broadcast(results) => {
            let responses: Vec<_> = results.iter().map(broadcast_part).collect();
            respond(&Ok(Answer::Broadcast(&responses)))
        }
        ApiAnswer::Presence(found) => {
            let clients: Vec<String> = found.iter().map(present::client_id).collect();
            let infos: Vec<ClientInfo<'_>> =
                found.iter().zip(&clients).map(|(one, client)| present::client_info(one, client)).collect();
            respond(&Ok(Answer::Presence(&infos)))
        }
        ApiAnswer::History(page) => history(page),
        ApiAnswer::Done => respond(&Ok(Answer::Done)),
        ApiAnswer::Info(members) => info(members),
        ApiAnswer::Channels(channels) => {
            let channels: Vec<(&str, u64)> = channels.iter().map(|(name, count)| (name.as_str(), *count)).collect();
            respond(&Ok(Answer::Channels(&channels)))
        }
        ApiAnswer::Failed(error) => respond(&Err(*error)),
        // The server API asks for no users.
        ApiAnswer::Overloaded | ApiAnswer::Users(..) => respond(&Err(ApiError::Internal)),
    }
}

/// The response to a call for presence of which only the numbers are wanted.
pub(super) fn presence_stats(found: &ApiAnswer) -> Response {
    let ApiAnswer::Presence(found) = found else { return answer(found) };
    let (clients, users) = present::count(found);
    respond(&Ok(Answer::PresenceStats { clients, users }))
}

fn history(page: &HistoryPage) -> Response {
    let kept: Vec<Stored<'_>> = page.publications.iter().map(|(offset, entry)| Stored::of(*offset, entry)).collect();
    let publications: Vec<Publication<'_>> = kept.iter().map(Stored::publication).collect();
    let (epoch, offset) = (page.top.epoch.as_str(), page.top.offset);
    respond(&Ok(Answer::History(&HistoryResult { publications: &publications, epoch, offset })))
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

fn info(members: &[MemberInfo]) -> Response {
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
    respond(&Ok(Answer::Info(&nodes)))
}

fn broadcast_part(result: &Result<Option<Position>, ApiError>) -> Result<PublishedAt<'_>, ApiError> {
    result.as_ref().map(|at| published(at.as_ref())).map_err(|error| *error)
}

fn published(at: Option<&Position>) -> PublishedAt<'_> {
    at.map_or_else(PublishedAt::default, |at| PublishedAt { offset: at.offset, epoch: at.epoch.as_str() })
}

fn respond(outcome: &Result<Answer<'_>, ApiError>) -> Response {
    let mut body = Vec::new();
    api::answer(&mut body, outcome);
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}
