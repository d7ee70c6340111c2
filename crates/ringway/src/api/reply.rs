//! What a method answered, and how that becomes a response, or a piece of one.

use std::pin::Pin;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use ringway_protocol::api::{self, ApiError};

/// A body that has begun cannot become an error any more: the connection ends before its end, which the caller sees.
#[derive(Debug, thiserror::Error)]
#[error("the list could not be read to its end; ask for it again")]
pub(super) struct BrokenOff;

/// Pieces of a body, made as the caller takes them.
pub(super) type Parts = Pin<Box<dyn Stream<Item = Result<Bytes, BrokenOff>> + Send>>;

/// What a method answered.
pub(super) enum Reply {
    Failed(ApiError),
    /// The result, a JSON object.
    Whole(Bytes),
    /// Its first part, and what follows it.
    Parts(Bytes, Parts),
}

/// How a caller is told that a method failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorMode {
    /// With status 200 and an error in the body.
    #[default]
    Body,
    /// With a status.
    Transport,
}

impl Reply {
    /// The response to a request for this alone.
    pub(super) fn into_response(self, errors: ErrorMode) -> Response {
        match self {
            Self::Failed(error) => failed(error, errors),
            Self::Whole(result) => json(wrapped("result", &result)),
            Self::Parts(..) => json(Body::from_stream(self.into_parts("result"))),
        }
    }

    /// The same as an object of one member, which has this name if it is a result.
    pub(super) fn into_parts(self, name: &str) -> Parts {
        let (first, rest) = match self {
            Self::Failed(error) => {
                let mut text = Vec::new();
                api::failure(&mut text, error);
                return one(text);
            }
            Self::Whole(result) => return one(wrapped(name, &result)),
            Self::Parts(first, rest) => (first, rest),
        };
        let mut head = opened(name, first.len());
        head.extend_from_slice(&first);
        Box::pin(one(head).chain(rest).chain(one("}")))
    }
}

fn failed(error: ApiError, errors: ErrorMode) -> Response {
    let mut text = Vec::new();
    if errors == ErrorMode::Transport {
        api::bare_failure(&mut text, error);
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return (status, json(text)).into_response();
    }
    api::failure(&mut text, error);
    json(text)
}

/// A response with this body.
pub(super) fn json(body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body.into()).into_response()
}

/// A body of one piece.
pub(super) fn one(text: impl Into<Bytes>) -> Parts {
    let text = text.into();
    Box::pin(stream::once(async { Ok(text) }))
}

fn wrapped(name: &str, result: &[u8]) -> Vec<u8> {
    let mut text = opened(name, result.len());
    text.extend_from_slice(result);
    text.push(b'}');
    text
}

fn opened(name: &str, room: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(name.len() + room + 5);
    text.extend_from_slice(b"{\"");
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"\":");
    text
}
