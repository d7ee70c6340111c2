//! Every bound of the rules with its reason. What happens at a limit stands beside it.

/// Longest user name in bytes. A longer name is refused: the handshake answers 400.
pub const USER_NAME_BYTES: usize = 128;

/// Longest channel name in bytes, as in the Centrifuge protocol. A longer name is refused with error 107.
pub const CHANNEL_NAME_BYTES: usize = 255;

/// Longest member id in bytes: ids stand in every view, log line and metric. A longer id is a config error.
pub const MEMBER_ID_BYTES: usize = 64;
