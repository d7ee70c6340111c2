//! Tokens, good and bad.

use super::*;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

const NOW: Duration = Duration::from_secs(1000);

fn token(claims: &serde_json::Value, secret: &str) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

fn verify(claims: &serde_json::Value) -> Result<Credentials, TokenError> {
    Verifier::new(Some("key"), || NOW).verify(&token(claims, "key"))
}

#[test]
fn a_good_token_names_its_user() {
    let found = verify(&json!({"sub": "ann", "exp": 1060, "info": {"name": "Ann"}})).unwrap();
    assert_eq!(found.user, Some(UserName::new("ann").unwrap()));
    assert_eq!(found.lifetime, Some(Duration::from_secs(60)));
    assert_eq!(found.info.as_deref(), Some(&br#"{"name":"Ann"}"#[..]));
    assert_eq!(verify(&json!({})).unwrap(), Credentials::default());
    assert_eq!(verify(&json!({"sub": null, "channel": ""})).unwrap().user, None);
    let encoded = verify(&json!({"sub": "ann", "b64info": "eyJhIjogMX0="})).unwrap();
    assert_eq!(encoded.info.as_deref(), Some(&br#"{"a":1}"#[..]));
}

#[test]
fn a_token_makes_subscriptions_and_says_what_is_for_servers_alone() {
    let found = verify(&json!({"sub": "ann", "channels": ["news"], "meta": {"plan": 2}, "exp": 1060})).unwrap();
    assert_eq!(found.subs.iter().map(|sub| sub.channel.as_str()).collect::<Vec<_>>(), ["news"]);
    let shown = verify(&json!({"sub": "ann", "subs": {"news": {"info": [1]}}})).unwrap();
    assert_eq!(shown.subs[0].info.as_deref(), Some(&b"[1]"[..]));
    assert_eq!(found.meta.as_deref(), Some(&br#"{"plan":2}"#[..]));
    for bad in [json!({"channels": [""]}), json!({"meta": "x".repeat(CLIENT_INFO_BYTES)}), json!({"subs": 1})] {
        assert_eq!(verify(&bad), Err(TokenError::Unfit), "{bad}");
    }
}

#[test]
fn an_expired_token_and_one_without_proper_claims_are_not_invalid_ones() {
    assert_eq!(verify(&json!({"sub": "ann", "exp": 999})), Err(TokenError::Expired));
    for bad in [
        json!({"sub": "a".repeat(256)}),
        json!({"sub": 7}),
        json!({"sub": "ann", "exp": "1060"}),
        json!({"sub": "ann", "exp": true}),
        json!({"sub": "ann", "b64info": "%"}),
        json!({"sub": "ann", "channel": "news"}),
    ] {
        assert_eq!(verify(&bad), Err(TokenError::Unfit), "{bad}");
    }
}

#[test]
fn other_keys_and_no_key_are_invalid() {
    let foreign = token(&json!({"sub": "ann"}), "other");
    assert_eq!(Verifier::new(Some("key"), || NOW).verify(&foreign), Err(TokenError::Invalid));
    assert_eq!(Verifier::new(None, || NOW).verify(&foreign), Err(TokenError::Invalid));
    assert_eq!(Verifier::new(Some("key"), || NOW).verify("garbage"), Err(TokenError::Invalid));
    let odd_header = token(&json!({}), "key").replacen("eyJ", "eyB", 1);
    assert_eq!(Verifier::new(Some("key"), || NOW).verify(&odd_header), Err(TokenError::Invalid));
}

#[test]
fn every_name_that_people_use_is_one() {
    let long = "a".repeat(255);
    for name in ["tenant:42", "urn:uuid:1b4e28ba", "Ann Lee", "a/b", "a#b", "1,2", "é", &long] {
        let user = verify(&json!({"sub": name})).unwrap().user.unwrap();
        assert_eq!((user.as_str(), user.inbox().is_some()), (name, name == "é"), "{name}");
    }
}

/// Claims as text, for numbers in every legal form.
fn verify_text(claims: &str) -> Result<Option<Duration>, TokenError> {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", part(r#"{"alg":"HS256"}"#), part(claims));
    let key = EncodingKey::from_secret(b"key");
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
    let verifier = Verifier::new(Some("key"), || NOW);
    verifier.verify(&format!("{signed}.{signature}")).map(|credentials| credentials.lifetime)
}

#[test]
fn times_have_every_form_of_a_number() {
    let seconds = |seconds| Ok(Some(Duration::from_secs_f64(seconds)));
    for (claims, expected) in [
        (r#"{"exp":1060.5}"#, seconds(60.5)),
        (r#"{"exp":1.06e3}"#, seconds(60.0)),
        (r#"{"exp":10600E-1}"#, seconds(60.0)),
        (r#"{"exp":1e300}"#, Ok(Some(Duration::MAX - NOW))),
        (r#"{"exp":1000.5}"#, seconds(0.5)),
        (r#"{"exp":1000}"#, Err(TokenError::Expired)),
        (r#"{"exp":999.9}"#, Err(TokenError::Expired)),
        (r#"{"exp":0}"#, Err(TokenError::Expired)),
        (r#"{"exp":-1e300}"#, Err(TokenError::Expired)),
        (r#"{"exp":null}"#, Ok(None)),
        (r#"{"nbf":1000.0}"#, Ok(None)),
        (r#"{"nbf":1000.5}"#, Err(TokenError::Expired)),
        (r#"{"nbf":2e3,"exp":1}"#, Err(TokenError::Expired)),
        (r#"{"iat":5000}"#, Ok(None)),
        (r#"{"expire_at":0}"#, Ok(None)),
        (r#"{"expire_at":0,"exp":1060}"#, Ok(None)),
        (r#"{"expire_at":-1,"exp":1060}"#, Ok(None)),
        (r#"{"expire_at":0,"exp":900}"#, Err(TokenError::Expired)),
        (r#"{"expire_at":1.05e3,"exp":1060}"#, seconds(50.0)),
        (r#"{"expire_at":1100,"exp":1060}"#, seconds(100.0)),
        (r#"{"expire_at":900}"#, seconds(0.0)),
    ] {
        assert_eq!(verify_text(claims), expected, "{claims}");
    }
}

#[test]
fn what_is_refused_is_counted_by_its_reason() {
    let verifier = Verifier::new(Some("key"), || NOW);
    let not_ours = token(&json!({}), "other");
    for token in [&not_ours, "a.b.c", "", &token(&json!({"sub": 7}), "key"), &token(&json!({"nbf": 1001}), "key")] {
        verifier.verify(token).unwrap_err();
    }
    let counts: Vec<(&str, u64)> = verifier.faults().counts().map(|(fault, count)| (fault.name(), count)).collect();
    let found: Vec<&str> = counts.iter().filter(|(_, count)| *count > 0).map(|(name, _)| *name).collect();
    assert_eq!(found, ["not_yet_valid", "signature", "malformed", "claims"]);
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), 5, "{counts:?}");
}
