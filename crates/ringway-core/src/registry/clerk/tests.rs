//! One clerk or two, and a store that does what it is told to, when it is told to.

use std::time::Duration;

use super::*;
use crate::id::MemberId;
use crate::registry::store::Keys;
use crate::ring::{HashKey, SlotCount};
use crate::view::{GatewayEntry, Removal};

const ME: Incarnation = Incarnation(1);
const OTHER: Incarnation = Incarnation(2);
const TICK: Duration = Duration::from_millis(10);

fn entry(of: Incarnation) -> GatewayEntry {
    let id = MemberId::new(&format!("m{}", of.0)).unwrap();
    GatewayEntry { id, incarnation: of, address: "a:1".into(), link: "a:2".into(), draining: false }
}

fn both() -> Arc<View> {
    let born = View::born(HashKey::from_bytes([1; 16]), SlotCount::MIN);
    Arc::new(born.with_gateway(entry(ME)).with_gateway(entry(OTHER)))
}

struct World {
    now: Now,
    keys: Keys,
    clerk: Clerk,
    /// The store answers at once.
    there: bool,
    hears: bool,
    next: u64,
    said: Vec<Output>,
    asked: Vec<StoreOp>,
}

impl World {
    fn new() -> Self {
        let now = Duration::from_secs(100);
        let clerk = Clerk::new(now, ME, both(), Timing::default());
        let keys = Keys::with(both());
        Self { now, keys, clerk, there: true, hears: true, next: 0, said: Vec::new(), asked: Vec::new() }
    }

    fn serve(&mut self) {
        while let Some(output) = self.clerk.next_output() {
            match output {
                Output::Ask(request) => {
                    self.asked.push(request.op.clone());
                    if self.there {
                        let answer = self.keys.handle(request);
                        self.clerk.on_answer(self.now, answer);
                    }
                }
                other => self.said.push(other),
            }
        }
    }

    fn pass(&mut self, millis: u64) {
        for _ in 0..millis / 10 {
            self.now += TICK;
            let hears = self.hears;
            self.clerk.tick(self.now, |_| hears);
            self.serve();
        }
    }

    /// Asks, and is answered at once.
    fn ask(&mut self, op: RegistryOp) -> Option<RegistryAnswer> {
        self.next += 1;
        self.clerk.ask(self.now, RegistryRequest { id: self.next, op });
        self.serve();
        let id = self.next;
        self.said.iter().find_map(|said| match said {
            Output::Answer(answer) if answer.id == id => Some(answer.clone()),
            _ => None,
        })
    }

    fn is_done(&mut self, op: RegistryOp) -> bool {
        self.ask(op).expect("it is answered").done
    }

    /// Another member does this in the store.
    fn other(&mut self, op: StoreOp) -> Said {
        self.keys.handle(StoreRequest { id: 0, op }).said
    }

    fn renews(&mut self, of: Incarnation) {
        let at = self.keys.revision_of(of);
        self.other(StoreOp::WriteLease { of, at, count: 1 });
    }

    fn view(&self) -> Arc<View> {
        self.keys.view().unwrap().clone()
    }
}

#[test]
fn a_lease_that_somebody_ended_is_not_renewed() {
    let mut world = World::new();
    assert!(!world.is_done(RegistryOp::Renew(ME)), "there is no key");
    assert!(world.is_done(RegistryOp::Put(ME)) && world.is_done(RegistryOp::Renew(ME)));
    assert_eq!(world.other(StoreOp::EndLease { of: ME, at: None }), Said::Ended);
    assert!(!world.is_done(RegistryOp::Renew(ME)));
    assert!(world.is_done(RegistryOp::Put(ME)) && world.is_done(RegistryOp::Renew(ME)));
}

#[test]
fn a_renewal_whose_answer_was_lost_is_known_by_its_count() {
    let mut world = World::new();
    assert!(world.is_done(RegistryOp::Put(ME)) && world.is_done(RegistryOp::Renew(ME)));
    world.there = false;
    assert_eq!(world.ask(RegistryOp::Renew(ME)), None);
    let Some(StoreOp::WriteLease { .. }) = world.asked.last() else { panic!("{:?}", world.asked) };
    // It is carried out all the same, and so late that another one comes before the answer.
    let late = world.asked.pop().unwrap();
    world.other(late);
    world.there = true;
    assert!(world.is_done(RegistryOp::Renew(ME)), "nobody has ended it");
}

#[test]
fn a_key_that_comes_back_by_a_request_that_came_twice_is_no_lease() {
    let mut world = World::new();
    assert!(world.is_done(RegistryOp::Put(ME)));
    let put = world.asked.iter().find(|op| matches!(op, StoreOp::WriteLease { at: None, .. })).unwrap().clone();
    assert!(world.is_done(RegistryOp::Renew(ME)));
    world.other(StoreOp::EndLease { of: ME, at: None });
    assert!(matches!(world.other(put), Said::Written(_)), "the key is there again");
    assert!(!world.is_done(RegistryOp::Renew(ME)));
}

#[test]
fn leases_end_before_the_view_that_drops_their_members() {
    let mut world = World::new();
    world.renews(OTHER);
    world.asked.clear();
    let without = Arc::new(both().without(OTHER, Removal::Proven));
    assert!(world.is_done(RegistryOp::Cas(without.clone())));
    let writes: Vec<&StoreOp> = world.asked.iter().filter(|op| op.writes()).collect();
    let [StoreOp::EndLease { of: OTHER, at: None }, StoreOp::WriteView { view, .. }] = writes[..] else {
        panic!("{writes:?}")
    };
    assert_eq!(*view, without);
}

#[test]
fn who_writes_on_an_old_view_is_refused_and_told_the_newer_one() {
    let mut world = World::new();
    let theirs = Arc::new(both().affirmed());
    let Said::View(Some(stored)) = world.other(StoreOp::ReadView) else { panic!("it has one") };
    world.other(StoreOp::WriteView { at: Some(stored.revision), view: theirs.clone(), life: 0 });
    let answer = world.ask(RegistryOp::Cas(Arc::new(both().affirmed().affirmed()))).unwrap();
    assert!(answer.done, "it follows theirs, though nobody had told me");
    let answer = world.ask(RegistryOp::Cas(Arc::new(both().without(OTHER, Removal::Proven)))).unwrap();
    assert_eq!((answer.done, answer.view.epoch), (false, world.view().epoch));
}

#[test]
fn whose_lease_does_not_move_has_lapsed_and_whose_moves_has_not() {
    let mut world = World::new();
    world.renews(OTHER);
    world.pass(1900);
    assert_eq!(world.ask(RegistryOp::Leases).unwrap().lapsed, []);
    world.renews(OTHER);
    world.pass(1900);
    assert_eq!(world.ask(RegistryOp::Leases).unwrap().lapsed, []);
    world.pass(700);
    assert_eq!(world.ask(RegistryOp::Leases).unwrap().lapsed, [OTHER]);
    assert_eq!(world.keys.revision_of(OTHER), None, "and it is ended, so that it cannot be renewed");
}

#[test]
fn without_an_answer_of_the_store_others_that_are_heard_are_asked() {
    let mut world = World::new();
    world.there = false;
    world.pass(1500);
    world.said.clear();
    assert_eq!(world.ask(RegistryOp::Read), None);
    let Some(Output::Relay(OTHER, request)) = world.said.pop() else { panic!("{:?}", world.said) };
    let answer = world.keys.handle(request);
    world.clerk.on_relayed(world.now, OTHER, answer);
    world.serve();
    assert!(matches!(world.said.last(), Some(Output::Answer(answer)) if answer.done));
    // It is asked itself now and then, and once it answers nobody else is.
    world.there = true;
    world.pass(1000);
    assert!(world.ask(RegistryOp::Read).is_some());
}

#[test]
fn a_store_that_lost_views_is_told_the_newest_under_an_epoch_that_nobody_had() {
    let mut world = World::new();
    let before = world.keys.clone();
    for _ in 0..3 {
        let next = Arc::new(world.view().affirmed());
        assert!(world.is_done(RegistryOp::Cas(next)));
    }
    let newest = world.view();
    world.pass(2000);
    world.keys.go_back(before.clone());
    world.pass(1000);
    let mended = world.view();
    assert!(mended.epoch.0 >= newest.epoch.0 + JUMP, "{mended:?}");
    assert_eq!(*mended, View { epoch: mended.epoch, ..(*newest).clone() });
    assert!(world.said.iter().any(|said| matches!(said, Output::WentBack { known, .. } if *known == newest.epoch)));
    // In the next life of the store the same loss leads to another epoch.
    world.keys.go_back(before);
    world.pass(1000);
    assert!(world.view().epoch.0 >= mended.epoch.0 + JUMP);
    assert_ne!(jump(1), jump(2));
    assert!((0..1000).all(|life| (JUMP..2 * JUMP).contains(&jump(life))));
}

#[test]
fn who_hears_nobody_that_lives_writes_nothing_again() {
    let mut world = World::new();
    let next = Arc::new(world.view().affirmed());
    assert!(world.is_done(RegistryOp::Cas(next)));
    world.renews(OTHER);
    world.hears = false;
    world.keys.go_back(Keys::default());
    for _ in 0..10 {
        world.renews(OTHER);
        world.pass(500);
    }
    assert_eq!(world.keys.view(), None, "the other lives, and may know more");
    world.other(StoreOp::EndLease { of: OTHER, at: None });
    world.pass(5000);
    assert!(world.keys.view().is_some(), "nobody else is left");
}

/// A store that comes back empty after an outage shows no leases: they could not be written.
#[test]
fn leases_that_nobody_could_write_are_no_sign_that_nobody_lives() {
    let mut world = World::new();
    let next = Arc::new(world.view().affirmed());
    assert!(world.is_done(RegistryOp::Cas(next)));
    world.hears = false;
    world.keys.go_back(Keys::default());
    world.pass(1000);
    world.there = false;
    world.pass(5000);
    world.there = true;
    world.pass(1500);
    assert_eq!(world.keys.view(), None, "the other may live, and know more");
    world.pass(5000);
    assert!(world.keys.view().is_some(), "it does not");
}

#[test]
fn the_view_of_another_cluster_is_not_obeyed() {
    let mut world = World::new();
    world.keys = Keys::with(Arc::new(View::born(HashKey::from_bytes([9; 16]), SlotCount::MIN)));
    world.pass(3000);
    let foreign = world.said.iter().filter(|said| matches!(said, Output::Foreign(_))).count();
    assert_eq!(foreign, 1, "said once");
    assert!(!world.said.iter().any(|said| matches!(said, Output::View(_) | Output::WentBack { .. })));
}
