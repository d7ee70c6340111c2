//! Who is let in while others fill the HTTP stage and say nothing, or next to nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringway_edge::{ConnOptions, EdgeConfig, Proxies, ProxyHeader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::{Client, LARGE, PATIENCE, TestEdge, eventually};

const SEATS: usize = 16;
const RESERVE: usize = 4;

async fn edge(change: impl FnOnce(&mut EdgeConfig)) -> TestEdge {
    let mut config = EdgeConfig { max_http: SEATS, reserve: RESERVE, ..EdgeConfig::default() };
    change(&mut config);
    TestEdge::start_with(config, ConnOptions::default()).await
}

/// A connection from one of this machine's other addresses.
async fn from(last: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

async fn saying(last: u8, to: SocketAddr, request: &str) -> TcpStream {
    let mut stream = from(last, to).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// All that is answered until the end.
async fn answer(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server closes");
    String::from_utf8(answer).unwrap().to_lowercase()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

/// A request whose body never comes.
const BODILESS: &str = "POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n";

async fn is_served(test: &TestEdge, last: u8) {
    let answered = answer(saying(last, test.addr, &get("/hello")).await).await;
    assert!(answered.starts_with("http/1.1 200"), "{answered}");
    let _socket = Client::upgrade(from(last, test.addr).await, "/echo", b"").await;
}

#[tokio::test]
async fn who_says_nothing_makes_room() {
    let test = edge(|_| {}).await;
    let mut idle = Vec::new();
    for number in 0..5 * SEATS {
        // Most of them from one address, as an attack would be, and the rest from many.
        idle.push(from(if number % 4 == 0 { 20 + number as u8 } else { 2 }, test.addr).await);
        idle.last_mut().unwrap().write_all(b"GET /hello HT").await.unwrap();
    }
    is_served(&test, 1).await;
    let closed = &test.edge.stats().closed;
    assert!(closed.oldest.load(Ordering::Relaxed) + closed.share.load(Ordering::Relaxed) >= 4 * SEATS as u64 - 4);
}

#[tokio::test]
async fn bodies_that_never_come_take_no_place_from_another_address() {
    let test = edge(|_| {}).await;
    let mut slow = Vec::new();
    for _ in 0..2 * SEATS {
        slow.push(saying(2, test.addr, BODILESS).await);
    }
    let edge = test.edge.clone();
    eventually("the rest is refused", || edge.stats().closed.full.load(Ordering::Relaxed) >= SEATS as u64).await;
    // The same address is answered that there is no room; operators have theirs, and others come before it.
    let refused = answer(saying(2, test.addr, &get("/hello")).await).await;
    assert!(refused.starts_with("http/1.1 503") && refused.contains("retry-after"), "{refused}");
    assert!(answer(saying(2, test.addr, &get("/operator")).await).await.starts_with("http/1.1 200"));
    is_served(&test, 1).await;
}

#[tokio::test]
async fn a_body_has_its_time() {
    let test = edge(|config| config.body_timeout = Duration::from_millis(200)).await;
    let late = answer(saying(1, test.addr, BODILESS).await).await;
    assert!(late.starts_with("http/1.1 408") && late.contains("connection: close"), "{late}");
    // A little at a time makes no difference.
    let mut dripping = saying(1, test.addr, BODILESS).await;
    let dripped = async {
        while dripping.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, dripped).await.expect("it is closed");
    assert_eq!(test.edge.stats().closed.body.load(Ordering::Relaxed), 2);
    let whole = "POST /read HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc";
    assert!(answer(saying(1, test.addr, whole).await).await.ends_with('3'));
}

#[tokio::test]
async fn an_answer_has_its_time() {
    let test = edge(|config| config.answer_timeout = Duration::from_millis(200)).await;
    let _lazy = saying(1, test.addr, &get("/large")).await;
    let stats = test.edge.clone();
    eventually("it is closed", || stats.stats().closed.answer.load(Ordering::Relaxed) == 1).await;
    eventually("its place is free", || stats.stats().http.load(Ordering::Relaxed) == 0).await;
}

#[tokio::test]
async fn who_reads_an_answer_gets_it_all_however_long_that_takes() {
    let within = Duration::from_millis(200);
    let test = edge(|config| config.answer_timeout = within).await;
    let mut slow = saying(1, test.addr, &get("/large")).await;
    let (mut part, mut read, began) = (vec![0; 1 << 20], 0, Instant::now());
    loop {
        let got = timeout(PATIENCE, slow.read(&mut part)).await.unwrap().unwrap();
        read += got;
        if got == 0 {
            break;
        }
        // It is the pace that is tried.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(read > LARGE && began.elapsed() > within * 2, "{read} bytes in {:?}", began.elapsed());
}

#[tokio::test]
async fn a_connection_that_is_kept_is_silent_until_its_next_head() {
    let test = edge(|_| {}).await;
    let mut kept = Vec::new();
    for _ in 0..2 * (SEATS + RESERVE) {
        let mut stream = saying(1, test.addr, "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello") {
            assert!(timeout(PATIENCE, stream.read_buf(&mut answer)).await.unwrap().unwrap() > 0);
        }
        kept.push(stream);
    }
    is_served(&test, 1).await;
    assert_eq!(test.edge.stats().closed.full.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_trusted_proxys_word_counts_for_the_address() {
    for header in [ProxyHeader::ForwardedFor, ProxyHeader::Protocol] {
        let proxies = Proxies { trusted: vec!["127.0.0.9/32".parse().unwrap()], header };
        let test = edge(|config| config.proxies = proxies).await;
        let asking = |client: &str, request: &str| match header {
            ProxyHeader::Protocol => format!("PROXY TCP4 {client} 10.0.0.1 5000 80\r\n{request}"),
            ProxyHeader::ForwardedFor => request.replacen("\r\n", &format!("\r\nX-Forwarded-For: {client}\r\n"), 1),
        };
        let mut slow = Vec::new();
        for _ in 0..2 * SEATS {
            slow.push(saying(9, test.addr, &asking("203.0.113.7", BODILESS)).await);
        }
        let stats = test.edge.clone();
        eventually("the rest is refused", || stats.stats().closed.full.load(Ordering::Relaxed) >= SEATS as u64).await;
        let same = answer(saying(9, test.addr, &asking("203.0.113.7", &get("/hello"))).await).await;
        assert!(same.starts_with("http/1.1 503"), "{header:?}: {same}");
        let good = answer(saying(9, test.addr, &asking("203.0.113.8", &get("/hello"))).await).await;
        assert!(good.starts_with("http/1.1 200"), "{header:?}: {good}");
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_say_for_whom_it_asks_is_closed() {
    let proxies = Proxies { trusted: vec!["127.0.0.0/8".parse().unwrap()], header: ProxyHeader::Protocol };
    let test = edge(|config| {
        config.proxies = proxies;
        config.header_timeout = Duration::from_millis(200);
    })
    .await;
    assert_eq!(answer(saying(1, test.addr, &get("/hello")).await).await, "");
    assert_eq!(answer(saying(1, test.addr, "PROXY TCP4").await).await, "");
    assert_eq!(test.edge.stats().closed.proxy.load(Ordering::Relaxed), 2);
}
