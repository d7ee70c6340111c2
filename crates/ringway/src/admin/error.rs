//! The one face of everything that goes wrong under `/admin`.

use axum::Json;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::cluster::ChangeError;
use crate::orchestrator::OrchestratorError;

/// A status, and a sentence that says what happened, why, and what to do.
#[derive(Debug)]
pub(super) struct AdminError {
    status: StatusCode,
    text: String,
}

impl AdminError {
    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, text: text.into() }
    }

    pub(super) fn unauthorized(what: &str) -> Self {
        let text = format!(
            "{what}: send `Authorization: Bearer TOKEN`, with the token that the process was given or printed when it started"
        );
        Self { status: StatusCode::UNAUTHORIZED, text }
    }

    pub(super) fn too_many_tokens() -> Self {
        let text = "this is not the admin token, and others from this address were not either: find out who tries, or send the right one".to_owned();
        Self { status: StatusCode::TOO_MANY_REQUESTS, text }
    }

    pub(super) fn not_found(text: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, text: text.into() }
    }

    pub(super) fn unavailable(text: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, text: text.into() }
    }

    pub(super) fn conflict(text: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, text: text.into() }
    }
}

/// Reads a body. `send` says what is to be sent.
pub(super) fn read<T: DeserializeOwned>(body: &[u8], send: &str) -> Result<T, AdminError> {
    serde_json::from_slice(body)
        .map_err(|why| AdminError::bad_request(format!("the body cannot be read: {why}. Send {send}")))
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "error": self.text }))).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<OrchestratorError> for AdminError {
    fn from(why: OrchestratorError) -> Self {
        let status = match why {
            OrchestratorError::Unknown(_) => StatusCode::NOT_FOUND,
            OrchestratorError::NotNow(_) | OrchestratorError::Full => StatusCode::CONFLICT,
            OrchestratorError::Driver(_) | OrchestratorError::Ending => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self { status, text: why.to_string() }
    }
}

impl From<ChangeError> for AdminError {
    fn from(why: ChangeError) -> Self {
        let status = match why {
            ChangeError::NotInView | ChangeError::NotNow(_) => StatusCode::CONFLICT,
            ChangeError::Unknown => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self { status, text: why.to_string() }
    }
}

pub(super) async fn no_route(uri: Uri) -> AdminError {
    AdminError::not_found(format!("there is no /admin{}; see docs/admin-api.md for the routes", uri.path()))
}

pub(super) async fn no_method(method: Method, uri: Uri) -> AdminError {
    let text = format!("/admin{} does not take {method}: reading is GET, changing is POST", uri.path());
    AdminError { status: StatusCode::METHOD_NOT_ALLOWED, text }
}
