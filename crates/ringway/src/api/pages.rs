//! A history that is longer than one answer of a node: page after page is asked for as the caller takes the body, so that
//! whatever is asked for, a gateway holds a page of it.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use ringway_core::Position;
use ringway_core::message::HistoryPage;
use ringway_protocol::api::ApiError;

use super::methods::Outcome;
use super::{Api, encode};
use crate::gateway::{ApiAnswer, ApiRequest, History, Seen, is_next_page};

/// Times that a page is asked for before the body is broken off. An answer that does not come takes some seconds.
const TRIES: usize = 8;

/// Between two of them.
const PAUSE: Duration = Duration::from_millis(250);

/// A body that has begun cannot become an error any more: the connection ends before its end, which the caller sees.
#[derive(Debug, thiserror::Error)]
#[error("the history could not be read to its end; ask for it again")]
struct BrokenOff;

/// What is still to be read.
#[derive(Debug)]
struct Rest {
    api: Api,
    /// The next page.
    history: History,
    /// The stream as the first page had it.
    top: Position,
}

/// Answers with a part of a stream.
pub(super) async fn history(api: Api, history: History) -> Outcome {
    let next = History { channel: history.channel.clone(), since: None, ..history };
    let answer = api.call(ApiRequest::History(Box::new(history))).await?;
    let ApiAnswer::History(page) = &answer else { return Ok(encode::answer(&answer)) };
    if !page.more {
        return Ok(encode::answer(&answer));
    }
    let mut rest = Rest { api, history: next, top: page.top };
    let first = encode::history_part(page, page.top, true, rest.advance(page));
    Ok(respond(first, rest))
}

fn respond(first: Bytes, rest: Rest) -> Response {
    let body = stream::try_unfold((Some(first), Some(rest)), |(first, rest)| async move {
        match (first, rest) {
            (Some(first), rest) => Ok(Some((first, (None, rest)))),
            (None, Some(rest)) => rest.read_on().await.map(|(part, rest)| Some((part, (None, rest)))),
            (None, None) => Ok::<_, BrokenOff>(None),
        }
    });
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], Body::from_stream(body)).into_response()
}

impl Rest {
    /// The next part, and what is left after it.
    async fn read_on(mut self) -> Result<(Bytes, Option<Self>), BrokenOff> {
        let page = self.next_page().await?;
        let last = self.history.since.as_ref().map_or(0, |since| since.offset);
        if page.top.epoch != self.top.epoch || !is_next_page(&page, last, self.history.reverse, self.top) {
            return Err(BrokenOff);
        }
        let is_last = self.advance(&page);
        let part = encode::history_part(&page, self.top, false, is_last);
        Ok((part, (!is_last).then_some(self)))
    }

    async fn next_page(&self) -> Result<HistoryPage, BrokenOff> {
        for _ in 0..TRIES {
            let History { channel, limit, since, reverse } = &self.history;
            let again = History { channel: channel.clone(), limit: *limit, since: since.clone(), reverse: *reverse };
            match self.api.call(ApiRequest::History(Box::new(again))).await {
                Ok(ApiAnswer::History(page)) => return Ok(page),
                Ok(ApiAnswer::Failed(ApiError::Internal)) | Err(_) => tokio::time::sleep(PAUSE).await,
                Ok(_) => return Err(BrokenOff),
            }
        }
        Err(BrokenOff)
    }

    /// Goes on behind this page. Whether it was the last.
    fn advance(&mut self, page: &HistoryPage) -> bool {
        let Some((last, _)) = page.publications.last() else { return true };
        let newer = i32::try_from(self.top.offset.saturating_sub(*last)).unwrap_or(i32::MAX);
        let wanted = match self.history.limit {
            limit if limit < 0 => i32::MAX,
            limit => limit.saturating_sub_unsigned(page.publications.len() as u32),
        };
        self.history.limit = if self.history.reverse { wanted } else { wanted.min(newer) };
        self.history.since = Some(Seen { offset: *last, epoch: self.top.epoch.as_str().into() });
        !page.more || self.history.limit <= 0
    }
}
