//! The rules of Ringway: placement, views, slots, channels. Plain state machines without I/O, clocks or
//! randomness of their own: events in, actions out. What runs here runs unchanged in the simulation.

pub mod gateway;
pub mod id;
pub mod keeping;
pub mod limits;
pub mod logbook;
pub mod member;
pub mod membership;
pub mod message;
pub mod node;
pub mod once;
pub mod pauses;
pub mod peers;
pub mod plan;
pub mod registry;
mod relay;
mod retries;
pub mod ring;
mod roll;
mod stream;
pub mod timing;
pub mod view;

pub use id::{Birth, ChannelName, Epoch, Incarnation, MemberId, Position, Slot, StreamEpoch, UserName};
