//! Signing with a secret, for a gateway with the same.

use jsonwebtoken::{EncodingKey, Header, encode};
use ringway_hub::{Key, Keys, Rule, Source};
use serde_json::{Map, Value, json};

use super::args::Signed;
use super::secret_in;
use crate::cli::error::CliError;

/// Who signs, and for whom.
pub(super) struct Signer {
    secret: Vec<u8>,
    issuer: Option<String>,
    audience: Option<String>,
    user_claim: Box<str>,
}

impl Signer {
    /// The issuer that is asked for, or the first one with a secret.
    pub(super) fn of(sources: &[Source], args: &Signed) -> Result<Self, CliError> {
        let wanted = |source: &&Source| match (&args.issuer, &source.issuer) {
            (None, _) | (Some(_), None) => true,
            (Some(name), Some(Rule::Is(issuer))) => **issuer == **name,
            (Some(name), Some(Rule::Matches(pattern))) => pattern.is_match(name),
        };
        let of_issuer: Vec<&Source> = sources.iter().filter(wanted).collect();
        let secret = match &args.secret_file {
            Some(file) => Some(secret_in(file)?.into_bytes()),
            None => None,
        };
        let found = match &secret {
            Some(_) => of_issuer.first().copied(),
            None => of_issuer.iter().copied().find(|source| secret_of(source).is_some()),
        };
        let secret = secret.or_else(|| found.and_then(secret_of)).ok_or_else(|| no_secret(sources, args))?;
        let text = |rule: Option<&Rule>, given: Option<&String>, flag: &str| match (rule, given) {
            (Some(Rule::Is(only)), None) => Ok(Some(only.to_string())),
            (Some(Rule::Matches(pattern)), None) => {
                Err(CliError::Usage(format!("the config asks for one that fits {pattern}: give it with --{flag}")))
            }
            (_, given) => Ok(given.cloned()),
        };
        Ok(Self {
            secret,
            issuer: text(found.and_then(|source| source.issuer.as_ref()), args.issuer.as_ref(), "issuer")?,
            audience: text(found.and_then(|source| source.audience.as_ref()), args.audience.as_ref(), "audience")?,
            user_claim: found.and_then(|source| source.user_id_claim.clone()).unwrap_or_else(|| "sub".into()),
        })
    }

    /// The claim that names the user.
    pub(super) fn user_claim(&self) -> &str {
        &self.user_claim
    }

    /// Claims of who made the token, and for whom.
    pub(super) fn origin(&self) -> Map<String, Value> {
        let claim = |name: &str, text: &Option<String>| text.as_ref().map(|text| (name.to_owned(), json!(text)));
        claim("iss", &self.issuer).into_iter().chain(claim("aud", &self.audience)).collect()
    }

    pub(super) fn sign(&self, claims: &Value) -> Result<String, CliError> {
        encode(&Header::default(), claims, &EncodingKey::from_secret(&self.secret)).map_err(CliError::failed)
    }
}

fn secret_of(source: &Source) -> Option<Vec<u8>> {
    let Keys::Fixed(keys) = &source.keys else { return None };
    keys.iter().find_map(Key::secret).map(<[u8]>::to_vec)
}

fn no_secret(sources: &[Source], args: &Signed) -> CliError {
    let why = match (&args.config, &args.issuer) {
        (None, _) => {
            "there is no secret to sign with: give the gateway's config with --config FILE, or a file that holds the secret with --secret-file FILE"
        }
        (Some(_), Some(_)) if !sources.is_empty() => {
            "the config has no secret of that issuer; give a file that holds it with --secret-file FILE"
        }
        (Some(_), _) if sources.is_empty() => {
            "the config has no [client.token] hmac_secret_key: set one (`ringway genkey` makes one), or give --secret-file FILE"
        }
        (Some(_), _) => {
            "the config has public keys alone, and a token is signed with the private one: whoever has it does that"
        }
    };
    CliError::Usage(why.to_owned())
}
