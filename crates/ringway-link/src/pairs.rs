//! Which connection is the link of each pair of incarnations.
//!
//! Both members of a pair may dial, and either may lose a connection that the other still believes in. So one of them,
//! the one with the greater incarnation, is the *judge* of the pair: it alone says which connection is the link, with
//! a `Go` whose number grows. Both ends keep the connection with the greatest number, whatever the order in which they
//! hear of them, and nothing is said on a connection before its `Go`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use ringway_core::id::{Incarnation, MemberId};
use ringway_protocol::link::Rejection;

use crate::connection::Connection;
use crate::end::Ended;

/// All pairs of this member in its present incarnation. An entry outlives its link for a while: see [`Pairs::sweep`].
#[derive(Debug)]
pub(crate) struct Pairs {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Our end of all pairs. A handshake that was begun in another incarnation comes too late.
    own: Incarnation,
    pairs: HashMap<Incarnation, Pair>,
    /// Last number given as a judge.
    number: u64,
}

#[derive(Debug)]
struct Pair {
    /// The link, until its `Down` is told.
    current: Option<Arc<Connection>>,
    /// Number of the newest `Go`.
    latest: u64,
    /// When that was, and when the link ended, whichever is later.
    changed: Instant,
    /// Connections that were the link, so far.
    connections: u64,
}

/// Which end of a connection this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Side {
    /// It dialed this address.
    Dialer(Arc<str>),
    /// It was dialed, and read the dialer's hello at this time.
    Acceptor(Instant),
}

impl Side {
    /// Where it dialed, if it did.
    pub(crate) fn dialed(&self) -> Option<Arc<str>> {
        match self {
            Self::Dialer(address) => Some(Arc::clone(address)),
            Self::Acceptor(_) => None,
        }
    }
}

/// A connection that has become the link.
#[derive(Debug)]
pub(crate) struct Installed {
    pub(crate) connection: Arc<Connection>,
    pub(crate) number: u64,
    /// The one before it, whose `Down` must be told first.
    pub(crate) replaced: Option<Arc<Connection>>,
}

impl Pairs {
    pub(crate) fn new(own: Incarnation) -> Self {
        Self { inner: Mutex::new(Inner { own, pairs: HashMap::new(), number: 0 }) }
    }

    /// The judge makes the connection the link of its pair.
    ///
    /// With a link in place, a connection that the judge itself dialed is not needed, nor one that the other end began
    /// before it could know of the link. One begun later means that the other end has lost it.
    pub(crate) fn judge(
        &self,
        own: Incarnation,
        peer: Incarnation,
        side: &Side,
        make: impl FnOnce() -> Connection,
    ) -> Result<Installed, Rejection> {
        let mut inner = self.inner_of(own)?;
        if let Some(pair) = inner.pairs.get(&peer)
            && pair.current.as_ref().is_some_and(|link| link.is_live())
        {
            match side {
                Side::Acceptor(hello) if *hello > pair.changed => {}
                Side::Acceptor(_) | Side::Dialer(_) => return Err(Rejection::Linked),
            }
        }
        inner.number += 1;
        let number = inner.number;
        Ok(inner.install(peer, number, make))
    }

    /// The other end, which is the judge, made the connection the link. An older number comes too late.
    pub(crate) fn follow(
        &self,
        own: Incarnation,
        peer: Incarnation,
        number: u64,
        make: impl FnOnce() -> Connection,
    ) -> Result<Installed, Rejection> {
        let mut inner = self.inner_of(own)?;
        match inner.pairs.get(&peer) {
            Some(pair) if pair.latest >= number => Err(Rejection::Linked),
            _ => Ok(inner.install(peer, number, make)),
        }
    }

    fn inner_of(&self, own: Incarnation) -> Result<MutexGuard<'_, Inner>, Rejection> {
        let inner = self.inner.lock();
        if inner.own == own { Ok(inner) } else { Err(Rejection::Linked) }
    }

    /// The live link with this incarnation.
    pub(crate) fn live(&self, peer: Incarnation) -> Option<Arc<Connection>> {
        let inner = self.inner.lock();
        inner.pairs.get(&peer)?.current.as_ref().filter(|link| link.is_live()).map(Arc::clone)
    }

    /// All connections whose `Down` is not told yet.
    pub(crate) fn all(&self) -> Vec<Arc<Connection>> {
        self.inner.lock().pairs.values().filter_map(|pair| pair.current.clone()).collect()
    }

    /// Those with a member, in whichever incarnation.
    pub(crate) fn with(&self, id: &MemberId) -> Vec<Arc<Connection>> {
        self.all().into_iter().filter(|connection| connection.peer.id == *id).collect()
    }

    /// How often the link with this incarnation was made anew.
    pub(crate) fn reconnects(&self, peer: Incarnation) -> u64 {
        self.inner.lock().pairs.get(&peer).map_or(0, |pair| pair.connections.saturating_sub(1))
    }

    /// The last event of the connection is told.
    pub(crate) fn remove(&self, connection: &Arc<Connection>) {
        let mut inner = self.inner.lock();
        if let Some(pair) = inner.pairs.get_mut(&connection.peer.incarnation)
            && pair.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, connection))
        {
            pair.current = None;
            pair.changed = Instant::now();
        }
    }

    /// Forgets pairs whose link ended before `horizon`. Until no handshake of that time can be under way the number of
    /// the last `Go` must be known, or an older connection could follow a newer one.
    pub(crate) fn sweep(&self, horizon: Instant) {
        self.inner.lock().pairs.retain(|_, pair| pair.current.is_some() || pair.changed > horizon);
    }

    /// This member has another incarnation: its pairs are others, with judges and numbers of their own. Every
    /// connection that was made by an earlier one ends.
    pub(crate) fn reborn(&self, own: Incarnation) {
        {
            let mut inner = self.inner.lock();
            inner.own = own;
            inner.pairs.values_mut().for_each(|pair| pair.latest = 0);
        }
        for connection in self.all().iter().filter(|connection| connection.own != own) {
            connection.end(Ended::Reborn);
        }
    }
}

impl Inner {
    /// The connection is made here, so that the ids of links grow in the order in which they are links.
    fn install(&mut self, peer: Incarnation, number: u64, make: impl FnOnce() -> Connection) -> Installed {
        let connection = Arc::new(make());
        let now = Instant::now();
        let fresh = || Pair { current: None, latest: 0, changed: now, connections: 0 };
        let pair = self.pairs.entry(peer).or_insert_with(fresh);
        pair.latest = number;
        pair.changed = now;
        pair.connections += 1;
        let replaced = pair.current.replace(Arc::clone(&connection));
        Installed { connection, number, replaced }
    }
}
