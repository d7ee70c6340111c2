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
mod connection;
mod dial;
mod door;
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
mod wrong_secret;

#[cfg(test)]
mod tests;

pub use accept::{BindError, Listener};
pub use connection::LinkSender;
pub use dial::{DialError, Evidence, Target};
pub use door::Turned;
pub use event::{Ended, Event, LinkId};
pub use fault::{Direction, Slow};
pub use handshake::{HandshakeError, Secret};
pub use limits::Limits;
pub use links::{LinkStats, Links, Settings};
pub use outgoing::SendError;
pub use ringway_protocol::link::{Identity, Rejection, Roles};
pub use route::{Route, RouteError};
pub use wrong_secret::{OnWrongSecret, Treatment};
