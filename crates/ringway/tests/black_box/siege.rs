//! Good users beside trouble, by `ringway bench siege`: no socket of theirs ends, nothing is lost, and their messages stay quick.
//!
//! The program under test is not optimized here, and shares its processor with the load and with other tests. So a p99 counts as
//! good below a floor that is far above what a user would notice, and far below what a fault costs: a good user who waits for somebody else's
//! timeout, or for a whole long answer, waits for seconds. `ringway bench siege --expect` with a release build on a quiet machine holds to 20 ms.

use std::time::Duration;

use ringway_testkit::Process;
use serde_json::Value;

use crate::support::BINARY;

async fn besiege(args: &[&str], limit: Duration) -> Value {
    let words: Vec<&str> = ["bench", "siege", "--json", "--expect"].iter().chain(args).copied().collect();
    let mut siege = Process::start(&*BINARY, &words);
    let status = siege.wait_exit(limit).await;
    assert!(status.success(), "{}\n{}", siege.stderr(), siege.stdout());
    assert_eq!(siege.descendants(), Vec::<u32>::new(), "it leaves nobody behind");
    let report: Value = serde_json::from_str(&siege.stdout()).expect("a report in JSON");
    let loads = report["loads"].as_array().expect("a row for each load");
    // A load that does nothing shows nothing.
    assert!(loads.iter().all(|load| load["per_second"].as_f64() > Some(0.0)), "{report:#}");
    report
}

#[tokio::test]
async fn good_users_do_not_wait_for_guesses_half_open_links_and_busy_names() {
    let loads = "admin-tokens,client-tokens,join-secrets,half-open-links,one-channel";
    let small = ["--users", "100", "--rate", "100", "--nodes", "2"];
    let short = ["--seconds", "2", "--calm", "1", "--build-up", "1", "--floor", "250", "--loads", loads];
    let report = besiege(&[&small[..], &short].concat(), Duration::from_secs(120)).await;
    assert_eq!(report["loads"].as_array().map(Vec::len), Some(5), "{report:#}");
}

#[tokio::test]
#[ignore = "takes four minutes: ./scripts/test long"]
async fn long_good_users_stay_served_under_each_load() {
    let report = besiege(&["--floor", "100"], Duration::from_secs(600)).await;
    assert_eq!(report["loads"].as_array().map(Vec::len), Some(13), "{report:#}");
}
