//! Frames from other threads: order, partial writes, slow readers.

use crate::support::{Client, Got, Seen, TestEdge, eventually};
use ringway_edge::{Closed, ConnOptions, EdgeConfig};
use ringway_protocol::ws::{self, Kind};
use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_reads_is_closed_and_slows_nobody() {
    let options = ConnOptions { max_outbox: 64 * 1024, ..ConnOptions::default() };
    let mut test = TestEdge::start_on(narrow_listener(), EdgeConfig::default(), options);
    let mut sleeper = Client::connect_narrow(test.addr, "/probe").await;
    let Seen::Open(slow) = test.seen().await else { panic!("expected a connection") };
    let (mut reader, quick) = test.probe().await;
    let frame = ws::frame(Kind::Binary, &[5; 4096]);
    let mut rounds = 0;
    while slow.send(frame.clone()) {
        slow.flush();
        assert!(quick.send_now(frame.clone()));
        assert_eq!(reader.next().await, Got::Message(vec![5; 4096]));
        rounds += 1;
        assert!(rounds < 100_000, "the queue has no limit");
    }
    test.expect_closed(Closed::ByUs { code: 3008 }).await;
    assert!(slow.queued_bytes() <= 4096 + 200, "the queue was dropped");
    assert_eq!(test.edge.stats().slow.load(Ordering::Relaxed), 1);
    assert!(quick.send_now(frame.clone()));
    assert_eq!(reader.next().await, Got::Message(vec![5; 4096]));
    // When it does read at last, it learns why.
    assert_eq!(sleeper.close_code().await, Some(3008));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_kernel_holds_little_for_who_never_reads() {
    let mut test = TestEdge::start().await;
    let _sleeper = Client::connect_narrow(test.addr, "/probe").await;
    let Seen::Open(slow) = test.seen().await else { panic!("expected a connection") };
    let frame = ws::frame(Kind::Binary, &[5; 16 * 1024]);
    while slow.send_now(frame.clone()) {}
    test.expect_closed(Closed::ByUs { code: 3008 }).await;
    let taken = test.edge.stats().bytes_out.load(Ordering::Relaxed);
    assert!(taken < 1024 * 1024, "the kernel took {taken} bytes");
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
