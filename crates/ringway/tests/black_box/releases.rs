//! A cluster of two releases: it is upgraded to the next one member by member, and back, and nobody who publishes notices. The next
//! release is this one with a version, fields and a kind more in its links (`--features next`), built beside it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::ensure;
use ringway_testkit::{eventually_ok, http};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::restarts::{Cluster, How, MEMBERS, NOW};
use crate::support::{BINARY, CHANGE};

/// Version of the links of this release.
const OURS: f64 = 3.0;
const CHANNEL: &str = "kept:steady";

/// Nodes first, the process with the registry last.
const UP: [usize; 4] = [2, 3, 1, 0];
/// And back, the other way round.
const DOWN: [usize; 4] = [0, 1, 3, 2];

#[tokio::test]
#[ignore = "needs the program of a next release in RINGWAY_NEXT: ./scripts/test"]
async fn releases_meet_while_a_cluster_is_upgraded_member_by_member_and_back() {
    let next = std::env::var("RINGWAY_NEXT").expect("RINGWAY_NEXT names a program built with `--features next`");
    let mut cluster = Cluster::start(true).await;
    let publisher = Publisher::start(cluster.clients);
    for (how, order, program) in [(How::Stopped, UP, &next), (How::Killed, DOWN, &*BINARY)] {
        for at in order {
            println!("{} becomes {program}", MEMBERS[at]);
            cluster.programs[at].clone_from(program);
            cluster.row(&[at], how, NOW).await;
            cluster.speaks(&next).await;
        }
    }
    publisher.end(&cluster).await;
    cluster.look_at_logs();
}

impl Cluster {
    /// Every link has the version that both its ends have, and says nothing that one of them does not know.
    async fn speaks(&self, next: &str) {
        eventually_ok(CHANGE, || async {
            for (gateway, client) in self.clients.iter().enumerate() {
                let page = http::get(*client, "/metrics", &[]).await?;
                let (versions, skipped) =
                    (page.metric("ringway_link_version"), page.metric("ringway_link_frames_skipped_total"));
                for (at, member) in MEMBERS.iter().enumerate().filter(|(at, _)| *at != gateway) {
                    let name = format!("member=\"{member}\"");
                    let both = [at, gateway].iter().all(|at| self.programs[*at] == next);
                    let links: Vec<_> = versions.iter().filter(|(labels, _)| labels.contains(&name)).collect();
                    ensure!(at < 2 || !links.is_empty(), "{} has no link with {member}", MEMBERS[gateway]);
                    for (labels, version) in links {
                        let expected = if both { OURS + 1.0 } else { OURS };
                        ensure!(*version == expected, "{labels} speaks version {version}");
                        let skipped = skipped.get(labels).copied().unwrap_or_default();
                        ensure!((skipped > 0.0) == both, "{labels}: {skipped} frames were skipped");
                    }
                }
            }
            Ok(())
        })
        .await;
    }
}

/// Publishes one number after the other through whichever gateway is there.
struct Publisher {
    is_over: Arc<AtomicBool>,
    acknowledged: JoinHandle<Vec<u64>>,
}

impl Publisher {
    fn start(gateways: [SocketAddr; 2]) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let acknowledged = tokio::spawn(publish(gateways, is_over.clone()));
        Self { is_over, acknowledged }
    }

    /// All that was acknowledged is there, once and in order.
    async fn end(self, cluster: &Cluster) {
        self.is_over.store(true, Ordering::Relaxed);
        let acknowledged = self.acknowledged.await.expect("it ends");
        assert!(acknowledged.len() > 100, "{} publications were acknowledged", acknowledged.len());
        let page = cluster.api(1, "history", json!({"channel": CHANNEL, "limit": -1})).await.expect("it is served");
        let kept = page["publications"].as_array().expect("a list").iter();
        let kept: Vec<u64> = kept.filter_map(|one| one["data"].as_u64()).collect();
        let found: Vec<u64> =
            kept.iter().copied().filter(|number| acknowledged.binary_search(number).is_ok()).collect();
        assert_eq!(found, acknowledged, "of {} that are kept", kept.len());
        println!("{} publications were acknowledged, {} are kept", acknowledged.len(), kept.len());
    }
}

async fn publish(gateways: [SocketAddr; 2], is_over: Arc<AtomicBool>) -> Vec<u64> {
    let (mut acknowledged, mut number) = (Vec::new(), 0);
    while !is_over.load(Ordering::Relaxed) {
        number += 1;
        let body = json!({"channel": CHANNEL, "data": number});
        let headers = [("x-api-key", crate::restarts::KEY)];
        let gateway = gateways[number as usize % 2];
        let answer = http::post(gateway, "/api/publish", &headers, &body).await.and_then(|answer| answer.json());
        let answer: Value = answer.unwrap_or_default();
        if answer["result"]["offset"].is_u64() {
            acknowledged.push(number);
        }
        // A pace, not a condition: the history keeps all of them.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    acknowledged
}
