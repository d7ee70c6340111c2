use super::super::paint::PLAIN;
use super::finding::{as_json, as_text};
use super::*;

#[test]
fn every_word_is_explained() {
    let document = include_str!("../../../../../docs/doctor.md");
    for what in What::ALL {
        let row = format!("| `{}` |", what.word());
        assert!(document.contains(&row), "docs/doctor.md has no row {row}");
    }
}

#[test]
fn findings_are_told_to_people_and_to_programs() {
    let found = [
        Finding::ok(What::Clock, "It is right."),
        Finding::fault(What::Disk, "It is full.", "Make room."),
        Finding::note(What::Closed, "Nobody can come.", ""),
    ];
    let json: serde_json::Value = serde_json::from_str(&as_json(&found)).unwrap();
    assert_eq!(
        json["findings"][1],
        serde_json::json!({"what": "disk", "level": "fault", "seen": "It is full.", "do": "Make room."})
    );
    let text = as_text(&found, PLAIN, Some(40));
    assert!(
        text.starts_with("fault     disk\n          It is full.\n          → Make room.\nnote      closed\n"),
        "{text}"
    );
    assert!(text.ends_with("\n1 fault, 1 note, 1 ok\n"), "{text}");
}

#[test]
fn sizes_are_told_in_their_own_units() {
    for (count, told) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 20, "5.0 MiB"), (10 << 30, "10.0 GiB")]
    {
        assert_eq!(bytes(count), told);
    }
}
