//! What the member task tells the rest of the process about the cluster, and how it is asked for changes.
//!
//! The member task holds the [`ClusterSeat`]; everybody else a [`ClusterHandle`]. Facts go out as one immutable value
//! through a `watch` channel; demands come in through a short queue and each is answered.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ringway_core::message::{Load, Reset};
use ringway_core::ring::Weight;
use ringway_core::view::{Placement, Removal, View};
use ringway_core::{Epoch, Incarnation, MemberId};
use tokio::sync::{mpsc, oneshot, watch};

/// Orders that wait for the member task. People give them one by one; above it the asker waits.
const ORDERS: usize = 16;
/// An order that has not been answered after this is reported as such. Longer than any registry write takes.
const ORDER_DEADLINE: Duration = Duration::from_secs(5);

/// The cluster as this process sees it at one moment.
#[derive(Debug, Clone)]
pub struct ClusterState {
    /// Who is in the cluster.
    pub view: Arc<View>,
    /// What follows from it for every slot.
    pub placement: Arc<Placement>,
    /// This process.
    pub me: Myself,
    /// What members last said of themselves, this one included.
    pub loads: HashMap<Incarnation, Load>,
    /// How the links to other members are. A member that is not listed has none.
    pub links: HashMap<Incarnation, Reach>,
    /// What is wrong with the ways to others, in words: why this member is kept out of the view, and whom it dials in vain.
    pub troubles: Vec<Arc<str>>,
}

/// The member that this process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Myself {
    /// Its name.
    pub id: MemberId,
    /// This life of it.
    pub incarnation: Incarnation,
}

/// How a member can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Linked, and heard from lately.
    Up,
    /// Linked, and silent for some pings.
    Silent,
    /// Not linked.
    Down,
}

impl ClusterState {
    /// How the member of this incarnation can be reached. A process always reaches itself.
    pub fn reach(&self, incarnation: Incarnation) -> Reach {
        match self.links.get(&incarnation) {
            _ if incarnation == self.me.incarnation => Reach::Up,
            Some(reach) => *reach,
            None => Reach::Down,
        }
    }
}

/// A change of the view that somebody outside the rules wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Demand {
    /// Give it another share of the slots.
    Weight(Incarnation, Weight),
    /// Have this process's own node hand over all that it owns, and stay without a weight.
    Rest,
    /// Take it out.
    Remove(Incarnation, Removal),
    /// No change of the view: somebody beside the links takes these members for gone.
    Doubt(BTreeSet<Incarnation>),
    /// No change of the view, but what follows one: clients at all gateways are asked to connect anew.
    Reset(Reset),
}

/// Why a change was not made. The view is as it was, unless the outcome is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The member is not in the newest view.
    #[error("the member is not in the newest view")]
    NotInView,
    /// The rules do not allow it now.
    #[error("{0}")]
    NotNow(String),
    /// No answer from the registry, or none from the member task.
    #[error(
        "no answer from the registry; the change may or may not have been made. Look at the members, then try again"
    )]
    Unknown,
}

impl From<ringway_core::membership::ChangeError> for ChangeError {
    fn from(why: ringway_core::membership::ChangeError) -> Self {
        use ringway_core::membership::ChangeError as Why;
        match why {
            Why::NotInView => Self::NotInView,
            Why::NoRoom | Why::Filling => Self::NotNow(why.to_string()),
            Why::Unknown => Self::Unknown,
        }
    }
}

/// A demand with where to answer it: the epoch at which it was made.
#[derive(Debug)]
pub struct Demanded {
    /// What is wanted.
    pub demand: Demand,
    /// Where the outcome goes.
    pub answer: oneshot::Sender<Result<Epoch, ChangeError>>,
}

/// The member task's side.
#[derive(Debug)]
pub struct ClusterSeat {
    /// Where the newest state goes.
    pub state: watch::Sender<Arc<ClusterState>>,
    /// Where demands come from.
    pub demands: mpsc::Receiver<Demanded>,
}

/// Everybody else's side. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClusterHandle {
    state: watch::Receiver<Arc<ClusterState>>,
    demands: mpsc::Sender<Demanded>,
}

/// Both sides, with the state to begin with.
pub fn cluster(first: ClusterState) -> (ClusterSeat, ClusterHandle) {
    let (state, seen) = watch::channel(Arc::new(first));
    let (sender, demands) = mpsc::channel(ORDERS);
    (ClusterSeat { state, demands }, ClusterHandle { state: seen, demands: sender })
}

impl ClusterHandle {
    /// The newest state.
    pub fn state(&self) -> Arc<ClusterState> {
        self.state.borrow().clone()
    }

    /// A receiver of its own, to wait for changes with.
    pub fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.state.clone()
    }

    /// Asks for a change and waits until it is made or refused.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn change(&self, demand: Demand) -> Result<Epoch, ChangeError> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.demands.send(Demanded { demand, answer }).await.ok()?;
            answered.await.ok()
        };
        tokio::time::timeout(ORDER_DEADLINE, asked).await.ok().flatten().unwrap_or(Err(ChangeError::Unknown))
    }

    /// Waits until the state is as wanted, for as long as `limit`.
    pub async fn wait_until(&self, limit: Duration, mut wanted: impl FnMut(&ClusterState) -> bool) -> bool {
        let mut state = self.watch();
        let reached = state.wait_for(|state| wanted(state));
        matches!(tokio::time::timeout(limit, reached).await, Ok(Ok(_)))
    }
}
