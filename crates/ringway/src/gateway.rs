//! The role "gateway" of the process: the door of its [`Hub`](ringway_hub::Hub). Sockets open, frames and calls become inputs and wait in one
//! [`Intake`], and who may come in is looked at.

mod config;
mod desk;
mod handler;
mod intake;
mod key_fetch;
mod lines;
mod origin;
mod pace;
mod routes;
mod socket;
mod streaming;
mod streams;
mod wall_clock;
mod wrong_tokens;

pub use config::{DoorLimits, GatewayConfig, PlainConfig};
pub use desk::Refusals;
pub use intake::Intake;
pub use key_fetch::KeyFetch;
pub(crate) use key_fetch::fetch as fetch_keys;
pub(crate) use origin::{is_known_host, may_change};
pub use routes::SocketRoutes;
pub(crate) use routes::USER_NAME_RULE;
pub use socket::Client;
pub use wall_clock::SystemClock;
pub(crate) use wall_clock::since_1970;
