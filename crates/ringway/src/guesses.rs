//! Wrong tokens, keys and secrets, counted by the address they come from.
//!
//! A right one passes at once, whatever came before it from its address: who shares an address with a guesser, behind a proxy or a
//! NAT, is not shut out, and a program with an old token holds up nobody but itself. To look costs microseconds, so nothing is
//! won by not looking. What is limited is wrong ones:
//!
//! - Ten a minute from one address are a person's slips and are answered at once.
//! - Beyond that the answer waits for a second, for 64 of an address in a second.
//! - What comes beyond that is answered at once and its connection closed, so that each further try costs a new connection.
//!
//! Whoever does not wait for answers can try as fast as it connects. What keeps a secret from being guessed is its length: with
//! 10,000 tries a second, half of the secrets of 64 random bits are found after 29 million years. Outside of the open config a
//! secret of fewer than 16 bytes is refused.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::http::{Extensions, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use ringway_edge::ClientAddr;
use ringway_link::{OnWrongSecret, Treatment};
use tracing::warn;

/// Wrong ones of an address in a [`WINDOW`] that are answered at once.
const FREE: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// What the answer to a wrong one waits for beyond that.
const DELAY: Duration = Duration::from_secs(1);
/// Answers to an address that begin to wait in one second. What is wrong beyond that loses its connection.
const WAITING: u32 = 64;
/// Addresses that are remembered, of some 60 bytes each. With more at a time all others count as one.
const KNOWN: usize = 4_096;
/// While there is no room, those whose minute is over are forgotten this often.
const SWEEP: Duration = Duration::from_secs(1);

/// What is being guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Of `/admin`.
    AdminToken,
    /// Of `/api`.
    ApiKey,
    /// Of clients: to connect, to stay, and for channels.
    ClientToken,
    /// Of the cluster's members.
    JoinSecret,
}

impl Kind {
    /// All of them, in the order of their counters.
    pub(crate) const ALL: [Self; 4] = [Self::AdminToken, Self::ApiKey, Self::ClientToken, Self::JoinSecret];

    /// As metrics have it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::AdminToken => "admin_token",
            Self::ApiKey => "api_key",
            Self::ClientToken => "client_token",
            Self::JoinSecret => "join_secret",
        }
    }

    /// What is done about somebody who guesses it.
    fn news(self, from: IpAddr) {
        const REST: &str = "keep coming from this address; their answers are slow now, and right ones pass";
        match self {
            Self::AdminToken => {
                warn!(%from, "wrong admin tokens {REST}: look at who is there, and keep this port from whoever has no business with it");
            }
            Self::ApiKey => {
                warn!(%from, "wrong API keys {REST}: look at who is there, and whether a back end has an old key");
            }
            Self::ClientToken => {
                warn!(%from, "wrong client tokens {REST}: look at who is there, and whether whoever issues tokens signs them with a key of [client.token]");
            }
            Self::JoinSecret => {
                warn!(%from, "wrong join secrets {REST}: look at who is there, and let nobody but members reach the link port");
            }
        }
    }
}

/// What is counted together.
type Source = (Network, Kind);

/// How a wrong one is answered, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reply {
    AtOnce,
    /// After this.
    Late(Duration),
    /// At once, and the connection is closed.
    Last,
}

impl Reply {
    /// For how long it waits, if it does.
    pub(crate) fn delay(self) -> Option<Duration> {
        match self {
            Self::Late(delay) => Some(delay),
            Self::AtOnce | Self::Last => None,
        }
    }
}

/// Shared by all that check a secret in this process.
#[derive(Debug, Clone, Default)]
pub struct Guesses(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    known: Mutex<Known>,
    /// Wrong ones by kind, and those of them that were not answered at once.
    wrong: [AtomicU64; 4],
    limited: [AtomicU64; 4],
}

#[derive(Debug, Default)]
struct Known {
    by_source: HashMap<Source, Tries>,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Tries {
    since: Instant,
    wrong: u32,
    /// The second of the window that `waiting` counts in.
    second: u32,
    waiting: u32,
}

impl Guesses {
    /// So many wrong ones of each kind so far, and so many of them not answered at once.
    pub(crate) fn counts(&self) -> [(Kind, u64, u64); 4] {
        let of = |counts: &[AtomicU64; 4], kind: Kind| counts[kind as usize].load(Ordering::Relaxed);
        Kind::ALL.map(|kind| (kind, of(&self.0.wrong, kind), of(&self.0.limited, kind)))
    }

    /// For the links: what becomes of whoever knocks with a wrong join secret.
    pub(crate) fn at_the_link_port(&self) -> OnWrongSecret {
        let guesses = self.clone();
        OnWrongSecret::new(move |from| match guesses.wrong(from, Kind::JoinSecret) {
            Reply::AtOnce => Treatment::Refuse,
            Reply::Late(delay) => Treatment::RefuseAfter(delay),
            Reply::Last => Treatment::Close,
        })
    }

    /// Counts a wrong one.
    pub(crate) fn wrong(&self, from: impl Into<Network>, kind: Kind) -> Reply {
        let from = from.into();
        let (reply, is_news) = self.0.known.lock().wrong((from, kind), Instant::now());
        self.0.wrong[kind as usize].fetch_add(1, Ordering::Relaxed);
        if reply != Reply::AtOnce {
            self.0.limited[kind as usize].fetch_add(1, Ordering::Relaxed);
        }
        if is_news {
            kind.news(from.address());
        }
        reply
    }
}

impl Known {
    /// How it is answered, and whether the address has just become one that guesses.
    fn wrong(&mut self, from: Source, now: Instant) -> (Reply, bool) {
        self.sweep(now);
        // Whoever is not remembered while as many as possible are counts as nobody in particular.
        let is_full = self.by_source.len() >= KNOWN && !self.by_source.contains_key(&from);
        let source = if is_full { (Network::of(NOBODY), from.1) } else { from };
        let tries = self.by_source.entry(source).or_insert_with(|| Tries::since(now));
        if now.saturating_duration_since(tries.since) >= WINDOW {
            *tries = Tries::since(now);
        }
        tries.wrong = tries.wrong.saturating_add(1);
        (tries.reply(now), tries.wrong == FREE + 1)
    }

    fn sweep(&mut self, now: Instant) {
        let is_due = self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= SWEEP);
        if self.by_source.len() >= KNOWN && is_due {
            self.swept = Some(now);
            self.by_source.retain(|_, tries| now.saturating_duration_since(tries.since) < WINDOW);
        }
    }
}

impl Tries {
    fn since(now: Instant) -> Self {
        Self { since: now, wrong: 0, second: 0, waiting: 0 }
    }

    fn reply(&mut self, now: Instant) -> Reply {
        if self.wrong <= FREE {
            return Reply::AtOnce;
        }
        let second = now.saturating_duration_since(self.since).as_secs() as u32;
        if second != self.second {
            (self.second, self.waiting) = (second, 0);
        }
        self.waiting = self.waiting.saturating_add(1);
        if self.waiting <= WAITING { Reply::Late(DELAY) } else { Reply::Last }
    }
}

const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The address that a request came from.
pub(crate) fn source(extensions: &Extensions) -> IpAddr {
    extensions.get().map_or(NOBODY, |ClientAddr(address)| *address)
}

/// What an address is counted as: whoever has one IPv6 address has its whole /64. In 8 bytes, for each connection of a client has one.
///
/// It holds an IPv6 network's upper half. An IPv4 address stands where the multicast networks would be that nothing comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Network(u64);

impl Network {
    const V4: u64 = 0xffff_ffff << 32;

    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => Self((v6.to_bits() >> 64) as u64),
            IpAddr::V4(v4) => Self(Self::V4 | u64::from(v4.to_bits())),
        }
    }

    /// The address, or the first one of the network.
    fn address(self) -> IpAddr {
        match self.0 & Self::V4 == Self::V4 {
            true => IpAddr::V4(Ipv4Addr::from_bits(self.0 as u32)),
            false => IpAddr::V6((u128::from(self.0) << 64).into()),
        }
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self::of(address)
    }
}

/// Answers a request with a wrong secret: the first ones of an address with `wrong`, others with `limited`.
pub(crate) async fn refuse(reply: Reply, wrong: impl IntoResponse, limited: impl IntoResponse) -> Response {
    match reply {
        Reply::AtOnce => return wrong.into_response(),
        Reply::Late(delay) => tokio::time::sleep(delay).await,
        Reply::Last => {}
    }
    let mut response = limited.into_response();
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    if reply == Reply::Last {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Network = Network(Network::V4 | 0x7f00_0001);
    const OTHER: Network = Network(Network::V4 | 0x7f00_0002);

    #[test]
    fn ten_slips_are_answered_at_once_then_64_a_second_late_and_others_are_the_last() {
        let (mut known, now) = (Known::default(), Instant::now());
        let mut replies = |from, at| known.wrong((from, Kind::AdminToken), at).0;
        assert!((0..FREE).all(|_| replies(ONE, now) == Reply::AtOnce));
        for second in 1..3 {
            let at = now + Duration::from_secs(second);
            assert!((0..WAITING).all(|_| replies(ONE, at) == Reply::Late(DELAY)), "{second}");
            assert!((0..1_000).all(|_| replies(ONE, at) == Reply::Last), "{second}");
        }
        assert_eq!(replies(OTHER, now), Reply::AtOnce, "another address waits for nothing");
        assert_eq!(replies(ONE, now + WINDOW), Reply::AtOnce, "a minute later it may slip again");
    }

    #[test]
    fn kinds_are_counted_apart_and_an_address_is_news_once_a_minute() {
        let (mut known, now) = (Known::default(), Instant::now());
        let news: Vec<_> = (0..100).filter(|_| known.wrong((ONE, Kind::ApiKey), now).1).collect();
        assert_eq!(news, [10]);
        assert_eq!(known.wrong((ONE, Kind::JoinSecret), now), (Reply::AtOnce, false));
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let guesses = Guesses::default();
        let address = |host: u64| IpAddr::from((0x2001_0db8_u128 << 96 | u128::from(host)).to_be_bytes());
        let replies: Vec<_> = (0..12).map(|host| guesses.wrong(address(host), Kind::ClientToken)).collect();
        assert_eq!(replies[9..], [Reply::AtOnce, Reply::Late(DELAY), Reply::Late(DELAY)]);
        assert_eq!(guesses.counts()[2], (Kind::ClientToken, 12, 2));
    }

    #[test]
    fn a_network_is_told_by_its_first_address() {
        for (address, told) in [
            ("127.0.0.1", "127.0.0.1"),
            ("0.0.0.0", "0.0.0.0"),
            ("255.255.255.255", "255.255.255.255"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("::1", "::"),
        ] {
            let told: IpAddr = told.parse().unwrap();
            assert_eq!(Network::of(address.parse().unwrap()).address(), told, "{address}");
        }
        assert_eq!(Network::of(Ipv4Addr::LOCALHOST.into()), ONE);
    }

    #[test]
    fn no_more_addresses_are_remembered_than_there_is_room_for_and_old_ones_make_room() {
        let (mut known, now) = (Known::default(), Instant::now());
        let address = |number: u32| Network::of(Ipv4Addr::from_bits(number + 1).into());
        for number in 0..2 * KNOWN as u32 {
            known.wrong((address(number), Kind::ApiKey), now);
        }
        assert!(known.by_source.len() <= KNOWN + 1);
        known.wrong((address(0), Kind::ApiKey), now + WINDOW);
        assert!(known.by_source.len() <= 2, "those whose minute is over are forgotten");
    }
}
