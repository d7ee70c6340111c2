//! Sockets that are left to the edge's writers.

use crate::support::{Client, Got, TestEdge, eventually};
use bytes::Bytes;
use ringway_edge::{Conn, ConnOptions, EdgeConfig, Kind};
use ringway_protocol::ws;
use std::sync::Arc;
use std::sync::atomic::Ordering;

async fn sockets(count: usize, max_outbox: usize) -> (TestEdge, Vec<(Client, Arc<Conn>)>) {
    let config = EdgeConfig { writers: 2, ..EdgeConfig::default() };
    let mut server = TestEdge::start_with(config, ConnOptions { max_outbox, ..ConnOptions::default() }).await;
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        sockets.push(server.probe().await);
    }
    (server, sockets)
}

fn frame(payload: &[u8]) -> Bytes {
    ws::frame(Kind::Binary, payload)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_socket_gets_everything_in_order() {
    const ROUNDS: u32 = 200;
    let (server, sockets) = sockets(100, 1 << 20).await;
    let mut flusher = server.edge.flusher();
    for round in 0..ROUNDS {
        let shared = frame(&round.to_be_bytes());
        // Batches of every size: some are worth a writer, some are not.
        let size = 1 + (round as usize * 7) % sockets.len();
        for (index, (_, conn)) in sockets.iter().enumerate() {
            assert!(conn.send(shared.clone()));
            flusher.add(conn);
            if index % size == 0 {
                flusher.end();
            }
        }
        flusher.end();
    }
    for (mut client, _) in sockets {
        for round in 0..ROUNDS {
            assert_eq!(client.next().await, Got::Message(round.to_be_bytes().to_vec()));
        }
    }
    let unwritten = &server.edge.stats().unwritten;
    eventually("nothing waits for a writer", || unwritten.load(Ordering::Relaxed) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_follows_what_was_left_to_a_writer() {
    let (server, sockets) = sockets(40, 1 << 20).await;
    let mut flusher = server.edge.flusher();
    for (_, conn) in &sockets {
        conn.send(frame(b"last words"));
        flusher.add(conn);
        conn.close(4000, "");
    }
    flusher.end();
    for (mut client, _) in sockets {
        assert_eq!(client.next().await, Got::Message(b"last words".to_vec()));
        assert_eq!(client.next().await, Got::Close(Some(4000)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_feeds_faster_than_can_be_written_writes_itself() {
    const LARGE: usize = 1 << 20;
    const AHEAD: usize = 16 << 20;
    let (server, sockets) = sockets(20, 4 * LARGE).await;
    let stats = server.edge.stats();
    let mut flusher = server.edge.flusher();
    for (_, conn) in &sockets {
        conn.send(frame(&vec![7; LARGE]));
        flusher.add(conn);
        assert!(stats.unwritten.load(Ordering::Relaxed) <= AHEAD + 2 * LARGE, "it is bounded");
    }
    assert_eq!(stats.overtaken.load(Ordering::Relaxed), 4, "those beyond the limit");
    flusher.end();
    for (mut client, _) in sockets {
        assert_eq!(client.next().await, Got::Message(vec![7; LARGE]));
    }
    eventually("nothing waits for a writer", || stats.unwritten.load(Ordering::Relaxed) == 0).await;
}
