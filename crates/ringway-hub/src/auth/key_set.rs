//! Keys that are published at an address (JWKS, RFC 7517). Whoever fetches them stands outside: this says which keys there are, and when
//! they are to be fetched anew.
//!
//! A token that names a key which is not in the set may be ahead of it, so its bearer is asked to come again, and the set is wanted. Only when a fetch
//! that began after that has not brought the key, the token is wrong.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::fault::TokenFault;
use super::key::{ED, Key, P256, P384, RSA};

/// Keys in one set, fit or not. A set with more is not taken.
const KEYS: usize = 64;
/// Names of keys that are remembered as not there. The oldest is forgotten first, and its token makes its bearer come again once more.
const MISSED: usize = 64;
/// Bytes of an RSA key's modulus: 2,048 bits, as for keys in PEM.
const RSA_BYTES: usize = 256;

/// The keys of one address.
pub struct KeySet {
    url: Box<str>,
    state: Mutex<State>,
    wants: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Default)]
struct State {
    keys: Arc<[Key]>,
    /// Fetches that have begun.
    begun: u64,
    /// The number of the newest one that brought keys; 0: none did.
    brought: u64,
    /// Names of keys that were not there, with the number of fetches that had begun then.
    missed: VecDeque<(Box<str>, u64)>,
}

/// Why a document is no set of keys. It continues the sentence "what it answers …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// It is something else.
    #[error("is no set of keys (JWKS): {0}")]
    Malformed(String),
    /// There are too many.
    #[error("has {0} keys, and 64 at most are taken")]
    Large(usize),
    /// None is fit.
    #[error(
        "has no key that can check a signature here: RSA of 2,048 bits or more, EC on P-256 or P-384, or Ed25519, each with a kid if there are several"
    )]
    Empty,
}

impl KeySet {
    /// A set that was not fetched yet.
    pub(super) fn new(url: &str) -> Self {
        Self { url: url.into(), state: Mutex::default(), wants: OnceLock::new() }
    }

    /// Where it is published.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Calls this whenever the set is to be fetched soon. What was given first counts.
    pub fn on_want(&self, call: impl Fn() + Send + Sync + 'static) {
        // A second caller would mean two that fetch.
        let _ = self.wants.set(Box::new(call));
    }

    /// A fetch begins. Its number is for [`Self::end`].
    pub fn begin(&self) -> u64 {
        let mut state = self.state.lock();
        state.begun += 1;
        state.begun
    }

    /// A fetch has brought this document. Returns how many keys there are.
    ///
    /// # Errors
    /// It is no set of keys; the former keys stay.
    pub fn end(&self, fetch: u64, document: &[u8]) -> Result<usize, SetError> {
        let keys = read(document)?;
        let count = keys.len();
        let mut state = self.state.lock();
        state.keys = keys.into();
        state.brought = fetch;
        let State { keys, missed, .. } = &mut *state;
        missed.retain(|(name, _)| !keys.iter().any(|key| key.id() == Some(name)));
        Ok(count)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.state.lock().keys.len()
    }

    /// Whether nothing was fetched yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Runs `check` with the key that a token names.
    ///
    /// # Errors
    /// There is none, or not for this algorithm.
    pub(super) fn with_key<T>(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        check: impl FnOnce(&Key) -> T,
    ) -> Result<T, TokenFault> {
        let keys = self.state.lock().keys.clone();
        match id {
            Some(id) => {
                let mut named = keys.iter().filter(|key| key.id() == Some(id)).peekable();
                if named.peek().is_none() {
                    return Err(self.miss(id));
                }
                named.find(|key| key.is_for(algorithm, Duration::ZERO)).map(check).ok_or(TokenFault::Algorithm)
            }
            None if keys.is_empty() => {
                self.want();
                Err(TokenFault::NoKeys)
            }
            None => {
                let mut fit = keys.iter().filter(|key| key.is_for(algorithm, Duration::ZERO));
                let only = fit.next().ok_or(TokenFault::Algorithm)?;
                if fit.next().is_some() { Err(TokenFault::KeyName) } else { Ok(check(only)) }
            }
        }
    }

    /// A token names a key that is not here.
    fn miss(&self, id: &str) -> TokenFault {
        let mut state = self.state.lock();
        let (begun, brought) = (state.begun, state.brought);
        match state.missed.iter().find(|(name, _)| **name == *id) {
            Some((_, before)) if brought > *before => return TokenFault::KeyName,
            Some(_) => {}
            None => {
                if state.missed.len() == MISSED {
                    state.missed.pop_front();
                }
                state.missed.push_back((id.into(), begun));
            }
        }
        drop(state);
        self.want();
        TokenFault::NoKeys
    }

    fn want(&self) {
        if let Some(call) = self.wants.get() {
            call();
        }
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet").field("url", &self.url).field("keys", &self.len()).finish_non_exhaustive()
    }
}

/// The fit keys of a document. Others are passed over: a set may hold keys for other uses.
fn read(document: &[u8]) -> Result<Vec<Key>, SetError> {
    #[derive(Deserialize)]
    struct Document<'a> {
        #[serde(borrow)]
        keys: Vec<&'a RawValue>,
    }
    let document: Document<'_> =
        serde_json::from_slice(document).map_err(|why| SetError::Malformed(why.to_string()))?;
    if document.keys.len() > KEYS {
        return Err(SetError::Large(document.keys.len()));
    }
    let keys: Vec<Key> = document.keys.iter().filter_map(|key| fit(&serde_json::from_str(key.get()).ok()?)).collect();
    if keys.is_empty() { Err(SetError::Empty) } else { Ok(keys) }
}

/// The key, if signatures can be checked with it. A secret (`oct`) that is published is none.
fn fit(jwk: &Jwk) -> Option<Key> {
    let common = &jwk.common;
    let is_for_us = common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    let all = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) => {
            let modulus = URL_SAFE_NO_PAD.decode(&rsa.n).ok()?;
            let bytes = modulus.iter().skip_while(|byte| **byte == 0).count();
            (bytes >= RSA_BYTES).then_some(RSA)?
        }
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => P256,
            EllipticCurve::P384 => P384,
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(pair) => (pair.curve == EllipticCurve::Ed25519).then_some(ED)?,
        _ => return None,
    };
    // A key may say that it is for one algorithm alone.
    let algorithms = match common.key_algorithm {
        None => all,
        Some(only) => {
            let only = Algorithm::try_from(only).ok()?;
            let at = all.iter().position(|algorithm| *algorithm == only)?;
            &all[at..=at]
        }
    };
    let id = common.key_id.as_deref().filter(|id| !id.is_empty()).map(Into::into);
    is_for_us.then(|| DecodingKey::from_jwk(jwk).ok()).flatten().map(|key| Key::named(key, algorithms, id))
}

#[cfg(test)]
mod tests;
