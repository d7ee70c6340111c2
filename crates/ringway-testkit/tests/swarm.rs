//! The swarm finds nothing wrong with a good server, and everything that a bad one does.

use std::time::{Duration, Instant};

use ringway_testkit::faulty::{Faults, FaultyServer};
use ringway_testkit::{Break, Channels, Pace, Progress, Swarm, SwarmConfig, SwarmReport, eventually};
use serde_json::json;

const SOON: Duration = Duration::from_secs(10);
/// What each run delivers at least before it is judged.
const ENOUGH: u64 = 2000;

async fn swarm(server: &FaultyServer, plain: usize, centrifuge: usize) -> Swarm {
    Swarm::connect(SwarmConfig::new(server.addr().into(), plain, centrifuge), &Progress::new()).await.expect("a swarm")
}

/// A swarm whose clients come back; those of the Centrifuge protocol share one room.
async fn returning(servers: &[&FaultyServer], plain: usize, centrifuge: usize) -> Swarm {
    let mut config = SwarmConfig::new(servers[0].addr().into(), plain, centrifuge);
    config.targets = servers.iter().map(|server| server.addr().into()).collect();
    config.channels = Channels::One("room".into());
    config.reconnect = true;
    Swarm::connect(config, &Progress::new()).await.expect("a swarm")
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
    assert_eq!(report.refusals, 0, "nothing else explains them");
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
async fn clients_come_back_and_only_announced_ends_are_excused() {
    let server = FaultyServer::start(Faults::default()).await;
    let swarm = returning(&[&server], 3, 4).await;
    let user = swarm.users().next().unwrap().to_owned();
    server.close_all(&user, 3001, "shutdown").await;
    eventually(SOON, || async { (swarm.returns().reconnects == 1).then_some(()) }).await;
    assert_eq!((swarm.report().closed, swarm.returns().closed_by_faults), (1, 0), "nobody said that it would break");
    swarm.break_begins(0, Break::Planned);
    server.close_all("room", 3001, "shutdown").await;
    eventually(SOON, || async { (swarm.returns().reconnects == 5).then_some(()) }).await;
    let (report, returns) = (swarm.report(), swarm.returns());
    assert_eq!((report.closed, returns.closed_by_faults, returns.still_away, returns.moves), (1, 4, 0, 0), "{report}");
    assert_eq!((report.resubscribed, report.unrecovered), (4, 0), "{report}");
    swarm.start(Pace::Rate(2000.0));
    eventually(SOON, || async { (swarm.checker().delivered() >= ENOUGH).then_some(()) }).await;
    swarm.stop();
    assert!(swarm.drained(SOON).await.is_clean(), "those that are back send and receive: {}", swarm.report());
    swarm.close().await;
}

/// The server says that nothing was missed, and keeps no history.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_while_a_client_is_away_is_found() {
    let server = FaultyServer::start(Faults::default()).await;
    let swarm = returning(&[&server], 0, 4).await;
    swarm.start(Pace::Rate(2000.0));
    swarm.break_begins(0, Break::Sudden);
    // Those that stay away a moment longer than others miss what the others say.
    server.close_all("room", 3001, "shutdown").await;
    eventually(SOON, || async { (swarm.returns().reconnects >= 4).then_some(()) }).await;
    eventually(SOON, || async { (swarm.checker().delivered() >= ENOUGH).then_some(()) }).await;
    swarm.stop();
    let check = swarm.drained(Duration::ZERO).await;
    assert!(check.lost > 0 && check.doubled == 0, "{check}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_spread_over_the_servers_that_are_up() {
    let servers = [FaultyServer::start(Faults::default()).await, FaultyServer::start(Faults::default()).await];
    let swarm = returning(&[&servers[0], &servers[1]], 8, 0).await;
    assert_eq!(swarm.spread(&[true, true], 100), 0, "they are dealt out evenly");
    swarm.break_begins(1, Break::Sudden);
    let users: Vec<String> = swarm.users().map(str::to_owned).collect();
    for user in &users {
        servers[1].close_all(user, 3001, "shutdown").await;
    }
    eventually(SOON, || async { (swarm.returns().reconnects == 4).then_some(()) }).await;
    assert_eq!(swarm.spread(&[true, true], 2), 2, "no more than asked for");
    eventually(SOON, || async { (swarm.returns().moves == 2 && swarm.returns().still_away == 0).then_some(()) }).await;
    assert_eq!(swarm.spread(&[true, true], 100), 1, "three of eight are as even as four");
    eventually(SOON, || async { (swarm.returns().moves == 3 && swarm.returns().still_away == 0).then_some(()) }).await;
    assert_eq!(swarm.spread(&[true, true], 100), 0);
    assert_eq!((swarm.report().closed, swarm.returns().closed_by_faults), (0, 4));
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
