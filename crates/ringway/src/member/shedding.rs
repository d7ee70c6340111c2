//! A gateway that leaves sends its clients away, a few at a time: those who take them in get no storm.

use std::time::Duration;

use ringway_core::member::Front;
use ringway_core::membership::Change;
use ringway_core::timing::Now;
use tokio::sync::oneshot;
use tracing::info;

use super::Task;

/// Where nobody else takes clients in, there is nobody to spare: then all are sent away within this.
const ALONE: Duration = Duration::from_secs(2);

/// Time that counts as passed between two looks. A process that stood still does not make up for it in one go.
const LONGEST_STEP: Duration = Duration::from_millis(100);

/// Wait for owners to confirm how far the inboxes of those who went were read. Unconfirmed, a message comes again.
const CONFIRM: Duration = Duration::from_secs(1);

/// Share of the time for leaving in which all clients are sent away, in percent. The rest is for their last words, and
/// for the slots, where this member has some.
const SHARE: u32 = 80;
const SHARE_BESIDE_SLOTS: u32 = 50;

/// Clients are being sent away.
#[derive(Debug)]
pub(super) struct Shedding {
    done: oneshot::Sender<()>,
    /// Clients per second, at least.
    rate: f64,
    /// All have been told by then.
    until: Now,
    /// Clients that are due, with the part of the next one.
    due: f64,
    last: Now,
    /// Since when nobody is left.
    empty: Option<Now>,
}

impl Shedding {
    /// Clients per second, where so many have not been told: as was set, or what the time asks for.
    fn pace(&self, now: Now, staying: usize) -> f64 {
        let left = self.until.saturating_sub(now).max(super::TICK);
        self.rate.max(staying as f64 / left.as_secs_f64())
    }

    /// How many are to be told now.
    fn step(&mut self, now: Now, staying: usize) -> usize {
        let passed = now.saturating_sub(self.last).min(LONGEST_STEP);
        self.due += self.pace(now, staying) * passed.as_secs_f64();
        self.last = now;
        let whole = self.due.floor();
        self.due -= whole;
        whole as usize
    }
}

impl Task {
    /// Begins to send clients away. `done` is told when nobody is left, which without a gateway is at once.
    pub(super) fn begin_to_shed(&mut self, now: Now, within: Duration, done: oneshot::Sender<()>) {
        self.begin_to_leave(now);
        let (Some(hub), Some(gateway)) = (self.member.front(), &self.parts.gateway) else {
            let _ = done.send(());
            return;
        };
        let view = self.member.view().clone();
        let others = view
            .gateways
            .iter()
            .any(|other| other.incarnation != self.me && !other.draining && !gateway.beside.contains(&other.id));
        let has_slots = view.node(self.me).is_some() && view.nodes.len() > 1;
        let time = within * if has_slots { SHARE_BESIDE_SLOTS } else { SHARE } / 100;
        let until = now + if others { time } else { time.min(ALONE) };
        let shedding = Shedding { done, rate: f64::from(gateway.drain_rate), until, due: 0.0, last: now, empty: None };
        let (clients, rate) = (hub.staying(), shedding.pace(now, hub.staying()).ceil());
        info!(clients, rate, "draining: sending clients away");
        self.exit.shedding = Some(shedding);
        if view.gateway(self.me).is_some() {
            // Others only show it, so nobody waits for the outcome.
            self.demands.next += 1;
            self.member.change(now, self.demands.next, Change::DrainGateway(self.me));
        }
    }

    /// Sends away those whose time has come.
    pub(super) fn shed(&mut self, now: Now) {
        let (Some(shedding), Some(hub)) = (&mut self.exit.shedding, self.member.front_mut()) else { return };
        if hub.shed(now, shedding.step(now, hub.staying())) > 0 {
            shedding.empty = None;
            return;
        }
        let since = *shedding.empty.get_or_insert(now);
        let confirmed = hub.gateway().lingering_count() == 0 && now > since;
        if (confirmed || now >= since + CONFIRM)
            && let Some(shedding) = self.exit.shedding.take()
        {
            let _ = shedding.done.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends so many away and says how many were told within each second.
    fn told(rate: f64, time: Duration, clients: usize) -> Vec<usize> {
        let (done, _nobody_waits) = oneshot::channel();
        let mut shedding = Shedding { done, rate, until: time, due: 0.0, last: Now::ZERO, empty: None };
        let (mut now, mut staying, mut told) = (Now::ZERO, clients, Vec::new());
        while staying > 0 && now < time * 2 {
            now += Duration::from_millis(10);
            let count = shedding.step(now, staying).min(staying);
            staying -= count;
            let second = (now.as_millis() as usize - 1) / 1000;
            told.resize(second + 1, 0);
            told[second] += count;
        }
        assert_eq!(staying, 0);
        told
    }

    #[test]
    fn the_pace_is_what_is_set_or_what_the_time_asks_for() {
        let seconds = Duration::from_secs;
        let as_set = told(10.0, seconds(20), 50);
        assert!(as_set[..5].iter().all(|count| (9..=10).contains(count)), "{as_set:?}");
        let hurried = told(10.0, seconds(4), 1000);
        assert_eq!(hurried.len(), 4);
        assert!(hurried.iter().all(|count| (240..=260).contains(count)), "{hurried:?}");
    }
}
