//! Sessions over responses that stream, and the requests that speak for them.

use ringway_testkit::{CentrifugeClient, Server, StreamClient, eventually, http, process};
use serde_json::{Value, json};

use crate::support::{CHANGE, SOON, dev, named, named_request, serve, two_gateways};

const BOTH: [&str; 2] = ["/connection/http_stream", "/connection/sse"];

/// What was published, as the next publication says.
async fn data(client: &mut StreamClient) -> Value {
    client.publication(SOON).await.expect("a publication")["data"].clone()
}

#[tokio::test]
async fn a_session_subscribes_publishes_and_hears_others() {
    let server = dev("").await;
    for path in BOTH {
        let mut client = StreamClient::connect(server.addr(), path, json!({})).await.expect("a session");
        let reply = client.call("subscribe", json!({"channel": path})).await.expect("a reply");
        assert!(reply["subscribe"].is_object(), "{reply}");
        let mut other = CentrifugeClient::connect(server.addr()).await.expect("a client");
        other.subscribe(path).await.expect("a subscription");
        assert_eq!(
            client.call("publish", json!({"channel": path, "data": 1})).await.expect("a reply")["publish"],
            json!({})
        );
        let heard = other.wait_publications(path, 1, SOON).await.expect("a publication");
        assert_eq!(heard[0].data, 1);
        // White space that would end a line is not passed on.
        server.publish(path, json!({"text": "a\nb"})).await.expect("the server API answers");
        while data(&mut client).await != json!({"text": "a\nb"}) {}
    }
}

#[tokio::test]
async fn an_event_stream_opens_with_a_query() {
    let server = dev("").await;
    let commands = "%7B%22id%22%3A1%2C%22connect%22%3A%7B%7D%7D%0A%7B%22id%22%3A2,%22subscribe%22:%7B%22channel%22:%22news%22%7D%7D";
    let request = format!("GET /connection/sse?cf_connect={commands} HTTP/1.1\r\nHost: {}\r\n\r\n", server.addr());
    let mut client = StreamClient::ask(server.addr(), &request).await.expect("a stream");
    for field in ["content-type: text/event-stream", "x-accel-buffering: no", "no-store"] {
        assert!(client.head.contains(field), "{}", client.head);
    }
    assert!(client.next(SOON).await.unwrap().unwrap()["connect"]["session"].is_string());
    assert_eq!(client.next(SOON).await.unwrap().unwrap()["id"], 2);
}

#[tokio::test]
async fn what_nobody_understands_ends_the_session_and_no_other() {
    let server = dev("").await;
    let mut good = StreamClient::connect(server.addr(), BOTH[0], json!({})).await.expect("a session");
    for (path, garbage) in
        BOTH.iter().flat_map(|path| ["", "{", "[]", "{\"id\":1,\"publish\":{}}"].map(|garbage| (path, garbage)))
    {
        let mut client = StreamClient::open(server.addr(), path, garbage).await.expect("a stream");
        let told = client.next(SOON).await.unwrap().expect("a last word");
        assert_eq!(told["push"]["disconnect"]["code"], 3501, "{garbage}");
        assert_eq!(client.next(SOON).await.unwrap(), None);
        let mut client = StreamClient::connect(server.addr(), path, json!({})).await.expect("a session");
        assert_eq!(client.post("not JSON").await.unwrap().status, 204, "it came to the session");
        assert_eq!(client.next(SOON).await.unwrap().unwrap()["push"]["disconnect"]["code"], 3501);
        assert_eq!(client.next(SOON).await.unwrap(), None);
        assert_eq!(client.post("{}").await.unwrap().status, 404, "it is over");
    }
    assert!(good.call("subscribe", json!({"channel": "news"})).await.is_ok());
}

#[tokio::test]
async fn posts_that_are_none_are_refused() {
    let server = dev("[limits.session]\nmessage_bytes = \"16KiB\"\n").await;
    let mut client = StreamClient::connect(server.addr(), BOTH[0], json!({})).await.expect("a session");
    let post = async |body: String| http::post_raw(server.addr(), "/emulation", &[], body).await.unwrap().status;
    assert_eq!(post("{".into()).await, 400);
    assert_eq!(post("x".repeat(100 << 10)).await, 413);
    for session in ["", "f", "zz", &"0".repeat(32)] {
        assert_eq!(post(json!({"session": session, "node": client.node, "data": "{}"}).to_string()).await, 404);
    }
    assert_eq!(client.post(&"x".repeat(17 << 10)).await.unwrap().status, 413);
    let large = StreamClient::open(server.addr(), BOTH[0], &"x".repeat(17 << 10)).await.unwrap_err();
    assert!(large.to_string().contains(" 413 "), "{large}");
    let get = http::get(server.addr(), BOTH[0], &[]).await.unwrap();
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
    assert!(client.call("subscribe", json!({"channel": "news"})).await.is_ok(), "the session lives on");
}

#[tokio::test]
async fn only_pages_that_may_connect_are_let_in() {
    let server = dev("allowed_origins = [\"https://chat.example\"]\n").await;
    let status = async |headers: &[(&str, &str)]| {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let body = r#"{"id":1,"connect":{}}"#;
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            BOTH[0],
            server.addr(),
            body.len(),
        );
        match StreamClient::ask(server.addr(), &request).await {
            Ok(client) => client.head,
            Err(error) => error.to_string(),
        }
    };
    let head = status(&[("Origin", "https://chat.example")]).await;
    assert!(head.contains("access-control-allow-origin: https://chat.example"), "{head}");
    for foreign in [
        &[("Origin", "https://evil.example")][..],
        &[("Origin", "null")],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "cross-site"), ("Referer", "https://evil.example/page")],
    ] {
        assert!(status(foreign).await.contains(" 403 "), "{foreign:?}");
    }
    let preflight = "OPTIONS /emulation HTTP/1.1\r\nHost: a\r\nOrigin: https://chat.example\r\nConnection: close\r\n\
                     Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n";
    let answer = StreamClient::ask(server.addr(), preflight).await.unwrap_err().to_string();
    assert!(answer.contains(" 204 ") && answer.contains("access-control-allow-headers: content-type"), "{answer}");
}

#[tokio::test]
async fn they_are_off_unless_asked_for() {
    let server = serve("[client]\nallow_anonymous_connect_without_token = true\n").await;
    let paths = [
        "/connection/http_stream",
        "/connection/sse",
        "/connection/uni_sse",
        "/connection/uni_http_stream",
        "/emulation",
    ];
    for path in paths {
        let status = http::post(server.addr(), path, &[], &json!({})).await.expect("an answer").status;
        assert_eq!(status, 404, "{path}");
    }
    assert_eq!(http::get(server.addr(), "/connection/uni_websocket", &[]).await.unwrap().status, 404);
    let server = serve("[client]\nallow_anonymous_connect_without_token = true\nsse = true\n").await;
    StreamClient::connect(server.addr(), BOTH[1], json!({})).await.expect("a session");
    assert_eq!(http::post(server.addr(), BOTH[0], &[], &json!({})).await.unwrap().status, 404);
}

#[tokio::test]
async fn what_waited_for_a_user_comes_once_when_the_pong_has_come() {
    let server = dev("").await;
    let connect = async || StreamClient::connect(server.addr(), BOTH[0], named_request("ann", json!({}))).await;
    let mut client = connect().await.expect("a session");
    server.publish("#ann", json!(1)).await.expect("the server API answers");
    assert_eq!(data(&mut client).await, 1);
    // The client is silent: what it was written is not confirmed.
    assert_eq!(client.next_raw(SOON).await.unwrap(), Some(json!({})));
    drop(client);
    let mut client = connect().await.expect("a session");
    assert_eq!(data(&mut client).await, 1, "it comes again");
    assert_eq!(client.next_raw(SOON).await.unwrap(), Some(json!({})));
    assert_eq!(client.post("{}").await.unwrap().status, 204);
    server.publish("#ann", json!(2)).await.expect("the server API answers");
    assert_eq!(data(&mut client).await, 2);
    drop(client);
    let mut client = connect().await.expect("a session");
    assert_eq!(data(&mut client).await, 2, "and not what was confirmed");
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    let mut server = dev("").await;
    let mut clients = Vec::new();
    for path in BOTH {
        clients.push(StreamClient::connect(server.addr(), path, json!({})).await.expect("a session"));
    }
    server.process.terminate();
    for client in &mut clients {
        assert_eq!(client.next(SOON).await.unwrap().unwrap()["push"]["disconnect"]["code"], 3001);
        assert_eq!(client.next(SOON).await.unwrap(), None);
    }
    server.process.wait_exit(SOON).await;
}

#[tokio::test]
async fn who_does_not_read_is_closed_and_others_are_served() {
    let server = dev("slow_timeout = \"1s\"\n[limits.session]\noutbox_bytes = \"128KiB\"\n").await;
    let slow = StreamClient::connect(server.addr(), BOTH[0], json!({})).await.expect("a session");
    slow.post(r#"{"id":2,"subscribe":{"channel":"flood"}}"#).await.expect("an answer");
    let mut good = named(server.addr(), "bob", json!({})).await.expect("a client");
    good.subscribe("flood").await.expect("a subscription");
    let large = "x".repeat(48 << 10);
    for _ in 0..300 {
        server.publish("flood", json!(large)).await.expect("the server API answers");
    }
    good.wait_publications("flood", 300, SOON).await.expect("all of them");
    eventually(SOON, || async {
        server.metrics("ringway_sockets_slow_total").await.ok()?.values().any(|count| *count == 1.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_only_listens_gets_bare_pushes() {
    let server = dev("").await;
    let request = named_request("ann", json!({}));
    for path in ["/connection/uni_http_stream", "/connection/uni_sse"] {
        let mut client = StreamClient::open(server.addr(), path, &request.to_string()).await.expect("a stream");
        let connect = client.next(SOON).await.unwrap().unwrap();
        assert!(
            connect["connect"]["client"].is_string() && connect["connect"]["subs"]["#ann"].is_object(),
            "{connect}"
        );
        server.publish("#ann", json!(path)).await.expect("the server API answers");
        loop {
            let publication = client.next(SOON).await.unwrap().unwrap();
            assert_eq!(publication["channel"], "#ann");
            if publication["pub"]["data"] == path {
                break;
            }
        }
        server.api("disconnect", json!({"user": "ann"})).await.expect("the server API answers");
        assert_eq!(client.next(SOON).await.unwrap().unwrap()["disconnect"]["code"], 3503);
        assert_eq!(client.next(SOON).await.unwrap(), None);
        let mut wrong = StreamClient::open(server.addr(), path, r#"{"token":"a.b.c"}"#).await.expect("a stream");
        assert_eq!(wrong.next(SOON).await.unwrap().unwrap()["disconnect"]["code"], 3500);
        for garbage in ["", "[", "{", "7"] {
            let refused = StreamClient::open(server.addr(), path, garbage).await.unwrap_err();
            assert!(refused.to_string().contains(" 400 "), "{refused}");
        }
        StreamClient::open(server.addr(), path, "null").await.expect("a stream").next(SOON).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_a_client_sends_reaches_its_session_from_any_gateway() {
    let (server, second) = two_gateways(3, "").await;
    for (own, other) in [(server.addr(), second), (second, server.addr())] {
        let mut client = StreamClient::connect(own, BOTH[0], json!({})).await.expect("a session");
        client.posts = other;
        client.call("subscribe", json!({"channel": "mine"})).await.expect("a reply");
        for number in 0..50 {
            let reply = client.call("publish", json!({"channel": "mine", "data": number})).await.expect("a reply");
            assert_eq!(reply["publish"], json!({}));
        }
        let wrong = json!({"session": "0".repeat(32), "node": client.node, "data": "{}"}).to_string();
        assert_eq!(http::post_raw(other, "/emulation", &[], wrong).await.unwrap().status, 404);
        let nowhere = json!({"session": client.session, "node": "0123456789abcdef", "data": "{}"}).to_string();
        assert_eq!(http::post_raw(other, "/emulation", &[], nowhere).await.unwrap().status, 404);
        assert_eq!(client.post("not JSON").await.unwrap().status, 204);
        while client.next(SOON).await.expect("its end").is_some() {}
        assert_eq!(client.post("{}").await.unwrap().status, 404);
    }
}

/// Each publish of a client at another gateway is acknowledged and heard once and in order, whatever happens to the owner.
#[tokio::test]
async fn an_owner_that_dies_costs_a_stream_nothing() {
    let (server, second) = two_gateways(3, "").await;
    let mut reader = StreamClient::connect(second, BOTH[1], json!({})).await.expect("a session");
    reader.call("subscribe", json!({"channel": "room"})).await.expect("a reply");
    let mut writer = StreamClient::connect(server.addr(), BOTH[0], json!({})).await.expect("a session");
    writer.posts = second;
    writer.call("subscribe", json!({"channel": "room"})).await.expect("a reply");
    for number in 0..100 {
        if number == 30 {
            kill_owner(&server, "room").await;
        }
        let reply = writer.call("publish", json!({"channel": "room", "data": number})).await.expect("a reply");
        assert_eq!(reply["publish"], json!({}), "{number}");
    }
    for number in 0..100 {
        assert_eq!(data(&mut reader).await, number);
    }
}

async fn kill_owner(server: &Server, channel: &str) {
    let name = format!("key={channel}");
    let places = server.places(std::slice::from_ref(&name)).await.expect("places");
    assert!(process::kill(server.member(&places[&name].owner).await.expect("the owner").pid));
}

#[tokio::test]
async fn a_gateway_that_drains_says_so_and_sessions_go_on_elsewhere() {
    let (server, second) = two_gateways(2, "").await;
    let mut client = StreamClient::connect(second, BOTH[0], named_request("ann", json!({}))).await.expect("a session");
    let joined = client.call("subscribe", json!({"channel": "room"})).await.expect("a reply")["subscribe"].clone();
    server.act("gateway-1", "stop").await.expect("the admin API answers");
    let told = client.next(CHANGE).await.expect("a last word").expect("one");
    assert_eq!(told["push"]["disconnect"]["code"], 3001, "{told}");
    assert_eq!(client.next(SOON).await.unwrap(), None);
    server.publish("room", json!("missed")).await.expect("the server API answers");
    let mut client =
        StreamClient::connect(server.addr(), BOTH[0], named_request("ann", json!({}))).await.expect("a session");
    let recover = json!({"channel": "room", "recover": true, "epoch": joined["epoch"], "offset": joined["offset"]});
    let reply = client.call("subscribe", recover).await.expect("a reply");
    assert_eq!(reply["subscribe"]["publications"][0]["data"], "missed", "{reply}");
}
