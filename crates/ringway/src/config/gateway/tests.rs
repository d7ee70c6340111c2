//! Settings of tokens, and what is said of those that cannot be meant.

use ringway_hub::{Keys, Rule};

use super::super::Config;

const SECRET: &str = "hmac_secret_key = \"sixteen bytes...\"\n";
/// The key of RFC 8037, A.2.
const ED: &str = "-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\\n-----END PUBLIC KEY-----";

fn faults(text: &str) -> Vec<String> {
    Config::default().apply(text).err().map_or_else(Vec::new, |faults| faults.0)
}

fn parsed(text: &str) -> Config {
    let mut config = Config::default();
    config.apply(text).unwrap_or_else(|faults| panic!("{faults}"));
    config
}

#[test]
fn tokens_have_sources() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    std::fs::write(&file, ED.replace("\\n", "\n")).unwrap();
    let config = parsed(&format!(
        "[client.token]\n{SECRET}hmac_previous_secret_key = \"the secret before\"\neddsa_public_key = {:?}\naudience_regex = \"^chat\"\n\
         [[client.token.issuers]]\nissuer = \"one\"\njwks_public_endpoint = \"https://id.example.org/keys\"\nuser_id_claim = \"uid\"\n\
         [client.subscription_token]\nenabled = true\neddsa_public_key = \"{ED}\"\n",
        file.to_str().unwrap(),
    ));
    let tokens = config.gateway.tokens;
    let [one, rest] = &tokens.connections[..] else { panic!("{tokens:?}") };
    assert_eq!(
        (&one.issuer, &one.keys),
        (&Some(Rule::Is("one".into())), &Keys::Published("https://id.example.org/keys".into()))
    );
    assert_eq!(one.user_id_claim.as_deref(), Some("uid"));
    let Keys::Fixed(keys) = &rest.keys else { panic!("{rest:?}") };
    assert_eq!(keys.len(), 3);
    let own = tokens.subscriptions.as_deref().unwrap();
    assert_eq!(own[0].keys, Keys::Fixed(vec![keys[2].clone()]), "a file holds the same as a text");
    assert!(tokens.has_keys() || !parsed("").gateway.tokens.has_keys());
}

#[test]
fn what_cannot_be_meant_is_told_with_its_key() {
    let private = "-----BEGIN PRIVATE KEY-----\\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\\n-----END PRIVATE KEY-----";
    let endpoint = "jwks_public_endpoint = \"https://id.example.org/keys\"\n";
    let issuer = format!("[[client.token.issuers]]\nissuer = \"a\"\n{SECRET}");
    for (text, words) in [
        ("hmac_secret_key = \"short\"\n".to_owned(), &["`client.token.hmac_secret_key` has 5 bytes"][..]),
        (format!("hmac_secret_key = \"{ED}\"\n"), &["`client.token.hmac_secret_key`", "PEM"]),
        (
            "hmac_previous_secret_key = \"sixteen bytes...\"\n".to_owned(),
            &["`client.token.hmac_previous_secret_key` stands alone"],
        ),
        ("rsa_public_key = \"nowhere.pem\"\n".to_owned(), &["`client.token.rsa_public_key`", "nowhere.pem"]),
        (format!("rsa_public_key = \"{ED}\"\n"), &["`client.token.rsa_public_key` is no RSA key"]),
        (format!("eddsa_public_key = \"{private}\"\n"), &["`client.token.eddsa_public_key` is a private key"]),
        (format!("{SECRET}{endpoint}"), &["`client.token.jwks_public_endpoint` stands beside other keys"]),
        ("jwks_public_endpoint = \"ftp://x/\"\n".to_owned(), &["`client.token.jwks_public_endpoint`", "https://"]),
        (
            "jwks_public_endpoint = \"https://{{tenant}}/keys\"\n".to_owned(),
            &["placeholder", "[[client.token.issuers]]"],
        ),
        (format!("{SECRET}issuer = \"a\"\nissuer_regex = \"a\"\n"), &["`client.token.issuer`", "`issuer_regex`"]),
        (format!("{SECRET}audience_regex = \"(\"\n"), &["`client.token.audience_regex` is no regular expression"]),
        ("issuer = \"a\"\n".to_owned(), &["`client.token`", "no key"]),
        (format!("{issuer}{issuer}"), &["`client.token.issuers[1].issuer` is there twice"]),
        ("[[client.token.issuers]]\nissuer = \"a\"\n".to_owned(), &["`client.token.issuers[0]`", "no key"]),
        (format!("[[client.token.issuers]]\n{SECRET}"), &["`client.token.issuers[0]`", "neither `issuer`"]),
        ("issuers = \"a\"\n".to_owned(), &["`client.token.issuers`", "[[client.token.issuers]]"]),
        (format!("[client.subscription_token]\n{SECRET}"), &["`client.subscription_token.enabled` is false"]),
        (
            "[client.subscription_token]\nenabled = true\n".to_owned(),
            &["`client.subscription_token.enabled` is true", "no key"],
        ),
    ] {
        let found = faults(&format!("[client.token]\n{text}"));
        assert!(
            found.iter().any(|fault| words.iter().all(|word| fault.contains(word))),
            "{words:?} in {found:#?} of {text}"
        );
    }
    assert_eq!(
        faults("[client]\nanonymous = true\ntoken_hmac_secret = \"x\"\n"),
        [
            "`client.anonymous` is spelled otherwise: write `allow_anonymous_connect_without_token`.",
            "`client.token_hmac_secret` is spelled otherwise: write `hmac_secret_key` in [client.token].",
        ]
    );
}
