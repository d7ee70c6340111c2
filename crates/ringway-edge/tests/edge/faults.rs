//! Broken rules: each has its close code, and nobody else notices.

use crate::support::{Client, Got, TestEdge};
use ringway_edge::Closed;
use ringway_protocol::ws::{self, Kind, Opcode};

async fn closes_with(bytes: &[u8], code: u16) {
    let mut test = TestEdge::start().await;
    let mut bystander = Client::connect(test.addr, "/echo").await;
    let (mut client, conn) = test.probe().await;
    drop(conn);
    client.send_raw(bytes).await;
    assert_eq!(client.next().await, Got::Close(Some(code)));
    assert_eq!(client.next().await, Got::Eof);
    test.expect_closed(Closed::ByUs { code }).await;
    bystander.send_text("still here").await;
    assert_eq!(bystander.next().await, Got::Message(b"still here".to_vec()));
}

#[tokio::test]
async fn an_unmasked_frame_is_a_protocol_error() {
    closes_with(&ws::frame(Kind::Text, b"hello"), 1002).await;
}

#[tokio::test]
async fn bad_utf8_is_invalid_data() {
    closes_with(&ws::masked_frame(Opcode::Text, &[0xff, 0xfe], [9; 4]), 1007).await;
}

#[tokio::test]
async fn an_announced_giant_is_too_big_before_it_is_sent() {
    let head = [0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4];
    closes_with(&head, 1009).await;
}

#[tokio::test]
async fn a_panic_closes_its_connection_only() {
    let mut test = TestEdge::start().await;
    let mut bystander = Client::connect(test.addr, "/echo").await;
    let (mut client, _) = test.probe().await;
    client.send_text("panic").await;
    assert_eq!(client.next().await, Got::Close(Some(1011)));
    test.expect_message(b"panic").await;
    test.expect_closed(Closed::ByUs { code: 1011 }).await;
    bystander.send_text("still here").await;
    assert_eq!(bystander.next().await, Got::Message(b"still here".to_vec()));
}

#[tokio::test]
async fn a_flood_of_pings_waits_for_its_reader() {
    const PINGS: usize = 60_000;
    let mut test = TestEdge::start().await;
    let (client, conn) = test.probe().await;
    let Client { stream, .. } = client;
    let (mut reading, mut writing) = stream.into_split();
    let flood = tokio::spawn(async move {
        let ping = ws::masked_frame(Opcode::Ping, &[7; 125], [0; 4]);
        for _ in 0..PINGS / 100 {
            tokio::io::AsyncWriteExt::write_all(&mut writing, &ping.repeat(100)).await.unwrap();
        }
        writing
    });
    crate::support::eventually("pongs pile up", || conn.queued_bytes() > 0).await;
    assert!(conn.queued_bytes() < 64 * 1024, "{} bytes of pongs wait", conn.queued_bytes());
    let mut pongs = vec![0; PINGS * 127];
    tokio::io::AsyncReadExt::read_exact(&mut reading, &mut pongs).await.unwrap();
    assert!(pongs.chunks(127).all(|pong| pong[..2] == [0x8a, 125] && pong[2..] == [7; 125]));
    flood.await.unwrap();
    assert!(!conn.is_closing());
}
