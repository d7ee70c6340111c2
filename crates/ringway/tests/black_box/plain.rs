//! The plain protocol as its users see it, and its meeting with the Centrifuge protocol in one inbox.

use ringway_testkit::{PlainClient, Server, Target, eventually, http, process};
use serde_json::{Value, json};

use crate::support::{CHANGE, SOON, confirmed, demo, dev, named, plain, tell};

/// Everything that `client` has got up to a message sent to it now, which is not counted.
async fn contents_until_now(server: &Server, client: &mut PlainClient) -> Vec<String> {
    let last = format!("last of {}", rand::random::<u64>());
    let from_outside = json!({"content": last, "from": "the end"});
    server.publish(&format!("#{}", client.user()), from_outside).await.expect("an acknowledgement");
    loop {
        let (content, _) = client.recv_content(SOON).await.expect("what was acknowledged");
        if content == last {
            let mut contents = client.contents();
            contents.retain(|content| !content.starts_with("last of "));
            return contents;
        }
    }
}

#[tokio::test]
async fn the_first_message_says_who_owns_the_user() {
    let server = dev("").await;
    let mut ann = PlainClient::connect(server.addr(), "ann").await.unwrap();
    let welcome = ann.recv(SOON).await.unwrap();
    let fields: Vec<&String> = welcome.as_object().unwrap().keys().collect();
    assert_eq!(fields.len(), 6, "{welcome}");
    assert_eq!(
        (&welcome["type"], &welcome["content"], &welcome["from"]),
        (&json!(1), &json!("connected"), &Value::Null)
    );
    let ip = welcome["ip"].as_str().unwrap();
    let port =
        ip.strip_prefix("『ringway-1:").and_then(|rest| rest.strip_suffix("』")).unwrap_or_else(|| panic!("{ip}"));
    assert!(port.parse::<u16>().unwrap() > 0);
    assert_eq!(welcome["userCount"], 1);
    let time = welcome["dateTime"].as_str().unwrap().as_bytes();
    let shape: String = time.iter().map(|byte| if byte.is_ascii_digit() { '0' } else { char::from(*byte) }).collect();
    assert_eq!(shape, "0000-00-00 00:00:00");
}

#[tokio::test]
async fn users_write_to_users() {
    let server = dev("").await;
    let mut ann = plain(server.addr(), "ann").await;
    let target = Target { prefix: "/ufire-websocket".into(), ..Target::from(server.addr()) };
    let mut ben = PlainClient::connect_at(&target, "ben").await.unwrap();
    let welcome = ben.recv_type(1, SOON).await.unwrap();
    assert_eq!(welcome["userCount"], 2, "{welcome}");
    for text in ["@ben:hello", "@ben hello", "@ben:a: b @c \u{1F600} \"quoted\" \\ 『x』"] {
        ann.send_text(text).unwrap();
        let (content, from) = ben.recv_content(SOON).await.unwrap();
        assert_eq!((content.as_str(), from.as_deref()), (&text[5..], Some("ann")));
    }
    for text in ["hello", "@", "@ben", "@:x", "", "@a/b:x", "@ ben hello"] {
        ann.send_text(text).unwrap();
        let help = ann.recv_type(5, SOON).await.unwrap();
        assert!(help["content"].as_str().unwrap().contains('@'), "{text:?}: {help}");
    }
    ann.send_to("ann", "to myself").unwrap();
    assert_eq!(ann.recv_content(SOON).await.unwrap(), ("to myself".to_owned(), Some("ann".to_owned())));
}

#[tokio::test]
async fn messages_wait_for_users_without_a_socket() {
    let server = dev("").await;
    let ann = plain(server.addr(), "ann").await;
    let mut sent = Vec::new();
    for number in 0..5 {
        sent.push(format!("waiting-{number}"));
        tell(&server, "ben", &sent[number]).await;
    }
    let mut ben = PlainClient::connect(server.addr(), "ben").await.unwrap();
    assert_eq!(ben.recv(SOON).await.unwrap()["type"], 1, "the welcome comes first");
    assert_eq!(contents_until_now(&server, &mut ben).await, sent);
    confirmed(&mut ben).await;
    // A second device gets what is new, and the first one gets it too.
    let mut tablet = plain(server.addr(), "ben").await;
    ann.send_to("ben", "new").unwrap();
    assert_eq!(tablet.recv_content(SOON).await.unwrap().0, "new");
    assert_eq!(contents_until_now(&server, &mut tablet).await, ["new"]);
    assert_eq!(contents_until_now(&server, &mut ben).await.last().unwrap(), "new");
    // While one device is there, nothing waits.
    drop(ben);
    ann.send_to("ben", "for the tablet").unwrap();
    // What ann says and what the API says do not wait for each other.
    let came = || tablet.contents().iter().filter(|content| *content == "for the tablet").count() == 1;
    eventually(SOON, || async { came().then_some(()) }).await;
    confirmed(&mut tablet).await;
    drop((tablet, ann));
    server.nobody_connected(SOON).await;
    tell(&server, "ben", "while-away").await;
    let mut ben = plain(server.addr(), "ben").await;
    assert_eq!(contents_until_now(&server, &mut ben).await, ["while-away"]);
}

#[tokio::test]
async fn one_inbox_for_both_protocols() {
    let server = dev("").await;
    let mut plain_ann = plain(server.addr(), "ann").await;
    let mut ann = named(server.addr(), "ann", json!({})).await.unwrap();
    let ben = plain(server.addr(), "ben").await;
    ben.send_to("ann", "hello").unwrap();
    assert_eq!(plain_ann.recv_content(SOON).await.unwrap(), ("hello".to_owned(), Some("ben".to_owned())));
    let publication = ann.recv(SOON).await.unwrap();
    assert_eq!((publication.channel.as_str(), publication.data), ("#ann", json!({"content": "hello", "from": "ben"})));
    server.publish("#ann", json!({"any": ["thing", 1]})).await.unwrap();
    let (content, from) = plain_ann.recv_content(SOON).await.unwrap();
    assert_eq!((content.as_str(), from), (r#"{"any":["thing",1]}"#, None));
    assert_eq!(ann.recv(SOON).await.unwrap().data, json!({"any": ["thing", 1]}));
    // A Centrifuge client may write to inboxes in the open config.
    let mut carl = named(server.addr(), "carl", json!({})).await.unwrap();
    carl.publish("#ann", json!({"content": "from carl", "from": "carl"})).await.unwrap();
    assert_eq!(plain_ann.recv_content(SOON).await.unwrap(), ("from carl".to_owned(), Some("carl".to_owned())));
}

#[tokio::test]
async fn messages_come_from_outside_too() {
    let server = dev("").await;
    let mut ann = plain(server.addr(), "ann").await;
    for prefix in ["", "/ufire-websocket"] {
        let path = format!("{prefix}/websocket/to/ann/good%20morning");
        let answers = [
            http::get(server.addr(), &path, &[]).await.unwrap(),
            http::post_raw(server.addr(), &path, &[], "").await.unwrap(),
        ];
        for answer in answers {
            assert_eq!((answer.status, answer.text().as_str()), (200, "OK"));
            assert_eq!(ann.recv_content(SOON).await.unwrap(), ("good morning".to_owned(), None));
        }
    }
}

#[tokio::test]
async fn news_of_the_owner_come_again_and_again() {
    let server = dev("[plain]\ninfo_interval = \"200ms\"\n").await;
    let mut ann = PlainClient::connect(server.addr(), "ann").await.unwrap();
    let welcome = ann.recv(SOON).await.unwrap();
    for _ in 0..3 {
        let news = ann.recv(SOON).await.unwrap();
        assert_eq!((&news["type"], &news["ip"], &news["userCount"]), (&json!(4), &welcome["ip"], &json!(1)), "{news}");
    }
}

#[tokio::test]
async fn the_delivered_position_survives_its_owner() {
    let server = demo(3).await;
    let mut ben = plain(server.addr(), "ben").await;
    for text in ["one", "two"] {
        tell(&server, "ben", text).await;
        assert_eq!(ben.recv_content(SOON).await.unwrap().0, text);
    }
    confirmed(&mut ben).await;
    drop(ben);
    server.nobody_connected(SOON).await;
    tell(&server, "ben", "three").await;
    server.settled(3).await;
    let names = ["user=ben".to_owned()];
    let place = server.places(&names).await.unwrap().remove(&names[0]).unwrap();
    assert!(process::kill(server.member(&place.owner).await.unwrap().pid));
    server.wait_state(&place.owner, "down", CHANGE).await;
    let after = eventually(SOON, || async { server.places(&names).await.ok() }).await;
    assert_eq!(after[&names[0]].owner, place.standby);
    tell(&server, "ben", "four").await;
    let mut ben = PlainClient::connect(server.addr(), "ben").await.unwrap();
    let welcome = ben.recv(SOON).await.unwrap();
    assert!(welcome["ip"].as_str().unwrap().starts_with(&format!("『{}:", place.standby)), "{welcome}");
    assert_eq!(contents_until_now(&server, &mut ben).await, ["three", "four"]);
}
