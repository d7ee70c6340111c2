//! A gateway that leaves sends its clients away, a few at a time: those who take them in get no storm.

use std::time::Duration;

use ringway_core::member::Change;
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

/// Clients are being sent away.
#[derive(Debug)]
pub(super) struct Shedding {
    done: oneshot::Sender<()>,
    /// Clients per second.
    rate: f64,
    /// Clients that are due, with the part of the next one.
    due: f64,
    last: Now,
    /// Since when nobody is left.
    empty: Option<Now>,
}

impl Shedding {
    fn step(&mut self, now: Now) -> usize {
        let passed = now.saturating_sub(self.last).min(LONGEST_STEP);
        self.last = now;
        self.due += self.rate * passed.as_secs_f64();
        let whole = self.due.floor();
        self.due -= whole;
        whole as usize
    }
}

impl Task {
    /// Begins to send clients away. `done` is told when nobody is left, which without a gateway is at once.
    pub(super) fn begin_to_shed(&mut self, now: Now, done: oneshot::Sender<()>) {
        let (Some(hub), Some(gateway)) = (&self.hub, &self.parts.gateway) else {
            let _ = done.send(());
            return;
        };
        let view = self.rules.view().clone();
        let others = view.gateways.iter().any(|other| other.incarnation != self.me && !other.draining);
        let set = f64::from(gateway.drain_rate);
        let rate = if others { set } else { set.max(hub.sessions() as f64 / ALONE.as_secs_f64()) };
        info!(clients = hub.sessions(), rate, "draining: sending clients away");
        self.shedding = Some(Shedding { done, rate, due: 0.0, last: now, empty: None });
        if view.gateway(self.me).is_some() {
            // Others only show it, so nobody waits for the outcome.
            self.next_change += 1;
            self.rules.change(now, self.next_change, Change::DrainGateway(self.me));
        }
    }

    /// Sends away those whose time has come.
    pub(super) fn shed(&mut self, now: Now) {
        let (Some(shedding), Some(hub)) = (&mut self.shedding, &mut self.hub) else { return };
        if hub.shed(now, shedding.step(now)) > 0 {
            shedding.empty = None;
            return;
        }
        let since = *shedding.empty.get_or_insert(now);
        let confirmed = hub.rules.lingering_count() == 0 && now > since;
        if (confirmed || now >= since + CONFIRM)
            && let Some(shedding) = self.shedding.take()
        {
            let _ = shedding.done.send(());
        }
    }
}
