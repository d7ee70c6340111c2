use super::super::double::Double;
use super::super::frame::HEADER;
use super::super::open::OpenError;
use super::*;

/// Twenty records of two slots in several segments.
fn written() -> Double {
    let double = Double::new(1);
    let mut writer = opened(&double);
    for number in 0..40_u8 {
        place(append(&mut writer, u32::from(number % 2), vec![number; 200]));
    }
    double
}

fn accepting() -> Options {
    Options { accept_loss: true, ..options(Fsync::Always) }
}

fn numbers(writer: &Writer, slot: u32) -> Vec<u8> {
    records(writer, slot).iter().map(|record| record[0]).collect()
}

#[test]
fn a_torn_tail_is_dropped() {
    let double = written();
    let name = double.names().pop().expect("it has segments");
    let len = double.content(&name).len();
    double.damage(&name, |bytes| bytes.extend([9; 100]));
    let mut writer = opened(&double);
    assert_eq!(numbers(&writer, 1), (1..40).step_by(2).collect::<Vec<u8>>());
    assert!(double.content(&name).len() < len + 100, "it was cut off");
    place(append(&mut writer, 1, "next"));
    drop(writer);
    assert_eq!(records(&opened(&double), 1).last().expect("it is there"), "next");
}

#[test]
fn the_last_record_may_be_torn() {
    let double = written();
    let name = double.names().pop().expect("it has segments");
    double.damage(&name, |bytes| bytes.truncate(bytes.len() - 1));
    assert_eq!(numbers(&opened(&double), 1).last(), Some(&37));
}

#[test]
fn the_last_record_of_a_log_that_was_closed_is_not_torn_but_damaged() {
    let double = written();
    let mut writer = opened(&double);
    let name = double.names().pop().expect("it has segments");
    let at = double.content(&name).len();
    place(append(&mut writer, 0, vec![40; 10]));
    writer.seal().expect("the disk is sound");
    drop(writer);
    double.damage(&name, |bytes| bytes[at + 40] ^= 1);
    refused(&double, &format!("{name} is wrong from offset {at} on, for 43 bytes"));
}

/// Opening is refused with an error that says this, and then goes on with the loss accepted.
fn refused(double: &Double, says: &str) -> Writer {
    let before: Vec<_> = double.names().iter().map(|name| (name.clone(), double.content(name))).collect();
    let why = open_with(double, &options(Fsync::Always)).expect_err("it is damaged").to_string();
    assert!(why.contains(says) && why.contains("--accept-loss"), "{why}");
    let after: Vec<_> = double.names().iter().map(|name| (name.clone(), double.content(name))).collect();
    assert!(before == after, "nothing was changed");
    let mut writer = open_with(double, &accepting()).expect("the loss is accepted");
    let expected = records(&writer, 0);
    place(append(&mut writer, 1, "next"));
    drop(writer);
    double.crash();
    let writer = opened(double);
    assert_eq!(records(&writer, 0), expected, "it is mended for good");
    assert_eq!(records(&writer, 1).last().expect("it is there"), "next");
    writer
}

#[test]
fn a_flipped_bit_is_refused_and_its_chain_ends_before_it() {
    let double = written();
    // The record of number 2 in the first segment: 0 and 1 are before it, and the frame of the start.
    let at = HEADER as usize + 33 + 2 * 233;
    let name = double.names().remove(0);
    double.damage(&name, |bytes| bytes[at + 100] ^= 4);
    let writer = refused(&double, &format!("folder/{name} is wrong from offset {at} on, for 233 bytes"));
    assert_eq!(numbers(&writer, 0), [0]);
    assert_eq!(numbers(&writer, 1).len(), 21);
    assert!(double.names().contains(&format!("lost-{name}")));
}

#[test]
fn a_flipped_length_in_the_newest_segment_is_no_torn_tail() {
    let double = written();
    let name = double.names().pop().expect("it has segments");
    double.damage(&name, |bytes| bytes[HEADER as usize] ^= 64);
    refused(&double, &format!("{name} is wrong from offset {HEADER} on"));
}

#[test]
fn a_torn_end_of_a_segment_before_the_newest_is_damage() {
    let double = written();
    let name = double.names().remove(0);
    let last = double.content(&name).len() - 233;
    double.damage(&name, |bytes| bytes.truncate(bytes.len() - 1));
    refused(&double, &format!("{name} is wrong from offset {last} on, for 232 bytes"));
}

#[test]
fn a_frame_of_another_segment_is_none_of_this_one() {
    let double = written();
    let [first, second] = [&double.names()[0], &double.names()[1]].map(Clone::clone);
    let frame = double.content(&first)[HEADER as usize + 33..][..233].to_vec();
    let at = HEADER as usize;
    double.damage(&second, |bytes| bytes[at..at + 233].copy_from_slice(&frame));
    refused(&double, &format!("{second} is wrong from offset {at} on, for 233 bytes"));
}

#[test]
fn a_bad_header_is_refused_and_costs_no_record() {
    let double = written();
    let name = double.names().remove(0);
    double.damage(&name, |bytes| bytes[20] ^= 1);
    let writer = refused(&double, &format!("{name} is wrong from offset 0 on"));
    assert_eq!(numbers(&writer, 0).len(), 20);
}

#[test]
fn a_missing_segment_is_refused() {
    let double = written();
    let name = double.names().remove(1);
    double.forget(&name);
    let writer = refused(&double, &format!("{name} is missing"));
    assert!(numbers(&writer, 0).is_sorted());
}

#[test]
fn a_missing_first_segment_is_seen_by_the_chains() {
    let double = written();
    double.forget(&double.names()[0]);
    refused(&double, "are missing before place");
}

#[test]
fn mending_may_be_interrupted_anywhere() {
    let mut whole = None;
    let accepting = || Options { fsync: Fsync::Never, ..accepting() };
    for changes in 1.. {
        let double = written();
        let name = double.names().remove(2);
        double.damage(&name, |bytes| bytes[500] ^= 4);
        double.fuse(changes);
        let done = open_with(&double, &accepting()).is_ok();
        double.crash();
        let writer = open_with(&double, &accepting()).expect("it is mended, or mended again");
        let is = [records(&writer, 0), records(&writer, 1)];
        assert_eq!(*whole.get_or_insert(is.clone()), is, "after {changes} changes");
        if done {
            assert!(changes > 10, "it was interrupted");
            return;
        }
    }
}

#[test]
fn another_birth_is_refused_even_if_loss_is_accepted() {
    let double = written();
    let why = open_with(&double, &Options { birth: 8, ..accepting() }).expect_err("it is of another cluster");
    assert!(matches!(&why, OpenError::Birth { found: BIRTH, expected: 8, .. }), "{why}");
    assert!(why.to_string().contains("log-0000000000000001"), "{why}");
}

#[test]
fn another_format_is_refused() {
    let double = written();
    double.damage(&double.names()[0], |bytes| bytes[8] = 2);
    let why = open_with(&double, &accepting()).expect_err("it is newer");
    assert!(matches!(&why, OpenError::Version { found: 2, .. }), "{why}");
}
