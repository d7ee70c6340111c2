//! A cluster without members' tasks: a view that tests change, and units that are shells.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use ringway_core::message::{Load, ResetCount, Toll};
use ringway_core::ring::{HashKey, SlotCount, Weight};
use ringway_core::view::{GatewayEntry, NodeEntry, Placement, View};
use ringway_core::{Incarnation, MemberId};
use serde_json::Value;
use tokio::sync::watch;
use tower::ServiceExt;

use super::super::Admin;
use crate::changes::{Changes, Fact, Teller};
use crate::cluster::{ClusterState, Demand, Myself, Reach, cluster};
use crate::orchestrator::Orchestrator;
use crate::orchestrator::evidence;
use crate::orchestrator::process::{Launch, ProcessDriver};
use crate::rebalance::Rebalance;

/// Longest wait for anything.
const SOON: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Fake {
    router: Router,
    state: watch::Sender<Arc<ClusterState>>,
    pub(super) orchestrator: Option<Orchestrator>,
    teller: Teller,
    _logs: Option<tempfile::TempDir>,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Answer {
    #[track_caller]
    pub(super) fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_else(|| panic!("no error: {self:?}"))
    }
}

pub(super) fn id(name: &str) -> MemberId {
    MemberId::new(name).unwrap()
}

fn node(name: &str, incarnation: u64) -> NodeEntry {
    NodeEntry {
        id: id(name),
        incarnation: Incarnation(incarnation),
        address: format!("127.0.0.1:7{incarnation}").into(),
        now: Weight::ONE,
        next: Weight::ONE,
    }
}

/// gateway-0, which is this process, and node-1 to node-3 with incarnations of these numbers.
fn first() -> ClusterState {
    let view = View::born(HashKey::from_bytes([7; 16]), SlotCount::new(64).unwrap());
    let gateway = GatewayEntry {
        id: id("gateway-0"),
        incarnation: Incarnation(100),
        address: "127.0.0.1:9888".into(),
        link: "h:2".into(),
        draining: false,
    };
    let view = (1..=3)
        .fold(view.with_gateway(gateway), |view, number| view.with_node(node(&format!("node-{number}"), number)));
    state(view.activated())
}

fn state(view: View) -> ClusterState {
    let loads = HashMap::from([
        (Incarnation(100), Load { sockets: 42, ..Load::default() }),
        (Incarnation(2), Load { users: 7, ..Load::default() }),
    ]);
    let links = view.nodes.iter().map(|node| (node.incarnation, Reach::Up)).collect();
    let me = Myself { id: id("gateway-0"), incarnation: Incarnation(100) };
    ClusterState {
        placement: Arc::new(Placement::of(&view, None)),
        view: Arc::new(view),
        me,
        loads,
        links,
        troubles: Vec::new(),
    }
}

/// What a member task would tell of a view: it has come, all is settled, and the gateway saw nothing.
fn tell(teller: &Teller, view: &View) {
    let (at, epoch, gateway) = (crate::clock::now(), view.epoch, Incarnation(100));
    let placement = Placement::of(view, None);
    teller.tell(Fact::View { at, view: Arc::new(view.clone()), placement, left: Vec::new() });
    for node in &view.nodes {
        teller.tell(Fact::Node { at, node: node.incarnation, epoch, settled: true });
    }
    teller.tell(Fact::Toll { at, gateway, epoch, toll: Box::new(Toll::begun(gateway)) });
}

/// What is told of an order to connect anew: it was given, and the one gateway asked three clients.
fn carry_out(teller: &Teller, number: u64) {
    let (at, gateway) = (crate::clock::now(), Incarnation(100));
    teller.tell(Fact::ResetGiven { at, number, missed: Vec::new() });
    teller.tell(Fact::Reset { at, gateway, count: ResetCount { number, meant: 4, closed: 3, done: true } });
}

impl Fake {
    pub(super) fn new() -> Self {
        Self::with_token(Some("secret"))
    }

    /// Without an orchestrator.
    pub(super) fn with_token(token: Option<&str>) -> Self {
        Self::build(token, None)
    }

    /// With three shells as node-1 to node-3, and a member task that obeys every removal.
    pub(super) async fn orchestrating() -> Self {
        let logs = tempfile::tempdir().unwrap();
        let script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done";
        let arguments = ["-c", script].map(Into::into).to_vec();
        let launch =
            Launch { program: "/bin/sh".into(), arguments, environment: Vec::new(), logs: logs.path().to_owned() };
        let orchestrator = Orchestrator::new(ProcessDriver::new(launch).unwrap());
        for _ in 0..3 {
            let id = orchestrator.add(std::collections::BTreeSet::new()).await.unwrap();
            while !std::fs::read_to_string(logs.path().join(format!("{id}.log"))).is_ok_and(|log| log.contains("ready"))
            {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        Self { _logs: Some(logs), ..Self::build(Some("secret"), Some(orchestrator)) }
    }

    fn build(token: Option<&str>, orchestrator: Option<Orchestrator>) -> Self {
        let (mut seat, handle) = cluster(first());
        let (changes, teller) = Changes::keep(first().view, Rebalance::default(), handle.clone(), None);
        if let Some(orchestrator) = &orchestrator {
            tokio::spawn(evidence::carry(orchestrator.clone(), handle.clone()));
        }
        let admin = Admin::new(handle, orchestrator.clone(), None).recording(Some(changes), Weight::ONE);
        let (router, published, told) = (admin.routes(token), seat.state.clone(), teller.clone());
        tokio::spawn(async move {
            while let Some(demanded) = seat.demands.recv().await {
                let before = seat.state.borrow().view.clone();
                let view = match demanded.demand {
                    Demand::Remove(incarnation, why) => before.without(incarnation, why),
                    Demand::Weight(incarnation, weight) => before.with_next_weight(incarnation, weight),
                    Demand::Rest | Demand::Doubt(_) => unreachable!("the admin API asks for neither"),
                    Demand::Reset(reset) => {
                        carry_out(&told, reset.number);
                        let _asker_left = demanded.answer.send(Ok(before.epoch));
                        continue;
                    }
                };
                let epoch = view.epoch;
                tell(&told, &view);
                seat.state.send_replace(Arc::new(state(view)));
                let _asker_left = demanded.answer.send(Ok(epoch));
            }
        });
        Self { router, state: published, orchestrator, teller, _logs: None }
    }

    /// A gateway that names this one as the orchestrator, if there is one.
    pub(super) fn elsewhere(address: Option<&str>) -> Self {
        let fake = Self::new();
        let (_seat, handle) = cluster(first());
        let router = Admin::new(handle, None, None).referring_to(address).routes(Some("secret"));
        Self { router, ..fake }
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut ClusterState)) {
        self.state.send_modify(|state| change(Arc::make_mut(state)));
    }

    /// Another view, with what follows from it.
    pub(super) fn view(&self, change: impl FnOnce(&View) -> View) {
        let view = change(&self.state.borrow().view);
        tell(&self.teller, &view);
        self.state.send_replace(Arc::new(state(view)));
    }

    pub(super) fn join(&self, name: &str, incarnation: u64) {
        self.view(|view| view.with_node(node(name, incarnation)).activated());
    }

    pub(super) async fn call_as(&self, method: Method, path: &str, authorization: Option<&str>) -> Answer {
        self.ask(method, path, authorization, Body::empty()).await
    }

    async fn ask(&self, method: Method, path: &str, authorization: Option<&str>, body: Body) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(value) = authorization {
            request = request.header("authorization", value.as_bytes());
        }
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        Answer { status, body: serde_json::from_slice(&body).unwrap_or_default() }
    }

    pub(super) async fn call(&self, method: Method, path: &str) -> Answer {
        self.call_as(method, path, Some("Bearer secret")).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path).await
    }

    pub(super) async fn post(&self, path: &str) -> Answer {
        self.call(Method::POST, path).await
    }

    /// With a body.
    pub(super) async fn post_body(&self, path: &str, body: &str) -> Answer {
        self.ask(Method::POST, path, Some("Bearer secret"), Body::from(body.to_owned())).await
    }

    /// Asks until the receipt of this number says that its change is done.
    pub(super) async fn settled(&self, number: &Value) -> Value {
        let seen = async {
            loop {
                let answer = self.get("/admin/changes").await.body;
                let mut receipts = answer["changes"].as_array().unwrap().iter();
                let receipt = receipts.find(|receipt| receipt["number"] == *number).cloned();
                if let Some(receipt) = receipt.filter(|receipt| receipt["state"] == "settled") {
                    return receipt;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(SOON, seen).await.unwrap_or_else(|_| panic!("change {number} is not settled"))
    }

    pub(super) async fn member(&self, name: &str) -> Value {
        let answer = self.get("/admin/members").await;
        let members = answer.body["members"].as_array().unwrap();
        members.iter().find(|member| member["id"] == name).cloned().unwrap_or_default()
    }

    /// Asks until the member is in this state.
    pub(super) async fn wait_for(&self, name: &str, wanted: &str) -> Value {
        let mut changes = self.state.subscribe();
        let seen = async {
            loop {
                let member = self.member(name).await;
                if member["state"] == wanted {
                    return member;
                }
                // A unit's exit is no change of the state: look again soon.
                let _either = tokio::time::timeout(Duration::from_millis(10), changes.changed()).await;
            }
        };
        tokio::time::timeout(SOON, seen).await.unwrap_or_else(|_| panic!("{name} is not {wanted}"))
    }
}
