//! The server API and the plain protocol's way in from outside, as an HTTP router. Requests are read and answers
//! written here; what they mean is the hub's affair.
//!
//! | route | who may | what |
//! |---|---|---|
//! | `POST /api/publish` | key | publishes to a channel |
//! | `POST /api/broadcast` | key | the same to several |
//! | `POST /api/presence` | key | who is in a channel |
//! | `POST /api/presence_stats` | key | how many are |
//! | `POST /api/history` | key | a part of a stream |
//! | `POST /api/disconnect` | key | closes a user's sessions |
//! | `POST /api/info` | key | what the members hold |
//! | `POST /api/channels` | key | channels with subscribers |
//! | `POST /websocket/to/{user}/{message}`, and `GET` where the config says so | anyone, if plain is on | sends to a user's inbox; also under the prefix |
//!
//! The key comes as `X-API-Key: K` or `Authorization: apikey K`; without the right one the answer is 401. A body that
//! is not the method's JSON is 400, one over the limit 413, another method 405. What can be read is answered 200, with
//! `result` or `error`. 503 means "try again": too much is waiting. No request's content type matters.

mod encode;
mod key;
mod methods;
mod outside;
mod pages;
mod pattern;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use ringway_hub::{ApiAnswer, ApiRequest};

use crate::gateway::{Client, GatewayConfig, Intake};
use crate::guesses::Guesses;

/// The answer, or another one that ends the request early.
type Outcome = Result<Response, Response>;

/// What the handlers share.
#[derive(Debug, Clone)]
struct Api {
    config: Arc<GatewayConfig>,
    intake: Arc<Intake<Client>>,
    guesses: Guesses,
}

/// The routes under `/api`, for the hub that takes from this intake.
pub fn routes(config: Arc<GatewayConfig>, intake: Arc<Intake<Client>>, guesses: Guesses) -> axum::Router {
    let api = Api { config, intake, guesses };
    axum::Router::new()
        .route("/api/publish", post(methods::publish))
        .route("/api/broadcast", post(methods::broadcast))
        .route("/api/presence", post(methods::presence))
        .route("/api/presence_stats", post(methods::presence_stats))
        .route("/api/history", post(methods::history))
        .route("/api/disconnect", post(methods::disconnect))
        .route("/api/info", post(methods::info))
        .route("/api/channels", post(methods::channels))
        .route("/api/{*method}", any(unknown))
        .route_layer(middleware::from_fn_with_state(api.clone(), key::check))
        .layer(DefaultBodyLimit::max(api.config.limits.body_bytes))
        .with_state(api)
}

/// The plain protocol's way in from outside: it belongs where clients are, for anyone may use it.
pub fn plain_routes(config: Arc<GatewayConfig>, intake: Arc<Intake<Client>>) -> axum::Router {
    let api = Api { config, intake, guesses: Guesses::default() };
    let mut router = axum::Router::new();
    if let Some(plain) = &api.config.plain {
        let say = || match plain.get {
            true => get(outside::say).post(outside::say),
            false => post(outside::say).get(outside::get_is_off),
        };
        router = router.route("/websocket/to/{user}/{*message}", say());
        if !plain.prefix.is_empty() {
            router = router.route(&format!("{}/websocket/to/{{user}}/{{*message}}", plain.prefix), say());
        }
    }
    router.layer(DefaultBodyLimit::max(api.config.limits.body_bytes)).with_state(api)
}

impl Api {
    /// Asks the hub.
    ///
    /// # Errors
    /// The answer to give when the hub cannot be asked.
    async fn call(&self, request: ApiRequest) -> Result<ApiAnswer, Response> {
        match self.intake.call(request).await {
            Ok(ApiAnswer::Overloaded) => Err(busy("too much waits for an answer here; try again in a moment\n")),
            Ok(answer) => Ok(answer),
            Err(_) => Err(busy("this gateway is stopping; ask another one\n")),
        }
    }
}

fn busy(text: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], text).into_response()
}

async fn unknown() -> Response {
    (StatusCode::NOT_FOUND, "the server API has no such method; see its documentation for those it has\n")
        .into_response()
}

#[cfg(test)]
mod tests;
