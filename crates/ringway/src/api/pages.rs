//! Answers that may be longer than one page of a node: page after page is asked for as the caller takes the body, so that
//! whatever is asked for, a gateway holds a page of it.

mod channels;
mod history;
mod presence;

use std::time::Duration;

use axum::body::Bytes;
use axum::response::Response;
use futures_util::stream;
use ringway_hub::{ApiAnswer, ApiRequest};
use ringway_protocol::api::ApiError;

use super::reply::{BrokenOff, Reply};
use super::{Api, encode};

pub(super) use channels::channels;
pub(super) use history::history;
pub(super) use presence::presence;

/// Times that a page is asked for before the body is broken off. An answer that does not come takes some seconds.
const TRIES: usize = 8;

/// Between two of them.
const PAUSE: Duration = Duration::from_millis(250);

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
///
/// # Errors
/// The response to give where nobody can be asked.
async fn tell(api: Api, mut pages: impl Pages) -> Result<Reply, Response> {
    let answer = api.call(pages.request()).await?;
    Ok(match pages.take(answer) {
        Ok(first) => begin(api, first, pages),
        Err(answer) => encode::answer(&answer),
    })
}

fn begin(api: Api, first: Part, pages: impl Pages) -> Reply {
    if first.is_last {
        return Reply::Whole(first.text);
    }
    let rest = stream::try_unfold(Some((api, pages)), |rest| async move {
        let Some((api, mut pages)) = rest else { return Ok::<_, BrokenOff>(None) };
        let part = next_part(&api, &mut pages).await?;
        Ok(Some((part.text, (!part.is_last).then_some((api, pages)))))
    });
    Reply::Parts(first.text, Box::pin(rest))
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
