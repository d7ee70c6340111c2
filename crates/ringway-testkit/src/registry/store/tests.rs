//! The rules' own registry, and the store, on the table.

use ringway_core::message::{RegistryAnswer, RegistryOp, RegistryRequest};
use ringway_core::{Epoch, Incarnation};

use super::*;
use crate::registry::{BEHAVIOURS, Subject, conform};

const TTL: Duration = Duration::from_secs(2);

/// Core's registry, on a clock that the table sets.
struct Bare {
    registry: Registry,
    now: Duration,
}

impl Subject for Bare {
    async fn ask(&mut self, asked: Vec<ToStore>) -> Vec<Option<RegistryAnswer>> {
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

/// The store, asked through a member's connection.
struct Outside {
    store: Store,
    connection: Connection,
    patience: Duration,
}

impl Subject for Outside {
    async fn ask(&mut self, asked: Vec<ToStore>) -> Vec<Option<RegistryAnswer>> {
        let mut answers: Vec<Option<RegistryAnswer>> = vec![None; asked.len()];
        for asked in &asked {
            self.connection.requests.send(asked.clone()).await.unwrap();
        }
        while answers.contains(&None) {
            let told = tokio::time::timeout(self.patience, self.connection.told.recv()).await;
            let Ok(Some(told)) = told else { break };
            if let FromStore::Answer(from, answer) = told {
                let at = asked.iter().position(|asked| (asked.from, asked.request.id) == (from, answer.id));
                answers[at.unwrap()] = Some(answer);
            }
        }
        answers
    }

    async fn pass(&mut self, time: Duration) {
        sleep(time).await;
    }

    fn ttl(&self) -> Duration {
        TTL
    }

    async fn restart(&mut self) -> bool {
        self.store.restart();
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

#[tokio::test]
async fn a_store_outside_conforms() {
    let begin = async || {
        let store = Store::new(SlotCount::MIN, TTL);
        store.set(Faults { way: Duration::from_millis(1)..Duration::from_millis(20), ..Faults::default() });
        let connection = store.connect();
        Outside { store, connection, patience: TTL }
    };
    assert_eq!(conform(begin).await, BEHAVIOURS.len());
}

/// A registry in which a renewal always succeeds, and one that writes whatever it is given, are found out.
struct Wrong(Bare, fn(&mut Bare, &RegistryRequest) -> Option<RegistryAnswer>);

impl Subject for Wrong {
    async fn ask(&mut self, asked: Vec<ToStore>) -> Vec<Option<RegistryAnswer>> {
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

#[tokio::test]
async fn what_goes_wrong_on_the_way_is_no_answer() {
    let store = Store::new(SlotCount::MIN, TTL);
    let connection = store.connect();
    let mut outside = Outside { store: store.clone(), connection, patience: Duration::from_millis(200) };
    let read = |id| vec![ToStore { from: Incarnation(1), request: RegistryRequest { id, op: RegistryOp::Read } }];
    for faults in [
        Faults { away: true, ..Faults::default() },
        Faults { lost_requests: 1000, ..Faults::default() },
        Faults { lost_answers: 1000, ..Faults::default() },
    ] {
        store.set(faults);
        assert_eq!(outside.ask(read(1)).await, [None]);
    }
    store.set(Faults::default());
    outside.patience = TTL;
    assert!(outside.ask(read(2)).await[0].is_some(), "it is back");
}
