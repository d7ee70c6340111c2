//! Rows of connection tokens: claims, and what becomes of the connection.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use ringway_testkit::RawWs;
use ringway_testkit::raw::Frame;
use serde_json::{Value, json};

use super::Asked;
use crate::support::SOON;

const SECRET: &str = "a signing key for tests alone";

pub(super) async fn rows(asked: &mut Asked) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs_f64();
    let long = "a".repeat(255);
    let (welcome, expired, invalid) = ("welcome", "error 109", "close 3500");
    let table = [
        (json!({"sub": "tenant:42"}), welcome),
        (json!({"sub": "urn:uuid:1b4e28ba-2fa1-11d2-883f-0016d3cca427"}), welcome),
        (json!({"sub": "Ann Lee"}), welcome),
        (json!({"sub": "a/b#c,d"}), welcome),
        (json!({"sub": long}), welcome),
        (json!({"sub": null}), welcome),
        (json!({"sub": "ann", "exp": now + 60.5}), welcome),
        (json!({"sub": "ann", "exp": (now + 60.0).floor()}), welcome),
        (json!({"sub": "ann", "exp": now - 5.0}), expired),
        (json!({"sub": "ann", "exp": 0}), expired),
        (json!({"sub": "ann", "exp": -5}), expired),
        (json!({"sub": "ann", "exp": null}), welcome),
        (json!({"sub": "ann", "exp": true}), invalid),
        (json!({"sub": "ann", "nbf": now + 60.0}), expired),
        (json!({"sub": "ann", "nbf": now - 60.0}), welcome),
        (json!({"sub": "ann", "iat": now + 600.0}), welcome),
        (json!({"sub": "ann", "exp": now + 60.0, "expire_at": 0}), welcome),
        (json!({"sub": "ann", "exp": now - 60.0, "expire_at": 0}), expired),
        (json!({"sub": "ann", "expire_at": now.floor() - 60.0}), "error 110"),
        (json!({"sub": "ann", "channel": ""}), welcome),
        (json!({"sub": "ann", "channel": "news"}), invalid),
        (json!({"sub": 7}), invalid),
        (json!({"sub": "ann", "info": 5}), welcome),
        (json!({"sub": "ann", "b64info": "eyJhIjoxfQ=="}), welcome),
        (json!({"sub": "ann", "aud": ["x"]}), welcome),
        (json!([]), invalid),
    ];
    for (claims, right) in table {
        let came = outcome(asked, &token(&claims, SECRET)).await;
        asked.check(&format!("a token with {claims}"), &json!(right), &json!(came));
    }
    let foreign = token(&json!({"sub": "ann"}), "another key");
    for token in [foreign.as_str(), "garbage", "a.b.c"] {
        let came = outcome(asked, token).await;
        asked.check(&format!("the token {token:.20}"), &json!(invalid), &json!(came));
    }
    // The reference server takes a longer name, and shows it to everybody.
    let came = outcome(asked, &token(&json!({"sub": "a".repeat(256)}), SECRET)).await;
    asked.check("a name of 256 bytes", &json!(invalid), &json!(came));
}

fn token(claims: &Value, secret: &str) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(secret.as_bytes())).expect("a token")
}

/// What a connect with this token comes to.
async fn outcome(asked: &Asked, token: &str) -> String {
    let mut socket = RawWs::connect(asked.addr, "/connection/websocket").await.expect("a socket");
    socket.send_text(&json!({"id": 1, "connect": {"token": token}}).to_string()).await.expect("an open socket");
    match socket.recv(SOON).await.expect("an answer") {
        Frame::Text(text) => {
            let reply: Value = serde_json::from_str(text.lines().next().unwrap_or_default()).expect("JSON");
            match reply["error"]["code"].as_u64() {
                Some(code) => format!("error {code}"),
                None => "welcome".to_owned(),
            }
        }
        Frame::Close(Some(code), _) => format!("close {code}"),
        other => format!("{other:?}"),
    }
}
