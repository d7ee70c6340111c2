//! Which setting of the reference server is which of ours. What has the same name in the same place is not listed: ringway.example.toml has all names.

use std::sync::LazyLock;

use toml::Table;

/// Every setting there is, with its default.
pub(super) static EXAMPLE: LazyLock<Table> =
    LazyLock::new(|| include_str!("../../../../../ringway.example.toml").parse().unwrap_or_default());

/// Sections with the same settings under the same names: theirs, and ours.
pub(super) const SECTIONS: &[(&str, &str)] = &[
    ("client", "client"),
    ("client.token", "client.token"),
    ("client.subscription_token", "client.subscription_token"),
    ("channel.without_namespace", "channels.without_namespace"),
    ("websocket", "websocket"),
    ("sse", "sse"),
    ("http_stream", "http_stream"),
    ("uni_websocket", "uni_websocket"),
    ("uni_sse", "uni_sse"),
    ("uni_http_stream", "uni_http_stream"),
    ("emulation", "emulation"),
    ("http_api", "http_api"),
];

/// Settings with other names.
pub(super) const RENAMED: &[(&str, &str)] = &[
    ("http_server.address", "server.listen"),
    ("http_server.port", "server.port"),
    ("client.expired_close_delay", "client.expiry_grace"),
    ("client.stale_close_delay", "client.stale_timeout"),
    ("client.subscribe_to_user_personal_channel.enabled", "client.subscribe_to_user_personal_channel"),
    ("client.channel_limit", "limits.session.subscriptions"),
    ("client.queue_max_size", "limits.session.outbox_bytes"),
    ("websocket.message_size_limit", "limits.session.message_bytes"),
    ("shutdown.timeout", "drain.timeout"),
];

/// Settings of version 5 and before, which has no sections: theirs, and those of version 6. Names of channel options at the top are those of channels without
/// a namespace, and are not listed.
pub(super) const FLAT: &[(&str, &str)] = &[
    ("address", "http_server.address"),
    ("port", "http_server.port"),
    ("internal_address", "http_server.internal_address"),
    ("internal_port", "http_server.internal_port"),
    ("tls", "http_server.tls.enabled"),
    ("tls_cert", "http_server.tls.cert_pem_file"),
    ("tls_key", "http_server.tls.key_pem_file"),
    ("engine", "engine.type"),
    ("broker", "broker.type"),
    ("api_key", "http_api.key"),
    ("api_insecure", "http_api.insecure"),
    ("admin_password", "admin.password"),
    ("admin_secret", "admin.secret"),
    ("admin_insecure", "admin.insecure"),
    ("allowed_origins", "client.allowed_origins"),
    ("allow_anonymous_connect_without_token", "client.allow_anonymous_connect_without_token"),
    ("disallow_anonymous_connection_tokens", "client.disallow_anonymous_connection_tokens"),
    ("client_insecure", "client.insecure"),
    ("user_subscribe_to_personal", "client.subscribe_to_user_personal_channel.enabled"),
    ("user_personal_channel_namespace", "client.subscribe_to_user_personal_channel.personal_channel_namespace"),
    ("ping_interval", "client.ping_interval"),
    ("pong_timeout", "client.pong_timeout"),
    ("client_expired_close_delay", "client.expired_close_delay"),
    ("client_stale_close_delay", "client.stale_close_delay"),
    ("client_channel_limit", "client.channel_limit"),
    ("client_queue_max_size", "client.queue_max_size"),
    ("client_user_connection_limit", "client.user_connection_limit"),
    ("client_connection_limit", "client.connection_limit"),
    ("separate_subscription_token_config", "client.subscription_token.enabled"),
    ("websocket_message_size_limit", "websocket.message_size_limit"),
    ("shutdown_timeout", "shutdown.timeout"),
    ("namespaces", "channel.namespaces"),
];

/// The same for all names that begin so.
pub(super) const FLAT_FAMILIES: &[(&str, &str)] = &[
    ("subscription_token_", "client.subscription_token."),
    ("token_", "client.token."),
    ("redis_", "engine.redis."),
    ("nats_", "broker.nats."),
    ("proxy_", "client.proxy."),
];

/// Whether somebody has to decide on a setting that is left over, or whether nothing here does what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Choice,
    Missing,
}

/// What is said of what is left over, by how its name begins; the first that fits counts.
pub(super) const LEFT_OVER: &[(&str, Kind, &str)] = &[
    ("engine", Kind::Choice, OUTSIDE),
    ("broker", Kind::Choice, OUTSIDE),
    ("presence_manager", Kind::Choice, OUTSIDE),
    ("controller", Kind::Choice, OUTSIDE),
    (
        "admin.enabled",
        Kind::Choice,
        "the page and the admin API are open to who has [admin] token: set one (`openssl rand -hex 16` prints one)",
    ),
    ("admin", Kind::Choice, "the page and the admin API have no password, but a token: set [admin] token"),
    (
        "http_server.internal",
        Kind::Choice,
        "health, metrics, admin API and page get a port of their own by [server] internal_listen = \"ADDRESS:PORT\"",
    ),
    ("http_server.tls", Kind::Choice, "TLS is what a proxy in front speaks: docs/operating.md"),
    ("http_server.http3", Kind::Missing, "HTTP/3 is what a proxy in front speaks"),
    ("http_api", Kind::Missing, "the server API stands at /api: docs/server-api.md"),
    ("health", Kind::Choice, "/health is always there: docs/operating.md"),
    ("prometheus", Kind::Choice, "/metrics is always there, with names of its own: docs/operating.md"),
    (
        "channel.history_meta_ttl",
        Kind::Choice,
        "an empty stream that nobody used is forgotten after [cluster.timing] forget",
    ),
    ("channel.max_length", Kind::Missing, NAMES),
    ("channel.private_prefix", Kind::Missing, NAMES),
    ("channel.namespace_boundary", Kind::Missing, NAMES),
    ("channel.user_boundary", Kind::Missing, NAMES),
    ("channel.user_separator", Kind::Missing, NAMES),
    ("channel.proxy", Kind::Missing, PROXIES),
    ("client.proxy", Kind::Missing, PROXIES),
    ("proxies", Kind::Missing, PROXIES),
    ("rpc", Kind::Missing, PROXIES),
    ("consumers", Kind::Missing, "nothing is read from databases or queues: a back end publishes over the server API"),
    ("grpc_api", Kind::Missing, "there is no gRPC: a back end uses the server API over HTTP"),
    ("uni_grpc", Kind::Missing, "there is no gRPC: docs/clients.md says what clients can speak"),
    ("webtransport", Kind::Missing, "there is no WebTransport: docs/clients.md says what clients can speak"),
    ("client.user_connection_limit", Kind::Missing, "connections of a user are not limited"),
    ("client.connection_limit", Kind::Choice, "the sockets of a process are limited by [server] max_connections"),
    ("client.connection_rate_limit", Kind::Missing, "new connections are not limited by time"),
    ("client.insecure_skip_token_signature_verify", Kind::Missing, "the signature of a token is always checked"),
    ("log", Kind::Choice, "logs go to stderr: RINGWAY_LOG and --log-format"),
    ("node", Kind::Choice, "a member's name is its id: --id, or RINGWAY_ID"),
];

const OUTSIDE: &str = "members keep channels themselves, so one process or a cluster needs no server outside. What is to outlive all of them is kept by [cluster] engine: docs/engines.md";
const PROXIES: &str = "an application's back end is not called (proxies)";
const NAMES: &str =
    "names of channels have 255 bytes, and \":\", \"#\", \",\" and \"$\" mean what they mean there by default";
pub(super) const NOTHING: &str = "there is nothing like it here";
