//! A member of this process at work. A process has one, and further gateways where `[server] gateways` says so.

use std::collections::HashMap;
use std::sync::Arc;

use ringway_core::Incarnation;
use ringway_core::id::MemberId;
use ringway_core::ring::Weight;
use ringway_core::view::{Placement, View};
use ringway_link::{Event, Links, Target};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::numbers::Counted;
use crate::changes::Teller;
use crate::clock;
use crate::cluster::{self, ClusterHandle, ClusterState, Myself};
use crate::config::Config;
use crate::gateway::{Client, Intake};
use crate::health::{Expected, Health};
use crate::logbook;
use crate::member::{self, End, GatewayParts, Meter, Parts, Signal, Stats};
use crate::orders;
use crate::registry::Handle;

/// Signals that may wait for a member task: there are three, given one after the other.
const SIGNALS: usize = 4;

/// A member that knows its cluster, and whose task has not begun.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) id: MemberId,
    pub(super) incarnation: Incarnation,
    pub(super) node: Option<Weight>,
    pub(super) gateway: Option<GatewayParts>,
    pub(super) registry: Handle,
    pub(super) log: logbook::Handle,
    pub(super) orders: orders::Handle,
    pub(super) join: Option<Target>,
    pub(super) view: Arc<View>,
    pub(super) links: Links,
    pub(super) events: (Vec<Event>, mpsc::Receiver<Event>),
}

/// What the rest of the process has of a member whose task runs.
#[derive(Debug)]
pub(super) struct Seated {
    pub(super) cluster: ClusterHandle,
    pub(super) health: Health,
    pub(super) counted: Counted,
    pub(super) intake: Option<Arc<Intake<Client>>>,
    pub(super) control: Control,
}

/// How a member task is told to end, and known to have ended.
#[derive(Debug)]
pub(super) struct Control {
    signals: mpsc::Sender<Signal>,
    pub(super) links: Links,
    pub(super) task: JoinHandle<End>,
}

impl Ready {
    /// Starts the member task. `keep` says where its receipts go.
    pub(super) fn start(self, config: &Config, keep: impl FnOnce(&ClusterHandle) -> Option<Teller>) -> Seated {
        let (seat, cluster) = cluster::cluster(self.first_state());
        let (signals, orders) = mpsc::channel(SIGNALS);
        let (stats, seen) = watch::channel(Stats { turned: clock::now(), ..Stats::default() });
        let expected = Expected { nodes: config.cluster.expect_nodes, gateways: config.cluster.expect_gateways };
        let meter = Meter::default();
        let counted =
            Counted { id: self.id.clone(), stats: seen.clone(), links: self.links.clone(), meter: meter.clone() };
        let (intake, links) = (self.gateway.as_ref().map(|gateway| gateway.intake.clone()), self.links.clone());
        let parts = Parts {
            id: self.id,
            incarnation: self.incarnation,
            node: self.node,
            gateway: self.gateway,
            registry: self.registry,
            log: self.log,
            orders: self.orders,
            join: self.join,
            view: self.view,
            timing: config.timing,
            limits: (config.limits.gateway, config.limits.node),
            links: self.links,
            events: self.events,
            seat,
            signals: orders,
            stats,
            teller: keep(&cluster),
        };
        let health = Health::new(cluster.clone(), seen, config.timing, expected);
        let task = tokio::spawn(meter.measure(member::run(parts)));
        Seated { cluster, health, counted, intake, control: Control { signals, links, task } }
    }

    fn first_state(&self) -> ClusterState {
        ClusterState {
            placement: Arc::new(Placement::of(&self.view, None)),
            view: self.view.clone(),
            me: Myself { id: self.id.clone(), incarnation: self.incarnation },
            loads: HashMap::new(),
            links: HashMap::new(),
            troubles: Vec::new(),
        }
    }
}

impl Control {
    /// Gives the order, and waits until it is carried out or the task has ended.
    pub(super) async fn order(&self, signal: impl FnOnce(oneshot::Sender<()>) -> Signal) {
        let (done, finished) = oneshot::channel();
        if self.signals.send(signal(done)).await.is_ok() {
            // An error means that the task has ended, which is what was wanted.
            let _ = finished.await;
        }
    }
}
