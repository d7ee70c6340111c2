//! Bytes to meaning and back, without I/O: WebSocket frames, the client protocols, link frames.

pub mod ws;
