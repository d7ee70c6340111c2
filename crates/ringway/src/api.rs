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
//! | `POST /api/history_remove` | key | drops what is kept of a stream |
//! | `POST /api/subscribe`, `/api/unsubscribe` | key | makes and ends subscriptions of a user's sessions |
//! | `POST /api/refresh` | key | says until when they may stay |
//! | `POST /api/disconnect` | key | closes them |
//! | `POST /api/info` | key | what the members hold |
//! | `POST /api/channels` | key | channels with subscribers |
//! | `POST /api/rpc` | key | error 104: there are no extensions |
//! | `POST /api/batch` | key | several of these, each answered in its place |
//! | `POST /api` | key | several, a line each, as older clients send them |
//! | `GET /openapi.json` | anyone | all of these, for programs |
//! | `POST /websocket/to/{user}/{message}`, and `GET` where the config says so | anyone, if plain is on | sends to a user's inbox; also under the prefix |
//!
//! The key comes as `X-API-Key: K`, `Authorization: apikey K`, or `?api_key=K`; without the right one the answer is 401, unless the
//! config asks for none. A body that is not the method's JSON is 400, one over the limit 413, another method 405. What can be read is
//! answered 200, with `result` or `error`; or an error has a status, where the caller or the config wishes for that. 503 means "try
//! again": too much is waiting. No request's content type matters.

mod batch;
mod encode;
mod key;
mod methods;
mod openapi;
mod orders;
mod outside;
mod pages;
mod pattern;
mod reply;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use ringway_hub::{ApiAnswer, ApiRequest};
use ringway_protocol::api::BadBody;

use crate::gateway::{Client, GatewayConfig, Intake};
use crate::guesses::Guesses;
use methods::{Asked, Method};
use reply::Reply;

pub use reply::ErrorMode;

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
    let mut router = axum::Router::new().route("/api", post(batch::lines)).route("/api/batch", post(batch::batch));
    for method in Method::ALL.iter().copied() {
        let answer = move |state, headers, body| answer(method, state, headers, body);
        router = router.route(&format!("/api/{}", method.name()), post(answer));
    }
    router
        .route("/api/{*method}", any(unknown))
        .route_layer(middleware::from_fn_with_state(api.clone(), key::check))
        // What follows needs no key: it says what the source says.
        .route("/openapi.json", get(openapi::openapi))
        .layer(DefaultBodyLimit::max(api.config.limits.body_bytes))
        .with_state(api)
}

async fn answer(method: Method, State(api): State<Api>, headers: HeaderMap, body: Bytes) -> Outcome {
    let asked = method.read(&body).map_err(unreadable)?;
    let errors = api.errors(&headers);
    Ok(asked.carry_out(api).await?.into_response(errors))
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

    /// How the sender of these is told of errors.
    fn errors(&self, headers: &HeaderMap) -> ErrorMode {
        let wishes = headers.get("x-centrifugo-error-mode").is_some_and(|mode| mode == "transport");
        if wishes { ErrorMode::Transport } else { self.config.api_errors }
    }
}

impl Asked {
    /// Does what is asked.
    ///
    /// # Errors
    /// The response to give when the hub cannot be asked. Nothing was done.
    async fn carry_out(self, api: Api) -> Result<Reply, Response> {
        match self {
            Self::Call(request) => Ok(encode::answer(&api.call(request).await?)),
            Self::History(history) => pages::history(api, history).await,
            Self::Presence(channel) => pages::presence(api, channel).await,
            Self::Channels(pattern) => pages::channels(api, pattern).await,
            Self::Answered(Ok(())) => Ok(encode::answer(&ApiAnswer::Done)),
            Self::Answered(Err(error)) => Ok(Reply::Failed(error)),
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unreadable(fault: BadBody) -> Response {
    (StatusCode::BAD_REQUEST, format!("{fault}\n")).into_response()
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
