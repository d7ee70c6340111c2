//! The swarm finds nothing wrong with a good server, and everything that a bad one does.

use std::time::{Duration, Instant};

use ringway_testkit::faulty::{Faults, FaultyServer};
use ringway_testkit::{Channels, Pace, Progress, Swarm, SwarmConfig, SwarmReport, eventually};
use serde_json::json;

const SOON: Duration = Duration::from_secs(10);
/// What each run delivers at least before it is judged.
const ENOUGH: u64 = 2000;

async fn swarm(server: &FaultyServer, plain: usize, centrifuge: usize) -> Swarm {
    Swarm::connect(SwarmConfig::new(server.addr().into(), plain, centrifuge), &Progress::new()).await.expect("a swarm")
}

/// Lets `swarm` talk at `pace` until enough has arrived, then waits for the rest for at most `limit`.
async fn talk(swarm: &Swarm, pace: Pace, limit: Duration) -> SwarmReport {
    swarm.start(pace);
    eventually(Duration::from_secs(30), || async { (swarm.checker().delivered() >= ENOUGH).then_some(()) }).await;
    swarm.stop();
    swarm.drained(limit).await;
    swarm.report()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_server_gets_a_clean_report() {
    let server = FaultyServer::start(Faults::default()).await;
    for pace in [Pace::Rate(5000.0), Pace::Window(2)] {
        let swarm = swarm(&server, 30, 10).await;
        let report = talk(&swarm, pace, SOON).await;
        assert!(report.check.is_clean(), "{report}");
        assert_eq!((report.closed, report.refusals, report.misdirected, report.clients), (0, 0, 0, 40), "{report}");
        assert!(report.check.delivered >= ENOUGH && report.latency.count == report.check.delivered, "{report}");
        swarm.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn losses_are_found() {
    let server = FaultyServer::start(Faults { lose_every: 100, ..Faults::default() }).await;
    let swarm = swarm(&server, 20, 8).await;
    let report = talk(&swarm, Pace::Rate(5000.0), Duration::ZERO).await;
    assert!(report.check.lost >= ENOUGH / 100 && report.check.doubled == 0 && report.check.reordered == 0, "{report}");
    assert_eq!(report.unexplained(), report.check.lost);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubles_are_found() {
    let server = FaultyServer::start(Faults { double_every: 50, ..Faults::default() }).await;
    let swarm = swarm(&server, 20, 8).await;
    let report = talk(&swarm, Pace::Rate(5000.0), SOON).await;
    assert!(report.check.doubled >= ENOUGH / 100 && report.check.lost == 0 && report.check.reordered == 0, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reorders_are_found() {
    let server = FaultyServer::start(Faults { delay_every: 50, ..Faults::default() }).await;
    let swarm = swarm(&server, 20, 0).await;
    let report = talk(&swarm, Pace::Rate(5000.0), Duration::ZERO).await;
    assert!(report.check.reordered >= 1 && report.check.doubled == 0, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_message_does_not_stop_a_window() {
    let server = FaultyServer::start(Faults { lose_every: 10, ..Faults::default() }).await;
    let swarm = swarm(&server, 4, 0).await;
    swarm.start(Pace::Window(1));
    eventually(Duration::from_secs(30), || async { (swarm.report().stalls > 0).then_some(()) }).await;
    let before = swarm.checker().delivered();
    eventually(SOON, || async { (swarm.checker().delivered() > before).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_sockets_and_new_subscriptions_are_told() {
    let server = FaultyServer::start(Faults::default()).await;
    let mut config = SwarmConfig::new(server.addr().into(), 3, 4);
    config.channels = Channels::One("room".into());
    let swarm = Swarm::connect(config, &Progress::new()).await.unwrap();
    let unsubscribe =
        json!({"push": {"channel": "room", "unsubscribe": {"code": 2500, "reason": "insufficient state"}}});
    server.push_all("room", unsubscribe.to_string()).await;
    eventually(SOON, || async { (swarm.report().resubscribed == 4).then_some(()) }).await;
    let user = swarm.users().nth(1).unwrap().to_owned();
    server.close_all(&user, 3001, "shutdown").await;
    eventually(SOON, || async { (!swarm.ended().is_empty()).then_some(()) }).await;
    let ended = &swarm.ended()[0];
    assert_eq!((ended.name.as_str(), ended.code, ended.reason.as_str()), (user.as_str(), Some(3001), "shutdown"));
    assert_eq!(swarm.report().closed, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reach_is_measured_from_the_mark() {
    let server = FaultyServer::start(Faults::default()).await;
    let swarm = swarm(&server, 20, 4).await;
    swarm.start(Pace::Rate(2000.0));
    eventually(SOON, || async { (swarm.checker().delivered() > 100).then_some(()) }).await;
    assert_eq!(swarm.reach().unreached.len(), 24, "nothing is reached before a mark");
    server.set_faults(Faults { lose_every: 1, ..Faults::default() });
    let start = Instant::now();
    swarm.mark();
    // The outage lasts until a good part of the messages is gone.
    eventually(SOON, || async { (start.elapsed() > Duration::from_millis(300)).then_some(()) }).await;
    server.set_faults(Faults::default());
    let slowest = eventually(SOON, || async { swarm.reach().slowest() }).await;
    assert!(slowest >= Duration::from_millis(290) && slowest <= start.elapsed(), "{slowest:?}");
    assert_eq!(swarm.reach().reached.len(), 24);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_an_error() {
    let addr = FaultyServer::start(Faults::default()).await.addr();
    let error = Swarm::connect(SwarmConfig::new(addr.into(), 2, 0), &Progress::new()).await.unwrap_err();
    assert!(format!("{error:#}").contains("cannot reach"), "{error:#}");
}
