//! A census: a list outside the cluster of who is there. Members enter themselves; people and their tools look at it, and set in it who
//! should have work. It decides nothing: what follows from it is for whoever hears it.

mod memory;

use std::future::Future;
use std::time::Duration;

pub use memory::{Memory, Place};

/// What a member says of itself as it enters.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its stable name.
    pub id: String,
    /// The life in which it enters.
    pub incarnation: u64,
    /// Its roles, in words.
    pub roles: String,
    /// Where members reach it, `host:port`.
    pub address: String,
    /// Its share of the work in relation to others'.
    pub weight: f64,
    /// Its release.
    pub version: String,
}

/// What the census says of a member that it lists.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Standing {
    /// It is to have this share of the work.
    Well {
        /// Above 0.
        weight: f64,
    },
    /// It is to have none, and why.
    Off(Reason),
}

/// Why a member is to have no work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Somebody took it out of service.
    #[error("offline")]
    Disabled,
    /// Somebody or something found it unwell.
    #[error("unhealthy")]
    Unhealthy,
    /// Its weight is 0.
    #[error("of weight 0")]
    Weightless,
}

/// A member in the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its name.
    pub id: String,
    /// How it stands.
    pub standing: Standing,
}

/// The list as it is now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct List {
    /// Everybody in it, by name.
    pub members: Vec<Listed>,
    /// The census says of everybody that it is well, because of too few it would be true.
    pub is_protected: bool,
}

impl List {
    /// How this member stands. `None`: it is not listed.
    pub fn standing(&self, id: &str) -> Option<Standing> {
        self.members.iter().find(|listed| listed.id == id).map(|listed| listed.standing)
    }
}

/// Why nothing is known of the census.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Absent(pub String);

/// A list of members outside the cluster.
pub trait Census: Send + 'static {
    /// Lists this member from now on, until it leaves or its process ends. The adapter sees to it that it stays listed while the census
    /// goes and comes back.
    ///
    /// # Errors
    /// [`Absent`]: it is not listed yet. It will be as soon as that is possible.
    fn enter(&mut self, entry: Entry) -> impl Future<Output = Result<(), Absent>> + Send;

    /// Waits for something new, or for [`LOOK`], and says how things are. Whoever gives up waiting hears of it with the next look.
    ///
    /// # Errors
    /// [`Absent`]: the census does not answer.
    fn next(&mut self) -> impl Future<Output = Result<List, Absent>> + Send;

    /// This member is listed no longer. Takes no longer than a few seconds.
    fn leave(&mut self) -> impl Future<Output = ()> + Send;
}

/// A census is looked at this often where it says nothing by itself: so soon it is known to be away.
pub const LOOK: Duration = Duration::from_secs(2);
