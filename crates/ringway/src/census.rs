//! The census: a list outside the cluster of who is there (`ringway_engine::census`), which may move a member.
//!
//! Each member enters itself, looks at its own line, and asks for its own change. So what must be remembered of it, that it was the census
//! which had this node rest, lives exactly as long as the member does.
//!
//! One task speaks to the census, and leaves what it hears in a `watch`; another one follows it ([`policy`]) and asks the member task.

mod policy;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ringway_core::Incarnation;
use ringway_core::ring::Weight;
use ringway_core::view::{NodeEntry, NodeState, View};
use ringway_engine::census::{Absent, Census, Entry, LOOK, List};
use ringway_engine::nacos::{Nacos, Offer};
use ringway_protocol::link::Identity;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::cluster::{ChangeError, ClusterHandle, Demand};
use crate::config::{CensusAt, Config, Roles};
use crate::engine;
use policy::{Policy, Wish};

/// A wish that was refused is tried again after this.
const RETRY: Duration = Duration::from_secs(2);

/// What the members were told of who is gone is told again after this: one may have begun a new life, and forgotten it.
const REPEAT: Duration = Duration::from_secs(5);

/// The end of a process waits so long for the census to take it out of the list.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is known of the census, for health and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// What is wrong with it.
    pub trouble: Option<Arc<str>>,
    /// It lists this member.
    pub is_listed: bool,
    /// It has this member's node rest.
    pub rests: bool,
}

/// What a process needs to enter the census. It enters once, as its first member: further ones are gateways alone.
#[derive(Debug)]
pub struct Entrance {
    nacos: Nacos,
    entry: Entry,
    settle: Duration,
    said: watch::Sender<Said>,
}

impl Entrance {
    /// `None`: these settings name no census.
    pub fn of(config: &Config, roles: Roles, identity: &Identity) -> Option<Self> {
        match config.cluster.census {
            CensusAt::Nowhere => return None,
            CensusAt::Nacos => {}
        }
        let offered = identity.client_address.clone().zip(config.nacos.gateway_service.clone());
        let offer = offered.map(|(address, service)| Offer { service, address: address.to_string() });
        let roles = match (roles.gateway, roles.node) {
            (true, true) => "gateway,node",
            (true, false) => "gateway",
            _ => "node",
        };
        let entry = Entry {
            id: identity.id.to_string(),
            incarnation: identity.incarnation.0,
            roles: roles.to_owned(),
            address: identity.address.to_string(),
            weight: config.cluster.weight.as_number(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let nacos = Nacos::new(engine::nacos_settings(config), offer);
        Some(Self { nacos, entry, settle: config.nacos.settle, said: watch::Sender::new(Said::default()) })
    }

    /// Where it is told what is known of the census.
    pub fn said(&self) -> watch::Receiver<Said> {
        self.said.subscribe()
    }

    /// Enters. Needs a running Tokio runtime.
    pub fn take(self, cluster: ClusterHandle) -> Place {
        Place::take(self.nacos, self.entry, self.settle, cluster, self.said)
    }
}

/// A member's place in the census.
#[derive(Debug)]
pub struct Place {
    leave: parking_lot::Mutex<Option<oneshot::Sender<()>>>,
    keeper: JoinHandle<()>,
    follower: JoinHandle<()>,
}

impl Place {
    /// Enters the census, now or as soon as it is there, and does what it says from then on.
    pub fn take(
        census: impl Census,
        entry: Entry,
        settle: Duration,
        cluster: ClusterHandle,
        said: watch::Sender<Said>,
    ) -> Self {
        let weight = Weight::from_number(entry.weight).unwrap_or(Weight::ONE);
        let policy = Policy::new(&entry.id, weight, settle);
        let (leave, left) = oneshot::channel();
        let (hear, heard) = watch::channel(None);
        let keeper = tokio::spawn(keep_listed(census, entry, hear, left));
        let began = Instant::now();
        let follower = Follower { policy, cluster, said, began, resting: None, again: began, refused: None };
        let follower = tokio::spawn(follower.run(heard));
        Self { leave: parking_lot::Mutex::new(Some(leave)), keeper, follower }
    }

    /// Leaves the census: nothing that it says counts any more. Takes a second at the most.
    pub async fn leave(&self) {
        self.follower.abort();
        let leave = self.leave.lock().take();
        if let Some(leave) = leave {
            // An error means that the task has ended.
            let _ = leave.send(());
            let end = Instant::now() + FAREWELL;
            while !self.keeper.is_finished() && Instant::now() < end {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.follower.abort();
        self.keeper.abort();
    }
}

type Heard = Option<Result<List, Absent>>;

/// Keeps this member in the list, and hears what it says, until it is to leave.
async fn keep_listed(
    mut census: impl Census,
    entry: Entry,
    hear: watch::Sender<Heard>,
    mut left: oneshot::Receiver<()>,
) {
    let id = entry.id.clone();
    match census.enter(entry).await {
        Ok(()) => info!(%id, "this member is listed in the census"),
        Err(why) => warn!(
            %id, %why,
            "this member is not listed in the census yet; it works all the same, and is listed as soon as that is possible. If the census is to be used, look at the \
             section [nacos] of the config and at Nacos itself; `ringway doctor` tells more"
        ),
    }
    loop {
        tokio::select! {
            biased;
            _ = &mut left => break,
            heard = census.next() => {
                if heard.is_err() {
                    // It may say so at once, again and again.
                    tokio::time::sleep(LOOK / 4).await;
                }
                hear.send_replace(Some(heard));
            }
        }
    }
    census.leave().await;
}

/// Follows what the census says.
struct Follower {
    policy: Policy,
    cluster: ClusterHandle,
    said: watch::Sender<Said>,
    began: Instant,
    /// The node rests because of the census, and had this weight before.
    resting: Option<Weight>,
    /// A wish that was refused is not tried before then.
    again: Instant,
    /// Why the last wish was refused.
    refused: Option<String>,
}

impl Follower {
    async fn run(mut self, mut heard: watch::Receiver<Heard>) {
        let (mut told, mut tell_again) = (BTreeSet::new(), Instant::now());
        let mut changes = self.cluster.watch();
        loop {
            tokio::select! {
                changed = heard.changed() => if changed.is_err() { return },
                changed = changes.changed() => if changed.is_err() { return },
                () = sleep_until(Instant::now() + RETRY / 4) => {}
            }
            if let Some(heard) = heard.borrow_and_update().as_ref() {
                self.policy.hear(self.began.elapsed(), heard.as_ref());
            }
            self.fulfil().await;
            let gone = self.gone(&self.cluster.state().view);
            if gone != told || (!gone.is_empty() && Instant::now() >= tell_again) {
                tell_again = Instant::now() + REPEAT;
                // What is not taken now is told again.
                let _ = self.cluster.change(Demand::Doubt(gone.clone())).await;
                told = gone;
            }
            self.tell();
        }
    }

    /// Has the member task do what the census wants of this node.
    async fn fulfil(&mut self) {
        let (view, me) = (self.cluster.state().view.clone(), self.cluster.state().me.incarnation);
        let Some(node) = view.node(me) else { return };
        if Instant::now() < self.again {
            return;
        }
        let outcome = match self.policy.wish(self.resting.is_some()) {
            Wish::Rest(reason) if node.stays() => {
                let outcome = self.cluster.change(Demand::Rest).await.map_err(|why| refusal(&reason, &why));
                if outcome.is_ok() {
                    info!("the census has this node {reason}: it hands over what it owns, and rests");
                    self.resting.get_or_insert(node.next);
                }
                outcome.map(drop)
            }
            Wish::Wake => self.wake(node).await,
            Wish::Weigh(weight) => self.weigh(me, weight).await,
            Wish::Rest(_) | Wish::Nothing => Ok(()),
        };
        if let Err(why) = &outcome {
            self.again = Instant::now() + RETRY;
            if self.refused.as_ref() != Some(why) {
                warn!("{why}");
            }
        }
        self.refused = outcome.err();
    }

    async fn wake(&mut self, node: &NodeEntry) -> Result<(), String> {
        let before = self.resting.unwrap_or(Weight::ONE);
        // It may serve already: where everybody rests, everybody serves.
        if matches!(node.state(), NodeState::Resting | NodeState::Draining) || self.policy.new_weight().is_some() {
            let weight = self.policy.new_weight().unwrap_or(before);
            info!(weight = weight.as_number(), "the census has this node well again: it is to work");
            self.weigh(node.incarnation, weight).await?;
        }
        self.resting = None;
        Ok(())
    }

    async fn weigh(&mut self, me: Incarnation, weight: Weight) -> Result<(), String> {
        let changed = self.cluster.change(Demand::Weight(me, weight)).await;
        changed.map_err(|why| {
            format!("the census gives this node the weight {}, which it has not got yet: {why}", weight.as_number())
        })?;
        info!(weight = weight.as_number(), "the census gives this node its weight");
        self.policy.weighed();
        Ok(())
    }

    /// The members of the view that have gone from the list.
    fn gone(&self, view: &View) -> BTreeSet<Incarnation> {
        let gone = |(id, member, _): (&ringway_core::MemberId, Incarnation, &Arc<str>)| {
            self.policy.gone().contains(id.as_str()).then_some(member)
        };
        view.members().filter_map(gone).collect()
    }

    fn tell(&self) {
        let trouble = self.policy.trouble().or(self.refused.as_ref()).map(|trouble| Arc::from(trouble.as_str()));
        let said = Said { trouble, is_listed: self.policy.is_listed(), rests: self.resting.is_some() };
        self.said.send_if_modified(|before| std::mem::replace(before, said.clone()) != said);
    }
}

fn refusal(reason: &ringway_engine::census::Reason, why: &ChangeError) -> String {
    format!("the census has this node {reason}, and it stays at work: {why}")
}

#[cfg(test)]
mod tests;
