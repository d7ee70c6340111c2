//! A cluster of real members whose registry is a store outside: nobody is host, and the first gateway of the view is the keeper.

use ringway_core::timing::Timing;
use ringway_testkit::registry::{Faults, MEMBERS, Store};
use ringway_testkit::{CentrifugeClient, eventually, http};
use serde_json::json;

use super::linked::{ADMIN, config};
use super::*;
use crate::app::{self, Running};
use crate::config::Roles;

/// Longest time for anything that happens here: a lease, a removal, some retries, on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A store that is asked as members ask it, each with a handle of its own. Time passes by itself.
struct Members {
    store: Store,
    begun: tokio::time::Instant,
    members: Vec<(Incarnation, Handle)>,
}

impl Members {
    fn begin() -> Self {
        let store = Store::new(SlotCount::MIN);
        store.set(Faults { way: Duration::from_millis(1)..Duration::from_millis(20), ..Faults::default() });
        let mut all = Self { store, begun: tokio::time::Instant::now(), members: Vec::new() };
        for member in MEMBERS {
            let ringway_testkit::registry::Connection { requests, told } = all.store.connect();
            let mut handle = Handle::outside(Way { requests, told });
            let timing = Timing { ttl: TTL, ..Timing::default() };
            handle.begin_life(all.now(), all.life(member), &all.store.view(), timing);
            all.members.push((all.life(member), handle));
        }
        all
    }

    fn now(&self) -> Now {
        self.begun.elapsed()
    }

    /// Lets all members live until they are answered this, or for so long. Whoever is asked is asked again, if it is not at rest.
    async fn live(
        &mut self,
        until: tokio::time::Instant,
        mut wanted: usize,
    ) -> HashMap<(Incarnation, u64), RegistryAnswer> {
        let mut answers = HashMap::new();
        let begun = self.begun;
        while wanted > 0 && tokio::time::Instant::now() < until {
            for (life, handle) in &mut self.members {
                handle.tick(begun.elapsed(), |_| true);
                while let Ok(news) = tokio::time::timeout(Duration::from_millis(2), handle.next()).await {
                    let News::Told(told) = news else { unreachable!("the registry is outside") };
                    assert_eq!(handle.on_told(begun.elapsed(), told), None, "nobody asks through another one");
                }
                while let Some(heard) = handle.next_heard() {
                    if let Heard::Answer(answer) = heard {
                        answers.insert((*life, answer.id), answer);
                        wanted -= 1;
                    }
                }
            }
        }
        answers
    }
}

impl Subject for Members {
    async fn ask(&mut self, asked: Vec<Asked>) -> Vec<Option<RegistryAnswer>> {
        let now = self.now();
        for asked in &asked {
            let (_, handle) = self.members.iter_mut().find(|(life, _)| *life == asked.from).unwrap();
            assert!(matches!(handle.ask(now, asked.from, asked.request.clone()), Sent::Away));
        }
        let mut answers = self.live(tokio::time::Instant::now() + SOON, asked.len()).await;
        asked.iter().map(|asked| answers.remove(&(asked.from, asked.request.id))).collect()
    }

    async fn pass(&mut self, time: Duration) {
        self.live(tokio::time::Instant::now() + time, usize::MAX).await;
    }

    fn ttl(&self) -> Duration {
        TTL
    }

    /// The store: members live on. What it has is written again before anything else is, which takes a while.
    async fn restart(&mut self) -> bool {
        let before = self.store.view().epoch;
        self.store.restart();
        let until = tokio::time::Instant::now() + SOON;
        while self.store.view().epoch == before && tokio::time::Instant::now() < until {
            self.live(tokio::time::Instant::now() + Duration::from_millis(50), usize::MAX).await;
        }
        true
    }
}

#[tokio::test]
async fn a_registry_in_a_store_outside_conforms() {
    assert_eq!(conform(async || Members::begin()).await, BEHAVIOURS.len());
}

struct Member {
    running: Running,
    clients: Option<std::net::SocketAddr>,
}

impl Member {
    async fn start(store: &Store, id: &str, roles: Roles) -> Self {
        let bound = app::bind(Arc::new(config(id)), roles).await.unwrap();
        let clients = bound.client_addr();
        let ringway_testkit::registry::Connection { requests, told } = store.connect();
        let running = bound.start_outside(Way { requests, told }, store.view()).await.unwrap();
        Self { running, clients }
    }

    /// Ends as a crash ends it.
    async fn kill(self) {
        self.running.crash().await;
    }

    /// The members whose changes this gateway has receipts of.
    async fn receipts(&self) -> Vec<String> {
        let answer =
            http::get(self.clients.unwrap(), "/admin/changes", &[("authorization", &format!("Bearer {ADMIN}"))])
                .await
                .unwrap()
                .json()
                .unwrap();
        let changes = answer["changes"].as_array().cloned().unwrap_or_default();
        changes.iter().map(|change| format!("{} {}", change["action"], change["member"])).collect()
    }
}

fn ids(view: &View) -> Vec<String> {
    let mut ids: Vec<String> = view.members().map(|(id, ..)| id.to_string()).collect();
    ids.sort_unstable();
    ids
}

async fn lists(store: &Store, expected: &[&str]) {
    eventually(SOON, || async {
        let view = store.view();
        let active = view.nodes.iter().all(|node| node.now == node.next);
        (ids(&view) == expected && active).then_some(())
    })
    .await;
}

async fn publish_and_read(at: &Member, channel: &str, text: &str) {
    let mut client = CentrifugeClient::connect(at.clients.unwrap()).await.unwrap();
    client.subscribe(channel).await.unwrap();
    client.publish(channel, json!({ "text": text })).await.unwrap();
    let got = client.recv(SOON).await.unwrap();
    assert!(format!("{got:?}").contains(text), "{got:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_without_a_host_lives_and_the_next_gateway_keeps_receipts() {
    let store = Store::new(SlotCount::MIN);
    let way = Duration::from_millis(1)..Duration::from_millis(30);
    store.set(Faults { way: way.clone(), lost_requests: 20, lost_answers: 20, away: false });
    let first = Member::start(&store, "gateway-1", Roles::GATEWAY).await;
    // Requests are lost: another one could be in before it, and be the keeper for a moment.
    lists(&store, &["gateway-1"]).await;
    let second = Member::start(&store, "gateway-2", Roles::GATEWAY).await;
    let third = Member::start(&store, "gateway-3", Roles::GATEWAY).await;
    let nodes =
        [Member::start(&store, "node-1", Roles::NODE).await, Member::start(&store, "node-2", Roles::NODE).await];
    lists(&store, &["gateway-1", "gateway-2", "gateway-3", "node-1", "node-2"]).await;
    publish_and_read(&second, "news", "hello").await;
    assert!(second.receipts().await.is_empty(), "the keeper alone keeps receipts");

    first.kill().await;
    lists(&store, &["gateway-2", "gateway-3", "node-1", "node-2"]).await;
    let fourth = Member::start(&store, "node-3", Roles::NODE).await;
    lists(&store, &["gateway-2", "gateway-3", "node-1", "node-2", "node-3"]).await;
    eventually(SOON, || async { second.receipts().await.iter().any(|it| it.contains("node-3")).then_some(()) }).await;
    assert!(third.receipts().await.is_empty(), "it comes after the second");
    publish_and_read(&third, "news", "still here").await;

    // The store is away for longer than a lease: nothing is removed, and pairs of copies go on.
    store.set(Faults { away: true, ..Faults::default() });
    tokio::time::sleep(TTL * 2).await;
    publish_and_read(&third, "news", "without a registry").await;
    store.set(Faults { way, ..Faults::default() });
    lists(&store, &["gateway-2", "gateway-3", "node-1", "node-2", "node-3"]).await;
    drop((nodes, fourth));
}
