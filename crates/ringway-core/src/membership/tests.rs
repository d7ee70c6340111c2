//! One member and a registry that answers when told to.

use std::collections::VecDeque;
use std::time::Duration;

use super::*;
use crate::registry::Registry;
use crate::ring::{HashKey, SlotCount};
use crate::view::NodeState;

fn node(name: &str, incarnation: u64) -> NodeEntry {
    let (now, next) = (Weight::ONE, Weight::ONE);
    NodeEntry {
        id: MemberId::new(name).unwrap(),
        incarnation: Incarnation(incarnation),
        address: "a:1".into(),
        now,
        next,
    }
}

#[test]
fn a_view_of_another_cluster_is_refused_wherever_it_comes_from() {
    let mut world = World::with(&[node("n2", 2)]);
    world.pass(1000);
    let mine = world.member.view().clone();
    assert!(mine.has(Incarnation(1)));
    let foreign = |key, slots| {
        let view = View { epoch: Epoch(1000), ..View::born(HashKey::from_bytes([key; 16]), slots) };
        Arc::new(view.with_node(node("n3", 3)))
    };
    for view in [foreign(4, SlotCount::MIN), foreign(3, SlotCount::DEFAULT)] {
        world.member.on_view(world.now, &view);
        for id in 0..100 {
            let answer = RegistryAnswer { id, done: true, view: view.clone(), lapsed: vec![Incarnation(2)] };
            world.member.on_answer(world.now, &answer);
        }
        assert_eq!(world.member.view(), &mine);
        assert_eq!(world.member.next_action(), None);
        let request = crate::message::RegistryRequest { id: 7, op: RegistryOp::Cas(view) };
        assert!(!world.registry.handle(world.now, request).done, "nor does a registry take it over");
    }
}

#[test]
fn the_registrys_member_takes_its_former_lifes_place_at_once() {
    let born = View::born(HashKey::from_bytes([3; 16]), SlotCount::MIN);
    let kept = Arc::new(born.with_node(node("n1", 1)).with_node(node("n2", 2)).activated());
    let (now, timing) = (Duration::from_secs(100), Timing::default());
    let entry = node("n1", 9);
    let identity = Life { id: entry.id.clone(), incarnation: Incarnation(9), node: Some(entry), gateway: None };
    let member = Membership::new(now, identity, kept.clone(), timing, Seat::Here);
    let registry = Registry::restored(kept.clone(), timing.ttl, now);
    let mut world = World { now, registry, member, there: true, unsettled: false, said: Vec::new() };
    world.pass(100);
    let view = world.member.view();
    assert_eq!(view.incarnation_of(&MemberId::new("n1").unwrap()), Some(Incarnation(9)));
    assert!(view.has(Incarnation(2)), "nobody else joins anew");
    assert_eq!((view.crashes, view.removals), (kept.crashes + 1, kept.removals), "its end is proven");
    assert_eq!(world.said, []);
    let request = crate::message::RegistryRequest { id: 1, op: RegistryOp::Renew(Incarnation(2)) };
    assert!(world.registry.handle(world.now, request).done, "others renew as if nothing had been");
}

struct World {
    now: Now,
    registry: Registry,
    member: Membership,
    /// The registry is there.
    there: bool,
    /// Nobody says that it is settled.
    unsettled: bool,
    said: Vec<Action>,
}

impl World {
    /// A member called n1 that wants to join these.
    fn with(others: &[NodeEntry]) -> Self {
        let born = View::born(HashKey::from_bytes([3; 16]), SlotCount::MIN);
        Self::begun(others.iter().fold(born, |view, other| view.with_node(other.clone())).activated())
    }

    /// The same, with this view.
    fn begun(view: View) -> Self {
        let view = Arc::new(view);
        let now = Duration::from_secs(100);
        let timing = Timing::default();
        let entry = node("n1", 1);
        let identity = Life { id: entry.id.clone(), incarnation: Incarnation(1), node: Some(entry), gateway: None };
        let member = Membership::new(now, identity, view.clone(), timing, Seat::Host(None));
        Self { now, registry: Registry::new(view, timing.ttl), member, there: true, unsettled: false, said: Vec::new() }
    }

    /// Lets time pass in steps of 10 ms, with everybody settled, or nobody.
    fn pass(&mut self, millis: u64) {
        for _ in 0..millis / 10 {
            self.now += Duration::from_millis(10);
            let epoch = if self.unsettled { Epoch(0) } else { self.member.view().epoch };
            self.member.tick(self.now, |_| epoch);
            while let Some(action) = self.member.next_action() {
                match action {
                    Action::Request(request) if self.there => {
                        let answer = self.registry.handle(self.now, request);
                        self.member.on_answer(self.now, &answer);
                    }
                    Action::Request(_) | Action::View { .. } | Action::Lease(_) => {}
                    other => self.said.push(other),
                }
            }
        }
    }

    /// Others keep their leases, and are heard.
    fn pass_with_others(&mut self, millis: u64, alive: &[u64]) {
        for _ in 0..millis / 100 {
            for other in alive {
                let op = RegistryOp::Put(Incarnation(*other));
                self.registry.handle(self.now, RegistryRequest { id: 0, op });
                self.member.heard(self.now, Incarnation(*other));
            }
            self.pass(100);
        }
    }

    fn nodes(&self) -> Vec<u64> {
        self.registry.view().nodes.iter().map(|node| node.incarnation.0).collect()
    }
}

#[test]
fn the_first_node_joins_and_is_active() {
    let mut world = World::with(&[]);
    world.pass(50);
    assert!(world.member.is_inside());
    assert_eq!(world.registry.view().nodes[0].state(), NodeState::Active);
    assert!(matches!(world.member.lease(), Lease::Since(_)));
}

#[test]
fn a_newcomer_turns_active_when_all_are_settled() {
    let mut world = World::with(&[node("n2", 2)]);
    world.pass(100);
    assert_eq!(world.registry.view().nodes[0].state(), NodeState::Active);
    assert_eq!(world.nodes(), [1, 2]);
}

#[test]
fn an_id_that_is_in_use_waits_until_it_is_free() {
    let mut world = World::with(&[node("n1", 9), node("n2", 2)]);
    world.pass(3000);
    assert!(!world.member.is_inside());
    assert_eq!(world.said, [Action::IdTaken(Incarnation(9))], "said once");
    let without = Arc::new(world.registry.view().without(Incarnation(9), Removal::Proven));
    world.registry.handle(world.now, RegistryRequest { id: 0, op: RegistryOp::Cas(without) });
    world.pass(1200);
    assert!(world.member.is_inside());
}

#[test]
fn a_lapsed_lease_comes_back_by_a_write() {
    let mut world = World::with(&[node("n2", 2)]);
    world.pass(100);
    let epoch = world.registry.view().epoch;
    world.there = false;
    world.pass(1800);
    assert!(
        matches!(world.member.lease(), Lease::Lapsed(_)),
        "counted from sending, 15 % short of the registry's two seconds"
    );
    world.there = true;
    world.pass_with_others(1500, &[2]);
    assert!(matches!(world.member.lease(), Lease::Since(_)));
    assert_eq!(world.registry.view().epoch, epoch.next());
}

/// A registry that is more than a quarter of a second away, so that an answer takes longer than the pause between renewals: what joining, or getting a lease back, takes is already a good part of a lease.
#[test]
fn a_lease_is_kept_over_a_long_way() {
    const WAY: Duration = Duration::from_millis(260);
    let mut world = World::with(&[node("n2", 2)]);
    let (mut asked, mut answered) = (VecDeque::new(), VecDeque::new());
    let mut lapses = 0;
    let mut joined = Epoch(0);
    for step in 0..3000 {
        if step == 500 {
            joined = world.registry.view().epoch;
        }
        world.now += Duration::from_millis(10);
        world.registry.handle(world.now, RegistryRequest { id: 0, op: RegistryOp::Put(Incarnation(2)) });
        world.member.heard(world.now, Incarnation(2));
        while let Some((_, request)) = asked.pop_front_if(|(due, _): &mut (Now, _)| *due <= world.now) {
            answered.push_back((world.now + WAY, world.registry.handle(world.now, request)));
        }
        while let Some((_, answer)) = answered.pop_front_if(|(due, _)| *due <= world.now) {
            world.member.on_answer(world.now, &answer);
        }
        let epoch = world.member.view().epoch;
        world.member.tick(world.now, |_| epoch);
        while let Some(action) = world.member.next_action() {
            match action {
                Action::Request(request) => asked.push_back((world.now + WAY, request)),
                Action::Lease(Lease::Lapsed(_)) => lapses += 1,
                _ => {}
            }
        }
    }
    assert_eq!(lapses, 0, "the lease lapsed again and again");
    assert!(world.member.is_inside() && matches!(world.member.lease(), Lease::Since(_)));
    assert_eq!(world.registry.view().epoch, joined, "views are written for nothing");
}

#[test]
fn a_lapsed_member_is_removed_by_who_saw_the_registry_all_the_time() {
    let mut world = World::with(&[node("n2", 2), node("n3", 3)]);
    world.pass_with_others(1000, &[2, 3]);
    for _ in 0..60 {
        // It still talks: only its lease tells.
        world.member.heard(world.now, Incarnation(3));
        world.pass_with_others(100, &[2]);
    }
    assert_eq!(world.nodes(), [1, 2]);
    assert_eq!(world.said, [Action::Suspects(Incarnation(3), Sign::Lapsed)]);
}

#[test]
fn after_an_outage_nobody_is_removed_for_it() {
    let mut world = World::with(&[node("n2", 2), node("n3", 3)]);
    world.pass_with_others(5000, &[2, 3]);
    world.there = false;
    for _ in 0..50 {
        world.member.heard(world.now, Incarnation(2));
        world.member.heard(world.now, Incarnation(3));
        world.pass(100);
    }
    world.there = true;
    for _ in 0..30 {
        world.member.heard(world.now, Incarnation(2));
        world.member.heard(world.now, Incarnation(3));
        world.pass(100);
    }
    assert_eq!(world.nodes(), [1, 2, 3], "their leases are gone, and that proves nothing yet");
}

#[test]
fn silence_removes_who_is_not_heard_but_may_not_remove_the_last() {
    let mut world = World::with(&[node("n2", 2), node("n3", 3)]);
    world.pass_with_others(500, &[2, 3]);
    for _ in 0..20 {
        world.member.heard(world.now, Incarnation(2));
        world.pass(100);
    }
    assert_eq!(world.nodes(), [1, 2]);
    let told = |action: &Action| matches!(action, Action::Suspects(Incarnation(3), Sign::Silent(for_)) if *for_ > Timing::default().suspect);
    assert!(world.said.iter().any(told), "{:?}", world.said);
    // Not in the view yet, it sees a silent last node: there is nothing that silence may do about it.
    let born = World::with(&[node("n2", 2)]);
    assert!(!born.member.may_remove(Incarnation(2)));
    assert!(world.member.may_remove(Incarnation(2)));
}

#[test]
fn silence_of_a_member_that_is_doubted_is_waited_for_a_shorter_time_and_a_word_of_it_counts_more() {
    let after = |doubted: &[u64], heard: &[u64]| {
        let mut world = World::with(&[node("n2", 2), node("n3", 3)]);
        world.pass_with_others(500, &[2, 3]);
        world.member.doubt(doubted.iter().map(|one| Incarnation(*one)).collect());
        world.pass_with_others(1200, heard);
        world.nodes()
    };
    assert_eq!(after(&[], &[2]), [1, 2, 3], "silence alone takes longer");
    assert_eq!(after(&[3], &[2]), [1, 2]);
    assert_eq!(after(&[2, 3], &[2, 3]), [1, 2, 3], "both are heard");
    assert_eq!(after(&[2, 3], &[]), [1, 2, 3], "it hears nobody");
}

#[test]
fn who_hears_nobody_accuses_nobody() {
    let mut world = World::with(&[node("n2", 2), node("n3", 3), node("n4", 4)]);
    world.pass_with_others(500, &[2, 3, 4]);
    for _ in 0..15 {
        for other in [2, 3, 4] {
            world.registry.handle(world.now, RegistryRequest { id: 0, op: RegistryOp::Put(Incarnation(other)) });
        }
        world.pass(200);
    }
    assert_eq!(world.nodes(), [1, 2, 3, 4]);
}

#[test]
fn evidence_removes_at_once() {
    let mut world = World::with(&[node("n2", 2), node("n3", 3)]);
    world.pass_with_others(500, &[2, 3]);
    world.member.evidence(world.now, Incarnation(3), Removal::Proven);
    world.pass(20);
    assert_eq!(world.nodes(), [1, 2]);
    assert_eq!((world.registry.view().crashes, world.registry.view().removals), (1, 0));
}

#[test]
fn the_keeper_has_it_written_when_nobody_who_was_removed_acts_any_more() {
    let fresh = Timing::default().fresh().as_millis() as u64;
    let written = |world: &World| (world.member.view().removals, world.member.view().removals_over);
    for (seat, over) in [(Seat::Here, 1), (Seat::Host(None), 0)] {
        let mut world = World::with(&[node("n2", 2), node("n3", 3), node("n4", 4)]);
        world.member.seat = seat;
        world.pass_with_others(500, &[2, 3, 4]);
        world.member.evidence(world.now, Incarnation(3), Removal::Suspected);
        world.pass_with_others(fresh - 100, &[2, 4]);
        assert_eq!(written(&world), (1, 0), "{seat:?}: it may act still");
        world.pass_with_others(200, &[2, 4]);
        assert_eq!(written(&world), (1, over), "{seat:?}");
        let epoch = world.member.view().epoch;
        world.pass_with_others(1000, &[2, 4]);
        assert_eq!(world.member.view().epoch, epoch, "{seat:?}: once");
        world.member.evidence(world.now, Incarnation(4), Removal::Suspected);
        world.pass_with_others(100, &[2]);
        assert_eq!(written(&world), (2, 1), "{seat:?}: whoever writes a view says so of what was before");
    }
}

#[test]
fn a_drain_leaves_when_there_is_room_and_waits_when_there_is_none() {
    let mut world = World::with(&[node("n2", 2), node("n3", 3)]);
    world.pass_with_others(500, &[2, 3]);
    world.member.leave();
    world.pass_with_others(500, &[2, 3]);
    assert_eq!(world.nodes(), [2, 3]);
    assert_eq!(world.said, [Action::Left]);
    let mut last = World::with(&[]);
    last.pass(100);
    last.member.leave();
    last.pass(3000);
    assert_eq!(last.nodes(), [1], "the last node never drains");
}

#[test]
fn a_node_that_was_asked_to_rest_drains_and_stays_until_it_has_a_weight_or_leaves() {
    let mut world = World::with(&[node("n2", 2), node("n3", 3)]);
    let state = |world: &World| world.registry.view().node(Incarnation(1)).map(NodeEntry::state);
    world.unsettled = true;
    world.pass_with_others(200, &[2, 3]);
    world.member.change(world.now, 1, Change::Rest);
    world.pass(10);
    assert_eq!(world.said, [Action::Changed(1, Err(ChangeError::Filling))]);
    world.unsettled = false;
    world.pass_with_others(200, &[2, 3]);
    world.unsettled = true;
    world.member.change(world.now, 2, Change::Rest);
    world.pass_with_others(200, &[2, 3]);
    assert_eq!(state(&world), Some(NodeState::Draining), "what it owns is under way");
    world.unsettled = false;
    world.pass_with_others(500, &[2, 3]);
    assert_eq!((state(&world), world.member.is_inside()), (Some(NodeState::Resting), true));
    world.member.change(world.now, 3, Change::Weight(Incarnation(1), Weight::ONE));
    world.pass_with_others(500, &[2, 3]);
    assert_eq!(state(&world), Some(NodeState::Active));
    // Whoever gives it no weight then has it leave, as ever.
    world.member.change(world.now, 4, Change::Weight(Incarnation(1), Weight::ZERO));
    world.pass_with_others(500, &[2, 3]);
    assert_eq!((state(&world), world.said.last()), (None, Some(&Action::Left)));
}

#[test]
fn a_node_that_rests_leaves_when_asked_and_cannot_rest_where_nobody_else_is() {
    let mut world = World::with(&[node("n2", 2)]);
    world.pass_with_others(500, &[2]);
    world.member.change(world.now, 1, Change::Rest);
    world.pass_with_others(500, &[2]);
    world.member.leave();
    world.pass_with_others(500, &[2]);
    assert_eq!((world.nodes(), world.said.last()), (vec![2], Some(&Action::Left)));
    let mut alone = World::with(&[]);
    alone.pass(100);
    alone.member.change(alone.now, 1, Change::Rest);
    alone.pass(100);
    assert_eq!(alone.said, [Action::Changed(1, Err(ChangeError::NoRoom))]);
}

#[test]
fn a_joining_node_takes_its_place_before_it_leaves() {
    let join_and_leave = |others: &[NodeEntry]| {
        let mut world = World::with(others);
        world.unsettled = true;
        world.pass(100);
        assert!(world.registry.view().nodes.iter().any(|node| node.state() == NodeState::Joining));
        world.member.leave();
        world.pass(300);
        world
    };
    // Another one may have left or died just now: what this one was filled with may be a copy that is needed.
    for others in [vec![node("n2", 2)], vec![node("n2", 2), node("n3", 3)]] {
        let mut world = join_and_leave(&others);
        let left: Vec<u64> = world.nodes().into_iter().filter(|node| *node != 1).collect();
        assert_eq!(world.nodes().len(), others.len() + 1, "while the others are not settled");
        world.unsettled = false;
        world.pass(300);
        assert_eq!((world.nodes(), world.said), (left, vec![Action::Left]));
    }
}

#[test]
fn a_view_without_me_ends_this_life() {
    let mut world = World::with(&[node("n2", 2)]);
    world.pass(100);
    let without = Arc::new(world.registry.view().without(Incarnation(1), Removal::Suspected));
    world.member.on_view(world.now, &without);
    assert!(!world.member.is_inside());
    world.pass(10);
    assert_eq!(world.said, [Action::Expelled]);
}

#[test]
fn changes_are_checked_before_they_are_written() {
    let mut world = World::with(&[node("n2", 2), node("n3", 3)]);
    world.pass_with_others(500, &[2, 3]);
    world.said.clear();
    world.member.change(world.now, 1, Change::Weight(Incarnation(3), Weight::ZERO));
    world.pass(10);
    world.member.change(world.now, 2, Change::Weight(Incarnation(2), Weight::ZERO));
    world.member.change(world.now, 3, Change::Remove(Incarnation(77), Removal::Proven));
    world.pass(30);
    let outcomes: Vec<_> = world
        .said
        .iter()
        .filter_map(
            |action| if let Action::Changed(token, result) = action { Some((*token, result.is_ok())) } else { None },
        )
        .collect();
    assert_eq!(outcomes, [(1, true), (2, false), (3, false)], "the second would leave too few");
}

#[test]
fn a_gateway_is_removed_for_its_lease_and_not_for_a_silent_link() {
    let gateway = Incarnation(7);
    let entry = GatewayEntry {
        id: MemberId::new("g").unwrap(),
        incarnation: gateway,
        address: "g:1".into(),
        link: "g:2".into(),
        draining: false,
    };
    let mut world = World::with(&[node("n2", 2)]);
    let with_gateway = Arc::new(world.registry.view().with_gateway(entry));
    world.registry.handle(world.now, RegistryRequest { id: 0, op: RegistryOp::Cas(with_gateway) });
    world.pass_with_others(5000, &[2, 7]);
    let renews = |world: &mut World| {
        world.registry.handle(world.now, RegistryRequest { id: 0, op: RegistryOp::Put(gateway) });
    };
    // The link to it is cut, and it renews its lease.
    for _ in 0..100 {
        renews(&mut world);
        world.pass_with_others(100, &[2]);
    }
    assert!(world.member.view().has(gateway) && world.said.is_empty(), "{:?}", world.said);
    assert!(world.member.is_known_to_live(world.now, gateway));
    // It is heard again, and then freezes.
    world.member.heard(world.now, gateway);
    renews(&mut world);
    let frozen = world.now;
    while world.member.view().has(gateway) && world.now < frozen + Duration::from_secs(5) {
        world.pass_with_others(100, &[2]);
    }
    let seen = world.now.saturating_sub(frozen);
    assert!(seen <= Timing::default().ttl + Timing::default().ping * 2, "{seen:?}");
    assert_eq!(world.said, [Action::Suspects(gateway, Sign::Lapsed)]);
    assert!(!world.member.is_known_to_live(world.now, gateway));
}

#[test]
fn what_lapsed_in_an_older_view_is_not_held_against_anybody() {
    let mut world = World::with(&[node("n2", 2), node("n3", 3)]);
    world.pass_with_others(5000, &[2, 3]);
    // The question about leases is answered, and the answer is under way for long.
    world.there = false;
    let asked = (0..100).find_map(|_| {
        world.now += Duration::from_millis(10);
        world.member.tick(world.now, |_| Epoch(0));
        let actions: Vec<Action> = std::iter::from_fn(|| world.member.next_action()).collect();
        actions.into_iter().find_map(|action| match action {
            Action::Request(request) if request.op == RegistryOp::Leases => Some(request.id),
            _ => None,
        })
    });
    let id = asked.expect("it asks every half second");
    let late = RegistryAnswer { id, done: true, view: world.member.view().clone(), lapsed: vec![Incarnation(3)] };
    let affirmed = Arc::new(world.member.view().affirmed());
    world.member.on_view(world.now, &affirmed);
    world.member.on_answer(world.now, &late);
    let accuses = |action: &Action| matches!(action, Action::Suspects(..));
    assert!(!std::iter::from_fn(|| world.member.next_action()).any(|action| accuses(&action)));
}

#[test]
fn a_full_cluster_is_waited_for() {
    let others: Vec<NodeEntry> = (0..1024).map(|n| node(&format!("o{n}"), 10 + n)).collect();
    let mut view = (*World::with(&[]).registry.view()).as_ref().clone();
    view.nodes = others;
    view.nodes.sort_by(|a, b| a.id.cmp(&b.id));
    let mut world = World::begun(view);
    world.pass(1500);
    assert_eq!((world.member.is_inside(), &world.said[..]), (false, &[Action::Full][..]), "said once");
    let without = Arc::new(world.registry.view().without(Incarnation(10), Removal::Proven));
    world.registry.handle(world.now, RegistryRequest { id: 0, op: RegistryOp::Cas(without) });
    world.pass(1200);
    assert!(world.member.is_inside());
}
