use super::*;

const ONE: Incarnation = Incarnation(1);
const TWO: Incarnation = Incarnation(2);
const WINDOW: Duration = Duration::from_secs(5);

fn order(number: u64) -> Reset {
    Reset { number, slots: None, window: WINDOW }
}

fn count(number: u64, done: bool) -> ResetCount {
    ResetCount { number, meant: 3, closed: 1, done }
}

/// To whom something is given then, and how often it was before.
fn due(outbox: &mut Outbox, now: Now) -> Vec<(Incarnation, u32)> {
    outbox.due(now).into_iter().map(|(gateway, tries, _)| (gateway, tries)).collect()
}

fn seconds(seconds: u64) -> Now {
    Now::from_secs(seconds)
}

#[test]
fn an_order_is_given_again_until_its_gateway_says_a_word() {
    let mut outbox = Outbox::default();
    assert_eq!(outbox.keep(seconds(10), &order(1), &[ONE, TWO]), None);
    assert_eq!(due(&mut outbox, seconds(10)), [(ONE, 0), (TWO, 0)]);
    assert_eq!(due(&mut outbox, seconds(10)), []);
    outbox.hear(seconds(10), ONE, count(1, false));
    assert_eq!(due(&mut outbox, seconds(11)), [(TWO, 1)]);
    assert_eq!(due(&mut outbox, seconds(12)), [(TWO, 2)]);
    outbox.hear(seconds(12), TWO, count(1, true));
    assert_eq!(due(&mut outbox, seconds(13)), []);
    // Its last word is late.
    assert_eq!(due(&mut outbox, seconds(20)), [(ONE, 1)]);
    outbox.hear(seconds(20), ONE, count(1, true));
    assert_eq!(due(&mut outbox, seconds(60)), []);
    assert_eq!(outbox.next, None, "nothing is left to do");
}

#[test]
fn what_the_bus_has_not_taken_is_found_until_its_gateway_says_a_word() {
    let mut outbox = Outbox::default();
    outbox.keep(seconds(10), &order(7), &[ONE]);
    let key = |to, number| Key { to, kind: Kind::Reset, number };
    assert_eq!(outbox.find(key(ONE, 7)), Some(&order(7)));
    assert_eq!((outbox.find(key(TWO, 7)), outbox.find(key(ONE, 6))), (None, None));
    outbox.hear(seconds(10), ONE, count(7, false));
    assert_eq!(outbox.find(key(ONE, 7)), None);
}

#[test]
fn who_is_gone_or_silent_for_too_long_is_missed_if_it_had_not_begun() {
    let mut outbox = Outbox::default();
    outbox.keep(seconds(10), &order(1), &[ONE, TWO]);
    outbox.hear(seconds(10), ONE, count(1, false));
    assert_eq!(outbox.give_up(seconds(11), |_| false), []);
    assert_eq!(outbox.give_up(seconds(11), |gateway| gateway == ONE), [], "it had begun");
    assert_eq!(outbox.give_up(seconds(12), |gateway| gateway == TWO), [(1, vec![TWO])]);
    outbox.keep(seconds(20), &order(2), &[ONE]);
    assert_eq!(outbox.give_up(seconds(20) + GIVEN_FOR, |_| false), [], "the window counts as well");
    assert_eq!(outbox.give_up(seconds(20) + GIVEN_FOR + WINDOW, |_| false), [(2, vec![ONE])]);
    assert!(outbox.given.is_empty());
}

#[test]
fn one_order_too_many_is_given_up() {
    let mut outbox = Outbox::default();
    for number in 1..=ORDERS as u64 {
        assert_eq!(outbox.keep(seconds(10), &order(number), &[ONE]), None);
    }
    assert_eq!(outbox.keep(seconds(10), &order(17), &[ONE]), Some((1, vec![ONE])));
    assert_eq!(outbox.given.len(), ORDERS);
}
