//! The HTTP stage: plain requests, refused upgrades, limits.

use crate::support::{Client, PATIENCE, TestEdge, eventually};
use ringway_edge::{ConnOptions, EdgeConfig};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Sends a request and returns all the server says until it closes.
async fn ask(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server closes").unwrap();
    String::from_utf8(answer).unwrap().to_lowercase()
}

fn upgrade_request(path: &str, without: &str, with: &str) -> String {
    let fields = [
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: keep-alive, Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let kept: Vec<_> = fields.into_iter().filter(|field| without.is_empty() || !field.starts_with(without)).collect();
    format!("GET {path} HTTP/1.1\r\n{}\r\n{with}\r\n", kept.join("\r\n"))
}

#[tokio::test]
async fn plain_requests_are_the_routers() {
    let test = TestEdge::start().await;
    let answer = ask(test.addr, "GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("http/1.1 200") && answer.ends_with("hello"), "{answer}");
    let answer = ask(test.addr, "GET /missing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("http/1.1 404"), "{answer}");
}

#[tokio::test]
async fn an_upgrade_that_is_none_is_told_why() {
    let test = TestEdge::start().await;
    let close = "Connection: close\r\n";
    for (without, with, status, word) in [
        ("Upgrade", close, "400", "upgrade: websocket"),
        ("Connection", close, "400", "connection: upgrade"),
        ("Sec-WebSocket-Version", close, "426", "sec-websocket-version: 13"),
        ("Sec-WebSocket-Version", close, "426", "upgrade: websocket"),
        (
            "Sec-WebSocket-Version",
            "Connection: close\r\nSec-WebSocket-Version: 8\r\n",
            "426",
            "sec-websocket-version: 13",
        ),
        ("Sec-WebSocket-Key", close, "400", "sec-websocket-key"),
        ("Sec-WebSocket-Key", "Connection: close\r\nSec-WebSocket-Key: short\r\n", "400", "sec-websocket-key"),
    ] {
        let answer = ask(test.addr, &upgrade_request("/echo", without, with)).await;
        assert!(answer.starts_with(&format!("http/1.1 {status}")) && answer.contains(word), "{without}: {answer}");
    }
    let post = upgrade_request("/echo", "", close).replace("GET", "POST");
    assert!(ask(test.addr, &post).await.starts_with("http/1.1 405"));
}

#[tokio::test]
async fn who_names_no_host_properly_is_told_so() {
    let test = TestEdge::start().await;
    for (hosts, status) in [
        ("Host: localhost\r\n", "200"),
        ("Host: 127.0.0.1:9888\r\n", "200"),
        ("Host: [::1]:9888\r\n", "200"),
        ("Host:\r\n", "200"),
        ("", "400"),
        ("Host: a\r\nHost: a\r\n", "400"),
        ("Host: a b\r\n", "400"),
        ("Host: a@b\r\n", "400"),
        ("Host: a/b\r\n", "400"),
    ] {
        let answer = ask(test.addr, &format!("GET /hello HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("http/1.1 {status}")), "{hosts}: {answer}");
    }
    let answer = ask(test.addr, "GET /hello HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("http/1.0 200"), "before 1.1 nobody needed to: {answer}");
}

#[tokio::test]
async fn an_upgrade_with_a_body_or_two_keys_is_none() {
    let test = TestEdge::start().await;
    for with in
        ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==\r\n"]
    {
        let answer = ask(test.addr, &upgrade_request("/echo", "", &format!("Connection: close\r\n{with}"))).await;
        assert!(answer.starts_with("http/1.1 400"), "{with}: {answer}");
    }
}

#[tokio::test]
async fn the_chosen_subprotocol_is_named() {
    let test = TestEdge::start().await;
    let mut stream = TcpStream::connect(test.addr).await.unwrap();
    stream.write_all(upgrade_request("/probe", "", "Sec-WebSocket-Protocol: probe\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        assert!(timeout(PATIENCE, stream.read_buf(&mut answer)).await.unwrap().unwrap() > 0);
    }
    let answer = String::from_utf8(answer).unwrap().to_lowercase();
    assert!(answer.starts_with("http/1.1 101") && answer.contains("sec-websocket-protocol: probe"), "{answer}");
}

#[tokio::test]
async fn above_the_limit_upgrades_are_refused_and_http_works() {
    let config = EdgeConfig { max_connections: 2, ..EdgeConfig::default() };
    let test = TestEdge::start_with(config, ConnOptions::default()).await;
    let first = Client::connect(test.addr, "/echo").await;
    let _second = Client::connect(test.addr, "/echo").await;
    let answer = ask(test.addr, &upgrade_request("/echo", "", "Connection: close\r\n")).await;
    assert!(answer.starts_with("http/1.1 503") && answer.contains("retry-after: 5"), "{answer}");
    let answer = ask(test.addr, "GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("http/1.1 200"), "{answer}");
    assert_eq!(test.edge.stats().refused.load(Ordering::Relaxed), 1);
    drop(first);
    let edge = test.edge.clone();
    eventually("the place is free", || edge.open() == 1).await;
    let _third = Client::connect(test.addr, "/echo").await;
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_off() {
    let config = EdgeConfig { header_timeout: Duration::from_millis(200), ..EdgeConfig::default() };
    let test = TestEdge::start_with(config, ConnOptions::default()).await;
    ask(test.addr, "GET /hello HTTP/1.1\r\nHost: loc").await;
    // An idle keep-alive connection, too.
    let answer = ask(test.addr, "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer.ends_with("hello"), "{answer}");
    let edge = test.edge.clone();
    eventually("no connection is left", || edge.stats().http.load(Ordering::Relaxed) == 0).await;
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_refused() {
    let test = TestEdge::start().await;
    let request = format!("GET /hello HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000));
    let mut stream = TcpStream::connect(test.addr).await.unwrap();
    // The server may cut the connection while this is still being written.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server closes");
    assert!(!String::from_utf8_lossy(&answer).contains("200"));
}
