//! Signs tokens of every kind, also such as nobody should take.

use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self as sig, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

pub(super) static RSA: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap());
pub(super) static P256: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
pub(super) static P384: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap());
pub(super) static ED: LazyLock<Ed25519KeyPair> = LazyLock::new(|| Ed25519KeyPair::generate().unwrap());

pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A public key as a file has it.
pub(super) fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

pub(super) fn rsa_pem() -> String {
    pem(AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(RSA.public_key()).unwrap().as_ref())
}

pub(super) fn ec_pem(key: &EcdsaKeyPair) -> String {
    pem(AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(key.public_key()).unwrap().as_ref())
}

pub(super) fn ed_pem() -> String {
    pem(AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(ED.public_key()).unwrap().as_ref())
}

pub(super) fn private_pem() -> String {
    let der = P256.to_pkcs8v1().unwrap();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()))
}

/// A token with this header and these claims, signed as `by` does.
pub(super) fn token(header: &Value, claims: &Value, by: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
    let signature = by(signed.as_bytes());
    format!("{signed}.{}", base64url(signature))
}

pub(super) fn hmac(secret: impl AsRef<[u8]>, algorithm: Algorithm) -> impl FnOnce(&[u8]) -> Vec<u8> {
    let key = EncodingKey::from_secret(secret.as_ref());
    move |signed| URL_SAFE_NO_PAD.decode(crypto::sign(signed, &key, algorithm).unwrap()).unwrap()
}

pub(super) fn rsa(padding: &'static dyn sig::RsaEncoding) -> impl FnOnce(&[u8]) -> Vec<u8> {
    move |signed| {
        let mut signature = vec![0; RSA.public_modulus_len()];
        RSA.sign(padding, &SystemRandom::new(), signed, &mut signature).unwrap();
        signature
    }
}

pub(super) fn ec(key: &EcdsaKeyPair) -> impl FnOnce(&[u8]) -> Vec<u8> {
    |signed| key.sign(&SystemRandom::new(), signed).unwrap().as_ref().to_vec()
}

pub(super) fn ed(signed: &[u8]) -> Vec<u8> {
    ED.sign(signed).as_ref().to_vec()
}

/// The public keys as an issuer publishes them.
pub(super) fn jwk(key: &EcdsaKeyPair, id: &str) -> Value {
    let point = key.public_key().as_ref();
    let half = (point.len() - 1) / 2;
    let curve = if half == 32 { "P-256" } else { "P-384" };
    json!({"kty": "EC", "kid": id, "crv": curve, "x": base64url(&point[1..=half]), "y": base64url(&point[1 + half..])})
}

pub(super) fn ed_jwk(id: &str) -> Value {
    json!({"kty": "OKP", "kid": id, "crv": "Ed25519", "x": base64url(ED.public_key().as_ref())})
}

pub(super) fn rsa_jwk(id: &str) -> Value {
    let n = RSA.public_key().modulus().big_endian_without_leading_zero().to_vec();
    let e = RSA.public_key().exponent().big_endian_without_leading_zero().to_vec();
    json!({"kty": "RSA", "kid": id, "n": base64url(n), "e": base64url(e), "use": "sig"})
}
