//! Nobody who has not said who they are keeps others out.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use ringway_core::{Incarnation, MemberId};
use ringway_protocol::link::{Handshake, Hello, Identity, Purpose, Roles, Versions, encode_handshake, preamble};
use ringway_testkit::raw::Frame;
use ringway_testkit::server::TOKEN;
use ringway_testkit::{CentrifugeClient, Process, RawWs, Server, eventually, http};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{BINARY, CHANGE, SOON, demo, dev, named, plain, serve, token};

/// A connection from one of this machine's other addresses.
async fn from(last: u8, to: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).ok()?;
    socket.connect(to).await.ok()
}

/// Clients come in, and operators and probes are answered. Nobody is kept waiting without an end.
async fn is_served(server: &Server) {
    tokio::time::timeout(CHANGE, all_are_served(server)).await.expect("nobody is kept out");
}

async fn all_are_served(server: &Server) {
    let mut client = CentrifugeClient::connect(server.addr()).await.expect("a client comes in");
    client.subscribe("news").await.expect("it subscribes");
    let _plain = plain(server.addr(), "ann").await;
    assert_eq!(http::get(server.addr(), "/health/live", &[]).await.expect("an answer").status, 200);
    assert_eq!(server.admin_get("/admin/members").await.expect("an answer").status, 200);
    server.publish("news", serde_json::json!(1)).await.expect("the server API answers");
}

/// The status of a request to a host of this name.
async fn status_under(addr: SocketAddr, path: &str, host: &str) -> u16 {
    let mut stream = TcpStream::connect(addr).await.expect("somebody listens");
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

async fn closed(server: &Server, reason: &str) -> f64 {
    let counts = server.metrics("ringway_http_connections_closed_total").await.expect("metrics");
    counts[&format!("{{reason=\"{reason}\"}}")]
}

#[tokio::test]
async fn connections_that_say_nothing_keep_nobody_out() {
    let server = dev("[server]\nmax_http = 64\nheader_timeout = \"1h\"\n").await;
    let mut idle = Vec::new();
    for number in 0..1_000 {
        // From one address and from many.
        let last = if number % 2 == 0 { 2 } else { 3 + (number % 200) as u8 };
        idle.extend(from(last, server.addr()).await);
    }
    is_served(&server).await;
    assert!(closed(&server, "oldest").await + closed(&server, "share").await > 800.0);
}

#[tokio::test]
async fn bodies_that_never_come_and_answers_that_nobody_reads_keep_nobody_out() {
    let server = dev("[server]\nmax_http = 64\nbody_timeout = \"1h\"\nanswer_timeout = \"1h\"\n").await;
    let key = ringway_testkit::server::KEY;
    let request =
        format!("POST /api/publish HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {key}\r\nContent-Length: 99\r\n\r\n");
    let mut slow = Vec::new();
    for _ in 0..200 {
        let Some(mut stream) = from(2, server.addr()).await else { continue };
        let _ = stream.write_all(request.as_bytes()).await;
        slow.push(stream);
    }
    eventually(SOON, || async {
        (closed(&server, "full").await + closed(&server, "share").await >= 130.0).then_some(())
    })
    .await;
    is_served(&server).await;
}

/// What counts wrong ones of this kind, and those of them that were not answered at once.
async fn wrong(server: &Server, secret: &str) -> (f64, f64) {
    let label = format!("{{secret=\"{secret}\"}}");
    let count = async |name| server.metrics(name).await.expect("metrics")[&label];
    (count("ringway_wrong_secrets_total").await, count("ringway_wrong_secrets_limited_total").await)
}

async fn members(addr: SocketAddr, token: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    http::get(addr, "/admin/members", &[("authorization", &bearer)]).await.expect("an answer").status
}

#[tokio::test]
async fn wrong_tokens_have_their_limit_and_the_right_one_passes_at_once() {
    let mut server = dev("").await;
    let addr = server.addr();
    for _ in 0..10 {
        assert_eq!(members(addr, "wrong").await, 401);
    }
    let began = Instant::now();
    assert_eq!(members(addr, "wrong").await, 429);
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    // A flood far beyond what may wait, from the operator's own address.
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..300 {
        flood.spawn(async move { members(addr, "wrong").await });
    }
    for _ in 0..20 {
        assert_eq!(members(addr, TOKEN).await, 200, "the operator is not shut out by who shares the address");
    }
    assert!(flood.join_all().await.iter().all(|status| *status == 429));
    assert_eq!(members(addr, TOKEN).await, 200);
    assert_eq!(wrong(&server, "admin_token").await, (311.0, 301.0));
    server.process.wait_for("wrong admin tokens keep coming.*127.0.0.1|127.0.0.1.*wrong admin tokens", SOON).await;
}

/// How long it takes until a client with this token is closed.
async fn turned_away(server: &Server, token: &str) -> Duration {
    let mut raw = RawWs::connect(server.addr(), "/connection/websocket").await.expect("a socket");
    let began = Instant::now();
    raw.send_text(&format!(r#"{{"id":1,"connect":{{"token":"{token}"}}}}"#)).await.expect("it is sent");
    match raw.recv(SOON).await.expect("an answer") {
        Frame::Close(Some(3500), _) => began.elapsed(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn wrong_connection_tokens_are_told_late_and_right_ones_of_the_same_address_come_in() {
    let mut server = dev("").await;
    for _ in 0..10 {
        turned_away(&server, "wrong").await;
    }
    assert!(turned_away(&server, "wrong").await >= Duration::from_secs(1));
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..150 {
        let addr = server.addr();
        flood.spawn(async move {
            let mut raw = RawWs::connect(addr, "/connection/websocket").await.expect("a socket");
            raw.send_text(r#"{"id":1,"connect":{"token":"wrong"}}"#).await.expect("it is sent");
            raw.recv(SOON).await.expect("an answer")
        });
    }
    named(server.addr(), "ann", serde_json::json!({})).await.expect("a right token");
    let answers = flood.join_all().await;
    assert!(answers.iter().all(|answer| matches!(answer, Frame::Close(Some(3500), _))), "{answers:?}");
    assert_eq!(wrong(&server, "client_token").await, (161.0, 151.0));
    eventually(SOON, || async {
        let refused = server.metrics("ringway_connects_refused_total").await.expect("metrics");
        (refused[r#"{reason="token_invalid"}"#] == 161.0).then_some(())
    })
    .await;
    server.process.wait_for("wrong client tokens keep coming", SOON).await;
}

/// Asks to stay on with this token, or for a channel. Gives the error's code, or the close frame's, and how long it took.
async fn shown(raw: &mut RawWs, asked: &str, token: &str) -> (u64, Duration) {
    let began = Instant::now();
    let fields = serde_json::json!({"id": 7, asked: {"channel": "news", "token": token}});
    raw.send_text(&fields.to_string()).await.expect("it is sent");
    match raw.recv(SOON).await.expect("an answer") {
        Frame::Text(text) => {
            let reply: serde_json::Value = serde_json::from_str(&text).expect("one answer");
            (reply["error"]["code"].as_u64().unwrap_or_default(), began.elapsed())
        }
        Frame::Close(code, _) => (code.unwrap_or_default().into(), began.elapsed()),
        other => panic!("{other:?}"),
    }
}

/// A connection with a right token.
async fn inside(server: &Server) -> RawWs {
    let mut raw = RawWs::connect(server.addr(), "/connection/websocket").await.expect("a socket");
    let connect = serde_json::json!({"id": 1, "connect": {"token": token(&serde_json::json!({}))}});
    raw.send_text(&connect.to_string()).await.expect("it is sent");
    assert!(matches!(raw.recv(SOON).await.expect("an answer"), Frame::Text(_)), "it is let in");
    raw
}

#[tokio::test]
async fn who_is_inside_guesses_tokens_no_faster_than_who_is_not() {
    const LATE: Duration = Duration::from_secs(1);
    let server = dev("").await;
    let expired = token(&serde_json::json!({"channel": "news", "exp": 1}));
    let mut guesser = inside(&server).await;
    for _ in 0..20 {
        assert_eq!(shown(&mut guesser, "subscribe", &expired).await.0, 109, "what has expired is no guess");
    }
    for _ in 0..9 {
        assert_eq!(shown(&mut guesser, "subscribe", "wrong").await.0, 103);
    }
    assert_eq!(shown(&mut inside(&server).await, "refresh", "wrong").await.0, 3500);
    assert_eq!(wrong(&server, "client_token").await, (10.0, 0.0));
    let (code, took) = shown(&mut guesser, "subscribe", "wrong").await;
    assert!(code == 103 && took >= LATE, "{code} after {took:?}");
    let right = token(&serde_json::json!({"channel": "news"}));
    let (code, took) = shown(&mut guesser, "subscribe", &right).await;
    assert!(code == 0 && took < LATE, "{code} after {took:?}: a right one passes, also the guesser's");
    for asked in ["refresh", "sub_refresh"] {
        let mut raw = inside(&server).await;
        assert_eq!(shown(&mut raw, "subscribe", &right).await.0, 0);
        let (code, took) = shown(&mut raw, asked, "wrong").await;
        assert!(code == 3500 && took >= LATE, "{asked}: {code} after {took:?}");
    }
    assert_eq!(wrong(&server, "client_token").await, (13.0, 3.0));
    // A hundred in one message are a hundred.
    let many: Vec<String> =
        (1..=100).map(|id| format!(r#"{{"id":{id},"subscribe":{{"channel":"c","token":"x"}}}}"#)).collect();
    guesser.send_text(&many.join("\n")).await.expect("it is sent");
    assert!(matches!(guesser.closed(SOON).await, Ok(Some((3500, _)))));
    assert_eq!(wrong(&server, "client_token").await, (113.0, 103.0));
}

/// One who says hello at a link port, and guesses the rest. Gives how long it takes until it is told, or closed.
async fn guess_secret(link: SocketAddr) -> Duration {
    let identity = Identity {
        id: MemberId::new("stranger").expect("a name"),
        incarnation: Incarnation(7),
        roles: Roles { gateway: false, node: true },
        address: "127.0.0.1:1".into(),
        client_address: None,
        keeps_registry: false,
        birth: None,
    };
    let hello = Hello { nonce: [7; 32], cluster: "".into(), identity, purpose: Purpose::Probe };
    let mut words = BytesMut::from(&preamble(Versions::OURS)[..]);
    encode_handshake(&Handshake::Hello(Box::new(hello)), &mut words).expect("it is short");
    encode_handshake(&Handshake::Proof([7; 32]), &mut words).expect("it is short");
    let mut stream = TcpStream::connect(link).await.expect("somebody listens");
    let began = Instant::now();
    stream.write_all(&words).await.expect("it is sent");
    // It may end with a reset: whoever is closed without a word has said more than was read.
    let _ = stream.read_to_end(&mut Vec::new()).await;
    began.elapsed()
}

#[tokio::test]
async fn wrong_join_secrets_are_told_late_and_members_of_the_same_address_join() {
    let mut demo = demo(1).await;
    let node = demo.member("node-1").await.expect("a node").pid;
    let line = std::fs::read_to_string(format!("/proc/{node}/cmdline")).expect("its arguments");
    let link = line.split('\0').skip_while(|word| *word != "--join").nth(1).expect("an address");
    let link: SocketAddr = link.parse().expect("an address");
    for _ in 0..10 {
        guess_secret(link).await;
    }
    assert!(guess_secret(link).await >= Duration::from_secs(1));
    let mut flood = tokio::task::JoinSet::new();
    flood.spawn(async move {
        loop {
            guess_secret(link).await;
        }
    });
    demo.add().await.expect("one more node");
    demo.settled(2).await;
    flood.abort_all();
    let (all, limited) = wrong(&demo, "join_secret").await;
    assert!(limited >= 2.0 && limited == all - 10.0, "{all} wrong, {limited} limited");
    demo.process.wait_for("wrong join secrets keep coming", SOON).await;
}

#[tokio::test]
async fn a_name_that_leads_here_by_trick_is_not_served() {
    let server = dev("[server]\nnames = [\"chat.example\"]\n").await;
    let status = |path, host| status_under(server.addr(), path, host);
    for path in ["/", "/admin/members", "/websocket/to/ann/hello"] {
        assert_eq!(status(path, "evil.example").await, 421, "{path}");
        assert_eq!(status(path, "chat.example:1").await, 200, "{path}");
    }
    assert_eq!(status("/health", "evil.example").await, 200);
    assert_eq!(status("/metrics", "10-0-0-1.pods.example").await, 200);
}

#[tokio::test]
async fn a_get_sends_only_where_the_config_says_so() {
    for (config, status) in [("", 405), ("get = true\n", 200)] {
        let server = serve(&format!("[plain]\nenabled = true\n{config}")).await;
        let path = "/websocket/to/ann/hello";
        assert_eq!(http::get(server.addr(), path, &[]).await.unwrap().status, status);
        assert_eq!(http::post_raw(server.addr(), path, &[], "").await.unwrap().status, 200);
        let foreign = [("origin", "https://evil.example")];
        assert_eq!(http::post_raw(server.addr(), path, &foreign, "").await.unwrap().status, 403);
    }
}

#[tokio::test]
async fn short_secrets_are_refused_outside_of_trying_things_out() {
    let mut refused = Process::start(&*BINARY, &["serve", "--port", "0", "--admin-token", "x"]);
    let status = refused.wait_exit(SOON).await;
    let text = refused.stderr();
    assert_eq!(status.code(), Some(64), "{text}");
    assert!(text.contains("admin.token") && text.contains("16 or more"), "{text}");
}

#[tokio::test]
async fn who_sends_more_commands_than_its_pace_is_read_from_later_and_loses_nothing() {
    let server = dev("[limits.session]\ncommands_per_second = 1000\ncommand_burst = 2048\n").await;
    let mut raw = RawWs::connect(server.addr(), "/connection/websocket").await.unwrap();
    raw.send_text(r#"{"id":1,"connect":{}}"#).await.unwrap();
    assert!(matches!(raw.recv(SOON).await.unwrap(), Frame::Text(text) if text.contains("client")));
    let began = Instant::now();
    for number in 0..30_u32 {
        let command = |id| format!(r#"{{"id":{id},"unsubscribe":{{"channel":"news"}}}}"#);
        let commands: Vec<_> = (0..100).map(|id| command(2 + number * 100 + id)).collect();
        raw.send_text(&commands.join("\n")).await.unwrap();
    }
    let mut answered = 0;
    while answered < 3_000 {
        match raw.recv(SOON).await.unwrap() {
            Frame::Text(text) => answered += text.matches("unsubscribe").count(),
            other => panic!("{answered} answers, then {other:?}"),
        }
    }
    // 2,048 at once, and the rest at the pace; the last frame of all is answered before its wait.
    assert!(began.elapsed() >= Duration::from_millis(700), "{:?}", began.elapsed());
    assert!(server.metrics("ringway_sessions_paced_total").await.unwrap().values().sum::<f64>() >= 1.0);
}
