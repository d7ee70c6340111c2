//! Addresses of members: what is said of a wrong one, and what becomes of a member that others cannot dial.

use std::net::SocketAddr;
use std::time::Instant;

use ringway_testkit::process::Builder;
use ringway_testkit::{Process, Server, eventually_ok};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::support::{BINARY, CHANGE, SOON, configured};

const SECRET: &str = "known between members";

/// A gateway that nodes can join, and where.
async fn first_gateway(link: &str) -> (Server, String) {
    let builder = Process::builder(&*BINARY, &["gateway", "--port", "0", "--link-listen", link]);
    let config = "[cluster]\nid = \"gateway-0\"\nslots = 256\n";
    let mut server = Server::start(configured(builder.env("RINGWAY_SECRET", SECRET), config), SOON).await;
    let found = server.process.wait_for(r#"members address=([0-9.]+:[0-9]+)"#, SOON).await;
    (server, found[1].clone())
}

fn node(id: &str, join: &str) -> Builder {
    Process::builder(&*BINARY, &["node", "--join", join, "--id", id]).env("RINGWAY_SECRET", SECRET)
}

/// A port on which nobody listens.
async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("the address of a listener")
}

/// Carries connections from `at` to `to` until it is aborted.
async fn forward(at: SocketAddr, to: String) -> AbortHandle {
    let listener = TcpListener::bind(at).await.expect("a free port");
    let carrying = tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let to = to.clone();
            tokio::spawn(async move {
                let mut onward = TcpStream::connect(to).await?;
                copy_bidirectional(&mut from, &mut onward).await
            });
        }
    });
    carrying.abort_handle()
}

#[tokio::test]
async fn a_wrong_address_to_join_ends_the_process_with_its_own_sentence() {
    let (server, link) = first_gateway("127.0.0.1:0").await;
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mail = other.local_addr().unwrap().to_string();
    let greeting = tokio::spawn(async move {
        while let Ok((mut stream, _)) = other.accept().await {
            stream.write_all(b"220 mail.example.org ESMTP\r\n").await.ok();
            // Whoever called reads it, and goes.
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.ok();
        }
    });
    let clients = server.addr().to_string();
    for (join, secret, code, words) in [
        (clients.as_str(), SECRET, 69, &["this is a port for clients", "listening for members", "9889"][..]),
        (&link, "another secret of theirs", 69, &["wrong join secret", "give both the same"]),
        (&mail, SECRET, 69, &["no Ringway member", "listening for members"]),
        ("127.0.0.1", SECRET, 2, &["no port", "10.0.0.1:9889"]),
        ("http://127.0.0.1:9888", SECRET, 2, &["looks like a URL", "10.0.0.1:9889"]),
    ] {
        let mut node = node("node-1", join).env("RINGWAY_SECRET", secret).start();
        let status = node.wait_exit(SOON).await;
        let told = node.stderr();
        assert_eq!(status.code(), Some(code), "{join}: {told}");
        for word in words.iter().copied().chain([join]) {
            assert!(told.contains(word), "{join}: no {word:?} in {told}");
        }
    }
    greeting.abort();
    let mut faulty = Process::builder(&*BINARY, &["node"]);
    faulty =
        configured(faulty.env("RINGWAY_SECRET", SECRET), "[cluster]\njoin = \"10.0.0.1\"\nlink_advertise = \"me\"\n");
    let mut faulty = faulty.start();
    assert_eq!(faulty.wait_exit(SOON).await.code(), Some(64));
    let told = faulty.stderr();
    assert!(told.contains("`cluster.join`") && told.contains("`cluster.link_advertise`"), "all at once: {told}");
}

#[tokio::test]
async fn who_is_told_to_join_what_is_not_there_yet_says_so_and_waits() {
    let began = Instant::now();
    let there = free_address().await.to_string();
    let mut early = node("node-1", &there).start();
    early.wait_for(&format!("nobody listens at {there}: the first gateway is not up yet"), SOON).await;
    let mut lost = node("node-2", "no-such-host.invalid:9889").start();
    lost.wait_for(r"no-such-host\.invalid:9889, cannot be dialed: its name is not known", SOON).await;

    let (server, _) = first_gateway(&there).await;
    server.settled(1).await;
    let (said, due) = (early.stderr().matches("nobody listens").count() as u64, 1 + began.elapsed().as_secs() / 10);
    assert!(said <= due, "{said} times, not with every try: {}", early.stderr());
    assert!(lost.try_exit().is_none(), "a name may become known");
    lost.terminate();
    assert_eq!(lost.wait_exit(SOON).await.code(), Some(0), "{}", lost.stderr());
}

#[tokio::test]
async fn an_address_that_nobody_can_dial_is_refused_before_a_port_opens() {
    let (_server, link) = first_gateway("127.0.0.1:0").await;
    let nowhere = ["--link-listen", "0.0.0.0:0"];
    let advertised = ["--link-listen", "127.0.0.1:0", "--link-advertise", "0.0.0.0:9889"];
    for (command, join) in [("gateway", None), ("serve", None), ("gateway", Some(&link)), ("node", Some(&link))] {
        for arguments in [&nowhere[..], &advertised] {
            let mut builder = Process::builder(&*BINARY, &[command]).env("RINGWAY_SECRET", SECRET);
            if command != "node" {
                builder = builder.arg("--port").arg("0");
            }
            if let Some(join) = join {
                builder = builder.arg("--join").arg(join);
            }
            for argument in arguments {
                builder = builder.arg(argument);
            }
            let mut process = builder.start();
            let status = process.wait_exit(SOON).await;
            let told = process.stderr();
            assert_eq!(status.code(), Some(64), "{command} {arguments:?}: {told}");
            assert!(told.contains("`link_advertise`") || told.contains("--link-advertise"), "{told}");
            assert!(!told.contains("listening"), "no port was opened: {told}");
        }
    }
}

#[tokio::test]
async fn who_cannot_be_dialed_is_told_so_and_is_let_in_once_it_can() {
    let (server, link) = first_gateway("127.0.0.1:0").await;
    let _first = node("node-1", &link).start();
    server.settled(1).await;
    let epoch = async || server.admin_get("/admin/members").await.unwrap().json().unwrap()["epoch"].as_u64().unwrap();
    let before = epoch().await;

    let (wrong, listens) = (free_address().await, free_address().await.to_string());
    let builder = node("node-2", &link).arg("--link-listen").arg(&listens);
    let mut second = builder.arg("--link-advertise").arg(wrong.to_string()).start();
    let told = format!(r"kept out of the cluster: the first gateway cannot dial it at {wrong} \(connection refused");
    second.wait_for(&told, SOON).await;
    // Said again some ten seconds and many tries later: nothing has come of them.
    let count = |text: &str, words: &str| text.matches(words).count();
    eventually_ok(CHANGE, || async {
        let lines = count(&second.stderr(), "kept out");
        anyhow::ensure!(lines >= 2, "said {lines} times");
        Ok(())
    })
    .await;
    assert_eq!(epoch().await, before, "it never was in the view");

    let way = forward(wrong, listens).await;
    server.settled(2).await;
    second.wait_for("let into the cluster", SOON).await;
    way.abort();
}
