//! Which channels there are: of one node after the other, all in one view. Where the view changes before something was told, the list is begun anew.

use axum::response::Response;
use ringway_core::ChannelName;
use ringway_hub::{ApiAnswer, ApiRequest, ChannelsPlace};
use ringway_protocol::api::ApiError;

use super::super::pattern::Pattern;
use super::super::reply::Reply;
use super::super::{Api, encode};
use super::{PAUSE, Pages, Part, TRIES, begin};

/// Bytes of names that are gathered before the first part is told: a list that has fewer is told whole, or not at all.
const GATHERED: usize = 128 << 10;

/// What a name costs beside its letters.
const NAME_OVERHEAD: usize = 64;

#[derive(Debug)]
struct Rest {
    pattern: Pattern,
    /// `None`: from the first.
    place: Option<ChannelsPlace>,
}

/// Answers with the channels whose names are like this.
pub(in crate::api) async fn channels(api: Api, pattern: Pattern) -> Result<Reply, Response> {
    let mut rest = Rest { pattern, place: None };
    for _ in 0..TRIES {
        match rest.gather(&api).await? {
            Ok(first) => return Ok(begin(api, first, rest)),
            Err(ApiAnswer::Failed(ApiError::Internal | ApiError::UnrecoverablePosition)) => {}
            Err(answer) => return Ok(encode::answer(&answer)),
        }
        rest.place = None;
        tokio::time::sleep(PAUSE).await;
    }
    // Half of the channels would look like all of them.
    Ok(encode::answer(&ApiAnswer::Failed(ApiError::Internal)))
}

impl Rest {
    /// The first part: all there is, or enough to begin with.
    ///
    /// # Errors
    /// The response to give where nobody can be asked.
    async fn gather(&mut self, api: &Api) -> Result<Result<Part, ApiAnswer>, Response> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        loop {
            let answer = api.call(self.request()).await?;
            let (more, is_last) = match self.page(answer) {
                Ok(page) => page,
                Err(answer) => return Ok(Err(answer)),
            };
            bytes += more.iter().map(|(name, _)| NAME_OVERHEAD + name.as_str().len()).sum::<usize>();
            found.extend(more);
            if is_last || bytes >= GATHERED {
                found.sort_unstable();
                return Ok(Ok(Part { text: encode::channels_part(&found, true, is_last), is_last }));
            }
        }
    }

    /// Names of a page that are like what is wanted, and whether it was the last.
    fn page(&mut self, answer: ApiAnswer) -> Result<(Vec<(ChannelName, u32)>, bool), ApiAnswer> {
        let ApiAnswer::Channels(mut names, place) = answer else { return Err(answer) };
        names.retain(|(name, _)| self.pattern.matches(name.as_str()));
        let is_last = place.is_none();
        self.place = place.or(self.place.take());
        Ok((names, is_last))
    }
}

impl Pages for Rest {
    fn request(&self) -> ApiRequest {
        ApiRequest::Channels(self.place.clone())
    }

    fn take(&mut self, answer: ApiAnswer) -> Result<Part, ApiAnswer> {
        let (names, is_last) = self.page(answer)?;
        Ok(Part { text: encode::channels_part(&names, false, is_last), is_last })
    }
}
