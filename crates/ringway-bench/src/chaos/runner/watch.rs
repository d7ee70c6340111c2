//! What is looked at: who left the view, who is reached again, what has settled.

use std::time::{Duration, Instant};

use super::super::admin::Member;
use super::super::plan::{Fault, Wish};
use super::{CALM, Runner};

/// The last fault, until all of it is known.
#[derive(Debug)]
pub(super) struct Measured {
    made: Instant,
    /// Who is expected to leave the view.
    leaves: Option<String>,
    reached: bool,
}

impl Measured {
    pub(super) fn new(wish: &Wish, made: Instant) -> Self {
        let sudden = matches!(wish.fault, Fault::Kill | Fault::Freeze | Fault::KillGateway | Fault::FreezeGateway);
        Self { made, leaves: sudden.then(|| wish.member.clone()), reached: false }
    }

    pub(super) fn is_fresh(&self, fresh: Duration) -> bool {
        self.leaves.is_some() && self.made.elapsed() < fresh
    }
}

impl Runner<'_> {
    /// Looks at the cluster and the clients, thaws who is due, and notes what there is to note.
    pub(super) async fn look(&mut self) -> anyhow::Result<Vec<Member>> {
        let members = self.admin.members().await?;
        self.see_who_left(&members);
        self.thaw().await?;
        self.see_gateways(&members);
        let fresh = self.measured.as_ref().is_some_and(|measured| measured.is_fresh(super::FRESH));
        if !fresh {
            self.see_reach();
            self.see_settled(&members).await?;
        }
        Ok(members)
    }

    pub(super) fn is_settled(&self) -> bool {
        self.calm.is_some_and(|since| since.elapsed() >= CALM)
    }

    /// Whatever is not known of the last fault by now is not going to be: another one follows.
    pub(super) fn close_measure(&mut self) {
        if let (Some(_), Some(last)) = (self.measured.take(), self.happenings.last_mut()) {
            last.pauses = Some(self.swarm.pauses());
        }
    }

    fn see_who_left(&mut self, members: &[Member]) {
        let (Some(measured), Some(last)) = (&mut self.measured, self.happenings.last_mut()) else { return };
        let Some(id) = &measured.leaves else { return };
        if members.iter().any(|member| member.id == *id && member.is_down()) {
            last.left_ms = Some(millis(measured.made.elapsed()));
            measured.leaves = None;
        }
    }

    async fn thaw(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        while let Some(place) = self.thaws.iter().position(|(at, _)| *at <= now) {
            let (_, id) = self.thaws.remove(place);
            self.admin.act(&id, "thaw").await?;
            self.calm = None;
            // It was too short for the others to notice.
            if let Some(measured) = self.measured.as_mut().filter(|measured| measured.leaves.as_ref() == Some(&id)) {
                measured.leaves = None;
            }
        }
        Ok(())
    }

    /// Gateways that serve again.
    fn see_gateways(&mut self, members: &[Member]) {
        let frozen = |id: &String| self.thaws.iter().any(|(_, other)| other == id);
        let serves = |id: &String| members.iter().any(|member| member.id == *id && member.is_active()) && !frozen(id);
        let back: Vec<String> = self.broken.iter().filter(|id| serves(id)).cloned().collect();
        for id in back {
            self.broken.remove(&id);
            let target = self.gateways.iter().position(|other| *other == id);
            target.into_iter().for_each(|target| self.swarm.break_ends(target));
        }
    }

    fn see_reach(&mut self) {
        let (Some(measured), Some(last)) = (&mut self.measured, self.happenings.last_mut()) else { return };
        if !measured.reached
            && let Some(slowest) = self.swarm.reach().slowest()
        {
            measured.reached = true;
            last.reached_ms = Some(millis(slowest));
        }
    }

    async fn see_settled(&mut self, members: &[Member]) -> anyhow::Result<()> {
        let wanted = self.args.settle || self.hard.is_some() || self.measured.is_some() || self.calm.is_none();
        if !wanted {
            return Ok(());
        }
        match self.admin.unsettled(members).await? {
            Some(why) => (self.calm, self.unsettled) = (None, why),
            None => drop(self.calm.get_or_insert_with(Instant::now)),
        }
        if !self.is_settled() {
            return Ok(());
        }
        (self.hard, self.exclusive) = (None, false);
        let is_reached = self.measured.as_ref().is_some_and(|measured| measured.reached && measured.leaves.is_none());
        if is_reached && self.thaws.is_empty() {
            if let (Some(last), Some(measured)) = (self.happenings.last_mut(), &self.measured) {
                last.settled_ms = Some(millis(measured.made.elapsed().saturating_sub(CALM)));
            }
            self.close_measure();
        }
        Ok(())
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
