//! The main promise, on real processes and real sockets: nodes are killed, added and stopped, and nobody connected notices.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ringway::{Occasion, Receipt, State};
use ringway_core::timing::Timing;
use ringway_testkit::machine::{Standstill, all_share_one_processor};
use ringway_testkit::server::Place;
use ringway_testkit::{Pace, Process, Progress, Server, Swarm, SwarmConfig, eventually, eventually_ok, process};

const PLAIN: usize = 1000;
const CENTRIFUGE: usize = 200;
/// Messages a second from all clients together: what an unoptimised build takes on a busy machine.
const RATE: f64 = 2000.0;
/// The demo prints its address within this.
const READY_LIMIT: Duration = Duration::from_secs(10);
/// After a kill, everybody is reached again within this, and what the machine stands still meanwhile.
const KILL_LIMIT: Duration = Duration::from_secs(1);
/// A planned change holds nobody up for longer than a kill does.
const CHANGE_LIMIT: Duration = Duration::from_secs(1);
/// A frozen process gives no sign of its state: silence must last before it counts.
const FREEZE_LIMIT: Duration = Duration::from_secs(3);
/// Enough for a member to start and to be filled on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The clients, their cluster, and what is known of it before the next change.
struct Story {
    demo: Server,
    swarm: Swarm,
    still: Standstill,
    names: Vec<String>,
    places: BTreeMap<String, Place>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_come_and_go_and_no_socket_closes() {
    let mut story = Story::begin().await;

    let dead = "node-2";
    story
        .lost("killed through the API", dead, 2, KILL_LIMIT, async |demo| demo.act(dead, "kill").await.map(drop))
        .await;
    let added = story.joined("added", 3, async |demo| demo.add().await.map(|member| member.id)).await;
    assert_eq!(added, "node-4", "ids are not used twice");

    let dead = "node-3";
    let pid = story.demo.member(dead).await.unwrap().pid;
    story
        .lost("kill -9 from outside", dead, 2, KILL_LIMIT, async |_| {
            anyhow::ensure!(process::kill(pid), "no process {pid}");
            Ok(())
        })
        .await;
    story.joined("started again", 3, async |demo| demo.act(dead, "start").await.map(|member| member.id)).await;

    let stopped = "node-1";
    story
        .lost("stopped", stopped, 2, CHANGE_LIMIT, async |demo| {
            demo.act(stopped, "stop").await?;
            demo.wait_state(stopped, "down", START_LIMIT).await;
            Ok(())
        })
        .await;
    story.joined("started again", 3, async |demo| demo.act(stopped, "start").await.map(|member| member.id)).await;

    let frozen = "node-4";
    story.lost("frozen", frozen, 2, FREEZE_LIMIT, async |demo| demo.act(frozen, "freeze").await.map(drop)).await;
    story.joined("thawed", 3, async |demo| demo.act(frozen, "thaw").await.map(|member| member.id)).await;
    story.end().await;
}

impl Story {
    async fn begin() -> Self {
        all_share_one_processor();
        let still = Standstill::watch();
        let start = Instant::now();
        let builder = Process::builder(env!("CARGO_BIN_EXE_ringway"), &["demo", "--port", "0", "--nodes", "3"]);
        let demo = Server::start(builder, READY_LIMIT).await;
        println!("the demo is up after {:.1?}", start.elapsed());
        let config = SwarmConfig::new(demo.addr().into(), PLAIN, CENTRIFUGE);
        let swarm = Swarm::connect(config, &Progress::new()).await.expect("a swarm");
        println!("{} clients are connected after {:.1?}", PLAIN + CENTRIFUGE, swarm.connecting().0);
        swarm.start(Pace::Rate(RATE));
        let users = swarm.users().map(|user| format!("user={user}"));
        let names = users.chain(swarm.channels().iter().map(|channel| format!("key={channel}"))).collect();
        let mut story = Self { demo, swarm, still, names, places: BTreeMap::new() };
        story.demo.settled(3).await;
        story.look_up().await;
        story
    }

    async fn look_up(&mut self) {
        // A lease that lapsed while the machine stood still is affirmed by a view of its own.
        self.places = eventually_ok(START_LIMIT, || self.demo.places(&self.names)).await;
    }

    /// Something happens after which `node` owns nothing: what it owned is at its standby afterwards, and everything else where it was.
    async fn lost(
        &mut self,
        what: &str,
        node: &str,
        left: usize,
        limit: Duration,
        act: impl AsyncFnOnce(&Server) -> anyhow::Result<()>,
    ) {
        let before = std::mem::take(&mut self.places);
        let limit = self.change(&format!("{node} {what}"), left, limit, act).await;
        let predicted = |place: &Place| if place.owner == node { place.standby.clone() } else { place.owner.clone() };
        let moved = self.compare(&before, |name, place| {
            assert_eq!(place.owner, predicted(&before[name]), "{name}, of {:?} before", before[name]);
        });
        assert!(moved > 0, "{node} owned nobody");
        let receipt = self.receipt(node).await;
        match receipt.action {
            // Planned, so there was nothing to detect.
            Occasion::Stop => assert_eq!(receipt.detection_ms, None),
            _ => {
                let detection = receipt.detection_ms.expect("it was detected");
                println!("  detected after {detection} ms");
                assert!(detection <= limit.as_secs_f64() * 1000.0, "{receipt:?}");
            }
        }
    }

    /// A node joins: who moves, moves to it, and the former owner becomes the standby.
    async fn joined(
        &mut self,
        what: &str,
        nodes: usize,
        act: impl AsyncFnOnce(&Server) -> anyhow::Result<String>,
    ) -> String {
        let before = std::mem::take(&mut self.places);
        let mut id = String::new();
        self.change(&format!("a node {what}"), nodes, CHANGE_LIMIT, async |demo| {
            id = act(demo).await?;
            demo.wait_state(&id, "active", START_LIMIT).await;
            Ok(())
        })
        .await;
        let moved = self.compare(&before, |name, place| {
            let before = &before[name];
            if place.owner != before.owner {
                assert_eq!((&place.owner, &place.standby), (&id, &before.owner), "{name}, of {before:?} before");
            }
        });
        assert!(moved > 0, "{id} owns nobody");
        assert_eq!(self.receipt(&id).await.detection_ms, None);
        id
    }

    /// The receipt of the last change of a member, when it is over: what was foretold came true, and nobody noticed more than a pause.
    async fn receipt(&self, member: &str) -> Receipt {
        let receipt = eventually(START_LIMIT, || async {
            let answer = self.demo.admin_get("/admin/changes").await.ok()?.json().ok()?;
            let receipts: Vec<Receipt> = serde_json::from_value(answer["changes"].clone()).expect("receipts");
            let last = receipts.into_iter().rfind(|receipt| receipt.member == member);
            last.filter(|receipt| receipt.state != State::Running)
        })
        .await;
        let pauses = receipt.pauses;
        println!(
            "  receipt: {} slots moved, settled after {:?} ms, {pauses:?}",
            receipt.moved.slots, receipt.settled_ms
        );
        assert_eq!((receipt.state, &receipt.why), (State::Settled, &None), "{receipt:?}");
        assert_eq!((receipt.bystander_moves, receipt.sockets_closed), (0, 0), "{receipt:?}");
        assert_eq!((receipt.gaps, receipt.doubles, receipt.reorders), (0, 0, 0), "{receipt:?}");
        assert!(receipt.moved.slots > 0 && receipt.moved.users > 0 && pauses.count > 0, "{receipt:?}");
        match (receipt.action, receipt.predicted) {
            (Occasion::Exit, predicted) => assert_eq!(predicted, None, "nobody asked for it"),
            (_, predicted) => {
                let predicted = predicted.expect("it was foretold");
                let told = (predicted.slots, predicted.bystander_moves, predicted.users, predicted.sockets_closed);
                assert_eq!(told, (receipt.moved.slots, 0, Some(receipt.moved.users), Some(0)), "{receipt:?}");
            }
        }
        receipt
    }

    /// Makes a change while everybody writes, and waits until everybody was reached after it and the cluster has settled.
    /// Gives the limit that this had to keep to.
    async fn change<T>(
        &mut self,
        what: &str,
        nodes: usize,
        limit: Duration,
        act: impl AsyncFnOnce(&Server) -> anyhow::Result<T>,
    ) -> Duration {
        let start = Instant::now();
        let still = self.still.total();
        self.swarm.reset_latencies();
        act(&self.demo).await.unwrap_or_else(|why| panic!("{what}: {why:#}"));
        // What was sent before this may have come to its owner in time; what is sent from now on has not.
        let acting = start.elapsed();
        self.swarm.mark();
        // Twice: who writes to whom is by turns, and in the middle of a round some senders are one turn ahead.
        (0..2).for_each(|_| self.swarm.send_sample(PLAIN + CENTRIFUGE));
        let slowest = eventually(limit + START_LIMIT, || async { self.swarm.reach().slowest() }).await;
        self.demo.settled(nodes).await;
        let settled = start.elapsed();
        println!("{what}: done in {acting:.0?}, everybody reached {slowest:.0?} later, settled after {settled:.1?}");
        let latencies = self.swarm.latencies();
        let (lost, times) = self.still.total();
        let (lost, times) = (lost - still.0, times - still.1);
        println!("  latency since: {latencies}; the machine stood still for {lost:.1?} in {times} pieces");
        // Who stood still itself gives others time anew to show that they are alive.
        let limit = limit + lost + times * Timing::default().suspect;
        assert!(slowest <= limit, "{what}: {:?}", self.swarm.reach().reached.iter().take(5).collect::<Vec<_>>());
        // What was sent at the worst moment waited as long as somebody could not be reached.
        assert!(latencies.max_ms <= limit.as_secs_f64() * 1000.0, "{what}: {latencies}");
        self.check();
        self.look_up().await;
        limit
    }

    /// How many names have another owner than before.
    fn compare(&self, before: &BTreeMap<String, Place>, right: impl Fn(&str, &Place)) -> usize {
        self.places.iter().for_each(|(name, place)| right(name, place));
        let moved = self.places.iter().filter(|(name, place)| before[*name].owner != place.owner).count();
        println!("  {moved} of {} names moved, exactly those that had to", before.len());
        moved
    }

    /// What must hold at every moment.
    fn check(&self) {
        let report = self.swarm.report();
        let wrong =
            (report.closed, report.check.doubled, report.check.reordered, report.misdirected, report.unrecovered);
        assert_eq!((wrong, report.refusals, report.reconnect_asked), ((0, 0, 0, 0, 0), 0, 0), "{report}");
    }

    async fn end(self) {
        self.swarm.stop();
        self.swarm.drained(Duration::from_secs(10)).await;
        let report = self.swarm.report();
        println!("{report}");
        self.check();
        assert_eq!((report.check.lost, report.check.unanswered), (0, 0), "{report}");
        let members = self.demo.members().await.expect("the list of members");
        assert_eq!(members.len(), 5, "a gateway and four nodes: {members:?}");
    }
}
