//! Keys that check signatures. Each says by itself for which algorithms it is good, so that what a token says of itself chooses among them
//! and never makes one good for more.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::{PemObject, SectionKind};

const HMAC: &[Algorithm] = &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
pub(super) const RSA: &[Algorithm] =
    &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];
pub(super) const P256: &[Algorithm] = &[Algorithm::ES256];
pub(super) const P384: &[Algorithm] = &[Algorithm::ES384];
pub(super) const ED: &[Algorithm] = &[Algorithm::EdDSA];

/// A key, and what it is good for.
#[derive(Clone)]
pub struct Key {
    decoding: DecodingKey,
    algorithms: &'static [Algorithm],
    /// By what name a token chooses it; `None`: by its algorithm alone.
    id: Option<Box<str>>,
    /// Good to this time since 1970; `None`: for ever.
    until: Option<Duration>,
}

/// Why a text is no key. It continues the sentence "`rsa_public_key` …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not PEM, or has no key in it.
    #[error(
        "has no public key in it: it is a PEM text, which begins with -----BEGIN PUBLIC KEY-----, or the path of a file with one \
         (`openssl rsa -RSAPublicKey_in -in FILE -pubout` makes it of an older RSA PUBLIC KEY)"
    )]
    NoPem,
    /// It is a private one, which only who signs should have.
    #[error(
        "is a private key, which belongs to whoever signs alone: write the public one (`openssl pkey -in FILE -pubout`)"
    )]
    Private,
    /// It is one of another kind.
    #[error("is no {0}")]
    Kind(&'static str),
}

impl Key {
    /// A secret, for HS256, HS384 and HS512.
    pub fn hmac(secret: &str) -> Self {
        Self::of(DecodingKey::from_secret(secret.as_bytes()), HMAC)
    }

    /// An RSA key in PEM, of 2,048 to 8,192 bits, for RS256 to RS512 and PS256 to PS512.
    ///
    /// # Errors
    /// It is none.
    pub fn rsa(pem: &str) -> Result<Self, KeyError> {
        let der = public(pem)?;
        let is_good = parses(&RSA_PKCS1_2048_8192_SHA256, &der) && der.len() >= SHORTEST_RSA;
        if !is_good {
            return Err(KeyError::Kind("RSA key of 2,048 to 8,192 bits"));
        }
        Ok(Self::of(DecodingKey::from_rsa_der(&der), RSA))
    }

    /// A key on the curve P-256, for ES256, or on P-384, for ES384, in PEM.
    ///
    /// # Errors
    /// It is none.
    pub fn ecdsa(pem: &str) -> Result<Self, KeyError> {
        let der = public(pem)?;
        let algorithms = match () {
            () if parses(&ECDSA_P256_SHA256_FIXED, &der) => P256,
            () if parses(&ECDSA_P384_SHA384_FIXED, &der) => P384,
            () => return Err(KeyError::Kind("ECDSA key on the curve P-256 or P-384")),
        };
        Ok(Self::of(DecodingKey::from_ec_der(&der), algorithms))
    }

    /// An Ed25519 key in PEM, for EdDSA.
    ///
    /// # Errors
    /// It is none.
    pub fn eddsa(pem: &str) -> Result<Self, KeyError> {
        let der = public(pem)?;
        if !parses(&ED25519, &der) {
            return Err(KeyError::Kind("Ed25519 key"));
        }
        Ok(Self::of(DecodingKey::from_ed_der(&der), ED))
    }

    /// The same, good until so long after 1970.
    #[must_use]
    pub fn until(self, end: Duration) -> Self {
        Self { until: Some(end), ..self }
    }

    /// One of a set, where a token names it.
    pub(super) fn named(decoding: DecodingKey, algorithms: &'static [Algorithm], id: Option<Box<str>>) -> Self {
        Self { id, ..Self::of(decoding, algorithms) }
    }

    fn of(decoding: DecodingKey, algorithms: &'static [Algorithm]) -> Self {
        Self { decoding, algorithms, id: None, until: None }
    }

    /// Whether a token of this algorithm may be checked with it now.
    pub(super) fn is_for(&self, algorithm: Algorithm, now: Duration) -> bool {
        self.algorithms.contains(&algorithm) && self.until.is_none_or(|end| now <= end)
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The secret, if it is one: whoever has it can sign as well.
    pub fn secret(&self) -> Option<&[u8]> {
        (self.algorithms == HMAC).then(|| self.decoding.try_get_as_bytes().ok()).flatten()
    }

    /// Whether the signature of `signed` is by it.
    pub(super) fn verifies(&self, signed: &str, signature: &str, algorithm: Algorithm) -> bool {
        crypto::verify(signature, signed.as_bytes(), &self.decoding, algorithm).unwrap_or(false)
    }
}

/// A secret is not shown.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("algorithms", &self.algorithms).field("id", &self.id).finish_non_exhaustive()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        let bytes = |key: &Self| key.decoding.try_get_as_bytes().map(<[u8]>::to_vec).ok();
        (self.algorithms, &self.id, self.until) == (other.algorithms, &other.id, other.until)
            && bytes(self) == bytes(other)
    }
}

impl Eq for Key {}

/// Bytes of an RSA key of 2,048 bits in DER, less what its wrapping may leave out. One of 1,024 bits has 162 at the most.
const SHORTEST_RSA: usize = 256;

fn parses(algorithm: &'static dyn VerificationAlgorithm, der: &[u8]) -> bool {
    ParsedPublicKey::new(algorithm, der).is_ok()
}

/// The one public key in a PEM text, in DER.
fn public(pem: &str) -> Result<Vec<u8>, KeyError> {
    if let Ok(found) = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()) {
        return Ok(found.to_vec());
    }
    match <(SectionKind, Vec<u8>)>::from_pem_slice(pem.as_bytes()) {
        Ok((SectionKind::RsaPrivateKey | SectionKind::PrivateKey | SectionKind::EcPrivateKey, _)) => {
            Err(KeyError::Private)
        }
        _ => Err(KeyError::NoPem),
    }
}
