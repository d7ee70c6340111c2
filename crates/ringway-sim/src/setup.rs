//! What a seed decides before a run begins: the cluster's size, its channels, its limits, its clocks' habits.

use ringway_core::message::Durability;
use std::sync::Arc;
use std::time::Duration;

use ringway_core::limits::NodeLimits;
use ringway_core::message::ChannelOptions;
use ringway_core::registry::Seat;
use ringway_core::ring::{HashKey, SlotCount, slot_of};
use ringway_core::timing::Timing;
use ringway_core::{ChannelName, Slot, UserName};
use ringway_hub::{Access, ChannelConfig, HubConfig, Offer, SessionLimits};

use crate::large::Large;
use crate::rng::Rng;
use ringway_core::ring::SlotSet;

/// The process that has the registry, where one has it.
pub(crate) const HOST: usize = 0;

/// What may go wrong in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Joins, drains and changed weights only: nothing is lost, on channels without history either.
    Planned,
    /// The next fault comes when the last one is over and everybody is settled.
    One,
    /// Up to twelve overlapping faults, false evidence, long freezes.
    Wild,
}

/// A channel of the run.
#[derive(Debug, Clone)]
pub(crate) struct ChannelSetup {
    pub(crate) name: ChannelName,
    pub(crate) slot: Slot,
    pub(crate) options: ChannelOptions,
    /// Whose inbox it is.
    pub(crate) user: Option<UserName>,
}

impl ChannelSetup {
    pub(crate) fn is_inbox(&self) -> bool {
        self.user.is_some()
    }

    /// Publications are in the log before they are acknowledged.
    pub(crate) fn is_logged(&self) -> bool {
        self.options.is_logged()
    }

    /// What gateways are configured to do with such channels.
    fn config(&self) -> ChannelConfig {
        let ChannelOptions { history_size, history_ttl, presence, durability, .. } = self.options;
        let config = ChannelConfig { history_size, history_ttl, presence, durability, ..ChannelConfig::default() };
        let config = ChannelConfig { recovery: Offer::Always, ..config };
        let config = ChannelConfig { subscribe: Access::ANYONE, publish: Access::ANYONE, ..config };
        ChannelConfig { read_presence: Access::SUBSCRIBERS, read_history: Access::SUBSCRIBERS, ..config }
    }
}

/// Everything that does not change during a run.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) mode: Mode,
    pub(crate) key: HashKey,
    pub(crate) slots: SlotCount,
    pub(crate) timing: Timing,
    pub(crate) limits: NodeLimits,
    pub(crate) channels: Vec<ChannelSetup>,
    /// Nodes that start at once, and all there may be.
    pub(crate) nodes: (usize, usize),
    pub(crate) gateways: usize,
    /// The registry is in the first gateway's process.
    pub(crate) hosted: bool,
    /// The first gateway is also a node.
    pub(crate) both_roles: bool,
    /// The orchestrator sees its children's exits.
    pub(crate) orchestrated: bool,
    /// Links break around the messages that change hands over copies.
    pub(crate) targeted: bool,
    /// Longest ordinary delay of a frame, in microseconds.
    pub(crate) delay: u64,
    /// Publishing ends then, in microseconds.
    pub(crate) quiet_from: u64,
    /// Mean pause of a client between two steps, in microseconds.
    pub(crate) pace: u64,
    /// The copies of a slot are cut off together with a gateway for longer than they may go on.
    pub(crate) island: bool,
    /// A gateway and a node are cut off from each other for nearly the whole run, and from nobody else.
    pub(crate) split: bool,
    /// Somebody beside the links takes every member for gone.
    pub(crate) doubts: bool,
    /// Backends have histories removed.
    pub(crate) removes: bool,
    /// The last process has the id of the first node.
    pub(crate) twin: bool,
    /// Copies that an acknowledgement needs.
    pub(crate) ack_copies: u8,
    /// The cluster is a large one.
    pub(crate) large: Option<Large>,
    /// Channels of each slot.
    pub(crate) by_slot: Vec<Vec<usize>>,
    pub(crate) all_slots: SlotSet,
    /// What gateways are configured to do.
    pub(crate) hub: Arc<HubConfig>,
    /// Another file, that the last gateway has where this is not the first: it keeps channels otherwise.
    other_hub: Option<Arc<HubConfig>>,
    /// Bytes that may wait for all sockets of a gateway together.
    pub(crate) sockets_bytes: usize,
    /// Marks of a process are looked at this often, in microseconds.
    pub(crate) look_at_marks: u64,
}

impl Setup {
    /// Some channels are kept in the log.
    pub(crate) fn has_log(&self) -> bool {
        self.channels.iter().any(ChannelSetup::is_logged)
    }

    /// The registry's answers may be lost or late.
    pub(crate) fn is_troubled(&self) -> bool {
        self.mode != Mode::Planned && self.large.is_none()
    }

    /// Where the registry is for this process, as it begins.
    pub(crate) fn seat(&self, at: usize) -> Seat {
        match (self.hosted, at) {
            (true, HOST) => Seat::Here,
            (true, _) => Seat::Host(None),
            (false, _) => Seat::Outside,
        }
    }

    /// The config of this gateway's own file.
    pub(crate) fn hub_of(&self, at: usize) -> Arc<HubConfig> {
        let is_last = at > HOST && at + 1 == self.gateways;
        self.other_hub.as_ref().filter(|_| is_last).unwrap_or(&self.hub).clone()
    }

    /// How a channel is kept, by the cluster's word.
    pub(crate) fn options_of(&self, channel: &ChannelName) -> Option<ChannelOptions> {
        let known = self.channels.iter().find(|known| known.name == *channel);
        known.map(|known| known.options)
    }

    /// Gateways have files that say different things.
    pub(crate) fn is_at_odds(&self) -> bool {
        self.other_hub.is_some()
    }

    pub(crate) fn draw(rng: &mut Rng, seed: u64, mode: Mode) -> Self {
        let key = HashKey::from_bytes(std::array::from_fn(|_| rng.next() as u8));
        let slots = SlotCount::new(if rng.chance(900) { 8 } else { 64 }).expect("a power of two in range");
        let deadline = Duration::from_millis(rng.pick(&[400, 1500, 5000, 5000]));
        // A shorter pair limit is as good a cluster as the default one, and its runs take less time.
        let pair = Duration::from_secs(rng.pick(&[10, 3, 3, 3]));
        let idempotency = Duration::from_secs(rng.pick(&[300, 300, 300, 1]));
        let mut timing = Timing { deadline, pair, idempotency, ..Timing::default() };
        let mut limits = NodeLimits::default();
        if rng.chance(200) {
            limits.bulk_bytes = rng.range(100, 2000) as usize;
            // Now and then a peer is slow for what is new as well. What nobody keeps is lost to it then.
            if seed.is_multiple_of(2) && mode != Mode::Planned {
                limits.live_bytes = limits.bulk_bytes;
            }
        }
        if !seed.is_multiple_of(3) {
            limits.log_chain_bytes = 2_000;
        }
        // Not drawn, so that all that follows is as it was for every seed.
        if seed % 5 == 1 {
            limits.copy_slots = 1 + (seed / 5 % 3) as usize;
        }
        if rng.chance(100) {
            limits.history_bytes = rng.range(2000, 20_000) as usize;
        }
        let count = rng.range(4, 10);
        let channels =
            (0..count).map(|number| Self::draw_channel(rng, &key, slots, number, level_of(seed, number))).collect();
        let planned = mode == Mode::Planned;
        let nodes = if planned { rng.range(2, 4) } else { rng.range(1, 5) } as usize;
        let pace = rng.pick(&[10_000, 40_000, 80_000]);
        let island = mode == Mode::Wild && rng.chance(150);
        let mut quiet_from = rng.range(2_500_000, 7_000_000);
        if island {
            timing.pair = Duration::from_secs(3);
            quiet_from = rng.range(7_500_000, 9_500_000);
        }
        Self {
            mode,
            key,
            slots,
            timing,
            limits,
            channels,
            nodes: (nodes, 5),
            gateways: rng.pick(&[2, 2, 2, 3]),
            hosted: rng.chance(300),
            both_roles: rng.chance(100),
            orchestrated: rng.chance(600),
            targeted: seed.is_multiple_of(2) && !planned,
            delay: rng.pick(&[200, 1_000, 5_000]),
            quiet_from,
            pace,
            island,
            // Not drawn either.
            split: !planned && seed % 10 == 3,
            doubts: seed % 5 == 2,
            removes: seed % 4 == 1,
            twin: !planned && rng.chance(80),
            ack_copies: if rng.chance(125) { 2 } else { 1 },
            large: None,
            by_slot: Vec::new(),
            all_slots: SlotSet::of(slots.slots()),
            hub: Arc::new(HubConfig::default()),
            other_hub: None,
            sockets_bytes: 256 << 20,
            look_at_marks: 0,
        }
        .with_index(seed)
    }

    /// A large cluster: limits and lengths of time are the defaults, the registry is the first gateway's, and nothing else goes
    /// wrong than that members die.
    pub(crate) fn draw_large(rng: &mut Rng, seed: u64, large: Large) -> Self {
        let slots = SlotCount::new(large.slots).expect("a power of two in range");
        let usual = Self::draw(rng, seed, Mode::One);
        let key = usual.key;
        let memory = Durability::Memory;
        let channels =
            (0..large.channels as u64).map(|number| Self::draw_channel(rng, &key, slots, number, memory)).collect();
        Self {
            slots,
            timing: Timing::default(),
            limits: NodeLimits::default(),
            channels,
            nodes: (large.nodes, large.nodes + large.nodes.div_ceil(10)),
            gateways: 3,
            hosted: true,
            both_roles: false,
            targeted: false,
            delay: large.delay.as_micros() as u64,
            // Until it is known when all channels are there.
            quiet_from: u64::MAX / 2,
            pace: 10_000,
            island: false,
            split: false,
            doubts: false,
            removes: false,
            twin: false,
            ack_copies: 1,
            large: Some(large),
            all_slots: SlotSet::of(slots.slots()),
            look_at_marks: 50_000,
            ..usual
        }
        .with_index(seed)
    }

    fn with_index(mut self, seed: u64) -> Self {
        self.by_slot = vec![Vec::new(); self.slots.get() as usize];
        for (at, channel) in self.channels.iter().enumerate() {
            self.by_slot[channel.slot.index()].push(at);
        }
        self.hub = Arc::new(self.config(seed));
        // With a registry outside the first gateway of a view has the last word, whichever that is.
        self.other_hub = (self.hosted && self.large.is_none() && seed % 2 == 1).then(|| Arc::new(otherwise(&self.hub)));
        if self.large.is_none() && seed / 3 % 3 == 2 {
            self.sockets_bytes = 3000;
        }
        self
    }

    /// Limits of sessions are small in some runs, so that they are reached. They are not drawn, either.
    fn config(&self, seed: u64) -> HubConfig {
        let mut limits = SessionLimits::default();
        if self.large.is_none() {
            limits.page = [300, 300, 5, 2][(seed % 4) as usize];
            limits.outbox_bytes = [1 << 20, 2000, 600][(seed % 3) as usize];
            limits.publishes_in_flight = [32, 4][(seed / 2 % 2) as usize];
        }
        let named = self.channels.iter().filter(|channel| !channel.is_inbox());
        let namespace = |name: &ChannelName| name.as_str().split(':').next().unwrap_or_default().to_owned();
        let namespaces = named.map(|channel| (namespace(&channel.name), channel.config())).collect();
        let inbox = self.channels.iter().find(|channel| channel.is_inbox()).map(ChannelSetup::config);
        let hasty = seed % 4 == 1 && self.large.is_none();
        let (ping_interval, pong_timeout) = if hasty { (2500, 1500) } else { (25_000, 8000) };
        HubConfig {
            allow_anonymous: true,
            namespaces,
            inbox: ChannelConfig { subscribe: Access::NAMED, ..inbox.unwrap_or_else(ChannelConfig::inbox) },
            ping_interval: Duration::from_millis(ping_interval),
            pong_timeout: Duration::from_millis(pong_timeout),
            limits,
            ..HubConfig::default()
        }
    }

    fn draw_channel(rng: &mut Rng, key: &HashKey, slots: SlotCount, number: u64, level: Durability) -> ChannelSetup {
        let inbox = number % 4 == 3;
        let unkept = !inbox && number % 3 == 2;
        let history_size = match (unkept, inbox) {
            (true, _) => 0,
            (_, true) => 1000,
            _ => rng.pick(&[3, 20, 1000]),
        };
        let history_ttl = Duration::from_secs(if inbox { 600 } else { rng.pick(&[2, 600, 600]) });
        let presence = rng.chance(200) && !inbox;
        let options = ChannelOptions { history_size, history_ttl, presence, history_bytes: 0, durability: level };
        let user = inbox.then(|| UserName::new(&format!("user-{number}")).expect("a short name of letters"));
        // Channels that are kept alike have a namespace of their own.
        let kept = format!("h{history_size}t{}p{}{level}", history_ttl.as_secs(), u8::from(presence));
        let named = || ChannelName::new(&format!("{kept}:channel-{number}")).expect("a short name of letters");
        let name = user.as_ref().map_or_else(named, ChannelName::personal);
        ChannelSetup { slot: slot_of(key, slots, name.as_str()), name, options, user }
    }
}

/// Half of the seeds have a log, and there half of the channels are in it. Inboxes are all kept alike. Not drawn, so that all else is as it was.
fn level_of(seed: u64, number: u64) -> Durability {
    let is_inbox = number % 4 == 3;
    let is_unkept = !is_inbox && number % 3 == 2;
    let is_logged = if is_inbox { seed / 4 % 2 == 1 } else { number % 2 == seed / 4 % 2 && !is_unkept };
    if seed / 2 % 2 == 1 && is_logged { Durability::Log } else { Durability::Memory }
}

/// The same config, but that it keeps every channel in another way.
fn otherwise(config: &HubConfig) -> HubConfig {
    let kept = |config: &ChannelConfig| ChannelConfig {
        history_size: config.history_size * 2 + 7,
        history_ttl: config.history_ttl + Duration::from_secs(1),
        presence: !config.presence,
        ..config.clone()
    };
    let namespaces = config.namespaces.iter().map(|(name, config)| (name.clone(), kept(config))).collect();
    HubConfig { namespaces, inbox: kept(&config.inbox), ..config.clone() }
}
