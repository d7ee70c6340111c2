//! A swarm: plain users and Centrifuge clients over real sockets that send numbered messages to one another, with everything checked.
//!
//! Plain users each write to a few others in turn; Centrifuge clients each publish to the one channel they are subscribed to. A socket is one
//! small task, sending happens in few tasks or, with a window, in whichever task saw the last message arrive.

mod breaks;
mod comeback;
mod ended;
mod journal;
mod member;
mod outside;
mod pace;
mod report;
mod returns;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::checker::{CheckReport, Checker};
use crate::client::{Form, Position, centrifuge, plain};
use crate::latency::{Latencies, Percentiles};
use crate::progress::Progress;
use crate::socket::Socket;
use crate::stamp::now_nanos;
use ringway_http::Target;

pub use breaks::Break;
pub use ended::Ended;
use member::{Role, State};
pub use outside::Outside;
pub use pace::Pace;
pub use report::{Pauses, Reach, SwarmReport};
use returns::Returns;
pub use returns::ReturnsReport;

/// While something is waited for, it is looked at this often.
const LOOK: Duration = Duration::from_millis(50);
/// A socket whose server does not answer a close within this time is dropped.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);

/// What servers take for a publish at most, unless they are told otherwise.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// What a swarm consists of.
#[derive(Debug, Clone)]
pub struct SwarmConfig {
    /// The servers; clients are dealt out to them in turn.
    pub targets: Vec<Target>,
    /// How many users of the plain protocol.
    pub plain: usize,
    /// How many clients of the Centrifuge protocol.
    pub centrifuge: usize,
    /// In which form they speak it.
    pub form: Form,
    /// Plain user number i is called this and i.
    pub user_prefix: String,
    /// To how many others each plain user writes, all of them if there are not so many; every user is written to by as many.
    pub peers: usize,
    /// The channels of the Centrifuge clients.
    pub channels: Channels,
    /// How many of the Centrifuge clients publish; all if there are not so many.
    pub publishers: usize,
    /// The size of a message's text or data in bytes; stamps need about 50 of it at least.
    pub payload: usize,
    /// How many clients may be connecting at once.
    pub connecting: usize,
    /// Clients whose socket ends come back, to another server if there is one.
    pub reconnect: bool,
    /// A server answers a publish within this, with an error if it must: its `deadline`.
    pub deadline: Duration,
}

/// Some channels of a swarm, and what becomes of them when every process ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// What their names begin with, up to the colon; empty: channels without a namespace.
    pub name: String,
    /// They go on where they were: what they have acknowledged is in a log.
    pub outlives: bool,
}

/// Which channel each Centrifuge client has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channels {
    /// All have the same.
    One(String),
    /// So many clients each share one, called this and the group's number.
    Groups {
        /// What the names begin with.
        prefix: String,
        /// Clients per channel, at least 1.
        members: usize,
    },
    /// Channels called this and a number, which have so many clients in turn: the smallest number, one more, and so on up to the largest.
    Mixed {
        /// The namespaces take turns; each has a channel of every size in its turn. At least one.
        namespaces: Vec<Namespace>,
        /// What the names begin with.
        prefix: String,
        /// The fewest clients of a channel, at least 1.
        smallest: usize,
        /// The most.
        largest: usize,
    },
}

impl SwarmConfig {
    /// A swarm on `target` of so many clients of both kinds, 4 peers per user, 4 clients per channel, all sending 64 bytes.
    pub fn new(target: Target, plain: usize, centrifuge: usize) -> Self {
        Self {
            targets: vec![target],
            plain,
            centrifuge,
            form: Form::default(),
            user_prefix: format!("u{:x}-", rand::random::<u32>()),
            peers: 4,
            channels: Channels::Groups { prefix: format!("c{:x}-", rand::random::<u32>()), members: 4 },
            publishers: usize::MAX,
            payload: 64,
            connecting: 64,
            reconnect: false,
            deadline: DEADLINE,
        }
    }
}

/// Connected clients. Dropping it drops their connections.
#[derive(Debug)]
pub struct Swarm {
    state: Arc<State>,
    pacing: Mutex<JoinSet<()>>,
    returning: JoinSet<()>,
    connecting: Duration,
    handshakes: Percentiles,
}

impl Swarm {
    /// Connects all clients; each is online (welcomed or subscribed) when this returns.
    ///
    /// # Errors
    /// The first client that was not let in, with its name; the others are dropped.
    pub async fn connect(config: SwarmConfig, progress: &Progress) -> anyhow::Result<Self> {
        ensure!(!config.targets.is_empty(), "a swarm needs a server to connect to");
        let clients = config.plain + config.centrifuge;
        room_for(clients)?;
        let (returns, leavers) = config.reconnect.then(|| Returns::new(clients, config.deadline)).unzip();
        let state = Arc::new(State::new(&config, returns));
        let handshakes = Arc::new(Latencies::default());
        let start = Instant::now();
        let next = Arc::new(AtomicUsize::new(0));
        // From here on the drop of this cleans up.
        let mut swarm = Self {
            state,
            pacing: Mutex::default(),
            returning: JoinSet::new(),
            connecting: Duration::ZERO,
            handshakes: Percentiles::default(),
        };
        if let Some(leavers) = leavers {
            swarm.returning.spawn(comeback::keep(swarm.state.clone(), leavers, config.connecting));
        }
        let mut workers = JoinSet::new();
        for _ in 0..config.connecting.clamp(1, clients.max(1)) {
            workers.spawn(connect_some(swarm.state.clone(), next.clone(), handshakes.clone()));
        }
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                done = workers.join_next() => match done {
                    Some(worker) => worker??,
                    None => break,
                },
                _ = look.tick() => progress.say(|| format!("connecting: {} of {clients}", next.load(Relaxed).min(clients))),
            }
        }
        swarm.connecting = start.elapsed();
        swarm.handshakes = handshakes.percentiles();
        Ok(swarm)
    }

    /// How long it took to bring all clients online, and the percentiles of each one's time from connect to online.
    pub fn connecting(&self) -> (Duration, Percentiles) {
        (self.connecting, self.handshakes)
    }

    /// The names of the plain users.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.state.members.iter().filter(|member| matches!(member.role, Role::Plain { .. })).map(|member| &*member.name)
    }

    /// The names of the Centrifuge clients' channels.
    pub fn channels(&self) -> &[String] {
        &self.state.channels
    }

    /// Begins to send, until [`Swarm::stop`]. A pace that is already set goes on beside it.
    pub fn start(&self, pace: Pace) {
        pace::start(&self.state, pace, &mut self.pacing.lock());
    }

    /// Sends no more. What was sent is still received and checked.
    pub fn stop(&self) {
        self.state.window.store(0, Relaxed);
        self.pacing.lock().abort_all();
    }

    /// Sends one message from each of `count` senders, spread over all of them.
    pub fn send_sample(&self, count: usize) {
        let senders = &self.state.senders;
        let step = (senders.len() / count.max(1)).max(1);
        senders.iter().step_by(step).take(count).for_each(|&sender| self.state.send_one(sender));
    }

    /// Waits until all is answered and nothing promised is missing any more, or `limit` is over; gives the check as it is then. Meant for after [`Swarm::stop`].
    pub async fn drained(&self, limit: Duration) -> CheckReport {
        let end = Instant::now() + limit;
        loop {
            let report = self.checker().report();
            if (report.lost == 0 && report.unanswered == 0) || Instant::now() >= end {
                return report;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The checker, for questions of one's own.
    pub fn checker(&self) -> &Checker {
        &self.state.checker
    }

    /// How many messages were sent so far.
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Relaxed)
    }

    /// A sender that is no client, for channel number `channel` of [`Swarm::channels`]; none if there is no such.
    pub fn outside(&self, channel: usize) -> Option<Outside> {
        Outside::new(&self.state, channel)
    }

    /// The latencies so far.
    pub fn latencies(&self) -> Percentiles {
        self.state.latencies.percentiles()
    }

    /// From sending to the server's answer, so far. Plain messages have none.
    pub fn acknowledgements(&self) -> Percentiles {
        self.state.acknowledgements.percentiles()
    }

    /// Forgets the latencies so far; the next report has those from now on.
    pub fn reset_latencies(&self) {
        self.state.latencies.reset();
        self.state.acknowledgements.reset();
    }

    /// Everything at once.
    pub fn report(&self) -> SwarmReport {
        report::report(&self.state)
    }

    /// The clients whose sockets ended without being asked to by this end, and how.
    pub fn ended(&self) -> Vec<Ended> {
        self.state.ended.lock().clone()
    }

    /// From this moment on [`Swarm::reach`] measures. Put it just before the fault.
    pub fn mark(&self) {
        let now = now_nanos();
        for member in &self.state.members {
            member.reached.store(0, Relaxed);
            member.slowest.store(0, Relaxed);
        }
        self.state.mark.store(now.max(1), Relaxed);
    }

    /// How long after the last [`Swarm::mark`] each client got the first message that was sent after it. As fine as messages to it are frequent.
    pub fn reach(&self) -> Reach {
        report::reach(&self.state)
    }

    /// How long deliveries to each client took at most since the last [`Swarm::mark`]: of a stream that flows, the pause that its client saw.
    pub fn pauses(&self) -> Pauses {
        report::pauses(&self.state)
    }

    /// Tells that server number `target` of the config is about to be broken: the ends of its sockets are no fault of it from now on.
    /// Only where clients come back.
    pub fn break_begins(&self, target: usize, how: Break) {
        if let Some(returns) = &self.state.returns {
            returns.breaks.begin(target, how);
        }
    }

    /// Tells that every process is about to end at once, after [`Swarm::break_begins`] for each server. What was acknowledged on a channel
    /// that does not outlive that may be missing from now on, to a client that is told that the channel began anew.
    pub fn everything_ends(&self) {
        self.state.everything_ends();
    }

    /// Tells that a server serves again.
    pub fn break_ends(&self, target: usize) {
        if let Some(returns) = &self.state.returns {
            returns.breaks.end(target);
        }
    }

    /// Has clients move, so that all servers that are `up` come to have as many; `limit` of them at most. Returns how many were asked to.
    /// Only where clients come back.
    pub fn spread(&self, up: &[bool], limit: usize) -> usize {
        if self.state.returns.is_some() { self.state.spread(up, limit) } else { 0 }
    }

    /// What coming back was like; nothing where clients do not.
    pub fn returns(&self) -> ReturnsReport {
        self.state.returns.as_ref().map(Returns::report).unwrap_or_default()
    }

    /// Closes all sockets in good manners and waits for it.
    pub async fn close(mut self) {
        self.stop();
        self.returning.shutdown().await;
        let sockets: Vec<Socket> = self.sockets().collect();
        sockets.iter().for_each(|socket| socket.close(1000, ""));
        let end = Instant::now() + CLOSE_LIMIT;
        while sockets.iter().any(|socket| socket.closed().is_none()) && Instant::now() < end {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn sockets(&self) -> impl Iterator<Item = Socket> {
        self.state.members.iter().filter_map(|member| member.link.lock().socket.clone())
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        self.state.over.store(1, Relaxed);
        self.returning.abort_all();
        self.sockets().for_each(|socket| socket.abort());
    }
}

/// Connects clients one after the other until all have been taken.
async fn connect_some(state: Arc<State>, next: Arc<AtomicUsize>, handshakes: Arc<Latencies>) -> anyhow::Result<()> {
    loop {
        let index = next.fetch_add(1, Relaxed);
        let Some(member) = state.members.get(index) else { return Ok(()) };
        let client = u32::try_from(index).context("more clients than numbers")?;
        let target = index % state.targets.len();
        let start = Instant::now();
        let opened = open(&state, client, target, None).await;
        let socket = opened.with_context(|| format!("client {} (number {index})", member.name))?;
        handshakes.record(start.elapsed());
        if state.over.load(Relaxed) == 1 {
            socket.abort();
        }
        let mut link = member.link.lock();
        (link.socket, link.target) = (Some(socket), target);
    }
}

/// Brings a client online at a server, from its position if it has one.
async fn open(state: &Arc<State>, client: u32, target: usize, position: Option<Position>) -> anyhow::Result<Socket> {
    let (member, target) = (&state.members[client as usize], &state.targets[target]);
    match &member.role {
        Role::Plain { .. } => plain::connect(target, &member.name, client, state.clone()).await,
        Role::Centrifuge { channel, .. } => {
            let channel = &state.channels[*channel as usize];
            centrifuge::connect(target, state.form, channel, position, client, state.clone()).await
        }
    }
}

/// Raises the limit of open files as far as it goes, and refuses what will not fit: an error now beats one in the middle.
fn room_for(clients: usize) -> anyhow::Result<()> {
    /// Files that are no client's socket: the runtime, the terminal, the reading of /proc.
    const OTHERS: u64 = 64;
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(OTHERS);
    ensure!(
        clients as u64 + OTHERS <= limit,
        "{clients} sockets do not fit under this process's limit of {limit} open files: raise it (ulimit -Hn) or use fewer"
    );
    Ok(())
}

/// A number that counts up, for the report.
type Count = AtomicU64;
