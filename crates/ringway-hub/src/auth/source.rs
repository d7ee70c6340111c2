//! Where good tokens come from: whose keys check them, and what they must say of who made them, and for whom.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use regex::Regex;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::fault::TokenFault;
use super::jws::Jws;
use super::key::Key;
use super::key_set::KeySet;
use std::sync::Arc;

/// One issuer of tokens, or all whose tokens the same keys check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// What `iss` must be.
    pub issuer: Option<Rule>,
    /// What `aud`, or one of its texts, must be.
    pub audience: Option<Rule>,
    /// The claim that names the user, where that is not `sub`.
    pub user_id_claim: Option<Box<str>>,
    /// Whose keys check the signature.
    pub keys: Keys,
}

/// Keys that check signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// These. The first that is for a token's algorithm and fits checks it; without one no token is good.
    Fixed(Vec<Key>),
    /// Those that are published at this address.
    Published(Box<str>),
}

impl Default for Keys {
    fn default() -> Self {
        Self::Fixed(Vec::new())
    }
}

/// What a claim must be.
#[derive(Debug, Clone)]
pub enum Rule {
    /// This.
    Is(Box<str>),
    /// Something in which this pattern is found.
    Matches(Regex),
}

impl Rule {
    fn allows(&self, text: &str) -> bool {
        match self {
            Self::Is(only) => **only == *text,
            Self::Matches(pattern) => pattern.is_match(text),
        }
    }

    fn text(&self) -> (&str, bool) {
        match self {
            Self::Is(only) => (only, false),
            Self::Matches(pattern) => (pattern.as_str(), true),
        }
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Rule {}

/// A source with the set of keys that it fetches.
#[derive(Debug)]
pub(super) struct Checked {
    source: Source,
    set: Option<Arc<KeySet>>,
}

/// Claims of who made a token, and for whom.
#[derive(Default, Deserialize)]
struct Origin {
    iss: Option<String>,
    aud: Option<Audience>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Some(Vec<String>),
}

impl Audience {
    fn texts(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Some(texts) => texts,
        }
    }
}

impl Checked {
    pub(super) fn new(source: Source, set: Option<Arc<KeySet>>) -> Self {
        Self { source, set }
    }

    /// The one of these that checks the token: the first whose issuer is the token's own. Its word counts for no more than that choice until
    /// the signature is checked.
    pub(super) fn of<'a>(all: &'a [Self], token: &Jws<'_>) -> Result<&'a Self, TokenFault> {
        match all {
            [] => Err(TokenFault::NoSecret),
            [only] => Ok(only),
            several => {
                let origin: Origin = token.claims()?;
                several.iter().find(|checked| checked.is_issuer(&origin)).ok_or(TokenFault::Issuer)
            }
        }
    }

    fn is_issuer(&self, origin: &Origin) -> bool {
        let iss = origin.iss.as_deref();
        self.source.issuer.as_ref().is_none_or(|rule| iss.is_some_and(|iss| rule.allows(iss)))
    }

    /// Checks who made a token, and for whom.
    pub(super) fn check(&self, token: &Jws<'_>, now: Duration) -> Result<(), TokenFault> {
        self.check_signature(token, now)?;
        if self.source.issuer.is_none() && self.source.audience.is_none() {
            return Ok(());
        }
        let origin: Origin = token.claims()?;
        if !self.is_issuer(&origin) {
            return Err(TokenFault::Issuer);
        }
        let texts = origin.aud.as_ref().map_or(&[][..], Audience::texts);
        let is_meant = |rule: &Rule| texts.iter().any(|text| rule.allows(text));
        if self.source.audience.as_ref().is_none_or(is_meant) { Ok(()) } else { Err(TokenFault::Audience) }
    }

    fn check_signature(&self, token: &Jws<'_>, now: Duration) -> Result<(), TokenFault> {
        let algorithm = token.algorithm();
        let is_right = match (&self.source.keys, &self.set) {
            (Keys::Fixed(keys), _) => any_verifies(keys, token, algorithm, now)?,
            (Keys::Published(_), Some(set)) => set.with_key(token.key_name(), algorithm, |key| token.is_by(key))?,
            (Keys::Published(_), None) => return Err(TokenFault::NoKeys),
        };
        if is_right { Ok(()) } else { Err(TokenFault::Signature) }
    }

    /// The user, where another claim than `sub` names it.
    pub(super) fn user(&self, token: &Jws<'_>) -> Result<Option<String>, TokenFault> {
        let Some(claim) = &self.source.user_id_claim else { return Ok(None) };
        let claims: BTreeMap<Cow<'_, str>, &RawValue> = token.claims()?;
        let Some(value) = claims.get(&**claim) else { return Ok(Some(String::new())) };
        match serde_json::from_str(value.get()) {
            Ok(serde_json::Value::String(name)) => Ok(Some(name)),
            Ok(serde_json::Value::Number(number)) => Ok(Some(number.to_string())),
            Ok(serde_json::Value::Null) => Ok(Some(String::new())),
            _ => Err(TokenFault::Claims),
        }
    }
}

fn any_verifies(keys: &[Key], token: &Jws<'_>, algorithm: Algorithm, now: Duration) -> Result<bool, TokenFault> {
    if keys.is_empty() {
        return Err(TokenFault::NoSecret);
    }
    let mut fit = keys.iter().filter(|key| key.is_for(algorithm, now)).peekable();
    fit.peek().ok_or(TokenFault::Algorithm)?;
    Ok(fit.any(|key| token.is_by(key)))
}
