//! The Centrifuge client protocol, version 2: what clients ask, what they are answered, what is pushed to them.
//!
//! The types here belong to no wire format; [`json`] and [`protobuf`] read and write them. A request borrows from
//! the frame it came in, a reply or push borrows from whoever sends it, so that neither costs more than the bytes.

mod code;
pub mod delta;
mod emulated;
mod filter;
pub mod json;
mod present;
pub mod protobuf;
mod publication;
mod push;
mod reply;
mod request;
mod stored;

pub use code::{Disconnect, ErrorCode, Unsubscribed};
pub use emulated::Emulated;
pub use filter::{Filter, NoFilter};
pub use present::with_infos;
pub use publication::{ClientInfo, Publication, Shape};
pub use push::{Push, SubscribePush};
pub use reply::{ConnectResult, ErrorReply, Expiry, HistoryResult, Reply, SubscribeResult};
pub use request::{
    Command, ConnectRequest, HistoryRequest, PublishRequest, Request, RpcRequest, Since, SubRefreshRequest,
    SubscribeRequest,
};
pub use stored::Stored;
