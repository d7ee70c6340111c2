//! What a gateway answers that does not start members itself, where another one does: ask that one.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::AdminError;

/// Asks nothing but questions: it may be asked anywhere.
const QUESTION: &str = "/plan";

/// Lets readers through; who wants something done is told where.
pub(super) async fn refer(State(orchestrator): State<Option<Arc<str>>>, request: Request, next: Next) -> Response {
    let is_reading = request.method() != Method::POST || request.uri().path().ends_with(QUESTION);
    match orchestrator {
        Some(address) if !is_reading => AdminError::conflict(format!(
            "this gateway shows the cluster and changes nothing in it: the process that starts and stops its members is at http://{address}; ask there"
        ))
        .into_response(),
        _ => next.run(request).await,
    }
}
