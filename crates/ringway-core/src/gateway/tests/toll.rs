//! What a gateway says of the changes it saw: who waited how long, and what came twice, early or never.

use super::*;

fn pauses(world: &World) -> (u64, Duration) {
    let pauses = &world.gateway.toll().pauses;
    (pauses.count(), pauses.longest)
}

fn attached(world: &mut World) -> Attach {
    let (_, attach) = world.attach("news");
    world.attached(&attach, 0, 0);
    attach
}

#[test]
fn the_first_attach_is_no_pause_and_the_next_one_is() {
    let mut world = World::new();
    attached(&mut world);
    assert_eq!(pauses(&world), (0, Duration::ZERO));
    world.replace_owner(Incarnation(2));
    assert_eq!(world.gateway.toll().waiting, 1);
    world.pass(40);
    let again = world.attaches().pop().unwrap();
    world.attached(&again, 0, 0);
    assert_eq!((world.gateway.toll().waiting, pauses(&world)), (0, (1, Duration::from_millis(40))));
    assert_eq!(world.gateway.toll().gaps, 0);
}

#[test]
fn a_silent_owner_has_not_served_since_it_was_last_heard() {
    let mut world = World::new();
    attached(&mut world);
    world.pass(2000);
    world.replace_owner(Incarnation(2));
    world.pass(10);
    let again = world.attaches().pop().unwrap();
    world.attached(&again, 0, 0);
    assert_eq!(pauses(&world), (1, Duration::from_millis(2010)));
}

#[test]
fn who_leaves_while_waiting_waits_no_more() {
    let mut world = World::new();
    let (key, attach) = world.attach("news");
    world.attached(&attach, 0, 0);
    world.gateway.on_link_down(world.now, FIRST);
    assert_eq!(world.gateway.toll().waiting, 1);
    world.gateway.detach(world.now, key);
    assert_eq!((world.gateway.toll().waiting, pauses(&world).0), (0, 0));
}

#[test]
fn what_comes_again_or_early_is_counted_and_not_handed_on() {
    let mut world = World::new();
    let attach = attached(&mut world);
    [1, 1, 3].into_iter().for_each(|offset| world.deliver(&attach, offset));
    assert_eq!(world.delivered(), [1]);
    let toll = world.gateway.toll();
    assert_eq!((toll.doubles, toll.reorders, toll.gaps, toll.waiting), (1, 1, 0, 1));
    let again = world.attaches().pop().unwrap();
    world.attached(&again, 1, 3);
    (2..=3).for_each(|offset| world.deliver(&again, offset));
    assert_eq!(world.delivered(), [2, 3]);
    assert_eq!((world.gateway.toll().waiting, pauses(&world).0), (0, 1));
}

#[test]
fn what_cannot_be_filled_is_a_gap() {
    let mut world = World::new();
    attached(&mut world);
    world.replace_owner(Incarnation(2));
    let again = world.attaches().pop().unwrap();
    world.attached(&again, 7, 9);
    assert_eq!(world.gateway.toll().gaps, 1);
}

#[test]
fn a_new_incarnation_counts_on() {
    let mut world = World::new();
    attached(&mut world);
    world.gateway.live_anew(world.now, Incarnation(200), world.view.clone());
    let toll = world.gateway.toll();
    assert_eq!((toll.process, toll.waiting), (ME, 1));
}
