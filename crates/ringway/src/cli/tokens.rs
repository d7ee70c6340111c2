//! `ringway token`, `subtoken`, `checktoken` and `genkey`: tokens for trying things out, and why one is not good.

mod args;
mod check;
mod sign;

use std::io::Read;
use std::path::Path;

use ringway_hub::Tokens;
use serde_json::{Map, Value, json};

pub(super) use args::{CheckTokenArgs, GenkeyArgs, SubtokenArgs, TokenArgs};
pub(super) use check::run as check;

use super::error::CliError;
use super::say;
use crate::config::Config;
use args::Signed;
use sign::Signer;

/// Prints a connection token.
pub(super) fn token(args: &TokenArgs) -> Result<(), CliError> {
    let mut claims = Map::new();
    if !args.channels.is_empty() {
        claims.insert("channels".to_owned(), json!(args.channels));
    }
    if let Some(meta) = &args.meta {
        claims.insert("meta".to_owned(), meta.clone());
    }
    let tokens = tokens(args.signed.config.as_deref())?;
    let signer = Signer::of(&tokens.connections, &args.signed)?;
    let token = signed(&signer, claims, &args.signed)?;
    tell(&token, args.signed.json)
}

/// Prints a subscription token.
pub(super) fn subtoken(args: &SubtokenArgs) -> Result<(), CliError> {
    let mut claims = Map::from_iter([("channel".to_owned(), json!(args.channel))]);
    if let Some(client) = &args.client {
        claims.insert("client".to_owned(), json!(client));
    }
    let tokens = tokens(args.signed.config.as_deref())?;
    let signer = Signer::of(tokens.subscriptions.as_ref().unwrap_or(&tokens.connections), &args.signed)?;
    let token = signed(&signer, claims, &args.signed)?;
    tell(&token, args.signed.json)
}

/// Prints a secret that nobody guesses.
pub(super) fn genkey(args: &GenkeyArgs) -> Result<(), CliError> {
    let bytes: [u8; 32] = rand::random();
    let secret: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    say(&if args.json { format!("{}\n", json!({ "hmac_secret_key": secret })) } else { format!("{secret}\n") })
}

/// What makes tokens good by a config file; without one, nothing does.
fn tokens(config: Option<&Path>) -> Result<Tokens, CliError> {
    let config = match config {
        Some(file) => Config::default().with_file(file).map_err(CliError::config)?,
        None => Config::default(),
    };
    Ok(config.gateway.tokens)
}

/// Adds what all tokens have, and signs.
fn signed(signer: &Signer, mut claims: Map<String, Value>, args: &Signed) -> Result<Value, CliError> {
    let now = jiff::Timestamp::now().as_second();
    claims.insert(signer.user_claim().to_owned(), json!(args.user));
    claims.insert("iat".to_owned(), json!(now));
    if let Some(ttl) = args.ttl.0 {
        claims.insert("exp".to_owned(), json!(now + ttl.as_secs() as i64));
    }
    if let Some(info) = &args.info {
        claims.insert("info".to_owned(), info.clone());
    }
    claims.extend(signer.origin());
    let claims = Value::Object(claims);
    Ok(json!({ "token": signer.sign(&claims)?, "claims": claims }))
}

fn tell(token: &Value, is_json: bool) -> Result<(), CliError> {
    match is_json {
        true => say(&format!("{token}\n")),
        false => say(&format!("{}\n", token["token"].as_str().unwrap_or_default())),
    }
}

/// A secret's file without the line's end that editors add.
fn secret_in(file: &Path) -> Result<String, CliError> {
    let text = match file.as_os_str() == "-" {
        true => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        }
        false => std::fs::read_to_string(file),
    };
    let text = text.map_err(|why| CliError::Failed(format!("cannot read the secret in {}: {why}", file.display())))?;
    let secret = text.trim_end_matches(['\r', '\n']).to_owned();
    if secret.is_empty() {
        Err(CliError::Failed(format!("{} is empty: it is to hold the secret", file.display())))
    } else {
        Ok(secret)
    }
}

#[cfg(test)]
mod tests;
