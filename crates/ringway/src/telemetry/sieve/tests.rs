use super::*;

/// What is written of lines that are said, by the second at which they are: with the count of those held back.
fn written(said: &[(u64, &str)], until: u64) -> Vec<(u64, String, u64)> {
    let (mut sieve, begin) = (Sieve::default(), Instant::now());
    let mut written = Vec::new();
    for second in 0..=until {
        let now = begin + Duration::from_secs(second);
        while let Some((body, more)) = sieve.take_due(now) {
            written.push((second, body, more));
        }
        for (_, body) in said.iter().filter(|(at, _)| *at == second) {
            if sieve.lets_through(now, body) {
                written.push((second, (*body).to_owned(), 0));
            }
        }
    }
    assert!(sieve.said.len() == sieve.due.len());
    written
}

fn line(at: u64, body: &str, more: u64) -> (u64, String, u64) {
    (at, body.to_owned(), more)
}

#[test]
fn what_goes_on_is_said_once_in_a_window_with_its_count() {
    let said: Vec<(u64, &str)> = (0..25).map(|second| (second, "a member=x")).collect();
    let expected =
        [line(0, "a member=x", 0), line(10, "a member=x", 9), line(20, "a member=x", 10), line(30, "a member=x", 5)];
    assert_eq!(written(&said, 60), expected);
}

#[test]
fn what_is_said_once_is_written_once_and_another_fact_at_once() {
    let said = [(0, "link up peer=a"), (1, "link up peer=b"), (2, "view 7"), (2, "view 8"), (11, "link up peer=a")];
    let expected: Vec<_> = said.iter().map(|(at, body)| line(*at, body, 0)).collect();
    assert_eq!(written(&said, 60), expected);
}

#[test]
fn what_is_written_last_is_what_was_said_last() {
    let said = [(0, "link down"), (1, "link up"), (2, "link down"), (3, "link up"), (4, "link down")];
    let all = written(&said, 60);
    assert_eq!(all[2..], [line(10, "link down", 2), line(11, "link up", 1)]);
    let said = [(0, "silent for 1.5s"), (1, "silent for 2.5s"), (2, "silent for 3.5s")];
    assert_eq!(written(&said, 60), [line(0, "silent for 1.5s", 0), line(10, "silent for 3.5s", 2)]);
}

#[test]
fn measures_alone_make_no_other_line() {
    for (one, other) in [
        ("heard for 1.5s", "heard for 12.9s"),
        ("wait=300ms", "wait=20ms"),
        ("wait=1.0µs", "wait=3ns"),
        ("since 4 s, then", "since 5 s, then"),
        ("closed: 70 bytes were waiting", "closed: 1234 bytes were waiting"),
    ] {
        assert_eq!(without_measures(one), without_measures(other), "{one} and {other}");
    }
    for (one, other) in [
        ("node-1", "node-2"),
        ("node-1s", "node-2s"),
        ("view 7: node-1", "view 8: node-1"),
        ("from=10.0.0.1:5", "from=10.0.0.2:5"),
        ("5 slots", "6 slots"),
        ("epoch=7 s", "epoch=7"),
        ("7s-a", "8s-a"),
    ] {
        assert_ne!(without_measures(one), without_measures(other), "{one} and {other}");
    }
}

#[test]
fn what_is_remembered_has_a_limit() {
    let (mut sieve, now) = (Sieve::default(), Instant::now());
    for number in 0..3 * KNOWN {
        assert!(sieve.lets_through(now, &format!("line {number}")));
    }
    assert_eq!((sieve.said.len(), sieve.due.len()), (KNOWN, KNOWN));
    let long = "x".repeat(LONGEST + 1);
    assert!(sieve.lets_through(now, &long) && sieve.lets_through(now, &long));
    assert!(!sieve.lets_through(now, "line 0"), "what is remembered is held back all the same");
    assert_eq!(sieve.take_due(now + WINDOW), Some(("line 0".to_owned(), 1)));
    assert_eq!(sieve.take_due(now + WINDOW), None);
    assert_eq!(sieve.said.len(), 1, "what was not said again is forgotten");
}
