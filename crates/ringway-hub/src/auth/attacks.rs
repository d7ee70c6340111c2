//! What passes, and what those try who have no key.

use aws_lc_rs::signature as sig;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::signing::*;
use super::*;

const NOW: Duration = Duration::from_secs(1000);
const SECRET: &str = "a signing key for tests alone";

fn fixed(keys: Vec<Key>) -> Source {
    Source { keys: Keys::Fixed(keys), ..Source::default() }
}

fn verifier(connections: Vec<Source>) -> Verifier {
    Verifier::of(&Tokens { connections, subscriptions: None }, || NOW)
}

/// With a key of each kind.
fn all_keys() -> Vec<Key> {
    vec![
        Key::hmac(SECRET),
        Key::rsa(&rsa_pem()).unwrap(),
        Key::ecdsa(&ec_pem(&P256)).unwrap(),
        Key::eddsa(&ed_pem()).unwrap(),
    ]
}

fn claims() -> Value {
    json!({"sub": "ann", "exp": 1060})
}

fn alg(name: &str) -> Value {
    json!({"alg": name, "typ": "JWT"})
}

#[test]
fn each_algorithm_is_checked_with_its_key() {
    let verifier = verifier(vec![fixed([all_keys(), vec![Key::ecdsa(&ec_pem(&P384)).unwrap()]].concat())]);
    for (name, token) in [
        ("HS256", token(&alg("HS256"), &claims(), hmac(SECRET, Algorithm::HS256))),
        ("HS384", token(&alg("HS384"), &claims(), hmac(SECRET, Algorithm::HS384))),
        ("HS512", token(&alg("HS512"), &claims(), hmac(SECRET, Algorithm::HS512))),
        ("RS256", token(&alg("RS256"), &claims(), rsa(&sig::RSA_PKCS1_SHA256))),
        ("RS384", token(&alg("RS384"), &claims(), rsa(&sig::RSA_PKCS1_SHA384))),
        ("RS512", token(&alg("RS512"), &claims(), rsa(&sig::RSA_PKCS1_SHA512))),
        ("PS256", token(&alg("PS256"), &claims(), rsa(&sig::RSA_PSS_SHA256))),
        ("PS384", token(&alg("PS384"), &claims(), rsa(&sig::RSA_PSS_SHA384))),
        ("PS512", token(&alg("PS512"), &claims(), rsa(&sig::RSA_PSS_SHA512))),
        ("ES256", token(&alg("ES256"), &claims(), ec(&P256))),
        ("ES384", token(&alg("ES384"), &claims(), ec(&P384))),
        ("EdDSA", token(&alg("EdDSA"), &claims(), ed)),
    ] {
        assert_eq!(verifier.explain(&token).map(|found| found.user.is_some()), Ok(true), "{name}");
        let end = token.len() - 8;
        let changed = format!("{}AAAAAAAA", &token[..end]);
        assert_eq!(verifier.explain(&changed), Err(TokenFault::Signature), "{name}");
    }
}

#[test]
fn nothing_passes_without_its_key() {
    let (all, only_public) = (verifier(vec![fixed(all_keys())]), verifier(vec![fixed(all_keys()[1..].to_vec())]));
    let only_secret = verifier(vec![fixed(vec![Key::hmac(SECRET)])]);
    let plain = |header: &Value| token(header, &claims(), |_| Vec::new());
    let hs = |secret: &str| token(&alg("HS256"), &claims(), hmac(secret, Algorithm::HS256));
    let own_key = jwk(&P384, "mine");
    let der = rsa_pem().lines().nth(1).unwrap().to_owned();
    for (what, verifier, token, fault) in [
        ("no algorithm", &all, plain(&alg("none")), TokenFault::Algorithm),
        ("in other letters", &all, plain(&alg("NONE")), TokenFault::Algorithm),
        ("an empty one", &all, plain(&alg("")), TokenFault::Algorithm),
        ("no word of it", &all, plain(&json!({})), TokenFault::Malformed),
        ("no signature", &all, plain(&alg("HS256")), TokenFault::Signature),
        ("no signature of a public key", &all, plain(&alg("ES256")), TokenFault::Signature),
        ("zeros for a signature", &all, token(&alg("ES256"), &claims(), |_| vec![0; 64]), TokenFault::Signature),
        ("a public key's text as the secret", &only_public, hs(&rsa_pem()), TokenFault::Algorithm),
        ("the same beside a secret", &all, hs(&rsa_pem()), TokenFault::Signature),
        ("its DER as the secret", &all, hs(&der), TokenFault::Signature),
        ("an empty secret", &all, hs(""), TokenFault::Signature),
        ("a public algorithm where there is a secret", &only_secret, plain(&alg("RS256")), TokenFault::Algorithm),
        (
            "a good signature under another name",
            &all,
            token(&alg("RS384"), &claims(), rsa(&sig::RSA_PKCS1_SHA256)),
            TokenFault::Signature,
        ),
        ("another padding", &all, token(&alg("PS256"), &claims(), rsa(&sig::RSA_PKCS1_SHA256)), TokenFault::Signature),
        ("a curve that has no key", &all, token(&alg("ES384"), &claims(), ec(&P384)), TokenFault::Algorithm),
        (
            "a key of its own",
            &all,
            token(&json!({"alg": "ES256", "jwk": own_key}), &claims(), ec(&P384)),
            TokenFault::Signature,
        ),
        (
            "an address of its own",
            &all,
            token(&json!({"alg": "RS256", "jku": "http://127.0.0.1/", "x5u": "http://127.0.0.1/"}), &claims(), ed),
            TokenFault::Signature,
        ),
        (
            "extensions that must be known",
            &all,
            token(&json!({"alg": "HS256", "crit": ["b64"], "b64": false}), &claims(), hmac(SECRET, Algorithm::HS256)),
            TokenFault::Malformed,
        ),
        ("a long name of a key", &all, plain(&json!({"alg": "HS256", "kid": "k".repeat(256)})), TokenFault::Malformed),
        ("two parts", &all, hs(SECRET).rsplit_once('.').unwrap().0.to_owned(), TokenFault::Malformed),
        ("four parts", &all, hs(SECRET) + ".x", TokenFault::Malformed),
        ("another alphabet", &all, hs(SECRET).replacen("eyJ", "eyJ+/", 1), TokenFault::Malformed),
        (
            "claims that are a list",
            &all,
            token(&alg("HS256"), &json!([1]), hmac(SECRET, Algorithm::HS256)),
            TokenFault::Claims,
        ),
    ] {
        assert_eq!(verifier.explain(&token), Err(fault), "{what}: {token}");
        assert!(verifier.explain_subscription(&token).is_err(), "{what}: {token}");
    }
}

#[test]
fn what_is_no_public_key_is_told() {
    const SHORT: &str = "-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCqNRvkhhWIum9dw/mYVkoM8535K+OVq4OtRi0eLB6d6/fKf2fcWRflm2Fk3zZ6eKAxpeOruTVRsf6kPnjkQeRQMjFTQGgMom7IouEG4h+gWyXzDE3xecsqxT13D+lp9XvD0NOWo5/ZHPIrQ776QxLBIhbp9o+8owbUK2k+npbPEwIDAQAB\n-----END PUBLIC KEY-----\n";
    const P521: &str = "-----BEGIN PUBLIC KEY-----\nMIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAXUIUt7Zk3qABGSfjC8Zb/uOkv+fEPpaYndTDT7pyvDU+20tNJp66y0nkvAqm9vzoVTG5pIb9JuWckzhuKtuXKWMBnU9dP9si+Lulmp1qagThKnTL7goz9VcPqWLFweRSjBc556r/ntFbfQkQLoUMzUL79WWHFBW5k3PVXEAOk3VjakM=\n-----END PUBLIC KEY-----\n";
    let private = private_pem();
    let [rsa, ec, ed] = [rsa_pem(), ec_pem(&P256), ed_pem()];
    for wrong in [SHORT, P521, &private, &ec, &ed, "", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"] {
        assert!(Key::rsa(wrong).is_err(), "{wrong}");
    }
    for wrong in [SHORT, P521, &private, &rsa, &ed, "key"] {
        assert!(Key::ecdsa(wrong).is_err(), "{wrong}");
    }
    for wrong in [SHORT, P521, &private, &rsa, &ec, "key"] {
        assert!(Key::eddsa(wrong).is_err(), "{wrong}");
    }
    assert_eq!(Key::eddsa(&private), Err(KeyError::Private));
    assert_eq!(Key::eddsa("key"), Err(KeyError::NoPem));
    assert!(!format!("{:?}", Key::hmac(SECRET)).contains(SECRET));
}

fn is(text: &str) -> Option<Rule> {
    Some(Rule::Is(text.into()))
}

fn matches(pattern: &str) -> Option<Rule> {
    Some(Rule::Matches(regex::Regex::new(pattern).unwrap()))
}

#[test]
fn a_token_is_checked_with_the_keys_of_its_own_issuer_alone() {
    let one = Source { issuer: is("one"), ..fixed(vec![Key::hmac(SECRET)]) };
    let two = Source { issuer: matches("^two[.]"), ..fixed(vec![Key::hmac("another key of another one")]) };
    let rest = fixed(vec![Key::eddsa(&ed_pem()).unwrap()]);
    let strict = verifier(vec![one.clone(), two.clone()]);
    let all = verifier(vec![one, two, rest]);
    let hs = |iss: Value, secret: &str| {
        token(&alg("HS256"), &json!({"sub": "ann", "iss": iss}), hmac(secret, Algorithm::HS256))
    };
    for (token, by_all, by_strict) in [
        (hs(json!("one"), SECRET), Ok(()), Ok(())),
        (hs(json!("two.eu"), "another key of another one"), Ok(()), Ok(())),
        (hs(json!("two.eu"), SECRET), Err(TokenFault::Signature), Err(TokenFault::Signature)),
        (hs(json!("one"), "another key of another one"), Err(TokenFault::Signature), Err(TokenFault::Signature)),
        (hs(json!("three"), SECRET), Err(TokenFault::Algorithm), Err(TokenFault::Issuer)),
        (hs(json!(null), SECRET), Err(TokenFault::Algorithm), Err(TokenFault::Issuer)),
        (hs(json!(["one"]), SECRET), Err(TokenFault::Claims), Err(TokenFault::Claims)),
        (token(&alg("EdDSA"), &json!({"iss": "three"}), ed), Ok(()), Err(TokenFault::Issuer)),
        (token(&alg("EdDSA"), &json!({"iss": "one"}), ed), Err(TokenFault::Algorithm), Err(TokenFault::Algorithm)),
    ] {
        assert_eq!(all.explain(&token).map(|_| ()), by_all, "{token}");
        assert_eq!(strict.explain(&token).map(|_| ()), by_strict, "{token}");
    }
}

#[test]
fn who_made_it_and_for_whom_must_be_as_the_rules_say() {
    let source = |issuer, audience| Source { issuer, audience, ..fixed(vec![Key::hmac(SECRET)]) };
    for (source, claims, expected) in [
        (source(is("us"), None), json!({"iss": "us"}), Ok(())),
        (source(is("us"), None), json!({}), Err(TokenFault::Issuer)),
        (source(is("us"), None), json!({"iss": "us2"}), Err(TokenFault::Issuer)),
        (source(matches("^u"), None), json!({"iss": "us2"}), Ok(())),
        (source(None, is("chat")), json!({"aud": "chat"}), Ok(())),
        (source(None, is("chat")), json!({"aud": ["mail", "chat"]}), Ok(())),
        (source(None, is("chat")), json!({"aud": ["mail"]}), Err(TokenFault::Audience)),
        (source(None, is("chat")), json!({"aud": []}), Err(TokenFault::Audience)),
        (source(None, is("chat")), json!({}), Err(TokenFault::Audience)),
        (source(None, is("chat")), json!({"aud": 7}), Err(TokenFault::Claims)),
        (source(None, matches("^ch")), json!({"aud": ["mail", "chat"]}), Ok(())),
        (source(None, None), json!({"aud": ["any"], "iss": "any", "jti": "x", "iat": 5000}), Ok(())),
    ] {
        let token = token(&alg("HS256"), &claims, hmac(SECRET, Algorithm::HS256));
        assert_eq!(verifier(vec![source.clone()]).explain(&token).map(|_| ()), expected, "{claims} with {source:?}");
    }
}

#[test]
fn another_claim_may_name_the_user() {
    let verifier = verifier(vec![Source { user_id_claim: Some("uid".into()), ..fixed(vec![Key::hmac(SECRET)]) }]);
    for (claims, expected) in [
        (json!({"sub": "ann", "uid": "bob"}), Ok(Some("bob"))),
        (json!({"sub": "ann", "uid": 42}), Ok(Some("42"))),
        (json!({"sub": "ann"}), Ok(None)),
        (json!({"sub": "ann", "uid": null}), Ok(None)),
        (json!({"sub": "ann", "uid": {"a": 1}}), Err(TokenFault::Claims)),
    ] {
        let token = token(&alg("HS256"), &claims, hmac(SECRET, Algorithm::HS256));
        let user = verifier.explain(&token).map(|found| found.user);
        assert_eq!(user, expected.map(|name| name.map(|name| UserName::new(name).unwrap())), "{claims}");
    }
}

#[test]
fn a_former_secret_is_good_until_its_end_and_channels_may_have_keys_of_their_own() {
    let former = |until| Key::hmac("the secret before").until(Duration::from_secs(until));
    let old = token(&alg("HS256"), &claims(), hmac("the secret before", Algorithm::HS256));
    for (until, expected) in [(1000, Ok(())), (999, Err(TokenFault::Signature))] {
        let verifier = verifier(vec![fixed(vec![Key::hmac(SECRET), former(until)])]);
        assert_eq!(verifier.explain(&old).map(|_| ()), expected, "{until}");
    }
    let connections = vec![fixed(vec![Key::hmac(SECRET)])];
    let subscriptions = Some(vec![fixed(vec![Key::hmac("the secret before")])]);
    let verifier = Verifier::of(&Tokens { connections, subscriptions }, || NOW);
    let news = |secret| token(&alg("HS256"), &json!({"channel": "news"}), hmac(secret, Algorithm::HS256));
    assert!(verifier.explain_subscription(&news("the secret before")).is_ok());
    assert_eq!(verifier.explain_subscription(&news(SECRET)).unwrap_err(), TokenFault::Signature);
    assert_eq!(verifier.explain(&old).unwrap_err(), TokenFault::Signature);
}
