//! A member task is played here: what it is asked shows what comes of the census.

use std::collections::HashMap;
use std::time::Duration;

use ringway_core::MemberId;
use ringway_core::ring::{HashKey, SlotCount};
use ringway_core::view::Placement;
use ringway_engine::census::Place as InMemory;
use tokio::time::timeout;

use super::*;
use crate::cluster::{ClusterSeat, ClusterState, Demanded, Myself, cluster};

const ME: Incarnation = Incarnation(1);
const OTHER: Incarnation = Incarnation(2);
/// More than a look, a recovery and a retry.
const SOON: Duration = Duration::from_secs(20);

struct World {
    place: InMemory,
    seat: ClusterSeat,
    said: watch::Receiver<Said>,
    mine: Place,
    other: Place,
}

fn entry(id: &str) -> Entry {
    let (roles, address, version) = ("node".to_owned(), "127.0.0.1:1".to_owned(), "1".to_owned());
    Entry { id: id.to_owned(), incarnation: 7, roles, address, weight: 1.0, version }
}

fn view() -> View {
    let node = |id: &str, incarnation| NodeEntry {
        id: MemberId::new(id).unwrap(),
        incarnation,
        address: "".into(),
        now: Weight::ONE,
        next: Weight::ONE,
    };
    let born = View::born(HashKey::from_bytes([1; 16]), SlotCount::new(64).unwrap());
    born.with_node(node("node-1", ME)).with_node(node("node-2", OTHER)).activated()
}

fn state(view: View) -> ClusterState {
    let me = Myself { id: MemberId::new("node-1").unwrap(), incarnation: ME };
    let placement = Arc::new(Placement::of(&view, None));
    let (loads, links, troubles) = (HashMap::new(), HashMap::new(), Vec::new());
    ClusterState { view: Arc::new(view), placement, me, loads, links, troubles }
}

impl World {
    /// Two nodes that are listed, and the task of the first one.
    fn new() -> Self {
        let place = InMemory::default();
        let take = |id: &str, settle| {
            let (seat, handle) = cluster(state(view()));
            let said = watch::Sender::new(Said::default());
            let heard = said.subscribe();
            (Place::take(place.open(), entry(id), settle, handle, said), seat, heard)
        };
        let (other, ..) = take("node-2", SOON);
        let (mine, seat, said) = take("node-1", Duration::from_secs(1));
        Self { place, seat, said, mine, other }
    }

    async fn next(&mut self) -> Demanded {
        timeout(SOON, self.seat.demands.recv()).await.expect("it is asked for something").expect("somebody asks")
    }

    async fn is_told(&mut self, wanted: impl FnMut(&Said) -> bool) -> Said {
        timeout(SOON, self.said.wait_for(wanted)).await.expect("it says so").expect("it goes on").clone()
    }

    /// Grants a demand: the view is another one from now on.
    fn grant(&self, demanded: Demanded, view: View) {
        self.seat.state.send_replace(Arc::new(state(view)));
        let _ = demanded.answer.send(Ok(ringway_core::Epoch(9)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_offline_rests_and_has_its_weight_back_when_it_is_well() {
    let mut world = World::new();
    world.is_told(|said| said.is_listed).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.place.set_enabled("node-1", false);
    let asked = world.next().await;
    assert_eq!(asked.demand, Demand::Rest);
    let heavy = Weight::from_thousandths(3000).unwrap();
    let drains = view().with_next_weight(ME, heavy).activated().with_next_weight(ME, Weight::ZERO);
    world.grant(asked, drains.with_resting(ME));
    assert!(world.is_told(|said| said.rests).await.trouble.is_none());
    world.place.set_enabled("node-1", true);
    let asked = world.next().await;
    assert_eq!(asked.demand, Demand::Weight(ME, Weight::ONE), "the weight that it had when it was asked to rest");
    world.grant(asked, view());
    world.is_told(|said| !said.rests).await;
}

#[tokio::test(start_paused = true)]
async fn a_wish_that_is_refused_is_told_and_tried_again() {
    let mut world = World::new();
    world.is_told(|said| said.is_listed).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.place.set_weight("node-1", 0.0);
    for _ in 0..3 {
        let asked = world.next().await;
        assert_eq!(asked.demand, Demand::Rest);
        let _ = asked.answer.send(Err(ChangeError::NotNow("nobody else is left".to_owned())));
        let said = world.is_told(|said| said.trouble.is_some()).await;
        let trouble = said.trouble.unwrap();
        assert!(trouble.contains("of weight 0") && trouble.contains("nobody else is left"), "{trouble}");
    }
    world.place.set_weight("node-1", 2.0);
    // One may have been under way.
    let mut asked = world.next().await;
    while asked.demand == Demand::Rest {
        let _ = asked.answer.send(Err(ChangeError::NotNow("nobody else is left".to_owned())));
        asked = world.next().await;
    }
    assert_eq!(asked.demand, Demand::Weight(ME, Weight::from_thousandths(2000).unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_has_gone_from_the_list_is_doubted_until_it_is_back() {
    let mut world = World::new();
    world.is_told(|said| said.is_listed).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.other.leave().await;
    for _ in 0..2 {
        let asked = world.next().await;
        assert_eq!(asked.demand, Demand::Doubt([OTHER].into()));
        let _ = asked.answer.send(Ok(ringway_core::Epoch(9)));
    }
    world.place.set_away(true);
    let mut asked = world.next().await;
    while asked.demand == Demand::Doubt([OTHER].into()) {
        let _ = asked.answer.send(Ok(ringway_core::Epoch(9)));
        asked = world.next().await;
    }
    assert_eq!(asked.demand, Demand::Doubt(BTreeSet::new()));
    let trouble = world.is_told(|said| said.trouble.is_some()).await.trouble.unwrap();
    assert!(trouble.contains("the census is away"), "{trouble}");
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_is_listed_no_longer_and_is_asked_for_nothing() {
    let mut world = World::new();
    world.is_told(|said| said.is_listed).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.mine.leave().await;
    let mut eyes = world.place.open();
    let list = eyes.next().await.unwrap();
    assert_eq!(list.members.iter().map(|listed| &*listed.id).collect::<Vec<_>>(), ["node-2"]);
    world.place.set_enabled("node-1", false);
    assert!(timeout(SOON, world.seat.demands.recv()).await.is_ok_and(|demand| demand.is_none()), "nobody asks");
}
