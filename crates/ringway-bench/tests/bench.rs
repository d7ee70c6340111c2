//! Every bench against a small server: a good one gives clean reports, a bad one is found out.

use std::time::{Duration, Instant};

use clap::Parser;
use ringway_bench::{Bench, Report, TrafficReport};
use ringway_testkit::faulty::{Faults, FaultyServer};

/// As the binary embeds it.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

/// Runs `bench` with `line`'s words against `server`, watching this very process, where the server lives.
async fn bench(server: &FaultyServer, line: &str) -> anyhow::Result<Report> {
    let url = format!("ws://{}", server.addr());
    let pid = std::process::id().to_string();
    let words = ["bench"].into_iter().chain(line.split(' ')).chain(["--url", &url, "--pid", &pid]);
    ringway_bench::run(&Cli::try_parse_from(words)?.bench).await
}

async fn traffic(server: &FaultyServer, line: &str) -> TrafficReport {
    match bench(server, line).await.expect("a report") {
        Report::Fanout(report) | Report::P2p(report) => report,
        Report::Idle(_) | Report::Siege(_) => panic!("{line} is no traffic"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_users_are_counted_weighed_and_shown_alive() {
    let server = FaultyServer::start(Faults::default()).await;
    for (line, alive) in [
        ("idle --users 300 --sample 50", 50),
        ("idle --users 300 --protocol centrifuge", 300),
        ("idle --users 300 --protocol centrifuge --channel b{i} --sample 50", 50),
    ] {
        let report = bench(&server, line).await.unwrap();
        assert!(report.is_clean(), "{report}");
        let json = serde_json::from_str::<serde_json::Value>(&report.json().unwrap()).unwrap();
        assert_eq!((json["bench"].as_str(), json["users"].as_u64()), (Some("idle"), Some(300)));
        assert_eq!(json["alive"], alive, "{report}");
        // This process has other tests in it, so it may even have shrunk; but it is the one that was watched.
        let memory = |name: &str| json["memory"][name].as_f64().unwrap();
        let growth = memory("after") - memory("before");
        assert!(memory("before") > 0.0 && (memory("per_user") - growth / 300.0).abs() < 1.0, "{report}");
        let Report::Idle(report) = report else { panic!("{line} is idle") };
        assert!(report.connects_per_s > 0.0 && report.handshake.count == 300);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_write_to_one_another_in_windows_and_at_a_rate() {
    let server = FaultyServer::start(Faults::default()).await;
    for line in [
        "p2p --users 40 --seconds 1 --warmup 0",
        "p2p --users 40 --seconds 1 --rate 1000 --warmup 0",
        "p2p --users 40 --seconds 1 --protocol centrifuge --window 4 --warmup 0",
    ] {
        let begin = Instant::now();
        let report = traffic(&server, line).await;
        let longest = begin.elapsed().as_secs_f64();
        assert!(report.is_clean() && report.delivered > 100, "{line}\n{report}");
        assert!(report.latency.p50_ms > 0.0 && report.latency.p50_ms <= report.latency.max_ms, "{report}");
        assert!(report.seconds >= 1.0 && report.traffic.check.sent >= report.sent, "{report}");
        if line.contains("--rate") {
            // The whole run holds the rate, however long a busy machine made it.
            let sent = report.traffic.check.sent as f64;
            assert!(report.sent >= 500 && sent <= 1000.0 * longest, "{sent} in {longest:.2} s\n{report}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledgements_are_timed_and_publishers_are_spread_over_all_channels() {
    let server = FaultyServer::start(Faults::default()).await;
    let line =
        "fanout --subscribers 40 --publishers 20 --channels 20 --namespace log --window 2 --seconds 1 --warmup 0";
    let report = traffic(&server, line).await;
    assert!(report.is_clean() && report.acknowledgement.count > 100, "{report}");
    assert!(report.acknowledged_per_s > 100.0 && report.acknowledgement.p50_ms > 0.0, "{report}");
    // Two hear each, so what is sent is half of what is delivered only if every channel has a publisher.
    let check = &report.traffic.check;
    assert_eq!(check.delivered, 2 * check.sent, "{report}");
    let plain = traffic(&server, "p2p --users 10 --seconds 1 --warmup 0").await;
    assert_eq!(plain.acknowledgement.count, 0, "{plain}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_go_together_is_refused() {
    let server = FaultyServer::start(Faults::default()).await;
    for (line, why) in [
        ("fanout --subscribers 10 --channels 3", "--channels"),
        ("fanout --channels 0", "--channels"),
        ("p2p --namespace log", "--protocol centrifuge"),
    ] {
        let refused = bench(&server, line).await.expect_err(line).to_string();
        assert!(refused.contains(why), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_out_reaches_all_subscribers() {
    let server = FaultyServer::start(Faults::default()).await;
    let report = traffic(&server, "fanout --subscribers 50 --publishers 2 --window 4 --seconds 1 --warmup 0").await;
    assert!(report.is_clean() && report.delivered > 1000, "{report}");
    let check = &report.traffic.check;
    assert_eq!(check.delivered, check.sent * 50, "{report}");
    assert!(report.server.is_some_and(|server| server.cpu_s > 0.0 && server.resident > 0), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_out_may_come_through_the_api() {
    let server = FaultyServer::start(Faults::default()).await;
    let line = "fanout --subscribers 20 --publishers 2 --via api --seconds 1 --warmup 0 --api-key";
    let report = traffic(&server, &format!("{line} key")).await;
    assert!(report.is_clean() && report.delivered > 100, "{report}");
    assert_eq!(report.traffic.check.promised, report.traffic.check.sent, "{report}");
    let error = bench(&server, &format!("{line} wrong")).await.unwrap_err();
    assert!(format!("{error:#}").contains("--api-key"), "{error:#}");
    let error = bench(&server, &format!("{line} key --channel forbidden")).await.unwrap_err();
    assert!(format!("{error:#}").contains("102"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_ends_at_its_number_of_messages() {
    let server = FaultyServer::start(Faults::default()).await;
    let report = traffic(&server, "p2p --users 10 --seconds 60 --warmup 0 --messages 500").await;
    assert!(report.seconds < 30.0 && report.traffic.check.sent >= 500, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn losses_doubles_and_delays_are_reported() {
    let p2p = "p2p --users 20 --seconds 1 --warmup 0 --rate 2000 --drain 1";
    let fanout = "fanout --subscribers 20 --seconds 1 --warmup 0 --rate 100 --drain 1";
    for line in [p2p, fanout] {
        let losing = FaultyServer::start(Faults { lose_every: 50, ..Faults::default() }).await;
        let report = traffic(&losing, line).await;
        assert!(!report.is_clean() && report.traffic.check.lost > 10, "{report}");
        assert!(report.to_string().contains("is missing"), "{report}");
        let doubling = FaultyServer::start(Faults { double_every: 50, ..Faults::default() }).await;
        let report = traffic(&doubling, line).await;
        assert!(!report.is_clean() && report.traffic.check.doubled > 10, "{report}");
        let delaying = FaultyServer::start(Faults { delay_every: 50, ..Faults::default() }).await;
        let report = traffic(&delaying, line).await;
        assert!(!report.is_clean() && report.traffic.check.reordered > 1, "{report}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_ends_is_reported() {
    let server = FaultyServer::start(Faults::default()).await;
    let closing = async {
        ringway_testkit::eventually(Duration::from_secs(10), || async { server.has("bench-3").then_some(()) }).await;
        server.close_all("bench-3", 3008, "slow").await;
    };
    let (report, ()) =
        tokio::join!(traffic(&server, "p2p --users 10 --seconds 1 --warmup 0 --rate 100 --drain 1"), closing);
    assert_eq!(report.traffic.closed, 1, "{report}");
    assert!(!report.is_clean() && report.to_string().contains("3008"), "{report}");
}

#[tokio::test]
async fn what_cannot_work_is_said_beforehand() {
    let server = FaultyServer::start(Faults::default()).await;
    let error = bench(&server, "idle --users 30000000").await.unwrap_err();
    assert!(error.to_string().contains("open files"), "{error:#}");
    assert!(bench(&server, "p2p --users 1").await.is_err());
    for line in ["fanout --rate 1 --window 2", "fanout --rate 0", "p2p --rate NaN", "p2p --seconds 0"] {
        assert!(bench(&server, line).await.is_err(), "{line}");
    }
    let gone = FaultyServer::start(Faults::default()).await.addr();
    let url = format!("ws://{gone}");
    let cli = Cli::try_parse_from(["bench", "idle", "--users", "1", "--url", &url]).unwrap();
    let error = format!("{:#}", ringway_bench::run(&cli.bench).await.unwrap_err());
    assert!(error.contains(&gone.to_string()), "{error}");
}
