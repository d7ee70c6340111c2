//! Carries the wishes out, one look after the other: makes a fault when it may, thaws what is due, and notes how long everything took.

mod watch;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::admin::{Admin, Member};
use super::cluster::Cluster;
use super::plan::{Fault, Plan, Scene, Wish};
use super::report::{ChaosReport, Happening, Setup};
use super::stop::Stop;
use super::{ChaosArgs, tell};
use crate::procstat;
use crate::stamp::now_nanos;
use crate::swarm::{Break, Pace, Swarm};
use watch::Measured;

/// The cluster is looked at this often.
const LOOK: Duration = Duration::from_millis(100);
/// While a fault is fresh it is looked at more often: what is to be seen within 100 ms is measured by it.
const CLOSE_LOOK: Duration = Duration::from_millis(5);
/// How long a fault is fresh.
const FRESH: Duration = Duration::from_millis(300);
/// What members say of themselves is some pings old: it must stay so for this long to count.
const CALM: Duration = Duration::from_millis(600);
/// Traffic before the first fault.
const WARM_UP: Duration = Duration::from_secs(2);
/// Without `--settle`, the pause between two faults.
const PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(4)];
/// A hard fault that has not settled after this is given peace to: no other fault until it has.
const PATIENCE: Duration = Duration::from_secs(10);
/// What has not settled after this never will: the run ends and says so.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);
/// Clients that change servers at a look, at most: some 200 a second, as a gateway that leaves sheds them.
const MOVES: usize = 20;
/// What is under way at the end has this long to arrive; then it is lost.
const DRAIN: Duration = Duration::from_secs(20);

/// A run.
pub(super) struct Runner<'a> {
    args: &'a ChaosArgs,
    cluster: &'a mut Cluster,
    admin: Admin,
    swarm: &'a Swarm,
    seed: u64,
    plan: Plan,
    /// The gateways in the order of the swarm's servers.
    gateways: Vec<String>,
    begin: Instant,
    /// What the host had taken away by then.
    stolen: Duration,
    happenings: Vec<Happening>,
    /// What the last fault is still measured for.
    measured: Option<Measured>,
    /// When who is to be thawed.
    thaws: Vec<(Instant, String)>,
    /// Gateways that were told to the swarm as broken.
    broken: BTreeSet<String>,
    /// Since when the last hard fault has not settled.
    hard: Option<Instant>,
    /// Nothing may happen until all is settled.
    exclusive: bool,
    /// Since when all is settled.
    calm: Option<Instant>,
    /// Why it is not.
    unsettled: String,
    /// When the next fault may come.
    next: Instant,
    /// Since when nothing that is wished for is possible.
    idle: Option<Instant>,
    trouble: Vec<String>,
}

impl<'a> Runner<'a> {
    pub(super) fn new(
        args: &'a ChaosArgs,
        seed: u64,
        cluster: &'a mut Cluster,
        swarm: &'a Swarm,
        gateways: Vec<String>,
    ) -> Self {
        let begin = Instant::now();
        Self {
            args,
            admin: cluster.admin().clone(),
            cluster,
            swarm,
            seed,
            plan: Plan::new(seed, &args.faults, usize::from(args.nodes), args.plain),
            gateways,
            begin,
            stolen: procstat::stolen(),
            happenings: Vec::new(),
            measured: None,
            thaws: Vec::new(),
            broken: BTreeSet::new(),
            hard: None,
            exclusive: false,
            calm: None,
            unsettled: "nobody has looked yet".to_owned(),
            next: begin + WARM_UP,
            idle: None,
            trouble: Vec::new(),
        }
    }

    pub(super) async fn run(mut self, stop: &Stop) -> anyhow::Result<ChaosReport> {
        self.swarm.start(Pace::Rate(self.args.rate));
        while !stop.came() && !self.is_over() {
            if let Err(why) = self.turn().await {
                self.trouble.push(format!("the faults ended early: {why:#}"));
                break;
            }
            let fresh = self.measured.as_ref().is_some_and(|measured| measured.is_fresh(FRESH));
            tokio::time::sleep(if fresh { CLOSE_LOOK } else { LOOK }).await;
        }
        let seconds = self.begin.elapsed().as_secs_f64();
        if let Err(why) = self.calm_down().await {
            self.trouble.push(format!("at the end: {why:#}"));
        }
        self.swarm.stop();
        tell("waiting for what is under way");
        self.swarm.drained(DRAIN).await;
        let stolen = procstat::stolen().saturating_sub(self.stolen);
        let setup = Setup { seed: self.seed, seconds, stolen, interrupted: stop.came(), args: self.args };
        let receipts = self.admin.changes().await;
        Ok(ChaosReport::new(&setup, self.happenings, self.trouble, self.swarm, &receipts))
    }

    fn is_over(&self) -> bool {
        let elapsed = self.begin.elapsed().saturating_sub(WARM_UP);
        let made = self.happenings.iter().filter(|happening| happening.refused.is_none()).count();
        match self.args.changes {
            Some(changes) => made >= changes && self.measured.is_none(),
            None => elapsed.as_secs_f64() >= self.args.minutes * 60.0,
        }
    }

    /// One look, and a fault if it is time.
    async fn turn(&mut self) -> anyhow::Result<()> {
        let members = self.look().await?;
        let enough = self.args.changes.is_some_and(|changes| self.happenings.len() >= changes);
        if enough || !self.may_disturb() {
            return self.check_patience();
        }
        if self.is_settled() && (self.swarm.spread(&self.up(&members), MOVES) > 0 || self.away() > 0) {
            return Ok(());
        }
        let frozen = self.thaws.iter().map(|(_, id)| id.clone()).collect();
        let (hard, settled) = (self.hard.is_some(), self.is_settled());
        let scene = Scene { members: &members, frozen: &frozen, hard, settled };
        match self.plan.next(&scene) {
            Some(wish) => {
                self.idle = None;
                self.disturb(&wish).await;
            }
            None => {
                let idle = *self.idle.get_or_insert_with(Instant::now);
                self.next = Instant::now() + PAUSES[0];
                anyhow::ensure!(idle.elapsed() < SETTLE_LIMIT, "none of the faults asked for is possible any more");
            }
        }
        Ok(())
    }

    /// Whether the next fault may come now.
    fn may_disturb(&self) -> bool {
        let now = Instant::now();
        match self.args.settle {
            true => now >= self.next && self.is_settled() && self.thaws.is_empty() && self.measured.is_none(),
            false => now >= self.next && !self.exclusive && self.hard.is_none_or(|since| since.elapsed() < PATIENCE),
        }
    }

    /// What has not settled for too long ends the run.
    fn check_patience(&self) -> anyhow::Result<()> {
        let waits = self.args.settle || self.hard.is_some_and(|since| since.elapsed() >= PATIENCE);
        let last = self.happenings.last().map_or(self.begin, |last| last.made);
        let frozen = self.thaws.iter().map(|(at, _)| *at).max().unwrap_or(last);
        let since = last.max(frozen.min(Instant::now()));
        let (limit, why) = (SETTLE_LIMIT, &self.unsettled);
        anyhow::ensure!(
            !waits || since.elapsed() < limit,
            "not settled within {limit:?}: {why}, {} clients away",
            self.away()
        );
        Ok(())
    }

    async fn disturb(&mut self, wish: &Wish) {
        // The clock of the examples of what went wrong.
        let at = Duration::from_nanos(now_nanos());
        tell(&format!("{:6.1} s  {wish}", at.as_secs_f64()));
        self.close_measure();
        self.tell_swarm(wish);
        self.swarm.mark();
        let made = Instant::now();
        let outcome = self.make(wish).await;
        let mut happening = Happening::new(wish, at, made);
        happening.alone = self.args.settle;
        if let Err(why) = outcome {
            tell(&format!("          refused: {why:#}"));
            happening.refused = Some(format!("{why:#}"));
            if wish.fault == Fault::KillAll {
                self.trouble.push(format!("everything was killed, and is not back: {why:#}"));
            }
        } else {
            if wish.hard {
                self.hard = Some(made);
            }
            self.exclusive = wish.exclusive;
            self.measured = Some(Measured::new(wish, made));
            self.calm = None;
        }
        self.happenings.push(happening);
        let [shortest, longest] = PAUSES;
        let pause = self.plan.pause(shortest, longest);
        self.next = Instant::now() + if self.args.settle { Duration::ZERO } else { pause };
    }

    /// Tells the clients whose sockets are going to end, and what is.
    fn tell_swarm(&mut self, wish: &Wish) {
        let how = match wish.fault {
            Fault::KillGateway | Fault::FreezeGateway | Fault::KillAll => Break::Sudden,
            Fault::StopGateway => Break::Planned,
            _ => return,
        };
        for (target, id) in self.gateways.iter().enumerate() {
            if wish.fault == Fault::KillAll || *id == wish.member {
                self.swarm.break_begins(target, how);
                self.broken.insert(id.clone());
            }
        }
        if wish.fault == Fault::KillAll {
            self.swarm.everything_ends();
        }
    }

    async fn make(&mut self, wish: &Wish) -> anyhow::Result<()> {
        let id = wish.member.as_str();
        match wish.fault {
            Fault::Kill | Fault::KillGateway => self.admin.act(id, "kill").await,
            Fault::Stop | Fault::StopGateway => self.admin.act(id, "stop").await,
            Fault::KillAll => self.cluster.kill_all().await,
            Fault::Start => self.admin.act(id, "start").await,
            Fault::Add => self.admin.add().await.map(drop),
            Fault::Weight => self.admin.weigh(id, wish.weight).await,
            Fault::Cut => self.admin.cut(id, &wish.other, wish.length.as_secs_f64(), wish.one_way).await,
            Fault::Freeze | Fault::FreezeGateway => {
                self.admin.act(id, "freeze").await?;
                self.thaws.push((Instant::now() + wish.length, id.to_owned()));
                Ok(())
            }
        }
    }

    /// Thaws everybody, and waits until all is settled and everybody is back.
    async fn calm_down(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        self.thaws.iter_mut().for_each(|(at, _)| *at = (*at).min(now));
        while !(self.is_settled() && self.away() == 0 && self.measured.is_none()) {
            anyhow::ensure!(
                now.elapsed() < SETTLE_LIMIT,
                "not settled within {SETTLE_LIMIT:?}: {}, {} clients away",
                self.unsettled,
                self.away()
            );
            self.look().await?;
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Clients without a server.
    fn away(&self) -> u64 {
        self.swarm.returns().still_away
    }

    /// Which servers of the swarm take clients.
    fn up(&self, members: &[Member]) -> Vec<bool> {
        let takes = |id: &String| {
            members.iter().any(|member| member.id == *id && member.is_active()) && !self.broken.contains(id)
        };
        self.gateways.iter().map(takes).collect()
    }
}
