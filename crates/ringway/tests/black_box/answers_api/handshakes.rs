//! Rows of the opening handshake: header fields, good and bad, and the answer's status.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Asked;
use crate::support::SOON;

/// The example of RFC 6455, 4.1, whose last bits are no part of its sixteen bytes.
const EXAMPLE: &str = "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==";
const HOST: &str = "Host: localhost";
const UPGRADE: &str = "Upgrade: websocket";
const CONNECTION: &str = "Connection: Upgrade";
const VERSION: &str = "Sec-WebSocket-Version: 13";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

/// A row: what it is, its header fields, the status, and what the head of the answer must hold.
type Row = (&'static str, &'static [&'static str], &'static str, &'static str);

const ROWS: &[Row] = &[
    (
        "as it should be",
        &[HOST, UPGRADE, CONNECTION, VERSION, KEY],
        "101",
        "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
    ),
    ("the RFC's own key", &[HOST, UPGRADE, CONNECTION, VERSION, EXAMPLE], "101", ""),
    (
        "names in other letters",
        &["hOST: localhost", "UPGRADE: WebSocket", "connection: upgrade", VERSION, KEY],
        "101",
        "",
    ),
    ("several tokens", &[HOST, "Upgrade: foo, websocket", "Connection: keep-alive, Upgrade", VERSION, KEY], "101", ""),
    ("a field twice", &[HOST, UPGRADE, "Connection: keep-alive", CONNECTION, VERSION, KEY], "101", ""),
    ("a port in Host", &["Host: [::1]:9888", UPGRADE, CONNECTION, VERSION, KEY], "101", ""),
    ("spaces around a value", &[HOST, "Upgrade:   websocket  ", CONNECTION, VERSION, KEY], "101", ""),
    (
        "a protocol that is spoken",
        &[HOST, UPGRADE, CONNECTION, VERSION, KEY, "Sec-WebSocket-Protocol: chat, centrifuge-json"],
        "101",
        "sec-websocket-protocol: centrifuge-json",
    ),
    ("one that nobody knows", &[HOST, UPGRADE, CONNECTION, VERSION, KEY, "Sec-WebSocket-Protocol: chat"], "101", ""),
    ("no Host", &[UPGRADE, CONNECTION, VERSION, KEY], "400", ""),
    ("two Hosts", &[HOST, HOST, UPGRADE, CONNECTION, VERSION, KEY], "400", ""),
    ("a Host that is none", &["Host: a b", UPGRADE, CONNECTION, VERSION, KEY], "400", ""),
    ("no Upgrade", &[HOST, CONNECTION, VERSION, KEY], "400", ""),
    ("another Upgrade", &[HOST, "Upgrade: h2c", CONNECTION, VERSION, KEY], "400", ""),
    ("no Connection", &[HOST, UPGRADE, VERSION, KEY], "400", ""),
    ("no version", &[HOST, UPGRADE, CONNECTION, KEY], "426", "upgrade: websocket"),
    (
        "an older version",
        &[HOST, UPGRADE, CONNECTION, "Sec-WebSocket-Version: 8", KEY],
        "426",
        "sec-websocket-version: 13",
    ),
    ("no key", &[HOST, UPGRADE, CONNECTION, VERSION], "400", ""),
    ("a short key", &[HOST, UPGRADE, CONNECTION, VERSION, "Sec-WebSocket-Key: c2hvcnQ="], "400", ""),
    (
        "a key that is no Base64",
        &[HOST, UPGRADE, CONNECTION, VERSION, "Sec-WebSocket-Key: !!!lIHNhbXBsZSBub25jZQ=="],
        "400",
        "",
    ),
    ("two keys", &[HOST, UPGRADE, CONNECTION, VERSION, KEY, EXAMPLE], "400", ""),
    ("a body", &[HOST, UPGRADE, CONNECTION, VERSION, KEY, "Content-Length: 5"], "400", ""),
    ("a space before the colon", &["Host : localhost", UPGRADE, CONNECTION, VERSION, KEY], "400", ""),
    ("a folded line", &[HOST, UPGRADE, CONNECTION, VERSION, KEY, "X-A: b\r\n c"], "400", ""),
    ("a line without a colon", &[HOST, UPGRADE, CONNECTION, VERSION, KEY, "nonsense"], "400", ""),
    ("a control character", &[HOST, UPGRADE, CONNECTION, VERSION, KEY, "X-A: b\u{1}c"], "400", ""),
];

pub(super) async fn rows(asked: &mut Asked) {
    for (what, fields, status, holds) in ROWS {
        let head = ask(asked, "GET /connection/websocket HTTP/1.1", fields).await;
        let found = head.split(' ').nth(1).unwrap_or("nothing").to_owned();
        asked.check(&format!("a handshake with {what}"), &json!(status), &json!(found));
        asked.check(&format!("a handshake with {what}: {holds}"), &json!(true), &json!(head.contains(holds)));
    }
    for (line, status) in
        [("POST /connection/websocket HTTP/1.1", "405"), ("GET /connection/websocket HTTP/1.0", "400")]
    {
        let head = ask(asked, line, &[HOST, UPGRADE, CONNECTION, VERSION, KEY]).await;
        asked.check(line, &json!(status), &json!(head.split(' ').nth(1).unwrap_or("nothing")));
    }
}

/// The head of the answer, in small letters.
async fn ask(asked: &Asked, line: &str, fields: &[&str]) -> String {
    let mut stream = TcpStream::connect(asked.addr).await.expect("somebody listens");
    stream.write_all(format!("{line}\r\n{}\r\n\r\n", fields.join("\r\n")).as_bytes()).await.expect("an open stream");
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        match timeout(SOON, stream.read_buf(&mut answer)).await {
            Ok(Ok(count)) if count > 0 => {}
            _ => break,
        }
    }
    String::from_utf8_lossy(&answer).to_lowercase()
}
