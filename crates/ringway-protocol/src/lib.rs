//! Bytes to meaning and back, without I/O: WebSocket frames, the client protocols, link frames.

pub mod api;
pub mod centrifuge;
pub mod dialect;
pub mod framing;
pub mod json;
pub mod kept;
pub mod link;
pub mod logged;
pub mod plain;
pub mod ws;
