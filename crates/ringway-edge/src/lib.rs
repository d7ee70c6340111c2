//! The client connection layer: accept, handshake, one small task per socket, shared outgoing frames.
//!
//! It knows neither the cluster nor the client protocols. The process gives it a [`Router`], which answers HTTP
//! requests or names a [`Handler`] for an upgrade, or for a response that streams ([`Stream`]); the handler gets the
//! socket's messages, and anyone who holds its [`Conn`] can queue frames.
//!
//! What an idle socket costs is the point of this crate: one allocation for the [`Conn`], one for its task, one for
//! the handler, and the runtime's own registration. No buffer, no timer and no channel belong to a connection; reading
//! goes through one buffer per thread, and frames to send are shared by all who get them.

mod clock;
mod config;
mod conn;
mod door;
mod echo;
mod flusher;
mod handler;
mod http;
mod limits;
mod proxies;
mod server;
mod shared;
mod stats;
mod strain;
mod writers;

pub use config::{ConnOptions, EdgeConfig};
pub use conn::{Conn, Farewell, Room, SLOW};
pub use door::{Class, HttpClosed};
pub use echo::{ECHO_MAX_MESSAGE, Echo};
pub use flusher::Flusher;
pub use handler::{Closed, Flow, Handler};
pub use http::{Body, BoxError, ClientAddr, RequestBody, Route, Router, Stream, Upgrade, plain_response};
pub use limits::{default_max_connections, raise_file_limit};
pub use proxies::{Proxies, ProxyHeader};
pub use server::Edge;
pub use stats::EdgeStats;

pub use hyper;
pub use ipnet::IpNet;
pub use ringway_protocol::ws::{Kind, Message};
