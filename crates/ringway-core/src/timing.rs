//! How long things take, and what each length must satisfy. One value of [`Timing`] is shared by a cluster.

use std::time::Duration;

/// Time on a member's own clock, counted from a fixed point of its choice. Only rates matter: no two clocks are compared.
pub type Now = Duration;

/// The lengths of time that the rules use. The defaults are those that the simulation runs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Life of a lease key in the registry. Renewed every quarter of it.
    pub ttl: Duration,
    /// Longest time without a good renewal in which an owner with a confirmed second copy goes on acknowledging.
    pub pair: Duration,
    /// A member pings every link this often.
    pub ping: Duration,
    /// A link without a frame for this long is silent. Below `ttl`, and far above a scheduling hiccup.
    pub suspect: Duration,
    /// An attach that is not answered is sent again after this; with every third try the pause doubles, up to sixteen times as long.
    pub attach_retry: Duration,
    /// A publish that was refused is sent again after this, and then likewise.
    pub publish_retry: Duration,
    /// A publish or query without an answer is given up after this, and its sender told.
    pub deadline: Duration,
    /// After a crash, longest wait of a channel without history for the gateways' attaches.
    pub crash_hold: Duration,
    /// How long an idempotency key is remembered.
    pub idempotency: Duration,
    /// An empty stream that nobody used for this long is forgotten.
    pub forget: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(2),
            pair: Duration::from_secs(10),
            ping: Duration::from_millis(100),
            suspect: Duration::from_millis(1500),
            attach_retry: Duration::from_millis(60),
            publish_retry: Duration::from_millis(30),
            deadline: Duration::from_secs(5),
            crash_hold: Duration::from_millis(250),
            idempotency: Duration::from_secs(300),
            forget: Duration::from_secs(24 * 3600),
        }
    }
}

impl Timing {
    /// The lease as its holder counts it, from sending the renewal: 15 % short of the registry's, for drift.
    pub fn own(&self) -> Duration {
        self.ttl * 17 / 20
    }

    /// Wait before a stream begins anew: longer than any removed owner may still acknowledge.
    pub fn fresh(&self) -> Duration {
        self.pair * 6 / 5
    }

    /// A link without a frame for so long shows that something is wrong, though nobody is accused yet.
    pub fn silent(&self) -> Duration {
        self.ping * 4
    }

    /// A link without a frame for so long is silent where somebody beside the links takes its other end for gone. Whoever is cut off from
    /// everybody must notice it before: at `silent`, it might still seem to hear the one whose ping came last.
    pub fn doubted(&self) -> Duration {
        (self.silent() * 2).min(self.suspect)
    }

    /// A lease is renewed this often.
    pub fn renew(&self) -> Duration {
        self.ttl / 4
    }

    /// A registry request without an answer for this long has an unknown outcome.
    pub(crate) fn registry_timeout(&self) -> Duration {
        self.ttl * 2 / 5
    }
}
