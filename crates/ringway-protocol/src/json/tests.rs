use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn compacted(text: &str) -> String {
    String::from_utf8(payload(text.as_bytes()).unwrap().into_owned()).unwrap()
}

#[test]
fn what_is_no_document_is_told_as_a_string() {
    let deep = "[".repeat(PAYLOAD_DEPTH + 1) + &"]".repeat(PAYLOAD_DEPTH + 1);
    for (bytes, expected, compact) in [
        (&b"{\"a\":1}"[..], "{\"a\":1}", true),
        (b" { \"a\" : 1 }\n", "{\"a\":1}", false),
        (b"1\n", "1", false),
        (b"\xff\x00\n", "\"/wAK\"", false),
        (b"text", "\"dGV4dA==\"", false),
        (b"\"\"\n\"\"", "\"IiIKIiI=\"", false),
        (b"", "\"\"", false),
        (deep.as_bytes(), &format!("\"{}\"", STANDARD.encode(&deep)), false),
    ] {
        assert_eq!((std::str::from_utf8(&told(bytes)).unwrap(), is_compact(bytes)), (expected, compact));
    }
}

proptest! {
    /// Whatever somebody publishes, a line of JSON stays a line of JSON.
    #[test]
    fn any_bytes_are_told_in_one_line(bytes: Vec<u8>) {
        let told = told(&bytes);
        prop_assert!(is_compact(&told) && !told.contains(&b'\n'));
        serde_json::from_slice::<Value>(&told).unwrap();
    }
}

#[test]
fn white_space_between_tokens_goes_and_nothing_else() {
    for (before, after) in [
        (" 1 ", "1"),
        ("{ \"a\" :\t[ 1 ,\r\n 2 ] }\n", r#"{"a":[1,2]}"#),
        (r#"{"a b":" c \" d "}"#, r#"{"a b":" c \" d "}"#),
        ("[\"\\\\\" , \"x\"]", r#"["\\","x"]"#),
        ("\"a\\nb\"", r#""a\nb""#),
        ("1.50e+3", "1.50e+3"),
    ] {
        assert_eq!(compacted(before), after);
    }
}

#[test]
fn a_compact_document_is_borrowed() {
    for text in ["null", "{}", r#"{"a":" ","b":[true]}"#, r#""\"""#] {
        assert!(matches!(payload(text.as_bytes()), Ok(Cow::Borrowed(_))), "{text}");
    }
}

#[test]
fn what_is_not_one_document_is_refused() {
    for text in ["", " ", "{", "1 2", "{}{}", "'a'", "\"a\nb\"", "[1,]", "nul", "\u{feff}1"] {
        assert!(matches!(payload(text.as_bytes()), Err(InvalidJson::Malformed(_))), "{text}");
    }
    assert!(matches!(payload(b"\"\xff\""), Err(InvalidJson::NotUtf8(_))));
}

#[test]
fn depth_is_bounded_and_counted_across_white_space() {
    let nested = |levels: usize| format!("{}1{}", "[ ".repeat(levels), "]".repeat(levels));
    assert_eq!(compacted(&nested(PAYLOAD_DEPTH)).len(), 2 * PAYLOAD_DEPTH + 1);
    assert!(matches!(payload(nested(PAYLOAD_DEPTH + 1).as_bytes()), Err(InvalidJson::TooDeep)));
    let wide = format!("[{}]", vec!["[]"; 500].join(", "));
    assert_eq!(compacted(&wide).len(), wide.len() - 499);
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(".*", inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn pretty_text_becomes_what_compact_text_is(value in document()) {
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(compacted(&pretty), value.to_string());
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = payload(&bytes);
    }
}
