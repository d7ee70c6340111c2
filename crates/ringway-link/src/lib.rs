//! Links: the multiplexed, authenticated, ordered connections between members.
//!
//! [`Links`] keeps at most one connection for each pair of incarnations. It dials whom it is told to, again and again,
//! and takes what others dial; what happens comes out as [`Event`]s through one bounded queue, in order. Frames go in
//! through [`LinkSender`]s, which never wait: a link whose queue is full is closed, and its ends start again from
//! their positions. Nothing here knows what a frame means.
//!
//! ```text
//! accept / dial ─▶ handshake ─▶ pairs (one per incarnation, the newest stays) ─▶ connection ─▶ events
//!                                                                                    ▲
//!                                                          LinkSender ─▶ outgoing ───┘
//! ```

mod accept;
mod carry;
mod connection;
mod dial;
mod door;
mod end;
mod event;
mod fault;
mod handshake;
mod inflow;
mod limits;
mod links;
mod outgoing;
mod pairs;
mod route;
mod shared;
mod target;
mod wrong_secret;

#[cfg(test)]
mod tests;

pub use accept::{BindError, Listener};
pub use connection::LinkSender;
pub use dial::Evidence;
pub use door::Turned;
pub use end::{Ended, LinkId};
pub use event::Event;
pub use fault::{Direction, Slow};
pub use handshake::{HandshakeError, SEAL_BYTES, Secret};
pub use limits::Limits;
pub use links::{LinkStats, Links, Settings};
pub use outgoing::SendError;
pub use ringway_protocol::link::{Identity, Rejection, Roles};
pub use route::{Route, RouteError};
pub use target::{DialError, Target};
pub use wrong_secret::{OnWrongSecret, Treatment};
