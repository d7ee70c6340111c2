//! The rules' own registry on the table, what the table finds, and the store's faults.

use ringway_core::message::{RegistryAnswer, RegistryOp, RegistryRequest};
use ringway_core::registry::Registry;
use ringway_core::registry::store::{StoreAnswer, StoreOp, StoreRequest};
use ringway_core::{Epoch, Incarnation};

use super::*;
use crate::registry::{Asked, BEHAVIOURS, Subject, conform};

const TTL: Duration = Duration::from_secs(2);

/// Core's registry, on a clock that the table sets.
struct Bare {
    registry: Registry,
    now: Duration,
}

impl Subject for Bare {
    async fn ask(&mut self, asked: Vec<Asked>) -> Vec<Option<RegistryAnswer>> {
        asked.into_iter().map(|asked| Some(self.registry.handle(self.now, asked.request))).collect()
    }

    async fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn ttl(&self) -> Duration {
        TTL
    }

    async fn restart(&mut self) -> bool {
        self.registry = Registry::restored(self.registry.view().clone(), TTL, self.now);
        true
    }
}

fn born() -> Arc<View> {
    Arc::new(View::born(HashKey::from_bytes([1; 16]), SlotCount::MIN))
}

#[tokio::test]
async fn the_rules_own_registry_conforms() {
    let held = conform(async || Bare { registry: Registry::new(born(), TTL), now: TTL }).await;
    assert_eq!(held, BEHAVIOURS.len());
}

/// A registry in which a renewal always succeeds, and one that writes whatever it is given, are found out.
struct Wrong(Bare, fn(&mut Bare, &RegistryRequest) -> Option<RegistryAnswer>);

impl Subject for Wrong {
    async fn ask(&mut self, asked: Vec<Asked>) -> Vec<Option<RegistryAnswer>> {
        let mut answers = Vec::new();
        for asked in asked {
            let wrong = (self.1)(&mut self.0, &asked.request);
            answers.push(wrong.or_else(|| Some(self.0.registry.handle(self.0.now, asked.request))));
        }
        answers
    }

    async fn pass(&mut self, time: Duration) {
        self.0.pass(time).await;
    }

    fn ttl(&self) -> Duration {
        TTL
    }

    async fn restart(&mut self) -> bool {
        self.0.restart().await
    }
}

#[tokio::test]
async fn the_table_bites() {
    let wrongs: [fn(&mut Bare, &RegistryRequest) -> Option<RegistryAnswer>; 5] = [
        |bare, request| match request.op {
            RegistryOp::Renew(_) => Some(said(bare, request.id, true)),
            _ => None,
        },
        |bare, request| match &request.op {
            RegistryOp::Cas(view) => {
                bare.registry = Registry::new(view.clone(), TTL);
                Some(said(bare, request.id, true))
            }
            _ => None,
        },
        |bare, request| matches!(request.op, RegistryOp::Leases).then(|| said(bare, request.id, true)),
        |bare, request| matches!(request.op, RegistryOp::Read).then(|| said(bare, request.id + 1, true)),
        |bare, request| match request.op {
            RegistryOp::Put(Incarnation(life)) if bare.registry.view().epoch > Epoch(3) => {
                bare.registry = Registry::restored(bare.registry.view().clone(), TTL, bare.now);
                Some(said(bare, request.id, life == 0))
            }
            _ => None,
        },
    ];
    for wrong in wrongs {
        let begin = async move || Wrong(Bare { registry: Registry::new(born(), TTL), now: TTL }, wrong);
        assert!(tokio::spawn(conform(begin)).await.is_err(), "nothing was found");
    }
}

fn said(bare: &Bare, id: u64, done: bool) -> RegistryAnswer {
    RegistryAnswer { id, done, view: bare.registry.view().clone(), lapsed: Vec::new() }
}

/// Asks for the view, and waits for the answer.
async fn read(connection: &mut Connection, id: u64, patience: Duration) -> Option<FromStore> {
    let request = StoreRequest { id, op: StoreOp::ReadView };
    connection.requests.send(ToStore { from: Incarnation(1), request }).await.unwrap();
    tokio::time::timeout(patience, connection.told.recv()).await.ok().flatten()
}

#[tokio::test]
async fn what_goes_wrong_on_the_way_is_no_answer() {
    let store = Store::new(SlotCount::MIN);
    let mut connection = store.connect();
    for faults in [
        Faults { away: true, ..Faults::default() },
        Faults { lost_requests: 1000, ..Faults::default() },
        Faults { lost_answers: 1000, ..Faults::default() },
    ] {
        store.set(faults);
        assert_eq!(read(&mut connection, 1, Duration::from_millis(200)).await, None);
    }
    store.set(Faults::default());
    let answer = read(&mut connection, 2, TTL).await;
    assert!(matches!(answer, Some(FromStore::Answer(Incarnation(1), StoreAnswer { id: 2, .. }))), "{answer:?}");
}
