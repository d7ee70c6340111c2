//! Who a client is: connection tokens, checked where they arrive, in the connection's own task.

mod subscription;

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use ringway_core::UserName;
use ringway_core::limits::CLIENT_INFO_BYTES;
use serde::Deserialize;
use serde_json::value::RawValue;

pub use subscription::Grant;

/// What a token says of its bearer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user; `None` is the anonymous one.
    pub user: Option<UserName>,
    /// JSON that others see beside the user.
    pub info: Option<Bytes>,
    /// How long the credentials are good for; `None`: for ever.
    pub lifetime: Option<Duration>,
}

/// Why a token gives no credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The client is asked for a new one.
    #[error("the token has expired")]
    Expired,
    /// Not ours, damaged, not valid yet, or without a proper user name.
    #[error("the token is invalid")]
    Invalid,
}

/// Checks tokens under one key.
pub struct Verifier {
    key: Option<DecodingKey>,
    validation: Validation,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("has_key", &self.key.is_some()).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    sub: String,
    exp: Option<u64>,
    nbf: Option<u64>,
    #[serde(default)]
    info: Option<Box<RawValue>>,
    /// Only in tokens for one channel, which open no connection.
    channel: Option<serde::de::IgnoredAny>,
}

impl Verifier {
    /// Checks against this secret; without one, every token is invalid.
    pub fn new(secret: Option<&str>) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.algorithms = vec![Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
        // Times are checked here, because an expired token is answered otherwise than an invalid one.
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        validation.required_spec_claims.clear();
        Self { key: secret.map(|secret| DecodingKey::from_secret(secret.as_bytes())), validation }
    }

    /// Reads a connection token.
    ///
    /// # Errors
    /// [`TokenError`] if it is not good now.
    pub fn verify(&self, token: &str) -> Result<Credentials, TokenError> {
        self.verify_at(token, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    fn verify_at(&self, token: &str, now: Duration) -> Result<Credentials, TokenError> {
        let key = self.key.as_ref().ok_or(TokenError::Invalid)?;
        let decoded = jsonwebtoken::decode::<Claims>(token, key, &self.validation);
        let claims = decoded.map_err(|_| TokenError::Invalid)?.claims;
        let not_yet = claims.nbf.is_some_and(|nbf| Duration::from_secs(nbf) > now);
        if not_yet || claims.channel.is_some() {
            return Err(TokenError::Invalid);
        }
        let user = match claims.sub.as_str() {
            "" => None,
            name => Some(UserName::new(name).map_err(|_| TokenError::Invalid)?),
        };
        let lifetime = match claims.exp {
            Some(exp) => Some(Duration::from_secs(exp).checked_sub(now).ok_or(TokenError::Expired)?),
            None => None,
        };
        let info = claims.info.map(|info| ringway_protocol::json::payload(info.get().as_bytes()).map(Cow::into_owned));
        let info = info.transpose().map_err(|_| TokenError::Invalid)?.map(Bytes::from);
        if info.as_ref().is_some_and(|info| info.len() > CLIENT_INFO_BYTES) {
            return Err(TokenError::Invalid);
        }
        Ok(Credentials { user, info, lifetime })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    const NOW: Duration = Duration::from_secs(1000);

    fn token(claims: &serde_json::Value, secret: &str) -> String {
        encode(&Header::default(), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    }

    fn verify(claims: &serde_json::Value) -> Result<Credentials, TokenError> {
        Verifier::new(Some("key")).verify_at(&token(claims, "key"), NOW)
    }

    #[test]
    fn a_good_token_names_its_user() {
        let found = verify(&json!({"sub": "ann", "exp": 1060, "info": {"name": "Ann"}})).unwrap();
        assert_eq!(found.user, Some(UserName::new("ann").unwrap()));
        assert_eq!(found.lifetime, Some(Duration::from_secs(60)));
        assert_eq!(found.info.as_deref(), Some(&br#"{"name":"Ann"}"#[..]));
        assert_eq!(verify(&json!({})).unwrap(), Credentials { user: None, info: None, lifetime: None });
    }

    #[test]
    fn an_expired_token_is_not_an_invalid_one() {
        assert_eq!(verify(&json!({"sub": "ann", "exp": 999})), Err(TokenError::Expired));
        for bad in [
            json!({"sub": "ann", "nbf": 1001}),
            json!({"sub": "a b"}),
            json!({"sub": 7}),
            json!({"sub": "ann", "channel": "news"}),
        ] {
            assert_eq!(verify(&bad), Err(TokenError::Invalid), "{bad}");
        }
    }

    #[test]
    fn other_keys_and_no_key_are_invalid() {
        let foreign = token(&json!({"sub": "ann"}), "other");
        assert_eq!(Verifier::new(Some("key")).verify_at(&foreign, NOW), Err(TokenError::Invalid));
        assert_eq!(Verifier::new(None).verify_at(&foreign, NOW), Err(TokenError::Invalid));
        assert_eq!(Verifier::new(Some("key")).verify_at("garbage", NOW), Err(TokenError::Invalid));
    }
}
