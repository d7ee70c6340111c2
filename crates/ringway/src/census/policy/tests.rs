use ringway_engine::census::Listed;

use super::*;

const ME: &str = "node-1";
const WELL: Standing = Standing::Well { weight: 1.0 };
const OFF: Standing = Standing::Off(Reason::Disabled);

/// What is heard, with the seconds at which that is so.
#[derive(Clone, Copy)]
enum Heard {
    /// This member stands so, and so do the others.
    List(Standing, &'static [(&'static str, Standing)]),
    /// The same, of a protected list.
    Protected(Standing),
    /// This member is not listed, and these are.
    Without(&'static [(&'static str, Standing)]),
    Away,
}
use Heard::{Away, List as Says, Protected, Without};

fn list(members: impl IntoIterator<Item = (&'static str, Standing)>, is_protected: bool) -> List {
    let listed = |(id, standing): (&str, Standing)| Listed { id: id.to_owned(), standing };
    List { members: members.into_iter().map(listed).collect(), is_protected }
}

impl Heard {
    fn tell(self, policy: &mut Policy, seconds: f64) {
        let now = Duration::from_secs_f64(seconds);
        let heard = match self {
            Says(mine, others) => Ok(list(others.iter().copied().chain([(ME, mine)]), false)),
            Protected(mine) => Ok(list([(ME, mine)], true)),
            Without(others) => Ok(list(others.iter().copied(), false)),
            Away => Err(Absent("nobody answers".to_owned())),
        };
        policy.hear(now, heard.as_ref());
    }
}

fn policy() -> Policy {
    Policy::new(ME, Weight::ONE, Duration::from_secs(60))
}

/// A policy that believes the list, at 60 s.
fn settled() -> Policy {
    let mut policy = policy();
    Says(WELL, &[]).tell(&mut policy, 0.0);
    Says(WELL, &[]).tell(&mut policy, 60.0);
    policy
}

const REST: Wish = Wish::Rest(Reason::Disabled);

#[test]
fn who_is_off_rests_and_who_has_been_well_for_5_s_works() {
    // When, what is heard, whether the node rests by then, what it should do.
    let table: &[(f64, Heard, bool, Wish)] = &[
        (61.0, Says(WELL, &[]), false, Wish::Nothing),
        (62.0, Says(OFF, &[]), false, REST),
        (63.0, Says(OFF, &[]), true, REST),
        // What flaps stays off.
        (64.0, Says(WELL, &[]), true, REST),
        (68.9, Says(WELL, &[]), true, REST),
        (68.95, Says(OFF, &[]), true, REST),
        (69.0, Says(WELL, &[]), true, REST),
        (73.9, Says(WELL, &[]), true, REST),
        (74.0, Says(WELL, &[]), true, Wish::Wake),
        (74.1, Says(WELL, &[]), false, Wish::Nothing),
        // It never began to rest.
        (75.0, Says(OFF, &[]), false, REST),
        (80.0, Says(WELL, &[]), false, REST),
        (85.0, Says(WELL, &[]), false, Wish::Nothing),
    ];
    let mut policy = settled();
    for (seconds, heard, rests, expected) in table {
        heard.tell(&mut policy, *seconds);
        assert_eq!(policy.wish(*rests), *expected, "at {seconds} s");
    }
}

#[test]
fn every_reason_to_have_no_work_counts() {
    for reason in [Reason::Disabled, Reason::Unhealthy, Reason::Weightless] {
        let mut policy = settled();
        Says(Standing::Off(reason), &[]).tell(&mut policy, 61.0);
        assert_eq!(policy.wish(false), Wish::Rest(reason));
    }
}

#[test]
fn nothing_is_believed_of_a_list_that_is_being_rebuilt() {
    let others: &[(&str, Standing)] = &[("node-2", WELL), ("node-3", WELL)];
    let some: &[(&str, Standing)] = &[("node-2", WELL)];
    let mut policy = settled();
    Says(WELL, others).tell(&mut policy, 100.0);
    for (seconds, heard) in [
        (101.0, Away),
        (102.0, Without(&[])),
        (103.0, Without(others)),
        (104.0, Says(OFF, &[])),
        (163.9, Says(OFF, some)),
        (163.95, Says(Standing::Well { weight: 7.0 }, some)),
    ] {
        heard.tell(&mut policy, seconds);
        assert_eq!(policy.wish(false), Wish::Nothing, "at {seconds} s");
        assert!(policy.gone().is_empty(), "at {seconds} s");
    }
    // From here on it counts, but who was not back by then was never there.
    Says(OFF, some).tell(&mut policy, 164.0);
    assert_eq!((policy.wish(false), policy.gone().len()), (REST, 0));
}

#[test]
fn what_was_stays_while_nothing_is_known() {
    let mut policy = settled();
    Says(OFF, &[]).tell(&mut policy, 61.0);
    for (seconds, heard) in [(62.0, Away), (63.0, Without(&[])), (64.0, Says(WELL, &[])), (123.0, Says(WELL, &[]))] {
        heard.tell(&mut policy, seconds);
        assert_eq!(policy.wish(true), REST, "at {seconds} s");
    }
    // A restart forgets who was offline. The list is believed again at 124 s, and 5 s of being well count from there.
    Says(WELL, &[]).tell(&mut policy, 124.0);
    assert_eq!(policy.wish(true), REST);
    Says(WELL, &[]).tell(&mut policy, 129.0);
    assert_eq!(policy.wish(true), Wish::Wake);
}

#[test]
fn a_protected_list_moves_nobody() {
    let mut policy = settled();
    Says(OFF, &[("node-2", WELL)]).tell(&mut policy, 61.0);
    for seconds in [62.0, 70.0, 80.0] {
        Protected(WELL).tell(&mut policy, seconds);
        assert_eq!((policy.wish(true), policy.gone().len()), (REST, 0));
        assert!(policy.trouble().is_some_and(|trouble| trouble.contains("protection threshold")));
    }
    let mut policy = settled();
    Protected(OFF).tell(&mut policy, 61.0);
    assert_eq!(policy.wish(false), Wish::Nothing);
}

#[test]
fn a_weight_counts_when_it_changes() {
    let says = |policy: &mut Policy, seconds: f64, weight: f64| {
        Says(Standing::Well { weight }, &[]).tell(policy, seconds);
    };
    let weighs = |thousandths| Wish::Weigh(Weight::from_thousandths(thousandths).unwrap());
    let mut policy = settled();
    says(&mut policy, 61.0, 1.0);
    assert_eq!(policy.wish(false), Wish::Nothing, "it entered with that");
    says(&mut policy, 62.0, 2.5);
    assert_eq!(policy.wish(false), weighs(2500));
    says(&mut policy, 63.0, 2.5);
    assert_eq!(policy.wish(false), weighs(2500), "it has not got it yet");
    policy.weighed();
    says(&mut policy, 64.0, 2.5);
    assert_eq!(policy.wish(false), Wish::Nothing, "whatever it was given since");
    says(&mut policy, 65.0, 0.000_01);
    assert_eq!(policy.wish(false), weighs(1), "little is not nothing");
    says(&mut policy, 66.0, 10_000.0);
    assert_eq!(policy.wish(false), weighs(1_000_000), "as much as there is");
    // While it rests the weight is for later.
    Says(Standing::Off(Reason::Weightless), &[]).tell(&mut policy, 67.0);
    policy.weighed();
    says(&mut policy, 68.0, 3.0);
    says(&mut policy, 73.0, 3.0);
    assert_eq!((policy.wish(true), policy.new_weight()), (Wish::Wake, Weight::from_thousandths(3000).ok()));
}

#[test]
fn who_was_listed_and_is_no_longer_is_gone() {
    let both: &[(&str, Standing)] = &[("node-2", WELL), ("node-3", OFF)];
    let one: &[(&str, Standing)] = &[("node-3", OFF)];
    let mut policy = settled();
    let gone = |policy: &mut Policy, seconds: f64, heard: Heard| {
        heard.tell(policy, seconds);
        policy.gone().iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(gone(&mut policy, 61.0, Says(WELL, both)), Vec::<String>::new());
    assert_eq!(gone(&mut policy, 62.0, Says(WELL, one)), ["node-2"]);
    assert_eq!(gone(&mut policy, 63.0, Says(WELL, &[])), ["node-2", "node-3"]);
    assert_eq!(gone(&mut policy, 64.0, Says(WELL, both)), Vec::<String>::new());
    assert_eq!(gone(&mut policy, 65.0, Says(OFF, one)), ["node-2"], "who is off itself sees as well as others");
    assert_eq!(gone(&mut policy, 66.0, Away), Vec::<String>::new());
}
