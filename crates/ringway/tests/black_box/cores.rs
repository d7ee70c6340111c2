//! What of a server's work is on one core at a time: the rules, and no more.

use ringway_testkit::{Process, Server};
use serde_json::Value;

use crate::support::{BINARY, SOON, dev};

async fn fan_out(server: &Server) -> Value {
    let url = format!("ws://{}", server.addr());
    let load = ["bench", "fanout", "--subscribers", "300", "--window", "4", "--seconds", "2", "--json", "--url", &url];
    let mut bench = Process::start(&*BINARY, &load);
    let status = bench.wait_exit(SOON * 3).await;
    assert!(status.success(), "{}\n{}", bench.stderr(), bench.stdout());
    let report: Value = serde_json::from_str(&bench.stdout()).expect("a report in JSON");
    assert!(report["delivered"].as_u64() > Some(10_000), "a load that does nothing shows nothing: {report:#}");
    report
}

async fn serial_share(writers: usize) -> f64 {
    let report = fan_out(&dev(&format!("[server]\nwriters = {writers}\n")).await).await;
    assert_eq!(report["members"][0]["member"], "ringway-1");
    report["serial_share"].as_f64().expect("the server tells")
}

#[tokio::test]
async fn the_task_with_the_rules_writes_to_nobody_where_there_are_writers() {
    let (alone, with_writers) = (serial_share(0).await, serial_share(2).await);
    // The program is not optimized here, which the rules suffer from and the kernel does not.
    assert!(with_writers < alone * 0.8, "{with_writers} of {alone}");
}
