//! Receipts: what every change of the members came to. Kept by the keeper's process, which sees every view and hears from every
//! gateway.
//!
//! Who asks for a change says so beforehand ([`Changes::begin`]); the member task tells [`Fact`]s: views, nodes that are settled,
//! what gateways saw. One task takes both, in the order in which they happened, and keeps the `Ledger`.

mod given;
mod goal;
mod ledger;
mod receipt;
mod seen;
mod step;

use std::sync::Arc;
use std::time::Duration;

use ringway_core::message::{ResetCount, Toll};
use ringway_core::ring::{SlotSet, Weight};
use ringway_core::timing::Now;
use ringway_core::view::{Placement, View};
use ringway_core::{Epoch, Incarnation, MemberId, Slot};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use crate::clock;
use crate::cluster::{ClusterHandle, Demand};
use crate::gateway::{Client, Intake};
use crate::rebalance::Rebalance;
use ledger::Ledger;

pub use receipt::{Occasion, Predicted, Receipt, State};

/// Facts and questions that wait. A few come per second and member. Above it facts are dropped: the next view makes up for
/// one that was missed, and members say again what they said.
const QUEUE: usize = 1024;

/// How often it is looked whether a change has taken too long.
const LOOK: Duration = Duration::from_secs(1);

/// Longest wait for the number of users that moved. It takes a turn of the member task.
const COUNT_DEADLINE: Duration = Duration::from_secs(1);

/// Something that the member task saw.
#[derive(Debug)]
pub enum Fact {
    /// This process keeps receipts from here on. What it kept before, when it was the keeper once, is over.
    Begun {
        /// The view before the one that made it the keeper.
        view: Arc<View>,
    },
    /// A newer view was applied.
    View {
        /// When.
        at: Now,
        /// The view.
        view: Arc<View>,
        /// What it means.
        placement: Placement,
        /// Who is no longer in it.
        left: Vec<Departure>,
    },
    /// A node said how it is.
    Node {
        /// When.
        at: Now,
        /// Which.
        node: Incarnation,
        /// The epoch that it spoke of.
        epoch: Epoch,
        /// All slots that it owns then have their copies.
        settled: bool,
    },
    /// A gateway said what it saw.
    Toll {
        /// When.
        at: Now,
        /// Which.
        gateway: Incarnation,
        /// The view that it has.
        epoch: Epoch,
        /// What.
        toll: Box<Toll>,
    },
    /// An order to connect anew was given to the gateways.
    ResetGiven {
        /// When.
        at: Now,
        /// Which order.
        number: u64,
        /// Gateways of the view that were not linked, and did not get it.
        missed: Vec<Incarnation>,
    },
    /// A gateway said how far it is with an order.
    Reset {
        /// When.
        at: Now,
        /// Which gateway.
        gateway: Incarnation,
        /// How far.
        count: ResetCount,
    },
}

/// A member that left the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// Which life of which.
    pub incarnation: Incarnation,
    /// When its link or its process ended; where neither did, when it was last heard.
    pub since: Now,
    /// Its link or its process has ended.
    pub ended: bool,
    /// Client sockets it said it had.
    pub sockets: u64,
}

/// A change that somebody is about to make.
#[derive(Debug, Clone)]
pub struct Intended {
    /// When it was asked for, by this process's clock.
    pub at: Now,
    /// What.
    pub action: Occasion,
    /// To whom.
    pub member: MemberId,
    /// How clients are treated whose owner changes; `None`: as usual.
    pub rebalance: Option<Rebalance>,
    /// The weight to come, if that is what is changed.
    pub weight: Option<Weight>,
    /// What it should come to.
    pub predicted: Option<Predicted>,
}

/// What the task takes.
#[derive(Debug)]
enum Input {
    Fact(Fact),
    Begin(Box<Intended>, oneshot::Sender<u64>),
    Refused(u64, oneshot::Sender<u64>),
}

/// The member task's side: tells facts, and never waits.
#[derive(Debug, Clone)]
pub struct Teller(mpsc::Sender<Input>);

impl Teller {
    /// Tells a fact.
    pub fn tell(&self, fact: Fact) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.0.try_send(Input::Fact(fact)) {
            warn!("receipts are behind by {QUEUE} facts; one was dropped");
        }
    }
}

/// Everybody else's side. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Changes {
    inputs: mpsc::Sender<Input>,
    kept: watch::Receiver<Arc<Vec<Receipt>>>,
    usual: Rebalance,
}

impl Changes {
    /// Begins to keep receipts, for a cluster with this view. Unless a change says otherwise, clients whose owner changes are treated
    /// as `usual`; through `cluster` they are asked to connect anew. `intake` leads to the sessions of this process, whose users
    /// are counted. Needs a running Tokio runtime.
    pub fn keep(
        view: Arc<View>,
        usual: Rebalance,
        cluster: ClusterHandle,
        intake: Option<Arc<Intake<Client>>>,
    ) -> (Self, Teller) {
        let (inputs, taken) = mpsc::channel(QUEUE);
        let (publish, kept) = watch::channel(Arc::default());
        tokio::spawn(run(Ledger::new(view, usual), taken, cluster, intake, publish));
        (Self { inputs: inputs.clone(), kept, usual }, Teller(inputs))
    }

    /// How clients are treated unless a change says otherwise.
    pub fn usual_rebalance(&self) -> Rebalance {
        self.usual
    }

    /// The receipts that are kept, oldest first.
    pub fn kept(&self) -> Arc<Vec<Receipt>> {
        self.kept.borrow().clone()
    }

    /// How long changes of this kind took here to settle: the median of those that are kept. `None` if there was none.
    pub fn usual(&self, action: Occasion) -> Option<Duration> {
        let kept = self.kept();
        let same = kept.iter().filter(|receipt| receipt.action == action && receipt.state == State::Settled);
        let mut took: Vec<f64> = same.filter_map(|receipt| receipt.settled_ms).collect();
        took.sort_by(f64::total_cmp);
        took.get(took.len() / 2).map(|millis| Duration::from_secs_f64(millis / 1000.0))
    }

    /// Opens a receipt before its change is made. `None` if none are kept any more, because the process ends.
    pub async fn begin(&self, asked: Intended) -> Option<u64> {
        let (answer, number) = oneshot::channel();
        self.inputs.send(Input::Begin(Box::new(asked), answer)).await.ok()?;
        number.await.ok()
    }

    /// Takes a receipt back: its change was refused, and nothing has happened.
    pub async fn refused(&self, number: u64) {
        let (answer, done) = oneshot::channel();
        // An error means that the process ends.
        if self.inputs.send(Input::Refused(number, answer)).await.is_ok() {
            let _ = done.await;
        }
    }
}

async fn run(
    mut ledger: Ledger,
    mut taken: mpsc::Receiver<Input>,
    cluster: ClusterHandle,
    intake: Option<Arc<Intake<Client>>>,
    publish: watch::Sender<Arc<Vec<Receipt>>>,
) {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Answered when everybody can see it.
        let mut asker = None;
        tokio::select! {
            input = taken.recv() => match input {
                Some(Input::Fact(fact)) => {
                    let mut shifts = ledger.on_fact(fact);
                    // Those who must go are told before anybody is counted.
                    for order in shifts.iter_mut().filter_map(|shift| shift.order.take()) {
                        let number = order.number;
                        if let Err(why) = cluster.change(Demand::Reset(order)).await {
                            warn!(%why, "clients are not asked to connect anew");
                            ledger.not_given(number);
                        }
                    }
                    for shift in shifts {
                        let users = count_users(intake.as_deref(), shift.slots).await;
                        ledger.add_users(shift.number, users);
                    }
                }
                Some(Input::Begin(asked, answer)) => asker = Some((answer, ledger.begin(*asked))),
                Some(Input::Refused(number, answer)) => {
                    ledger.take_back(number);
                    asker = Some((answer, number));
                }
                None => return,
            },
            _ = look.tick() => ledger.look(clock::now()),
        }
        if ledger.take_changed() {
            publish.send_replace(Arc::new(ledger.receipts()));
        }
        if let Some((answer, number)) = asker {
            let _asker_left = answer.send(number);
        }
    }
}

/// Users with a session here whose inbox is in one of the slots; 0 if that is not to be had.
async fn count_users(intake: Option<&Intake<Client>>, slots: Vec<Slot>) -> u64 {
    let Some(intake) = intake.filter(|_| !slots.is_empty()) else { return 0 };
    let counted = tokio::time::timeout(COUNT_DEADLINE, intake.users_in(SlotSet::of(slots))).await;
    counted.ok().flatten().map_or(0, |(count, _)| count)
}
