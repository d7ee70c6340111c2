//! The checker has to bite: each kind of fault is planted once and must be found, and nothing else.

use super::*;

/// One sender (1), one destination (9), one receiver; `count` messages sent.
fn sent(promise: Promise, count: u64) -> (Checker, Arc<SenderLog>, Arc<ReceiverLog>) {
    let checker = Checker::new();
    let receiver = checker.receiver("bob", &[9]);
    let sender = checker.sender(1, promise);
    assert_eq!((1..=count).map(|_| sender.send(9)).collect::<Vec<_>>(), (1..=count).collect::<Vec<_>>());
    (checker, sender, receiver)
}

#[test]
fn all_in_order_is_clean() {
    let (checker, _, receiver) = sent(Promise::OnSend, 3);
    for seq in 1..=3 {
        assert_eq!(receiver.deliver(1, 9, seq), Delivery::InOrder);
    }
    let report = checker.report();
    assert!(report.is_clean());
    assert_eq!((report.sent, report.promised, report.delivered), (3, 3, 3));
}

#[test]
fn a_hole_and_a_missing_tail_are_losses() {
    let (checker, _, receiver) = sent(Promise::OnSend, 4);
    receiver.deliver(1, 9, 1);
    assert_eq!(receiver.deliver(1, 9, 3), Delivery::AfterGap);
    let report = checker.report();
    assert_eq!((report.lost, report.doubled, report.reordered), (2, 0, 0));
    assert_eq!(report.examples.len(), 2);
}

#[test]
fn a_receiver_that_never_got_anything_lost_it_all() {
    let (checker, _, _) = sent(Promise::OnSend, 5);
    assert_eq!(checker.report().lost, 5);
}

#[test]
fn every_receiver_of_a_channel_counts() {
    let (checker, sender, first) = sent(Promise::OnSend, 0);
    let second = checker.receiver("eve", &[8, 9]);
    sender.send(9);
    first.deliver(1, 9, 1);
    assert_eq!(checker.report().lost, 1);
    second.deliver(1, 9, 1);
    assert!(checker.report().is_clean());
}

#[test]
fn a_double_is_found_at_once() {
    let (checker, _, receiver) = sent(Promise::OnSend, 1);
    receiver.deliver(1, 9, 1);
    assert_eq!(receiver.deliver(1, 9, 1), Delivery::Double);
    let report = checker.report();
    assert_eq!((report.lost, report.doubled, report.delivered), (0, 1, 1));
}

#[test]
fn late_is_a_reorder_and_no_loss() {
    let (checker, _, receiver) = sent(Promise::OnSend, 2);
    receiver.deliver(1, 9, 2);
    assert_eq!(receiver.deliver(1, 9, 1), Delivery::Late);
    let report = checker.report();
    assert_eq!((report.lost, report.reordered, report.delivered), (0, 1, 2));
}

#[test]
fn what_was_not_acknowledged_may_be_missing() {
    let (checker, sender, receiver) = sent(Promise::OnAcknowledge, 3);
    receiver.deliver(1, 9, 3);
    assert!(checker.report().is_clean());
    sender.acknowledge(9, 2);
    sender.refuse(9, 1);
    let report = checker.report();
    assert_eq!((report.lost, report.promised, report.refused, report.unanswered), (1, 1, 1, 1));
}

#[test]
fn a_refusal_takes_the_promise_back() {
    let (checker, sender, _) = sent(Promise::OnSend, 1);
    sender.refuse(9, 1);
    let report = checker.report();
    assert!(report.is_clean());
    assert_eq!((report.promised, report.refused), (0, 1));
}

#[test]
fn what_nobody_will_ever_know_may_be_missing_or_late_but_not_double() {
    let (checker, sender, receiver) = sent(Promise::OnAcknowledge, 4);
    sender.acknowledge(9, 4);
    sender.give_up();
    receiver.deliver(1, 9, 4);
    assert_eq!(receiver.deliver(1, 9, 2), Delivery::Late);
    let report = checker.report();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.unknown, report.unknown_missing, report.unanswered, report.promised), (3, 2, 0, 1));
    receiver.deliver(1, 9, 2);
    assert_eq!(checker.report().doubled, 1);
}

#[test]
fn a_later_message_is_answered_for_after_others_were_given_up() {
    let (checker, sender, _) = sent(Promise::OnAcknowledge, 2);
    sender.give_up();
    sender.send(9);
    assert_eq!(checker.report().unanswered, 1);
    sender.acknowledge(9, 3);
    let report = checker.report();
    assert_eq!((report.unknown, report.unanswered, report.lost), (2, 0, 1));
}

#[test]
fn doubt_takes_the_promise_of_one_message_back() {
    let (checker, sender, _) = sent(Promise::OnSend, 2);
    sender.doubt(9, 1);
    sender.doubt(9, 1);
    let report = checker.report();
    assert_eq!((report.unknown, report.unanswered, report.lost, report.promised), (1, 0, 1, 1));
}

#[test]
fn examples_are_bounded_and_counts_are_not() {
    let (checker, _, receiver) = sent(Promise::OnSend, 1);
    for _ in 0..1000 {
        receiver.deliver(1, 9, 1);
    }
    let report = checker.report();
    assert_eq!((report.doubled, report.examples.len()), (999, EXAMPLES));
}

#[test]
fn what_ended_with_every_process_is_no_loss_to_whoever_was_told() {
    let (checker, sender, receiver) = sent(Promise::OnSend, 3);
    receiver.deliver(1, 9, 1);
    sender.end_life(9);
    assert_eq!(checker.report().lost, 2, "nobody has told it");
    assert!(receiver.is_told_of_new_life(1));
    let report = checker.report();
    assert_eq!((report.lost, report.ended), (0, 2), "{report}");
    assert!(!receiver.is_told_of_new_life(1), "nothing has ended since");
    sender.send(9);
    assert_eq!(checker.report().lost, 1, "it is of the new life");
    receiver.deliver(1, 9, 4);
    assert!(checker.report().is_clean());
    receiver.deliver(1, 9, 4);
    assert_eq!(checker.report().doubled, 1, "what has ended excuses no double");
}

#[test]
fn what_came_late_out_of_an_ended_life_is_still_a_reorder() {
    let (checker, sender, receiver) = sent(Promise::OnSend, 2);
    sender.end_life(9);
    sender.send(9);
    assert!(receiver.is_told_of_new_life(1));
    receiver.deliver(1, 9, 3);
    receiver.deliver(1, 9, 1);
    let report = checker.report();
    assert_eq!((report.lost, report.ended, report.reordered), (0, 1, 1));
}

#[test]
fn what_was_sent_on_a_dying_socket_is_of_the_life_that_ended() {
    let (checker, sender, receiver) = sent(Promise::OnAcknowledge, 1);
    sender.end_life(9);
    sender.send(9);
    sender.late_end_of_life(9);
    sender.send(9);
    (1..=3).for_each(|seq| sender.acknowledge(9, seq));
    assert!(receiver.is_told_of_new_life(1));
    let report = checker.report();
    assert_eq!((report.lost, report.ended), (1, 2), "{report}");
}

#[test]
fn each_end_of_everything_has_to_be_told() {
    let (checker, sender, receiver) = sent(Promise::OnSend, 1);
    sender.end_life(9);
    assert!(receiver.is_told_of_new_life(1));
    sender.send(9);
    sender.end_life(9);
    let report = checker.report();
    assert_eq!((report.lost, report.ended), (1, 1));
    assert!(receiver.is_told_of_new_life(2));
    assert_eq!(checker.report().ended, 2);
}
