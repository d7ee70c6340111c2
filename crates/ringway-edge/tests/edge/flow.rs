//! Backpressure: a handler that stops its socket's input.

use crate::support::{Got, Seen, TestEdge, frames, send_now};
use ringway_protocol::ws::{self, Opcode};

#[tokio::test]
async fn a_pause_holds_back_everything_behind_it() {
    let mut test = TestEdge::start().await;
    let (mut client, conn) = test.probe().await;
    let burst = frames(&[(Opcode::Text, b"pause"), (Opcode::Text, b"second"), (Opcode::Ping, b"third")]);
    client.send_raw(&burst).await;
    test.expect_message(b"pause").await;
    client.send_text("fourth").await;
    // Sending goes on meanwhile, which also shows that the task has had its turn.
    assert!(send_now(&conn, ws::frame(ws::Kind::Text, b"downwards")));
    assert_eq!(client.next().await, Got::Message(b"downwards".to_vec()));
    assert!(test.nothing_seen());
    conn.resume();
    test.expect_message(b"second").await;
    test.expect_message(b"fourth").await;
    assert_eq!(client.next().await, Got::Pong(b"third".to_vec()));
}

#[tokio::test]
async fn a_resume_that_comes_early_counts() {
    let mut test = TestEdge::start().await;
    let (mut client, _conn) = test.probe().await;
    client.send_raw(&frames(&[(Opcode::Text, b"early"), (Opcode::Text, b"next")])).await;
    test.expect_message(b"early").await;
    test.expect_message(b"next").await;
}

#[tokio::test]
async fn closing_a_paused_connection_ends_it() {
    let mut test = TestEdge::start().await;
    let (mut client, conn) = test.probe().await;
    client.send_raw(&frames(&[(Opcode::Text, b"pause"), (Opcode::Text, b"never handled")])).await;
    test.expect_message(b"pause").await;
    conn.close(4000, "enough");
    assert_eq!(client.next().await, Got::Close(Some(4000)));
    test.expect_closed(ringway_edge::Closed::ByUs { code: 4000 }).await;
    client.send_close(4000).await;
    assert_eq!(client.next().await, Got::Eof);
}

#[tokio::test]
async fn pongs_reach_the_handler() {
    let mut test = TestEdge::start().await;
    let (mut client, conn) = test.probe().await;
    send_now(&conn, ws::ping_frame(b"are you there"));
    assert_eq!(client.next().await, Got::Ping(b"are you there".to_vec()));
    client.send(Opcode::Pong, b"are you there").await;
    assert!(matches!(test.seen().await, Seen::Pong(payload) if payload == b"are you there"));
}
