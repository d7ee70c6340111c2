//! Sets that come, change and fail.

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::signature as sig;
use serde_json::{Value, json};

use super::super::signing::{P256, P384, base64url, ec, ed, ed_jwk, hmac, jwk, rsa, rsa_jwk, token};
use super::super::{Keys, Source, Tokens, Verifier};
use super::*;

fn verifier() -> (Verifier, Arc<KeySet>, Arc<AtomicUsize>) {
    let source = || Source { keys: Keys::Published("http://127.0.0.1:1/keys".into()), ..Source::default() };
    let tokens = Tokens { connections: vec![source()], subscriptions: Some(vec![source()]) };
    let verifier = Verifier::of(&tokens, || Duration::from_secs(1000));
    assert_eq!(verifier.key_sets().len(), 1, "one address is fetched once");
    let (set, wanted) = (verifier.key_sets()[0].clone(), Arc::new(AtomicUsize::new(0)));
    let count = wanted.clone();
    set.on_want(move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    (verifier, set, wanted)
}

fn document(keys: &[Value]) -> Vec<u8> {
    json!({"keys": keys}).to_string().into_bytes()
}

fn es256(id: Option<&str>) -> String {
    let header = id.map_or_else(|| json!({"alg": "ES256"}), |id| json!({"alg": "ES256", "kid": id}));
    token(&header, &json!({"sub": "ann"}), ec(&P256))
}

fn fault(verifier: &Verifier, token: &str) -> Option<TokenFault> {
    verifier.explain(token).err()
}

#[test]
fn a_key_that_is_not_there_yet_is_wanted_and_its_token_is_no_wrong_one() {
    let (verifier, set, wanted) = verifier();
    assert_eq!(fault(&verifier, &es256(Some("a"))), Some(TokenFault::NoKeys), "nothing was fetched");
    assert_eq!(wanted.load(Ordering::Relaxed), 1);
    assert_eq!(set.end(set.begin(), &document(&[jwk(&P256, "a")])), Ok(1));
    assert_eq!(fault(&verifier, &es256(Some("a"))), None);
    assert_eq!(fault(&verifier, &es256(None)), None, "there is one key");

    // The issuer has a new key.
    assert_eq!(fault(&verifier, &es256(Some("b"))), Some(TokenFault::NoKeys));
    assert_eq!(wanted.load(Ordering::Relaxed), 2);
    set.end(set.begin(), &document(&[jwk(&P384, "a"), jwk(&P256, "b")])).unwrap();
    assert_eq!(fault(&verifier, &es256(Some("b"))), None);
    assert_eq!(fault(&verifier, &es256(Some("a"))), Some(TokenFault::Algorithm), "that key is another one now");
    assert_eq!(wanted.load(Ordering::Relaxed), 2, "what is there is not fetched");
}

#[test]
fn a_key_that_a_fetch_did_not_bring_is_none() {
    let (verifier, set, wanted) = verifier();
    set.end(set.begin(), &document(&[jwk(&P256, "a")])).unwrap();
    let under_way = set.begin();
    assert_eq!(fault(&verifier, &es256(Some("x"))), Some(TokenFault::NoKeys));
    set.end(under_way, &document(&[jwk(&P256, "a")])).unwrap();
    assert_eq!(
        fault(&verifier, &es256(Some("x"))),
        Some(TokenFault::NoKeys),
        "that fetch began before it was asked for"
    );
    set.end(set.begin(), &document(&[jwk(&P256, "a")])).unwrap();
    let before = wanted.load(Ordering::Relaxed);
    assert_eq!(fault(&verifier, &es256(Some("x"))), Some(TokenFault::KeyName));
    assert_eq!(wanted.load(Ordering::Relaxed), before, "it is not fetched for again");
    for n in 0..MISSED {
        fault(&verifier, &es256(Some(&n.to_string())));
    }
    assert_eq!(set.state.lock().missed.len(), MISSED);
}

#[test]
fn what_is_no_set_changes_nothing() {
    let (verifier, set, _) = verifier();
    set.end(set.begin(), &document(&[jwk(&P256, "a")])).unwrap();
    let many: Vec<Value> = (0..=KEYS).map(|n| jwk(&P256, &n.to_string())).collect();
    for (bad, error) in [
        (document(&many), SetError::Large(KEYS + 1)),
        (document(&[]), SetError::Empty),
        (document(&[json!(7), json!({"kty": "EC"}), json!({"kty": "oct", "k": "c2VjcmV0"})]), SetError::Empty),
    ] {
        assert_eq!(set.end(set.begin(), &bad), Err(error));
    }
    for bad in ["", "[]", "{}", "<html>", "{\"keys\":{}}", "{\"keys\":[1"] {
        assert!(matches!(set.end(set.begin(), bad.as_bytes()), Err(SetError::Malformed(_))), "{bad}");
    }
    assert_eq!((fault(&verifier, &es256(Some("a"))), set.len()), (None, 1));
}

#[test]
fn keys_are_good_for_what_they_say() {
    let (verifier, set, _) = verifier();
    let with = |mut key: Value, more: Value| {
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    };
    let short = json!({"kty": "RSA", "kid": "short", "n": base64url([0xff; 128]), "e": "AQAB"});
    let keys = [
        jwk(&P256, "ec"),
        rsa_jwk("rsa"),
        with(rsa_jwk("only"), json!({"alg": "RS512"})),
        ed_jwk("ed"),
        with(jwk(&P256, "enc"), json!({"use": "enc"})),
        with(jwk(&P256, "sign"), json!({"key_ops": ["sign"]})),
        with(jwk(&P256, "wrong"), json!({"alg": "RS256"})),
        with(jwk(&P256, "odd"), json!({"crv": "secp256k1"})),
        json!({"kty": "oct", "kid": "secret", "k": base64url("secret")}),
        short,
    ];
    assert_eq!(set.end(set.begin(), &document(&keys)), Ok(4));
    let head = |alg: &str, id: &str| json!({"alg": alg, "kid": id});
    let claims = json!({"sub": "ann"});
    for (token, expected) in [
        (token(&head("ES256", "ec"), &claims, ec(&P256)), None),
        (token(&head("RS256", "rsa"), &claims, rsa(&sig::RSA_PKCS1_SHA256)), None),
        (token(&head("PS512", "rsa"), &claims, rsa(&sig::RSA_PSS_SHA512)), None),
        (token(&head("EdDSA", "ed"), &claims, ed), None),
        (token(&head("RS512", "only"), &claims, rsa(&sig::RSA_PKCS1_SHA512)), None),
        (token(&head("RS256", "only"), &claims, rsa(&sig::RSA_PKCS1_SHA256)), Some(TokenFault::Algorithm)),
        (token(&head("ES256", "enc"), &claims, ec(&P256)), Some(TokenFault::NoKeys)),
        (token(&head("HS256", "secret"), &claims, hmac("secret", Algorithm::HS256)), Some(TokenFault::NoKeys)),
        (token(&head("HS256", "rsa"), &claims, hmac("secret", Algorithm::HS256)), Some(TokenFault::Algorithm)),
        (token(&json!({"alg": "RS256"}), &claims, rsa(&sig::RSA_PKCS1_SHA256)), None),
        (token(&json!({"alg": "RS512"}), &claims, rsa(&sig::RSA_PKCS1_SHA512)), Some(TokenFault::KeyName)),
    ] {
        assert_eq!(fault(&verifier, &token), expected, "{token}");
    }
}
