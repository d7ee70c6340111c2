//! The cheap client socket against peers that are slow, rude or gone.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringway_bench::socket::{Closed, ConnectError, Handler, SendError, Socket};
use ringway_protocol::ws::{self, Decoder, Event, HandshakeError, Kind, Side};
use ringway_testkit::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SOON: Duration = Duration::from_secs(10);

/// What a socket was told.
#[derive(Debug, Clone, Default)]
struct Heard(Arc<Mutex<(Vec<String>, Option<Closed>)>>);

impl Handler for Heard {
    fn text(&mut self, text: &str, _: &Socket) {
        self.0.lock().expect("no panics").0.push(text.to_owned());
    }

    fn closed(&mut self, closed: &Closed) {
        self.0.lock().expect("no panics").1 = Some(closed.clone());
    }
}

impl Heard {
    fn texts(&self) -> Vec<String> {
        self.0.lock().expect("no panics").0.clone()
    }

    async fn closed(&self) -> Closed {
        eventually(SOON, || async { self.0.lock().expect("no panics").1.clone() }).await
    }
}

/// Both ends of an upgraded connection; with the answer the server sends `early`.
async fn pair(early: &[u8]) -> (Socket, Heard, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let heard = Heard::default();
    let accept = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert!(stream.read_buf(&mut request).await.expect("a request") > 0);
        }
        let request = String::from_utf8(request).expect("text");
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            ws::accept_key(key)
        );
        stream.write_all(&[answer.as_bytes(), early].concat()).await.expect("writable");
        stream
    };
    let target = addr.into();
    let (socket, stream) = tokio::join!(Socket::connect(&target, "/", heard.clone()), accept);
    (socket.expect("upgraded"), heard, stream)
}

/// Reads messages until `count` came.
async fn read_texts(stream: &mut TcpStream, count: usize) -> Vec<String> {
    let mut decoder = Decoder::new(Side::Server, 1 << 20);
    let (mut buffer, mut texts) = (vec![0; 65536], Vec::new());
    while texts.len() < count {
        let got = stream.read(&mut buffer).await.expect("readable");
        assert!(got > 0, "the connection ended after {} messages", texts.len());
        let mut input = &mut buffer[..got];
        while let Some(event) = decoder.decode(&mut input).expect("a proper client") {
            if let Event::Message(message) = event {
                texts.push(String::from_utf8(message.as_bytes().to_vec()).expect("text"));
            }
        }
    }
    texts
}

#[tokio::test]
async fn a_server_that_does_not_read_fills_the_socket_and_gets_all_later() {
    let (socket, _, mut stream) = pair(b"").await;
    let filler = "x".repeat(1000);
    let mut sent = 0;
    let error = loop {
        match socket.send_text(&format!("{sent} {filler}")) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, SendError::Full);
    let texts = tokio::time::timeout(SOON, read_texts(&mut stream, sent)).await.expect("all of it");
    let numbers: Vec<usize> = texts.iter().map(|text| text.split(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, (0..sent).collect::<Vec<_>>());
    assert_eq!(socket.send_text("again"), Ok(()));
    assert_eq!(read_texts(&mut stream, 1).await, ["again"]);
}

#[tokio::test]
async fn what_comes_with_the_handshake_is_not_lost() {
    let early = [ws::frame(Kind::Text, b"one"), ws::frame(Kind::Text, b"two")].concat();
    let (_socket, heard, mut stream) = pair(&early[..7]).await;
    stream.write_all(&early[7..]).await.unwrap();
    eventually(SOON, || async { (heard.texts() == ["one", "two"]).then_some(()) }).await;
}

#[tokio::test]
async fn each_end_of_a_socket_is_told() {
    let masked = ws::masked_frame(ws::Opcode::Text, b"x", [1, 2, 3, 4]);
    let cases: [(&[u8], Option<u16>, &str); 4] = [
        (&ws::close_frame(3001, "shutdown"), Some(3001), "shutdown"),
        (&masked, None, "broke the protocol"),
        (&ws::frame(Kind::Binary, b"x"), None, "binary"),
        (b"", None, "without a close frame"),
    ];
    for (bytes, code, reason) in cases {
        let (socket, heard, mut stream) = pair(b"").await;
        stream.write_all(bytes).await.unwrap();
        drop(stream);
        let closed = heard.closed().await;
        assert!(closed.code == code && closed.reason.contains(reason) && !closed.asked, "{closed:?}");
        assert_eq!(socket.send_text("late"), Err(SendError::Closed));
        assert_eq!(socket.closed(), Some(closed));
    }
}

#[tokio::test]
async fn an_aborted_socket_ends_at_once() {
    let (socket, heard, mut stream) = pair(b"").await;
    socket.abort();
    assert!(heard.closed().await.asked);
    drop(socket);
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_refusal_is_told_with_its_status() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let refuse = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n").await.unwrap();
        stream
    };
    let target = addr.into();
    let (socket, _stream) = tokio::join!(Socket::connect(&target, "/", Heard::default()), refuse);
    assert!(matches!(socket, Err(ConnectError::Handshake(HandshakeError::Refused(503)))), "{socket:?}");
    drop(listener);
    let socket = Socket::connect(&target, "/", Heard::default()).await;
    assert!(matches!(socket, Err(ConnectError::Io { .. })), "{socket:?}");
}
