//! Sends every message back: what conformance suites and load generators talk to.

use crate::{Conn, Flow, Handler};
use ringway_protocol::ws::{self, Message};
use std::sync::Arc;

/// Largest message to echo. The conformance suites go up to 16 MiB.
pub const ECHO_MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// The handler of `/echo`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

impl Handler for Echo {
    fn on_message(&mut self, conn: &Arc<Conn>, message: Message<'_>) -> Flow {
        conn.send(ws::frame(message.kind(), message.as_bytes()));
        // A peer that sends without reading is held up by its own messages.
        if conn.queued_bytes() > crate::ConnOptions::default().max_outbox / 2 { Flow::Drain } else { Flow::Continue }
    }
}
