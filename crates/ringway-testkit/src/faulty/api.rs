//! `POST /api/publish` of the faulty server: without faults, but with a key.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use super::Hub;

/// The only key that it takes.
pub(super) const KEY: &str = "key";

/// Whether the connection's first request is a POST, which upgrades never are.
pub(super) async fn is_post(stream: &TcpStream) -> bool {
    let mut first = [0; 1];
    stream.peek(&mut first).await.is_ok_and(|count| count == 1 && first[0] == b'P')
}

pub(super) async fn serve(stream: TcpStream, hub: Arc<Hub>) {
    let service = service_fn(|request| answer(request, hub.clone()));
    // A client that breaks off is gone.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, hub: Arc<Hub>) -> hyper::Result<Response<Full<Bytes>>> {
    let allowed = request.headers().get("x-api-key").is_some_and(|key| key == KEY);
    let body = request.into_body().collect().await?.to_bytes();
    let mut response = Response::new(Full::new(Bytes::from_static(br#"{"result":{}}"#)));
    let channel_and_data = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    match channel_and_data["channel"].as_str() {
        _ if !allowed => *response.status_mut() = StatusCode::UNAUTHORIZED,
        None => *response.status_mut() = StatusCode::BAD_REQUEST,
        Some("forbidden") => {
            let error = json!({"error": {"code": 102, "message": "unknown channel"}}).to_string();
            *response.body_mut() = Full::new(error.into());
        }
        Some(channel) => {
            let publication = hub.publication(channel, &channel_and_data["data"]).to_string();
            hub.send_all(channel, &Message::text(publication)).await;
        }
    }
    Ok(response)
}
