//! The methods of the server API: body to request, answer to body.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ringway_core::ChannelName;
use ringway_core::limits::VERSION_EPOCH_BYTES;
use ringway_core::message::{Disconnect, Entry, Version};
use ringway_hub::{ApiAnswer, ApiPublish, ApiRequest, History, Seen};
use ringway_protocol::api::{
    self, ApiError, BadBody, ChannelRequest, ChannelsRequest, DisconnectRequest, HistoryRequest, InfoRequest,
    PublishRequest,
};
use uuid::Uuid;

use super::pattern::Pattern;
use super::{Api, Outcome, encode, pages};

pub(super) async fn publish(State(api): State<Api>, body: Bytes) -> Outcome {
    let publish = publication(&api::decode(&body).map_err(unreadable)?).map_err(failed)?;
    Ok(encode::answer(&api.call(ApiRequest::Publish(Box::new(publish))).await?))
}

pub(super) async fn broadcast(State(api): State<Api>, body: Bytes) -> Outcome {
    let request: PublishRequest<'_> = api::decode(&body).map_err(unreadable)?;
    let channels = request.channels.iter().map(|name| ChannelName::new(name)).collect();
    let publish = publication(&request).map_err(failed)?;
    Ok(encode::answer(&api.call(ApiRequest::Broadcast(channels, Box::new(publish))).await?))
}

pub(super) async fn presence(State(api): State<Api>, body: Bytes) -> Outcome {
    let ChannelRequest { channel } = api::decode(&body).map_err(unreadable)?;
    pages::presence(api, ChannelName::new(&channel)).await
}

pub(super) async fn presence_stats(State(api): State<Api>, body: Bytes) -> Outcome {
    let ChannelRequest { channel } = api::decode(&body).map_err(unreadable)?;
    Ok(encode::answer(&api.call(ApiRequest::PresenceStats(ChannelName::new(&channel))).await?))
}

pub(super) async fn history(State(api): State<Api>, body: Bytes) -> Outcome {
    let HistoryRequest { channel, limit, since, reverse } = api::decode(&body).map_err(unreadable)?;
    let since = since.map(|since| Seen { offset: since.offset, epoch: since.epoch.as_ref().into() });
    let history = History { channel: ChannelName::new(&channel), limit, since, reverse };
    pages::history(api, history).await
}

pub(super) async fn disconnect(State(api): State<Api>, body: Bytes) -> Outcome {
    let request: DisconnectRequest<'_> = api::decode(&body).map_err(unreadable)?;
    let (code, reason) = request.close().map_err(failed)?;
    let client = Uuid::try_parse(&request.client).ok().map(|client| client.as_u128());
    // No connection has an id that is no UUID, nor a session id: nothing to close is success.
    if (client.is_none() && !request.client.is_empty()) || !request.session.is_empty() {
        return Ok(encode::answer(&ApiAnswer::Done));
    }
    let whitelist = request.whitelist.iter().filter_map(|client| Uuid::try_parse(client).ok());
    let whitelist = whitelist.map(|client| client.as_u128()).collect();
    let order = Disconnect { user: request.user.as_ref().into(), client, whitelist, code, reason: reason.into() };
    Ok(encode::answer(&api.call(ApiRequest::Disconnect(Box::new(order))).await?))
}

pub(super) async fn info(State(api): State<Api>, body: Bytes) -> Outcome {
    let InfoRequest {} = api::decode_optional(&body).map_err(unreadable)?;
    Ok(encode::answer(&api.call(ApiRequest::Info).await?))
}

pub(super) async fn channels(State(api): State<Api>, body: Bytes) -> Outcome {
    let ChannelsRequest { pattern } = api::decode_optional(&body).map_err(unreadable)?;
    pages::channels(api, Pattern::new(&pattern).map_err(failed)?).await
}

fn publication(request: &PublishRequest<'_>) -> Result<ApiPublish, ApiError> {
    let tags = request.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let entry = Entry::with_tags(&request.payload()?, tags);
    if request.version_epoch.len() > VERSION_EPOCH_BYTES {
        return Err(ApiError::BadRequest);
    }
    let version = || Box::new(Version { number: request.version, epoch: request.version_epoch.as_ref().into() });
    let key = &request.idempotency_key;
    Ok(ApiPublish {
        channel: ChannelName::new(&request.channel),
        entry,
        idempotency_key: (!key.is_empty()).then(|| key.as_ref().into()),
        version: (request.version > 0).then(version),
        skip_history: request.skip_history,
    })
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unreadable(fault: BadBody) -> Response {
    (StatusCode::BAD_REQUEST, format!("{fault}\n")).into_response()
}

fn failed(error: ApiError) -> Response {
    encode::answer(&ApiAnswer::Failed(error))
}
