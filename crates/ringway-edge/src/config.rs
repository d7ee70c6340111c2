//! Limits and deadlines of the edge, each with its reason.

use crate::Proxies;
use std::time::Duration;

/// What one edge allows. Every field has a default to start from.
#[derive(Debug, Clone)]
pub struct EdgeConfig {
    /// Most upgraded sockets at a time; one more is answered 503 with `Retry-After`.
    pub max_connections: usize,
    /// Most connections in the HTTP stage (handshakes, API calls, idle keep-alive) at a time. While it is reached, those
    /// without a whole head make room for new ones, and a request beyond is answered 503. Each costs some 15 KiB, so the
    /// default bounds a storm at 30 MiB.
    pub max_http: usize,
    /// Connections beside these for requests of [`crate::Class::Operator`], and for heads that are not known yet.
    pub reserve: usize,
    /// How long a client may take to send a request's head, and how long an idle keep-alive connection lives.
    pub header_timeout: Duration,
    /// How long a request's body may take, from when it is first waited for.
    pub body_timeout: Duration,
    /// How long a client may take to read 64 KiB of an answer, or the rest of it.
    pub answer_timeout: Duration,
    /// Whose word counts for the address of a client.
    pub proxies: Proxies,
    /// How long the peer may take to answer a close frame and to close its side, before the socket is cut.
    pub close_timeout: Duration,
    /// The same for one that was closed because it did not read: its close code can only arrive once it reads again.
    pub slow_close_timeout: Duration,
    /// How long a peer may make no progress while something waits for it, before it is closed with 3008.
    pub slow_timeout: Duration,
    /// Most bytes queued for all sockets together; a frame that waits at several counts at each. Above it, those with the
    /// longest queues are closed with 3008 until an eighth is free.
    pub max_queued: usize,
    /// Threads that write to sockets for whoever feeds many of them. 0: none, [`crate::Flusher::add`] writes.
    pub writers: usize,
    /// What `Retry-After` says above the limit.
    pub retry_after: Duration,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_http: 2048,
            reserve: 64,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(20),
            answer_timeout: Duration::from_secs(20),
            proxies: Proxies::default(),
            close_timeout: Duration::from_secs(5),
            slow_close_timeout: Duration::from_secs(15),
            slow_timeout: Duration::from_secs(10),
            max_queued: 256 << 20,
            writers: 0,
            retry_after: Duration::from_secs(5),
        }
    }
}

/// Limits of one upgraded connection, chosen by the router.
#[derive(Debug, Clone, Copy)]
pub struct ConnOptions {
    /// Largest message taken, in bytes; a larger one closes the connection with 1009.
    pub max_message: usize,
    /// Bytes that may be queued for the peer for any time. A longer queue must keep getting shorter, or the peer is closed
    /// with 3008.
    pub max_outbox: usize,
}

impl Default for ConnOptions {
    fn default() -> Self {
        Self { max_message: 64 * 1024, max_outbox: 1024 * 1024 }
    }
}
