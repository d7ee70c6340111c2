//! Whatever linked members of the view say, in whatever order: a member's rules neither panic nor overflow, and what a frame
//! makes them say has a bound. Frames are well-formed and mean nothing, or nearly something: slots beyond the last, epochs
//! and offsets without end, views of other clusters, lists in which everything is double.
//!
//! Between them the liars are honest now and then, so that the rules come to where a lie can hurt: slots that are live,
//! copies that are marked, channels that are attached.

mod honest;
mod plausible;
mod subject;

use ringway_protocol::link::testing::{Choices, MESSAGE_KINDS};
use subject::{Reached, Subject};

/// Steps of one run. After so many it has mostly lost everything more than once, and has joined anew.
const STEPS: usize = 1_500;

fn runs(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        println!("seed {seed}");
        let mut subject = Subject::new(seed);
        (0..STEPS).for_each(|_| subject.step());
    }
}

#[test]
fn no_word_of_another_member_ends_a_member() {
    std::thread::scope(|scope| {
        let halves = [1..101, 101..201].map(|seeds| scope.spawn(|| runs(seeds)));
        for half in halves {
            half.join().expect("see the last seed that is named above");
        }
    });
}

/// The test above would find nothing if its frames met nobody who cares.
#[test]
fn the_rules_come_to_where_a_lie_can_hurt() {
    let mut reached = Reached::default();
    for seed in 1..9 {
        let mut subject = Subject::new(seed);
        (0..STEPS).for_each(|_| subject.step());
        reached = reached + subject.reached();
    }
    let Reached { live, kept, attached, published, views, lives } = reached;
    assert!(live > 50_000 && kept > 1_000 && attached > 100 && published > 50, "{reached:?}");
    assert!(views > 300 && lives > 8, "{reached:?}");
}

#[test]
fn a_drawn_message_is_of_every_kind() {
    let kind = |kind| {
        std::mem::discriminant(&ringway_protocol::link::testing::message_of_kind(kind, &mut Choices::scattered(1)))
    };
    let kinds: std::collections::HashSet<_> = (0..MESSAGE_KINDS).map(kind).collect();
    assert_eq!(kinds.len(), MESSAGE_KINDS);
}
