use super::*;
use crate::message::Durability;

const TTL: Duration = Duration::from_secs(60);

fn stream(size: u32) -> Stream {
    let options = ChannelOptions {
        history_size: size,
        history_ttl: TTL,
        presence: false,
        history_bytes: 0,
        durability: Durability::Memory,
    };
    let name = ChannelName::new("news").unwrap();
    Stream::new(Duration::ZERO, name, Slot(1), options, Some(StreamEpoch::from_random(1)))
}

fn entry(text: &str) -> Entry {
    Entry::of(text.as_bytes())
}

/// Appends and commits, as an owner without replicas does.
fn append(stream: &mut Stream, now: u64) {
    let (now, offset) = (Duration::from_secs(now), stream.top() + 1);
    let first = stream.first_after_append(now, 1);
    stream.append(now, offset, first, entry(&offset.to_string()));
}

fn offsets(stream: &Stream, since: Option<u64>, limit: u32, reverse: bool) -> Vec<u64> {
    let query = HistoryQuery {
        channel: stream.name.clone(),
        options: stream.options,
        since: since.map(|offset| (offset, None)),
        limit,
        reverse,
    };
    let page = stream.page(&query, 100, 1 << 20, stream.epoch.unwrap());
    assert_eq!(page.top.offset, stream.committed());
    assert!(page.publications.iter().all(|(offset, entry)| entry.data() == offset.to_string().as_bytes()));
    page.publications.into_iter().map(|(offset, _)| offset).collect()
}

#[test]
fn offsets_begin_at_one_and_history_keeps_the_newest() {
    let mut stream = stream(3);
    assert_eq!((stream.top(), stream.first()), (0, 1));
    (0..5).for_each(|_| append(&mut stream, 0));
    assert_eq!(stream.top(), 5);
    assert_eq!(stream.first(), 2, "four are held, for the fifth might not be committed");
    assert_eq!(offsets(&stream, None, 100, false), [3, 4, 5]);
    let freed = stream.trim(3);
    assert!(freed > 0);
    assert_eq!(offsets(&stream, None, 100, false), [3, 4, 5]);
}

#[test]
fn readers_get_exactly_as_many_as_the_options_say_however_much_is_under_way() {
    let mut stream = stream(3);
    let mut committed = 0;
    for under_way in [0, 1, 5, 2, 0] {
        while stream.top() < committed + under_way {
            append(&mut stream, 0);
            stream.hold_back();
        }
        while stream.top() > committed + under_way {
            (committed, _) = (committed + 1, stream.commit_one());
        }
        let first = (committed + 1).saturating_sub(3).max(1);
        let kept: Vec<u64> = (first..=committed).collect();
        assert_eq!(offsets(&stream, None, 100, false), kept);
        assert_eq!(
            offsets(&stream, Some(0), 100, false),
            kept,
            "not the one before them, whoever asks for what follows it"
        );
        let back: Vec<u64> = kept.iter().rev().copied().collect();
        assert_eq!(offsets(&stream, None, 100, true), back);
        assert_eq!(offsets(&stream, None, 2, false), kept[..kept.len().min(2)], "a page begins at the oldest");
        append(&mut stream, 0);
        committed += 1;
    }
}

#[test]
fn pages_go_both_ways_and_end_at_the_commit_point() {
    let mut stream = stream(100);
    (0..6).for_each(|_| append(&mut stream, 0));
    stream.hold_back();
    let table: [(Option<u64>, u32, bool, &[u64]); 8] = [
        (None, 100, false, &[1, 2, 3, 4, 5]),
        (None, 2, false, &[1, 2]),
        (Some(3), 100, false, &[4, 5]),
        (Some(5), 100, false, &[]),
        (Some(u64::MAX), 100, false, &[]),
        (None, 2, true, &[5, 4]),
        (Some(3), 100, true, &[2, 1]),
        (None, 0, false, &[]),
    ];
    for (since, limit, reverse, expected) in table {
        assert_eq!(offsets(&stream, since, limit, reverse), expected, "{since:?} {limit} {reverse}");
    }
    stream.commit_one();
    assert_eq!(offsets(&stream, Some(5), 100, false), [6]);
}

#[test]
fn what_is_too_old_goes_and_what_is_not_committed_stays() {
    let mut stream = stream(100);
    append(&mut stream, 0);
    append(&mut stream, 30);
    append(&mut stream, 30);
    stream.hold_back();
    assert_eq!(stream.first_fresh(Duration::from_secs(59)), 1);
    assert_eq!(stream.first_fresh(Duration::from_secs(60)), 2);
    assert_eq!(stream.first_fresh(Duration::from_secs(600)), 3, "the last one is not committed");
}

#[test]
fn bytes_are_counted_in_and_out() {
    let mut stream = stream(2);
    let mut held = 0;
    for offset in 1..=5 {
        let first = stream.first_after_append(Duration::ZERO, offset * 100);
        let (added, freed) = stream.append(Duration::ZERO, 1, first, entry(&"x".repeat(offset * 100)));
        held += added;
        held -= freed;
        assert_eq!(held, stream.bytes());
    }
    held -= stream.trim(6);
    assert_eq!((held, stream.bytes(), stream.is_empty()), (0, 0, true));
    assert_eq!(stream.first(), 6, "offsets go on");
}

#[test]
fn keys_are_remembered_for_their_time() {
    let (mut stream, keep) = (stream(10), Duration::from_secs(300));
    let at = Duration::from_secs(100);
    assert!(stream.remember("a".into(), at, 7));
    assert_eq!(stream.keyed("a", at + keep / 2, keep), Some(7));
    assert_eq!(stream.keyed("a", at + keep, keep), None);
    assert_eq!(stream.keyed("b", at, keep), None);
    assert_eq!((stream.forget_keys(at + keep, keep), stream.key_count()), (1, 0));
}

/// Runs from `start` on, as they travel.
fn runs(stream: &Stream, now: Now, start: u64, part: usize) -> Vec<StreamState> {
    let (mut runs, mut next) = (Vec::new(), start);
    while runs.is_empty() || next <= stream.top() {
        let run = stream.run(now, next, stream.top(), part).unwrap();
        next = run.start + run.entries.len() as u64;
        runs.push(run);
    }
    let last = runs.last_mut().unwrap();
    (last.keys, last.last) = (stream.keys_since(now, start).into(), true);
    runs
}

#[test]
fn a_stream_survives_its_travel_in_any_number_of_parts() {
    let mut original = stream(1000);
    (0..50).for_each(|second| append(&mut original, second));
    original.delivered = 17;
    original.remember("key".into(), Duration::from_secs(40), 41);
    for part in [1, 400, 1_000_000] {
        // The other node's clock reads something else.
        let (here, there) = (Duration::from_secs(50), Duration::from_secs(5000));
        let runs = runs(&original, here, 1, part);
        let mut copy = Stream::before_run(there, Slot(1), &runs[0]);
        assert!(runs.into_iter().all(|run| copy.absorb(there, 50, run)));
        assert_eq!((copy.top(), copy.first(), copy.delivered), (50, 1, 17));
        assert_eq!(copy.bytes(), original.bytes());
        assert_eq!(copy.epoch, original.epoch);
        assert_eq!(offsets(&copy, None, 1000, false), (1..=50).collect::<Vec<_>>());
        assert_eq!(copy.keyed("key", there, Duration::from_secs(300)), Some(41));
        assert_eq!(
            copy.first_fresh(there + Duration::from_secs(20)),
            original.first_fresh(here + Duration::from_secs(20))
        );
    }
}

#[test]
fn what_a_copy_holds_already_is_not_sent_again() {
    let mut original = stream(1000);
    (0..50).for_each(|second| append(&mut original, second));
    original.trim(11);
    let now = Duration::from_secs(50);
    let mut older = stream(1000);
    (0..30).for_each(|second| append(&mut older, second));
    older.remember("old".into(), Duration::from_secs(40), 25);
    let since = original.first_after(30);
    assert_eq!(since, 31);
    let runs = runs(&original, now, since, 1);
    let mut copy = Stream::before_run(now, Slot(1), &runs[0]);
    let first = runs[0].first;
    assert!(runs.into_iter().all(|run| copy.absorb(now, 50, run)));
    assert_eq!((copy.first(), first), (31, 11));
    let shorter = stream(1000);
    assert!(!copy.is_continuation_of(None, first) && !copy.is_continuation_of(Some(&shorter), first));
    assert!(copy.is_continuation_of(Some(&older), first));
    copy.take_over(&mut older, first);
    assert_eq!(offsets(&copy, None, 1000, false), (11..=50).collect::<Vec<_>>());
    assert_eq!(copy.keyed("old", now, Duration::from_secs(300)), Some(25));
}

#[test]
fn a_run_that_does_not_go_with_the_one_before_it_is_not_taken() {
    let mut original = stream(1000);
    (0..10).for_each(|second| append(&mut original, second));
    let now = Duration::from_secs(50);
    let [first, second] = [1, 6].map(|start| original.run(now, start, start + 4, 1 << 20).unwrap());
    let mut copy = Stream::before_run(now, Slot(1), &first);
    assert!(copy.absorb(now, 10, first.clone()) && !copy.absorb(now, 10, first.clone()), "twice");
    let strange = StreamState { top: Position { epoch: StreamEpoch::from_random(2), offset: 10 }, ..second.clone() };
    assert!(!copy.absorb(now, 10, strange), "of another life");
    assert!(!copy.absorb(now, 10, StreamState { start: 0, ..second.clone() }), "offsets begin at 1");
    let longer = StreamState { top: Position { offset: 9, ..second.top }, ..second.clone() };
    assert!(!copy.absorb(now, 10, longer), "beyond its top");
    assert!(copy.absorb(now, 10, second));
    assert_eq!(offsets(&copy, None, 1000, false), (1..=10).collect::<Vec<_>>());
}

#[test]
fn a_page_has_as_many_bytes_as_a_part_or_one_publication() {
    let mut stream = stream(1000);
    (0..10).for_each(|_| append(&mut stream, 0));
    let query = |limit, reverse| HistoryQuery {
        channel: stream.name.clone(),
        options: stream.options,
        since: None,
        limit,
        reverse,
    };
    let size = FRAME_OVERHEAD + entry("1").size();
    for (limit, reverse, part, expected, more) in [
        (1000, false, size * 3, vec![1, 2, 3], true),
        (1000, true, (size + 1) * 3, vec![10, 9, 8], true),
        (3, false, size * 3, vec![1, 2, 3], false),
        (1000, false, 1, vec![1], true),
        (1000, false, 1 << 20, (1..=10).collect(), false),
    ] {
        let page = stream.page(&query(limit, reverse), 1000, part, stream.epoch.unwrap());
        let found: Vec<u64> = page.publications.iter().map(|(offset, _)| *offset).collect();
        assert_eq!((found, page.more), (expected, more), "{limit} {reverse} {part}");
    }
    assert!(
        stream.page(&query(1000, false), 4, 1 << 20, stream.epoch.unwrap()).more,
        "an answer has a limit by count, too"
    );
}

#[test]
fn the_oldest_go_when_there_are_too_many_bytes() {
    let mut stream = stream(1000);
    let one = ENTRY_OVERHEAD + 10;
    stream.options.history_bytes = 3 * one as u64;
    let append = |stream: &mut Stream, size: usize| {
        let short = entry(&"x".repeat(size));
        let entry = entry(&"x".repeat(2 * size - short.size()));
        let first = stream.first_after_append(Duration::ZERO, entry.size());
        stream.append(Duration::ZERO, stream.top() + 1, first, entry);
        (stream.first(), stream.bytes())
    };
    let firsts: Vec<u64> = (0..6).map(|_| append(&mut stream, 10).0).collect();
    assert_eq!(firsts, [1, 1, 1, 2, 3, 4]);
    assert_eq!(append(&mut stream, 10 + one), (6, 3 * one), "a larger one takes the place of two");
    assert_eq!(append(&mut stream, 10 * one).0, 8, "the newest stays, however large it is");
    stream.hold_back();
    assert_eq!(append(&mut stream, 10).0, 8, "what is not committed stays");
}
