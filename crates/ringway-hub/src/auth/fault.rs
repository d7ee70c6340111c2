//! Why tokens are refused: clients are told little of it, so that operators must be told more.

use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{info, warn};

use super::TokenError;

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYet,
    /// It was signed with another key, or changed.
    Signature,
    /// It says that it is signed in a way for which there is no key here.
    Algorithm,
    /// It is no token.
    Malformed,
    /// Its claims are no object, or one has another type than it should have.
    Claims,
    /// Its user's name is too long.
    User,
    /// What it says to others, or to its bearer, is no JSON, or too long.
    Document,
    /// It is for one channel.
    OfChannel,
    /// It is for a channel, and names none.
    NoChannel,
    /// It asks for subscriptions that there cannot be.
    ServerSubs,
    /// Nobody can sign one: there is no key.
    NoSecret,
    /// It is of an issuer that is not ours.
    Issuer,
    /// It is for others than us.
    Audience,
    /// It names a key that its issuer does not publish, or none of several.
    KeyName,
    /// Its key is published, and was not fetched yet.
    NoKeys,
}

impl TokenFault {
    /// All of them, each at its own number.
    const ALL: [Self; 16] = [
        Self::Expired,
        Self::NotYet,
        Self::Signature,
        Self::Algorithm,
        Self::Malformed,
        Self::Claims,
        Self::User,
        Self::Document,
        Self::OfChannel,
        Self::NoChannel,
        Self::ServerSubs,
        Self::NoSecret,
        Self::Issuer,
        Self::Audience,
        Self::KeyName,
        Self::NoKeys,
    ];

    /// The reason in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotYet => "not_yet_valid",
            Self::Signature => "signature",
            Self::Algorithm => "algorithm",
            Self::Malformed => "malformed",
            Self::Claims => "claims",
            Self::User => "user_name",
            Self::Document => "info",
            Self::OfChannel => "for_a_channel",
            Self::NoChannel => "no_channel",
            Self::ServerSubs => "channels",
            Self::NoSecret => "no_secret",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::KeyName => "key_id",
            Self::NoKeys => "no_keys_yet",
        }
    }

    /// What is said in the log, with what to do.
    pub fn says(self) -> &'static str {
        match self {
            Self::Expired => "its time (exp) is over; clients fetch a new one",
            Self::NotYet => "its time (nbf) has not come: set the clocks of this machine and of the one that signs",
            Self::Signature => {
                "its signature is wrong: whoever signs it needs the key of this gateway's [client.token], or the private one that belongs to it"
            }
            Self::Algorithm => "its algorithm (alg) is one for which [client.token] has no key, or none at all",
            Self::Malformed => "it is no JSON Web Token, or its header cannot be read",
            Self::Claims => {
                "its claims cannot be read: sub and channel are strings, exp, nbf and expire_at are numbers of seconds, \
                 channels is a list, subs and override are objects"
            }
            Self::User => "its user's name (sub) has more than 255 bytes",
            Self::Document => {
                "its info, data or meta is no JSON, its b64info or b64data no JSON in Base64, or they are too long"
            }
            Self::OfChannel => "it has a channel: it is for a subscription, and not for a connection",
            Self::NoChannel => "it is for a subscription and names no channel",
            Self::ServerSubs => {
                "its channels or subs name more than 128 channels, or one whose name is empty, too long, or has a control character"
            }
            Self::NoSecret => {
                "this gateway has no key to check it with: set [client.token] hmac_secret_key, or another one"
            }
            Self::Issuer => "its issuer (iss) is none of those in [client.token]",
            Self::Audience => "it is for somebody else (aud): see audience in [client.token]",
            Self::KeyName => "its issuer publishes no key of that name (kid), or it names none where there are several",
            Self::NoKeys => {
                "its key was not fetched from jwks_public_endpoint yet: clients come again. If that goes on, see the fetches in the log"
            }
        }
    }
}

/// Tokens that were refused, by the reason; all only grow.
#[derive(Debug, Default)]
pub struct Faults([AtomicU64; TokenFault::ALL.len()]);

impl Faults {
    /// How many there were of each.
    pub fn counts(&self) -> impl Iterator<Item = (TokenFault, u64)> + '_ {
        TokenFault::ALL.into_iter().zip(&self.0).map(|(fault, count)| (fault, count.load(Ordering::Relaxed)))
    }

    /// Counts a refused token and tells people of it. What the client is told.
    pub(super) fn tell(&self, fault: TokenFault) -> TokenError {
        self.0[fault as usize].fetch_add(1, Ordering::Relaxed);
        let says = fault.says();
        match fault {
            TokenFault::Expired => info!("a client's token was refused: {says}"),
            _ => warn!("a client's token was refused: {says}"),
        }
        match fault {
            TokenFault::Expired | TokenFault::NotYet => TokenError::Expired,
            TokenFault::NoKeys => TokenError::Unknown,
            TokenFault::Signature
            | TokenFault::Algorithm
            | TokenFault::Malformed
            | TokenFault::NoSecret
            | TokenFault::KeyName => TokenError::Invalid,
            TokenFault::Claims
            | TokenFault::Issuer
            | TokenFault::Audience
            | TokenFault::User
            | TokenFault::Document
            | TokenFault::OfChannel
            | TokenFault::NoChannel
            | TokenFault::ServerSubs => TokenError::Unfit,
        }
    }
}
