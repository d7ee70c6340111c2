//! Answers that may be longer than one page of a node: page after page is asked for as the caller takes the body, so that
//! whatever is asked for, a gateway holds a page of it.

mod channels;
mod history;
mod presence;

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use ringway_hub::{ApiAnswer, ApiRequest};
use ringway_protocol::api::ApiError;

use super::{Api, Outcome, encode};

pub(super) use channels::channels;
pub(super) use history::history;
pub(super) use presence::presence;

/// Times that a page is asked for before the body is broken off. An answer that does not come takes some seconds.
const TRIES: usize = 8;

/// Between two of them.
const PAUSE: Duration = Duration::from_millis(250);

/// A body that has begun cannot become an error any more: the connection ends before its end, which the caller sees.
#[derive(Debug, thiserror::Error)]
#[error("the list could not be read to its end; ask for it again")]
struct BrokenOff;

/// What is told page by page.
trait Pages: Send + 'static {
    /// What is to be asked for next.
    fn request(&self) -> ApiRequest;

    /// Takes what was answered.
    ///
    /// # Errors
    /// The answer is no page, or not the next one.
    fn take(&mut self, answer: ApiAnswer) -> Result<Part, ApiAnswer>;
}

/// A piece of a body.
#[derive(Debug)]
struct Part {
    text: Bytes,
    is_last: bool,
}

/// Answers with the first page, and all that follow it. What prevents the first is the answer.
async fn tell(api: Api, mut pages: impl Pages) -> Outcome {
    let answer = api.call(pages.request()).await?;
    Ok(match pages.take(answer) {
        Ok(first) => respond(api, first, pages),
        Err(answer) => encode::answer(&answer),
    })
}

fn respond(api: Api, first: Part, pages: impl Pages) -> Response {
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    if first.is_last {
        return (json, first.text).into_response();
    }
    let body = stream::try_unfold((Some(first), Some((api, pages))), |(first, rest)| async move {
        let (part, rest) = match (first, rest) {
            (Some(first), rest) => (first, rest),
            (None, Some((api, mut pages))) => (next_part(&api, &mut pages).await?, Some((api, pages))),
            (None, None) => return Ok::<_, BrokenOff>(None),
        };
        Ok(Some((part.text, (None, rest.filter(|_| !part.is_last)))))
    });
    (json, Body::from_stream(body)).into_response()
}

async fn next_part(api: &Api, pages: &mut impl Pages) -> Result<Part, BrokenOff> {
    for _ in 0..TRIES {
        match api.call(pages.request()).await {
            Ok(ApiAnswer::Failed(ApiError::Internal)) | Err(_) => tokio::time::sleep(PAUSE).await,
            Ok(answer) => return pages.take(answer).map_err(|_| BrokenOff),
        }
    }
    Err(BrokenOff)
}
