//! Who is in a channel.

use axum::response::Response;
use ringway_core::message::PresenceQuery;
use ringway_hub::{ApiAnswer, ApiRequest, Named};

use super::super::reply::Reply;
use super::super::{Api, encode};
use super::{Pages, Part, tell};

/// Those who are still to be told.
#[derive(Debug)]
enum Rest {
    All(Named),
    Behind(Box<PresenceQuery>),
}

/// Answers with who is in a channel.
pub(in crate::api) async fn presence(api: Api, channel: Named) -> Result<Reply, Response> {
    tell(api, Rest::All(channel)).await
}

impl Pages for Rest {
    fn request(&self) -> ApiRequest {
        match self {
            Self::All(channel) => ApiRequest::Presence(channel.clone()),
            Self::Behind(query) => ApiRequest::MorePresence(query.clone()),
        }
    }

    fn take(&mut self, answer: ApiAnswer) -> Result<Part, ApiAnswer> {
        let ApiAnswer::Presence(page) = answer else { return Err(answer) };
        let (is_first, query) = match self {
            Self::All(Ok(channel)) => (true, Some(PresenceQuery::of(channel.clone()))),
            Self::All(Err(_)) => (true, None),
            Self::Behind(query) => (false, Some(query.clone())),
        };
        let next = query.and_then(|mut query| query.advance(&page).then_some(query));
        let is_last = next.is_none();
        if let Some(next) = next {
            *self = Self::Behind(next);
        }
        Ok(Part { text: encode::presence_part(&page.clients, is_first, is_last), is_last })
    }
}
