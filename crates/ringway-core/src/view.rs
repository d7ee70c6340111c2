//! The view: who is in the cluster, with what weight, at which epoch; and what follows from it for every slot.
//!
//! A view is a value. Each change is a pure function from one view to the next; the registry's compare-and-set on
//! the epoch decides which change happens. Nothing here is per slot: who owns what is computed ([`Placement`]).

mod difference;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

pub use difference::Difference;
use smallvec::SmallVec;

use crate::id::{Birth, Epoch, Incarnation, MemberId, Slot};
use crate::limits::COUNT_MOST;
use crate::ring::{HashKey, MAX_NODES, SlotCount, Table, Weight};

/// A node as the view lists it.
///
/// Its two weights say what it does: joining is 0 → w, draining is w → 0, a changed weight is w1 → w2, resting is 0 → 0, and
/// active is any other node whose two weights are the same. `cur` is placed by `now`, `next` by `next`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEntry {
    /// Stable name; what is hashed.
    pub id: MemberId,
    /// This life of the process.
    pub incarnation: Incarnation,
    /// Where members reach it, `host:port`.
    pub address: Arc<str>,
    /// Weight by which slots are owned at this epoch.
    pub now: Weight,
    /// Weight by which slots will be owned once everybody is settled.
    pub next: Weight,
}

/// What a node is doing, read from its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// Being filled; owns nothing yet.
    Joining,
    /// Owns what its weight gives it.
    Active,
    /// Still owns, and others are being filled in its place.
    Draining,
    /// Active with another weight to come.
    Reweighting,
    /// Owns nothing, and is to own nothing until it is given a weight.
    Resting,
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Joining => "joining",
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Reweighting => "reweighting",
            Self::Resting => "resting",
        })
    }
}

impl NodeEntry {
    /// What the weights say.
    pub fn state(&self) -> NodeState {
        match (self.now == Weight::ZERO, self.next == Weight::ZERO) {
            (true, true) => NodeState::Resting,
            (true, false) => NodeState::Joining,
            (false, true) => NodeState::Draining,
            (false, false) if self.now == self.next => NodeState::Active,
            (false, false) => NodeState::Reweighting,
        }
    }

    /// Owns slots now: active, draining or changing its weight.
    pub fn serves(&self) -> bool {
        self.now != Weight::ZERO
    }

    /// Stays: active or changing its weight (the "active" of the rule of room).
    pub fn stays(&self) -> bool {
        self.serves() && self.next != Weight::ZERO
    }
}

/// A gateway as the view lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayEntry {
    /// Stable name.
    pub id: MemberId,
    /// This life of the process.
    pub incarnation: Incarnation,
    /// Where clients reach it, `host:port`.
    pub address: Arc<str>,
    /// Where members reach it, `host:port`.
    pub link: Arc<str>,
    /// It sheds its clients and will leave.
    pub draining: bool,
}

/// Why a member leaves the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It asked for it, drained.
    Planned,
    /// Its process is known to have ended: it acknowledges nothing more.
    Proven,
    /// It was silent, or its host refused a connection: it may still act for a while.
    Suspected,
}

/// Who is in the cluster. Only the registry's compare-and-set makes one the newest.
#[derive(Clone, PartialEq, Eq)]
pub struct View {
    /// Grows by one with each write.
    pub epoch: Epoch,
    /// Key of all placement hashing, drawn when the cluster was born.
    pub key: HashKey,
    /// Number of slots, fixed when the cluster was born.
    pub slots: SlotCount,
    /// Copies of a slot that its owner keeps, its own included: 2, or 1 without a standby. Fixed when the cluster was born.
    pub copies: u8,
    /// Copies that must hold a publication with history before it is acknowledged: 1 lets an owner that is alone go on,
    /// 2 makes it wait for a second one. At most `copies`; fixed when the cluster was born.
    pub ack_copies: u8,
    /// Nodes, ordered by id.
    pub nodes: Vec<NodeEntry>,
    /// Gateways, ordered by id.
    pub gateways: Vec<GatewayEntry>,
    /// Removals of nodes that were neither planned nor proven. A raise of it makes new streams wait.
    pub removals: u64,
    /// So many of them were so long ago that nobody whom they left out acts any more: no stream waits for them.
    pub removals_over: u64,
    /// Removals of nodes that were not planned.
    pub crashes: u64,
    /// Checksum of the two slot tables, so that members that place differently notice.
    pub checksum: u64,
}

/// Why a view that came from another member is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ViewFault {
    /// What is fixed when a cluster is born is another.
    #[error("it is of another cluster")]
    OtherCluster,
    /// No table takes so many.
    #[error("it lists {0} nodes, and a cluster has at most {MAX_NODES}")]
    TooManyNodes(usize),
    /// Two entries are the same member, or they are not in the order of their ids.
    #[error("its members are not listed once each, in the order of their ids")]
    Disordered,
    /// Two nodes have one incarnation.
    #[error("two of its nodes have one incarnation")]
    Doubled,
    /// The numbers of copies are impossible.
    #[error("it asks for {ack_copies} of {copies} copies")]
    Copies {
        /// Copies of a slot.
        copies: u8,
        /// Copies that an acknowledgement waits for.
        ack_copies: u8,
    },
    /// Nobody has written so many views.
    #[error("its epoch {0} was made up")]
    Epoch(Epoch),
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "View {{ {}:", self.epoch)?;
        for node in &self.nodes {
            write!(f, " {}/{} {:?}", node.id, node.incarnation, node.state())?;
        }
        for gateway in &self.gateways {
            write!(f, " {}/{}", gateway.id, gateway.incarnation)?;
        }
        write!(f, ", {} removals }}", self.removals)
    }
}

impl View {
    /// The view of a cluster that was just born: nobody in it, epoch 1.
    pub fn born(key: HashKey, slots: SlotCount) -> Self {
        let (nodes, gateways) = (Vec::new(), Vec::new());
        let (epoch, copies, ack_copies) = (Epoch(1), 2, 1);
        Self {
            epoch,
            key,
            slots,
            copies,
            ack_copies,
            nodes,
            gateways,
            removals: 0,
            removals_over: 0,
            crashes: 0,
            checksum: 0,
        }
    }

    /// Which cluster this is a view of.
    pub fn birth(&self) -> Birth {
        self.key.birth()
    }

    /// The life of the gateway with the lowest id: all agree on it who have this view.
    pub fn first_gateway(&self) -> Option<Incarnation> {
        self.gateways.first().map(|gateway| gateway.incarnation)
    }

    /// A later view of the same cluster, and one that makes sense. What is of another birth never follows.
    pub fn follows(&self, before: &Self) -> bool {
        self.epoch > before.epoch && before.accepts(self).is_ok()
    }

    /// Both are views of one cluster: their slots mean the same.
    pub fn is_of_one_cluster_with(&self, other: &Self) -> bool {
        (self.key, self.slots) == (other.key, other.slots)
    }

    /// Whether a view that came from another member can be one of this cluster. Everything that the rules rely on is checked
    /// here, so that nothing else need be.
    ///
    /// # Errors
    /// [`ViewFault`]: it must not be taken.
    pub fn accepts(&self, view: &Self) -> Result<(), ViewFault> {
        let fixed = |view: &Self| (view.key, view.slots, view.copies, view.ack_copies);
        if fixed(self) == fixed(view) { view.check() } else { Err(ViewFault::OtherCluster) }
    }

    /// The view makes sense by itself.
    ///
    /// # Errors
    /// [`ViewFault`]: it must not be taken.
    pub fn check(&self) -> Result<(), ViewFault> {
        let Self { copies, ack_copies, .. } = *self;
        let lives: BTreeSet<Incarnation> = self.nodes.iter().map(|node| node.incarnation).collect();
        if self.nodes.len() > MAX_NODES {
            return Err(ViewFault::TooManyNodes(self.nodes.len()));
        }
        if !self.nodes.is_sorted_by(|a, b| a.id < b.id) || !self.gateways.is_sorted_by(|a, b| a.id < b.id) {
            return Err(ViewFault::Disordered);
        }
        if lives.len() < self.nodes.len() {
            return Err(ViewFault::Doubled);
        }
        if !(1..=2).contains(&copies) || !(1..=copies).contains(&ack_copies) {
            return Err(ViewFault::Copies { copies, ack_copies });
        }
        if self.epoch.0 > COUNT_MOST { Err(ViewFault::Epoch(self.epoch)) } else { Ok(()) }
    }

    /// The node of this incarnation, if it is in the view.
    pub fn node(&self, incarnation: Incarnation) -> Option<&NodeEntry> {
        self.nodes.iter().find(|node| node.incarnation == incarnation)
    }

    /// The gateway of this incarnation, if it is in the view.
    pub fn gateway(&self, incarnation: Incarnation) -> Option<&GatewayEntry> {
        self.gateways.iter().find(|gateway| gateway.incarnation == incarnation)
    }

    /// Every member with where members reach it. One that has both roles comes twice.
    pub fn members(&self) -> impl Iterator<Item = (&MemberId, Incarnation, &Arc<str>)> {
        let nodes = self.nodes.iter().map(|node| (&node.id, node.incarnation, &node.address));
        nodes.chain(self.gateways.iter().map(|gateway| (&gateway.id, gateway.incarnation, &gateway.link)))
    }

    /// The view has a member of this incarnation, in whichever role.
    pub fn has(&self, incarnation: Incarnation) -> bool {
        self.node(incarnation).is_some() || self.gateway(incarnation).is_some()
    }

    /// The id of this incarnation, in whichever role.
    pub fn id_of(&self, incarnation: Incarnation) -> Option<&MemberId> {
        let node = self.node(incarnation).map(|node| &node.id);
        node.or_else(|| self.gateway(incarnation).map(|gateway| &gateway.id))
    }

    /// The incarnation that carries this id, in whichever role.
    pub fn incarnation_of(&self, id: &MemberId) -> Option<Incarnation> {
        let node = self.nodes.iter().find(|node| node.id == *id).map(|node| node.incarnation);
        node.or_else(|| self.gateways.iter().find(|gateway| gateway.id == *id).map(|gateway| gateway.incarnation))
    }

    /// A node may leave, or rest, without leaving slots in too few hands: without it at least two nodes that stay are left,
    /// or one and nobody else. Nodes that rest do not count.
    pub fn has_room_without(&self, incarnation: Incarnation) -> bool {
        let is_other = |node: &&NodeEntry| node.incarnation != incarnation && node.state() != NodeState::Resting;
        let others = || self.nodes.iter().filter(is_other);
        match others().filter(|node| node.stays()).count() {
            0 => false,
            1 => others().count() == 1,
            _ => true,
        }
    }

    /// With this node added: joining, or active if it is the first.
    #[must_use]
    pub fn with_node(&self, mut entry: NodeEntry) -> Self {
        entry.now = if self.nodes.iter().any(NodeEntry::serves) { Weight::ZERO } else { entry.next };
        let mut view = self.clone();
        view.nodes.push(entry);
        view.nodes.sort_by(|a, b| a.id.cmp(&b.id));
        view.written()
    }

    /// With this gateway added.
    #[must_use]
    pub fn with_gateway(&self, entry: GatewayEntry) -> Self {
        let mut view = self.clone();
        view.gateways.push(entry);
        view.gateways.sort_by(|a, b| a.id.cmp(&b.id));
        view.written()
    }

    /// Without the members of this incarnation.
    #[must_use]
    pub fn without(&self, incarnation: Incarnation, why: Removal) -> Self {
        let mut view = self.clone();
        let nodes = view.nodes.len();
        view.nodes.retain(|node| node.incarnation != incarnation);
        view.gateways.retain(|gateway| gateway.incarnation != incarnation);
        if view.nodes.len() < nodes {
            view.removals += u64::from(why == Removal::Suspected);
            view.crashes += u64::from(why != Removal::Planned);
        }
        view.written()
    }

    /// With another weight to come for one node; zero drains it.
    #[must_use]
    pub fn with_next_weight(&self, incarnation: Incarnation, next: Weight) -> Self {
        let mut view = self.clone();
        for node in &mut view.nodes {
            if node.incarnation == incarnation {
                node.next = next;
            }
        }
        view.written()
    }

    /// With a node that has drained and stays: it rests.
    #[must_use]
    pub fn with_resting(&self, incarnation: Incarnation) -> Self {
        let mut view = self.clone();
        for node in &mut view.nodes {
            if node.incarnation == incarnation {
                (node.now, node.next) = (Weight::ZERO, Weight::ZERO);
            }
        }
        view.written()
    }

    /// With every node that is not draining at the weight it was promised: joining nodes become active.
    #[must_use]
    pub fn activated(&self) -> Self {
        let mut view = self.clone();
        for node in &mut view.nodes {
            if node.next != Weight::ZERO {
                node.now = node.next;
            }
        }
        view.written()
    }

    /// With a gateway marked as draining.
    #[must_use]
    pub fn with_draining_gateway(&self, incarnation: Incarnation) -> Self {
        let mut view = self.clone();
        for gateway in &mut view.gateways {
            gateway.draining |= gateway.incarnation == incarnation;
        }
        view.written()
    }

    /// The same members at the next epoch: what a member writes to get a lapsed lease back.
    #[must_use]
    pub fn affirmed(&self) -> Self {
        self.clone().written()
    }

    /// Closes a change: the next epoch, a working set of nodes, and the checksum that goes with them. Where only resting nodes are
    /// left, they serve again: whoever had them rest did not mean that nobody serves.
    fn written(mut self) -> Self {
        self.epoch = self.epoch.next();
        if !self.nodes.iter().any(NodeEntry::stays) {
            let all_rest = self.nodes.iter().all(|node| node.state() == NodeState::Resting);
            for node in &mut self.nodes {
                let weight = match (all_rest, node.next == Weight::ZERO) {
                    (true, _) => Weight::ONE,
                    (false, true) => node.now,
                    (false, false) => node.next,
                };
                (node.now, node.next) = (weight, weight);
            }
        }
        self.checksum = 0;
        self
    }
}

/// What a view means for every slot. Computed by each member for itself, always with the same result. Clones share the tables.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    cur: Side,
    next: Side,
    copies: u8,
}

/// One of the two tables with the incarnations its indices stand for.
#[derive(Debug, Clone, PartialEq)]
struct Side {
    table: Arc<Table>,
    incarnations: Arc<[Incarnation]>,
}

/// Up to four nodes that should hold a slot.
pub type Wanted = SmallVec<[Incarnation; 4]>;

#[cfg(test)]
thread_local! {
    /// How often tables were computed, for tests that count what a view costs.
    pub(crate) static COMPUTED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

impl Placement {
    /// Computes the tables of a view, from those of an earlier one where there is one.
    pub fn of(view: &View, before: Option<&Placement>) -> Self {
        #[cfg(test)]
        COMPUTED.set(COMPUTED.get() + 1);
        let nodes = |weight: fn(&NodeEntry) -> Weight| -> Vec<(MemberId, Weight)> {
            view.nodes.iter().map(|node| (node.id.clone(), weight(node))).filter(|(_, w)| *w != Weight::ZERO).collect()
        };
        // What comes to pass was mostly computed when it was promised.
        let promised = before.map(|before| &before.next.table);
        let cur = Side::of(view, &nodes(|node| node.now), before.map(|before| &before.cur.table), promised);
        let next = if view.nodes.iter().all(|node| node.now == node.next) {
            cur.clone()
        } else {
            Side::of(view, &nodes(|node| node.next), promised, Some(&cur.table))
        };
        Self { cur, next, copies: view.copies }
    }

    /// The table of owners and standbys at this epoch.
    pub fn table(&self) -> &Arc<Table> {
        &self.cur.table
    }

    /// The table that will be in force once everybody is settled.
    pub(crate) fn next_table(&self) -> &Arc<Table> {
        &self.next.table
    }

    /// One number for both tables: members that place differently have different ones.
    pub fn checksum(&self) -> u64 {
        self.cur.table.checksum() ^ self.next.table.checksum().rotate_left(1)
    }

    /// Who owns the slot. `None` only where no node serves.
    pub fn owner(&self, slot: Slot) -> Option<Incarnation> {
        self.cur.owner(slot)
    }

    /// Who holds the second copy. `None` where only one node serves.
    pub fn standby(&self, slot: Slot) -> Option<Incarnation> {
        self.cur.standby(slot)
    }

    /// Who should hold the slot: owner and standby of now and of next, without doubles.
    pub fn wanted(&self, slot: Slot) -> Wanted {
        let mut wanted = Wanted::new();
        let mut want = |who: Option<Incarnation>| {
            if let Some(who) = who.filter(|who| !wanted.contains(who)) {
                wanted.push(who);
            }
        };
        let changes = !Arc::ptr_eq(&self.cur.table, &self.next.table);
        for side in [Some(&self.cur), Some(&self.next).filter(|_| changes)].into_iter().flatten() {
            want(side.owner(slot));
            if self.copies > 1 {
                want(side.standby(slot));
            }
        }
        wanted
    }
}

impl Side {
    /// The table of these nodes: one of two that are known, if it is of the same nodes, or else made from the first of them.
    fn of(view: &View, nodes: &[(MemberId, Weight)], near: Option<&Arc<Table>>, other: Option<&Arc<Table>>) -> Self {
        let mut known = [near, other].into_iter().flatten().filter(|table| !table.nodes().is_empty()).peekable();
        let near = known.peek().copied().filter(|_| !nodes.is_empty());
        let table = match (known.find(|table| table.nodes() == nodes), near) {
            (Some(same), _) => same.clone(),
            (None, Some(near)) => Arc::new(Self::changed(near, nodes)),
            (None, None) => Arc::new(Table::new(view.key, view.slots, nodes)),
        };
        let incarnation = |id: &MemberId| view.nodes.iter().find(|node| node.id == *id).map(|node| node.incarnation);
        let incarnations = table.nodes().iter().filter_map(|(id, _)| incarnation(id)).collect();
        Self { table, incarnations }
    }

    /// The near table with what differs added, changed and taken out.
    fn changed(near: &Table, nodes: &[(MemberId, Weight)]) -> Table {
        let mut table = near.clone();
        for (id, weight) in nodes {
            if !table.nodes().iter().any(|(had, w)| had == id && w == weight) {
                table = table.with(id, *weight);
            }
        }
        let gone: Vec<MemberId> = table.nodes().iter().map(|(id, _)| id.clone()).collect();
        for id in gone.into_iter().filter(|id| !nodes.iter().any(|(kept, _)| kept == id)) {
            table = table.without(&id);
        }
        table
    }

    fn owner(&self, slot: Slot) -> Option<Incarnation> {
        self.incarnations.get(self.table.owner(slot)?.index()).copied()
    }

    fn standby(&self, slot: Slot) -> Option<Incarnation> {
        self.incarnations.get(self.table.standby(slot)?.index()).copied()
    }
}

#[cfg(test)]
mod tests;
