//! Who a client is: connection tokens, checked where they arrive, in the connection's own task.

mod fault;
mod server_sub;
mod subscription;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use ringway_core::UserName;
use ringway_core::limits::CLIENT_INFO_BYTES;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

pub use fault::Faults;
use fault::TokenFault;
use server_sub::Asked;
pub use server_sub::{Overrides, ServerSub};
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
}

/// Checks tokens under one key.
pub struct Verifier {
    key: Option<DecodingKey>,
    validation: Validation,
    faults: Arc<Faults>,
    /// The time since 1970.
    clock: fn() -> Duration,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("has_key", &self.key.is_some()).finish_non_exhaustive()
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
        let mut validation = Validation::new(Algorithm::HS256);
        validation.algorithms = vec![Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
        // Times are checked here, because an expired token is answered otherwise than an invalid one.
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        validation.required_spec_claims.clear();
        let key = secret.map(|secret| DecodingKey::from_secret(secret.as_bytes()));
        Self { key, validation, faults: Arc::default(), clock }
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
        self.read(token, (self.clock)()).map_err(|fault| self.faults.tell(fault))
    }

    fn read(&self, token: &str, now: Duration) -> Result<Credentials, TokenFault> {
        let claims: Claims = self.claims(token)?;
        if claims.channel.is_some_and(|channel| !channel.is_empty()) {
            return Err(TokenFault::OfChannel);
        }
        let times = Times { nbf: claims.nbf, exp: claims.exp, expire_at: claims.expire_at };
        let lifetime = times.lifetime(now)?;
        let user = match claims.sub.as_deref() {
            None | Some("") => None,
            Some(name) => Some(UserName::any(name).map_err(|_| TokenFault::User)?),
        };
        let info = document(claims.info.as_deref(), claims.b64info.as_deref(), CLIENT_INFO_BYTES)?;
        let meta = document(claims.meta.as_deref(), None, CLIENT_INFO_BYTES)?;
        Ok(Credentials { user, info, lifetime, subs: server_sub::read(claims.channels, claims.subs)?, meta })
    }
}

impl Verifier {
    /// What a token says, if it is ours.
    fn claims<C: DeserializeOwned>(&self, token: &str) -> Result<C, TokenFault> {
        let key = self.key.as_ref().ok_or(TokenFault::NoSecret)?;
        let decoded = jsonwebtoken::decode(token, key, &self.validation);
        decoded.map(|decoded| decoded.claims).map_err(|error| match TokenFault::of(&error) {
            // Claims are read when the signature is right, but the header before that.
            TokenFault::Claims if jsonwebtoken::decode_header(token).is_err() => TokenFault::Malformed,
            fault => fault,
        })
    }
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
mod tests;
