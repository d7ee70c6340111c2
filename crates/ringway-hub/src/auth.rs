//! Who a client is: connection tokens, checked where they arrive, in the connection's own task.

mod fault;
mod jws;
mod key;
mod key_set;
mod server_sub;
mod source;
mod subscription;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ringway_core::UserName;
use ringway_core::limits::CLIENT_INFO_BYTES;
use serde::Deserialize;
use serde_json::value::RawValue;

pub use fault::Faults;
pub use fault::TokenFault;
use jws::Jws;
pub use key::{Key, KeyError};
pub use key_set::{KeySet, SetError};
use server_sub::Asked;
pub use server_sub::{Overrides, ServerSub};
use source::Checked;
pub use source::{Keys, Rule, Source};
pub use subscription::Grant;

/// What a token says of its bearer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The user; `None` is the anonymous one.
    pub user: Option<UserName>,
    /// JSON that others see beside the user.
    pub info: Option<Bytes>,
    /// How long the credentials are good for; `None`: for ever. Zero: they were over before they began, though the token is good.
    pub lifetime: Option<Duration>,
    /// Subscriptions that the server makes, each channel once.
    pub subs: Vec<ServerSub>,
    /// JSON for the application's server alone; clients are never shown it.
    pub meta: Option<Bytes>,
}

impl Credentials {
    /// The same, for ever.
    pub(super) fn endless(self) -> Self {
        Self { lifetime: None, ..self }
    }

    /// Roughly what they hold in memory beside themselves.
    pub(super) fn size(&self) -> usize {
        let documents = [&self.info, &self.meta].into_iter().flatten().map(Bytes::len).sum::<usize>();
        documents + self.subs.iter().map(ServerSub::size).sum::<usize>()
    }
}

/// Why a token gives no credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The client is asked for a new one: it has expired, or is not good yet.
    #[error("the token has expired")]
    Expired,
    /// Not ours, or damaged: perhaps a guess.
    #[error("the token is invalid")]
    Invalid,
    /// Ours, but without proper claims. Clients are told the same.
    #[error("the token's claims are of no use")]
    Unfit,
    /// Nobody can tell now: its key is not here yet. Its client is asked to come again.
    #[error("the token's key is not known yet")]
    Unknown,
}

/// What makes tokens good.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Where those of connections come from. A token is checked by the first source whose issuer is its own.
    pub connections: Vec<Source>,
    /// The same for those of channels, where that is otherwise.
    pub subscriptions: Option<Vec<Source>>,
}

impl Tokens {
    /// Whether a token can be good at all.
    pub fn has_keys(&self) -> bool {
        self.connections.iter().any(|source| !matches!(&source.keys, Keys::Fixed(keys) if keys.is_empty()))
    }
}

/// Checks tokens.
pub struct Verifier {
    connections: Vec<Checked>,
    subscriptions: Option<Vec<Checked>>,
    sets: Vec<Arc<KeySet>>,
    faults: Arc<Faults>,
    /// The time since 1970.
    clock: fn() -> Duration,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("connections", &self.connections)
            .field("sets", &self.sets)
            .finish_non_exhaustive()
    }
}

/// Claims that mean something here. One that is `null` is as good as absent; those of other names are nobody's affair.
#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    /// The token is good to here, ...
    exp: Option<f64>,
    /// ... and from here. Both are numbers of seconds with or without a fraction (RFC 7519, 2).
    nbf: Option<f64>,
    /// The connection is good to here, where that is not where the token ends. Not positive: it does not end.
    expire_at: Option<f64>,
    info: Option<Box<RawValue>>,
    b64info: Option<String>,
    /// Only in tokens for one channel, which open no connection.
    channel: Option<String>,
    meta: Option<Box<RawValue>>,
    channels: Option<Vec<String>>,
    subs: Option<Asked>,
}

impl Verifier {
    /// Checks against this secret (without one, every token is invalid) and a clock that tells the time since 1970.
    pub fn new(secret: Option<&str>, clock: fn() -> Duration) -> Self {
        let source = Source { keys: Keys::Fixed(secret.map(Key::hmac).into_iter().collect()), ..Source::default() };
        Self::of(&Tokens { connections: vec![source], subscriptions: None }, clock)
    }

    /// Checks by these rules, and a clock that tells the time since 1970. Somebody has to fetch the [key sets](Self::key_sets).
    pub fn of(tokens: &Tokens, clock: fn() -> Duration) -> Self {
        let mut sets: Vec<Arc<KeySet>> = Vec::new();
        let mut checked = |sources: &[Source]| -> Vec<Checked> {
            let set = |source: &Source| match &source.keys {
                Keys::Fixed(_) => None,
                Keys::Published(url) => Some(set_at(&mut sets, url)),
            };
            let sets: Vec<_> = sources.iter().map(set).collect();
            sources.iter().cloned().zip(sets).map(|(source, set)| Checked::new(source, set)).collect()
        };
        let connections = checked(&tokens.connections);
        let subscriptions = tokens.subscriptions.as_deref().map(checked);
        Self { connections, subscriptions, sets, faults: Arc::default(), clock }
    }

    /// The sets of keys that somebody has to fetch, each address once.
    pub fn key_sets(&self) -> &[Arc<KeySet>] {
        &self.sets
    }

    /// Counters of the tokens that were refused.
    pub fn faults(&self) -> Arc<Faults> {
        self.faults.clone()
    }

    /// Reads a connection token.
    ///
    /// # Errors
    /// [`TokenError`] if it is not good now.
    pub fn verify(&self, token: &str) -> Result<Credentials, TokenError> {
        self.explain(token).map_err(|fault| self.faults.tell(fault))
    }

    /// The same for people: why it is not good. Nothing is counted or logged.
    ///
    /// # Errors
    /// [`TokenFault`]: what is wrong with it.
    pub fn explain(&self, token: &str) -> Result<Credentials, TokenFault> {
        self.read(token, (self.clock)())
    }

    fn read(&self, token: &str, now: Duration) -> Result<Credentials, TokenFault> {
        let token = Jws::of(token)?;
        let source = Checked::of(&self.connections, &token)?;
        source.check(&token, now)?;
        let claims: Claims = token.claims()?;
        if claims.channel.is_some_and(|channel| !channel.is_empty()) {
            return Err(TokenFault::OfChannel);
        }
        let times = Times { nbf: claims.nbf, exp: claims.exp, expire_at: claims.expire_at };
        let lifetime = times.lifetime(now)?;
        let user = match source.user(&token)?.or(claims.sub).as_deref() {
            None | Some("") => None,
            Some(name) => Some(UserName::any(name).map_err(|_| TokenFault::User)?),
        };
        let info = document(claims.info.as_deref(), claims.b64info.as_deref(), CLIENT_INFO_BYTES)?;
        let meta = document(claims.meta.as_deref(), None, CLIENT_INFO_BYTES)?;
        Ok(Credentials { user, info, lifetime, subs: server_sub::read(claims.channels, claims.subs)?, meta })
    }
}

/// The set that is published at an address: one for all who ask for it.
fn set_at(sets: &mut Vec<Arc<KeySet>>, url: &str) -> Arc<KeySet> {
    if let Some(set) = sets.iter().find(|set| set.url() == url) {
        return set.clone();
    }
    let set = Arc::new(KeySet::new(url));
    sets.push(set.clone());
    set
}

/// When a token is good, and for how long what it grants.
struct Times {
    nbf: Option<f64>,
    exp: Option<f64>,
    expire_at: Option<f64>,
}

impl Times {
    /// How long what it grants is good for from now on; `None`: for ever. Zero: it was over before it began.
    ///
    /// # Errors
    /// The token is not good now.
    fn lifetime(&self, now: Duration) -> Result<Option<Duration>, TokenFault> {
        // A clock that is behind the issuer's mends itself: whoever comes again later is let in.
        if self.nbf.is_some_and(|nbf| date(nbf) > now) {
            return Err(TokenFault::NotYet);
        }
        if self.exp.is_some_and(|exp| date(exp) <= now) {
            return Err(TokenFault::Expired);
        }
        let end = self.expire_at.map_or(self.exp, |end| (end > 0.0).then_some(end));
        Ok(end.map(|end| date(end).saturating_sub(now)))
    }
}

/// A time since 1970, of which there is nothing before, and no end.
fn date(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

/// A document from whichever claim holds it, Base64 first. It must be JSON, as all clients read JSON, of so many bytes at the most.
fn document(json: Option<&RawValue>, base64: Option<&str>, most: usize) -> Result<Option<Bytes>, TokenFault> {
    let document = match (base64.filter(|text| !text.is_empty()), json) {
        (Some(text), _) => Cow::Owned(STANDARD.decode(text).map_err(|_| TokenFault::Document)?),
        (None, Some(json)) => Cow::Borrowed(json.get().as_bytes()),
        (None, None) => return Ok(None),
    };
    let compact = ringway_protocol::json::payload(&document).map_err(|_| TokenFault::Document)?;
    if compact.len() > most {
        return Err(TokenFault::Document);
    }
    Ok(Some(Bytes::from(compact.into_owned())))
}

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod signing;
#[cfg(test)]
mod tests;
