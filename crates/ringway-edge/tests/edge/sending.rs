//! Frames from other threads: order, partial writes, slow readers.

use crate::support::{Client, Got, Seen, TestEdge, eventually, send_now};
use ringway_edge::{Closed, ConnOptions, EdgeConfig, Room};
use ringway_protocol::ws::{self, Kind};
use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpSocket;

fn narrow_listener() -> tokio::net::TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    // Accepted sockets inherit it; the kernel doubles it and has its own minimum.
    socket.set_send_buffer_size(1024).unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    socket.listen(64).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_senders_never_mix_frames_nor_overtake_themselves() {
    const SENDERS: usize = 6;
    const FRAMES: usize = 1500;
    let options = ConnOptions { max_outbox: 1 << 26, ..ConnOptions::default() };
    let mut test = TestEdge::start_on(narrow_listener(), EdgeConfig::default(), options);
    let (mut client, conn) = test.probe().await;
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let conn = conn.clone();
            std::thread::spawn(move || {
                for number in 0..FRAMES {
                    let filler = "x".repeat((number * 37) % 700);
                    assert!(conn.send(ws::frame(Kind::Text, format!("{sender} {number} {filler}").as_bytes())));
                    if number % 3 == sender % 3 {
                        conn.flush();
                    }
                }
                conn.flush();
            })
        })
        .collect();
    let mut next = [0; SENDERS];
    for _ in 0..SENDERS * FRAMES {
        let Got::Message(bytes) = client.next().await else { panic!("expected a message") };
        let text = String::from_utf8(bytes).unwrap();
        let mut words = text.splitn(3, ' ');
        let sender: usize = words.next().unwrap().parse().unwrap();
        let number: usize = words.next().unwrap().parse().unwrap();
        assert_eq!(number, next[sender], "from sender {sender}");
        assert_eq!(words.next().unwrap(), "x".repeat((number * 37) % 700));
        next[sender] += 1;
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let stats = test.edge.stats();
    assert_eq!(stats.frames_out.load(Ordering::Relaxed), (SENDERS * FRAMES) as u64);
}

#[tokio::test]
async fn what_is_queued_leaves_in_one_write() {
    let mut test = TestEdge::start().await;
    let (mut client, conn) = test.probe().await;
    for _ in 0..64 {
        conn.send(ws::frame(Kind::Text, b"queued"));
    }
    assert_eq!(test.edge.stats().writes.load(Ordering::Relaxed), 0);
    conn.flush();
    assert_eq!(test.edge.stats().writes.load(Ordering::Relaxed), 1);
    for _ in 0..64 {
        assert_eq!(client.next().await, Got::Message(b"queued".to_vec()));
    }
}

/// An edge that finds slow peers soon.
fn impatient(slow_timeout: Duration) -> EdgeConfig {
    EdgeConfig { slow_timeout, ..EdgeConfig::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_reads_is_closed_and_slows_nobody() {
    let options = ConnOptions { max_outbox: 64 * 1024, ..ConnOptions::default() };
    let mut test = TestEdge::start_on(narrow_listener(), impatient(Duration::from_secs(1)), options);
    let mut sleeper = Client::connect_narrow(test.addr, "/probe").await;
    let Seen::Open(slow) = test.seen().await else { panic!("expected a connection") };
    let (mut reader, quick) = test.probe().await;
    let frame = ws::frame(Kind::Binary, &[5; 4096]);
    while slow.queued_bytes() < 1024 * 1024 {
        assert!(slow.send(frame.clone()), "it has time to read");
        slow.flush();
        assert!(send_now(&quick, frame.clone()));
        assert_eq!(reader.next().await, Got::Message(vec![5; 4096]));
    }
    test.expect_closed(Closed::ByUs { code: 3008 }).await;
    assert!(slow.queued_bytes() <= 4096 + 200, "the queue was dropped");
    assert_eq!(test.edge.stats().slow.load(Ordering::Relaxed), 1);
    assert!(send_now(&quick, frame.clone()));
    assert_eq!(reader.next().await, Got::Message(vec![5; 4096]));
    // When it does read at last, it learns why.
    assert_eq!(sleeper.close_code().await, Some(3008));
    eventually("nothing is in the account", || test.edge.stats().queued.load(Ordering::Relaxed) == 0).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_kernel_holds_little_for_who_never_reads() {
    let mut test = TestEdge::start_with(impatient(Duration::from_secs(1)), ConnOptions::default()).await;
    let _sleeper = Client::connect_narrow(test.addr, "/probe").await;
    let Seen::Open(slow) = test.seen().await else { panic!("expected a connection") };
    let frame = ws::frame(Kind::Binary, &[5; 16 * 1024]);
    while slow.queued_bytes() < 1024 * 1024 {
        send_now(&slow, frame.clone());
    }
    test.expect_closed(Closed::ByUs { code: 3008 }).await;
    let taken = test.edge.stats().bytes_out.load(Ordering::Relaxed);
    assert!(taken < 1024 * 1024, "the kernel took {taken} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_queued_at_once_reaches_who_reads() {
    let options = ConnOptions { max_outbox: 128 * 1024, ..ConnOptions::default() };
    let mut test = TestEdge::start_on(narrow_listener(), EdgeConfig::default(), options);
    let mut client = Client::connect_narrow(test.addr, "/probe").await;
    let Seen::Open(conn) = test.seen().await else { panic!("expected a connection") };
    // Most of it is queued above the limit, and the last of it by a send that nobody flushes.
    for number in 0..40_u8 {
        assert!(conn.send(ws::frame(Kind::Binary, &[number; 60_000])));
    }
    for number in 0..40_u8 {
        assert_eq!(client.next().await, Got::Message(vec![number; 60_000]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_slowly_is_not_slow() {
    let options = ConnOptions { max_outbox: 1024 * 1024, ..ConnOptions::default() };
    let mut test = TestEdge::start_on(narrow_listener(), impatient(Duration::from_millis(750)), options);
    let mut client = Client::connect_narrow(test.addr, "/probe").await;
    let Seen::Open(conn) = test.seen().await else { panic!("expected a connection") };
    for number in 0..100_u8 {
        conn.send(ws::frame(Kind::Binary, &[number; 8192]));
    }
    conn.flush();
    // Four times as long as a peer may take nothing.
    for number in 0..100_u8 {
        assert_eq!(client.next().await, Got::Message(vec![number; 8192]));
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(test.edge.stats().slow.load(Ordering::Relaxed), 0);
    assert!(conn.progressed_for().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn above_the_limit_of_all_sockets_the_longest_queue_goes() {
    let config = EdgeConfig { max_queued: 1024 * 1024, slow_timeout: Duration::from_secs(60), ..EdgeConfig::default() };
    let mut test = TestEdge::start_on(narrow_listener(), config, ConnOptions::default());
    let mut peers = Vec::new();
    for _ in 0..3 {
        let client = Client::connect_narrow(test.addr, "/probe").await;
        let Seen::Open(conn) = test.seen().await else { panic!("expected a connection") };
        peers.push((client, conn));
    }
    let frame = ws::frame(Kind::Binary, &[5; 16 * 1024]);
    for (_, conn) in &peers {
        (0..18).for_each(|_| assert!(send_now(conn, frame.clone())));
    }
    assert_eq!(peers[0].1.ask_room(1 << 20), Room::Now);
    while send_now(&peers[1].1, frame.clone()) {}
    test.expect_closed(Closed::ByUs { code: 3008 }).await;
    assert!(!peers[0].1.is_closing() && !peers[2].1.is_closing(), "the others are not to blame");
    assert!(test.edge.stats().queued.load(Ordering::Relaxed) <= 1024 * 1024);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_for_room_is_told_once() {
    let mut test = TestEdge::start_on(narrow_listener(), EdgeConfig::default(), ConnOptions::default());
    let mut client = Client::connect_narrow(test.addr, "/probe").await;
    let Seen::Open(conn) = test.seen().await else { panic!("expected a connection") };
    assert_eq!(conn.ask_room(0), Room::Now);
    (0..20).for_each(|_| assert!(conn.send(ws::frame(Kind::Binary, &[7; 16 * 1024]))));
    assert_eq!((conn.ask_room(100_000), conn.ask_room(60_000)), (Room::Later, Room::Later));
    assert!(test.nothing_seen());
    for _ in 0..20 {
        assert_eq!(client.next().await, Got::Message(vec![7; 16 * 1024]));
    }
    assert!(matches!(test.seen().await, Seen::Room));
    assert!(test.nothing_seen());
    assert_eq!(conn.ask_room(0), Room::Now);
}

#[tokio::test]
async fn a_burst_that_nobody_flushed_makes_no_slow_reader() {
    let options = ConnOptions { max_outbox: 10_000, ..ConnOptions::default() };
    let mut test = TestEdge::start_with(EdgeConfig::default(), options).await;
    let (mut client, conn) = test.probe().await;
    for _ in 0..20 {
        assert!(conn.send(ws::frame(Kind::Binary, &[1; 1000])));
    }
    conn.flush();
    for _ in 0..20 {
        assert_eq!(client.next().await, Got::Message(vec![1; 1000]));
    }
}

#[tokio::test]
async fn the_time_of_the_last_read_is_kept() {
    let mut test = TestEdge::start().await;
    let (mut client, conn) = test.probe().await;
    let before = conn.last_read();
    let edge = test.edge.clone();
    eventually("a second passes", || edge.now() > before).await;
    client.send_text("hello").await;
    test.expect_message(b"hello").await;
    assert!(conn.last_read() > before);
}
