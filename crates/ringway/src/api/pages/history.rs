//! A part of a stream.

use axum::response::Response;
use ringway_core::Position;
use ringway_core::message::HistoryPage;
use ringway_hub::{ApiAnswer, ApiRequest, History, Seen, is_next_page};
use ringway_protocol::api::ApiError;

use super::super::reply::Reply;
use super::super::{Api, encode};
use super::{Pages, Part, tell};

/// What is still to be read.
#[derive(Debug)]
struct Rest {
    /// The next page.
    history: History,
    /// The stream as the first page had it; `None` before.
    top: Option<Position>,
}

/// Answers with a part of a stream.
pub(in crate::api) async fn history(api: Api, history: History) -> Result<Reply, Response> {
    tell(api, Rest { history, top: None }).await
}

impl Pages for Rest {
    fn request(&self) -> ApiRequest {
        let History { channel, limit, since, reverse } = &self.history;
        let (channel, since) = (channel.clone(), since.clone());
        ApiRequest::History(Box::new(History { channel, limit: *limit, since, reverse: *reverse }))
    }

    fn take(&mut self, answer: ApiAnswer) -> Result<Part, ApiAnswer> {
        let ApiAnswer::History(page) = answer else { return Err(answer) };
        let (top, is_first) = (self.top.unwrap_or(page.top), self.top.is_none());
        let last = self.history.since.as_ref().map_or(0, |since| since.offset);
        if !is_first && (page.top.epoch != top.epoch || !is_next_page(&page, last, self.history.reverse, top)) {
            return Err(ApiAnswer::Failed(ApiError::UnrecoverablePosition));
        }
        self.top = Some(top);
        let is_last = self.advance(&page, top);
        Ok(Part { text: encode::history_part(&page, top, is_first, is_last), is_last })
    }
}

impl Rest {
    /// Goes on behind this page. Whether it was the last.
    fn advance(&mut self, page: &HistoryPage, top: Position) -> bool {
        let Some((last, _)) = page.publications.last() else { return true };
        let newer = i32::try_from(top.offset.saturating_sub(*last)).unwrap_or(i32::MAX);
        let wanted = match self.history.limit {
            limit if limit < 0 => i32::MAX,
            limit => limit.saturating_sub_unsigned(page.publications.len() as u32),
        };
        self.history.limit = if self.history.reverse { wanted } else { wanted.min(newer) };
        self.history.since = Some(Seen { offset: *last, epoch: top.epoch.as_str().into() });
        !page.more || self.history.limit <= 0
    }
}
