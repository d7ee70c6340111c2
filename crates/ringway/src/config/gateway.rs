//! The sections that concern clients: what they may do, how their channels are kept, which protocols are spoken.

mod tokens;

use std::time::Duration;

use ringway_core::keeping::{MAX_KIND_BYTES, MAX_KINDS};
use ringway_core::message::Durability;
use ringway_hub::{Access, ChannelConfig, HubConfig, NamePattern, Offer, RecoveryMode};

use super::reader::Section;
use super::sections::{ONE_HOUR, ONE_MS, SENSIBLE};
use super::value::Size;
use crate::api::ErrorMode;
use crate::gateway::{GatewayConfig, PlainConfig};

/// Most publications one channel may keep. A history is copied between nodes whole; what needs more is a database's work.
const LARGEST_HISTORY: u32 = 100_000;
/// Longest time a publication may be kept: a year. Longer is likelier a slip than a wish.
const LONGEST_HISTORY: Duration = Duration::from_secs(366 * 86_400);

/// Namespaces in one file: beside them are the channels without one, and inboxes.
const NAMESPACES: usize = MAX_KINDS - 2;

/// The words that stand for [`Durability`].
const LEVELS: &[(&str, Durability)] = &[("memory", Durability::Memory), ("log", Durability::Log)];

/// The words that stand for [`RecoveryMode`].
const RECOVERY_MODES: &[(&str, RecoveryMode)] = &[("stream", RecoveryMode::Stream), ("cache", RecoveryMode::Cache)];

/// The format of differences.
const FOSSIL: &str = "fossil";

/// Settings that are spelled otherwise by now, and what to write instead.
const REPLACED: &[(&str, &str)] = &[
    ("recovery", "write `force_recovery`, which is for all subscribers, or `allow_recovery`, for those who ask for it"),
    (
        "subscribe",
        "write `allow_subscribe_for_client = true`, and `allow_subscribe_for_anonymous = true` where clients without a user name may too",
    ),
    (
        "publish",
        "write `allow_publish_for_client` or `allow_publish_for_subscriber`, and `allow_publish_for_anonymous` where clients without a user name may too",
    ),
];

/// The words that stand for [`ErrorMode`].
const ERROR_MODES: &[(&str, ErrorMode)] = &[("", ErrorMode::Body), ("transport", ErrorMode::Transport)];

/// Reads everything that a gateway's sessions need from the file's sections.
pub(super) fn read(config: &mut GatewayConfig, root: &mut Section<'_>) {
    root.section("client", |section| client(config, section));
    root.section("channels", |section| channels(&mut config.hub, section));
    root.section("inbox", |section| kept(&mut config.hub.inbox, section));
    root.section("plain", |section| plain(config, section));
    root.renamed("api", "http_api");
    root.section("http_api", |section| api(config, section));
}

fn api(config: &mut GatewayConfig, section: &mut Section<'_>) {
    section.read("key", &mut config.api_key);
    section.read("insecure", &mut config.api_insecure);
    section.read_word("error_mode", &mut config.api_errors, ERROR_MODES);
}

fn client(config: &mut GatewayConfig, section: &mut Section<'_>) {
    let second = Duration::from_secs(1);
    section.read("insecure", &mut config.hub.insecure);
    section.read("allow_anonymous_connect_without_token", &mut config.hub.allow_anonymous);
    section.read("disallow_anonymous_connection_tokens", &mut config.hub.disallow_anonymous_tokens);
    section.replaced("anonymous", "write `allow_anonymous_connect_without_token`");
    section.replaced("token_hmac_secret", "write `hmac_secret_key` in [client.token]");
    tokens::read(config, section);
    section.read("allowed_origins", &mut config.allowed_origins);
    section.read("subscribe_to_user_personal_channel", &mut config.hub.personal_channels);
    let transports = &mut config.transports;
    section.read("http_stream", &mut transports.http_stream);
    section.read("sse", &mut transports.sse);
    section.read("uni_websocket", &mut transports.uni_websocket);
    section.read("uni_http_stream", &mut transports.uni_http_stream);
    section.read("uni_sse", &mut transports.uni_sse);
    let hub = &mut config.hub;
    section.read_within("ping_interval", &mut hub.ping_interval, second..=ONE_HOUR, "it must lie between 1s and 1h");
    section.read_within("pong_timeout", &mut hub.pong_timeout, ONE_MS..=ONE_HOUR, SENSIBLE);
    section.read_within("slow_timeout", &mut config.slow_timeout, second..=ONE_HOUR, "it must lie between 1s and 1h");
    section.read_within("stale_timeout", &mut hub.stale_timeout, ONE_MS..=ONE_HOUR, SENSIBLE);
    section.read_within("expiry_grace", &mut hub.expiry_grace, ..=ONE_HOUR, "it must be 1h or less");
    if hub.pong_timeout >= hub.ping_interval {
        section.fault("pong_timeout", "must be shorter than `ping_interval`: a pong belongs to the ping before it");
    }
    for origin in config.allowed_origins.iter().filter(|origin| !is_origin(origin)) {
        let why = format!(
            "has {origin:?}, but an origin is \"*\", or scheme and host such as \"https://example.org\", without a path"
        );
        section.fault("allowed_origins", &why);
    }
}

fn is_origin(text: &str) -> bool {
    text == "*"
        || text
            .split_once("://")
            .is_some_and(|(scheme, host)| !scheme.is_empty() && !host.is_empty() && !host.contains('/'))
}

fn channels(config: &mut HubConfig, section: &mut Section<'_>) {
    section.section("without_namespace", |section| {
        let mut enabled = config.without_namespace.is_some();
        let mut settings = config.without_namespace.clone().unwrap_or_default();
        section.read("enabled", &mut enabled);
        kept(&mut settings, section);
        config.without_namespace = enabled.then_some(settings);
    });
    section.section("namespaces", |section| {
        section.named_sections(|name, section| {
            if name.is_empty() || name.contains([':', '#', '$']) {
                section.fault_here("cannot be the name of a namespace, which is a text without `:`, `#` and `$`");
            }
            if name.len() > MAX_KIND_BYTES {
                section.fault_here("is too long: the name of a namespace has 255 bytes at most");
            }
            kept(config.namespaces.entry(name.to_owned()).or_default(), section);
        });
        if config.namespaces.len() > NAMESPACES {
            section.fault_here("has too many namespaces: a cluster has 1,022 at most");
        }
    });
}

fn kept(config: &mut ChannelConfig, section: &mut Section<'_>) {
    section.read_within(
        "history_size",
        &mut config.history_size,
        ..=LARGEST_HISTORY,
        "a channel keeps at most 100,000 publications",
    );
    section.read_within(
        "history_ttl",
        &mut config.history_ttl,
        ..=LONGEST_HISTORY,
        "publications are kept for 366d at most",
    );
    let mut bytes = Size(config.history_bytes);
    section.read("history_bytes", &mut bytes);
    config.history_bytes = bytes.0;
    section.read_word("durability", &mut config.durability, LEVELS);
    offer(&mut config.positioning, section, ["force_positioning", "allow_positioning"]);
    offer(&mut config.recovery, section, ["force_recovery", "allow_recovery"]);
    section.read_word("force_recovery_mode", &mut config.recovery_mode, RECOVERY_MODES);
    section.read("presence", &mut config.presence);
    section.read("join_leave", &mut config.join_leave);
    section.read("force_push_join_leave", &mut config.force_push_join_leave);
    section.read("allow_subscribe_for_client", &mut config.subscribe.client);
    section.read("allow_subscribe_for_anonymous", &mut config.subscribe.anonymous);
    access(&mut config.publish, section, "publish");
    access(&mut config.read_presence, section, "presence");
    access(&mut config.read_history, section, "history");
    section.read("allow_user_limited_channels", &mut config.user_limited);
    section.read("allow_tags_filter", &mut config.tags_filter);
    deltas(&mut config.allows_deltas, section);
    section.read("delta_publish", &mut config.delta_publish);
    pattern(&mut config.names, section);
    for (old, instead) in REPLACED {
        section.replaced(old, instead);
    }
    faults_of(config, section);
}

/// Two settings for what subscribers may get: all of them, or those who ask for it.
fn offer(offer: &mut Offer, section: &mut Section<'_>, [force, allow]: [&str; 2]) {
    let (mut is_forced, mut is_allowed) = (*offer == Offer::Always, *offer == Offer::IfAsked);
    section.read(force, &mut is_forced);
    section.read(allow, &mut is_allowed);
    *offer = match (is_forced, is_allowed) {
        (true, _) => Offer::Always,
        (false, true) => Offer::IfAsked,
        (false, false) => Offer::Never,
    };
}

/// The formats of differences that subscribers may ask for: there is one.
fn deltas(allows: &mut bool, section: &mut Section<'_>) {
    let mut types: Vec<String> = if *allows { vec![FOSSIL.to_owned()] } else { Vec::new() };
    section.read("allowed_delta_types", &mut types);
    for unknown in types.iter().filter(|one| *one != FOSSIL) {
        section.fault("allowed_delta_types", &format!("has {unknown:?}, but the one type that there is is {FOSSIL:?}"));
    }
    *allows = types.iter().any(|one| one == FOSSIL);
}

/// Three settings for who may do something.
fn access(access: &mut Access, section: &mut Section<'_>, what: &str) {
    section.read(&format!("allow_{what}_for_client"), &mut access.client);
    section.read(&format!("allow_{what}_for_subscriber"), &mut access.subscriber);
    section.read(&format!("allow_{what}_for_anonymous"), &mut access.anonymous);
}

fn pattern(names: &mut Option<NamePattern>, section: &mut Section<'_>) {
    let mut pattern = String::new();
    section.read("channel_regex", &mut pattern);
    match NamePattern::new(&pattern) {
        _ if pattern.is_empty() => {}
        Ok(pattern) => *names = Some(pattern),
        Err(why) => section.fault("channel_regex", &format!("is no regular expression: {why}")),
    }
}

/// Settings that do not go together.
fn faults_of(config: &ChannelConfig, section: &Section<'_>) {
    let has_history = config.options().has_history();
    if (config.history_size == 0) != config.history_ttl.is_zero() {
        section.fault("history_size", "and `history_ttl` belong together: set both for a history, or neither");
    }
    if config.durability == Durability::Log && !has_history {
        section.fault(
            "durability",
            "\"log\" keeps a history: set `history_size` and `history_ttl`, or `durability = \"memory\"`",
        );
    }
    let needs_history = [
        ("force_recovery", config.recovery == Offer::Always),
        ("allow_recovery", config.recovery == Offer::IfAsked),
        ("force_positioning", config.positioning == Offer::Always),
        ("allow_positioning", config.positioning == Offer::IfAsked),
    ];
    for (name, _) in needs_history.iter().filter(|(_, is_set)| *is_set && !has_history) {
        section.fault(name, &format!("needs a history: set `history_size` and `history_ttl`, or `{name} = false`"));
    }
    if config.force_push_join_leave && !config.join_leave {
        section.fault("force_push_join_leave", "has nothing to push: set `join_leave = true` too");
    }
}

fn plain(config: &mut GatewayConfig, section: &mut Section<'_>) {
    let mut enabled = config.plain.is_some();
    let mut plain: PlainConfig = config.plain.clone().unwrap_or_default();
    section.read("enabled", &mut enabled);
    section.read("prefix", &mut plain.prefix);
    section.read("get", &mut plain.get);
    section.read_within(
        "info_interval",
        &mut config.hub.info_interval,
        Duration::from_millis(100)..=ONE_HOUR,
        "it must lie between 100ms and 1h",
    );
    if !is_prefix(&plain.prefix) {
        let why = "must be empty, or a path such as \"/ufire-websocket\": a slash in front, none at the end, letters, digits and -_.~ between";
        section.fault("prefix", why);
    }
    config.plain = enabled.then_some(plain);
}

fn is_prefix(text: &str) -> bool {
    let path = |c: char| c.is_ascii_alphanumeric() || "-_./~".contains(c);
    text.is_empty() || text.starts_with('/') && !text.ends_with('/') && text.chars().all(path)
}

#[cfg(test)]
mod tests;
