//! Wrong tokens and keys, counted by the address they come from.
//!
//! Ten a minute from one address are a person's slips. What comes beyond is treated in two ways:
//!
//! - The admin token is worth guessing. Every try from that address, a right one too, waits for a second before it is looked at, 64
//!   at a time, and others are answered 429. A right token is late and not refused: an attacker behind the same proxy cannot lock the
//!   operator out by being wrong, and cannot try more than 64 a second.
//! - API keys come with every request of a back end. The right one passes at once, or one back end with an old key would hold up all
//!   others at its address; wrong ones are answered 429. What keeps it from being guessed is its length.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::http::{Extensions, StatusCode, header};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use ringway_edge::ClientAddr;
use tracing::warn;

/// Wrong ones of an address in a [`WINDOW`] that nobody is held up for.
const FREE: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// What a try waits for beyond that.
const DELAY: Duration = Duration::from_secs(1);
/// Tries of one address that wait at a time; others are answered 429.
const WAITING: u32 = 64;
/// Addresses that are remembered, of some 60 bytes each. With more at a time all others count as one.
const KNOWN: usize = 4_096;

/// What is being guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Of `/admin`.
    AdminToken,
    /// Of `/api`.
    ApiKey,
}

/// What is counted together.
type Source = (IpAddr, Kind);

/// What a try comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    Wrong,
    /// Wrong, or not looked at: too many were.
    TooMany,
}

/// Shared by all that check a secret in this process.
#[derive(Debug, Clone)]
pub struct Guesses(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    delay: Duration,
    by_address: Mutex<HashMap<Source, Tries>>,
    admin_tokens: AtomicU64,
    api_keys: AtomicU64,
}

#[derive(Debug)]
struct Tries {
    since: Instant,
    wrong: u32,
    waiting: u32,
}

/// One that waits, until dropped.
struct Waiting<'a>(&'a Guesses, Source);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(tries) = self.0.0.by_address.lock().get_mut(&self.1) {
            tries.waiting = tries.waiting.saturating_sub(1);
        }
    }
}

impl Default for Guesses {
    fn default() -> Self {
        Self::delaying(DELAY)
    }
}

impl Guesses {
    fn delaying(delay: Duration) -> Self {
        let (admin_tokens, api_keys) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Inner { delay, by_address: Mutex::default(), admin_tokens, api_keys }))
    }

    /// Wrong admin tokens and wrong API keys so far.
    pub(crate) fn counts(&self) -> [u64; 2] {
        [&self.0.admin_tokens, &self.0.api_keys].map(|count| count.load(Ordering::Relaxed))
    }

    /// Looks at a secret from this address.
    pub(crate) async fn attempt(&self, from: IpAddr, kind: Kind, is_right: impl FnOnce() -> bool + Send) -> Verdict {
        let source = (from, kind);
        let is_over = self.is_over(source);
        let _waiting = match (is_over, kind) {
            (true, Kind::AdminToken) => {
                let Some(waiting) = self.wait(source) else { return self.wrong(from, kind, true) };
                tokio::time::sleep(self.0.delay).await;
                Some(waiting)
            }
            _ => None,
        };
        if is_right() { Verdict::Right } else { self.wrong(from, kind, is_over) }
    }

    fn is_over(&self, from: Source) -> bool {
        let by_address = self.0.by_address.lock();
        by_address
            .get(&known_as(&by_address, from))
            .is_some_and(|tries| tries.wrong >= FREE && tries.since.elapsed() < WINDOW)
    }

    fn wait(&self, from: Source) -> Option<Waiting<'_>> {
        let mut by_address = self.0.by_address.lock();
        let from = known_as(&by_address, from);
        let tries = by_address.get_mut(&from).filter(|tries| tries.waiting < WAITING)?;
        tries.waiting += 1;
        Some(Waiting(self, from))
    }

    fn wrong(&self, from: IpAddr, kind: Kind, is_over: bool) -> Verdict {
        let (count, name) = match kind {
            Kind::AdminToken => (&self.0.admin_tokens, "admin tokens"),
            Kind::ApiKey => (&self.0.api_keys, "API keys"),
        };
        count.fetch_add(1, Ordering::Relaxed);
        let mut by_address = self.0.by_address.lock();
        if by_address.len() >= KNOWN {
            by_address.retain(|_, tries| tries.waiting > 0 || tries.since.elapsed() < WINDOW);
        }
        let known = known_as(&by_address, (from, kind));
        let tries = by_address.entry(known).or_insert_with(|| Tries { since: Instant::now(), wrong: 0, waiting: 0 });
        if tries.since.elapsed() >= WINDOW {
            (tries.since, tries.wrong) = (Instant::now(), 0);
        }
        tries.wrong = tries.wrong.saturating_add(1);
        let is_news = tries.wrong == FREE;
        drop(by_address);
        if is_news {
            warn!(%from, "wrong {name} keep coming from this address: look at who is there, and keep this port from whoever has no business with it");
        }
        if is_over { Verdict::TooMany } else { Verdict::Wrong }
    }
}

/// Whoever is not remembered while as many as possible are counts as nobody in particular.
fn known_as(by_address: &HashMap<Source, Tries>, from: Source) -> Source {
    match by_address.len() >= KNOWN && !by_address.contains_key(&from) {
        true => (NOBODY, from.1),
        false => from,
    }
}

const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The address that a request came from.
pub(crate) fn source(extensions: &Extensions) -> IpAddr {
    extensions.get().map_or(NOBODY, |ClientAddr(address)| network(*address))
}

/// Whoever has one IPv6 address has its whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// What one is answered who is wrong too often.
pub(crate) fn too_many(what: &str) -> Response {
    let text = format!("{what} from this address were wrong too often: try again in a moment\n");
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

    async fn ten_slips(guesses: &Guesses, kind: Kind) {
        for _ in 0..FREE {
            assert_eq!(guesses.attempt(ONE, kind, || false).await, Verdict::Wrong);
        }
    }

    const SHORT: Duration = Duration::from_millis(100);

    #[tokio::test]
    async fn the_eleventh_wrong_token_is_too_many_and_the_right_one_is_late() {
        let guesses = Guesses::delaying(SHORT);
        ten_slips(&guesses, Kind::AdminToken).await;
        let began = Instant::now();
        assert_eq!(guesses.attempt(ONE, Kind::AdminToken, || false).await, Verdict::TooMany);
        assert_eq!(guesses.attempt(ONE, Kind::AdminToken, || true).await, Verdict::Right);
        assert!(began.elapsed() >= 2 * SHORT);
        assert_eq!(guesses.counts(), [11, 0]);
        // Another address waits for nothing: not for an hour, here.
        let guesses = Guesses::delaying(Duration::from_secs(3_600));
        ten_slips(&guesses, Kind::AdminToken).await;
        assert_eq!(guesses.attempt(OTHER, Kind::AdminToken, || true).await, Verdict::Right);
    }

    #[tokio::test]
    async fn so_many_are_looked_at_in_a_second() {
        let guesses = Guesses::delaying(SHORT);
        ten_slips(&guesses, Kind::AdminToken).await;
        let looked = Arc::new(AtomicU64::new(0));
        let mut tries = tokio::task::JoinSet::new();
        // One task runs at a time, so all of them have come before the first one has waited.
        for _ in 0..10 * WAITING {
            let (guesses, looked) = (guesses.clone(), looked.clone());
            tries.spawn(async move {
                let look = || looked.fetch_add(1, Ordering::Relaxed) == u64::MAX;
                guesses.attempt(ONE, Kind::AdminToken, look).await
            });
        }
        assert!(tries.join_all().await.iter().all(|verdict| *verdict == Verdict::TooMany));
        assert_eq!(looked.load(Ordering::Relaxed), u64::from(WAITING));
        let late = guesses.attempt(ONE, Kind::AdminToken, || true).await;
        assert_eq!(late, Verdict::Right, "nothing is left of those who waited");
    }

    #[tokio::test]
    async fn the_right_api_key_passes_at_once() {
        let guesses = Guesses::delaying(Duration::from_secs(3_600));
        ten_slips(&guesses, Kind::ApiKey).await;
        assert_eq!(guesses.attempt(ONE, Kind::ApiKey, || false).await, Verdict::TooMany);
        assert_eq!(guesses.attempt(ONE, Kind::ApiKey, || true).await, Verdict::Right);
    }

    #[tokio::test]
    async fn no_more_addresses_are_remembered_than_there_is_room_for() {
        let guesses = Guesses::default();
        for number in 0..2 * KNOWN as u32 {
            guesses.attempt(Ipv4Addr::from_bits(number + 1).into(), Kind::ApiKey, || false).await;
        }
        assert!(guesses.0.by_address.lock().len() <= KNOWN + 2);
    }
}
