//! The plain protocol's way in from outside: `/websocket/to/{user}/{message}`.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use ringway_core::UserName;
use ringway_hub::{ApiAnswer, ApiRequest};
use ringway_protocol::plain::{InboxMessage, NOT_ACKNOWLEDGED};

use super::Api;
use crate::gateway::USER_NAME_RULE;

/// Where the config does not allow it.
pub(super) async fn get_is_off() -> Response {
    let text = "sending with GET is off here: send with POST, or set [plain] get = true\n";
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")], text).into_response()
}

/// Puts the message into the user's inbox and answers `OK` once it is acknowledged.
pub(super) async fn say(State(api): State<Api>, Path((user, message)): Path<(String, String)>) -> Response {
    let user = match UserName::new(&user) {
        Ok(user) => user,
        Err(error) => {
            let text = format!("this is not a user name: {error}. {USER_NAME_RULE}\n");
            return (StatusCode::BAD_REQUEST, text).into_response();
        }
    };
    let mut data = Vec::new();
    InboxMessage::encode(&mut data, &message, None);
    match api.call(ApiRequest::Say(user, Bytes::from(data))).await {
        Ok(ApiAnswer::Published(_)) => "OK".into_response(),
        Ok(_) => (StatusCode::SERVICE_UNAVAILABLE, format!("{NOT_ACKNOWLEDGED}\n")).into_response(),
        Err(response) => response,
    }
}
