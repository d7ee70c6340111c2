//! The receipts and what makes them grow. Facts in, receipts out.
//!
//! What a view did to a member belongs to the newest running change of that member that can have caused it; if there is none,
//! it happened unasked and gets a receipt of its own. What gateways saw cannot be told apart: it counts in every change
//! that was running.

mod views;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ringway_core::message::{Reset, ResetCount};
use ringway_core::timing::Now;
use ringway_core::view::{Placement, View};
use ringway_core::{Epoch, Incarnation, MemberId, Slot};

use super::given::{self, Given};
use super::goal::{Goal, unsettled};
use super::receipt::{Epochs, Moved, Occasion, Pauses, Receipt, State, millis};
use super::seen::{Seen, Sums};
use super::{Fact, Intended};
use crate::clock;
use crate::rebalance::Rebalance;

/// Receipts that are kept. Beyond, the oldest goes.
const KEPT: usize = 256;

/// A change to which nothing has happened for so long is given up: what is left undone by then needs a person.
const PATIENCE: Duration = Duration::from_secs(60);

/// All receipts, and what they are made from.
#[derive(Debug)]
pub(super) struct Ledger {
    view: Arc<View>,
    placement: Placement,
    /// Newest epoch at which each node was settled.
    settled: HashMap<Incarnation, Epoch>,
    seen: Seen,
    entries: VecDeque<Entry>,
    last: u64,
    /// Number of the last order to connect anew.
    last_order: u64,
    /// How clients are treated unless a change says otherwise.
    usual: Rebalance,
    /// Sockets of gateways that the view lost and whose process may live.
    limbo: BTreeMap<MemberId, u64>,
    changed: bool,
}

#[derive(Debug)]
struct Entry {
    receipt: Receipt,
    /// `None` once it is over.
    open: Option<Open>,
}

/// What a running change is measured by.
#[derive(Debug)]
struct Open {
    member: MemberId,
    goal: Goal,
    began: Now,
    /// When something happened to it last.
    touched: Now,
    before: Sums,
    /// Sockets that went with a process.
    lost: u64,
    /// The view in which it was reached, and all slots had their copies.
    reached: Option<Epoch>,
    /// How clients are treated whose owner changes.
    rebalance: Rebalance,
    /// The orders to connect anew that it gave.
    given: Vec<Given>,
}

/// Slots that moved for a change.
#[derive(Debug)]
pub(super) struct Shift {
    /// Of its receipt.
    pub(super) number: u64,
    pub(super) slots: Vec<Slot>,
    /// To be given to the gateways, if clients must connect anew.
    pub(super) order: Option<Reset>,
}

impl Ledger {
    pub(super) fn new(view: Arc<View>, usual: Rebalance) -> Self {
        Self {
            placement: Placement::of(&view, None),
            view,
            settled: HashMap::new(),
            seen: Seen::default(),
            entries: VecDeque::new(),
            last: 0,
            last_order: 0,
            usual,
            limbo: BTreeMap::new(),
            changed: false,
        }
    }

    /// A copy of all receipts, oldest first.
    pub(super) fn receipts(&self) -> Vec<Receipt> {
        self.entries.iter().map(|entry| entry.receipt.clone()).collect()
    }

    /// Whether there is anything new since this was last asked.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Running changes, newest first.
    fn running(&mut self) -> impl Iterator<Item = (&mut Receipt, &mut Open)> {
        self.entries.iter_mut().rev().filter_map(|entry| Some((&mut entry.receipt, entry.open.as_mut()?)))
    }

    /// Opens a receipt for a change that is about to be made. What is asked for again while it runs has one already.
    pub(super) fn begin(&mut self, asked: Intended) -> u64 {
        if asked.action == Occasion::Thaw {
            self.end_freeze(&asked.member);
        }
        self.changed = true;
        let at = asked.at;
        let number = match self.again(&asked) {
            Some(number) => number,
            None => self.begin_anew(asked),
        };
        self.advance(at);
        number
    }

    /// The same change, if it runs: asked for before, or seen before anybody said so here.
    fn again(&mut self, asked: &Intended) -> Option<u64> {
        let action = asked.action;
        let same = |other| other == action || (other == Occasion::Joined && action == Occasion::Add);
        let (receipt, open) = self.running().find(|(receipt, open)| {
            open.is_going_on(&asked.member) && same(receipt.action) && asked.weight.is_none()
        })?;
        (receipt.action, receipt.predicted) = (action, receipt.predicted.or(asked.predicted));
        open.rebalance = asked.rebalance.unwrap_or(open.rebalance);
        receipt.mode = open.rebalance.mode;
        Some(receipt.number)
    }

    fn begin_anew(&mut self, asked: Intended) -> u64 {
        let Intended { at, action, member, rebalance, weight, predicted } = asked;
        let rebalance = rebalance.unwrap_or(self.usual);
        let goal = Goal::of(action, &member, weight, &self.view);
        let lost = if action == Occasion::Kill { self.limbo.remove(&member).unwrap_or(0) } else { 0 };
        let (receipt, open) = self.open(at, action, member, goal);
        (receipt.mode, receipt.predicted) = (rebalance.mode, predicted);
        (open.rebalance, open.lost) = (rebalance, lost);
        receipt.number
    }

    /// A freeze that nobody noticed ends with the thaw.
    fn end_freeze(&mut self, member: &MemberId) {
        let frozen =
            self.running().find(|(receipt, open)| receipt.action == Occasion::Freeze && open.member == *member);
        if let Some((receipt, open)) = frozen.filter(|(_, open)| open.reached.is_none()) {
            open.goal = Goal::Nothing;
            receipt.why = Some("thawed before it was over".to_owned());
        }
    }

    /// A new receipt, running from `at` on.
    fn open(&mut self, at: Now, action: Occasion, member: MemberId, goal: Goal) -> (&mut Receipt, &mut Open) {
        if self.entries.len() >= KEPT {
            self.entries.pop_front();
        }
        self.last += 1;
        let epoch = self.view.epoch.0;
        let receipt = Receipt {
            number: self.last,
            action,
            member: member.to_string(),
            mode: self.usual.mode,
            began: wall_time(at),
            epochs: Epochs { before: epoch, after: epoch },
            state: State::Running,
            why: None,
            predicted: None,
            moved: Moved::default(),
            bystander_moves: 0,
            detection_ms: None,
            settled_ms: None,
            sockets_closed: 0,
            gaps: 0,
            doubles: 0,
            reorders: 0,
            pauses: Pauses::default(),
        };
        let before = self.seen.sums().clone();
        let (rebalance, given) = (self.usual, Vec::new());
        let open = Open { member, goal, began: at, touched: at, before, lost: 0, reached: None, rebalance, given };
        self.changed = true;
        self.entries.push_back(Entry { receipt, open: Some(open) });
        self.running().next().expect("it was just put there")
    }

    /// Forgets a receipt: its change was refused.
    pub(super) fn take_back(&mut self, number: u64) {
        self.entries.retain(|entry| entry.receipt.number != number);
        self.changed = true;
    }

    /// Takes a fact. Returns which slots moved for which changes.
    pub(super) fn on_fact(&mut self, fact: Fact) -> Vec<Shift> {
        match fact {
            Fact::Begun { view } => self.begin_with(view),
            Fact::View { at, view, placement, left } if view.epoch > self.view.epoch => {
                let moved = self.on_view(at, view, placement, &left);
                self.advance(at);
                return moved;
            }
            Fact::View { .. } => {}
            Fact::Node { at, node, epoch, settled } => {
                match settled {
                    true => self.settled.insert(node, epoch),
                    false => self.settled.remove(&node),
                };
                self.advance(at);
            }
            Fact::Toll { at, gateway, epoch, toll } => {
                self.seen.take(&self.view, gateway, epoch, *toll);
                self.advance(at);
            }
            Fact::ResetGiven { at, number, missed } => {
                self.note_missed(at, number, &missed);
                self.advance(at);
            }
            Fact::Reset { at, gateway, count } => {
                self.note_reset(gateway, count);
                self.advance(at);
            }
        }
        Vec::new()
    }

    /// Nothing is known of what came before this view. Numbers go on: none names two things in the life of a process.
    fn begin_with(&mut self, view: Arc<View>) {
        let (last, last_order) = (self.last, self.last_order);
        *self = Self { last, last_order, changed: true, ..Self::new(view, self.usual) };
    }

    /// An order was given to all gateways but these.
    fn note_missed(&mut self, at: Now, number: u64, missed: &[Incarnation]) {
        let view = self.view.clone();
        let Some((receipt, open)) = self.ordering(number) else { return };
        open.touched = at;
        let given = open.given.iter_mut().filter(|given| given.number == number);
        let names: Vec<MemberId> = given.flat_map(|given| given.missed(&view, missed)).collect();
        if !names.is_empty() {
            let names: Vec<&str> = names.iter().map(MemberId::as_str).collect();
            receipt.why =
                Some(format!("{} could not be told: its clients were not asked to connect anew", names.join(", ")));
            self.changed = true;
        }
    }

    /// A gateway says how far it is with an order.
    fn note_reset(&mut self, gateway: Incarnation, count: ResetCount) {
        let Some(id) = self.view.gateway(gateway).map(|gateway| gateway.id.clone()) else { return };
        if let Some((_, open)) = self.ordering(count.number) {
            let given = open.given.iter_mut().filter(|given| given.number == count.number);
            given.for_each(|given| given.take(&id, count));
        }
    }

    /// An order could not be given.
    pub(super) fn not_given(&mut self, number: u64) {
        if let Some((receipt, open)) = self.ordering(number) {
            open.given.iter_mut().filter(|given| given.number == number).for_each(Given::give_up);
            receipt.why = Some("the order to connect anew could not be given: clients stayed".to_owned());
            self.changed = true;
        }
    }

    /// The running change that gave this order.
    fn ordering(&mut self, number: u64) -> Option<(&mut Receipt, &mut Open)> {
        self.running().find(|(_, open)| open.given.iter().any(|given| given.number == number))
    }

    /// The order that a change gives when these slots have moved for it.
    fn order(&mut self, change: u64, slots: &[Slot]) -> Option<Reset> {
        let (view, number) = (self.view.clone(), self.last_order + 1);
        let (_, open) = self.running().find(|(receipt, _)| receipt.number == change)?;
        let order = given::order(number, open.rebalance, slots)?;
        open.given.push(Given::to_all(&view, &order));
        self.last_order = number;
        Some(order)
    }

    /// Users that moved with the slots of a change.
    pub(super) fn add_users(&mut self, number: u64, users: u64) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.receipt.number == number) {
            entry.receipt.moved.users = entry.receipt.moved.users.saturating_add(users);
            self.changed = true;
        }
    }

    /// Gives up what has taken too long.
    pub(super) fn look(&mut self, now: Now) {
        self.advance(now);
        let (view, settled, seen) = (self.view.clone(), &self.settled, &self.seen);
        for entry in &mut self.entries {
            let Some(open) = entry.open.as_ref().filter(|open| now > open.touched + open.patience()) else { continue };
            let missing = open.goal.missing(&open.member, &view).or_else(|| unsettled(&view, settled));
            let missing = missing.filter(|_| open.reached.is_none()).or_else(|| seen.missing(&view, view.epoch));
            let missing = missing.or_else(|| open.given.iter().find_map(Given::missing));
            entry.receipt.why = missing.or_else(|| Some("something went on happening to it".to_owned()));
            entry.receipt.state = State::Unsettled;
            entry.open = None;
            self.changed = true;
        }
    }

    /// Brings the numbers of running changes up to date, and closes those that are over.
    fn advance(&mut self, now: Now) {
        let (view, settled, seen) = (&self.view, &self.settled, &self.seen);
        let all_settled = unsettled(view, settled).is_none();
        for entry in &mut self.entries {
            let Some(open) = &mut entry.open else { continue };
            if open.reached.is_none() && all_settled && open.goal.missing(&open.member, view).is_none() {
                open.reached = Some(view.epoch);
                open.touched = now;
                entry.receipt.settled_ms = Some(millis(now.saturating_sub(open.began)));
                self.changed = true;
            }
            if open.measure(now, &mut entry.receipt, seen.sums()) {
                self.changed = true;
            }
            let is_reset = open.given.iter().all(|given| given.missing().is_none());
            if is_reset && open.reached.is_some_and(|epoch| seen.missing(view, epoch).is_none()) {
                entry.receipt.state = State::Settled;
                entry.open = None;
                self.changed = true;
            }
        }
    }
}

/// A moment of this process's clock as people and programs write it.
fn wall_time(at: Now) -> String {
    let ago = clock::now().saturating_sub(at);
    let then = jiff::Timestamp::now().checked_sub(ago).unwrap_or_default();
    format!("{then:.3}")
}

impl Open {
    /// It changes the member, and is not through with that: clients may be asked to connect anew for much longer.
    fn is_going_on(&self, member: &MemberId) -> bool {
        self.member == *member && self.reached.is_none()
    }

    /// How long nothing may happen to it. Of a few clients in a long window, one goes now and then.
    fn patience(&self) -> Duration {
        let open = self.given.iter().filter(|given| given.missing().is_some());
        PATIENCE + open.map(|given| given.window).max().unwrap_or_default()
    }

    /// Writes down what gateways saw since the change began. Says whether that is more than before.
    fn measure(&mut self, now: Now, receipt: &mut Receipt, sums: &Sums) -> bool {
        let seen = sums.since(&self.before);
        let numbers = |receipt: &Receipt| {
            (receipt.sockets_closed, receipt.gaps, receipt.doubles, receipt.reorders, receipt.pauses)
        };
        let before = numbers(receipt);
        let anew = self.given.iter().fold(0_u64, |all, given| all.saturating_add(given.closed()));
        receipt.sockets_closed = seen.closed.saturating_add(self.lost).saturating_add(anew);
        (receipt.gaps, receipt.doubles, receipt.reorders) = (seen.gaps, seen.doubles, seen.reorders);
        receipt.pauses = (&seen.pauses).into();
        let more = numbers(receipt) != before;
        if more {
            self.touched = now;
        }
        more
    }
}

#[cfg(test)]
mod tests;
