//! What becomes of whoever knocks with a wrong join secret. Whoever keeps the links decides, for it may know more of an address.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How a wrong join secret is answered. A right one is never held up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// With a refusal that says why.
    Refuse,
    /// With the same after this time, unless the caller goes before, or has to make room at the door.
    RefuseAfter(Duration),
    /// The connection is closed without a word.
    Close,
}

/// Asked once for each wrong join secret.
#[derive(Clone)]
pub struct OnWrongSecret(Arc<dyn Fn(IpAddr) -> Treatment + Send + Sync>);

impl OnWrongSecret {
    /// Decides by the address that a caller comes from. Must not block.
    pub fn new(decide: impl Fn(IpAddr) -> Treatment + Send + Sync + 'static) -> Self {
        Self(Arc::new(decide))
    }

    pub(crate) fn treat(&self, from: IpAddr) -> Treatment {
        (self.0)(from)
    }
}

/// Refuses all at once.
impl Default for OnWrongSecret {
    fn default() -> Self {
        Self::new(|_| Treatment::Refuse)
    }
}

impl fmt::Debug for OnWrongSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnWrongSecret(..)")
    }
}
