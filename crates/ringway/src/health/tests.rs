//! What a process says of itself, by tables of what it knows.

use std::collections::HashMap;

use ringway_core::message::Load;
use ringway_core::ring::{HashKey, SlotCount, Weight};
use ringway_core::view::{GatewayEntry, NodeEntry, Placement, Removal, View};
use ringway_core::{Incarnation, MemberId};

use super::*;
use crate::cluster::{ClusterState, Myself, Reach, cluster};

const ME: Incarnation = Incarnation(100);
/// Well after the beginning of all time.
const BEGIN: Now = Duration::from_secs(1000);
const TWO: Expected = Expected { nodes: 2, gateways: 1 };

/// What one gateway knows, and what it makes of it.
struct World {
    state: ClusterState,
    stats: Stats,
    census: Said,
    keys: Option<String>,
    seen: Seen,
}

fn name(incarnation: u64) -> MemberId {
    MemberId::new(&format!("node-{incarnation}")).unwrap()
}

/// This gateway and so many joining nodes.
fn joining(count: u64) -> View {
    let born = View::born(HashKey::from_bytes([1; 16]), SlotCount::new(64).unwrap());
    let (id, address) = (MemberId::new("gateway-0").unwrap(), "".into());
    let born = born.with_gateway(GatewayEntry { id, incarnation: ME, address, link: "".into(), draining: false });
    let with = |view: View, number: u64| {
        let (id, incarnation) = (name(number), Incarnation(number));
        view.with_node(NodeEntry { id, incarnation, address: "".into(), now: Weight::ONE, next: Weight::ONE })
    };
    (1..=count).fold(born, with)
}

impl World {
    /// All is well, and has been for long.
    fn of(nodes: u64) -> Self {
        let mut world = Self::outset(joining(nodes).activated());
        assert_eq!(world.at(0, Expected { nodes: nodes as usize, gateways: 1 }), (Status::Ok, vec![]));
        world
    }

    fn outset(view: View) -> Self {
        let links = view.nodes.iter().map(|node| (node.incarnation, Reach::Up)).collect();
        let me = Myself { id: MemberId::new("gateway-0").unwrap(), incarnation: ME };
        let placement = Arc::new(Placement::of(&view, None));
        let state =
            ClusterState { placement, view: Arc::new(view), me, loads: HashMap::new(), links, troubles: Vec::new() };
        Self { state, stats: Stats::default(), census: Said::default(), keys: None, seen: Seen::default() }
    }

    fn see(&mut self, view: View) {
        (self.state.placement, self.state.view) = (Arc::new(Placement::of(&view, None)), Arc::new(view));
    }

    fn lose(&mut self, node: u64) {
        self.state.links.insert(Incarnation(node), Reach::Silent);
    }

    fn say(&mut self, node: u64, load: Load) {
        self.state.loads.insert(Incarnation(node), load);
    }

    /// How it is so many milliseconds after the beginning. Registry and member task are at work.
    fn at(&mut self, milliseconds: u64, expected: Expected) -> (Status, Vec<String>) {
        let now = BEGIN + Duration::from_millis(milliseconds);
        (self.stats.turned, self.stats.registry_answered) = (now, Some(now));
        self.judged(now, expected)
    }

    fn judged(&mut self, now: Now, expected: Expected) -> (Status, Vec<String>) {
        let Self { state, stats, census, keys, seen } = self;
        let look = Look { state, stats, timing: &Timing::default(), census, keys: keys.as_deref(), now };
        let verdict = seen.verdict(&look, expected);
        (verdict.status, verdict.why.into_iter().map(|reason| reason.sentence).collect())
    }

    /// How it is at first, and when it has been so for three seconds.
    fn first_and_later(&mut self) -> [(Status, Vec<String>); 2] {
        let first = self.at(10_000, TWO);
        assert_eq!(self.at(12_999, TWO), first);
        [first, self.at(13_000, TWO)]
    }

    fn slots_of(&self, node: u64) -> u64 {
        let table = self.state.placement.table();
        u64::from(table.slots_owned(table.index_of(&name(node)).unwrap()))
    }
}

#[test]
fn it_starts_when_everybody_expected_is_there() {
    let mut world = World::outset(joining(0));
    let starting = |why: &str| (Status::Starting, vec![why.to_owned()]);
    assert_eq!(world.at(0, TWO), starting("0 of 2 nodes are active"));
    world.see(joining(2));
    assert_eq!(world.at(10, TWO), starting("0 of 2 nodes are active"));
    world.see(joining(2).activated());
    world.state.links.insert(Incarnation(1), Reach::Up);
    assert_eq!(world.at(20, TWO), starting("1 of 2 nodes are active"));
    world.state.links.insert(Incarnation(2), Reach::Up);
    let two_gateways = Expected { gateways: 2, ..TWO };
    assert_eq!(world.at(30, two_gateways), starting("2 of 2 nodes are active, 1 of 2 gateways are there"));
    assert_eq!(world.at(40, TWO), (Status::Ok, vec![]));
    // And then it has.
    assert_eq!(world.at(50, two_gateways), (Status::Ok, vec![]));
}

#[test]
fn a_member_has_started_when_it_has_its_own_place() {
    let mut world = World::outset(joining(2).activated());
    world.state.me = Myself { id: name(3), incarnation: Incarnation(3) };
    assert_eq!(world.at(0, TWO).1, ["this member is not in the cluster yet"]);
    let entry =
        NodeEntry { id: name(3), incarnation: Incarnation(3), address: "".into(), now: Weight::ONE, next: Weight::ONE };
    world.see(joining(2).activated().with_node(entry));
    assert_eq!(world.at(10, TWO).1, ["this node is being filled with the slots that it will own"]);
    world.see(joining(3).activated());
    assert_eq!(world.at(20, TWO).0, Status::Ok);
}

#[test]
fn what_lasts_for_three_seconds_is_told() {
    let all = 64;
    let table: [(Load, Status, &str); 13] = [
        (Load { alone: 5, ..Load::default() }, Status::Degraded, "no second copy of 5 slots: 5 of node-2"),
        (
            Load { history_bytes: 93, history_limit: 100, ..Load::default() },
            Status::Degraded,
            "node-2 is 93 % full of history",
        ),
        (Load { history_bytes: 89, history_limit: 100, ..Load::default() }, Status::Ok, ""),
        (
            Load { history_full: true, history_bytes: 99, history_limit: 100, ..Load::default() },
            Status::Failing,
            "publishes with history are refused where node-2 owns",
        ),
        (
            Load { channels_full: true, ..Load::default() },
            Status::Degraded,
            "new channels are refused where node-2 owns",
        ),
        (
            Load { keys_full: true, ..Load::default() },
            Status::Degraded,
            "new idempotency keys are refused where node-2 owns",
        ),
        (Load { log_away: true, ..Load::default() }, Status::Degraded, "the log does not answer node-2: publishes"),
        (Load { log_full: true, ..Load::default() }, Status::Degraded, "the log is full: publishes"),
        (Load { log_foreign: true, ..Load::default() }, Status::Degraded, "the log that node-2 found has records of"),
        (
            Load { relayed: true, ..Load::default() },
            Status::Degraded,
            "node-2 cannot reach the servers that keep the registry or the log and asks through",
        ),
        (
            Load { not_live: 7, ..Load::default() },
            Status::Failing,
            "7 slots are not served: their owner is taking them over",
        ),
        (Load { blocked: all, ..Load::default() }, Status::Failing, "nothing is acknowledged in 64 slots"),
        (Load { unsettled: all, ..Load::default() }, Status::Ok, ""),
    ];
    for (load, status, why) in table {
        let mut world = World::of(2);
        world.say(2, load);
        let [first, later] = world.first_and_later();
        assert_eq!(first, (Status::Ok, vec![]), "{load:?}");
        assert_eq!(later.0, status, "{load:?}");
        assert_eq!(later.1.len(), usize::from(!why.is_empty()), "one sentence, not {:?}", later.1);
        assert!(later.1.iter().all(|sentence| sentence.starts_with(why)), "{:?}", later.1);
        world.say(2, Load::default());
        assert_eq!(world.at(13_999, TWO), later, "perhaps it is not over");
        assert_eq!(world.at(14_000, TWO), (Status::Ok, vec![]), "it was not seen for a second");
        world.say(2, load);
        assert_eq!(world.at(14_010, TWO).0, Status::Ok, "and begins anew");
    }
}

#[test]
fn the_worst_decides_and_every_kind_is_told_once() {
    let mut world = World::of(3);
    world.say(1, Load { alone: 2, blocked: 3, ..Load::default() });
    world.say(3, Load { alone: 4, ..Load::default() });
    let [_, (status, why)] = world.first_and_later();
    assert_eq!(status, Status::Failing);
    assert_eq!(why.len(), 2, "{why:?}");
    assert!(why[0].starts_with("nothing is acknowledged in 3 slots") && why[0].ends_with("3 of node-1"), "{why:?}");
    assert_eq!(why[1], "no second copy of 6 slots: 2 of node-1, 4 of node-3");
}

#[test]
fn where_there_is_one_node_and_two_copies_are_wanted_there_is_no_second_copy() {
    let mut world = World::of(1);
    world.say(1, Load { alone: 64, ..Load::default() });
    let [_, (status, why)] = world.first_and_later();
    assert_eq!(status, Status::Degraded);
    assert!(why[0].starts_with("no second copy of 64 slots: there is one active node"), "{why:?}");
    world.see(View { copies: 1, ..joining(1).activated() });
    assert_eq!(world.at(20_000, TWO), (Status::Ok, vec![]), "one copy is what was asked for");
}

#[test]
fn a_node_that_is_lost_costs_owners_until_it_leaves_the_view_and_copies_until_another_has_them() {
    let mut world = World::of(2);
    world.lose(2);
    let [first, (status, why)] = world.first_and_later();
    assert_eq!((first.0, status), (Status::Ok, Status::Failing));
    let of_two = world.slots_of(2);
    assert_eq!(why[0], format!("{of_two} slots have no owner that is reached: {of_two} of node-2"));
    world.see(joining(2).activated().without(Incarnation(2), Removal::Suspected));
    world.say(1, Load { alone: 64, ..Load::default() });
    assert_eq!(world.at(13_900, TWO).0, Status::Failing, "it may be as bad in another way");
    let (status, why) = world.at(14_000, TWO);
    assert_eq!(status, Status::Degraded, "and never ok in between");
    assert!(why[0].starts_with("no second copy of 64 slots"), "{why:?}");
}

#[test]
fn what_fails_in_one_way_after_the_other_fails_all_the_while() {
    let mut world = World::of(2);
    world.lose(2);
    assert_eq!(world.first_and_later()[1].0, Status::Failing);
    world.see(joining(2).activated().without(Incarnation(2), Removal::Suspected));
    assert_eq!(world.at(13_500, TWO).0, Status::Failing, "the owner has not said anything yet");
    world.say(1, Load { not_live: 9, ..Load::default() });
    let (status, why) = world.at(13_900, TWO);
    assert_eq!(status, Status::Failing);
    assert!(why[0].starts_with("9 slots are not served"), "{why:?}");
    world.say(1, Load::default());
    assert_eq!(world.at(14_899, TWO).0, Status::Failing);
    assert_eq!(world.at(14_900, TWO).0, Status::Ok);
}

#[test]
fn a_slot_whose_owner_changed_in_between_begins_anew() {
    let mut world = World::of(3);
    world.lose(3);
    assert_eq!(world.at(1_000, TWO).0, Status::Ok);
    // node-3 is back, node-1 is gone: no slot of either has been without an owner for 3 s.
    world.state.links.insert(Incarnation(3), Reach::Up);
    world.lose(1);
    assert_eq!(world.at(3_000, TWO).0, Status::Ok);
    assert_eq!(world.at(5_999, TWO).0, Status::Ok);
    let (status, why) = world.at(6_000, TWO);
    assert_eq!(status, Status::Failing);
    assert!(why[0].ends_with("of node-1"), "{why:?}");
}

#[test]
fn a_cluster_without_nodes_has_no_owners() {
    let mut world = World::of(1);
    world.see(joining(1).without(Incarnation(1), Removal::Proven));
    let [first, (status, why)] = world.first_and_later();
    assert_eq!((first.0, status), (Status::Ok, Status::Failing));
    assert!(why[0].starts_with("there is no node: "), "{why:?}");
}

#[test]
fn a_registry_that_is_away_is_told_with_what_is_left() {
    let timing = Timing::default();
    let away = |world: &mut World, seconds: u64| {
        let now = BEGIN + Duration::from_secs(seconds);
        (world.stats.turned, world.stats.registry_answered) = (now, Some(BEGIN));
        world.judged(now, TWO)
    };
    let mut pair = World::of(2);
    let told = |status, left: &str, seconds| {
        let since =
            format!("the registry is away since {seconds} s: nobody can join, leave or be replaced, and {left}");
        (status, vec![since])
    };
    assert_eq!(away(&mut pair, 2).0, Status::Ok, "as long as a lease");
    assert_eq!(away(&mut pair, 3).0, Status::Ok);
    assert_eq!(away(&mut pair, 4), told(Status::Degraded, "publishing stops in 6 s", 4));
    assert_eq!(away(&mut pair, 9), told(Status::Degraded, "publishing stops in 1 s", 9));
    assert_eq!(away(&mut pair, 10), told(Status::Degraded, "publishing has stopped", 10));
    pair.say(1, Load { blocked: 30, ..Load::default() });
    assert_eq!(away(&mut pair, 11).0, Status::Degraded);
    let (status, why) = away(&mut pair, 14);
    assert_eq!((status, why.len()), (Status::Failing, 2), "{why:?}");

    let mut alone = World::of(1);
    alone.say(1, Load { alone: 64, ..Load::default() });
    assert!(timing.own() < Duration::from_secs(4));
    away(&mut alone, 2);
    away(&mut alone, 3);
    assert!(away(&mut alone, 4).1[0].ends_with("publishing has stopped"));
}

#[test]
fn who_is_outside_hangs_or_leaves_says_so() {
    let mut outside = World::of(2);
    outside.state.me.incarnation = Incarnation(7);
    let [first, (status, why)] = outside.first_and_later();
    assert_eq!((first.0, status), (Status::Ok, Status::Failing));
    assert!(why[0].starts_with("this member is not in the cluster"), "{why:?}");

    let mut hanging = World::of(2);
    let mut at = |seconds| hanging.judged(BEGIN + Duration::from_secs(seconds), TWO);
    assert_eq!(at(1).0, Status::Ok);
    let (status, why) = at(4);
    assert_eq!(status, Status::Failing);
    assert!(why[0].starts_with("the member task does not turn"), "{why:?}");

    let mut leaving = World::of(2);
    leaving.see(joining(2).activated().with_draining_gateway(ME));
    assert_eq!(leaving.at(10, TWO), (Status::Failing, vec!["this member is leaving".into()]), "at once");
    leaving.stats.leaving = true;
    leaving.see(joining(2).activated().without(ME, Removal::Planned));
    assert_eq!(leaving.at(20, TWO).1, ["this member is leaving"], "and not taken for dead");
}

#[test]
fn a_census_that_is_away_is_told_and_holds_up_nothing() {
    let mut world = World::of(2);
    let trouble = "the census is away, and moves nobody meanwhile: nobody answers";
    world.census.trouble = Some(trouble.into());
    assert_eq!(world.first_and_later()[1], (Status::Degraded, vec![trouble.to_owned()]));
    world.census.trouble = None;
    assert_eq!(world.at(60_000, TWO), (Status::Ok, vec![]));
}

#[test]
fn keys_that_cannot_be_fetched_are_told_and_stop_nothing() {
    let mut world = World::of(2);
    world.keys = Some("no keys".to_owned());
    assert_eq!(world.first_and_later()[1], (Status::Degraded, vec!["no keys".to_owned()]));
    world.keys = None;
    assert_eq!(world.at(60_000, TWO), (Status::Ok, vec![]));
}

#[test]
fn numbers_count_what_nobody_says_as_well() {
    let counted = |world: &World| {
        let World { state, stats, census, .. } = world;
        let look = Look { state, stats, timing: &Timing::default(), census, keys: None, now: BEGIN };
        (look.without_second_copy(), look.unserved())
    };
    let mut world = World::of(2);
    assert_eq!(counted(&world), (0, 0));
    world.say(1, Load { alone: 9, not_live: 2, blocked: 3, ..Load::default() });
    assert_eq!(counted(&world), (9, 5));
    world.lose(2);
    let of_two = world.slots_of(2);
    assert_eq!(counted(&world), (9 + of_two, 5 + of_two));
    world.see(joining(0));
    assert_eq!(counted(&world), (64, 64), "no node at all");
    world.see(View { copies: 1, ..joining(0) });
    assert_eq!(counted(&world), (0, 64), "no second copy is wanted");
}

/// A process that asks itself, with what its member task said last.
fn asked(turned: Now) -> (watch::Sender<Stats>, Router, impl Sized) {
    let (seat, handle) = cluster(World::of(2).state);
    let (sender, stats) = watch::channel(Stats { turned, ..Stats::default() });
    (sender, Health::new(handle, stats, Timing::default(), TWO).following(Vec::new()).routes(), seat)
}

async fn status(routes: &Router, path: &str) -> StatusCode {
    let request = axum::http::Request::get(path).body(axum::body::Body::empty()).unwrap();
    tower::ServiceExt::oneshot(routes.clone(), request).await.unwrap().status()
}

#[tokio::test]
async fn it_lives_while_the_member_task_turns() {
    let (task, routes, _seat) = asked(clock::now());
    assert_eq!(status(&routes, "/health/live").await, StatusCode::OK);
    task.send_modify(|stats| stats.turned = clock::now().saturating_sub(HANGS));
    assert_eq!(status(&routes, "/health/live").await, StatusCode::SERVICE_UNAVAILABLE);
    // A process that stood still is asked before its task has had its turn.
    let late = async {
        tokio::time::sleep(PATIENCE / 2).await;
        task.send_modify(|stats| stats.turned = clock::now());
    };
    let (answered, ()) = tokio::join!(status(&routes, "/health/live"), late);
    assert_eq!(answered, StatusCode::OK);
}

#[tokio::test]
async fn who_has_not_joined_yet_lives_and_is_not_ready() {
    let mut joining = Config::default();
    joining.cluster.join = Some("10.0.0.1:9889".to_owned());
    let routes = early_routes(&name(1), &joining);
    assert_eq!(status(&routes, "/health/live").await, StatusCode::OK);
    assert_eq!(status(&routes, "/health").await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn ok_and_degraded_are_200_and_the_answer_is_for_people_and_programs() {
    let report = |status| Report { status, member: "node-1".into(), epoch: 7, why: vec!["a copy is missing".into()] };
    for (word, code) in [(Status::Ok, 200), (Status::Degraded, 200), (Status::Failing, 503), (Status::Starting, 503)] {
        let response = report(word).into_response();
        assert_eq!(response.status().as_u16(), code, "{word:?}");
        let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        let expected =
            format!(r#"{{"status":"{}","member":"node-1","epoch":7,"why":["a copy is missing"]}}"#, word.word());
        assert_eq!(body, expected.as_bytes());
    }
}

#[test]
fn ways_to_others_that_are_missing_are_told() {
    let mut world = World::outset(joining(0));
    world.state.troubles = vec!["node-2 cannot be dialed".into()];
    assert_eq!(
        world.at(0, TWO),
        (Status::Starting, vec!["0 of 2 nodes are active".into(), "node-2 cannot be dialed".into()])
    );
    let mut world = World::of(2);
    world.state.troubles = vec!["node-1 cannot be dialed".into(), "node-2 cannot be dialed".into()];
    let [first, later] = world.first_and_later();
    assert_eq!(first.0, Status::Ok);
    assert_eq!(later, (Status::Degraded, vec!["node-1 cannot be dialed; node-2 cannot be dialed".into()]));
}
