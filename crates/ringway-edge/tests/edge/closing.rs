//! The closing handshake in both directions, and what happens without one.

use crate::support::{Client, Got, TestEdge, eventually, frames, send_now};
use ringway_edge::{Closed, ConnOptions, EdgeConfig};
use ringway_protocol::ws::{self, Kind, Opcode};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_close_by_the_server_comes_after_what_is_queued() {
    let mut test = TestEdge::start().await;
    let (mut client, conn) = test.probe().await;
    conn.send(ws::frame(Kind::Text, b"last words"));
    conn.close(3001, "shutdown");
    conn.close(4999, "only the first counts");
    assert!(!conn.send(ws::frame(Kind::Text, b"too late")));
    assert_eq!(client.next().await, Got::Message(b"last words".to_vec()));
    assert_eq!(client.next().await, Got::Close(Some(3001)));
    test.expect_closed(Closed::ByUs { code: 3001 }).await;
    client.send_text("crossed the close on the way").await;
    client.send_close(3001).await;
    assert_eq!(client.next().await, Got::Eof);
    drop((client, conn));
    let edge = test.edge.clone();
    eventually("the socket is gone", || edge.open() == 0).await;
    assert!(test.nothing_seen());
}

#[tokio::test]
async fn a_close_by_the_client_is_echoed() {
    let mut test = TestEdge::start().await;
    let (mut client, _) = test.probe().await;
    let mut bytes = frames(&[(Opcode::Text, b"before")]);
    bytes.extend_from_slice(&ws::masked_close_frame(4321, "so long", [0; 4]));
    bytes.extend_from_slice(&frames(&[(Opcode::Text, b"after")]));
    client.send_raw(&bytes).await;
    test.expect_message(b"before").await;
    test.expect_closed(Closed::ByPeer { code: Some(4321), reason: "so long".into() }).await;
    assert_eq!(client.next().await, Got::Close(Some(4321)));
    assert_eq!(client.next().await, Got::Eof);
}

#[tokio::test]
async fn when_both_close_the_first_one_counts() {
    let mut test = TestEdge::start().await;
    let (mut client, _) = test.probe().await;
    let mut bytes = frames(&[(Opcode::Text, b"kick me"), (Opcode::Text, b"not delivered")]);
    bytes.extend_from_slice(&ws::masked_close_frame(4321, "", [0; 4]));
    client.send_raw(&bytes).await;
    test.expect_message(b"kick me").await;
    test.expect_closed(Closed::ByUs { code: 4000 }).await;
    assert_eq!(client.next().await, Got::Close(Some(4000)));
    assert_eq!(client.next().await, Got::Eof);
}

#[tokio::test]
async fn a_close_without_a_code_is_answered_without_one() {
    let mut test = TestEdge::start().await;
    let (mut client, _) = test.probe().await;
    client.send(Opcode::Close, b"").await;
    assert_eq!(client.next().await, Got::Close(None));
    assert_eq!(client.next().await, Got::Eof);
    test.expect_closed(Closed::ByPeer { code: None, reason: String::new() }).await;
}

#[tokio::test]
async fn a_peer_that_ignores_the_close_is_cut_off() {
    let config = EdgeConfig { close_timeout: Duration::from_millis(500), ..EdgeConfig::default() };
    let mut test = TestEdge::start_with(config, ConnOptions::default()).await;
    let (mut client, conn) = test.probe().await;
    let started = Instant::now();
    conn.close(3000, "");
    drop(conn);
    assert_eq!(client.next().await, Got::Close(Some(3000)));
    assert_eq!(client.next().await, Got::Eof);
    assert!(started.elapsed() >= Duration::from_millis(450), "after {:?}", started.elapsed());
    let edge = test.edge.clone();
    eventually("the socket is gone", || edge.open() == 0).await;
}

#[tokio::test]
async fn a_vanished_peer_is_noticed() {
    let mut test = TestEdge::start().await;
    let (client, conn) = test.probe().await;
    drop(client);
    test.expect_closed(Closed::Lost).await;
    assert!(!send_now(&conn, ws::frame(Kind::Text, b"into the void")));
}

#[tokio::test]
async fn an_abort_needs_no_handshake() {
    let mut test = TestEdge::start().await;
    let (mut client, conn) = test.probe().await;
    conn.abort();
    drop(conn);
    test.expect_closed(Closed::Lost).await;
    assert_eq!(client.next().await, Got::Eof);
}

#[tokio::test]
async fn after_the_stop_old_sockets_live_and_new_ones_are_refused() {
    let mut test = TestEdge::start().await;
    let (mut client, conn) = test.probe().await;
    test.edge.stop_accepting();
    let addr = test.addr;
    let started = Instant::now();
    while tokio::net::TcpStream::connect(addr).await.is_ok() {
        assert!(started.elapsed() < crate::support::PATIENCE, "still accepting");
        tokio::task::yield_now().await;
    }
    client.send_text("still served").await;
    test.expect_message(b"still served").await;
    conn.close(3001, "shutdown");
    assert_eq!(client.close_code().await, Some(3001));
    let _: Client = client;
}
