//! Why a process did not start, in words.

use std::net::SocketAddr;

use ringway_core::id::{MemberId, NameError};
use ringway_link::BindError;

use super::AddressFault;
use crate::data_dir::DataDirError;
use crate::member::JoinError;

/// Why a process did not start. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port for clients is not to be had.
    #[error(
        "cannot listen for clients on {address}: {why}. Another program has the port, or it needs rights: choose another one with --port"
    )]
    Port {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        why: std::io::Error,
    },
    /// The internal port is not to be had.
    #[error(
        "cannot listen for health, metrics, admin API and page on {address}: {why}. Another program has the port, or it is the clients' port, or it needs rights: choose another one with --internal-listen"
    )]
    InternalPort {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        why: std::io::Error,
    },
    /// The port for links is not to be had.
    #[error(transparent)]
    LinkPort(#[from] BindError),
    /// The folder for the registry is of no use.
    #[error(transparent)]
    Data(#[from] DataDirError),
    /// Others could not dial the address that they would be told.
    #[error("{0}\nNothing was started.")]
    LinkAddress(#[from] AddressFault),
    /// The registry or the log is outside, and cannot be used.
    #[error("{0}\nNothing was started.")]
    Engine(#[from] crate::engine::OpenError),
    /// Orders are to go through RabbitMQ, which cannot be tried.
    #[error("{0}\nNothing was started.")]
    Rabbit(#[from] ringway_engine::rabbit::OpenError),
    /// The log in the folder cannot be used.
    #[error("{0}\nNothing was started.")]
    Log(#[from] ringway_engine::file::OpenError),
    /// The cluster did not take this process.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// A member that joins others needs their secret.
    #[error(
        "cannot join without the cluster's secret: set [cluster] secret, or RINGWAY_SECRET, to the same text on every member"
    )]
    NoSecret,
    /// The name of a further gateway would be none.
    #[error(
        "the further gateways of this process would be named {first}.2 and so on, and that is no name: {why}. Choose a shorter [cluster] id, or set [server] gateways to 1"
    )]
    GatewayName {
        /// The name of the first.
        first: MemberId,
        /// What is wrong.
        why: NameError,
    },
    /// There are too few ports behind the first.
    #[error(
        "each gateway of this process listens for members at a port of its own, the first at {first} and the others at those that follow, and {gateways} gateways do not fit below 65536: choose a lower port with --link-listen"
    )]
    LinkPorts {
        /// Where the first listens.
        first: SocketAddr,
        /// How many there are to be.
        gateways: usize,
    },
}
