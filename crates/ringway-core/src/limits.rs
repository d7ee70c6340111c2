//! Every bound of the rules with its reason. What happens at a limit stands beside it.

/// Longest name of a user with an inbox in bytes. The handshake of the plain protocol answers a longer one with 400.
pub const USER_NAME_BYTES: usize = 128;

/// Longest name of any user in bytes: it is shown to all others in a channel. A token with a longer one is invalid.
pub const ANY_USER_NAME_BYTES: usize = 255;

/// Longest `version_epoch` in bytes: one is kept with each stream. A longer one is refused with error 107.
pub const VERSION_EPOCH_BYTES: usize = 255;

/// Longest channel name in bytes, as in the Centrifuge protocol. A longer name is refused with error 107.
pub const CHANNEL_NAME_BYTES: usize = 255;

/// Longest member id in bytes: ids stand in every view, log line and metric. A longer id is a config error.
pub const MEMBER_ID_BYTES: usize = 64;

/// Unanswered publishes of one gateway to one slot span at most this many numbers, and an owner remembers this many.
/// More wait at the gateway.
pub const WINDOW: u64 = 64;

/// Greatest epoch, offset, or number of an operation or publish that is taken from another member. They grow by one each, and no
/// cluster lives that long: a greater one was made up, and would leave no room to count on. What holds one is not taken.
pub const COUNT_MOST: u64 = i64::MAX as u64;

/// Slots in one frame of `Syncs`: some 12 KiB, so that a burst of them is a few dozen frames. More take a further frame.
pub const SYNC_BATCH: usize = 1024;

/// Slots in one `Claim`: its answer has 22 bytes for each at the most, and so less than 128 KiB. More are claimed with further ones. A
/// claim of more than these is not answered.
pub const CLAIM_BATCH: usize = 4096;

/// Claims under way to one node: what it answers them with is as much as a few parts. More wait for its answers.
pub const CLAIMS_UNDER_WAY: usize = 4;

/// Slots in one frame of marks, of releases, or of how far copies are: 31 bytes each at the most, and so less than 128 KiB. More take a
/// further frame.
pub const SLOT_LINES: usize = 4096;

/// Bytes of operations in one record of the log, the last one aside: what has gathered while the record before was under way. The rest goes into
/// the next one.
pub const LOG_RECORD_BYTES: usize = 256 << 10;

/// Requests to the log that a node has under way, one for each slot at the most. More wait until some are answered.
pub const LOG_REQUESTS: usize = 512;

/// Inboxes in one frame of how far they were confirmed: 276 bytes each at the most, and so less than 128 KiB. More take a further frame.
pub const INBOX_LINES: usize = 448;

/// Bytes of who came to channels, and of how many are there, that a gateway has under way to one owner. Above it whoever comes is told
/// later, in parts, as the owner takes them. Who left is told at once, for that is 16 bytes each.
pub const JOINS_UNDER_WAY: usize = 4 << 20;

/// Bytes of what a connection's token says of its client (`info`). A token that says more is invalid. So the description of one client, of
/// which others are told, fits into a part.
pub const CLIENT_INFO_BYTES: usize = 64 << 10;

/// Bytes of what a subscription's token says of its bearer (`info`), which is told with the former. A token that says more is invalid.
pub const CHANNEL_INFO_BYTES: usize = 32 << 10;

/// Bounds of one gateway's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayLimits {
    /// Publishes taken and not answered. At the limit a publish is refused as busy.
    pub publishes: usize,
    /// Bytes that their publications take, packed. At the limit a publish is refused as busy.
    pub publish_bytes: usize,
    /// Of these, bytes that were sent to one owner and are not answered. More wait for their turn.
    pub sent_bytes: usize,
    /// What nodes have under way to this gateway of what is large, as they count it ([`NodeLimits::bulk_bytes`]).
    pub bulk_bytes: usize,
    /// Open queries. At the limit a query is refused as busy.
    pub queries: usize,
    /// Positions of inboxes whose user went, and which their owner has not said to have kept. Above it they are not kept: a
    /// plain user may then get a message again.
    pub lingering: usize,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            publishes: 65_536,
            publish_bytes: 64 << 20,
            sent_bytes: 4 << 20,
            bulk_bytes: 256 << 10,
            queries: 65_536,
            lingering: 65_536,
        }
    }
}

/// Bounds of one node's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLimits {
    /// Bytes of history. At the limit a publish is refused for now; nothing acknowledged is dropped before its time.
    pub history_bytes: usize,
    /// Channels held, as owner or standby. Above half of it unused ones go early; at the limit a new channel is refused for now.
    pub channels: usize,
    /// Idempotency keys remembered. At the limit a publish with a new key is refused for now.
    pub keys: usize,
    /// Bytes of what is large (states, what gateways have missed, histories, lists) under way to one role of one peer: this much at most is
    /// ahead of what is new. It goes in parts of half as much, or of one publication where that has more. More waits until the
    /// peer has taken it.
    pub bulk_bytes: usize,
    /// Bytes of what is new under way to one role of one peer. At the limit a gateway is served from where it is, as it can take it,
    /// and loses publications on channels without history; publishes to slots with a copy there are refused for now.
    pub live_bytes: usize,
    /// Slots being copied to one peer. More wait until it has answered: what others want of either end comes in between, a few
    /// milliseconds of work at the most.
    pub copy_slots: usize,
    /// Publications in one history page. The rest is asked for page by page.
    pub page: u32,
    /// Bytes of operations that wait for the log. Above it publishes to channels that are kept there are refused for now.
    pub log_bytes: usize,
    /// A slot's chain in the log with more bytes than this, and than four times the state that it tells, gets that state whole, and is cut off
    /// before it.
    pub log_chain_bytes: u64,
}

impl Default for NodeLimits {
    fn default() -> Self {
        let (channels, keys) = (1_000_000, 1_000_000);
        Self {
            history_bytes: 1 << 30,
            channels,
            keys,
            bulk_bytes: 256 << 10,
            live_bytes: 4 << 20,
            copy_slots: 4096,
            page: 1000,
            log_bytes: 64 << 20,
            log_chain_bytes: 256 << 10,
        }
    }
}
