//! Tokens that are made are good by the config they are made for.

use clap::Parser as _;
use ringway_hub::{TokenFault, Verifier};

use super::*;
use crate::cli::args::{Cli, Command};
use crate::gateway::since_1970;

const SECRET: &str = "hmac_secret_key = \"sixteen bytes...\"\n";

fn tokens_of(text: &str) -> Tokens {
    let mut config = Config::default();
    config.apply(text).unwrap_or_else(|faults| panic!("{faults}"));
    config.gateway.tokens
}

fn args(line: &str) -> Signed {
    let words = ["ringway", "token"].into_iter().chain(line.split_whitespace());
    match Cli::try_parse_from(words).unwrap_or_else(|why| panic!("{why}")).command {
        Command::Token(args) => args.signed,
        other => panic!("{other:?}"),
    }
}

fn made(tokens: &Tokens, line: &str, claims: Value) -> Result<String, String> {
    let args = args(line);
    let signer = Signer::of(&tokens.connections, &args).map_err(|why| why.to_string())?;
    let Value::Object(claims) = claims else { panic!("{claims}") };
    let token = signed(&signer, claims, &args).map_err(|why| why.to_string())?;
    Ok(token["token"].as_str().unwrap().to_owned())
}

#[test]
fn what_is_made_is_good_where_it_is_made_for() {
    let several = format!(
        "[client.token]\n{SECRET}user_id_claim = \"uid\"\n[[client.token.issuers]]\nissuer = \"one\"\naudience = \"chat\"\n{}\
         [[client.token.issuers]]\nissuer_regex = \"^two\"\naudience_regex = \"^ch\"\n{SECRET}",
        SECRET.replace("sixteen", "another"),
    );
    for (config, line) in [
        (format!("[client.token]\n{SECRET}"), "--user ann"),
        (several.clone(), "--user ann"),
        (several.clone(), "--user ann --issuer one"),
        (several, "--user ann --issuer two.eu --audience chat"),
    ] {
        let tokens = tokens_of(&config);
        let token =
            made(&tokens, &format!("{line} --ttl 5m --info {{\"a\":1}}"), json!({"channels": ["news"]})).unwrap();
        let found = Verifier::of(&tokens, since_1970).explain(&token).unwrap_or_else(|why| panic!("{line}: {why:?}"));
        assert_eq!(found.user.unwrap().as_str(), "ann", "{line}");
        assert!(found.lifetime.unwrap().as_secs().abs_diff(300) <= 1, "{line}");
        assert_eq!((found.info.as_deref(), found.subs.len()), (Some(&br#"{"a":1}"#[..]), 1), "{line}");
    }
}

#[test]
fn one_without_an_end_and_one_of_another_secret() {
    let tokens = tokens_of(&format!("[client.token]\n{SECRET}"));
    let for_ever = made(&tokens, "--ttl 0", json!({})).unwrap();
    let found = Verifier::of(&tokens, since_1970).explain(&for_ever).unwrap();
    assert_eq!((found.user, found.lifetime), (None, None));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "another secret\r\n").unwrap();
    let other = made(&tokens, &format!("--secret-file {}", file.display()), json!({})).unwrap();
    assert_eq!(Verifier::of(&tokens, since_1970).explain(&other), Err(TokenFault::Signature));
    let its = tokens_of(
        "[client.token]\nhmac_previous_secret_key = \"sixteen bytes...\"\nhmac_secret_key = \"another secret for all\"\n",
    );
    assert!(Verifier::of(&its, since_1970).explain(&for_ever).is_ok(), "the former secret");
}

#[test]
fn who_cannot_sign_is_told_what_is_missing() {
    let ed = "-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\\n-----END PUBLIC KEY-----";
    for (config, line, word) in [
        (String::new(), "", "--secret-file"),
        (String::new(), "--config ringway.toml", "ringway genkey"),
        (format!("[client.token]\neddsa_public_key = \"{ed}\"\n"), "--config ringway.toml", "private"),
        (format!("[client.token]\n{SECRET}audience_regex = \"^ch\"\n"), "--config ringway.toml", "--audience"),
    ] {
        let why = made(&tokens_of(&config), line, json!({})).unwrap_err();
        assert!(why.contains(word), "{word}: {why}");
    }
}

#[test]
fn arguments_are_checked() {
    for wrong in ["--ttl 5", "--ttl 0s", "--ttl x", "--info {", "--meta Ann"] {
        assert!(
            Cli::try_parse_from(["ringway", "token"].into_iter().chain(wrong.split_whitespace())).is_err(),
            "{wrong}"
        );
    }
    assert!(Cli::try_parse_from(["ringway", "subtoken", "--user", "ann"]).is_err(), "a channel is needed");
}
