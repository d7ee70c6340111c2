//! Subscription tokens: what opens one channel to one user.

use std::time::Duration;

use bytes::Bytes;
use ringway_core::limits::CHANNEL_INFO_BYTES;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::fault::TokenFault;
use super::jws::Jws;
use super::source::Checked;
use super::{Overrides, Times, TokenError, Verifier, document};

/// What a subscription token grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// To whom; empty for anonymous clients.
    pub user: Box<str>,
    /// For which channel.
    pub channel: Box<str>,
    /// Only to the connection with this id, if it names one.
    pub client: Box<str>,
    /// JSON that others in the channel see beside the user.
    pub info: Option<Bytes>,
    /// JSON for the subscriber.
    pub data: Option<Bytes>,
    /// How long the subscription is good for; `None`: for ever. Zero: it was over before it began, though the token itself is good.
    pub lifetime: Option<Duration>,
    /// What is other than the channel's rules.
    pub overrides: Overrides,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    sub: String,
    #[serde(default)]
    channel: String,
    #[serde(default)]
    client: String,
    /// The token itself is good from here ...
    nbf: Option<f64>,
    /// ... to here, and so is the subscription, ...
    exp: Option<f64>,
    /// ... unless this says otherwise. Not positive: it does not end.
    expire_at: Option<f64>,
    info: Option<Box<RawValue>>,
    b64info: Option<String>,
    data: Option<Box<RawValue>>,
    b64data: Option<String>,
    #[serde(rename = "override")]
    overrides: Option<Overrides>,
}

impl Verifier {
    /// Reads a subscription token.
    ///
    /// # Errors
    /// [`TokenError`] if it is not good now.
    pub fn verify_subscription(&self, token: &str) -> Result<Grant, TokenError> {
        self.explain_subscription(token).map_err(|fault| self.faults.tell(fault))
    }

    /// The same for people: why it is not good. Nothing is counted or logged.
    ///
    /// # Errors
    /// [`TokenFault`]: what is wrong with it.
    pub fn explain_subscription(&self, token: &str) -> Result<Grant, TokenFault> {
        self.read_subscription(token, (self.clock)())
    }

    fn read_subscription(&self, token: &str, now: Duration) -> Result<Grant, TokenFault> {
        let token = Jws::of(token)?;
        let source = Checked::of(self.subscriptions.as_ref().unwrap_or(&self.connections), &token)?;
        source.check(&token, now)?;
        let claims: Claims = token.claims()?;
        let lifetime = Times { nbf: claims.nbf, exp: claims.exp, expire_at: claims.expire_at }.lifetime(now)?;
        if claims.channel.is_empty() {
            return Err(TokenFault::NoChannel);
        }
        Ok(Grant {
            user: source.user(&token)?.unwrap_or(claims.sub).into(),
            channel: claims.channel.into(),
            client: claims.client.into(),
            info: document(claims.info.as_deref(), claims.b64info.as_deref(), CHANNEL_INFO_BYTES)?,
            data: document(claims.data.as_deref(), claims.b64data.as_deref(), usize::MAX)?,
            lifetime,
            overrides: claims.overrides.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    const NOW: Duration = Duration::from_secs(1000);

    fn verify(claims: &Value) -> Result<Grant, TokenError> {
        let token = encode(&Header::default(), claims, &EncodingKey::from_secret(b"key")).unwrap();
        Verifier::new(Some("key"), || NOW).verify_subscription(&token)
    }

    #[test]
    fn a_good_token_says_what_it_grants() {
        let claims = json!({"sub": "ann", "channel": "$news", "client": "c1", "exp": 1060.5, "info": {"a": 1}, "data": [1],
                "override": {"force_recovery": {"value": true}}});
        let grant = Grant {
            user: "ann".into(),
            channel: "$news".into(),
            client: "c1".into(),
            info: Some(Bytes::from_static(br#"{"a":1}"#)),
            data: Some(Bytes::from_static(b"[1]")),
            lifetime: Some(Duration::from_millis(60_500)),
            overrides: Overrides { force_recovery: Some(true), ..Overrides::default() },
        };
        assert_eq!(verify(&claims).unwrap(), grant);
        let bare = verify(&json!({"channel": "news"})).unwrap();
        assert_eq!(bare, Grant { channel: "news".into(), ..Grant::default() });
        let encoded = verify(&json!({"channel": "news", "info": 1, "b64info": "eyJhIjogMX0="})).unwrap();
        assert_eq!(encoded.info.as_deref(), Some(&br#"{"a":1}"#[..]));
    }

    #[test]
    fn the_subscription_may_end_at_another_time_than_the_token() {
        for (claims, lifetime) in [
            (json!({}), None),
            (json!({"exp": 1100}), Some(100)),
            (json!({"exp": 1100, "expire_at": 1050}), Some(50)),
            (json!({"exp": 1100, "expire_at": 0}), None),
            (json!({"expire_at": 1e3}), Some(0)),
            (json!({"exp": 1100, "expire_at": 900}), Some(0)),
        ] {
            let mut claims = claims;
            claims["channel"] = "news".into();
            assert_eq!(verify(&claims).unwrap().lifetime, lifetime.map(Duration::from_secs), "{claims}");
        }
    }

    #[test]
    fn what_is_not_good_grants_nothing() {
        for (claims, error) in [
            (json!({"channel": "news", "exp": 1000}), TokenError::Expired),
            (json!({"channel": "news", "exp": -1.5}), TokenError::Expired),
            (json!({"channel": "news", "nbf": 1001}), TokenError::Expired),
            (json!({"sub": "ann"}), TokenError::Unfit),
            (json!({"channel": 7}), TokenError::Unfit),
            (json!({"channel": "news", "b64info": "%"}), TokenError::Unfit),
            (json!({"channel": "news", "b64data": "eA=="}), TokenError::Unfit),
            (json!({"channel": "news", "info": "x".repeat(CHANNEL_INFO_BYTES)}), TokenError::Unfit),
            (json!({"channel": "news", "override": {"presence": true}}), TokenError::Unfit),
        ] {
            assert_eq!(verify(&claims), Err(error), "{claims}");
        }
        assert_eq!(Verifier::new(None, || NOW).verify_subscription("x.y.z"), Err(TokenError::Invalid));
    }
}
