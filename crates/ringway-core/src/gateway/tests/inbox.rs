//! Inboxes: handed on from the position, told to owners by what is confirmed.

use super::*;

fn reports(world: &mut World) -> Vec<u64> {
    let reports =
        world.take(|message| if let Message::Delivered(reports) = message { Some(reports.clone()) } else { None });
    reports.into_iter().flatten().map(|(_, _, offset)| offset).collect()
}

/// An inbox of which so many were handed on.
fn bob(world: &mut World, handed: u64) -> (ChannelKey, Attach) {
    let (key, attach) = world.attach("#bob");
    world.attached(&attach, 0, handed);
    (1..=handed).for_each(|offset| world.deliver(&attach, offset));
    world.events();
    (key, attach)
}

#[test]
fn only_what_is_confirmed_is_reported() {
    let mut world = World::new();
    let (key, attach) = bob(&mut world, 5);
    world.pass(200);
    assert_eq!(reports(&mut world), [0; 0]);
    world.gateway.confirm(key, at(3));
    world.pass(200);
    assert_eq!(reports(&mut world), [3]);
    // Nothing new, another stream, and more than there is.
    world.gateway.confirm(key, at(2));
    world.gateway.confirm(key, Position { epoch: StreamEpoch::from_random(2), offset: 5 });
    world.pass(200);
    assert_eq!(reports(&mut world), [0; 0]);
    world.gateway.confirm(key, at(9));
    world.pass(200);
    assert_eq!((reports(&mut world), world.gateway.confirmed(key)), (vec![5], Some(at(5))));
    world.deliver(&attach, 6);
    assert_eq!(world.delivered(), [6]);
}

#[test]
fn a_new_owner_learns_what_was_handed_on_and_what_was_confirmed() {
    let mut world = World::new();
    let (key, _) = bob(&mut world, 5);
    world.gateway.confirm(key, at(3));
    world.replace_owner(Incarnation(2));
    let again = world.attaches().remove(0);
    assert_eq!((again.from, again.confirmed), (AttachFrom::At(at(5)), 3));
    // Confirmed between the attach and its answer: told when the owner knows what is meant.
    world.gateway.confirm(key, at(4));
    world.pass(50);
    assert_eq!(reports(&mut world), [0; 0]);
    world.attached(&again, 5, 5);
    assert!(world.events().is_empty());
    world.pass(200);
    assert_eq!(reports(&mut world), [4]);
}

#[test]
fn where_an_inbox_goes_on_at_another_place_nothing_before_it_is_waited_for() {
    let mut world = World::new();
    let (key, _) = bob(&mut world, 5);
    world.replace_owner(Incarnation(2));
    let again = world.attaches().remove(0);
    world.attached(&again, 8, 8);
    assert_eq!(world.gateway.confirmed(key), Some(at(8)));
}

#[test]
fn what_is_no_inbox_is_not_confirmed() {
    let mut world = World::new();
    let (key, attach) = world.attach("news");
    world.attached(&attach, 0, 1);
    world.deliver(&attach, 1);
    world.gateway.confirm(key, at(1));
    world.pass(200);
    assert_eq!((world.gateway.confirmed(key), reports(&mut world)), (None, vec![]));
    assert_eq!(world.gateway.detach(world.now, key), None);
}
