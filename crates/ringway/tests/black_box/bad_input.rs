//! Whoever breaks a rule is told which, by a close code or an answer, and nobody else notices.

use ringway_protocol::ws::Opcode;
use ringway_testkit::raw::{Frame, refused_upgrade};
use ringway_testkit::server::{KEY, TOKEN};
use ringway_testkit::{CentrifugeClient, PlainClient, RawWs, Server, eventually, http};
use serde_json::json;

use crate::support::{SOON, dev, named, plain, serve};

/// Two users who go on talking whatever others do.
struct Bystanders {
    ann: PlainClient,
    ben: PlainClient,
    count: usize,
}

impl Bystanders {
    async fn of(server: &Server) -> Self {
        Self { ann: plain(server.addr(), "ann").await, ben: plain(server.addr(), "ben").await, count: 0 }
    }

    /// They got everything so far and can still talk.
    async fn are_undisturbed(&mut self) {
        self.count += 1;
        let text = format!("number {}", self.count);
        self.ann.send_to("ben", &text).expect("an open socket");
        let got = self.ben.recv_content(SOON).await.expect("what ann sent");
        assert_eq!(got, (text, Some("ann".to_owned())));
        assert!(self.ann.closed().is_none() && self.ben.closed().is_none());
        assert_eq!(self.ben.contents().len(), self.count);
    }
}

#[tokio::test]
async fn broken_frames_have_their_close_codes() {
    let server = dev("").await;
    let mut bystanders = Bystanders::of(&server).await;
    let large = "x".repeat(64 * 1024 + 1);
    for path in ["/socket/eve", "/connection/websocket", "/ufire-websocket/socket/eve"] {
        for (what, code) in [("oversized", 1009), ("unmasked", 1002), ("invalid UTF-8", 1007)] {
            let mut raw = RawWs::connect(server.addr(), path).await.unwrap();
            match what {
                "oversized" => raw.send_text(&large).await.unwrap(),
                "unmasked" => raw.send_unmasked(Opcode::Text, b"@ann:hello").await.unwrap(),
                _ => raw.send(Opcode::Text, b"@ann:\xff\xfe").await.unwrap(),
            }
            let closed = raw.closed(SOON).await.unwrap();
            assert_eq!(closed.as_ref().map(|closed| closed.0), Some(code), "{what} at {path}: {closed:?}");
            bystanders.are_undisturbed().await;
        }
    }
}

#[tokio::test]
async fn malformed_json_is_3501_for_clients_and_400_for_backends() {
    let server = dev("").await;
    let mut bystanders = Bystanders::of(&server).await;
    for text in ["{", "[]", "7", r#"{"id":1,"connect":{}"#, "hello"] {
        let mut raw = RawWs::connect(server.addr(), "/connection/websocket").await.unwrap();
        raw.send_text(text).await.unwrap();
        assert_eq!(raw.closed(SOON).await.unwrap(), Some((3501, "bad request".into())), "{text}");
        let answer = http::post_raw(server.addr(), "/api/publish", &[("x-api-key", KEY)], text).await.unwrap();
        assert_eq!(answer.status, 400, "{text}: {}", answer.text());
        bystanders.are_undisturbed().await;
    }
    // After a good beginning too.
    let mut client = CentrifugeClient::connect(server.addr()).await.unwrap();
    client.send_text("{\"id\":2,\"subscribe\"").unwrap();
    assert_eq!(client.wait_closed(SOON).await.unwrap().code, Some(3501));
    bystanders.are_undisturbed().await;
}

#[tokio::test]
async fn keys_and_tokens_are_asked_for() {
    let server = dev("").await;
    let mut bystanders = Bystanders::of(&server).await;
    let body = json!({"channel": "news", "data": 1}).to_string();
    // All at once: beyond a person's slips, each answer to a wrong one waits for a second.
    let mut wrong = tokio::task::JoinSet::new();
    for headers in [&[][..], &[("x-api-key", "wrong")], &[("x-api-key", "")], &[("authorization", "apikey wrong")]] {
        for method in ["publish", "broadcast", "presence", "history", "disconnect", "info", "channels"] {
            let (addr, body) = (server.addr(), body.clone());
            wrong.spawn(async move {
                let answer = http::post_raw(addr, &format!("/api/{method}"), headers, body).await.unwrap();
                (method, headers, answer.status)
            });
        }
    }
    for (method, headers, status) in wrong.join_all().await {
        // More wrong ones than slips are too many.
        assert!(matches!(status, 401 | 429), "{method} with {headers:?}: {status}");
    }
    for headers in [&[][..], &[("authorization", "Bearer wrong")], &[("authorization", TOKEN)]] {
        for path in ["/admin/members", "/admin/ring?user=bob", "/admin/nothing"] {
            let answer = http::get(server.addr(), path, headers).await.unwrap();
            assert_eq!(answer.status, 401, "{path}");
            assert!(answer.json().unwrap()["error"].as_str().unwrap().contains("token"), "{}", answer.text());
        }
        assert_eq!(http::post_raw(server.addr(), "/admin/members/x/kill", headers, "").await.unwrap().status, 401);
    }
    bystanders.are_undisturbed().await;
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_not_there() {
    let server = dev("").await;
    for path in ["/admin/nothing", "/admin/members/node-77/kill", "/admin/members/node-77/dance"] {
        let answer = server.admin_post(path).await.unwrap();
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
        assert!(!answer.json().unwrap()["error"].as_str().unwrap().is_empty());
    }
    let answer = http::post_raw(server.addr(), "/api/dance", &[("x-api-key", KEY)], "{}").await.unwrap();
    assert_eq!(answer.status, 404);
    assert_eq!(http::get(server.addr(), "/nothing", &[]).await.unwrap().status, 404);
    for query in ["", "?user=a%20b", "?user=", "?key=", "?user=a&key=b"] {
        let answer = server.admin_get(&format!("/admin/ring{query}")).await.unwrap();
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
    }
}

#[tokio::test]
async fn user_names_have_their_rules() {
    let server = dev("").await;
    let mut bystanders = Bystanders::of(&server).await;
    let overlong = "a".repeat(129);
    for name in ["", "a%20b", "a%0Ab", "a%7Fb", "a:b", "a%23b", "a,b", "a%2Fb", "a/b", "a%", "%FF", overlong.as_str()] {
        for prefix in ["", "/ufire-websocket"] {
            let answer = refused_upgrade(server.addr(), &format!("{prefix}/socket/{name}"), &[]).await.unwrap();
            assert_eq!(answer.status, 400, "{prefix} {name:?}: {}", answer.text());
            assert!(answer.text().contains("user name"), "{}", answer.text());
        }
    }
    for name in ["a%20b", "a:b", "a%23b", "a,b", overlong.as_str()] {
        let answer = http::get(server.addr(), &format!("/websocket/to/{name}/hello"), &[]).await.unwrap();
        assert_eq!(answer.status, 400, "{name:?}: {}", answer.text());
    }
    let longest = plain(server.addr(), &"a".repeat(128)).await;
    bystanders.are_undisturbed().await;
    assert!(longest.closed().is_none());
}

#[tokio::test]
async fn a_client_that_never_reads_is_cut_off() {
    let server = dev("slow_timeout = \"1s\"\n[limits.session]\noutbox_bytes = \"128KiB\"\n").await;
    let mut bystanders = Bystanders::of(&server).await;
    let mut lazy = RawWs::connect_narrow(server.addr(), "/socket/lazy").await.unwrap();
    let text = "x".repeat(16 * 1024);
    // The kernel takes some of it; then the outbox fills.
    eventually(SOON * 3, || async {
        server.publish("#lazy", json!({"content": text, "from": null})).await.ok()?;
        server.metrics("ringway_sockets_slow_total").await.ok()?.values().any(|count| *count == 1.0).then_some(())
    })
    .await;
    bystanders.are_undisturbed().await;
    // It does not answer the close either, and is not waited for: its place is free again.
    let sockets = || async { Some(server.metrics("ringway_sockets").await.ok()?.values().sum::<f64>()) };
    eventually(SOON * 3, || async { sockets().await.filter(|count| *count == 2.0) }).await;
    // What was written to it before it can still read.
    assert!(matches!(lazy.recv(SOON).await.unwrap(), Frame::Text(_)));
}

#[tokio::test]
async fn a_slow_reader_is_told_3008() {
    let server = dev("slow_timeout = \"1s\"\n[limits.session]\noutbox_bytes = \"64KiB\"\n").await;
    let mut lazy = RawWs::connect_narrow(server.addr(), "/socket/lazy").await.unwrap();
    let text = "x".repeat(16 * 1024);
    eventually(SOON * 3, || async {
        server.publish("#lazy", json!({"content": text, "from": null})).await.ok()?;
        server.metrics("ringway_sockets_slow_total").await.ok()?.values().any(|count| *count == 1.0).then_some(())
    })
    .await;
    let closed = lazy.closed(SOON).await.unwrap();
    assert_eq!(closed.map(|closed| closed.0), Some(3008));
}

#[tokio::test]
async fn silent_clients_are_closed() {
    let times = "ping_interval = \"1s\"\npong_timeout = \"300ms\"\nstale_timeout = \"500ms\"\n";
    let server = dev(times).await;
    let mut mute = RawWs::connect(server.addr(), "/connection/websocket").await.unwrap();
    assert_eq!(mute.closed(SOON).await.unwrap(), Some((3502, "stale".into())));
    let alive = CentrifugeClient::connect(server.addr()).await.unwrap();
    let mut dead = CentrifugeClient::connect(server.addr()).await.unwrap();
    dead.ignore_pings();
    assert_eq!(dead.wait_closed(SOON).await.unwrap().code, Some(3012));
    eventually(SOON, || async { (alive.pings() >= 2).then_some(()) }).await;
    assert!(alive.closed().is_none());
}

#[tokio::test]
async fn personal_channels_are_personal() {
    let server = dev("").await;
    let mut bystanders = Bystanders::of(&server).await;
    let mut eve = named(server.addr(), "eve", json!({})).await.unwrap();
    let mut nobody = CentrifugeClient::connect(server.addr()).await.unwrap();
    for client in [&mut eve, &mut nobody] {
        let error = client.subscribe("#ann").await.unwrap_err();
        assert!(error.to_string().starts_with("error 103"), "{error}");
    }
    bystanders.are_undisturbed().await;
    assert!(eve.closed().is_none() && eve.publications("#ann").is_empty());
}

#[tokio::test]
async fn above_its_limit_a_gateway_answers_503() {
    let server = dev("[server]\nmax_connections = 3\n").await;
    let mut bystanders = Bystanders::of(&server).await;
    let third = plain(server.addr(), "third").await;
    for path in ["/socket/fourth", "/connection/websocket"] {
        let answer = refused_upgrade(server.addr(), path, &[]).await.unwrap();
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    }
    bystanders.are_undisturbed().await;
    server.publish("#ann", json!({"content": "the API works", "from": null})).await.unwrap();
    assert_eq!(server.member("ringway-1").await.unwrap().state, "active");
    drop(third);
    // A place that is given back is free again.
    eventually(SOON, || async { PlainClient::connect(server.addr(), "fourth").await.ok() }).await;
}

#[tokio::test]
async fn no_content_type_matters() {
    let server = dev("").await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json", "nonsense"] {
        let headers = [("x-api-key", KEY), ("content-type", kind)];
        let body = json!({"channel": "news", "data": kind}).to_string();
        let answer = http::post_raw(server.addr(), "/api/publish", &headers, body).await.unwrap();
        assert!(answer.json().unwrap()["result"]["offset"].is_u64(), "{kind}: {}", answer.text());
        let headers = [("authorization", &*format!("Bearer {TOKEN}")), ("content-type", kind)];
        let answer = http::post_raw(server.addr(), "/admin/members/ringway-1/stop", &headers, "").await.unwrap();
        assert_eq!(answer.status, 409, "{kind}: {}", answer.text());
        let answer =
            http::post_raw(server.addr(), "/websocket/to/ann/hello", &[("content-type", kind)], "x").await.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "OK"), "{kind}");
    }
}

#[tokio::test]
async fn serve_is_closed_by_default() {
    let server = serve("[client.token]\nhmac_secret_key = \"a signing key for tests alone\"\n").await;
    let addr = server.addr();
    for path in ["/socket/ann", "/ufire-websocket/socket/ann", "/echo"] {
        assert_eq!(refused_upgrade(addr, path, &[]).await.unwrap().status, 404, "{path}");
    }
    assert_eq!(http::get(addr, "/websocket/to/ann/hello", &[]).await.unwrap().status, 404);
    let mut anonymous = RawWs::connect(addr, "/connection/websocket").await.unwrap();
    anonymous.send_text(r#"{"id":1,"connect":{}}"#).await.unwrap();
    assert_eq!(anonymous.closed(SOON).await.unwrap().map(|closed| closed.0), Some(3501));
    let mut forged = RawWs::connect(addr, "/connection/websocket").await.unwrap();
    forged.send_text(r#"{"id":1,"connect":{"token":"a.b.c"}}"#).await.unwrap();
    assert_eq!(forged.closed(SOON).await.unwrap().map(|closed| closed.0), Some(3500));
    let mut ann = named(addr, "ann", json!({})).await.unwrap();
    assert!(ann.subscribe("news").await.unwrap_err().to_string().starts_with("error 102"));
    assert!(ann.publish("#ben", json!(1)).await.unwrap_err().to_string().starts_with("error 103"));
    server.publish("#ann", json!({"for": "ann"})).await.unwrap();
    assert_eq!(ann.recv(SOON).await.unwrap().data, json!({"for": "ann"}));
}

#[tokio::test]
async fn without_a_token_there_is_no_admin_api() {
    use crate::support::BINARY;
    use ringway_testkit::Process;
    let builder = Process::builder(&*BINARY, &["serve", "--port", "0"]).env("RINGWAY_LINK_LISTEN", "127.0.0.1:0");
    let mut process = builder.start();
    let addr = process.wait_for(r"http://([0-9.]+:[0-9]+)/", SOON).await[1].parse().unwrap();
    for headers in [&[][..], &[("authorization", "Bearer ")], &[("authorization", "Bearer x")]] {
        assert_eq!(http::get(addr, "/admin/members", headers).await.unwrap().status, 404);
    }
    for headers in [&[][..], &[("x-api-key", "")]] {
        assert_eq!(http::post_raw(addr, "/api/info", headers, "{}").await.unwrap().status, 401);
    }
    eventually(SOON, || async { (http::get(addr, "/health", &[]).await.ok()?.status == 200).then_some(()) }).await;
}
