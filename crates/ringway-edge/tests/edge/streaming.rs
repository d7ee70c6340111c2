//! Responses that stream: the same connection as a WebSocket's, over which the peer sends nothing.

use crate::support::{PATIENCE, Seen, TestEdge, eventually, send_now};
use bytes::Bytes;
use ringway_edge::{Closed, Conn, ConnOptions, EdgeConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const REQUEST: &str = "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
const HEAD: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/plain\r\n\r\n";

async fn connect(addr: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// A client's side and the server's.
async fn open(test: &mut TestEdge) -> (TcpStream, Arc<Conn>) {
    let mut client = connect(test.addr, REQUEST).await;
    expect(&mut client, HEAD).await;
    (client, opened(test).await)
}

async fn opened(test: &mut TestEdge) -> Arc<Conn> {
    match test.seen().await {
        Seen::Open(conn) => conn,
        other => panic!("expected a new connection, saw {other:?}"),
    }
}

async fn expect(client: &mut TcpStream, text: &str) {
    let mut read = vec![0; text.len()];
    timeout(PATIENCE, client.read_exact(&mut read)).await.expect("the server sends it").unwrap();
    assert_eq!(String::from_utf8_lossy(&read), text);
}

async fn rest(client: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    timeout(PATIENCE, client.read_to_end(&mut rest)).await.expect("the server closes").unwrap();
    String::from_utf8(rest).unwrap()
}

#[tokio::test]
async fn what_is_sent_is_the_body_and_a_close_ends_it() {
    let mut test = TestEdge::start().await;
    let (mut client, conn) = open(&mut test).await;
    assert!(send_now(&conn, Bytes::from_static(b"one\n")) && send_now(&conn, Bytes::from_static(b"two\n")));
    expect(&mut client, "one\ntwo\n").await;
    conn.send(Bytes::from_static(b"three\n"));
    conn.close(3001, "shutdown");
    assert_eq!(rest(&mut client).await, "three\n[3001 shutdown]");
    test.expect_closed(Closed::ByUs { code: 3001 }).await;
    drop((client, conn));
    eventually("its place is free", || test.edge.stats().open.load(Ordering::Relaxed) == 0).await;
}

#[tokio::test]
async fn an_old_client_gets_the_same_bytes() {
    let mut test = TestEdge::start().await;
    let mut client = connect(test.addr, "GET /stream HTTP/1.0\r\n\r\n").await;
    expect(&mut client, HEAD).await;
    opened(&mut test).await.close(3001, "");
    assert_eq!(rest(&mut client).await, "[3001 ]");
}

#[tokio::test]
async fn answers_before_it_on_the_same_connection_are_whole() {
    let mut test = TestEdge::start().await;
    let before = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut client = connect(test.addr, &[before, before, REQUEST].concat()).await;
    opened(&mut test).await.close(3001, "");
    let all = rest(&mut client).await;
    assert_eq!(all.matches("hello").count(), 2, "{all}");
    assert!(all.ends_with(&format!("{HEAD}[3001 ]")), "{all}");
}

#[tokio::test]
async fn what_comes_behind_the_request_means_nothing_and_the_end_is_noticed() {
    let mut test = TestEdge::start().await;
    let (mut client, conn) = open(&mut test).await;
    client.write_all(&vec![b'x'; 1 << 20]).await.unwrap();
    send_now(&conn, Bytes::from_static(b"still here\n"));
    expect(&mut client, "still here\n").await;
    drop(client);
    test.expect_closed(Closed::Lost).await;
}

#[tokio::test]
async fn what_is_left_for_it_is_taken_in_order_and_not_while_reading_is_held() {
    let mut test = TestEdge::start().await;
    let (_client, conn) = open(&mut test).await;
    test.left.lock().unwrap().extend(["one", "pause", "two"]);
    conn.call();
    test.expect_message(b"one").await;
    test.expect_message(b"pause").await;
    test.left.lock().unwrap().push_back("three");
    conn.call();
    // The task has had its turn when its pause shows.
    eventually("reading is held", || conn.unread_for() == Some(Duration::ZERO)).await;
    assert!(test.nothing_seen());
    conn.resume();
    test.expect_message(b"two").await;
    test.expect_message(b"three").await;
}

#[tokio::test]
async fn a_panic_in_its_handler_ends_it_alone() {
    let mut test = TestEdge::start().await;
    let (mut client, conn) = open(&mut test).await;
    let (_other, other) = open(&mut test).await;
    test.left.lock().unwrap().push_back("panic");
    conn.call();
    assert_eq!(rest(&mut client).await, "[1011 internal error]");
    assert!(!other.is_closing());
}

#[tokio::test]
async fn it_has_a_place_among_the_sockets() {
    let config = EdgeConfig { max_connections: 1, ..EdgeConfig::default() };
    let mut test = TestEdge::start_with(config, ConnOptions::default()).await;
    let (_client, _conn) = open(&mut test).await;
    let mut second = connect(test.addr, &REQUEST.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).await;
    let answer = rest(&mut second).await.to_lowercase();
    assert!(answer.starts_with("http/1.1 503") && answer.contains("retry-after: "), "{answer}");
    eventually("it holds none for requests", || test.edge.stats().http.load(Ordering::Relaxed) == 0).await;
}

#[tokio::test]
async fn who_does_not_read_is_closed() {
    let config = EdgeConfig { slow_timeout: Duration::from_millis(200), ..EdgeConfig::default() };
    let mut test = TestEdge::start_with(config, ConnOptions::default()).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    let mut client = socket.connect(test.addr).await.unwrap();
    client.write_all(REQUEST.as_bytes()).await.unwrap();
    let conn = opened(&mut test).await;
    for _ in 0..1_000 {
        send_now(&conn, Bytes::from(vec![b'x'; 16 << 10]));
    }
    test.expect_closed(Closed::ByUs { code: ringway_edge::SLOW }).await;
    drop(conn);
    assert!(rest(&mut client).await.ends_with("[3008 slow]"));
}
