use super::super::FileLog;
use super::super::double::Double;
use super::*;
use crate::Log as _;

fn segments(writer: &Writer) -> usize {
    writer.shared.index.lock().segments.len()
}

#[test]
fn a_full_disk_is_told_and_the_log_goes_on() {
    let double = Double::new(1);
    let mut writer = opened(&double);
    place(append(&mut writer, 1, vec![1; 200]));
    for room in [0, 50, 232] {
        double.room(room);
        assert_eq!(append(&mut writer, 1, vec![2; 200]), Appended::Full);
    }
    let mut trimmed = ask_trim(&mut writer, 1, u64::MAX);
    work(&mut writer).expect("the log goes on");
    assert!(trimmed.try_recv().is_ok(), "it is answered");
    double.room(300);
    place(append(&mut writer, 1, vec![3; 200]));
    drop(writer);
    double.crash();
    assert_eq!(records(&opened(&double), 1), [vec![1; 200], vec![3; 200]]);
}

#[test]
fn a_full_disk_where_a_segment_begins_is_told_and_the_log_goes_on() {
    let double = Double::new(1);
    let mut writer = opened(&double);
    place(append(&mut writer, 1, vec![1; 1_800]));
    double.room(20);
    assert_eq!(append(&mut writer, 1, vec![2; 200]), Appended::Full);
    assert_eq!(segments(&writer), 1);
    double.room(usize::MAX);
    place(append(&mut writer, 1, vec![3; 200]));
    assert_eq!((segments(&writer), records(&writer, 1).len()), (2, 2));
}

#[test]
fn a_limit_is_kept_and_trims_make_room() {
    let double = Double::new(1);
    let mut writer = opened(&double);
    let mut places = Vec::new();
    let full = loop {
        match append(&mut writer, 1, vec![1; 200]) {
            Appended::At(Place(place)) => places.push(place),
            full => break full,
        }
    };
    assert_eq!(full, Appended::Full);
    assert!(writer.shared.index.lock().total <= SMALL.appends);
    trim(&mut writer, 1, places[places.len() / 2]);
    while writer.wants_to_clean() {
        writer.round().expect("the disk is sound");
    }
    place(append(&mut writer, 1, vec![1; 200]));
    assert_eq!(records(&writer, 1).len(), places.len().div_ceil(2) + 1);
    trim(&mut writer, 1, u64::MAX);
    while writer.wants_to_clean() {
        writer.round().expect("the disk is sound");
    }
    assert!(segments(&writer) <= 2, "{} are left", segments(&writer));
    drop(writer);
    double.crash();
    assert_eq!(records(&opened(&double), 1).len(), 1);
}

#[test]
fn a_failed_sync_ends_the_log() {
    let double = Double::new(1);
    let mut writer = opened(&double);
    place(append(&mut writer, 1, "first"));
    double.fail_next_sync();
    let mut answered = ask_append(&mut writer, 1, None, &"other slot".into());
    let mut second = ask_append(&mut writer, 2, None, &"second".into());
    let Ended(why) = work(&mut writer).expect_err("the sync failed");
    assert!(
        why.contains("cannot sync folder/log-0000000000000001") && why.contains("start this process again"),
        "{why}"
    );
    assert!(answered.try_recv().is_err() && second.try_recv().is_err(), "nobody is told that it was written");
    let shared = writer.shared();
    drop(writer);
    assert_eq!(shared.away().to_string(), why);
}

#[tokio::test]
async fn all_who_ask_an_ended_log_learn_why() {
    let double = Double::new(1);
    let log = FileLog::start(opened(&double)).expect("a thread begins");
    let Ok(Appended::At(first)) = log.append(1, None, "first".into()).await else { panic!("it is sound") };
    assert_eq!(log.failed(), None);
    double.fail_next_sync();
    let why = log.append(1, Some(first), "second".into()).await.expect_err("the sync failed").to_string();
    assert!(why.contains("the sync failed"), "{why}");
    assert_eq!((log.failed(), log.until_failed().await), (Some(why.clone()), why.clone()));
    assert_eq!(log.append(2, None, "third".into()).await.expect_err("it has ended").to_string(), why);
    assert_eq!(log.trim(1, first).await.expect_err("it has ended").to_string(), why);
    assert_eq!(log.close().await.expect_err("it has ended").to_string(), why);
    assert_eq!(log.last(1).await.expect("it can be read"), Some((first, "first".into())));
}

#[test]
fn what_a_failed_sync_left_in_memory_is_written_again_at_the_next_start() {
    let double = Double::new(1);
    let mut writer = opened(&double);
    double.fail_next_sync();
    let _unheard = ask_append(&mut writer, 1, None, &"left".into());
    work(&mut writer).expect_err("the sync failed");
    double.restart();
    assert_eq!(records(&opened(&double), 1), ["left"], "the system still has it");
    double.crash();
    assert_eq!(records(&opened(&double), 1), ["left"], "what was seen stays");
}

#[test]
fn an_fsync_is_read_and_shown() {
    for (text, shown) in [("always", "always"), ("never", "never"), ("100ms", "100ms"), ("2000ms", "2s"), ("1 m", "1m")]
    {
        assert_eq!(text.parse::<Fsync>().expect("it is one").to_string(), shown);
    }
    for wrong in ["", "sometimes", "0s", "5", "ms", "5d", "99999999999999999999h"] {
        assert!(wrong.parse::<Fsync>().is_err(), "{wrong}");
    }
}
