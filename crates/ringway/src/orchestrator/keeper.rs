//! The task behind an [`Orchestrator`](super::Orchestrator): owns the list, gives orders, hears of exits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringway_core::MemberId;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use super::cut::LinkFault;
use super::driver::{Driver, DriverError, Running, UnitSignal};
use super::{Condition, Errand, Kind, Operation, OrchestratorError, UNITS, Unit, Units};

/// Exits and orders that wait. There are few units, and each sends one exit; above it a unit's task waits.
const QUEUE: usize = 16;

/// Owns everything that was started.
pub(super) struct Keeper<D> {
    driver: D,
    units: Units,
    /// Ways to the tasks of running units.
    reins: BTreeMap<MemberId, mpsc::Sender<(UnitSignal, Delivered)>>,
    /// Units that were asked to leave, for when a freeze of theirs ends.
    leaving: BTreeSet<MemberId>,
    /// Number of the last id given out. Ids are not used twice.
    last: u32,
    publish: watch::Sender<Arc<Units>>,
    exits: (mpsc::Sender<Exit>, mpsc::Receiver<Exit>),
}

type Delivered = oneshot::Sender<Result<(), DriverError>>;

/// A unit's process has ended.
struct Exit {
    id: MemberId,
    how: String,
}

impl<D: Driver> Keeper<D> {
    pub(super) fn new(driver: D, publish: watch::Sender<Arc<Units>>) -> Self {
        let (units, reins, leaving) = (Units::new(), BTreeMap::new(), BTreeSet::new());
        Self { driver, units, reins, leaving, last: 0, publish, exits: mpsc::channel(QUEUE) }
    }

    /// Until told to end, or until every handle is gone. Units that still run then are killed.
    pub(super) async fn run(mut self, mut errands: mpsc::Receiver<Errand>) {
        loop {
            tokio::select! {
                Some(exit) = self.exits.1.recv() => self.exited(exit),
                command = errands.recv() => match command {
                    Some(Errand::Add { taken, answer }) => drop(answer.send(self.add(&taken).await)),
                    Some(Errand::Gateway { id, port, answer }) => {
                        drop(answer.send(self.start(&id, Kind::Gateway { port }).await));
                    }
                    Some(Errand::Fault { id, fault, answer }) => drop(answer.send(self.disturb(&id, fault).await)),
                    Some(Errand::Act { id, action, answer }) => drop(answer.send(self.act(&id, action).await)),
                    Some(Errand::Next { taken, answer }) => drop(answer.send(self.next_id(&taken).1)),
                    Some(Errand::End { answer }) => {
                        self.end().await;
                        let _nobody_waits = answer.send(());
                        return;
                    }
                    None => return self.end().await,
                },
            }
        }
    }

    async fn add(&mut self, taken: &BTreeSet<MemberId>) -> Result<MemberId, OrchestratorError> {
        let id = self.fresh_id(taken);
        self.start(&id, Kind::Node).await?;
        Ok(id)
    }

    async fn start(&mut self, id: &MemberId, kind: Kind) -> Result<(), OrchestratorError> {
        match self.units.len() < UNITS {
            true => self.spawn(id, kind).await,
            false => Err(OrchestratorError::Full),
        }
    }

    fn fresh_id(&mut self, taken: &BTreeSet<MemberId>) -> MemberId {
        let (number, id) = self.next_id(taken);
        self.last = number;
        id
    }

    /// The id that the next node gets, with its number.
    fn next_id(&self, taken: &BTreeSet<MemberId>) -> (u32, MemberId) {
        let id = |number| MemberId::new(&format!("node-{number}")).expect("letters, a dash and digits");
        let free = (self.last + 1..).map(|number| (number, id(number))).find(|(_, id)| !taken.contains(id));
        free.expect("there are more numbers than members")
    }

    async fn spawn(&mut self, id: &MemberId, kind: Kind) -> Result<(), OrchestratorError> {
        let unit = self.driver.start(id, kind).await?;
        info!(member = %id, pid = unit.pid(), "process started");
        let (rein, orders) = mpsc::channel(QUEUE);
        self.reins.insert(id.clone(), rein);
        self.leaving.remove(id);
        let ended = self.units.get(id).map_or_else(String::new, |before| before.ended.clone());
        self.units.insert(id.clone(), Unit { kind, pid: unit.pid(), condition: Condition::Running, ended });
        self.tell();
        tokio::spawn(keep(unit, id.clone(), orders, self.exits.0.clone()));
        Ok(())
    }

    async fn act(&mut self, id: &MemberId, action: Operation) -> Result<(), OrchestratorError> {
        let unit = self.units.get(id).ok_or_else(|| OrchestratorError::Unknown(id.clone()))?;
        let (kind, condition) = (unit.kind, unit.condition);
        match (action, condition) {
            (Operation::Start, Condition::Ended) => self.spawn(id, kind).await,
            (Operation::Remove, Condition::Ended) => {
                self.units.remove(id);
                self.tell();
                Ok(())
            }
            (Operation::Stop, Condition::Running) => {
                self.leaving.insert(id.clone());
                self.order(id, UnitSignal::Terminate, Condition::Stopping).await
            }
            // A second SIGTERM would mean "at once": asking twice does not.
            (Operation::Stop, Condition::Stopping) => Ok(()),
            (Operation::Kill, Condition::Running | Condition::Stopping | Condition::Frozen) => {
                self.order(id, UnitSignal::Kill, condition).await
            }
            (Operation::Freeze, Condition::Running | Condition::Stopping) => {
                self.order(id, UnitSignal::Freeze, Condition::Frozen).await
            }
            (Operation::Thaw, Condition::Frozen) => {
                let after = if self.leaving.contains(id) { Condition::Stopping } else { Condition::Running };
                self.order(id, UnitSignal::Thaw, after).await
            }
            _ => Err(OrchestratorError::NotNow(refusal(id, action, condition))),
        }
    }

    async fn disturb(&mut self, id: &MemberId, fault: LinkFault) -> Result<(), OrchestratorError> {
        match self.units.get(id).ok_or_else(|| OrchestratorError::Unknown(id.clone()))?.condition {
            condition @ (Condition::Running | Condition::Stopping) => {
                self.order(id, UnitSignal::Fault(fault), condition).await
            }
            _ => Err(OrchestratorError::NotNow(format!(
                "{id} is frozen or down, so it has no links that could be cut or slowed"
            ))),
        }
    }

    /// Has the unit's task deliver an order; on success the unit is in the condition `after`.
    async fn order(&mut self, id: &MemberId, order: UnitSignal, after: Condition) -> Result<(), OrchestratorError> {
        let (delivered, answer) = oneshot::channel();
        let rein = self.reins.get(id).ok_or(DriverError::Gone)?;
        rein.send((order, delivered)).await.map_err(|_| DriverError::Gone)?;
        answer.await.map_err(|_| DriverError::Gone)??;
        if let Some(unit) = self.units.get_mut(id) {
            unit.condition = after;
        }
        self.tell();
        Ok(())
    }

    fn exited(&mut self, exit: Exit) {
        self.reins.remove(&exit.id);
        let asked_for = self.leaving.remove(&exit.id);
        if asked_for {
            info!(member = %exit.id, how = %exit.how, "process ended as asked");
        } else {
            warn!(member = %exit.id, how = %exit.how, "process ended");
        }
        if let Some(unit) = self.units.get_mut(&exit.id) {
            *unit = Unit { kind: unit.kind, pid: 0, condition: Condition::Ended, ended: exit.how };
        }
        self.tell();
    }

    /// Kills all and sees each end. What they know is in memory alone, so there is nothing to hand over and nobody to take it.
    async fn end(&mut self) {
        for rein in self.reins.values() {
            let (delivered, _answer) = oneshot::channel();
            let _already_gone = rein.send((UnitSignal::Kill, delivered)).await;
        }
        while !self.reins.is_empty() {
            let Some(exit) = self.exits.1.recv().await else { return };
            self.leaving.insert(exit.id.clone());
            self.exited(exit);
        }
    }

    fn tell(&self) {
        self.publish.send_replace(Arc::new(self.units.clone()));
    }
}

/// Owns one unit until it ends, so that an order can never reach a process that took over its number.
async fn keep<R: Running>(
    mut unit: R,
    id: MemberId,
    mut orders: mpsc::Receiver<(UnitSignal, Delivered)>,
    exits: mpsc::Sender<Exit>,
) {
    loop {
        tokio::select! {
            how = unit.ended() => {
                let _keeper_gone = exits.send(Exit { id, how }).await;
                return;
            }
            order = orders.recv() => match order {
                Some((order, delivered)) => drop(delivered.send(unit.order(order).await)),
                None => return,
            },
        }
    }
}

/// What is said when an action means nothing in a condition.
fn refusal(id: &MemberId, action: Operation, condition: Condition) -> String {
    match (action, condition) {
        (Operation::Start, Condition::Frozen) => format!("{id} is frozen, not down: thaw it"),
        (Operation::Start, _) => format!("{id} is running already; stop or kill it first"),
        (Operation::Remove, _) => format!("{id} still has a process; stop or kill it first, then remove it"),
        (Operation::Stop, Condition::Frozen) => {
            format!("{id} is frozen and cannot hand over: thaw it first, or kill it")
        }
        (Operation::Freeze, Condition::Frozen) => format!("{id} is frozen already; thaw it"),
        (Operation::Thaw, Condition::Running | Condition::Stopping) => {
            format!("{id} is not frozen: there is nothing to thaw")
        }
        _ => format!("{id} is down: it has no process; start it first"),
    }
}
