//! Clients are asked to connect anew because the owner of a channel of theirs is another one, or cannot be reached from here: who is meant is written
//! down once, when the order comes, and told bit by bit over the order's window.
//!
//! For slots, a session is meant that has a part in a channel of one of them, be it on its way: a plain session in its
//! inbox, a Centrifuge session in its inbox, if it has a user, and in whatever it is subscribed to. Without slots every
//! session is meant, those included that have not said who they are.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use ringway_core::gateway::ChannelKey;
use ringway_core::message::{Reset, ResetCount};
use ringway_core::once::Once;
use ringway_core::ring::SlotSet;
use ringway_core::timing::Now;
use ringway_core::{ChannelName, Incarnation};
use ringway_protocol::centrifuge::Disconnect;

use super::keys::SessionId;
use super::session::{Session, Sub};
use super::{Hub, Socket};

/// Orders under way at once. Each costs eight bytes per session that it means. One more, and the oldest is carried out
/// without further delay: so many changes within one window are nobody's plan.
const RESETS: usize = 8;

/// Numbers of orders that are remembered of one giver, and givers of whom any are: the keeper, and those that were keepers before.
const NUMBERS: usize = 64;
const GIVERS: usize = 4;

/// Last counts that are remembered, for a giver that has not heard them and gives its order again.
const LAST_COUNTS: usize = 16;

/// Time that counts as passed between two looks. A process that stood still does not make up for it in one go.
const LONGEST_STEP: Duration = Duration::from_millis(100);

/// The orders that a hub has.
#[derive(Debug, Default)]
pub(super) struct Resets {
    /// Oldest first.
    running: Vec<Running>,
    /// Orders that were taken, by who gave them: one may come twice, and two in another order than they were given in.
    taken: VecDeque<(Incarnation, Once)>,
    /// How orders ended that were reported, and those of them that are to be reported again.
    ended: VecDeque<(Incarnation, ResetCount)>,
    again: Vec<ResetCount>,
}

impl Resets {
    /// Whether this order was not taken before.
    fn is_first(&mut self, from: Incarnation, number: u64) -> bool {
        if !self.taken.iter().any(|(giver, _)| *giver == from) {
            self.taken.push_front((from, Once::new(NUMBERS)));
            self.taken.truncate(GIVERS);
        }
        self.taken.iter_mut().find(|(giver, _)| *giver == from).is_some_and(|(_, numbers)| numbers.take(number))
    }

    /// Whoever gives an order again has not heard how far it is.
    fn report_again(&mut self, from: Incarnation, number: u64) {
        let is_it = |one: &&mut Running| one.from == from && one.number == Some(number);
        if let Some(running) = self.running.iter_mut().find(is_it) {
            running.reported = None;
        } else if let Some((_, count)) =
            self.ended.iter().find(|(giver, count)| (*giver, count.number) == (from, number))
            && !self.again.contains(count)
            && self.again.len() < LAST_COUNTS
        {
            self.again.push(*count);
        }
    }
}

/// An order under way.
#[derive(Debug)]
struct Running {
    /// Who gave it.
    from: Incarnation,
    /// What whoever gave it calls it; `None` where this gateway gave it itself, and tells nobody.
    number: Option<u64>,
    is_for_all: bool,
    window: Duration,
    /// Time that has counted so far, and when it was looked at.
    passed: Duration,
    looked: Now,
    /// Who is meant. A session that ends is told from a later one with its key by its serial.
    sessions: Vec<SessionId>,
    /// How many of them had their turn.
    told: usize,
    /// How many of those had a socket to close.
    closed: u64,
    /// What was reported last.
    reported: Option<ResetCount>,
}

impl Running {
    /// How many should have had their turn by now: evenly over the window.
    fn due(&mut self, now: Now) -> usize {
        self.passed += now.saturating_sub(self.looked).min(LONGEST_STEP);
        self.looked = now;
        let (all, window) = (self.sessions.len(), self.window.as_nanos());
        match window {
            0 => all,
            window => (all as u128 * self.passed.as_nanos().min(window) / window) as usize,
        }
    }

    fn count(&self) -> Option<ResetCount> {
        let (number, meant) = (self.number?, self.sessions.len());
        Some(ResetCount { number, meant: meant as u64, closed: self.closed, done: self.is_done() })
    }

    /// Everybody has had a turn.
    fn is_done(&self) -> bool {
        self.told == self.sessions.len()
    }
}

impl<S: Socket> Hub<S> {
    /// Begins to carry out an order. For one that is a repetition it is said again how far it is. Returns whether it was none.
    pub fn reset(&mut self, now: Now, from: Incarnation, order: &Reset) -> bool {
        if !self.resets.is_first(from, order.number) {
            self.resets.report_again(from, order.number);
            return false;
        }
        let hub = self.drain(now).into_hub();
        let sessions = hub.meant(order.slots.as_ref());
        hub.begin_reset(now, (from, Some(order.number)), order.slots.is_none(), sessions, order.window);
        true
    }

    /// Asks every session that needs one of these slots to connect elsewhere, so many a second. Returns how many there are;
    /// `None`, and nothing is done, while those of last time have not all had their turn.
    pub fn send_away(&mut self, now: Now, slots: &SlotSet, rate: u32) -> Option<usize> {
        if self.resets.running.iter().any(|one| one.number.is_none() && !one.is_done()) {
            return None;
        }
        let hub = self.drain(now).into_hub();
        let sessions = hub.meant(Some(slots));
        let (count, window) = (sessions.len(), Duration::from_secs_f64(sessions.len() as f64 / f64::from(rate.max(1))));
        let me = hub.rules.incarnation();
        hub.begin_reset(now, (me, None), false, sessions, window);
        Some(count)
    }

    fn begin_reset(
        &mut self,
        now: Now,
        (from, number): (Incarnation, Option<u64>),
        is_for_all: bool,
        sessions: Vec<SessionId>,
        window: Duration,
    ) {
        if self.resets.running.len() >= RESETS {
            let all = self.resets.running[0].sessions.len();
            self.tell(now, 0, all);
            let oldest = self.resets.running.remove(0);
            self.resets.again.extend(oldest.count());
            self.resets.ended.extend(oldest.count().map(|count| (oldest.from, count)));
        }
        let (passed, told, closed, reported) = (Duration::ZERO, 0, 0, None);
        let one = Running { from, number, is_for_all, window, passed, looked: now, sessions, told, closed, reported };
        self.resets.running.push(one);
        self.feed_resets(now);
    }

    /// Tells those whose turn it is.
    pub(super) fn feed_resets(&mut self, now: Now) {
        for index in 0..self.resets.running.len() {
            let due = self.resets.running[index].due(now);
            self.tell(now, index, due);
        }
    }

    /// What the giver of the orders does not know yet of how far they are. Orders that are done are then forgotten.
    pub fn take_reset_counts(&mut self) -> Vec<ResetCount> {
        let Resets { running, ended, again, .. } = &mut self.resets;
        let news = |one: &mut Running| {
            let count = one.count()?;
            (one.reported.replace(count) != Some(count)).then_some(count)
        };
        let mut counts = std::mem::take(again);
        counts.extend(running.iter_mut().filter_map(news));
        for one in running.extract_if(.., |one| one.is_done()) {
            ended.extend(one.count().map(|count| (one.from, count)));
        }
        while ended.len() > LAST_COUNTS {
            ended.pop_front();
        }
        counts
    }

    /// Sessions that an order means.
    fn meant(&self, slots: Option<&SlotSet>) -> Vec<SessionId> {
        // By channel: one hash for each, however many listen to it.
        let is_in = |name: &ChannelName| slots.is_some_and(|slots| slots.has(self.rules.slot_of(name.as_str())));
        let moved: HashSet<ChannelKey> =
            self.audience.names().filter(|(name, _)| is_in(name)).map(|(_, key)| key).collect();
        let has_moved = |sub: &Sub| moved.contains(&sub.channel);
        let meant = self.roster.staying().filter(|(_, session)| slots.is_none() || session.subs.iter().any(has_moved));
        meant.map(|(key, session)| session.id(key)).collect()
    }

    /// Gives the sessions of an order up to this one their turn.
    fn tell(&mut self, now: Now, index: usize, up_to: usize) {
        while self.resets.running[index].told < up_to {
            let one = &self.resets.running[index];
            let id = one.sessions[one.told];
            let is_there = self.roster.find(id).is_some_and(Session::stays);
            if is_there {
                self.let_go(now, id.key, Disconnect::ForceReconnect);
            }
            let one = &mut self.resets.running[index];
            one.told += 1;
            one.closed += u64::from(is_there);
            let total = match (one.number, one.is_for_all) {
                (None, _) => &mut self.counts.sent_away,
                (Some(_), true) => &mut self.counts.reset_all,
                (Some(_), false) => &mut self.counts.reset,
            };
            *total += u64::from(is_there);
        }
    }
}
