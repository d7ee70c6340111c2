//! The members of a swarm and what they have in common; here messages are sent, and heard of.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

use super::ended::Ended;
use super::journal::{Journal, Leaving};
use super::returns::Returns;
use super::{Channels, Count, Namespace, SwarmConfig};
use crate::checker::{Checker, Delivery, Promise, ReceiverLog, SenderLog};
use crate::client::{Form, Observer, Position, Resumed, centrifuge, plain};
use crate::latency::Latencies;
use crate::socket::{Closed, Socket};
use crate::stamp::{Stamp, now_nanos};
use ringway_http::Target;

/// Channels as destinations are numbered from here; users before.
pub(super) const CHANNEL: u32 = 1 << 31;
/// How many refusals, or ends of sockets, are kept in words; all are counted.
pub(super) const KEPT: usize = 20;

thread_local! {
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// One client.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) role: Role,
    /// Held while sending, so that numbers leave in order.
    pub(super) link: Mutex<Link>,
    pub(super) sender: Arc<SenderLog>,
    pub(super) receiver: Arc<ReceiverLog>,
    /// Deliveries of what it sent.
    pub(super) arrived: AtomicU64,
    /// When it got the first message that was sent after the mark; 0 while it has not.
    pub(super) reached: AtomicU64,
    /// The slowest delivery since the mark, in nanoseconds.
    pub(super) slowest: AtomicU64,
    /// Since when it waits for a word of the server; 0: it does not. Only where clients come back.
    pub(super) waiting: AtomicU64,
}

/// A client's connection, and what outlives it.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// None before the first one, and while the client is away.
    pub(super) socket: Option<Socket>,
    /// The number of the server that it is connected to, or was last.
    pub(super) target: usize,
    /// How many it has sent.
    turn: u64,
    /// The number of each publish that is not answered yet, and when it was sent. Plain messages have no answer.
    unanswered: VecDeque<(u64, u64)>,
    /// The client ends the connection itself, for this reason.
    pub(super) leaving: Option<Leaving>,
    /// How often everything had ended when its socket came.
    pub(super) ends: usize,
    /// Where it wants to be next.
    pub(super) wanted: Option<usize>,
    /// Up to where it has everything, while it is away.
    pub(super) position: Option<Position>,
    /// Of plain users who come back.
    pub(super) journal: Option<Box<Journal>>,
}

/// What a member speaks and to whom.
#[derive(Debug)]
pub(super) enum Role {
    /// Writes to these users (by number) in turn.
    Plain { peers: Arc<[u32]> },
    /// Publishes to this channel, which so many clients are subscribed to. `outlives`: it goes on where it was after every process has ended.
    Centrifuge { channel: u32, subscribers: u64, outlives: bool },
}

/// What all tasks of a swarm share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) run: u32,
    pub(super) targets: Vec<Target>,
    /// A server answers a publish within this.
    pub(super) deadline: Duration,
    /// Where clients come back.
    pub(super) returns: Option<Returns>,
    pub(super) form: Form,
    pub(super) payload: usize,
    pub(super) sent: Count,
    pub(super) members: Vec<Member>,
    pub(super) channels: Vec<String>,
    /// The numbers of the members that send.
    pub(super) senders: Vec<u32>,
    pub(super) checker: Checker,
    pub(super) latencies: Latencies,
    /// From sending to the server's answer.
    pub(super) acknowledgements: Latencies,
    /// Messages that each sender may have under way; 0 when it is not deliveries that set the pace.
    pub(super) window: AtomicU64,
    pub(super) mark: AtomicU64,
    /// How often every process has ended at once.
    pub(super) ends: AtomicUsize,
    /// 1 once the swarm is dropped.
    pub(super) over: AtomicU8,
    pub(super) ended: Mutex<Vec<Ended>>,
    pub(super) refusals: Count,
    pub(super) refusal_examples: Mutex<Vec<String>>,
    pub(super) resubscribed: Count,
    pub(super) unrecovered: Count,
    pub(super) began_anew: Count,
    pub(super) reconnect_asked: Count,
    pub(super) misdirected: Count,
    pub(super) foreign: Count,
    pub(super) stalls: Count,
    /// How many senders there are that are no members, what they sent, and the deliveries of it.
    pub(super) outside: Count,
    pub(super) outside_sent: Count,
    pub(super) outside_arrived: Count,
}

impl State {
    pub(super) fn new(config: &SwarmConfig, returns: Option<Returns>) -> Self {
        let checker = Checker::new();
        let channels = channel_names(config);
        let shifts = shifts(config.plain, config.peers);
        let mut members = Vec::with_capacity(config.plain + config.centrifuge);
        for index in 0..config.plain {
            let peers = shifts.iter().map(|shift| number((index + shift) % config.plain)).collect();
            let name = format!("{}{index}", config.user_prefix);
            members.push(Member::new(&checker, members.len(), name, Role::Plain { peers }, returns.is_some()));
        }
        for index in 0..config.centrifuge {
            let (channel, subscribers) = channel_of(config, index);
            let name = format!("{} of {}", index, channels[channel as usize]);
            let outlives = namespace_of(config, channel).is_none_or(|namespace| namespace.outlives);
            let role = Role::Centrifuge { channel, subscribers, outlives };
            members.push(Member::new(&checker, members.len(), name, role, returns.is_some()));
        }
        let writers = if shifts.is_empty() { 0..0 } else { 0..config.plain };
        // Evenly from all clients, and so from all channels.
        let publishers = config.centrifuge.min(config.publishers);
        let publishers = (0..publishers).map(|index| config.plain + index * config.centrifuge / publishers);
        Self {
            run: rand::random(),
            targets: config.targets.clone(),
            deadline: config.deadline,
            returns,
            payload: config.payload,
            form: config.form,
            sent: Count::new(0),
            senders: writers.chain(publishers).map(number).collect(),
            members,
            channels,
            checker,
            latencies: Latencies::default(),
            acknowledgements: Latencies::default(),
            window: AtomicU64::new(0),
            mark: AtomicU64::new(u64::MAX),
            ends: AtomicUsize::new(0),
            over: AtomicU8::new(0),
            ended: Mutex::default(),
            refusals: Count::new(0),
            refusal_examples: Mutex::default(),
            resubscribed: Count::new(0),
            unrecovered: Count::new(0),
            began_anew: Count::new(0),
            reconnect_asked: Count::new(0),
            misdirected: Count::new(0),
            foreign: Count::new(0),
            stalls: Count::new(0),
            outside: Count::new(0),
            outside_sent: Count::new(0),
            outside_arrived: Count::new(0),
        }
    }

    /// Sends the next message of member `index`; one that cannot be sent counts as refused.
    pub(super) fn send_one(&self, index: u32) {
        let member = &self.members[index as usize];
        let mut link = member.link.lock();
        let Link { socket: Some(socket), turn, journal, unanswered, .. } = &mut *link else { return };
        let dest = member.dest(*turn);
        let seq = member.sender.send(dest);
        *turn += 1;
        self.sent.fetch_add(1, Relaxed);
        let nanos = now_nanos();
        if let Some(journal) = journal {
            journal.send(dest, seq, nanos);
        } else if self.returns.is_some() {
            // Whether there was one before does not matter.
            let _ = member.waiting.compare_exchange(0, nanos, Relaxed, Relaxed);
        }
        if matches!(member.role, Role::Centrifuge { .. }) {
            unanswered.push_back((seq, nanos));
        }
        let stamp = Stamp { run: self.run, sender: index, dest, seq, nanos };
        let sent = TEXT.with_borrow_mut(|text| {
            text.clear();
            match &member.role {
                Role::Plain { .. } => {
                    plain::write_message(text, &self.members[dest as usize].name, &stamp, self.payload);
                    socket.send_text(text)
                }
                Role::Centrifuge { channel, .. } => {
                    let channel = &self.channels[*channel as usize];
                    centrifuge::publish(socket, self.form, text, channel, &stamp, self.payload)
                }
            }
        });
        if sent.is_err() {
            member.sender.refuse(dest, seq);
        }
    }

    /// Every process ends: what is in memory alone ends with it.
    pub(super) fn everything_ends(&self) {
        self.ends.fetch_add(1, Relaxed);
        for member in &self.members {
            let Role::Centrifuge { channel, .. } = member.role else { continue };
            // Nothing is sent meanwhile.
            let _link = member.link.lock();
            member.sender.end_life(CHANNEL | channel);
        }
    }

    /// Lets the sender of an arrived message send its next one, if that is what sets the pace.
    fn credit(&self, sender: u32) {
        let Some(member) = self.members.get(sender as usize) else {
            self.outside_arrived.fetch_add(1, Relaxed);
            return;
        };
        let arrived = member.arrived.fetch_add(1, Relaxed) + 1;
        if arrived.is_multiple_of(member.fan_out()) && self.window.load(Relaxed) > 0 {
            self.send_one(sender);
        }
    }
}

impl Member {
    fn new(checker: &Checker, index: usize, name: String, role: Role, returns: bool) -> Self {
        let (own, promise) = match &role {
            Role::Plain { .. } => (number(index), Promise::OnSend),
            Role::Centrifuge { channel, .. } => (CHANNEL | channel, Promise::OnAcknowledge),
        };
        let journal = (returns && matches!(role, Role::Plain { .. })).then(Box::default);
        Self {
            sender: checker.sender(number(index), promise),
            receiver: checker.receiver(name.clone(), &[own]),
            name,
            role,
            link: Mutex::new(Link { journal, ..Link::default() }),
            arrived: AtomicU64::new(0),
            reached: AtomicU64::new(0),
            slowest: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
        }
    }

    /// Where its message number `turn`, from 0, goes.
    fn dest(&self, turn: u64) -> u32 {
        match &self.role {
            Role::Plain { peers } => peers[(turn % peers.len() as u64) as usize],
            Role::Centrifuge { channel, .. } => CHANNEL | channel,
        }
    }

    /// When this publish was sent. It is answered, and so are those before it, or will never be: answers come in the order of publishes.
    fn answered(&self, seq: u64) -> Option<u64> {
        let unanswered = &mut self.link.lock().unanswered;
        let count = unanswered.iter().take_while(|(number, _)| *number <= seq).count();
        unanswered.drain(..count).next_back().filter(|(number, _)| *number == seq).map(|(_, sent)| sent)
    }

    /// How many deliveries one message makes.
    pub(super) fn fan_out(&self) -> u64 {
        match self.role {
            Role::Plain { .. } => 1,
            Role::Centrifuge { subscribers, .. } => subscribers,
        }
    }

    fn takes(&self, index: u32, dest: u32) -> bool {
        match self.role {
            Role::Plain { .. } => dest == index,
            Role::Centrifuge { channel, .. } => dest == CHANNEL | channel,
        }
    }
}

impl Observer for State {
    fn heard(&self, client: u32) {
        if self.returns.is_some() {
            let member = &self.members[client as usize];
            // A plain user always waits for the next status; a Centrifuge client only for answers.
            let waiting = if matches!(member.role, Role::Plain { .. }) { now_nanos() } else { 0 };
            member.waiting.store(waiting, Relaxed);
        }
    }

    fn left_at(&self, client: u32, position: Position) {
        if self.returns.is_some() {
            self.members[client as usize].link.lock().position = Some(position);
        }
    }

    fn pinged(&self, client: u32) {
        if self.returns.is_some()
            && let Some(journal) = &mut self.members[client as usize].link.lock().journal
        {
            journal.confirm(now_nanos());
        }
    }

    fn delivered(&self, client: u32, stamp: Stamp) {
        let Stamp { run, sender, dest, seq, nanos } = stamp;
        let member = &self.members[client as usize];
        if run != self.run {
            self.foreign.fetch_add(1, Relaxed);
            return;
        }
        if !member.takes(client, dest) {
            self.misdirected.fetch_add(1, Relaxed);
            return;
        }
        if let Some(returns) = &self.returns
            && let Some(journal) = &mut member.link.lock().journal
            && returns.is_repeated(journal, sender, seq)
        {
            return;
        }
        if member.receiver.deliver(sender, dest, seq) == Delivery::Double {
            return;
        }
        let age = stamp.age();
        self.latencies.record(age);
        member.slowest.fetch_max(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        if nanos >= self.mark.load(Relaxed) {
            // Only the first one counts.
            let _ = member.reached.compare_exchange(0, now_nanos(), Relaxed, Relaxed);
        }
        self.credit(sender);
    }

    fn acknowledged(&self, client: u32, id: u32) {
        let member = &self.members[client as usize];
        let seq = centrifuge::publish_seq(id);
        if let Some(sent) = member.answered(seq) {
            self.acknowledgements.record(Duration::from_nanos(now_nanos().saturating_sub(sent)));
        }
        member.sender.acknowledge(member.dest(0), seq);
    }

    fn refused(&self, client: u32, id: Option<u32>, why: &str) {
        let member = &self.members[client as usize];
        match (id, &self.returns) {
            (Some(id), _) => {
                let seq = centrifuge::publish_seq(id);
                member.answered(seq);
                member.sender.refuse(member.dest(0), seq);
            }
            (None, Some(returns)) => self.doubt_recent(returns, client),
            (None, None) => {}
        }
        self.note_refusal(&member.name, why);
    }

    fn resubscribed(&self, client: u32, resumed: Resumed) {
        self.resubscribed.fetch_add(1, Relaxed);
        let member = &self.members[client as usize];
        let outlives = matches!(member.role, Role::Centrifuge { outlives: true, .. });
        // A new life is right once for each end of everything, where nothing was to outlive it.
        let may_begin_anew = || !outlives && member.receiver.is_told_of_new_life(self.ends.load(Relaxed));
        match resumed {
            Resumed::Recovered => {}
            Resumed::BeganAnew if may_begin_anew() => drop(self.began_anew.fetch_add(1, Relaxed)),
            Resumed::BeganAnew | Resumed::Lost => drop(self.unrecovered.fetch_add(1, Relaxed)),
        }
    }

    fn reconnect_asked(&self, _: u32) {
        self.reconnect_asked.fetch_add(1, Relaxed);
    }

    fn closed(&self, client: u32, closed: &Closed) {
        if let Some(returns) = &self.returns {
            self.left(returns, client, closed);
        } else if !closed.asked {
            let name = self.members[client as usize].name.clone();
            self.ended.lock().push(Ended { name, code: closed.code, reason: closed.reason.clone() });
        }
    }
}

/// By how much each of a user's peers is further on in the row of users: all different and not zero, so that all are written to equally.
fn shifts(users: usize, peers: usize) -> Vec<usize> {
    let others = users.saturating_sub(1);
    rand::seq::index::sample(&mut rand::rng(), others, peers.min(others)).iter().map(|shift| shift + 1).collect()
}

fn channel_names(config: &SwarmConfig) -> Vec<String> {
    match &config.channels {
        Channels::One(name) => vec![name.clone()],
        Channels::Groups { prefix, members } => {
            (0..config.centrifuge.div_ceil((*members).max(1))).map(|group| format!("{prefix}{group}")).collect()
        }
        Channels::Mixed { prefix, .. } => {
            let channels = config.centrifuge.checked_sub(1).map_or(0, |last| channel_of(config, last).0 + 1);
            let name = |channel| match namespace_of(config, channel).map(|namespace| &*namespace.name) {
                None | Some("") => format!("{prefix}{channel}"),
                Some(namespace) => format!("{namespace}:{prefix}{channel}"),
            };
            (0..channels).map(name).collect()
        }
    }
}

/// The namespace of a channel, where there are some.
fn namespace_of(config: &SwarmConfig, channel: u32) -> Option<&Namespace> {
    let Channels::Mixed { namespaces, smallest, largest, .. } = &config.channels else { return None };
    let turn = channel as usize / sizes(*smallest, *largest).count();
    namespaces.get(turn % namespaces.len().max(1))
}

/// The sizes of channels, in turn.
fn sizes(smallest: usize, largest: usize) -> std::ops::RangeInclusive<usize> {
    smallest.max(1)..=largest.max(smallest).max(1)
}

/// The channel's number and how many subscribers it has.
fn channel_of(config: &SwarmConfig, index: usize) -> (u32, u64) {
    match &config.channels {
        Channels::One(_) => (0, config.centrifuge as u64),
        Channels::Groups { members, .. } => {
            let size = (*members).max(1);
            let group = index / size;
            let last = config.centrifuge - group * size;
            (number(group), size.min(last) as u64)
        }
        Channels::Mixed { smallest, largest, .. } => {
            let mut first = 0;
            for (channel, size) in sizes(*smallest, *largest).cycle().enumerate() {
                if index < first + size {
                    return (number(channel), size.min(config.centrifuge - first) as u64);
                }
                first += size;
            }
            unreachable!("the sizes go on for ever, and none is zero")
        }
    }
}

/// Members are limited by open files, which are far fewer than 2^31.
fn number(index: usize) -> u32 {
    u32::try_from(index).expect("fewer clients than 2^31")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swarm(clients: usize, outlives: [bool; 2]) -> State {
        let namespace = |(name, outlives): (&str, bool)| Namespace { name: name.to_owned(), outlives };
        let namespaces = ["log", "memory"].into_iter().zip(outlives).map(namespace).collect();
        let target = Target { addr: ([127, 0, 0, 1], 1).into(), host: String::new(), prefix: String::new() };
        let prefix = "c".to_owned();
        let config = SwarmConfig {
            channels: Channels::Mixed { namespaces, prefix, smallest: 1, largest: 2 },
            ..SwarmConfig::new(target, 0, clients)
        };
        State::new(&config, None)
    }

    fn counted(state: &State) -> (u64, u64) {
        (state.began_anew.load(Relaxed), state.unrecovered.load(Relaxed))
    }

    #[test]
    fn namespaces_take_turns_and_each_has_all_sizes() {
        let state = swarm(12, [true, false]);
        assert_eq!(
            state.channels,
            ["log:c0", "log:c1", "memory:c2", "memory:c3", "log:c4", "log:c5", "memory:c6", "memory:c7"]
        );
        let outlives = |member: &Member| matches!(member.role, Role::Centrifuge { outlives: true, .. });
        assert_eq!(state.members.iter().filter(|member| outlives(member)).count(), 6);
    }

    #[test]
    fn a_new_life_is_right_after_an_end_of_everything_where_nothing_outlives_it() {
        // Clients 0 to 2 are in the log, 3 to 5 in memory.
        let state = swarm(6, [true, false]);
        state.resubscribed(3, Resumed::BeganAnew);
        assert_eq!(counted(&state), (0, 1), "nothing has ended");
        state.everything_ends();
        state.resubscribed(3, Resumed::BeganAnew);
        assert_eq!(counted(&state), (1, 1));
        state.resubscribed(3, Resumed::BeganAnew);
        assert_eq!(counted(&state), (1, 2), "once is enough");
        state.resubscribed(4, Resumed::Lost);
        assert_eq!(counted(&state), (1, 3), "not told to be another life");
        state.resubscribed(0, Resumed::BeganAnew);
        assert_eq!(counted(&state), (1, 4), "a log goes on");
    }

    #[test]
    fn what_a_log_has_acknowledged_is_lost_if_it_is_missing_after_the_end_of_everything() {
        for (outlives, lost) in [([true, false], 1), ([false, false], 0)] {
            let state = swarm(1, outlives);
            let sender = &state.members[0].sender;
            let seq = sender.send(CHANNEL);
            sender.acknowledge(CHANNEL, seq);
            state.everything_ends();
            state.resubscribed(0, Resumed::BeganAnew);
            assert_eq!(state.checker.report().lost, lost, "{outlives:?}");
        }
    }
}
