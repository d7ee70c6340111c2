use serde_json::json;

use super::super::finding::Level::{Fault, Note, Ok as Good, Warning};
use super::*;

#[test]
fn health_is_told_in_its_words() {
    for (status, level) in
        [("ok", Good), ("degraded", Warning), ("starting", Warning), ("failing", Fault), ("odd", Fault)]
    {
        let json = json!({"status": status, "member": "gateway-0", "epoch": 7, "why": ["one is missing"]});
        let found = well(&told(&json).unwrap());
        assert_eq!(found.level, level, "{status}");
        assert_eq!(found.advice.contains("one is missing"), level != Good, "{found:?}");
    }
    for other in [json!(null), json!({"status": "ok"}), json!({"status": "ok", "member": "a"}), json!([1])] {
        assert!(told(&other).unwrap_err().contains("no member"), "{other}");
    }
}

#[test]
fn clocks_are_compared_within_what_a_second_tells() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let told = 784_111_777.0;
    for (asked, had, level) in [
        (0.0, 0.1, Good),
        (0.9, 1.1, Good),
        (-0.9, -0.8, Good),
        (1.9, 2.0, Good),
        (2.1, 2.2, Warning),
        (-3.0, -1.1, Warning),
        // An answer that took long says little.
        (-3.0, 3.0, Good),
    ] {
        assert_eq!(clock(date, told + asked, told + had).level, level, "{asked} {had}");
    }
    assert_eq!(clock("yesterday", 0.0, 0.0).level, Note);
}

#[test]
fn members_are_to_be_active() {
    let listed = |states: &[&str]| {
        let member = |(at, state): (usize, &&str)| {
            json!({"id": format!("m-{at}"), "roles": ["node"], "state": state, "weight": 1.0, "slots": 1, "users": 0,
                   "sockets": 0, "pid": 0, "address": ""})
        };
        let members: Vec<Value> = states.iter().enumerate().map(member).collect();
        Members::read(json!({"epoch": 1, "members": members})).unwrap().members
    };
    for (state, level) in
        [("active", Good), ("joining", Note), ("draining", Note), ("suspect", Warning), ("down", Warning)]
    {
        assert_eq!(states(&listed(&["active", state])).level, level, "{state}");
    }
    let found = states(&listed(&["down", "joining", "active"]));
    assert_eq!((found.level, found.seen.as_str()), (Warning, "m-0 is down, m-1 is joining."));
}

#[test]
fn epochs_links_and_versions_are_compared() {
    for (seen, level) in [(&[][..], Warning), (&[7], Good), (&[7, 8], Warning)] {
        assert_eq!(judged_epochs(&seen.iter().copied().collect()).level, level, "{seen:?}");
    }
    assert_eq!((links(0.0).level, links(1.0).level), (Good, Warning));
    let labels = "{version=\"1.2.3\"}";
    assert_eq!((version(labels, "1.2.3").level, version(labels, "1.2.4").level), (Good, Note));
    assert_eq!((no_members(401).level, no_members(404).level), (Warning, Warning));
}

#[tokio::test]
async fn where_nobody_answers_it_is_said() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/#token=secret", listener.local_addr().unwrap());
    drop(listener);
    let found = look(&Whom { url: &url, ca: None, token: None }).await;
    assert_eq!(found.iter().map(|finding| (finding.what, finding.level)).collect::<Vec<_>>(), [(What::Health, Fault)]);
    assert!(!format!("{found:?}").contains("secret"), "{found:?}");
}
