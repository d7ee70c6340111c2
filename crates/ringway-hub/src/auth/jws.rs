//! A signed token in its three parts (RFC 7515, compact form). Nothing in it is true before its signature is checked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::fault::TokenFault;
use super::key::Key;

/// Longest name of a key. A token with a longer one is no token.
const KEY_NAME_BYTES: usize = 255;

/// A token that was taken apart.
pub(super) struct Jws<'a> {
    algorithm: Algorithm,
    key_name: Option<String>,
    /// What the signature is of.
    signed: &'a str,
    payload: Vec<u8>,
    signature: &'a str,
}

/// What is read of the first part. Keys and addresses of keys in it (`jwk`, `jku`, `x5c`, `x5u`) are passed over: a token does not say what
/// makes it good.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

impl<'a> Jws<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// It is none, or says that it is signed in a way that nobody checks here, such as `none`.
    pub(super) fn of(token: &'a str) -> Result<Self, TokenFault> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenFault::Malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Malformed);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenFault::Malformed)?;
        // It asks not to be read by those who do not know its extensions.
        let is_extended = header.crit.is_some();
        if is_extended || header.kid.as_ref().is_some_and(|name| name.len() > KEY_NAME_BYTES) {
            return Err(TokenFault::Malformed);
        }
        let algorithm = header.alg.parse().map_err(|_| TokenFault::Algorithm)?;
        Ok(Self { algorithm, key_name: header.kid, signed, payload: decode(payload)?, signature })
    }

    /// How it says that it is signed.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// With which key it says that it is signed.
    pub(super) fn key_name(&self) -> Option<&str> {
        self.key_name.as_deref()
    }

    /// Whether this key has signed it.
    pub(super) fn is_by(&self, key: &Key) -> bool {
        key.verifies(self.signed, self.signature, self.algorithm)
    }

    /// What it says.
    pub(super) fn claims<'b, C: Deserialize<'b>>(&'b self) -> Result<C, TokenFault> {
        serde_json::from_slice(&self.payload).map_err(|_| TokenFault::Claims)
    }
}
