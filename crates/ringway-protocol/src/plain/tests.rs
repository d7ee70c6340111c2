use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-11-22 20:16:18";

fn encoded(body: &Body<'_>) -> String {
    let mut out = Vec::new();
    encode(&mut out, NOW, body);
    String::from_utf8(out).unwrap()
}

fn to<'a>(user: &str, content: &'a str) -> Inbound<'a> {
    Inbound::To { user: UserName::new(user).unwrap(), content }
}

#[test]
fn the_first_colon_or_space_ends_the_name() {
    for (text, expected) in [
        ("@bob:hello", to("bob", "hello")),
        ("@bob hello", to("bob", "hello")),
        ("@bob:a:b c", to("bob", "a:b c")),
        ("@bob a:b", to("bob", "a:b")),
        ("@bob: hello ", to("bob", " hello ")),
        ("@bob::", to("bob", ":")),
        ("@bob:\n", to("bob", "\n")),
        ("@jürgen:π", to("jürgen", "π")),
        ("@@x:y", to("@x", "y")),
    ] {
        assert_eq!(parse(text), expected, "{text}");
    }
}

#[test]
fn anything_else_asks_for_help() {
    let overlong = format!("@{}:hello", "x".repeat(129));
    for text in [
        "",
        "@",
        "@:",
        "@:hello",
        "@ hello",
        "@bob",
        "@bob:",
        "@bob ",
        "hello",
        "bob:hello",
        " @bob:x",
        "@a#b:x",
        "@a,b:x",
        "@a/b:x",
        "@a\tb:x",
        &overlong,
    ] {
        assert_eq!(parse(text), Inbound::Help, "{text}");
    }
}

#[test]
fn every_type_has_all_the_fields() {
    let owner = Some(Owner { id: "node-2", port: 7002 });
    for (body, expected) in [
        (
            Body::Connected { owner, users: 3 },
            r#"{"type":1,"content":"connected","ip":"『node-2:7002』","userCount":3,"dateTime":"2026-11-22 20:16:18","from":null}"#,
        ),
        (
            Body::Reconnect,
            r#"{"type":2,"content":"please reconnect","ip":null,"userCount":null,"dateTime":"2026-11-22 20:16:18","from":null}"#,
        ),
        (
            Body::Message { content: "say \"hi\"\n", from: Some("ann") },
            r#"{"type":3,"content":"say \"hi\"\n","ip":null,"userCount":null,"dateTime":"2026-11-22 20:16:18","from":"ann"}"#,
        ),
        (
            Body::Server { owner: None, users: 0 },
            r#"{"type":4,"content":null,"ip":null,"userCount":0,"dateTime":"2026-11-22 20:16:18","from":null}"#,
        ),
        (
            Body::Problem("no"),
            r#"{"type":5,"content":"no","ip":null,"userCount":null,"dateTime":"2026-11-22 20:16:18","from":null}"#,
        ),
    ] {
        assert_eq!(encoded(&body), expected);
    }
}

#[test]
fn help_says_how_to_write_a_message() {
    let help: Value = serde_json::from_str(&encoded(&Body::Problem(HELP))).unwrap();
    assert!(help["content"].as_str().unwrap().contains("@bob:hello"));
}

#[test]
fn a_plain_message_is_read_from_the_inbox() {
    for (data, content, from) in [
        (r#"{"content":"hi","from":"ann"}"#, "hi", Some("ann")),
        (r#"{"content":"hi","from":null}"#, "hi", None),
        (r#"{"content":"hi"}"#, "hi", None),
        (r#"{"from":"ann","content":""}"#, "", Some("ann")),
    ] {
        let message = InboxMessage::decode(data.as_bytes());
        assert_eq!((&*message.content, message.from.as_deref()), (content, from), "{data}");
    }
}

#[test]
fn anything_else_in_the_inbox_is_shown_as_json() {
    for data in [
        "7",
        "null",
        r#""hi""#,
        r#"["hi","ann"]"#,
        r#"{"from":"ann"}"#,
        r#"{"content":7,"from":"ann"}"#,
        r#"{"content":null}"#,
        r#"{"content":"hi","from":7}"#,
        r#"{"content":"hi","from":"ann","more":1}"#,
        r#"{"content":"hi","content":"ho"}"#,
    ] {
        assert_eq!(InboxMessage::decode(data.as_bytes()), InboxMessage { content: data.into(), from: None });
    }
}

#[test]
fn what_is_no_text_is_shown_as_base64() {
    assert_eq!(InboxMessage::decode(b"\xff\0\n"), InboxMessage { content: "/wAK".into(), from: None });
    assert_eq!(InboxMessage::decode(b"{ \"a\":\n1 }"), InboxMessage { content: "{ \"a\":\n1 }".into(), from: None });
    let spaced = b"{ \"content\": \"hi\", \"from\": \"ann\" }\n";
    assert_eq!(InboxMessage::decode(spaced), InboxMessage { content: "hi".into(), from: Some("ann".into()) });
}

proptest! {
    #[test]
    fn an_inbox_gives_back_what_was_put_in(content: String, from in proptest::option::of(".*")) {
        let mut out = Vec::new();
        InboxMessage::encode(&mut out, &content, from.as_deref());
        prop_assert_eq!(&serde_json::from_slice::<Value>(&out).unwrap(), &json!({ "content": content, "from": from }));
        let message = InboxMessage::decode(&out);
        prop_assert_eq!((&*message.content, message.from.as_deref()), (&*content, from.as_deref()));
    }

    #[test]
    fn random_input_never_panics(text: String, bytes: Vec<u8>) {
        let _ = parse(&text);
        let _ = parse(&format!("@{text}"));
        let _ = InboxMessage::decode(&bytes);
    }
}
