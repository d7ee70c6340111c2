//! Bounds of queues, buffers and tables. What happens at each stands beside the field that it fills.

use ringway_core::limits::{GatewayLimits, NodeLimits};
use ringway_hub::SessionLimits;

use super::reader::Section;
use super::value::Size;
use crate::gateway::{DoorLimits, GatewayConfig};

/// Bounds of the rules. Those of sessions are part of the gateway's own settings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// Of the gateway's rules.
    pub gateway: GatewayLimits,
    /// Of the node's rules.
    pub node: NodeLimits,
}

impl Limits {
    pub(super) fn read(&mut self, section: &mut Section<'_>, role: &mut GatewayConfig) {
        section.section("session", |section| session(&mut role.hub.limits, &mut role.limits, section));
        section.section("gateway", |section| {
            gateway(&mut self.gateway, section);
            bytes(section, "sockets_bytes", &mut role.limits.sockets_bytes);
        });
        section.section("node", |section| node(&mut self.node, section));
    }
}

fn session(limits: &mut SessionLimits, door: &mut DoorLimits, section: &mut Section<'_>) {
    count(section, "subscriptions", &mut limits.subscriptions);
    bytes(section, "message_bytes", &mut door.message_bytes);
    bytes(section, "outbox_bytes", &mut limits.outbox_bytes);
    section.read_within(
        "publishes_in_flight",
        &mut limits.publishes_in_flight,
        1..=10_000,
        "it must lie between 1 and 10,000",
    );
    section.read_within(
        "commands_per_second",
        &mut door.commands_per_second,
        10..=10_000,
        "it must lie between 10 and 10,000",
    );
    section.read_within(
        "command_burst",
        &mut door.command_burst,
        2_048..=65_536,
        "SDKs send a connect and up to 1,024 subscribes at once, so it must lie between 2,048 and 65,536",
    );
    section.read_within("page", &mut limits.page, 1..=100_000, "it must lie between 1 and 100,000");
    bytes(section, "intake_bytes", &mut door.intake_bytes);
    count(section, "calls", &mut limits.calls);
    count(section, "broadcast", &mut limits.broadcast);
    bytes(section, "body_bytes", &mut door.body_bytes);
}

fn gateway(limits: &mut GatewayLimits, section: &mut Section<'_>) {
    count(section, "publishes", &mut limits.publishes);
    bytes(section, "publish_bytes", &mut limits.publish_bytes);
    bytes(section, "sent_bytes", &mut limits.sent_bytes);
    bytes(section, "bulk_bytes", &mut limits.bulk_bytes);
    count(section, "queries", &mut limits.queries);
    count(section, "lingering", &mut limits.lingering);
}

fn node(limits: &mut NodeLimits, section: &mut Section<'_>) {
    bytes(section, "history_bytes", &mut limits.history_bytes);
    count(section, "channels", &mut limits.channels);
    count(section, "keys", &mut limits.keys);
    bytes(section, "bulk_bytes", &mut limits.bulk_bytes);
    bytes(section, "live_bytes", &mut limits.live_bytes);
    count(section, "copy_slots", &mut limits.copy_slots);
    bytes(section, "log_bytes", &mut limits.log_bytes);
    let mut chain = Size(usize::try_from(limits.log_chain_bytes).unwrap_or(usize::MAX));
    section.read_within("log_chain_bytes", &mut chain, Size::kib(1).., "it must be 1KiB or more");
    limits.log_chain_bytes = chain.0 as u64;
    section.read_within("page", &mut limits.page, 1..=100_000, "it must lie between 1 and 100,000");
}

fn count(section: &mut Section<'_>, key: &str, into: &mut usize) {
    section.read_within(key, into, 1..=100_000_000, "it must lie between 1 and 100,000,000");
}

fn bytes(section: &mut Section<'_>, key: &str, into: &mut usize) {
    let mut size = Size(*into);
    section.read_within(key, &mut size, Size::kib(1).., "it must be 1KiB or more");
    *into = size.0;
}
